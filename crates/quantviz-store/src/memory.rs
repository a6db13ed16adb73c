//! Sessions in memory: for notebooks, for tests, and for what is shown and not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quantviz_core::{
    Budget, Cursor, Entry, Error, Opening, Rank, Record, RecordId, RecordKind, Result, SessionId,
    SessionInfo, SnapshotStore, Timeline, Writer,
};

use crate::clock::{Clock, system_clock};

/// A store in memory. Clones are the same store.
///
/// It thins a session's snapshots as soon as they pass its [`Budget`].
#[derive(Clone)]
pub struct MemoryStore {
    sessions: Arc<Mutex<BTreeMap<SessionId, Session>>>,
    budget: Budget,
    clock: Clock,
}

#[derive(Default)]
struct Session {
    records: BTreeMap<RecordId, (Record, Arc<[u8]>)>,
    /// By rank, the epoch that may write, the last place it wrote to, and when it was heard from.
    writers: BTreeMap<u32, Writing>,
}

struct Writing {
    epoch: u32,
    seq: u64,
    heard_ms: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty one with the usual budget.
    pub fn new() -> Self {
        MemoryStore::within(Budget::default())
    }

    /// An empty one with a budget for each session.
    pub fn within(budget: Budget) -> Self {
        MemoryStore { sessions: Arc::default(), budget, clock: system_clock() }
    }

    /// Tells the time by another clock, in milliseconds since 1970.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        MemoryStore { clock: Arc::new(clock), ..self }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Session>> {
        // Whoever panicked has changed nothing by halves: every change here is one insertion.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Whether this writer may still write.
    fn check(&mut self, writer: &Writer) -> Result<&mut Writing> {
        let rank = writer.rank.index();
        match self.writers.get_mut(&rank) {
            Some(writing) if writing.epoch == writer.epoch => Ok(writing),
            Some(writing) => Err(Error::refused(format!(
                "session {}, rank {rank}: somebody has opened it again, as epoch {}, and epoch {} may no longer write",
                writer.session, writing.epoch, writer.epoch
            ))),
            None => Err(nobody(&writer.session, rank)),
        }
    }

    fn timeline(&self) -> Timeline {
        Timeline::of(self.records.values().map(|(record, _)| *record))
    }

    fn thin(&mut self, which: &[RecordId]) {
        for id in which {
            if let Some((record, bytes)) = self.records.get_mut(id) {
                let summary: Arc<[u8]> = summary_of(record, bytes).into();
                record.is_thinned |= summary.len() < bytes.len();
                *bytes = summary;
            }
        }
    }

    fn remove(&mut self, which: &[RecordId]) {
        which.iter().for_each(|id| drop(self.records.remove(id)));
    }
}

fn summary_of<'a>(record: &Record, bytes: &'a [u8]) -> &'a [u8] {
    let len = usize::try_from(record.summary_bytes).unwrap_or(usize::MAX);
    &bytes[..len.min(bytes.len())]
}

fn nobody(session: &SessionId, rank: u32) -> Error {
    Error::not_found(format!("session {session}, rank {rank}: nobody has opened it"))
}

fn gone(session: &SessionId, id: RecordId) -> Error {
    Error::not_found(format!("session {session}: there is no record {id}"))
}

