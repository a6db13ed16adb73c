//! A session as it is read: plans, snapshots, scalars and histories, as far as they are still true.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Record, RecordKind};
use super::ids::{Cursor, RecordId, SessionId};
use super::plan::Plan;
use super::probe::Probe;
use super::quantity::Quantity;
use super::segment::Cell;
use super::snapshot::Snapshot;
use super::store::SnapshotStore;
use super::timeline::Timeline;
use crate::{Error, ErrorKind, Result};

/// A session that is being read. It knows what is there when it is opened, and what came since when it is
/// [refreshed](Run::refresh).
pub struct Run<'a> {
    store: &'a dyn SnapshotStore,
    id: SessionId,
    timeline: Timeline,
    cursor: Cursor,
    plans: BTreeMap<RecordId, Arc<Plan>>,
}

/// A step, and what each rank has of it, with its plan.
type AtStep = (u64, Vec<(Snapshot, Arc<Plan>)>);

/// Values at steps, in order.
pub type Series = Vec<(u64, f64)>;

/// The history of one quantity of one parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The parameter.
    pub parameter: String,
    /// What of it.
    pub quantity: Quantity,
    /// Its value at every step with a snapshot, not a number where it was not taken.
    pub values: Vec<f32>,
}

/// What somebody wrote at a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// The step.
    #[serde(default)]
    pub step: u64,
    /// What it is about.
    pub name: String,
    /// What was written.
    pub text: String,
}

impl Note {
    /// A note.
    pub fn new(step: u64, name: impl Into<String>, text: impl Into<String>) -> Self {
        Note { step, name: name.into(), text: text.into() }
    }
}

/// How a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunState {
    /// It runs.
    Live,
    /// Nothing was heard for longer than usual.
    Stalled,
    /// Nothing was heard for so long that it has probably died.
    Lost,
    /// It came to its end.
    Finished,
    /// It said that it failed.
    Failed,
}

impl RunState {
    /// The name, in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Live => "live",
            RunState::Stalled => "stalled",
            RunState::Lost => "lost",
            RunState::Finished => "finished",
            RunState::Failed => "failed",
        }
    }
}

/// What a record of [`RecordKind::State`] holds, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateMessage {
    /// How it ended.
    pub state: RunState,
    /// Why, where it failed: the type of the exception, and what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl StateMessage {
    /// It came to its end.
    pub fn finished() -> Self {
        StateMessage { state: RunState::Finished, reason: None }
    }

    /// It failed.
    pub fn failed(reason: impl Into<String>) -> Self {
        StateMessage { state: RunState::Failed, reason: Some(reason.into()) }
    }
}

/// How often it is looked anew for a snapshot, since what was found is thinned by then.
const LOOKS: usize = 5;
/// A run that nothing is heard of for so long is lost.
const LOST_MS: u64 = 3_600_000;
/// A run is stalled at the earliest after this.
const STALLED_MS: u64 = 30_000;
/// A run is stalled after so many of its usual intervals.
const STALLED_INTERVALS: u64 = 5;

impl<'a> Run<'a> {
    /// Opens a session.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where the store has no such session.
    pub fn open(store: &'a dyn SnapshotStore, id: &SessionId) -> Result<Self> {
        let mut run = Run {
            store,
            id: id.clone(),
            timeline: Timeline::default(),
            cursor: Cursor::default(),
            plans: BTreeMap::new(),
        };
        run.refresh()?;
        if run.timeline.records().next().is_none() {
            return Err(Error::not_found(format!("there is no session {id}")));
        }
        Ok(run)
    }

    /// Reads what came since.
    pub fn refresh(&mut self) -> Result<()> {
        for record in self.store.records(&self.id, &self.cursor)? {
            self.cursor.pass(record.id);
            self.timeline.add(record);
        }
        let plans = self.timeline.records().filter(|it| it.kind == RecordKind::Plan);
        let unread: Vec<RecordId> = plans.map(|it| it.id).filter(|id| !self.plans.contains_key(id)).collect();
        for (id, bytes) in unread.iter().zip(self.store.read(&self.id, &unread)?) {
            self.plans.insert(*id, Arc::new(Plan::parse(bytes?).map_err(|it| self.in_record(it, *id))?));
        }
        Ok(())
    }

    pub(super) fn in_record(&self, error: Error, id: RecordId) -> Error {
        Error::new(error.kind(), format!("session {}, record {id}: {error}", self.id))
    }

    /// The name of the session.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Its records.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The plan of a record of a snapshot: the last one that its rank wrote before it.
    pub fn plan_of(&self, snapshot: RecordId) -> Option<&Arc<Plan>> {
        let first = RecordId { seq: 0, ..snapshot };
        self.plans.range(first..=snapshot).next_back().map(|(_, plan)| plan)
    }

