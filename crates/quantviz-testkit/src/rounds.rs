//! What something costs, on a machine that is never quiet.

use std::fmt;
use std::time::Instant;

/// Times steps with something and without, in rounds of four turns of which the first and the last are with it: so what
/// becomes slower in the course of time is in both, and no round is compared with another.
///
/// ```
/// use quantviz_testkit::Rounds;
///
/// let mut rounds = Rounds::of(2);
/// let with: Vec<bool> = (0..8).map(|step| rounds.is_with(step)).collect();
/// assert_eq!(with, [true, true, false, false, false, false, true, true]);
/// (0..24).for_each(|step| rounds.ended(step));
/// // The first round is that in which memory is found.
/// assert_eq!(rounds.cost().rounds, 2);
/// ```
#[derive(Debug)]
pub struct Rounds {
    /// Steps of one turn.
    turn: u64,
    last: Option<Instant>,
    /// Seconds without and with it, in the round that goes on.
    round: [f64; 2],
    /// What each round took more with it than without, in percent.
    more: Vec<f64>,
}

/// The median of rounds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// What is taken more, in percent.
    pub percent: f64,
    /// The standard error of that, from the quarters, which a few disturbed rounds do not move.
    pub error: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

impl Rounds {
    /// Turns of so many steps.
    pub fn of(turn: u64) -> Self {
        Rounds { turn: turn.max(1), last: None, round: [0.0; 2], more: Vec::new() }
    }

    /// Whether this step is one with it.
    pub fn is_with(&self, step: u64) -> bool {
        matches!(step / self.turn % 4, 0 | 3)
    }

    /// A step is over, and what belongs to it.
    pub fn ended(&mut self, step: u64) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.round[usize::from(self.is_with(step))] += now.duration_since(last).as_secs_f64();
        }
        let round = 4 * self.turn;
        if (step + 1).is_multiple_of(round) {
            let [without, with] = std::mem::take(&mut self.round);
            if step >= round {
                self.more.push((with / without - 1.0) * 100.0);
            }
        }
    }

    /// What was done since the last step is no part of the next.
    pub fn paused(&mut self) {
        self.last = Some(Instant::now());
    }

    /// What it costs, as far as is known.
    pub fn cost(&self) -> Cost {
        let mut more = self.more.clone();
        more.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = more.len().saturating_sub(1) as f64;
            more.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
        };
        let error = 1.253 * (at(0.75) - at(0.25)) / 1.349 / (more.len() as f64).sqrt();
        Cost { percent: at(0.5), error, rounds: more.len() }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { percent, error, rounds } = self;
        write!(f, "{percent:.2} % of wall time (standard error {error:.2}), the median of {rounds} rounds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_disturbed_rounds_do_not_move_it() {
        let mut rounds = Rounds::of(1);
        rounds.more = vec![1.0, 1.2, 0.8, 300.0, 1.1, 0.9, 1.0];
        let cost = rounds.cost();
        assert_eq!((cost.percent, cost.rounds), (1.0, 7));
        assert!(cost.error < 0.2, "{cost}");
    }
}
