//! How much a session takes, and may take.

use quantviz_core::{Budget, Record};

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    pub(super) snapshots: u64,
    pub(super) heavy: u64,
    pub(super) light: u64,
}

impl Size {
    pub(super) fn of(record: &Record) -> Self {
        let snapshots = u64::from(record.is_whole_snapshot());
        Size { snapshots, heavy: record.heavy_bytes(), light: record.light_bytes() }
    }

    pub(super) fn plus(self, other: Size) -> Self {
        self.with(other, u64::saturating_add)
    }

    pub(super) fn minus(self, other: Size) -> Self {
        self.with(other, u64::saturating_sub)
    }

    fn with(self, other: Size, both: fn(u64, u64) -> u64) -> Self {
        Size {
            snapshots: both(self.snapshots, other.snapshots),
            heavy: both(self.heavy, other.heavy),
            light: both(self.light, other.light),
        }
    }

    /// The most that a budget allows.
    pub(super) fn most(budget: &Budget) -> Self {
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        Size { snapshots: most(budget.snapshots), heavy: most(budget.bytes), light: most(budget.light_bytes) }
    }

    pub(super) fn exceeds(self, other: Size) -> bool {
        self.snapshots > other.snapshots || self.heavy > other.heavy || self.light > other.light
    }

    /// What is beyond that next, if nothing more could go: an eighth more.
    pub(super) fn or_an_eighth_more(self, left: Size) -> Self {
        self.with(left, |most, left| {
            if left > most - most / 8 { most.max(left.saturating_add(left / 8 + 1)) } else { most }
        })
    }
}

/// An eighth less, so that it is some time until the next time.
pub(super) fn less(budget: &Budget) -> Budget {
    let less = |limit: Option<u64>| limit.map(|limit| limit - limit / 8);
    let mut smaller = *budget;
    (smaller.snapshots, smaller.bytes, smaller.light_bytes) =
        (less(budget.snapshots), less(budget.bytes), less(budget.light_bytes));
    smaller
}

pub(super) fn heavy_only(mut budget: Budget) -> Budget {
    budget.light_bytes = None;
    budget
}
