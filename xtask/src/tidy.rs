//! `tidy`: what a reviewer should not have to look for.

mod dependencies;
mod graph;
mod links;
mod manifest;
mod sources;
mod spdx;

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{cargo, run as show};

/// Looks at one thing; each string names a place and what to do there.
type Check = fn(&Metadata) -> Result<Vec<String>>;

const CHECKS: &[Check] = &[
    graph::allowed_edges,
    graph::must_not_know,
    dependencies::licences,
    dependencies::rust_versions,
    sources::crates_in_architecture,
    sources::modules_say_what_they_are,
    sources::files_are_short,
    sources::lints_are_shared,
    links::point_at_files,
];

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    check()
}

/// Runs all checks, then tells all problems: fixing them one at a time costs a run each.
pub(crate) fn check() -> Result {
    let mut problems = Vec::new();
    problems.extend(show(&mut cargo(["fmt", "--all", "--check"])).err().map(|_| run_fmt()));
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    problems.extend(show(&mut cargo(clippy)).err());
    match Metadata::of_everything() {
        Ok(metadata) => problems.extend(own_problems(&metadata)),
        Err(error) => problems.push(error),
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err("tidy found 1 problem".into()),
        count => Err(format!("tidy found {count} problems")),
    }
}

fn run_fmt() -> String {
    "the code is not formatted: run `cargo fmt --all`".into()
}

/// A check that cannot be made is a problem too.
fn own_problems(metadata: &Metadata) -> Vec<String> {
    CHECKS.iter().flat_map(|check| check(metadata).unwrap_or_else(|error| vec![error])).collect()
}
