//! From the recorder's thread to one store: a thread of its own, so that a store that stands still holds nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quantviz_core::{
    Cursor, Entry, ErrorKind, Opening, Pruner, Record, RecordKind, Result, SessionId, SnapshotStore, Writer,
};

use crate::builder::{Options, Trouble};
use crate::encode::Piece;
use crate::queue::{Queue, Taken};
use crate::thinning::Thinning;

/// Snapshots that wait for a store at most.
const WAITING: usize = 16;
/// A writer says that it lives.
const BEAT: Duration = Duration::from_secs(5);
/// How long a store is left alone after it refused something, at first and at most.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is written, with its place.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub(crate) seq: u64,
    /// The run has gone back to this step: an epoch begins.
    pub(crate) begins: Option<u64>,
    pub(crate) piece: Arc<Piece>,
}

/// A store that is written to.
pub(crate) struct Delivery {
    queue: Arc<Queue<Parcel>>,
    thread: Option<JoinHandle<()>>,
    not_thinned: Arc<AtomicU64>,
}

struct Courier {
    store: Arc<dyn SnapshotStore>,
    session: SessionId,
    options: Options,
    writer: Option<Writer>,
    trouble: Trouble,
    /// What was told of since something was kept: what goes wrong is told once, though its words may differ each time.
    told: Option<ErrorKind>,
    /// The place of the parcel that the epoch began with.
    begun: Option<u64>,
    /// How it began: tried again, in the same way.
    opening: Option<Opening>,
    /// Begun with the first snapshot that is kept, where anything may have to go.
    thinning: Option<Thinning>,
    not_thinned: Arc<AtomicU64>,
}

impl Delivery {
    pub(crate) fn start(store: Arc<dyn SnapshotStore>, session: SessionId, options: Options) -> Self {
        let queue = Arc::new(Queue::new(WAITING, |it: &Parcel| it.piece.kind == RecordKind::Snapshot));
        let trouble = options.trouble.clone();
        let not_thinned = Arc::new(AtomicU64::new(0));
        let mut courier = Courier {
            store,
            session,
            options,
            writer: None,
            trouble,
            told: None,
            begun: None,
            opening: None,
            thinning: None,
            not_thinned: not_thinned.clone(),
        };
        let incoming = queue.clone();
        let work = move || courier.run(&incoming);
        let thread = std::thread::Builder::new().name("quantviz-store".into()).spawn(work).ok();
        Delivery { queue, thread, not_thinned }
    }

    /// Never waits.
    pub(crate) fn send(&self, parcel: Parcel) {
        drop(self.queue.push(parcel));
    }

    /// How many snapshots were lost on the way.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// How often the store could not be thinned.
    pub(crate) fn not_thinned(&self) -> u64 {
        self.not_thinned.load(Ordering::Relaxed)
    }

    /// Whether all of it is there by then.
    pub(crate) fn finish(&mut self, until: Instant) -> bool {
        self.queue.close();
        let is_whole = self.queue.wait_until_empty(until);
        if !is_whole {
            self.queue.abandon();
        }
        // A store that stands still is not waited for: its thread ends with the process.
        if let Some(thread) = self.thread.take().filter(|_| is_whole) {
            let _ = thread.join();
        }
        is_whole
    }
}

impl Courier {
    fn run(&mut self, queue: &Queue<Parcel>) {
        crate::priority::give_way();
        loop {
            match queue.take(BEAT) {
                Taken::One(parcel) => {
                    if !self.deliver(&parcel, queue) {
                        queue.abandon();
                        return;
                    }
                }
                Taken::Nothing => {
                    if let Some(writer) = &self.writer {
                        // Whether it is heard shows when there is something to write.
                        let _ = self.store.beat(writer);
                    }
                }
                Taken::Closed => return,
            }
        }
    }

    /// Tries until it is kept, or nobody waits for it any more. `false` where the session is somebody else's.
    fn deliver(&mut self, parcel: &Parcel, queue: &Queue<Parcel>) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.write(parcel) {
                Ok(record) => {
                    self.told = None;
                    self.thin(record);
                    return true;
                }
                Err(error) => error,
            };
            if self.told != Some(error.kind()) {
                let line = error.to_string();
                let ends = if error.kind() == ErrorKind::Refused {
                    "; nothing more is recorded to this store"
                } else {
                    ""
                };
                (self.trouble)(&format!("{}{ends}", of_session(&self.session, &line)));
                self.told = Some(error.kind());
            }
            if error.kind() == ErrorKind::Refused {
                return false;
            }
            if queue.is_closed() && pause > FIRST_PAUSE * 8 {
                queue.give_up();
                return true;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn write(&mut self, parcel: &Parcel) -> Result<Record> {
        // Tried again, it has its epoch already.
        if parcel.begins.is_some() && self.begun != Some(parcel.seq) {
            (self.writer, self.opening) = (None, None);
        }
        let writer = match &self.writer {
            Some(writer) => writer,
            None => {
                let opening = match (self.opening, parcel.begins) {
                    (Some(opening), _) => opening,
                    (None, Some(step)) => Opening::Resume { step },
                    (None, None) => self.opening(parcel.piece.first_step)?,
                };
                self.begun = Some(parcel.seq);
                self.opening = Some(opening);
                self.writer.insert(self.store.open(&self.session, self.options.rank, opening)?)
            }
        };
        let Piece { kind, step, first_step, bytes, summary_len } = &*parcel.piece;
        let entry = match kind {
            RecordKind::Snapshot => Entry::snapshot(*step, parcel.seq, bytes.clone(), *summary_len),
            kind => Entry::new(*kind, *step, parcel.seq, bytes.clone()).from_step(*first_step),
        };
        self.store.append(writer, &entry)
    }

    /// After a snapshot, others may have to go.
    fn thin(&mut self, record: Record) {
        if !record.is_whole_snapshot() || self.options.budget.keeps_all_snapshots() {
            return;
        }
        if self.thinning.is_none() {
            let Options { rank, budget, pinned, .. } = &self.options;
            let pruner = Pruner::new(self.session.clone(), *rank, *budget, pinned.iter().copied());
            let (store, session) = (self.store.clone(), self.session.clone());
            let (trouble, failures) = (self.trouble.clone(), self.not_thinned.clone());
            self.thinning = Thinning::start(store, session, pruner, trouble, failures);
        }
        if let Some(thinning) = &mut self.thinning {
            thinning.kept(record);
        }
    }

    /// A run that does not begin with its first step goes on from there: what was recorded of steps before stays true.
    fn opening(&self, first_step: u64) -> Result<Opening> {
        let resume = Opening::Resume { step: first_step };
        if self.options.resume {
            return Ok(resume);
        }
        if first_step <= 1 {
            return Ok(Opening::New);
        }
        let records = self.store.records(&self.session, &Cursor::default())?;
        let rank = self.options.rank.index();
        let last = records.iter().filter(|it| it.id.rank == rank).map(|it| it.time_ms).max();
        let now = crate::recorder::now_ms();
        let is_silent = last.is_some_and(|last| now.saturating_sub(last) > Opening::ALIVE_MS);
        Ok(if is_silent { resume } else { Opening::New })
    }
}

/// A line about a session; some say of which already.
pub(crate) fn of_session(session: &SessionId, line: &str) -> String {
    if line.starts_with("session ") { line.to_owned() } else { format!("session {session}: {line}") }
}
