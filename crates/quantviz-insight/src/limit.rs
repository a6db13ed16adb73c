//! Limits as people write them: what each may be, and what is said where it is something else.

use std::fmt;
use std::marker::PhantomData;

use quantviz_core::{Encoding, number};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Code, Exception};

/// What a limit is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Decibels: any number.
    Decibels,
    /// A part of all: from 0 to 1.
    Share,
}

impl Unit {
    /// The limit, if it is one that something can be compared with.
    ///
    /// ```
    /// use quantviz_insight::Unit;
    ///
    /// assert_eq!(Unit::Share.check(0.1), Ok(0.1));
    /// let percent = Unit::Share.check(50.0).expect_err("more than all");
    /// assert_eq!(percent, "50 is more than all: a share is from 0 to 1, and 50 % are 0.5");
    /// assert!(Unit::Decibels.check(f64::NAN).is_err());
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn check(self, limit: f64) -> Result<f64, String> {
        match self {
            _ if !limit.is_finite() => Err(format!("{limit} is no limit: nothing can be more or less")),
            Unit::Share if limit > 1.0 => Err(format!(
                "{} is more than all: a share is from 0 to 1, and {0} % are {}",
                number(limit),
                number(limit / 100.0)
            )),
            Unit::Share if limit < 0.0 => Err(format!("{} is no share: it is from 0 to 1", number(limit))),
            _ => Ok(limit),
        }
    }

    /// The limit that a text is.
    ///
    /// ```
    /// use quantviz_insight::Unit;
    ///
    /// assert_eq!(Unit::Decibels.parse("-3"), Ok(-3.0));
    /// assert_eq!(Unit::Decibels.parse("30dB"), Err("it is no number".to_owned()));
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        text.trim().parse().map_err(|_| "it is no number".to_owned()).and_then(|limit| self.check(limit))
    }
}

pub(crate) fn decibels<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    from.deserialize_any(Limit(Unit::Decibels))
}

pub(crate) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    from.deserialize_any(Limit(Unit::Share))
}

/// The name of an encoding that there is.
pub(crate) fn encoding<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(name) = text(from)? else { return Ok(None) };
    let names: Vec<&str> = Encoding::ALL.iter().map(|it| it.name()).collect();
    if names.contains(&name.as_str()) {
        return Ok(Some(name));
    }
    Err(Error::custom(format!("there is no encoding {name:?}; there are {}", names.join(", "))))
}

/// A pattern of names.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    from.deserialize_any(Text)
}

/// Numbers of findings that there are.
pub(crate) fn codes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let all: Vec<KnownCode> = list(from, "a list of findings, such as [\"QV003\"],")?;
    Ok(all.into_iter().map(|KnownCode(code)| code.to_string()).collect())
}

/// Rules, one after the other.
pub(crate) fn rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Exception>, D::Error> {
    list(from, "[[check.rule]], in double brackets,")
}

fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
    expected: &'static str,
) -> Result<Vec<T>, D::Error> {
    from.deserialize_any(List { expected, of: PhantomData })
}

struct Limit(Unit);

impl<'de> Visitor<'de> for Limit {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number without quotes")
    }

    fn visit_f64<E: Error>(self, limit: f64) -> Result<Self::Value, E> {
        self.0.check(limit).map(Some).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, limit: i64) -> Result<Self::Value, E> {
        self.visit_f64(limit as f64)
    }

    fn visit_u64<E: Error>(self, limit: u64) -> Result<Self::Value, E> {
        self.visit_f64(limit as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct List<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(all)
    }
}

/// A type of its own, so that an error is of the one that is wrong and not of the list.
struct KnownCode(Code);

impl<'de> Deserialize<'de> for KnownCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = text(from)?.unwrap_or_default();
        name.parse().map(KnownCode).map_err(Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::Gate;

    fn error(json: &str) -> String {
        serde_json::from_str::<Gate>(json).expect_err(json).to_string()
    }

    #[test]
    fn what_is_no_limit_is_told() {
        assert!(error(r#"{"max-clipped": 50}"#).starts_with("50 is more than all"));
        assert!(error(r#"{"max-clip-noise": -0.5}"#).starts_with("-0.5 is no share"));
        assert!(error(r#"{"min-sqnr": "30"}"#).contains("expected a number without quotes"));
        assert!(error(r#"{"rule": {"layer": "a*"}}"#).contains("expected [[check.rule]]"));
        assert!(error(r#"{"rule": [{"encoding": "int8", "min-sqnr": 3}]}"#).contains("there are qdq, "));
        assert!(error(r#"{"deny": ["QV009", "QV999"]}"#).starts_with("there is no rule QV999"));
        assert!(error(r#"{"deny": "QV009"}"#).contains("expected a list of findings"));
    }

    /// What JSON reports of a gate is a gate.
    #[test]
    fn limits_survive_json() {
        let gate = Gate { min_sqnr: Some(-3.0), deny: vec!["QV003".to_owned()], ..Gate::default() };
        let json = serde_json::to_string(&gate).expect("JSON");
        assert_eq!(serde_json::from_str::<Gate>(&json).expect("a gate"), gate);
    }
}
