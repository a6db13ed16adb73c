//! `bench-peers`: whole processes against what else one could do with the same file, and against what the machine can do.

mod measure;
mod rows;
mod setup;
mod table;

use std::path::Path;

use crate::Result;
use crate::page::{Stamp, replace_section};
use measure::Outcome;
use rows::ROWS;
use setup::Workshop;

/// Pages, and the sections in them that are ours to write.
const README: (&str, &str) = ("README.md", "bench-peers");
const DETAILS: (&str, &str) = ("docs/speed.md", "bench-peers");

pub(crate) fn run(args: &[String]) -> Result {
    let filter = match args {
        [] => None,
        [filter] if !filter.starts_with('-') => Some(filter.as_str()),
        _ => return Err("bench-peers knows one argument: a part of the names of the rows to run".into()),
    };
    let chosen: Vec<_> = ROWS.iter().filter(|row| filter.is_none_or(|it| row.name().contains(it))).collect();
    if chosen.is_empty() {
        return Err(format!("no row is called `{}`", filter.unwrap_or_default()));
    }
    let workshop = Workshop::set_up()?;
    println!("\nEach row {} times, in turns; what stands here are medians.", measure::ROUNDS);
    let mut outcomes = Vec::new();
    for row in chosen {
        let outcome = workshop.measure(row)?;
        println!("{}", outcome.line());
        outcomes.push(outcome);
    }
    if filter.is_none() {
        write_pages(&outcomes)?;
    } else {
        println!("The pages are written only when all rows run.");
    }
    let problems: Vec<String> = outcomes.iter().flat_map(Outcome::problems).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n       ")) }
}

fn write_pages(outcomes: &[Outcome]) -> Result {
    let stamp = Stamp::now()?;
    for ((page, section), text) in
        [(README, table::short(outcomes, &stamp)), (DETAILS, table::full(outcomes, &stamp))]
    {
        replace_section(Path::new(page), section, &text)?;
        println!("Wrote {page}");
    }
    Ok(())
}
