//! One session in memory, and what of it goes when it gets too much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quantviz_core::{Budget, Error, Record, RecordId, RecordKind, Result, SessionId, Timeline, Writer};

use super::size::{Size, heavy_only, less};

#[derive(Default)]
pub(super) struct Session {
    pub(super) records: BTreeMap<RecordId, (Record, Arc<[u8]>)>,
    /// Snapshots that are whole and, since these say what is still true, the beginnings of epochs.
    pub(super) heavy: BTreeSet<RecordId>,
    pub(super) size: Size,
    /// Beyond this something has to go, or it was tried and no more could.
    pub(super) limit: Option<Size>,
    /// By rank, the epoch that may write, the last place it wrote to, and when it was heard from.
    pub(super) writers: BTreeMap<u32, Writing>,
}

pub(super) struct Writing {
    pub(super) epoch: u32,
    pub(super) seq: u64,
    pub(super) heard_ms: u64,
}

impl Session {
    pub(super) fn insert(&mut self, record: Record, bytes: Arc<[u8]>) {
        self.size = self.size.plus(Size::of(&record));
        if record.is_whole_snapshot() || record.kind == RecordKind::Opened {
            self.heavy.insert(record.id);
        }
        if let Some((before, _)) = self.records.insert(record.id, (record, bytes)) {
            self.size = self.size.minus(Size::of(&before));
        }
    }

    /// Makes room, where there is none. Snapshots that are too many are the usual case: then nothing else is looked at.
    pub(super) fn keep_within(&mut self, budget: &Budget, now: u64) {
        let most = Size::most(budget);
        let limit = self.limit.unwrap_or(most);
        if !self.size.exceeds(limit) {
            return;
        }
        let smaller = less(budget);
        let is_light = self.size.light > limit.light;
        if is_light {
            let all = Timeline::of(self.records.values().map(|(record, _)| *record));
            let pruning = smaller.prune(&all, &BTreeSet::new(), now);
            self.remove(&pruning.remove);
            self.thin(&pruning.thin);
        } else {
            let heavy = self.heavy.iter().filter_map(|id| self.records.get(id));
            let heavy = Timeline::of(heavy.map(|(record, _)| *record));
            let pruning = heavy_only(smaller).prune(&heavy, &BTreeSet::new(), now);
            // Whether a beginning can go, only the rest of its epoch would tell.
            let is_snapshot = |id: &RecordId| heavy.record(*id).is_some_and(Record::is_whole_snapshot);
            let gone: Vec<RecordId> = pruning.remove.into_iter().filter(is_snapshot).collect();
            self.remove(&gone);
            self.thin(&pruning.thin);
        }
        let next = most.or_an_eighth_more(self.size);
        self.limit = Some(if is_light { next } else { Size { light: limit.light, ..next } });
    }

    /// Whether this writer may still write.
    pub(super) fn check(&mut self, writer: &Writer) -> Result<&mut Writing> {
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

    pub(super) fn thin(&mut self, which: &[RecordId]) {
        for id in which {
            if let Some((record, bytes)) = self.records.get_mut(id) {
                let summary: Arc<[u8]> = summary_of(record, bytes).into();
                let before = Size::of(record);
                record.is_thinned |= summary.len() < bytes.len();
                self.size = self.size.minus(before).plus(Size::of(record));
                *bytes = summary;
                if record.is_thinned {
                    self.heavy.remove(id);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, which: &[RecordId]) {
        for (record, _) in which.iter().filter_map(|id| self.records.remove(id)) {
            self.heavy.remove(&record.id);
            self.size = self.size.minus(Size::of(&record));
        }
    }
}

pub(super) fn summary_of<'a>(record: &Record, bytes: &'a [u8]) -> &'a [u8] {
    let len = usize::try_from(record.summary_bytes).unwrap_or(usize::MAX);
    &bytes[..len.min(bytes.len())]
}

pub(super) fn nobody(session: &SessionId, rank: u32) -> Error {
    Error::not_found(format!("session {session}, rank {rank}: nobody has opened it"))
}

pub(super) fn gone(session: &SessionId, id: RecordId) -> Error {
    Error::not_found(format!("session {session}: there is no record {id}"))
}
