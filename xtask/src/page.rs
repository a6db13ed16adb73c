//! Sections of pages that a command writes, and the line that says where their numbers come from.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{output, read};

/// Replaces what stands between the marks `<!-- NAME -->` and `<!-- /NAME -->`.
pub(crate) fn replace_section(page: &Path, name: &str, text: &str) -> Result {
    let replaced = replaced(&read(page)?, name, text)
        .ok_or_else(|| format!("{}: put `<!-- {name} -->` and `<!-- /{name} -->` in it", page.display()))?;
    std::fs::write(page, replaced).map_err(|error| format!("{}: {error}", page.display()))
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(&format!("<!-- {name} -->\n"))?;
    let end = format!("<!-- /{name} -->");
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}<!-- {name} -->\n{text}{end}{after}"))
}

/// What was measured, when, and on what.
pub(crate) struct Stamp {
    commit: String,
    date: String,
    machine: String,
}

impl Stamp {
    pub(crate) fn now() -> Result<Self> {
        let changes =
            words(Command::new("git").args(["status", "--porcelain", "--", "crates", "Cargo.lock"]))?;
        let commit = words(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
        let commit = if changes.is_empty() { commit } else { format!("{commit} with changes") };
        let date = words(Command::new("date").args(["-u", "+%F"]))?;
        Ok(Stamp { commit, date, machine: machine() })
    }

    /// One line of Markdown.
    pub(crate) fn line(&self) -> String {
        let Stamp { commit, date, machine } = self;
        format!("Commit {commit}, {date}, on {machine}.")
    }
}

fn words(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?).trim().to_owned())
}

fn machine() -> String {
    let processor = value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let memory =
        value_in("/proc/meminfo", "MemTotal").and_then(|it| it.split(' ').next()?.parse::<u64>().ok());
    let memory = memory.map(|kib| format!(", {} GB of memory", (kib * 1024 + 500_000_000) / 1_000_000_000));
    format!("{processor}, {} cores{}", cores(), memory.unwrap_or_default())
}

/// How many threads quantviz uses, and so everyone.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The value of the first line `key: value` of a file of the kernel.
fn value_in(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_changes() {
        let page = "a\n<!-- t -->\nold\n<!-- /t -->\nb\n";
        assert_eq!(replaced(page, "t", "new\n").as_deref(), Some("a\n<!-- t -->\nnew\n<!-- /t -->\nb\n"));
        assert_eq!(replaced(page, "u", "new\n"), None);
        assert_eq!(replaced("<!-- t -->\n", "t", "new\n"), None);
    }
}
