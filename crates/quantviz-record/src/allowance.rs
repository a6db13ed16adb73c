//! How long what can wait may go on.

use std::time::{Duration, Instant};

/// Time for what takes long and is not needed at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance(Option<Instant>);

impl Allowance {
    /// As long as it takes.
    pub(crate) const UNBOUNDED: Self = Allowance(None);

    /// So long from now on.
    pub(crate) fn of(time: Duration) -> Self {
        Allowance(Some(Instant::now() + time))
    }

    /// Whether there is time for one thing more.
    pub(crate) fn is_left(self) -> bool {
        self.0.is_none_or(|end| Instant::now() < end)
    }
}