impl SnapshotStore for MemoryStore {
    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let sessions = self.lock();
        let infos = sessions.iter().filter_map(|(id, session)| {
            let records: Vec<Record> = session.records.values().map(|(record, _)| *record).collect();
            SessionInfo::of(id.clone(), &records)
        });
        Ok(infos.collect())
    }

    fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer> {
        let now = (self.clock)();
        let mut sessions = self.lock();
        let known = sessions.entry(session.clone()).or_default();
        let before = known.writers.get(&rank.index());
        let silent_ms = before.map(|writing| now.saturating_sub(writing.heard_ms));
        if let (Opening::New, Some(silent_ms)) = (opening, silent_ms.filter(|&it| it < Opening::ALIVE_MS)) {
            return Err(opening.refused(session, rank, silent_ms));
        }
        let epoch = before.map_or(1, |writing| writing.epoch + 1);
        let opened = Entry::new(RecordKind::Opened, opening.step(), 0, []);
        let record = Record::of(&opened, rank, epoch, now);
        known.writers.insert(rank.index(), Writing { epoch, seq: 0, heard_ms: now });
        known.records.insert(record.id, (record, opened.bytes));
        Ok(Writer::new(session.clone(), rank, epoch))
    }

    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
        let now = (self.clock)();
        let mut sessions = self.lock();
        let rank = writer.rank.index();
        let session = sessions.get_mut(&writer.session).ok_or_else(|| nobody(&writer.session, rank))?;
        let record = Record::of(entry, writer.rank, writer.epoch, now);
        let writing = session.check(writer)?;
        writing.heard_ms = now;
        if entry.seq <= writing.seq {
            let kept = session.records.get(&record.id).map(|(kept, bytes)| (kept, &bytes[..]));
            return entry.resent(kept, &record);
        }
        writing.seq = entry.seq;
        session.records.insert(record.id, (record, entry.bytes.clone()));
        if record.is_whole_snapshot() {
            let pruning = self.budget.prune(&session.timeline(), &BTreeSet::new(), now);
            session.thin(&pruning.thin);
        }
        Ok(record)
    }

    fn beat(&self, writer: &Writer) -> Result<()> {
        let now = (self.clock)();
        let mut sessions = self.lock();
        let rank = writer.rank.index();
        let session = sessions.get_mut(&writer.session).ok_or_else(|| nobody(&writer.session, rank))?;
        session.check(writer)?.heard_ms = now;
        Ok(())
    }

    fn heard_ms(&self, session: &SessionId) -> Result<Option<u64>> {
        let sessions = self.lock();
        let writers = sessions.get(session).into_iter().flat_map(|session| session.writers.values());
        Ok(writers.map(|writing| writing.heard_ms).max())
    }

    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
        let sessions = self.lock();
        let records = sessions.get(session).into_iter().flat_map(|session| session.records.values());
        Ok(records.map(|(record, _)| *record).filter(|record| after.is_behind(record.id)).collect())
    }

    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        let sessions = self.lock();
        let of = |id: &RecordId| match sessions.get(session).and_then(|session| session.records.get(id)) {
            Some((record, bytes)) if !record.is_thinned => Ok(bytes.clone()),
            Some(_) => {
                Err(Error::not_found(format!("session {session}: of record {id} only the summary was kept")))
            }
            None => Err(gone(session, *id)),
        };
        Ok(which.iter().map(of).collect())
    }

    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        let sessions = self.lock();
        let of = |id: &RecordId| match sessions.get(session).and_then(|session| session.records.get(id)) {
            Some((record, bytes)) => Ok(summary_of(record, bytes).into()),
            None => Err(gone(session, *id)),
        };
        Ok(which.iter().map(of).collect())
    }

    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.lock().get_mut(session).into_iter().for_each(|session| session.thin(which));
        Ok(())
    }

    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.lock().get_mut(session).into_iter().for_each(|session| session.remove(which));
        Ok(())
    }

    fn remove_session(&self, session: &SessionId) -> Result<()> {
        self.lock().remove(session);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_keeps_its_promises() {
        let time = Arc::new(AtomicU64::new(1_000_000));
        let clock = time.clone();
        let store = MemoryStore::within(Budget::ALL).with_clock(move || clock.load(Ordering::SeqCst));
        let wait = |duration: Duration| {
            let ms = u64::try_from(duration.as_millis()).expect("short");
            time.fetch_add(ms, Ordering::SeqCst);
        };
        quantviz_testkit::check_store(&|| Box::new(store.clone()), &wait);
    }

    #[test]
    fn snapshots_beyond_the_budget_are_thinned() {
        let mut budget = Budget::ALL;
        budget.snapshots = Some(10);
        let store = MemoryStore::within(budget);
        let session: SessionId = "a".parse().expect("a name");
        let writer = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        for step in 0..200 {
            let entry = Entry::snapshot(step, step + 1, [7; 100], 30);
            store.append(&writer, &entry).expect("kept");
        }
        let records = store.records(&session, &Cursor::default()).expect("there");
        assert_eq!(records.len(), 201);
        let timeline = Timeline::of(records);
        let steps = timeline.snapshot_steps();
        assert_eq!((steps.len(), steps.first(), steps.last()), (10, Some(&0), Some(&199)));
        let info = &store.sessions().expect("there")[0];
        assert_eq!(info.bytes, 10 * 100 + 190 * 30);
    }
}
