//! When a capture is due, and how long it may take.

use std::time::Duration;

/// How often parameters are captured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Every {
    Steps(u64),
    Seconds(f64),
    /// As there are checkpoints: nothing decides that here.
    Checkpoints,
}

impl Every {
    pub(crate) fn words(self) -> String {
        match self {
            Every::Steps(1) => "every step".to_owned(),
            Every::Steps(steps) => format!("every {steps} steps"),
            Every::Seconds(seconds) => format!("every {seconds} s"),
            Every::Checkpoints => "every checkpoint".to_owned(),
        }
    }
}

/// A capture takes at most this, however long steps are.
const LONGEST: Duration = Duration::from_millis(100);
/// A capture that may take less is not worth it: there are fewer then.
const SHORTEST: Duration = Duration::from_micros(500);
/// Captures that take so much more than their budget are not taken as often.
const OVER: f64 = 2.0;
/// The first capture, before anything is known of the time that steps take.
const FIRST: Duration = Duration::from_millis(5);
/// Steps whose times are remembered.
const REMEMBERED: usize = 32;

/// The times of steps, and of captures.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Every,
    share: f64,
    step_times: Vec<Duration>,
    next: usize,
    /// Of the times of steps. It is asked for several times at each.
    median_step: Duration,
    last_capture: Option<(u64, Duration)>,
    spent: Duration,
}

impl Pace {
    pub(crate) fn new(every: Every, share: f64) -> Self {
        Pace {
            every,
            share,
            step_times: Vec::new(),
            next: 0,
            median_step: Duration::ZERO,
            last_capture: None,
            spent: Duration::ZERO,
        }
    }

    /// A step took so long, without what recording cost.
    pub(crate) fn step_took(&mut self, time: Duration) {
        if self.step_times.len() < REMEMBERED {
            self.step_times.push(time);
        } else {
            self.step_times[self.next % REMEMBERED] = time;
        }
        self.next = self.next.wrapping_add(1);
        let mut times = self.step_times.clone();
        let half = times.len() / 2;
        self.median_step = *times.select_nth_unstable(half).1;
    }

    /// How many steps lie between two captures.
    fn interval(&self, step_time: Duration) -> u64 {
        let step = step_time.as_secs_f64().max(1e-9);
        let asked = match self.every {
            Every::Steps(steps) => steps as f64,
            Every::Seconds(seconds) => (seconds / step).ceil(),
            Every::Checkpoints => 1.0,
        };
        let worth_it = SHORTEST.as_secs_f64() / (self.share * step);
        // What a capture takes at least may be more than its share: then there are fewer.
        let last = self.last_capture.map_or(0.0, |(_, took)| took.as_secs_f64());
        let affordable = if last > LONGEST.as_secs_f64().min(self.share * step * asked) * OVER {
            last / (self.share * step)
        } else {
            0.0
        };
        asked.max(worth_it.ceil()).max(affordable.ceil()).max(1.0) as u64
    }

    /// What a capture may take at this step, where one is due.
    pub(crate) fn due(&self, step: u64) -> Option<Duration> {
        let Some((last, _)) = self.last_capture else { return Some(FIRST) };
        let step_time = self.median_step;
        let interval = self.interval(step_time);
        // A run that was resumed goes back; its first step is worth having.
        let is_due = step < last || step - last >= interval;
        is_due.then(|| step_time.mul_f64(self.share * interval as f64).clamp(SHORTEST, LONGEST))
    }

    /// Whether the next step is likely to be captured: then what one step changes can be told.
    pub(crate) fn is_before_due(&self, step: u64) -> bool {
        self.due(step).is_none() && self.due(step.saturating_add(1)).is_some()
    }

    pub(crate) fn captured(&mut self, step: u64, took: Duration) {
        self.last_capture = Some((step, took));
        self.spent += took;
    }

    /// Time spent on something else than a capture.
    pub(crate) fn also_spent(&mut self, took: Duration) {
        self.spent += took;
    }

    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(every: Every, step_ms: u64) -> Pace {
        let mut pace = Pace::new(every, 0.01);
        (0..40).for_each(|_| pace.step_took(Duration::from_millis(step_ms)));
        pace.captured(100, Duration::ZERO);
        pace
    }

    #[test]
    fn a_capture_may_take_its_share_of_the_steps_between() {
        let pace = pace(Every::Steps(10), 100);
        assert_eq!((pace.due(105), pace.due(110)), (None, Some(Duration::from_millis(10))));
        assert!(pace.is_before_due(109) && !pace.is_before_due(108) && !pace.is_before_due(110));
        assert_eq!(pace.due(3), Some(Duration::from_millis(10)), "a run that was resumed");
    }

    #[test]
    fn long_steps_do_not_make_long_captures() {
        assert_eq!(pace(Every::Steps(10), 60_000).due(110), Some(LONGEST));
    }

    #[test]
    fn short_steps_make_captures_rarer() {
        // 1 % of 1 ms is 10 µs: a capture is worth it every 50 steps.
        let pace = pace(Every::Steps(10), 1);
        assert_eq!((pace.due(149), pace.due(150)), (None, Some(SHORTEST)));
    }

    #[test]
    fn seconds_are_steps_of_the_usual_time() {
        let pace = pace(Every::Seconds(2.0), 100);
        assert_eq!((pace.due(119), pace.due(120)), (None, Some(Duration::from_millis(20))));
    }
}
