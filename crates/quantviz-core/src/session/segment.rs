//! The statistics of some hundred snapshots, turned so that what belongs to one parameter lies together.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::arrays::{ArrayElement, ArrayWriter, Arrays, Track, number_of, width_of};
use super::ids::RecordId;
use super::plan::with_schema;
use super::snapshot::{Snapshot, index_name};
use crate::{Error, Result};

/// One number of every snapshot: an element of an array of the light track.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The array.
    pub array: String,
    /// Which of its elements.
    pub at: u32,
}

impl Cell {
    /// An element of an array.
    pub fn new(array: impl Into<String>, at: u32) -> Self {
        Cell { array: array.into(), at }
    }

    /// What a snapshot, or its summary, has there; not a number where it has nothing.
    pub fn of(&self, snapshot: &Snapshot) -> f32 {
        snapshot.element(&self.array, self.at as usize).unwrap_or(f32::NAN)
    }
}

/// What a segment is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SegmentHeader {
    /// The version of what is written.
    pub schema: u32,
    /// The snapshots, in order.
    pub records: Vec<RecordId>,
}

/// A segment, or its beginning: arrays of one row for each parameter, in which there is a number for each snapshot. So a
/// history is one run of bytes.
#[derive(Clone, Debug)]
pub struct Segment {
    header: SegmentHeader,
    arrays: Arrays,
}

impl Segment {
    const SCHEMA: u32 = 1;

    /// The bytes of a segment of the summaries of snapshots: those arrays are in it that all of them have, in one shape.
    pub fn write(snapshots: &[(RecordId, Snapshot)]) -> Result<Vec<u8>> {
        let mut arrays = ArrayWriter::default();
        let Some(((_, first), others)) = snapshots.split_first() else {
            return Err(Error::malformed("a segment of no snapshots"));
        };
        for name in first.arrays().names() {
            let slot = first.arrays().slot(name);
            // Rows that are of other parameters in every snapshot cannot lie together.
            let group = name.split_once('.').map_or(name, |(group, _)| group);
            let indices = [index_name(name), index_name(group)];
            let takes_turns = |it: &Snapshot| indices.iter().any(|index| it.arrays().slot(index).is_some());
            if name.ends_with(".of") || snapshots.iter().any(|(_, it)| takes_turns(it)) {
                continue;
            }
            if others.iter().any(|(_, other)| {
                other.arrays().slot(name).map(|it| (&it.dtype, &it.shape))
                    != slot.map(|it| (&it.dtype, &it.shape))
            }) {
                continue;
            }
            match slot.map(|slot| slot.dtype.as_str()) {
                Some("F32") => turn::<f32>(name, snapshots, &mut arrays),
                Some("U32") => turn::<u32>(name, snapshots, &mut arrays),
                Some("BF16") => turn::<half::bf16>(name, snapshots, &mut arrays),
                Some("U16") => turn::<u16>(name, snapshots, &mut arrays),
                _ => {}
            }
        }
        let records = snapshots.iter().map(|(id, _)| *id).collect();
        Ok(arrays.finish(&SegmentHeader { schema: Segment::SCHEMA, records })?.bytes)
    }

    /// Reads a segment, of which the header is enough.
    pub fn parse(bytes: impl Into<std::sync::Arc<[u8]>>) -> Result<Self> {
        let arrays = Arrays::parse(bytes)?;
        let header = with_schema(&arrays, Segment::SCHEMA)?;
        Ok(Segment { header, arrays })
    }

    /// The snapshots, in order.
    pub fn records(&self) -> &[RecordId] {
        &self.header.records
    }

    /// The bytes in the file that hold a cell of all snapshots; `None` where the segment does not have it.
    pub fn place(&self, cell: &Cell) -> Option<Range<u64>> {
        let slot = self.arrays.slot(&cell.array)?;
        let len = width_of(&slot.dtype)?.checked_mul(self.header.records.len())?;
        let begin = slot.bytes.start.checked_add(len.checked_mul(cell.at as usize)?)?;
        let end = begin.checked_add(len).filter(|&end| end <= slot.bytes.end)?;
        Some(begin as u64..end as u64)
    }

    /// What the bytes at the place of a cell say, a number for each snapshot.
    pub fn numbers(&self, cell: &Cell, bytes: &[u8]) -> Option<Vec<f32>> {
        let slot = self.arrays.slot(&cell.array)?;
        bytes.chunks_exact(width_of(&slot.dtype)?).map(|it| number_of(&slot.dtype, it)).collect()
    }
}

fn turn<T: ArrayElement>(name: &str, snapshots: &[(RecordId, Snapshot)], arrays: &mut ArrayWriter) {
    let columns: Option<Vec<_>> = snapshots.iter().map(|(_, it)| it.arrays().get::<T>(name)).collect();
    // Arrays beyond the end of a summary are not in it.
    let Some(columns) = columns else { return };
    let len = columns.first().map_or(0, |column| column.len());
    let turned: Vec<T> = (0..len).flat_map(|at| columns.iter().map(move |column| column[at])).collect();
    arrays.push(Track::Light, name, &[len, columns.len()], &turned);
}
