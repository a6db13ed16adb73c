//! A session that is kept within a budget while it is written.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Record, RecordKind};
use super::ids::{Cursor, Rank, RecordId, SessionId};
use super::pruning::Budget;
use super::store::SnapshotStore;
use super::timeline::Timeline;
use crate::Result;

/// Keeps one rank of a session within a [`Budget`] while it is written: whoever appends tells it of every snapshot, and gives
/// it a turn. Nothing happens in a turn until there is a tenth too much; then so much goes, a little in every turn, that the
/// budget is kept to.
///
/// - What goes is the heavy part of snapshots, first of those whose steps a resumed run wrote anew. No record is removed, so
///   the history of all statistics is whole ([`prune`](super::prune) removes what is superseded).
/// - The first snapshot stays and the last, those around insights of any rank, and of each pinned step the nearest.
/// - Each rank thins what it wrote itself, and asks nobody: where one is gone the others go on, and as many snapshots as are
///   written are thinned by as many processes. All go by the same rule, so ranks that wrote the same steps keep the same ones.
///   Each may keep as many steps as the budget says, and an equal part of the bytes.
/// - What is there of earlier epochs counts, so a run that is resumed goes on within its budget.
/// - It remembers whole snapshots, insights, and the beginnings of epochs, however long the session is; of what others write
///   it reads what is new, when something is to go.
///
/// ```no_run
/// # let store: Box<dyn quantviz_core::SnapshotStore> = unimplemented!();
/// # let snapshots: Vec<quantviz_core::Entry> = Vec::new();
/// use quantviz_core::{Budget, Opening, Pruner, Rank};
///
/// let session = "shakespeare".parse()?;
/// let writer = store.open(&session, Rank::ONLY, Opening::New)?;
/// let mut pruner = Pruner::new(session, Rank::ONLY, Budget::default(), [1000]);
/// for snapshot in snapshots {
///     pruner.add(store.append(&writer, &snapshot)?);
///     pruner.turn(&*store, 0)?;
/// }
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Pruner {
    session: SessionId,
    rank: Rank,
    budget: Budget,
    pinned: BTreeSet<u64>,
    /// The last epoch of the rank.
    epoch: u32,
    /// How far the session was read.
    cursor: Cursor,
    /// Whole snapshots of the rank; beginnings and insights of all ranks.
    known: BTreeMap<RecordId, Record>,
    size: Size,
    /// From this size on something has to go; `None`, where that has to be found out.
    limit: Option<Size>,
    /// When snapshots are looked through for old ones again.
    again_ms: u64,
    /// What goes in the next turns, the last first.
    planned: Vec<RecordId>,
}

/// How much goes in a turn, so that none takes long where each request does.
const IN_A_TURN: usize = 32;
/// For how much it is said beforehand that it goes: what stays may be decided anew afterwards.
const PLANNED: usize = 256;

/// What is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Size {
    snapshots: u64,
    bytes: u64,
}

impl Size {
    fn of(record: &Record) -> Self {
        Size { snapshots: 1, bytes: record.heavy_bytes() }
    }

    fn plus(self, other: Size) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn minus(self, other: Size) -> Self {
        self.with(other, u64::saturating_sub)
    }

    fn with(self, other: Size, both: fn(u64, u64) -> u64) -> Self {
        Size { snapshots: both(self.snapshots, other.snapshots), bytes: both(self.bytes, other.bytes) }
    }

    fn most(budget: &Budget) -> Self {
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        Size { snapshots: most(budget.snapshots), bytes: most(budget.bytes) }
    }

    fn exceeds(self, most: Size) -> bool {
        self.snapshots > most.snapshots || self.bytes > most.bytes
    }

    /// A tenth more.
    fn and_a_tenth(self) -> Self {
        self.with(self, |it, _| it.saturating_add((it / 10).max(1)))
    }
}

