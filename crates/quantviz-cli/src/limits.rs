//! Limits on the command line: how much a file may ask for.

use quantviz::{Error, Limits};

use crate::layout::wrap;

/// What the two commands that open files have in common.
#[derive(clap::Args)]
pub(crate) struct LimitOptions {
    /// Let files ask for more, or for less, before they are refused; may be given several times
    ///
    /// Limits keep small hostile files from taking a large machine down. 'quantviz help limits' lists them.
    #[arg(long = "limit", value_name = "NAME=N", value_parser = setting)]
    limits: Vec<(String, u64)>,
}

impl LimitOptions {
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            // `setting` has tried it.
            let _ = limits.set(name, *value);
        }
        limits
    }
}

fn setting(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("a limit is written NAME=N, such as tensors=500000")?;
    let value = value.parse().map_err(|_| format!("{value:?} is no whole number"))?;
    Limits::default().set(name, value).map_err(|error| error.message().to_owned())?;
    Ok((name.to_owned(), value))
}

/// Every limit, with what it is where nobody sets it.
pub(crate) fn list() -> String {
    const WIDTH: usize = 80;
    let usual = Limits::default();
    let lines = Limits::ALL.iter().map(|(name, what)| {
        let value = usual.get(name).unwrap_or_default();
        wrap(&format!("  {name}={value}: {}", what.trim()), WIDTH, 6)
    });
    format!("Limits, as they are without --limit:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// What the line of an error adds, where it helps to raise a limit.
pub(crate) fn hint(error: &Error) -> String {
    match error.limit_met() {
        Some(name) => format!("; if the file can be trusted, '--limit {name}=N' allows more"),
        None => String::new(),
    }
}
