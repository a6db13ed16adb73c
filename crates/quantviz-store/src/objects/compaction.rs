//! Writing [segments](super::segments).

use bytes::Bytes;
use quantviz_core::{Cursor, Error, ErrorKind, Record, RecordId, RecordKind, Result, Segment, Snapshot};

use super::bundles::Bundles;
use super::keys::Covered;
use super::log::{Log, What};
use super::runtime::aside;
use super::segments::Segments;

/// How many snapshots are in a segment: a history of 10,000 is 39 reads, and what is not in one yet 255 at most.
pub(super) const FULL: usize = 256;
/// Fewer are not worth an object, even where no more will come.
const SMALLEST: usize = 16;
/// The most that the summaries may take that are turned at a time.
const BYTES: u64 = 1 << 26;

/// Brings the segments of records up to date: those of an epoch, or of all that is there. Returns how many were written.
pub(super) async fn compact(log: &Log, segments: &Segments, epoch: Option<RecordId>) -> Result<usize> {
    let mut after = 0;
    if let Some(id) = epoch {
        // What is behind the last segment is what is new; gaps before it are for whoever reads.
        after = segments.bundles.of_epoch(id).await?.last().map_or(0, |it| it.last);
    }
    let mut written = 0;
    for (records, is_over) in by_epoch(log, epoch, after).await? {
        let there = segments.bundles.of_epoch(records[0].id).await?;
        for group in groups(&records, &there, is_over) {
            written += usize::from(write(log, segments, group).await?);
        }
    }
    Ok(written)
}

/// The records of an epoch behind a place, or all there are, epoch by epoch, each with whether no more will come.
pub(super) async fn by_epoch(
    log: &Log,
    epoch: Option<RecordId>,
    after: u64,
) -> Result<Vec<(Vec<Record>, bool)>> {
    let records = match epoch {
        Some(id) => log.records_of(RecordId { seq: after, ..id }).await?,
        None => log.records(&Cursor::default()).await?,
    };
    let of_epochs: Vec<&[Record]> =
        records.chunk_by(|a, b| (a.id.rank, a.id.epoch) == (b.id.rank, b.id.epoch)).collect();
    let is_over = |at: usize, id: RecordId| {
        of_epochs.get(at + 1).is_some_and(|next: &&[Record]| next[0].id.rank == id.rank)
    };
    let each = of_epochs.iter().enumerate().map(|(at, same)| (same.to_vec(), is_over(at, same[0].id)));
    Ok(each.filter(|(same, _)| epoch.is_none_or(|id| id.epoch == same[0].id.epoch)).collect())
}

/// What segments there should be, beside those that are: full ones, and smaller ones where no more will come.
fn groups(records: &[Record], there: &[Covered], is_over: bool) -> Vec<Vec<Record>> {
    let mut groups = Vec::new();
    let mut group: Vec<Record> = Vec::new();
    let mut bytes = 0u64;
    let mut close = |group: &mut Vec<Record>, bytes: &mut u64| {
        *bytes = 0;
        let group = std::mem::take(group);
        if group.len() >= SMALLEST {
            groups.push(group);
        }
    };
    for record in records.iter().filter(|it| it.kind == RecordKind::Snapshot) {
        let before = there.partition_point(|it| it.first <= record.id);
        if before.checked_sub(1).is_some_and(|at| there[at].has(record.id)) {
            close(&mut group, &mut bytes);
            continue;
        }
        if group.len() == FULL || bytes.saturating_add(record.summary_bytes) > BYTES {
            close(&mut group, &mut bytes);
        }
        bytes = bytes.saturating_add(record.summary_bytes);
        group.push(*record);
    }
    if is_over || group.len() == FULL {
        close(&mut group, &mut bytes);
    }
    groups
}

/// Writes a segment of these; `false` where there is nothing to be written.
async fn write(log: &Log, segments: &Segments, records: Vec<Record>) -> Result<bool> {
    let ids: Vec<RecordId> = records.iter().map(|it| it.id).collect();
    let mut snapshots = Vec::with_capacity(ids.len());
    let (mut first, mut last) = (None, 0);
    for (record, summary) in records.iter().zip(log.read(ids.clone(), What::Summary).await?.answers) {
        match summary.and_then(Snapshot::parse) {
            Ok(snapshot) => {
                first.get_or_insert(record);
                last = record.id.seq;
                snapshots.push((record.id, snapshot));
            }
            Err(error) if is_lasting(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let (Some(first), count) = (first, snapshots.len() as u64) else { return Ok(false) };
    let covered = Covered { first: first.id, last, count, time_ms: first.time_ms };
    let bytes = aside(move || Segment::write(&snapshots)).await?;
    keep(log, &segments.bundles, &covered, bytes, &ids).await
}

/// Writes what these records hold; `false` where it is there already, or one of them is gone.
pub(super) async fn keep(
    log: &Log,
    bundles: &Bundles,
    covered: &Covered,
    bytes: Vec<u8>,
    ids: &[RecordId],
) -> Result<bool> {
    if !bundles.listing.place.create(&bundles.key(covered), Bytes::from(bytes)).await? {
        return Ok(false);
    }
    // Whoever has removed records meanwhile may have missed it.
    let left = log.found(ids).await?;
    if ids.iter().all(|id| left.contains(id)) {
        return Ok(true);
    }
    bundles.delete(&[*covered]).await?;
    Ok(false)
}

/// Whether what could not be read will never be readable.
pub(super) fn is_lasting(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Limit | ErrorKind::NotFound)
}