    /// The plan that holds last.
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        let last = self.timeline.alive().filter(|it| it.kind == RecordKind::Plan).map(|it| it.id);
        last.max_by_key(|id| (id.epoch, id.seq)).and_then(|id| self.plans.get(&id))
    }

    /// All plans that are still needed, with the step from which on each holds.
    pub fn plans(&self) -> impl Iterator<Item = (u64, &Arc<Plan>)> {
        let alive = self.timeline.alive().filter(|it| it.kind == RecordKind::Plan);
        alive.filter_map(|it| Some((it.step, self.plans.get(&it.id)?)))
    }

    /// The snapshots that are still true, thinned ones included, by step; of each rank one.
    pub fn snapshots(&self) -> Vec<&Record> {
        let mut by_step: BTreeMap<(u64, u32), &Record> = BTreeMap::new();
        for record in self.timeline.alive().filter(|it| it.kind == RecordKind::Snapshot) {
            by_step.insert((record.step, record.id.rank), record);
        }
        by_step.into_values().collect()
    }

    /// The snapshot at a step, or the nearest there is: of every rank that has one, with its plan. `None` where there are
    /// no snapshots at all.
    pub fn nearest(&self, step: u64) -> Result<Option<AtStep>> {
        let mut gone = match self.whole_near(&self.timeline, step) {
            Err(error) if error.kind() == ErrorKind::NotFound => error,
            found => return found,
        };
        // What is thinned is nothing new to a cursor, and a recording thins itself while it is read.
        for _ in 0..LOOKS {
            let now = self.store.records(&self.id, &Cursor::default())?;
            // What has come since it was refreshed may need a plan that it has not.
            let known = now.into_iter().filter(|it| self.timeline.record(it.id).is_some());
            match self.whole_near(&Timeline::of(known), step) {
                Err(error) if error.kind() == ErrorKind::NotFound => gone = error,
                found => return found,
            }
        }
        Err(gone)
    }

    fn whole_near(&self, timeline: &Timeline, step: u64) -> Result<Option<AtStep>> {
        let Some(step) = timeline.nearest_step(step) else { return Ok(None) };
        let ids: Vec<RecordId> = timeline.snapshots_at(step).iter().map(|it| it.id).collect();
        let read = self.store.read(&self.id, &ids)?;
        let parsed = ids.iter().zip(read).map(|(&id, bytes)| {
            let snapshot = Snapshot::parse(bytes?).map_err(|it| self.in_record(it, id))?;
            let plan = self.plan_of(id).ok_or_else(|| {
                Error::not_found(format!("session {}: the plan of record {id} is gone", self.id))
            })?;
            Ok((snapshot, plan.clone()))
        });
        Ok(Some((step, parsed.collect::<Result<_>>()?)))
    }

    /// The summary of a snapshot, which is there though it was thinned.
    pub fn summary(&self, id: RecordId) -> Result<Snapshot> {
        let read = self.store.summaries(&self.id, &[id])?.pop();
        let bytes = read.unwrap_or_else(|| Err(Error::not_found(format!("there is no record {id}"))))?;
        Snapshot::parse(bytes).map_err(|it| self.in_record(it, id))
    }

    /// The bytes of several records.
    pub(super) fn read(&self, ids: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.store.read(&self.id, ids)
    }

    /// The summaries of several.
    pub(super) fn summaries(&self, records: &[&Record]) -> Result<Vec<Snapshot>> {
        let ids: Vec<RecordId> = records.iter().map(|record| record.id).collect();
        let read = ids.iter().zip(self.store.summaries(&self.id, &ids)?);
        read.map(|(&id, bytes)| Snapshot::parse(bytes?).map_err(|it| self.in_record(it, id))).collect()
    }

    /// What was written at steps, in order.
    pub fn notes(&self) -> Result<Vec<Note>> {
        let is_note = |it: &&Record| it.kind == RecordKind::Note;
        self.notes_of(&self.timeline.alive().filter(is_note).copied().collect::<Vec<_>>())
    }

    /// The notes of some records, in the order of their steps.
    pub fn notes_of(&self, records: &[Record]) -> Result<Vec<Note>> {
        let mut notes = self.each_of(records, |record, bytes| {
            let note: Note = serde_json::from_slice(&bytes)
                .map_err(|error| Error::malformed(format!("a note: {error}")))?;
            Ok(Note { step: record.step, ..note })
        })?;
        notes.sort_by_key(|note| note.step);
        Ok(notes)
    }

    /// The probes of some records, in their order.
    pub fn probes_of(&self, records: &[Record]) -> Result<Vec<Probe>> {
        self.each_of(records, |record, bytes| Probe::parse(record.step, bytes))
    }

    fn each_of<T>(&self, records: &[Record], of: impl Fn(&Record, Arc<[u8]>) -> Result<T>) -> Result<Vec<T>> {
        let ids: Vec<RecordId> = records.iter().map(|it| it.id).collect();
        let read = records.iter().zip(self.store.read(&self.id, &ids)?);
        read.map(|(record, bytes)| {
            let bytes = bytes?;
            of(record, bytes).map_err(|it| self.in_record(it, record.id))
        })
        .collect()
    }

    /// How the run is doing at this time, and why it failed.
    pub fn state(&self, now_ms: u64) -> Result<StateMessage> {
        let last = self.timeline.alive().max_by_key(|it| (it.id.epoch, it.id.seq));
        let live = StateMessage { state: RunState::Live, reason: None };
        let Some(last) = last else { return Ok(live) };
        if last.kind == RecordKind::State {
            let read = self.store.read(&self.id, &[last.id])?.pop().unwrap_or_else(|| Ok(Arc::default()))?;
            let odd = |error| self.in_record(Error::malformed(format!("a state: {error}")), last.id);
            return serde_json::from_slice(&read).map_err(odd);
        }
        // A run that writes rarely says in between that it lives.
        let written = self.timeline.records().map(|it| it.time_ms).max();
        let heard = written.max(self.store.heard_ms(&self.id)?).unwrap_or(now_ms);
        let silent = now_ms.saturating_sub(heard);
        let usual = STALLED_MS.max(self.interval_ms().saturating_mul(STALLED_INTERVALS));
        let state = match silent {
            silent if silent > LOST_MS.max(usual) => RunState::Lost,
            silent if silent > usual => RunState::Stalled,
            _ => RunState::Live,
        };
        Ok(StateMessage { state, ..live })
    }

    /// The median time between two snapshots.
    fn interval_ms(&self) -> u64 {
        let mut times: Vec<u64> = self.snapshots().iter().map(|it| it.time_ms).collect();
        times.sort_unstable();
        let mut intervals: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        intervals.sort_unstable();
        intervals.get(intervals.len() / 2).copied().unwrap_or(0)
    }

    /// The history of quantities of parameters, over all snapshots of the first rank that has each of these. Names that
    /// a plan does not have give values that are no numbers.
    pub fn histories(&self, wanted: &[(String, Quantity)]) -> Result<(Vec<u64>, Vec<History>)> {
        let mut by_step: BTreeMap<u64, RecordId> = BTreeMap::new();
        for record in self.snapshots() {
            by_step.entry(record.step).or_insert(record.id);
        }
        let mut histories: Vec<History> = wanted
            .iter()
            .map(|(parameter, quantity)| History {
                parameter: parameter.clone(),
                quantity: *quantity,
                values: Vec::with_capacity(by_step.len()),
            })
            .collect();
        let steps: Vec<u64> = by_step.keys().copied().collect();
        let ids: Vec<RecordId> = by_step.into_values().collect();
        // Places are those of a plan, and few plans have another catalogue than the one before.
        for same in ids.chunk_by(|a, b| self.same_catalogue(*a, *b)) {
            let plan = same.first().and_then(|&id| self.plan_of(id));
            let cells: Vec<Option<Cell>> = wanted.iter().map(|(name, it)| cell(plan?, name, *it)).collect();
            let known: Vec<Cell> = cells.iter().flatten().cloned().collect();
            let mut columns = self.store.columns(&self.id, same, &known)?.into_iter();
            for (cell, history) in cells.iter().zip(&mut histories) {
                match cell.as_ref().and_then(|_| columns.next()) {
                    Some(column) => history.values.extend(column),
                    None => history.values.extend(std::iter::repeat_n(f32::NAN, same.len())),
                }
            }
        }
        Ok((steps, histories))
    }

    fn same_catalogue(&self, a: RecordId, b: RecordId) -> bool {
        match (self.plan_of(a), self.plan_of(b)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.header().parameters == b.header().parameters,
            (None, None) => true,
            _ => false,
        }
    }
}

/// Where a plan has a quantity of a parameter.
fn cell(plan: &Plan, parameter: &str, quantity: Quantity) -> Option<Cell> {
    let at = plan.header().parameter_named(parameter)?;
    let at = match quantity.is_of_matrices() {
        true => plan.header().parameters.get(at)?.matrix?,
        false => u32::try_from(at).ok()?,
    };
    Some(Cell::new(quantity.name(), at))
}
