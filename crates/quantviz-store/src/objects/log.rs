//! What is written into a session, read from it, and taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use quantviz_core::{Cursor, Entry, Error, ErrorKind, Record, RecordId, RecordKind, Result, Writer};

use super::bundles::{Bundled, Bundles};
use super::epochs::Epochs;
use super::keys::{MARKER, PARTS};
use super::listing::Listing;
use super::packs::Packs;
use super::place::AT_ONCE;

/// The most that an entry may take.
const LARGEST: u64 = 1 << 30;

/// What is asked for of a record.
#[derive(Clone, Copy)]
pub(super) enum What {
    Whole,
    Summary,
}

/// What was read.
pub(super) struct Read {
    /// Each record, or why not.
    pub(super) answers: Vec<Result<Arc<[u8]>>>,
    /// How many of them were small and in no pack.
    pub(super) loose: usize,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) epochs: Epochs,
}

impl Log {
    fn listing(&self) -> &Listing {
        &self.epochs.listing
    }

    pub(super) async fn records(&self, after: &Cursor) -> Result<Vec<Record>> {
        self.listing().records(after).await
    }

    /// The records of a rank behind one of them.
    pub(super) async fn records_of(&self, after: RecordId) -> Result<Vec<Record>> {
        self.listing().records_of(after.rank, Some(after)).await
    }

    /// Where small records are kept once more.
    pub(super) fn packs(&self) -> Packs {
        Packs(Bundles { listing: self.listing().clone(), of: Bundled::Small })
    }

    /// When any rank was last heard from.
    pub(super) async fn heard(&self) -> Result<Option<u64>> {
        let ranks = stream::iter(self.listing().ranks().await?).map(|rank| async move {
            match self.listing().last_epoch(rank).await? {
                Some(epoch) => self.epochs.heard(rank, epoch).await.map(Some),
                None => Ok(None),
            }
        });
        let heard: Vec<Result<Option<u64>>> = ranks.buffered(AT_ONCE).collect().await;
        heard.into_iter().try_fold(None, |last, heard| Ok(last.max(heard?)))
    }

    /// The last place that a writer has written to.
    pub(super) async fn last_seq(&self, writer: &Writer) -> Result<u64> {
        let last = self.listing().last_in(writer.rank.index(), writer.epoch).await?;
        Ok(last.map_or(0, |last| last.id.seq))
    }

