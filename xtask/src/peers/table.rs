//! The tables of README.md and docs/speed.md.

use super::measure::{Outcome, ROUNDS, megabytes, milliseconds};
use super::rows::{Peer, Row};
use crate::page::Stamp;

/// For newcomers: what matters to them, and where the rest is.
pub(super) fn short(outcomes: &[Outcome], stamp: &Stamp) -> String {
    let mut text = String::from("| file | quantviz | memory | beside it | its time | its memory | |\n");
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for outcome in outcomes.iter().filter(|outcome| outcome.row.in_short) {
        let Outcome { row: Row { title, peer, .. }, ours, theirs, .. } = outcome;
        text += &format!(
            "| {title} | {} | {} | {} | {} | {} | {} |\n",
            milliseconds(ours.seconds),
            megabytes(ours.peak_bytes),
            peer.name(),
            milliseconds(theirs.seconds),
            megabytes(theirs.peak_bytes),
            outcome.shown_ratio(),
        );
    }
    text += &format!("\n{}\n", stamp.line());
    text
}

/// All rows, with their bounds.
pub(super) fn full(outcomes: &[Outcome], stamp: &Stamp) -> String {
    let mut text = format!("{} Medians of {ROUNDS} rounds.\n\n", stamp.line());
    text +=
        "| file | tensors | MB | quantviz | memory | beside it | its time | its memory | ratio | bound |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for outcome in outcomes {
        let Outcome { row: Row { title, peer, bound, .. }, ours, theirs, made, .. } = outcome;
        text += &format!(
            "| {title} | {} | {:.0} | {} | {} | {} | {} | {} | {} | {}{} |\n",
            made.tensors,
            made.bytes as f64 / 1e6,
            milliseconds(ours.seconds),
            megabytes(ours.peak_bytes),
            named(*peer),
            their_time(outcome),
            megabytes(theirs.peak_bytes),
            outcome.shown_ratio(),
            bound.shown(),
            if outcome.holds() { "" } else { ": **missed**" },
        );
    }
    text
}

fn named(peer: Peer) -> String {
    match peer {
        Peer::Python(script) => format!("[{}](../benches/peers/{script})", peer.name()),
        Peer::Loop(_) => format!("[{}](../benches/peers/scan.c)", peer.name()),
        Peer::Floats(file, _) => format!("quantviz on {file} ({})", peer.name()),
        Peer::Scan(file) => format!("quantviz inspect on it and {file}"),
        Peer::ScanAlone => "quantviz inspect on it".to_owned(),
    }
}

/// The time of the process, and what it says of itself.
fn their_time(outcome: &Outcome) -> String {
    let own = outcome.own_seconds.map(|own| format!(" (its own: {})", milliseconds(own)));
    format!("{}{}", milliseconds(outcome.theirs.seconds), own.unwrap_or_default())
}
