//! `quantviz.toml`: the limits of a project, and what is wrong with them, by lines.

use std::path::Path;

use quantviz::Error;
use quantviz::insight::{Exception, Gate};
use quantviz::view::nearest;
use serde::Deserialize;

use crate::trouble::Trouble;

/// The file that is read where no other is named.
pub(crate) const CONFIG: &str = "quantviz.toml";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    check: Gate,
}

/// The limits that a file sets.
pub(crate) fn read(path: &Path) -> Result<Gate, Trouble> {
    let text = std::fs::read_to_string(path).map_err(|error| Trouble::with(path, Error::io(path, error)))?;
    let wrong =
        |line: usize, what: &str| Trouble::with(path, Error::malformed(format!("line {line}: {what}")));
    let config: Config = toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        wrong(line, &plain(error.message()))
    })?;
    match config.check.exceptions.iter().position(|rule| !rule.limits_something()) {
        None => Ok(config.check),
        Some(index) => {
            let what =
                "this rule has no limit: give it min-sqnr, max-clipped, max-headroom or max-clip-noise";
            Err(wrong(line_of_rule(&text, index), what))
        }
    }
}

/// The parser does not say where a rule begins.
fn line_of_rule(text: &str, index: usize) -> usize {
    let is_head = |line: &str| line.trim_start().starts_with("[[");
    let heads = text.lines().enumerate().filter(|(_, line)| is_head(line));
    heads.map(|(line, _)| line + 1).nth(index).unwrap_or(1)
}

/// What the parser says, without the types of its program.
fn plain(message: &str) -> String {
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|it| it.split_once(", expected "))
    {
        return format!("{expected} is expected, not {found}");
    }
    let Some(fields) = message.strip_prefix("unknown field ") else { return message.to_owned() };
    // Every second part stands between backticks.
    let mut names = fields.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    match nearest(&unknown.replace('_', "-"), known.iter().copied()) {
        Some(name) => format!("there is no key {unknown}; did you mean {name}?"),
        None => format!("there is no key {unknown}; there are {}", known.join(", ")),
    }
}

/// A rule as a line can name it: `rule 2 (layer "lm_head*")`.
pub(crate) fn named(index: usize, rule: &Exception) -> String {
    let parts = [("encoding", &rule.encoding), ("layer", &rule.layer)];
    let parts = parts.iter().filter_map(|(key, value)| Some(format!("{key} {:?}", value.as_ref()?)));
    format!("rule {} ({})", index + 1, parts.collect::<Vec<_>>().join(", "))
}
