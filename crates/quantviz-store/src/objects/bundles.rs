//! Objects that each hold once more what some hundred records hold, so that all of it is a few reads.
//!
//! They can be computed from the log at any time, and nothing is known from them alone: one that is missing or damaged is
//! slow, and no error. One goes before any record of it does, so none is left of what was removed.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use quantviz_core::{Record, RecordId, RecordKind, Result};

use super::keys::{Covered, covered_by};
use super::listing::Listing;
use super::place::AT_ONCE;

/// What is kept once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Bundled {
    /// The statistics of snapshots, as columns: [segments](super::segments).
    Statistics,
    /// Small records that are read all at once, as they are: [packs](super::packs).
    Small,
}

/// No longer ones are small.
pub(super) const SMALL: u64 = 1 << 16;

impl Bundled {
    /// What becomes of a record.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let is_whole = !record.is_thinned && record.summary_bytes == record.bytes;
        match record.kind {
            RecordKind::Snapshot => Some(Bundled::Statistics),
            RecordKind::Scalars | RecordKind::Note if is_whole && record.bytes <= SMALL => {
                Some(Bundled::Small)
            }
            _ => None,
        }
    }

    /// So many more of a writer are worth an object.
    pub(super) fn worthwhile(self) -> usize {
        match self {
            Bundled::Statistics => super::compaction::FULL,
            Bundled::Small => super::packs::STEP,
        }
    }
}

/// The objects of one kind of a session.
#[derive(Clone, Debug)]
pub(super) struct Bundles {
    pub(super) listing: Listing,
    pub(super) of: Bundled,
}

impl Bundles {
    pub(super) fn key(&self, covered: &Covered) -> Path {
        self.listing.keys.bundle(self.of, covered)
    }

    /// Those of epochs of ranks, in the order of what they cover.
    pub(super) async fn of_epochs(&self, epochs: BTreeSet<(u32, u32)>) -> Result<Vec<Covered>> {
        let Listing { place, keys } = &self.listing;
        let listed = stream::iter(epochs).map(async |(rank, epoch)| {
            let keys = place.keys_in(&keys.bundles(self.of, rank, epoch), |_| true).await?;
            Ok(keys.iter().filter_map(|key| covered_by(key, rank, epoch)).collect::<Vec<Covered>>())
        });
        let mut found: Vec<Covered> = listed.buffered(AT_ONCE).try_concat().await?;
        found.sort_unstable();
        Ok(found)
    }

    /// Those of the epoch of a record.
    pub(super) async fn of_epoch(&self, id: RecordId) -> Result<Vec<Covered>> {
        self.of_epochs(BTreeSet::from([(id.rank, id.epoch)])).await
    }

    /// The same of the epochs of these records, as far as any of them is covered.
    pub(super) async fn that_cover(&self, which: impl Iterator<Item = RecordId>) -> Result<Vec<Covered>> {
        let ids: BTreeSet<RecordId> = which.collect();
        let mut found = self.of_epochs(ids.iter().map(|id| (id.rank, id.epoch)).collect()).await?;
        found.retain(|it| ids.range(it.first..=RecordId { seq: it.last, ..it.first }).next().is_some());
        Ok(found)
    }

    /// Deletes those that cover any of these records.
    pub(super) async fn remove(&self, which: &[RecordId]) -> Result<()> {
        let found = self.that_cover(which.iter().copied()).await?;
        self.delete(&found).await
    }

    pub(super) async fn delete(&self, which: &[Covered]) -> Result<()> {
        let keys: Vec<Path> = which.iter().map(|it| self.key(it)).collect();
        if keys.is_empty() { Ok(()) } else { self.listing.place.delete(keys).await }
    }
}
