//! Which records there are, from keys alone.
//!
//! Services list keys in their order, so whoever sees a record sees those before it. Folders are read in no order: of two
//! files that are made meanwhile, the second may be seen and not the first. So there, the last record of a rank is looked up
//! first, and then all up to this one are listed: those were all there before the listing began.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use quantviz_core::{Cursor, Record, RecordId, Result};

use super::keys::{Keys, last_number, record_of, seq_in};
use super::place::{AT_ONCE, Place};

/// The records of one session.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) place: Place,
    pub(super) keys: Keys,
}

impl Listing {
    /// The records that the cursor has not passed.
    pub(super) async fn records(&self, after: &Cursor) -> Result<Vec<Record>> {
        if *after == Cursor::default() && self.place.folder.is_none() {
            let keys = self.place.keys(&self.keys.log(), None).await?;
            return Ok(one_each(keys).into_values().collect());
        }
        let ranks = self.ranks().await?;
        let of_ranks = stream::iter(ranks).map(|rank| self.records_of(rank, after.of(rank)));
        of_ranks.buffered(AT_ONCE).try_concat().await
    }

    /// The records of a rank behind one of them.
    pub(super) async fn records_of(&self, rank: u32, after: Option<RecordId>) -> Result<Vec<Record>> {
        let found = if self.place.folder.is_some() {
            self.up_to_the_last(rank, after).await?
        } else {
            let behind = after.map(|id| self.keys.behind(id));
            one_each(self.place.keys(&self.keys.log_of(rank), behind.as_ref()).await?)
        };
        Ok(found.into_values().collect())
    }

    async fn up_to_the_last(&self, rank: u32, after: Option<RecordId>) -> Result<BTreeMap<RecordId, Record>> {
        let mut found = BTreeMap::new();
        let Some(last) = self.last_of(rank).await?.filter(|last| Some(last.id) > after) else {
            return Ok(found);
        };
        let first = after.unwrap_or(RecordId { rank, epoch: 0, seq: 0 });
        let folders = self.keys.folder(first)..=self.keys.folder(last.id);
        for epoch in self.numbers(&self.keys.log_of(rank)).await? {
            if !(first.epoch..=last.id.epoch).contains(&epoch) {
                continue;
            }
            for folder in self.place.folders(&self.keys.epoch(rank, epoch)).await? {
                if folders.contains(&folder) {
                    found.extend(self.in_folder(&folder).await?);
                }
            }
        }
        found.retain(|id, _| Some(*id) > after && *id <= last.id);
        Ok(found)
    }

    /// The ranks of which anything is left.
    pub(super) async fn ranks(&self) -> Result<Vec<u32>> {
        self.numbers(&self.keys.log()).await
    }

    /// The last record of a rank.
    async fn last_of(&self, rank: u32) -> Result<Option<Record>> {
        for epoch in self.numbers(&self.keys.log_of(rank)).await?.into_iter().rev() {
            if let Some(last) = self.last_in(rank, epoch).await? {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }

    /// The last record of an epoch.
    pub(super) async fn last_in(&self, rank: u32, epoch: u32) -> Result<Option<Record>> {
        for folder in self.place.folders(&self.keys.epoch(rank, epoch)).await?.iter().rev() {
            if let Some((_, last)) = self.in_folder(folder).await?.pop_last() {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }

    /// The last epoch of a rank of which anything is left.
    pub(super) async fn last_epoch(&self, rank: u32) -> Result<Option<u32>> {
        Ok(self.numbers(&self.keys.log_of(rank)).await?.pop())
    }

    /// What is known of these, as far as they are there.
    pub(super) async fn find(&self, which: &[RecordId]) -> Result<BTreeMap<RecordId, Record>> {
        let mut folders: BTreeMap<Path, BTreeSet<u64>> = BTreeMap::new();
        for &id in which {
            folders.entry(self.keys.folder(id)).or_default().insert(id.seq);
        }
        // Keys of others are not even read.
        let listed = stream::iter(folders).map(async |(folder, wanted)| {
            self.those_in_folder(&folder, |name| seq_in(name).is_some_and(|seq| wanted.contains(&seq))).await
        });
        let found: Vec<_> = listed.buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn in_folder(&self, folder: &Path) -> Result<BTreeMap<RecordId, Record>> {
        self.those_in_folder(folder, |_| true).await
    }

    async fn those_in_folder(
        &self,
        folder: &Path,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<RecordId, Record>> {
        let mut keys = self.place.keys_in(folder, &is_wanted).await?;
        if !self.place.was_still(folder) {
            // What is thinned at this moment may have been missed under either key: the second one is there by now.
            keys.extend(self.place.keys_in(folder, &is_wanted).await?);
        }
        Ok(one_each(keys))
    }

    async fn numbers(&self, below: &Path) -> Result<Vec<u32>> {
        let mut numbers: Vec<u32> = self.place.folders(below).await?.iter().filter_map(last_number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// A record may be there twice: whole and thinned, when whoever thinned it did not come to the end; or, if somebody writes
/// with one right in two places, as two entries, of which all readers take the same.
fn one_each(keys: Vec<Path>) -> BTreeMap<RecordId, Record> {
    let mut found: BTreeMap<RecordId, (Record, Path)> = BTreeMap::new();
    for key in keys {
        let Some(record) = record_of(&key) else { continue };
        let rank = |record: &Record, key: &Path| (record.is_thinned, key.clone());
        match found.get(&record.id) {
            Some((known, its_key)) if rank(known, its_key) <= rank(&record, &key) => {}
            _ => drop(found.insert(record.id, (record, key))),
        }
    }
    found.into_iter().map(|(id, (record, _))| (id, record)).collect()
}
