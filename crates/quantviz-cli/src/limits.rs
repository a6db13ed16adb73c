//! Limits on the command line: how much a file may ask for.

use quantviz::{Error, Limits};

/// What the two commands that open files have in common.
#[derive(clap::Args)]
pub(crate) struct LimitOptions {
    /// Let files ask for more, or for less, before they are refused; may be given several times
    #[arg(long = "limit", value_name = "NAME=N", value_parser = setting, long_help = long_help())]
    limits: Vec<(String, u64)>,
}

impl LimitOptions {
    pub(crate) fn limits(&self) -> Result<Limits, Error> {
        let mut limits = Limits::default();
        self.limits.iter().try_for_each(|(name, value)| limits.set(name, *value))?;
        Ok(limits)
    }
}

fn setting(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("a limit is written NAME=N, such as tensors=500000")?;
    let value = value.parse().map_err(|_| format!("{value:?} is no whole number"))?;
    Limits::default().set(name, value).map_err(|error| error.message().to_owned())?;
    Ok((name.to_owned(), value))
}

fn long_help() -> String {
    let lines = Limits::ALL.iter().map(|(name, what)| format!("  {name}: {}", what.trim()));
    format!(
        "Let files ask for more, or for less, before they are refused; may be given several times\n\n\
         The bounds keep small hostile files from taking a large machine down. There are:\n{}",
        lines.collect::<Vec<_>>().join("\n")
    )
}

/// What the line of an error adds, where it helps to raise a limit.
pub(crate) fn hint(error: &Error) -> String {
    match error.limit_met() {
        Some(name) => format!("; if the file can be trusted, '--limit {name}=N' allows more"),
        None => String::new(),
    }
}
