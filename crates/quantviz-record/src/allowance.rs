//! How long what can wait may go on.

use std::time::{Duration, Instant};

/// Time for what takes long and is not needed at once: a share of all time.
#[derive(Debug)]
pub(crate) struct Allowance {
    share: f64,
    begun: Instant,
    spent: Duration,
}

impl Allowance {
    /// This share of the time from now on.
    pub(crate) fn of(share: f64) -> Self {
        Allowance { share, begun: Instant::now(), spent: Duration::ZERO }
    }

    /// As long as it takes.
    pub(crate) fn unbounded() -> Self {
        Allowance::of(f64::INFINITY)
    }

    /// Does something, if there is time left for it.
    pub(crate) fn within<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let is_left = self.spent.as_secs_f64() <= self.share * self.begun.elapsed().as_secs_f64();
        is_left.then(|| {
            let begun = Instant::now();
            let done = work();
            self.spent += begun.elapsed();
            done
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_taken_more_than_its_share_waits() {
        let mut allowed = Allowance::of(0.1);
        let slow = || std::thread::sleep(Duration::from_millis(20));
        assert!(allowed.within(slow).is_some() && allowed.within(slow).is_none());
        std::thread::sleep(Duration::from_millis(250));
        assert!(allowed.within(|| ()).is_some());
        let mut unbounded = Allowance::unbounded();
        assert!((0..3).all(|_| unbounded.within(slow).is_some()));
    }
}
