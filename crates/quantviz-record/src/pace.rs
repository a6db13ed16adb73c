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
/// What of a capture's share of time is left to the training thread, whatever others take.
const HERE_AT_LEAST: f64 = 0.5;
/// What the last capture counts of what captures take elsewhere.
const LATELY: f64 = 0.2;
/// Captures that take so much more than their budget are not taken as often, so that they stay within their share.
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
    last_capture: Option<u64>,
    /// What the last capture took, where it could not keep within its budget.
    at_least: Duration,
    spent: Duration,
    elsewhere: Elsewhere,
}

/// What other threads of the recorder have been busy for: it counts as much, since training waits for its slowest thread.
#[derive(Debug, Default)]
struct Elsewhere {
    now: Duration,
    at_last_capture: Duration,
    /// For one capture, as it was lately.
    of_one: f64,
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
            at_least: Duration::ZERO,
            spent: Duration::ZERO,
            elsewhere: Elsewhere::default(),
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
        let affordable = (self.at_least.as_secs_f64() + self.elsewhere.of_one) / (self.share * step);
        asked.max(worth_it.ceil()).max(affordable.ceil()).max(1.0) as u64
    }

    /// What a capture may take at this step, where one is due.
    pub(crate) fn due(&self, step: u64) -> Option<Duration> {
        let Some(last) = self.last_capture else { return Some(FIRST) };
        let step_time = self.median_step;
        let interval = self.interval(step_time);
        // A run that was resumed goes back; its first step is worth having.
        let is_due = step < last || step - last >= interval;
        let all = self.share * interval as f64 * step_time.as_secs_f64();
        let here = (all - self.elsewhere.of_one).max(all * HERE_AT_LEAST);
        is_due.then(|| Duration::from_secs_f64(here).clamp(SHORTEST, LONGEST))
    }

    /// Whether the next step is likely to be captured: then what one step changes can be told.
    pub(crate) fn is_before_due(&self, step: u64) -> bool {
        self.due(step).is_none() && self.due(step.saturating_add(1)).is_some()
    }

    /// A capture took so long that had been allowed so much.
    pub(crate) fn captured(&mut self, step: u64, took: Duration, allowed: Duration) {
        let is_first = self.last_capture.replace(step).is_none();
        // The first sets up, once.
        self.at_least = if took > allowed.mul_f64(OVER) && !is_first { took } else { Duration::ZERO };
        self.spent += took;
        let here = (self.elsewhere.now.saturating_sub(self.elsewhere.at_last_capture)).as_secs_f64();
        self.elsewhere.at_last_capture = self.elsewhere.now;
        self.elsewhere.of_one += (here - self.elsewhere.of_one) * LATELY;
    }

    /// So long have other threads been busy, in all.
    pub(crate) fn spent_elsewhere(&mut self, all: Duration) {
        self.elsewhere.now = all;
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
        pace.captured(100, Duration::ZERO, Duration::ZERO);
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
    fn what_other_threads_take_is_not_taken_again() {
        let allowed = Duration::from_millis(8);
        let mut pace = pace(Every::Steps(10), 100);
        for step in 11..60 {
            pace.spent_elsewhere(Duration::from_millis(2 * step));
            pace.captured(step * 10, Duration::from_millis(7), allowed);
        }
        let budget = pace.due(600).map(|it| it.as_secs_f64() * 1e3);
        assert!(budget.is_some_and(|it| (it - 8.0).abs() < 0.1), "{budget:?}");
        // However busy they are, something is looked at; and there are fewer captures.
        for step in 60..120 {
            pace.spent_elsewhere(Duration::from_millis(30 * step));
            pace.captured(step * 10, Duration::from_millis(7), allowed);
        }
        assert_eq!((pace.due(1190 + 29), pace.due(1190 + 32).is_some()), (None, true));
    }

    /// Once there are fewer captures, each may take longer; that is no reason to have fewer for ever.
    #[test]
    fn captures_are_as_frequent_again_as_was_asked_for() {
        let mut pace = pace(Every::Steps(10), 100);
        pace.captured(110, Duration::from_millis(60), Duration::from_millis(10));
        assert_eq!((pace.due(169), pace.due(170)), (None, Some(Duration::from_millis(60))));
        pace.captured(170, Duration::from_millis(58), Duration::from_millis(60));
        assert_eq!(pace.due(180), Some(Duration::from_millis(10)));
    }

    #[test]
    fn seconds_are_steps_of_the_usual_time() {
        let pace = pace(Every::Seconds(2.0), 100);
        assert_eq!((pace.due(119), pace.due(120)), (None, Some(Duration::from_millis(20))));
    }
}