    /// Keeps an entry in a place that is behind all others or, where it was sent before, finds it kept.
    pub(super) async fn keep(&self, writer: &Writer, entry: &Entry, now: u64) -> Result<Record> {
        let record = Record::of(entry, writer.rank, writer.epoch, now);
        if record.bytes > LARGEST {
            let bytes = record.bytes;
            return Err(self.about(
                record.id,
                ErrorKind::Limit,
                &format!("has {bytes} bytes, more than {LARGEST}"),
            ));
        }
        let key = self.listing().keys.record(&record);
        if !self.listing().place.create(&key, Bytes::from_owner(entry.bytes.clone())).await? {
            return self.resent(writer, entry, now).await;
        }
        // Whoever claimed the next epoch before this was written may have missed it; then it was not written.
        match self.epochs.check(writer).await {
            Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) => {
                self.listing().place.delete(vec![key]).await?;
                Err(error)
            }
            outcome => outcome.map(|()| record),
        }
    }

    /// What becomes of an entry whose place is not behind all others.
    pub(super) async fn resent(&self, writer: &Writer, entry: &Entry, now: u64) -> Result<Record> {
        let record = Record::of(entry, writer.rank, writer.epoch, now);
        let Some(kept) = self.listing().find(&[record.id]).await?.remove(&record.id) else {
            return entry.resent(None, &record);
        };
        let bytes = self.bytes_of(&kept, size_of(&kept)).await?;
        entry.resent(Some((&kept, &bytes)), &record)
    }

    /// The first bytes of a record.
    async fn bytes_of(&self, record: &Record, len: u64) -> Result<Bytes> {
        let Listing { place, keys } = self.listing();
        if len > LARGEST {
            let why = format!("has {len} bytes, more than {LARGEST}");
            return Err(self.about(record.id, ErrorKind::Limit, &why));
        }
        let kept = size_of(record);
        match place.read(&keys.record(record), len).await? {
            Some((bytes, size)) if size == kept && bytes.len() as u64 == len => Ok(bytes),
            Some((_, size)) => Err(self.about(
                record.id,
                ErrorKind::Malformed,
                &format!("is damaged: it has {size} bytes of {kept}; remove it, and the rest can be read"),
            )),
            None => Err(self.gone(record.id)),
        }
    }

    /// Records, each or why not: whole, or their summaries.
    pub(super) async fn read(&self, which: Vec<RecordId>, what: What) -> Result<Read> {
        let found = self.listing().find(&which).await?;
        let asked: Vec<Record> = which.iter().filter_map(|id| found.get(id).copied()).collect();
        let (mut known, loose) = self.packs().read(&asked).await;
        let files: BTreeMap<RecordId, Record> =
            asked.into_iter().filter(|it| !known.contains_key(&it.id)).map(|it| (it.id, it)).collect();
        known.extend(self.read_files(files.into_values().collect(), what).await);
        let wanted: Vec<_> =
            which.iter().map(|id| (*id, found.get(id).copied(), known.get(id).cloned())).collect();
        let answers = stream::iter(wanted).map(|(id, record, known)| async move {
            if let Some(bytes) = known {
                return Ok(bytes);
            }
            let record = record.ok_or_else(|| self.gone(id))?;
            let bytes = match what {
                What::Whole => self.whole(&record).await,
                What::Summary => self.summary(&record).await,
            };
            bytes.map(|bytes| Arc::from(&bytes[..]))
        });
        Ok(Read { answers: answers.buffered(AT_ONCE).collect().await, loose })
    }

    /// Those that are files, and as they should be.
    async fn read_files(&self, records: Vec<Record>, what: What) -> Vec<(RecordId, Arc<[u8]>)> {
        let Listing { place, keys } = self.listing();
        let len = |it: &Record| match what {
            What::Whole if it.is_thinned => None,
            What::Whole => Some(it.bytes),
            What::Summary => Some(it.summary_bytes),
        };
        let with_len =
            records.into_iter().filter_map(|it| Some((it, len(&it).filter(|&len| len <= LARGEST)?)));
        let (records, wanted): (Vec<Record>, Vec<(Path, u64)>) =
            with_len.map(|(it, len)| (it, (keys.record(&it), len))).unzip();
        let read = place.read_files(&wanted).await;
        let whole = records.iter().zip(&wanted).zip(read).filter_map(|((record, (_, len)), read)| {
            let (bytes, _) =
                read.filter(|(bytes, size)| *size == size_of(record) && bytes.len() as u64 == *len)?;
            Some((record.id, Arc::from(&bytes[..])))
        });
        whole.collect()
    }

    /// Which of these are there.
    pub(super) async fn found(&self, which: &[RecordId]) -> Result<BTreeSet<RecordId>> {
        let found = self.listing().find(which).await?;
        Ok(which.iter().copied().filter(|id| found.contains_key(id)).collect())
    }

    async fn whole(&self, record: &Record) -> Result<Bytes> {
        if record.is_thinned {
            return Err(self.only_the_summary(record.id));
        }
        match self.bytes_of(record, record.bytes).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let is_left = self.listing().find(&[record.id]).await?.contains_key(&record.id);
                Err(if is_left { self.only_the_summary(record.id) } else { error })
            }
            outcome => outcome,
        }
    }

    async fn summary(&self, record: &Record) -> Result<Bytes> {
        match self.bytes_of(record, record.summary_bytes).await {
            // It may have been thinned this very moment.
            Err(error) if error.kind() == ErrorKind::NotFound && !record.is_thinned => {
                self.bytes_of(&as_thinned(record), record.summary_bytes).await
            }
            outcome => outcome,
        }
    }

    /// Writes summaries as objects of their own, and then deletes the whole ones.
    pub(super) async fn thin(&self, which: Vec<RecordId>) -> Result<()> {
        let Listing { place, .. } = self.listing();
        let found = self.listing().find(&which).await?;
        let is_asked: BTreeSet<RecordId> = which.into_iter().collect();
        let whole: Vec<Record> = found
            .into_iter()
            .filter(|(id, it)| is_asked.contains(id) && it.heavy_bytes() > 0)
            .map(|(_, it)| it)
            .collect();
        let logs = whole.into_iter().map(|record| (record, self.clone()));
        let thinned = stream::iter(logs).map(|(record, log)| async move {
            let Listing { place, keys } = log.listing();
            let summary = match log.bytes_of(&record, record.summary_bytes).await {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                outcome => outcome?,
            };
            place.create(&keys.record(&as_thinned(&record)), summary).await?;
            Ok(Some(keys.record(&record)))
        });
        let thinned: Vec<Result<Option<Path>>> = thinned.buffered(AT_ONCE).collect().await;
        let (heavy, failed): (Vec<_>, Vec<_>) = thinned.into_iter().partition(Result::is_ok);
        place.delete(heavy.into_iter().flatten().flatten().collect()).await?;
        failed.into_iter().next().map_or(Ok(()), |error| error.map(drop))
    }

    pub(super) async fn remove(&self, which: Vec<RecordId>) -> Result<()> {
        let Listing { place, keys } = self.listing();
        let found = self.listing().find(&which).await?;
        let mut batch = Vec::new();
        for record in which.iter().filter_map(|id| found.get(id)) {
            let both = [keys.record(record), keys.record(&as_thinned(record))];
            if record.kind == RecordKind::Opened {
                // It supersedes what is older: all before it in the order has to be gone.
                place.delete(std::mem::take(&mut batch)).await?;
                place.delete(both.into()).await?;
            } else {
                batch.extend(both);
            }
        }
        place.delete(batch).await
    }

    /// Removes what is ours, and nothing else that may be in its folder.
    pub(super) async fn remove_all(&self) -> Result<()> {
        let Listing { place, keys } = self.listing();
        if place.read(&keys.marker(), 0).await?.is_none() {
            return Ok(());
        }
        for part in PARTS {
            place.delete(place.keys(&keys.part(part), None).await?).await?;
        }
        place.delete(vec![keys.part(MARKER)]).await
    }

    fn only_the_summary(&self, id: RecordId) -> Error {
        let session = &self.epochs.session;
        Error::not_found(format!("session {session}: of record {id} only the summary was kept"))
    }

    fn gone(&self, id: RecordId) -> Error {
        Error::not_found(format!("session {}: there is no record {id}", self.epochs.session))
    }

    fn about(&self, id: RecordId, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("session {}: record {id} {what}", self.epochs.session))
    }
}

/// How large its object is.
fn size_of(record: &Record) -> u64 {
    if record.is_thinned { record.summary_bytes } else { record.bytes }
}

/// What is known of a record when only its summary is left.
fn as_thinned(record: &Record) -> Record {
    let mut thinned = *record;
    thinned.is_thinned = true;
    thinned
}
