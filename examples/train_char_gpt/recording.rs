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
    /// Seconds of turns with recording and without, in the round that goes on.
    round: [f64; 2],
    /// What a round took more with recording than without, in percent.
    more: Vec<f64>,
}

/// Steps that are recorded or not; and four such turns, of which the first and the last are: so what becomes slower in the
/// course of time is in both.
const TURN: u64 = 10;
const ROUND: u64 = 4 * TURN;

impl Cost {
    pub(crate) fn is_recorded(&self, step: u64) -> bool {
        matches!(step / TURN % 4, 0 | 3)
    }

    pub(crate) fn step_ended(&mut self, step: u64) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.round[usize::from(self.is_recorded(step))] += now.duration_since(last).as_secs_f64();
        }
        if (step + 1).is_multiple_of(ROUND) {
            let [without, with] = std::mem::take(&mut self.round);
            // The first round is that in which memory is found.
            if step >= ROUND {
                self.more.push((with / without - 1.0) * 100.0);
            }
        }
    }

    /// What was done since is no step.
    pub(crate) fn paused(&mut self) {
        self.last = Some(Instant::now());
    }

    pub(crate) fn print(&mut self) {
        self.more.sort_by(f64::total_cmp);
        let (rounds, at) = (self.more.len(), |share: f64| {
            let last = self.more.len().saturating_sub(1) as f64;
            self.more.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
        });
        // Of a median, from the quarters, which a few disturbed rounds do not move.
        let error = 1.253 * (at(0.75) - at(0.25)) / 1.349 / (rounds as f64).sqrt();
        println!(
            "recording costs {:.2} % of wall time (standard error {error:.2}), the median of {rounds} rounds of {ROUND} steps",
            at(0.5)
        );
    }
}
