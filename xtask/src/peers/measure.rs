//! Runs quantviz and a peer in turns, and compares them.

use std::process::Command;

use serde::Deserialize;

use super::rows::{Bound, Peer, Per, Row};
use super::setup::{Made, Workshop};
use crate::Result;
use crate::process::{output, shown};

/// Odd, so that a median is one of them.
pub(super) const ROUNDS: usize = 7;

/// What came of a row. Times are in seconds.
pub(super) struct Outcome {
    pub(super) row: &'static Row,
    pub(super) ours: Median,
    pub(super) theirs: Median,
    /// What the C loop says of itself.
    pub(super) own_seconds: Option<f64>,
    /// quantviz's time by the peer's, as the bound counts it: the median of those of all rounds.
    pub(super) ratio: f64,
    pub(super) made: Made,
}

pub(super) struct Median {
    pub(super) seconds: f64,
    /// The most of all rounds.
    pub(super) peak_bytes: u64,
}

#[derive(Clone, Deserialize)]
struct Run {
    seconds: f64,
    peak_bytes: u64,
    #[serde(skip)]
    own_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct OwnTime {
    seconds: f64,
}

impl Workshop {
    pub(super) fn measure(&self, row: &'static Row) -> Result<Outcome> {
        let mut commands = [self.quantviz(row.question, row.file), self.peer(row.peer, row.file)?];
        let is_loop = matches!(row.peer, Peer::Loop(_));
        // Once for nothing, so that the files are in memory.
        for command in &mut commands {
            run(command, false)?;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(run(&mut commands[0], false)?);
            theirs.push(run(&mut commands[1], is_loop)?);
        }
        let made = self.made(row.file)?;
        let share = match row.peer {
            Peer::Python(_) | Peer::Loop(_) | Peer::Scan(_) | Peer::ScanAlone => 1.0,
            Peer::Floats(floats, Per::Byte) => made.bytes as f64 / self.made(floats)?.bytes as f64,
            Peer::Floats(floats, Per::Element) => {
                made.parameters as f64 / self.made(floats)?.parameters as f64
            }
        };
        let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.seconds / (theirs.seconds * share));
        Ok(Outcome {
            row,
            ratio: median(ratios),
            own_seconds: is_loop.then(|| median(theirs.iter().filter_map(|run| run.own_seconds))),
            ours: Median::of(&ours),
            theirs: Median::of(&theirs),
            made,
        })
    }
}

/// The last line is that of measure.c; the one before, if it is wanted, that of scan.c.
fn run(command: &mut Command, has_own_time: bool) -> Result<Run> {
    let text = output(command)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().rev().filter(|line| !line.is_empty());
    let mut line = || lines.next().ok_or_else(|| format!("`{}` printed too little", shown(command)));
    let wrong = |error: serde_json::Error| format!("what benches/peers printed is not as expected: {error}");
    let mut run: Run = serde_json::from_str(line()?).map_err(wrong)?;
    let printed = line()?;
    if has_own_time {
        run.own_seconds = Some(serde_json::from_str::<OwnTime>(printed).map_err(wrong)?.seconds);
    }
    Ok(run)
}

impl Median {
    fn of(runs: &[Run]) -> Self {
        Median {
            seconds: median(runs.iter().map(|run| run.seconds)),
            peak_bytes: runs.iter().map(|run| run.peak_bytes).max().unwrap_or_default(),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Outcome {
    pub(super) fn holds(&self) -> bool {
        match self.row.bound {
            Bound::Faster(times) => 1.0 / self.ratio >= times,
            Bound::Within(times) => self.ratio <= times,
        }
    }

    pub(super) fn fits_memory(&self) -> bool {
        self.row.memory.is_none_or(|most| self.ours.peak_bytes <= most)
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let Row { file, peer, .. } = self.row;
        let mut problems = Vec::new();
        if !self.holds() {
            let (ratio, bound) = (self.shown_ratio(), self.row.bound.shown());
            problems.push(format!("{file} against {}: {ratio}, and the bound is {bound}", peer.name()));
        }
        if let Some(most) = self.row.memory.filter(|_| !self.fits_memory()) {
            problems.push(format!(
                "{file} takes {} of memory, more than {}",
                megabytes(self.ours.peak_bytes),
                megabytes(most)
            ));
        }
        problems
    }

    pub(super) fn shown_ratio(&self) -> String {
        match self.row.bound {
            Bound::Faster(_) => format!("{:.1} times faster", 1.0 / self.ratio),
            Bound::Within(_) => format!("{:.2} times", self.ratio),
        }
    }

    /// For the terminal, as soon as it is known.
    pub(super) fn line(&self) -> String {
        let Row { file, peer, bound, .. } = self.row;
        format!(
            "{:<7}{file:<20}{:>9}{:>8}  {:<20}{:>9}{:>8}  {:<18}bound {}",
            if self.holds() && self.fits_memory() { "ok" } else { "MISSED" },
            milliseconds(self.ours.seconds),
            megabytes(self.ours.peak_bytes),
            peer.name(),
            milliseconds(self.theirs.seconds),
            megabytes(self.theirs.peak_bytes),
            self.shown_ratio(),
            bound.shown(),
        )
    }
}

impl Bound {
    pub(super) fn shown(self) -> String {
        match self {
            Bound::Faster(times) => format!("at least {times} times faster"),
            Bound::Within(times) => format!("at most {times} times"),
        }
    }
}

pub(super) fn milliseconds(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1e3)
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{} MB", (bytes as f64 / 1e6).round())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::rows::ROWS;

    fn outcome(row: &'static Row, ratio: f64, peak_bytes: u64) -> Outcome {
        let median = |seconds| Median { seconds, peak_bytes };
        let made = Made { bytes: 1, tensors: 1, parameters: 1 };
        Outcome { row, ours: median(0.1), theirs: median(1.3), own_seconds: None, ratio, made }
    }

    #[test]
    fn bounds_hold_on_their_side() {
        let row = |wanted: fn(&Bound) -> bool| ROWS.iter().find(|row| wanted(&row.bound)).expect("is there");
        let faster = row(|bound| matches!(bound, Bound::Faster(12.0)));
        assert!(outcome(faster, 1.0 / 12.5, 0).problems().is_empty());
        let [problem] = &outcome(faster, 1.0 / 11.5, 0).problems()[..] else { panic!("one") };
        assert_eq!(
            problem,
            "f32.onnx against onnx + numpy: 11.5 times faster, and the bound is at least 12 times faster"
        );
        let within = row(|bound| matches!(bound, Bound::Within(1.5)));
        assert!(outcome(within, 1.49, 64_000_000).problems().is_empty());
        let problems = outcome(within, 1.51, 65_000_000).problems();
        assert!(problems[0].ends_with("1.51 times, and the bound is at most 1.5 times"), "{problems:?}");
        assert_eq!(problems[1], "f32.onnx takes 65 MB of memory, more than 64 MB");
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert!(median(std::iter::empty()).is_nan());
    }
}
