//! The run is recorded: all that training has to do with quantviz.

use std::error::Error;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use quantviz::record::Recorder;
use quantviz::store::SessionStore;

use crate::Options;

/// Begins to record, if that is asked for.
pub(crate) fn begin(options: &Options, characters: &[char]) -> Result<Option<Recorder>, Box<dyn Error>> {
    if options.every == 0 {
        return Ok(None);
    }
    let session = options.session.clone().unwrap_or_else(|| format!("char-gpt-{}", seconds_now()));
    let recorder = Recorder::builder(&session)
        .name("a small GPT learns English")
        .tag("seed", options.seed.to_string())
        .every_steps(options.every)
        .share(options.share)
        .tokens(characters.iter().map(char::to_string))
        .to(SessionStore::create(&options.store)?)
        .start()?;
    println!("recorded as {session} in {}", options.store);
    Ok(Some(recorder))
}

/// The run is over.
pub(crate) fn end(recorder: Recorder, options: &Options) {
    let state = recorder.finish();
    println!(
        "{} snapshots, {:.1} MB, in {}; recording took {:.2} % of the time of training, {:.1} ms at most",
        state.snapshots,
        state.bytes as f64 / 1e6,
        options.store,
        state.share * 100.0,
        state.longest.as_secs_f64() * 1e3,
    );
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What recording costs: the times of steps with it and without, in turns.
#[derive(Default)]
pub(crate) struct Cost {
    last: Option<Instant>,
    with: Vec<f64>,
    without: Vec<f64>,
    block: f64,
    steps: u64,
}

/// Steps that are recorded, and then so many that are not.
const TURN: u64 = 25;

impl Cost {
    pub(crate) fn is_recorded(&self, step: u64) -> bool {
        (step / TURN).is_multiple_of(2)
    }

    pub(crate) fn step_ended(&mut self, step: u64) {
        let now = Instant::now();
        if let Some(last) = self.last {
            self.block += now.duration_since(last).as_secs_f64();
            self.steps += 1;
        }
        self.last = Some(now);
        if (step + 1).is_multiple_of(TURN) {
            let of_step = self.block / self.steps.max(1) as f64;
            // The first turns are those in which caches fill.
            if step >= 2 * TURN {
                if self.is_recorded(step) { self.with.push(of_step) } else { self.without.push(of_step) }
            }
            (self.block, self.steps) = (0.0, 0);
        }
    }

    /// What was done since is no step.
    pub(crate) fn paused(&mut self) {
        self.last = Some(Instant::now());
    }

    pub(crate) fn print(&mut self) {
        let count = self.with.len().min(self.without.len());
        let mut ratios: Vec<f64> = self
            .with
            .iter()
            .zip(&self.without)
            .map(|(with, without)| (with / without - 1.0) * 100.0)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let sum = |times: &[f64]| times[..count].iter().sum::<f64>();
        println!(
            "recording costs {:.2} % of wall time in all, {:.2} % in the median of {count} turns of {TURN} steps",
            (sum(&self.with) / sum(&self.without) - 1.0) * 100.0,
            ratios.get(count / 2).copied().unwrap_or(f64::NAN),
        );
    }
}
