//! Packs: what small records hold, a thousand in one object, so that the scalars of a run of many hours are a few reads.
//!
//! The log says which records there are, and what a pack holds is taken only for a record that is there, of the same steps
//! and the same time: so none answers for what was removed, whoever has removed it. The last pack of an epoch grows: it is
//! written anew with what came since, and then the shorter one goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use quantviz_core::{Record, RecordId, Result};

use super::bundles::{Bundled, Bundles};
use super::compaction::{by_epoch, is_lasting, keep};
use super::keys::Covered;
use super::log::{Log, What};
use super::pack::Pack;
use super::place::AT_ONCE;
use super::runtime::aside;

/// How many records are in a pack: those of 20,000 seconds are 20 reads.
const FULL: usize = 1024;
/// The most that they may take.
const BYTES: u64 = 1 << 22;
/// The last pack grows by no fewer: so many are in none, at most.
pub(super) const STEP: usize = 64;
/// Whoever had to read so many alone writes packs.
pub(super) const MANY: usize = 512;
/// Where no more will come, or can come in between, fewer are worth an object; and fewer are read one by one.
const FEW: usize = 16;
/// The longest pack that is read.
const LONGEST: u64 = 1 << 24;

/// The packs of one session.
#[derive(Clone, Debug)]
pub(super) struct Packs(pub(super) Bundles);

impl Packs {
    /// The bytes of those records that are in packs, as far as that saves reads, and how many more there might be.
    pub(super) async fn read(&self, which: &[Record]) -> (BTreeMap<RecordId, Arc<[u8]>>, usize) {
        let small = which.iter().filter(|it| Bundled::of(it) == Some(Bundled::Small));
        let small: BTreeMap<RecordId, Record> = small.map(|it| (it.id, *it)).collect();
        if small.len() < FEW {
            return (BTreeMap::new(), 0);
        }
        // What cannot be listed is read one by one.
        let packs = self.0.that_cover(small.keys().copied()).await.unwrap_or_default();
        let small = Arc::new(small);
        let found = stream::iter(packs).map(|covered| self.find(covered, small.clone())).buffered(AT_ONCE);
        let found: Vec<_> = found.collect().await;
        let found: BTreeMap<RecordId, Arc<[u8]>> = found.into_iter().flatten().flatten().collect();
        let loose = small.len() - found.len();
        (found, loose)
    }

    async fn find(
        &self,
        covered: Covered,
        small: Arc<BTreeMap<RecordId, Record>>,
    ) -> Option<Vec<(RecordId, Arc<[u8]>)>> {
        let (bytes, size) = self.0.listing.place.read(&self.0.key(&covered), LONGEST).await.ok()??;
        let find = move || {
            let last = RecordId { seq: covered.last, ..covered.first };
            let wanted = small.range(covered.first..=last).map(|(_, record)| record);
            Ok(Pack::parse(Arc::from(&bytes[..])).and_then(|pack| pack.find(wanted)))
        };
        if size > LONGEST { None } else { aside(find).await.ok()? }
    }

    /// Brings the packs up to date: those of an epoch, or of all that is there. Returns how many were written.
    pub(super) async fn compact(&self, log: &Log, epoch: Option<RecordId>) -> Result<usize> {
        let mut after = 0;
        if let Some(id) = epoch {
            // Gaps before the last one are for whoever reads.
            let there = Packed::of(self.0.of_epoch(id).await?);
            after = there.settled.last().map_or(0, |it| it.last);
        }
        let mut written = 0;
        for (records, is_over) in by_epoch(log, epoch, after).await? {
            let there = Packed::of(self.0.of_epoch(records[0].id).await?);
            self.0.delete(&there.needless).await?;
            for group in there.groups(&records, is_over) {
                written += usize::from(self.write(log, &there, group).await?);
            }
        }
        Ok(written)
    }

