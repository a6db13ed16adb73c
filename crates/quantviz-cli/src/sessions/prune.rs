//! `quantviz sessions prune`: makes a session smaller.

use quantviz::view::{bytes, count};
use quantviz::{Budget, Pruning, RecordId, Run};

use super::Opened;
use crate::Exit;
use crate::stream::{Terminal, write_json};
use crate::trouble::Trouble;

/// Make a session smaller, keeping its whole history of statistics
///
/// Snapshots lose what is not statistics: samples, thumbnails, positions. Those that stay whole lie evenly on a logarithmic
/// scale of steps; the first, the last and those around insights always stay. What was superseded when a run was resumed is
/// removed. Without limits, that is all. A session that is being written is left as it is, unless --force is given.
#[derive(clap::Args)]
pub(super) struct PruneOptions {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,

    /// Keep at most N snapshots whole
    #[arg(long, value_name = "N")]
    snapshots: Option<u64>,

    /// Keep at most so much beside statistics: 500MB, 2GB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    bytes: Option<u64>,

    /// Keep whole what is younger: 90m, 12h, 7d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    age: Option<u64>,

    /// Only say what would go
    #[arg(long)]
    dry_run: bool,

    /// Prune it though somebody is writing it
    #[arg(long)]
    force: bool,

    /// Print JSON, for scripts: the schema quantviz.pruned/1
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    options: &PruneOptions,
    opened: &Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let run = opened.session(&options.session)?;
    if !options.dry_run {
        opened.refuse_while_written(&run, options.force, "prune it all the same")?;
    }
    let timeline = run.timeline();
    let mut budget = Budget::ALL;
    (budget.snapshots, budget.bytes, budget.age_ms) = (options.snapshots, options.bytes, options.age);
    let keep = timeline.steps_around_insights();
    let pruning = budget.prune(timeline, &keep, opened.now_ms);
    let told = Told::of(&run, &pruning);
    if !options.dry_run {
        let (store, id) = (&opened.store, run.id());
        store.thin(id, &pruning.thin).map_err(|error| opened.trouble(error))?;
        store.remove(id, &pruning.remove).map_err(|error| opened.trouble(error))?;
    }
    if options.json {
        let pruned = serde_json::json!({
            "schema": "quantviz.pruned/1", "session": run.id().as_str(), "dry_run": options.dry_run, "thinned_steps": told.steps,
            "thinned": pruning.thin.len(), "removed": pruning.remove.len(), "bytes": told.freed, "whole_snapshots": told.stay
        });
        write_json(&pruned, terminal.out)?;
        terminal.out.write_all(b"\n")?;
        return Ok(Exit::Done);
    }
    let verb = |past, would| if options.dry_run { would } else { past };
    if pruning.thin.is_empty() && pruning.remove.is_empty() {
        writeln!(
            terminal.out,
            "session {}: nothing to prune; {} whole snapshots",
            run.id(),
            count(told.stay)
        )?;
        return Ok(Exit::Done);
    }
    writeln!(
        terminal.out,
        "session {}: {} {}\n  {} {} left with statistics only{}\n  {} superseded records {}\n  {} whole snapshots stay{}",
        run.id(),
        bytes(told.freed),
        verb("freed", "would be freed"),
        count(pruning.thin.len() as u64),
        verb("snapshots", "snapshots would be"),
        told.range(),
        count(pruning.remove.len() as u64),
        verb("removed", "would be removed"),
        count(told.stay),
        if keep.is_empty() { String::new() } else { format!(", {} of them around insights", keep.len()) },
    )?;
    Ok(Exit::Done)
}

/// What goes and what stays, in numbers.
struct Told {
    steps: Vec<u64>,
    freed: u64,
    stay: u64,
}

impl Told {
    fn of(run: &Run<'_>, pruning: &Pruning) -> Self {
        let timeline = run.timeline();
        let known =
            |ids: &[RecordId]| ids.iter().filter_map(|&id| timeline.record(id)).copied().collect::<Vec<_>>();
        let (thinned, removed) = (known(&pruning.thin), known(&pruning.remove));
        let mut steps: Vec<u64> = thinned.iter().map(|it| it.step).collect();
        steps.sort_unstable();
        steps.dedup();
        let removed: u64 =
            removed.iter().map(|it| if it.is_thinned { it.summary_bytes } else { it.bytes }).sum();
        let freed = thinned.iter().map(|it| it.heavy_bytes()).sum::<u64>() + removed;
        let stay = timeline.snapshot_steps().len().saturating_sub(steps.len()) as u64;
        Told { steps, freed, stay }
    }

    fn range(&self) -> String {
        match (self.steps.first(), self.steps.last()) {
            (Some(first), Some(last)) => format!(", of steps {} to {}", count(*first), count(*last)),
            _ => String::new(),
        }
    }
}

const UNITS: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
    ("", 1),
];

fn size(text: &str) -> Result<u64, String> {
    in_units(text, &UNITS).ok_or_else(|| format!("{text:?} is no size; 500MB would be"))
}

fn age(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 4] = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    in_units(text, &UNITS).ok_or_else(|| format!("{text:?} is no duration; 90m, 12h or 7d would be"))
}

fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    let value = number.parse::<f64>().ok()? * *scale as f64;
    (value.is_finite() && value < 1e18).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages() {
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(size("12"), Ok(12));
        assert_eq!(age("90m"), Ok(5_400_000));
        for text in ["", "MB", "1 parsec", "1e9", "-3kb", "1.2.3", "99999999999999999999TB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(age("12").is_err() && age("2 weeks").is_err());
    }
}
