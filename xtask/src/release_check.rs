//! `release-check`: would what is here make a release?

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{cargo, run as show};

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    crate::tidy::check()?;
    let workspace = Metadata::of_workspace()?;
    let mut command = cargo(["package", "--workspace", "--allow-dirty"]);
    for package in workspace.ours().filter(|package| package.is_private()) {
        command.args(["--exclude", &package.name]);
    }
    show(&mut command)
}
