//! Whether the view of a recorded run stands still: how often each embedding's frame turned, whether it was the same to the
//! bit in between, and what share of the best three directions it showed.
//!
//! `cargo run --release -p quantviz-examples --example train_char_gpt -- --store target/frames --session run`, then
//! `cargo run --release -p quantviz-benches --bin frames -- target/frames run`
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use quantviz::store::SessionStore;
use quantviz::{Plan, Run, Snapshot};

/// What is asked of a run of 2,000 steps.
const MOST_TURNS: u32 = 8;
const LEAST_KEPT: f32 = 0.9;
/// The first snapshots are those of a network that is still noise.
const SETTLES: usize = 2;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let [store, session] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "frames takes a store and a session, as in `frames target/frames run`")?;
    let store = SessionStore::at(&store)?;
    let run = Run::open(&store, &session.parse()?)?;
    let steps: Vec<u64> = run.snapshots().iter().map(|it| it.step).collect();
    let mut views: BTreeMap<String, View> = BTreeMap::new();
    for step in steps {
        let Some((_, of_ranks)) = run.nearest(step)? else { continue };
        for (snapshot, plan) in of_ranks {
            for (at, planned) in plan.header().embeddings.iter().enumerate() {
                let name = &plan.header().parameters[planned.parameter as usize].name;
                views.entry(name.clone()).or_default().see(&snapshot, &plan, at);
            }
        }
    }
    let mut holds = !views.is_empty();
    println!(
        "{:<12}{:>10}{:>7}{:>8}{:>10}{:>12}",
        "embedding", "snapshots", "turns", "scaled", "moved", "least kept"
    );
    for (name, view) in &views {
        let View { seen, turns, scaled, moved, least, .. } = view;
        println!("{name:<12}{seen:>10}{turns:>7}{scaled:>8}{moved:>10}{least:>12.3}");
        holds &= *turns <= MOST_TURNS && *moved == 0 && *least >= LEAST_KEPT;
    }
    println!(
        "asked: at most {MOST_TURNS} turns, none moved in between, {LEAST_KEPT} kept from snapshot {} on",
        SETTLES + 1
    );
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The view of one embedding, from snapshot to snapshot.
struct View {
    frame: Vec<f32>,
    scale: f32,
    seen: usize,
    turns: u32,
    /// Times that the frame became wider without a turn.
    scaled: u32,
    /// Times that the frame was another without a turn.
    moved: u32,
    least: f32,
}

impl Default for View {
    fn default() -> Self {
        View { frame: Vec::new(), scale: 0.0, seen: 0, turns: 0, scaled: 0, moved: 0, least: f32::INFINITY }
    }
}

impl View {
    fn see(&mut self, snapshot: &Snapshot, plan: &Plan, at: usize) {
        let planned = &plan.header().embeddings[at];
        let of = |name: &str| plan.arrays().numbers(&format!("e.{at}.{name}")).unwrap_or_default();
        let frame = [of("basis"), of("center")].concat();
        let bits = |frame: &[f32]| frame.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        if self.seen > 0 && planned.turns == self.turns {
            self.moved += u32::from(bits(&frame) != bits(&self.frame));
            self.scaled += u32::from(planned.scale.to_bits() != self.scale.to_bits());
        }
        if let Some(state) = snapshot.header().embeddings.get(at).filter(|_| self.seen >= SETTLES) {
            self.least = self.least.min(state.shares.iter().sum::<f32>() / state.best);
        }
        (self.frame, self.scale, self.turns) = (frame, planned.scale, planned.turns);
        self.seen += 1;
    }
}