    /// Writes a pack of these; `false` where there is nothing to be written.
    async fn write(&self, log: &Log, there: &Packed, records: Vec<Record>) -> Result<bool> {
        let ids: Vec<RecordId> = records.iter().map(|it| it.id).collect();
        let mut packed = Vec::with_capacity(ids.len());
        for (record, bytes) in records.into_iter().zip(log.read(ids.clone(), What::Whole).await?.answers) {
            match bytes {
                Ok(bytes) => packed.push((record, bytes)),
                Err(error) if is_lasting(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let (Some((first, _)), Some((last, _))) = (packed.first(), packed.last()) else { return Ok(false) };
        let covered = Covered {
            first: first.id,
            last: last.id.seq,
            count: packed.len() as u64,
            time_ms: first.time_ms,
        };
        let bytes = aside(move || Pack::write(&packed)).await?;
        let is_written = keep(log, &self.0, &covered, bytes, &ids).await?;
        if let Some(shorter) = there.growing.filter(|it| is_written && is_within(it, &covered)) {
            self.0.delete(&[shorter]).await?;
        }
        Ok(is_written)
    }
}

/// The packs of an epoch.
#[derive(Default)]
struct Packed {
    /// Those that stay as they are.
    settled: Vec<Covered>,
    /// The last one, if there is room in it.
    growing: Option<Covered>,
    /// Those that another holds: whoever wrote that one did not come to the end.
    needless: Vec<Covered>,
}

impl Packed {
    fn of(there: Vec<Covered>) -> Self {
        let is_needless = |it: &Covered| there.iter().any(|other| other != it && is_within(it, other));
        let (needless, mut settled): (Vec<_>, Vec<_>) = there.iter().copied().partition(is_needless);
        let growing = settled.pop_if(|last| last.count < FULL as u64);
        Packed { settled, growing, needless }
    }

    /// What packs there should be beside those that stay: full ones, and one that grows.
    fn groups(&self, records: &[Record], is_over: bool) -> Vec<Vec<Record>> {
        let mut groups = Vec::new();
        let mut group: Vec<Record> = Vec::new();
        let mut bytes = 0u64;
        let mut close = |group: &mut Vec<Record>, bytes: &mut u64, enough: usize| {
            *bytes = 0;
            let group = std::mem::take(group);
            let is_new = |it: &&Record| self.growing.is_none_or(|growing| !growing.has(it.id));
            if group.iter().filter(is_new).count() >= enough {
                groups.push(group);
            }
        };
        for record in records.iter().filter(|it| Bundled::of(it) == Some(Bundled::Small)) {
            let before = self.settled.partition_point(|it| it.first <= record.id);
            if before.checked_sub(1).is_some_and(|at| self.settled[at].has(record.id)) {
                close(&mut group, &mut bytes, FEW);
                continue;
            }
            if group.len() == FULL || bytes.saturating_add(record.bytes) > BYTES {
                close(&mut group, &mut bytes, FEW);
            }
            bytes = bytes.saturating_add(record.bytes);
            group.push(*record);
        }
        close(&mut group, &mut bytes, if is_over { FEW } else { STEP });
        groups
    }
}

fn is_within(one: &Covered, other: &Covered) -> bool {
    other.first <= one.first && one.last <= other.last && other.has(one.first)
}

#[cfg(test)]
mod tests {
    use quantviz_core::{Entry, Rank, RecordKind};

    use super::*;

    fn records(count: u64, bytes: usize) -> Vec<Record> {
        let entry = |seq| Entry::new(RecordKind::Scalars, seq, seq, vec![b' '; bytes]);
        (1..=count).map(|seq| Record::of(&entry(seq), Rank::ONLY, 1, 5)).collect()
    }

    fn covered(first: u64, last: u64) -> Covered {
        let first = RecordId { rank: 0, epoch: 1, seq: first };
        Covered { first, last, count: last - first.seq + 1, time_ms: 5 }
    }

    fn ends(there: Vec<Covered>, records: &[Record], is_over: bool) -> Vec<(u64, u64)> {
        let groups = Packed::of(there).groups(records, is_over);
        groups.iter().map(|it| (it[0].id.seq, it[it.len() - 1].id.seq)).collect()
    }

    #[test]
    fn the_last_pack_grows_until_it_is_full() {
        assert_eq!(ends(vec![], &records(63, 9), false), []);
        assert_eq!(ends(vec![], &records(63, 9), true), [(1, 63)]);
        assert_eq!(ends(vec![], &records(64, 9), false), [(1, 64)]);
        assert_eq!(ends(vec![covered(1, 64)], &records(127, 9), false), []);
        assert_eq!(ends(vec![covered(1, 64)], &records(128, 9), false), [(1, 128)]);
        assert_eq!(ends(vec![covered(1, 1000)], &records(1100, 9), false), [(1, 1024), (1025, 1100)]);
        assert_eq!(ends(vec![covered(1, 1024)], &records(1100, 9), false), [(1025, 1100)]);
        // Somebody was killed before the shorter one was deleted.
        let both = vec![covered(1, 64), covered(1, 128)];
        assert_eq!(ends(both.clone(), &records(192, 9), false), [(1, 192)]);
        assert_eq!(Packed::of(both).needless, [covered(1, 64)]);
    }

    #[test]
    fn gaps_are_filled_and_packs_have_no_more_bytes_than_they_may() {
        let there = vec![covered(1, 1024), covered(1100, 2123), covered(2124, 2200)];
        assert_eq!(ends(there, &records(2230, 9), false), [(1025, 1099)]);
        let large = usize::try_from(super::super::bundles::SMALL).expect("it is");
        let held = BYTES / large as u64;
        let records = records(held * 3, large);
        assert_eq!(
            ends(vec![covered(1, held)], &records, false),
            [(held + 1, 2 * held), (2 * held + 1, 3 * held)]
        );
    }
}
