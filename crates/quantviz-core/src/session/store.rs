//! The port to where sessions are kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Record};
use super::ids::{Cursor, Rank, RecordId, SessionId};
use super::segment::Cell;
use super::snapshot::Snapshot;
use crate::{Error, Result};

/// So that a long history does not have all its summaries in memory.
const SUMMARIES_AT_ONCE: usize = 256;

/// A store of sessions. Each is a log of records that never change, written by one writer for each rank.
///
/// Everything here blocks until it is done, and may be called from any thread.
///
/// # What every store promises
/// - An entry is kept whole or not at all, and once [`append`](SnapshotStore::append) has returned it outlives the process.
/// - An entry that is appended again, with the same place in the same epoch, is kept once, and the record of the first time
///   is returned. Another entry in that place is refused.
/// - A rank has one writer: whoever opens it anew begins an epoch, and the writers of earlier epochs are refused from then
///   on. Nobody is driven out by mistake: see [`Opening`].
/// - Records of one rank come in the order in which they were written. Whoever reads sees every record that was there when
///   they began.
/// - Nothing but [`remove`](SnapshotStore::remove) and [`thin`](SnapshotStore::thin) takes anything away. Anybody may call
///   these, while others write and read too: at any moment a summary can be read, and the rest is there as it was, or not.
///
/// `quantviz-testkit` has the conformance suite that tells whether a store keeps its promises.
pub trait SnapshotStore: Send + Sync {
    /// All sessions, by name.
    fn sessions(&self) -> Result<Vec<SessionInfo>>;

    /// Begins an epoch.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) while somebody else writes this rank, unless it is opened to be resumed.
    fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer>;

    /// Keeps an entry.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) when somebody else has opened the rank since, when another entry has that
    /// place, or when its place is before that of the last one.
    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record>;

    /// Says that the writer lives, though it has nothing to write.
    fn beat(&self, writer: &Writer) -> Result<()>;

    /// When whoever writes a session was last heard from, in milliseconds since 1970: that something was written, or that the
    /// writer said it lives ([`beat`](SnapshotStore::beat)). `None`, where the session is not there. Stores that remember
    /// beats tell them; without, records are all that is known.
    fn heard_ms(&self, session: &SessionId) -> Result<Option<u64>> {
        Ok(self.records(session, &Cursor::default())?.iter().map(|record| record.time_ms).max())
    }

    /// The records that the cursor has not passed, those of each rank in their order. None, where the session is not there.
    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>>;

    /// The bytes of records, each or why not: [`NotFound`](crate::ErrorKind::NotFound) where it was removed, or thinned.
    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>>;

    /// The summaries of records, which are there until a record is removed.
    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>>;

    /// Numbers of many snapshots: for each cell what each of these records has there, not a number where it has nothing.
    /// Stores that keep such columns together answer from them; this reads one summary after the other.
    fn columns(&self, session: &SessionId, which: &[RecordId], cells: &[Cell]) -> Result<Vec<Vec<f32>>> {
        let mut columns = vec![Vec::with_capacity(which.len()); cells.len()];
        for some in which.chunks(SUMMARIES_AT_ONCE) {
            for summary in self.summaries(session, some)? {
                let snapshot = summary.and_then(Snapshot::parse);
                for (cell, column) in cells.iter().zip(&mut columns) {
                    column.push(snapshot.as_ref().map_or(f32::NAN, |snapshot| cell.of(snapshot)));
                }
            }
        }
        Ok(columns)
    }

    /// Drops all but the summaries of records.
    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()>;

    /// Removes records, in this order; those that are gone already are no error.
    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()>;

    /// Removes a session and everything in it.
    fn remove_session(&self, session: &SessionId) -> Result<()>;
}

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<S: SnapshotStore + ?Sized> SnapshotStore for $pointer {
            fn sessions(&self) -> Result<Vec<SessionInfo>> {
                (**self).sessions()
            }

            fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer> {
                (**self).open(session, rank, opening)
            }

            fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
                (**self).append(writer, entry)
            }

            fn beat(&self, writer: &Writer) -> Result<()> {
                (**self).beat(writer)
            }

            fn heard_ms(&self, session: &SessionId) -> Result<Option<u64>> {
                (**self).heard_ms(session)
            }

            fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
                (**self).records(session, after)
            }

            fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
                (**self).read(session, which)
            }

            fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
                (**self).summaries(session, which)
            }

            fn columns(&self, session: &SessionId, which: &[RecordId], cells: &[Cell]) -> Result<Vec<Vec<f32>>> {
                (**self).columns(session, which, cells)
            }

            fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
                (**self).thin(session, which)
            }

            fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
                (**self).remove(session, which)
            }

            fn remove_session(&self, session: &SessionId) -> Result<()> {
                (**self).remove_session(session)
            }
        }
    )*};
}

delegate!(&S, Box<S>, Arc<S>);

/// What is known of a session without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its name.
    pub id: SessionId,
    /// How many records it has.
    pub records: u64,
    /// The bytes that they take.
    pub bytes: u64,
    /// When the first and the last of them was kept, in milliseconds since 1970.
    pub begun_ms: u64,
    /// See `begun_ms`.
    pub last_ms: u64,
    /// The last step that anything tells of and that is still true.
    pub last_step: u64,
}

impl SessionInfo {
    /// Of the records of a session; `None` where there are none.
    pub fn of(id: SessionId, records: &[Record]) -> Option<Self> {
        let timeline = super::Timeline::of(records.iter().copied());
        let times = || records.iter().map(|record| record.time_ms);
        Some(SessionInfo {
            id,
            records: records.len() as u64,
            bytes: records.iter().map(|it| if it.is_thinned { it.summary_bytes } else { it.bytes }).sum(),
            begun_ms: times().min()?,
            last_ms: times().max()?,
            last_step: timeline.alive().map(|record| record.step).max().unwrap_or(0),
        })
    }
}

/// How a rank is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// A run begins: whatever this rank wrote before is no longer true. Refused while another writer of the rank lives,
    /// which is to say for [`ALIVE_MS`](Opening::ALIVE_MS) after anything was heard from it.
    New,
    /// A run goes on from a step: what this rank wrote from that step on is no longer true. The writer before it, if it lives
    /// after all, is driven out.
    Resume {
        /// The first step that is going to be written.
        step: u64,
    },
}

impl Opening {
    /// A writer lives for so many milliseconds after it was heard from.
    pub const ALIVE_MS: u64 = 30_000;

    /// That another writer of the rank lives, which was last heard from so many milliseconds ago: for those who implement a
    /// store.
    pub fn refused(self, session: &SessionId, rank: Rank, silent_ms: u64) -> Error {
        let whose = match rank.of() {
            1 => format!("session {session}"),
            of => format!("session {session}, rank {} of {of}", rank.index()),
        };
        let seconds = silent_ms.div_ceil(1000);
        Error::refused(format!(
            "{whose}: somebody writes it, last heard from {seconds} s ago; resume it to take over, or take another name"
        ))
    }

    /// The step from which on older records of the rank are no longer true.
    pub fn step(self) -> u64 {
        match self {
            Opening::New => 0,
            Opening::Resume { step } => step,
        }
    }
}

/// The right to write one rank of a session, until somebody else opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Writer {
    /// Which session.
    pub session: SessionId,
    /// Which rank of it.
    pub rank: Rank,
    /// Its epoch.
    pub epoch: u32,
}

impl Writer {
    /// The writer of an epoch: for those who implement a store.
    pub fn new(session: SessionId, rank: Rank, epoch: u32) -> Self {
        Writer { session, rank, epoch }
    }
}