impl Pruner {
    /// Of a rank of a session. [`Budget::light_bytes`] is not heeded: nothing is removed.
    pub fn new(
        session: SessionId,
        rank: Rank,
        budget: Budget,
        pinned: impl IntoIterator<Item = u64>,
    ) -> Self {
        let bytes = budget.bytes.map(|bytes| bytes / u64::from(rank.of()));
        Pruner {
            session,
            rank,
            budget: Budget { bytes, light_bytes: None, ..budget },
            pinned: pinned.into_iter().collect(),
            epoch: 0,
            cursor: Cursor::default(),
            known: BTreeMap::new(),
            size: Size::default(),
            limit: None,
            again_ms: 0,
            planned: Vec::new(),
        }
    }

    /// Something was appended.
    pub fn add(&mut self, record: Record) {
        let is_own = record.id.rank == self.rank.index();
        if is_own && record.id.epoch > self.epoch {
            // What was planned may be the last that is left of the run.
            self.planned.clear();
            (self.epoch, self.limit) = (record.id.epoch, None);
        }
        match record.kind {
            RecordKind::Opened | RecordKind::Insight => drop(self.known.insert(record.id, record)),
            RecordKind::Snapshot if is_own => {
                // It may be read again, and have been thinned by somebody else since.
                self.forget(record.id);
                if record.is_whole_snapshot() {
                    self.size = self.size.plus(Size::of(&record));
                    self.known.insert(record.id, record);
                }
            }
            _ => {}
        }
    }

    /// Does a little of what there is to do, and tells what was thinned. After an error it may be called again.
    pub fn turn(&mut self, store: &dyn SnapshotStore, now_ms: u64) -> Result<Vec<RecordId>> {
        if self.planned.is_empty() && self.is_due(now_ms) {
            for record in store.records(&self.session, &self.cursor)? {
                self.cursor.pass(record.id);
                self.add(record);
            }
            self.plan(now_ms);
        }
        let left = self.planned.len().saturating_sub(IN_A_TURN);
        let some = self.planned[left..].to_vec();
        if !some.is_empty() {
            store.thin(&self.session, &some)?;
            self.planned.truncate(left);
            some.iter().for_each(|&id| self.forget(id));
        }
        Ok(some)
    }

    fn is_due(&self, now_ms: u64) -> bool {
        let has_grown = self
            .limit
            .is_none_or(|limit| self.size.snapshots >= limit.snapshots || self.size.bytes >= limit.bytes);
        has_grown || (self.budget.age_ms.is_some() && now_ms >= self.again_ms)
    }

    fn forget(&mut self, id: RecordId) {
        if let Some(record) = self.known.remove(&id) {
            self.size = self.size.minus(Size::of(&record));
        }
    }

    fn plan(&mut self, now_ms: u64) {
        let timeline = Timeline::of(self.known.values().copied());
        let mut keep = timeline.steps_around_insights();
        keep.extend(self.pinned.iter().filter_map(|&step| timeline.nearest_step(step)));
        let most = Size::most(&self.budget);
        let (mut thin, mut left) = (Vec::new(), self.size);
        for record in unseen(&timeline) {
            if left.exceeds(most) {
                left = left.minus(Size::of(record));
                thin.push(record.id);
            }
        }
        let gone: BTreeSet<RecordId> = thin.iter().copied().collect();
        let too_many = self.budget.prune(&timeline, &keep, now_ms).thin;
        for record in too_many.iter().filter(|id| !gone.contains(id)).filter_map(|id| self.known.get(id)) {
            left = left.minus(Size::of(record));
            thin.push(record.id);
        }
        // Where not all of it is planned, it is looked at again as soon as that is done; where no more can go, later.
        self.limit = (thin.len() <= PLANNED).then(|| most.with(left, u64::max).and_a_tenth());
        self.again_ms = now_ms.saturating_add(self.budget.age_ms.unwrap_or(0) / 10);
        thin.truncate(PLANNED);
        thin.reverse();
        self.planned = thin;
    }
}

/// Whole snapshots that nobody will look at, since their steps were written anew: those of earlier epochs first.
fn unseen(timeline: &Timeline) -> Vec<&Record> {
    let mut last: BTreeMap<u64, RecordId> = BTreeMap::new();
    for record in timeline.alive().filter(|it| it.is_whole_snapshot()) {
        last.insert(record.step, record.id);
    }
    let is_seen = |it: &Record| last.get(&it.step) == Some(&it.id);
    timeline.records().filter(|it| it.is_whole_snapshot() && !is_seen(it)).collect()
}
