//! Whether a licence expression can be satisfied with the licences we accept.

use std::iter::Peekable;
use std::str::SplitWhitespace;

use crate::Result;

/// Evaluates an SPDX expression; a slash, as older manifests write it, means OR. A licence with an exception
/// counts only if it is accepted in the same words, as cargo-deny has it.
pub(super) fn accepts(allowed: &[String], expression: &str) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut terms = Terms { words: spaced.split_whitespace().peekable(), allowed };
    let verdict = terms.any()?;
    match terms.words.next() {
        None => Ok(verdict),
        Some(extra) => Err(format!("`{extra}` is one word too many")),
    }
}

struct Terms<'a> {
    words: Peekable<SplitWhitespace<'a>>,
    allowed: &'a [String],
}

impl Terms<'_> {
    fn any(&mut self) -> Result<bool> {
        let mut verdict = self.all()?;
        while self.words.next_if_eq(&"OR").is_some() {
            verdict |= self.all()?;
        }
        Ok(verdict)
    }

    fn all(&mut self) -> Result<bool> {
        let mut verdict = self.one()?;
        while self.words.next_if_eq(&"AND").is_some() {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool> {
        match self.words.next() {
            Some("(") => {
                let verdict = self.any()?;
                self.words.next_if_eq(&")").ok_or("a parenthesis is not closed")?;
                Ok(verdict)
            }
            None | Some(")" | "AND" | "OR" | "WITH") => Err("a licence is missing".into()),
            Some(licence) => self.licence(licence),
        }
    }

    fn licence(&mut self, licence: &str) -> Result<bool> {
        if self.words.next_if_eq(&"WITH").is_none() {
            return Ok(self.allowed.iter().any(|allowed| allowed == licence));
        }
        let exception = self.words.next().ok_or("WITH names no exception")?;
        let whole = format!("{licence} WITH {exception}");
        Ok(self.allowed.contains(&whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(expression: &str) -> Result<bool> {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "GPL-2.0 WITH Classpath-exception-2.0"];
        accepts(&allowed.map(String::from), expression)
    }

    #[test]
    fn expressions_of_the_wild() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("Unlicense/MIT", true),
            ("Unlicense / GPL-3.0-only", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND BSD-3-Clause", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", true),
            ("GPL-2.0", false),
            ("((MIT))", true),
        ] {
            assert_eq!(verdict(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert_eq!(verdict("MIT OR Unlicense AND BSD-3-Clause"), Ok(true));
        assert_eq!(verdict("Unlicense AND BSD-3-Clause OR MIT"), Ok(true));
        assert_eq!(verdict("(MIT OR Unlicense) AND BSD-3-Clause"), Ok(false));
    }

    #[test]
    fn nonsense_is_an_error() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND MIT", "MIT WITH"] {
            assert!(verdict(expression).is_err(), "{expression}");
        }
    }
}
