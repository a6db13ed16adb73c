//! Segments: the statistics of some hundred snapshots turned into columns, so that a history is a few reads and not as many
//! as there are snapshots.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;
use quantviz_core::{Cell, Result, Segment};

use super::bundles::Bundles;
use super::keys::Covered;
use super::place::Place;

/// Enough for the header of most.
const FIRST_READ: u64 = 1 << 16;
/// The longest header that is read.
const LONGEST_HEADER: u64 = 1 << 24;
/// What is remembered at most: the headers of a million snapshots.
const REMEMBERED: usize = 4096;

/// Headers that were read, for they never change; `None` for those that are damaged.
pub(super) type Headers = Arc<Mutex<HashMap<Path, Option<Arc<Segment>>>>>;

/// The segments of one session.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    pub(super) bundles: Bundles,
    pub(super) headers: Headers,
}

impl Segments {
    fn place(&self) -> &Place {
        &self.bundles.listing.place
    }

    /// The segment that covers these; `None` where it cannot be read.
    pub(super) async fn open(&self, covered: &Covered) -> Option<Arc<Segment>> {
        let key = self.bundles.key(covered);
        let known = self.headers.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return known;
        }
        // One that could not be asked for may be there the next time.
        let header = self.header(&key).await.ok()??;
        let segment = Segment::parse(header).ok().filter(|segment| is_of(segment, covered)).map(Arc::new);
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        if headers.len() >= REMEMBERED {
            headers.clear();
        }
        headers.insert(key, segment.clone());
        segment
    }

    /// The bytes before the first array, as far as there are any.
    async fn header(&self, key: &Path) -> Result<Option<Arc<[u8]>>> {
        let Some((bytes, _)) = self.place().read(key, FIRST_READ).await? else { return Ok(None) };
        let len = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
        let len = len.saturating_add(size_of::<u64>() as u64).min(LONGEST_HEADER);
        let bytes = match len > bytes.len() as u64 {
            true => self.place().read(key, len).await?.map(|(bytes, _)| bytes),
            false => Some(bytes),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(bytes.map(|bytes| Arc::from(&bytes[..len.min(bytes.len())])))
    }

    /// What a segment has of these cells, as far as it [answers](Segment::answers) for them; `None` where it cannot be read.
    pub(super) async fn columns(
        &self,
        covered: &Covered,
        segment: &Segment,
        cells: &[Cell],
    ) -> Option<Vec<Option<Vec<f32>>>> {
        let nothing = || vec![f32::NAN; segment.records().len()];
        let places: Vec<_> =
            cells.iter().map(|cell| segment.place(cell).filter(|it| !it.is_empty())).collect();
        let ranges: Vec<_> = places.iter().flatten().cloned().collect();
        let mut read = match ranges.is_empty() {
            true => Vec::new(),
            false => self.place().read_ranges(&self.bundles.key(covered), &ranges).await.ok()?,
        }
        .into_iter();
        let columns = cells.iter().zip(places).map(|(cell, place)| match place {
            Some(_) => segment.numbers(cell, &read.next()?).map(Some),
            None => Some(segment.answers(cell).then(nothing)),
        });
        columns.collect()
    }
}

/// Whether a segment covers what its key says.
fn is_of(segment: &Segment, covered: &Covered) -> bool {
    let records = segment.records();
    records.len() as u64 == covered.count
        && records.first() == Some(&covered.first)
        && records.last().is_some_and(|last| last.seq == covered.last)
        && records.iter().all(|&id| covered.has(id))
        && records.is_sorted_by(|a, b| a < b)
}
