//! A session, piece by piece: as much at once as memory has room for, however long it is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::sync::Arc;

use quantviz_core::{Error, Plan, Progress, RankSnapshot, Record, RecordKind, Run, Series};

use super::{Hear, Result};

/// So many bytes are read at once, which are 4 million numbers.
pub(super) const AT_ONCE: u64 = 16 << 20;

/// Some steps of a session. Scalars of a step are in the first piece that has something of it.
pub(super) struct Piece {
    /// Steps that no other piece has scalars of; none, where a step is in several pieces.
    pub(super) steps: Option<RangeInclusive<u64>>,
    pub(super) scalars: BTreeMap<String, Series>,
    pub(super) snapshots: Vec<RankSnapshot>,
}

/// Which parts of a session are gone through.
pub(super) struct Pieces<'a> {
    pub(super) run: &'a Run<'a>,
    snapshots: Vec<Record>,
    parts: Vec<Part>,
    /// The first and the last step of which there is something.
    ends: Option<(u64, u64)>,
    whole: bool,
    done: Cell<u64>,
    total: Cell<u64>,
}

struct Part {
    /// Steps whose scalars it has; none, where a step has so many snapshots that they are in several parts.
    steps: Option<RangeInclusive<u64>>,
    snapshots: Range<usize>,
    bytes: u64,
}

/// A plan that snapshots are over.
pub(super) struct PlanOf {
    pub(super) rank: u32,
    /// The first step of those snapshots.
    pub(super) step: u64,
    pub(super) plan: Arc<Plan>,
}

/// What is read of every step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Scalars,
    Statistics,
    All,
}

struct Event {
    step: u64,
    is_snapshot: bool,
    bytes: u64,
}

impl<'a> Pieces<'a> {
    /// `whole` says whether more than statistics will be read.
    pub(super) fn of(run: &'a Run<'a>, steps: RangeInclusive<u64>, whole: bool) -> Self {
        let mut snapshots: Vec<Record> = run.snapshots().into_iter().copied().collect();
        snapshots.retain(|it| steps.contains(&it.step));
        let bytes = |it: &Record| if whole && !it.is_thinned { it.bytes } else { it.summary_bytes };
        let mut events: Vec<Event> =
            snapshots.iter().map(|it| Event { step: it.step, is_snapshot: true, bytes: bytes(it) }).collect();
        let batches = run.timeline().alive().filter(|it| it.kind == RecordKind::Scalars);
        let batches = batches.filter(|it| it.first_step <= *steps.end() && it.step >= *steps.start());
        let mut first = snapshots.first().map(|it| it.step);
        for batch in batches {
            let begin = batch.first_step.max(*steps.start());
            first = Some(first.map_or(begin, |first| first.min(begin)));
            let step = batch.step.min(*steps.end());
            events.push(Event { step, is_snapshot: false, bytes: batch.bytes });
        }
        events.sort_by_key(|it| (it.step, it.is_snapshot));
        let ends = first.zip(events.last().map(|it| it.step));
        let parts = parts(&events, *steps.start());
        Pieces { run, snapshots, parts, ends, whole, done: Cell::new(0), total: Cell::new(0) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// The first and the last step of which there is something.
    pub(super) fn ends(&self) -> Option<(u64, u64)> {
        self.ends
    }

    /// The snapshots, by step and rank.
    pub(super) fn snapshots(&self) -> &[Record] {
        &self.snapshots
    }

    /// The plans of all snapshots, each once for every rank, in the order of their first step.
    pub(super) fn plans(&self) -> Vec<PlanOf> {
        let mut plans: Vec<PlanOf> = Vec::new();
        let mut last: BTreeMap<u32, Vec<Arc<Plan>>> = BTreeMap::new();
        for record in &self.snapshots {
            let Some(plan) = self.run.plan_of(record.id) else { continue };
            let of_rank = last.entry(record.id.rank).or_default();
            if of_rank.iter().rev().any(|it| Arc::ptr_eq(it, plan)) {
                continue;
            }
            of_rank.push(plan.clone());
            plans.push(PlanOf { rank: record.id.rank, step: record.step, plan: plan.clone() });
        }
        plans
    }

    /// Says which looks there will be, so that it can be told how far they are.
    pub(super) fn expect(&self, looks: u64) {
        self.total.set(looks * self.parts.iter().map(|part| part.bytes).sum::<u64>());
    }

    /// Looks at one piece after the other.
    pub(super) fn each(
        &self,
        what: What,
        hear: Hear<'_>,
        see: &mut dyn FnMut(Piece) -> Result<()>,
    ) -> Result<()> {
        for part in &self.parts {
            let scalars = match &part.steps {
                Some(steps) => self.run.scalars_in(steps.clone())?,
                None => BTreeMap::new(),
            };
            let records = &self.snapshots[part.snapshots.clone()];
            let snapshots = match what {
                What::Scalars => Vec::new(),
                What::Statistics => self.run.snapshots_of(records, false)?,
                What::All => self.run.snapshots_of(records, self.whole)?,
            };
            see(Piece { steps: part.steps.clone(), scalars, snapshots })?;
            self.done.set(self.done.get() + part.bytes);
            if let ControlFlow::Break(()) = hear(Progress::of(self.done.get(), self.total.get())) {
                return Err(Error::cancelled().into());
            }
        }
        Ok(())
    }
}

fn parts(events: &[Event], begin: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    // The first step whose scalars no part has yet; none behind the last step there can be.
    let mut begin = Some(begin);
    let (mut snapshots, mut bytes) = (0..0, 0u64);
    for (at, event) in events.iter().enumerate() {
        bytes = bytes.saturating_add(event.bytes);
        snapshots.end += usize::from(event.is_snapshot);
        let is_full = match events.get(at + 1) {
            // Scalars of one step are read together.
            Some(next) if next.step == event.step && !next.is_snapshot => false,
            Some(next) => bytes.saturating_add(next.bytes) > AT_ONCE,
            None => true,
        };
        if is_full {
            let steps = begin.filter(|&begin| begin <= event.step).map(|begin| begin..=event.step);
            begin = if steps.is_some() { event.step.checked_add(1) } else { begin };
            parts.push(Part { steps, snapshots: snapshots.clone(), bytes: std::mem::take(&mut bytes) });
            snapshots.start = snapshots.end;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(step: u64, is_snapshot: bool, bytes: u64) -> Event {
        Event { step, is_snapshot, bytes }
    }

    /// No part is larger than it may be but for a single snapshot, and each snapshot and each step is in one of them.
    #[test]
    fn parts_are_bounded_and_whole() {
        let half = AT_ONCE / 2;
        let mut events = vec![event(0, false, 100)];
        events.extend((0..9).map(|it| event(it / 3, true, half - 50)));
        events.push(event(5, false, half));
        events.push(event(7, true, 3 * AT_ONCE));
        events.push(event(u64::MAX, true, 1));
        let parts = parts(&events, 0);
        let (mut next, mut step) = (0, 0u64);
        for part in &parts {
            assert_eq!(part.snapshots.start, next);
            next = part.snapshots.end;
            assert!(part.bytes <= AT_ONCE || part.snapshots.len() == 1, "{}", part.bytes);
            if let Some(steps) = &part.steps {
                assert_eq!(*steps.start(), step);
                step = steps.end().wrapping_add(1);
            }
        }
        assert_eq!((next, step), (11, 0));
        assert!(
            parts.iter().any(|part| part.steps.is_none()),
            "three snapshots of a step are more than fits"
        );
    }
}
