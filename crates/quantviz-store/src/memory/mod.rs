//! Sessions in memory: for notebooks, for tests, and for what is shown and not kept.

mod session;
mod size;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quantviz_core::{
    Budget, Cursor, Entry, Error, Opening, Rank, Record, RecordId, RecordKind, Result, SessionId,
    SessionInfo, SnapshotStore, Writer,
};

use self::session::{Session, Writing, gone, nobody, summary_of};
use crate::clock::{Clock, system_clock};

/// A store in memory. Clones are the same store.
///
/// # What it keeps
/// No session takes more than its [`Budget`]: by default 2,000 snapshots or 1 GB of them, and 256 MB of all the rest, after
/// which snapshots lose all but their statistics, and then are gone, evenly over the run. What is no longer true goes first.
/// Beside that stay the plans, beginnings and states of a run, its first snapshot and its last. When something has to go, an
/// eighth does, so that keeping an entry takes the time of looking at sixteen at most, on average, however many there are.
///
/// ```
/// use quantviz_core::{Budget, Cursor, Entry, Opening, Rank, SnapshotStore};
/// use quantviz_store::MemoryStore;
///
/// let mut budget = Budget::ALL;
/// (budget.snapshots, budget.light_bytes) = (Some(16), Some(50_000));
/// let store = MemoryStore::within(budget);
/// let session = "endless".parse()?;
/// let writer = store.open(&session, Rank::ONLY, Opening::New)?;
/// for step in 0..1000 {
///     store.append(&writer, &Entry::snapshot(step, step + 1, vec![0; 2000], 500))?;
/// }
/// let left = store.records(&session, &Cursor::default())?;
/// assert!(left.iter().filter(|it| it.is_whole_snapshot()).count() <= 16);
/// assert!(left.iter().map(|it| it.light_bytes()).sum::<u64>() <= 50_000);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    sessions: Arc<Mutex<BTreeMap<SessionId, Session>>>,
    budget: Budget,
    clock: Clock,
}

/// Of all that is light, by default.
const LIGHT_BYTES: u64 = 256_000_000;

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl MemoryStore {
    /// An empty one with the usual budget.
    pub fn new() -> Self {
        let mut budget = Budget::default();
        budget.light_bytes = Some(LIGHT_BYTES);
        MemoryStore::within(budget)
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
        known.insert(record, opened.bytes);
        known.keep_within(&self.budget, now);
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
        session.insert(record, entry.bytes.clone());
        session.keep_within(&self.budget, now);
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

    use quantviz_core::Timeline;

    use super::size::Size;
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

    fn within(snapshots: Option<u64>, light_bytes: Option<u64>) -> (MemoryStore, SessionId, Writer) {
        let mut budget = Budget::ALL;
        (budget.snapshots, budget.light_bytes) = (snapshots, light_bytes);
        let store = MemoryStore::within(budget);
        let session: SessionId = "a".parse().expect("a name");
        let writer = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
        (store, session, writer)
    }

    #[test]
    fn snapshots_beyond_the_budget_are_thinned() {
        let (store, session, writer) = within(Some(16), None);
        for step in 0..200 {
            let entry = Entry::snapshot(step, step + 1, [7; 100], 30);
            store.append(&writer, &entry).expect("kept");
        }
        let records = store.records(&session, &Cursor::default()).expect("there");
        assert_eq!(records.len(), 201);
        let timeline = Timeline::of(records);
        let steps = timeline.snapshot_steps();
        assert!((14..=16).contains(&steps.len()), "{steps:?}");
        assert_eq!((steps.first(), steps.last()), (Some(&0), Some(&199)));
        let (info, whole) = (&store.sessions().expect("there")[0], steps.len() as u64);
        assert_eq!(info.bytes, whole * 100 + (200 - whole) * 30);
    }

    /// A run without an end: what is kept stays within its bounds at every moment, and records are looked at a few times
    /// each, however many there are.
    #[test]
    fn nothing_grows_without_an_end() {
        let (light, snapshots) = (200_000, 40);
        let (store, session, writer) = within(Some(snapshots), Some(light));
        let (mut looked_at, mut before) = (0, Size::default());
        for step in 0..20_000u64 {
            let snapshot = Entry::snapshot(step, 2 * step + 1, [7; 100], 30);
            let scalars = Entry::new(RecordKind::Scalars, step, 2 * step + 2, [1; 20]);
            for entry in [snapshot, scalars] {
                store.append(&writer, &entry).expect("kept");
                let sessions = store.lock();
                let Session { records, heavy, size, .. } = &sessions[&session];
                assert!(size.snapshots <= snapshots && size.light <= light, "step {step}: {size:?}");
                // Where there is less than before, either all was looked at, or what is heavy.
                if size.light < before.light {
                    looked_at += records.len() * 8 / 7;
                } else if size.snapshots < before.snapshots {
                    looked_at += heavy.len() * 8 / 7;
                }
                before = *size;
            }
        }
        let sessions = store.lock();
        let Session { records: kept, heavy, .. } = &sessions[&session];
        let are_heavy = kept.values().filter(|(it, _)| it.is_whole_snapshot()).count();
        assert_eq!(heavy.len(), are_heavy + 1, "and the beginning");
        let sum = kept.values().fold(Size::default(), |sum, (record, _)| sum.plus(Size::of(record)));
        assert_eq!(sum, sessions[&session].size, "what is added up is what is there");
        assert!(looked_at < 40_000 * 16, "{looked_at} records were looked at for 40,000");
        assert!(kept.len() > 500, "{}", kept.len());
    }

    /// Where nothing can go, it is not tried every time.
    #[test]
    fn a_budget_that_cannot_be_kept_to() {
        let (store, session, writer) = within(None, Some(1000));
        for seq in 1..=1000 {
            store.append(&writer, &Entry::new(RecordKind::Plan, seq, seq, [0; 100])).expect("kept");
        }
        let limit = store.lock()[&session].limit.expect("it was tried");
        let size = store.lock()[&session].size;
        assert_eq!(store.records(&session, &Cursor::default()).expect("there").len(), 1001);
        assert!(limit.light >= size.light && limit.light <= size.light * 9 / 8 + 1, "{limit:?} {size:?}");
    }

    /// A run that begins anew again and again leaves nothing behind.
    #[test]
    fn what_is_no_longer_true_goes_first() {
        let (store, session, _) = within(Some(10), Some(20_000));
        for _ in 0..500 {
            let writer = store.open(&session, Rank::ONLY, Opening::Resume { step: 0 }).expect("takes over");
            for step in 0..5 {
                store.append(&writer, &Entry::snapshot(step, step + 1, [7; 100], 30)).expect("kept");
            }
        }
        let records = store.records(&session, &Cursor::default()).expect("there");
        assert!(records.len() <= 80, "{}", records.len());
        assert_eq!(Timeline::of(records).snapshot_steps().len(), 5, "all of the last run");
    }
}
