//! What is written into a session, and what is known of it without reading it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{Rank, RecordId};
use crate::{Error, Result};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RecordKind {
    /// A run began, or went on from its step. It is the first record of an epoch, written by the store.
    Opened,
    /// What snapshots are columns over.
    Plan,
    /// The parameters at a step.
    Snapshot,
    /// Numbers such as the loss, at one or several steps.
    Scalars,
    /// A text that somebody wrote at a step.
    Note,
    /// A small array that somebody computed at a step.
    Probe,
    /// What was noticed about the history.
    Insight,
    /// How the run is doing: finished, failed.
    State,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [RecordKind; 8] = [
        RecordKind::Opened,
        RecordKind::Plan,
        RecordKind::Snapshot,
        RecordKind::Scalars,
        RecordKind::Note,
        RecordKind::Probe,
        RecordKind::Insight,
        RecordKind::State,
    ];

    /// The name, in keys and in messages.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Opened => "opened",
            RecordKind::Plan => "plan",
            RecordKind::Snapshot => "snapshot",
            RecordKind::Scalars => "scalars",
            RecordKind::Note => "note",
            RecordKind::Probe => "probe",
            RecordKind::Insight => "insight",
            RecordKind::State => "state",
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RecordKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::unsupported(format!("there are no records of the kind {name:?}"));
        RecordKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

/// Something to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What it is.
    pub kind: RecordKind,
    /// The step that it tells of, or the last of them.
    pub step: u64,
    /// The first step that it tells of.
    pub first_step: u64,
    /// Its place in the epoch: larger than that of anything before it. The same once more is the same entry, sent again.
    pub seq: u64,
    /// What it says.
    pub bytes: Arc<[u8]>,
    /// How many bytes at its beginning are worth keeping when the rest is dropped: of a snapshot the statistics, of
    /// everything else all.
    pub summary_len: u64,
}

impl Entry {
    /// All of it is worth keeping.
    pub fn new(kind: RecordKind, step: u64, seq: u64, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Entry { kind, step, first_step: step, seq, summary_len: bytes.len() as u64, bytes }
    }

    /// It tells of several steps, of which this is the first.
    #[must_use]
    pub fn from_step(self, first: u64) -> Self {
        Entry { first_step: first.min(self.step), ..self }
    }

    /// The parameters at a step, the first bytes of which are their statistics.
    pub fn snapshot(step: u64, seq: u64, bytes: impl Into<Arc<[u8]>>, summary_len: u64) -> Self {
        let entry = Entry::new(RecordKind::Snapshot, step, seq, bytes);
        Entry { summary_len: summary_len.min(entry.summary_len), ..entry }
    }

    /// What becomes of an entry whose place in its epoch is not behind all others, for those who implement a store: `kept`
    /// is what is in that place. The same once more is what was kept; anything else is refused.
    pub fn resent(&self, kept: Option<(&Record, &[u8])>, record: &Record) -> Result<Record> {
        match kept {
            Some((kept, bytes)) if kept.says_the_same(record) && self.bytes.starts_with(bytes) => Ok(*kept),
            Some(_) => Err(Error::refused(format!("there is another record {} already", record.id))),
            None => Err(Error::refused(format!("record {} comes too late: others follow it", record.id))),
        }
    }
}

/// What is known of an entry that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Where it stands.
    pub id: RecordId,
    /// How many ranks there are beside the one that wrote it, with it.
    pub ranks: u32,
    /// What it is.
    pub kind: RecordKind,
    /// The step that it tells of, or the last of them; of [`RecordKind::Opened`] the one from which on everything older is
    /// no longer true.
    pub step: u64,
    /// The first step that it tells of.
    pub first_step: u64,
    /// When it was kept, in milliseconds since 1970 by the clock of whoever wrote it.
    pub time_ms: u64,
    /// The bytes that it takes, of which the first are its summary.
    pub bytes: u64,
    /// The bytes of its summary.
    pub summary_bytes: u64,
    /// Whether only its summary is left.
    pub is_thinned: bool,
}

impl Record {
    /// What is known of an entry as soon as it is kept.
    pub fn of(entry: &Entry, rank: Rank, epoch: u32, time_ms: u64) -> Self {
        Record {
            id: RecordId { rank: rank.index(), epoch, seq: entry.seq },
            ranks: rank.of(),
            kind: entry.kind,
            step: entry.step,
            first_step: entry.first_step,
            time_ms,
            bytes: entry.bytes.len() as u64,
            summary_bytes: entry.summary_len,
            is_thinned: false,
        }
    }

    /// The bytes that are gone when only the summary is left.
    pub fn heavy_bytes(&self) -> u64 {
        if self.is_thinned { 0 } else { self.bytes.saturating_sub(self.summary_bytes) }
    }

    /// Whether both are of the same entry, as far as that can be told without it. It may have been kept at another time, and
    /// thinned since.
    fn says_the_same(&self, other: &Record) -> bool {
        let timeless = |it: &Record| Record { time_ms: 0, is_thinned: false, ..*it };
        timeless(self) == timeless(other)
    }

    /// Whether it can be looked at whole.
    pub fn is_whole_snapshot(&self) -> bool {
        self.kind == RecordKind::Snapshot && !self.is_thinned
    }
}
