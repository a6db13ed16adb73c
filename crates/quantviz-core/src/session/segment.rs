//! The statistics of some hundred snapshots, turned so that what belongs to one parameter lies together.

use std::collections::BTreeSet;
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
    /// The arrays that some of them have and the segment has not, because they are not of one shape in all of them, or of
    /// other parameters in every one.
    #[serde(default)]
    pub left_out: BTreeSet<String>,
}

/// A segment, or its beginning: arrays of one row for each parameter, in which there is a number for each snapshot. So a
/// history is one run of bytes.
///
/// ```
/// use quantviz_core::{ArrayWriter, Cell, Rank, RecordId, Segment, Snapshot, SnapshotHeader, Track};
///
/// let mut snapshots = Vec::new();
/// for step in 0..3u8 {
///     let mut arrays = ArrayWriter::default();
///     arrays.push(Track::Light, "w.std", &[2], &[0.5, f32::from(step)]);
///     let written = SnapshotHeader::new("run", Rank::ONLY, step.into(), "plan").write(arrays)?;
///     snapshots.push((RecordId { rank: 0, epoch: 1, seq: step.into() }, Snapshot::parse(written.bytes)?));
/// }
/// let bytes = Segment::write(&snapshots)?;
/// let segment = Segment::parse(bytes.clone())?;
/// let cell = Cell::new("w.std", 1);
/// let place = segment.place(&cell).expect("all of them have it");
/// let column = &bytes[place.start as usize..place.end as usize];
/// assert_eq!(segment.numbers(&cell, column), Some(vec![0.0, 1.0, 2.0]));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
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
        let Some((_, first)) = snapshots.first() else {
            return Err(Error::malformed("a segment of no snapshots"));
        };
        let all = || snapshots.iter().map(|(_, snapshot)| snapshot);
        let names =
            all().flat_map(|it| it.arrays().names().filter(|name| it.arrays().number(name, 0).is_some()));
        let mut left_out = BTreeSet::new();
        for name in names.collect::<BTreeSet<&str>>() {
            let shape = |it: &Snapshot| it.arrays().slot(name).map(|it| (it.dtype.clone(), it.shape.clone()));
            let of_all = shape(first).filter(|same| all().all(|it| shape(it).as_ref() == Some(same)));
            let dtype = of_all.filter(|_| !all().any(|it| takes_turns(it, name))).map(|(dtype, _)| dtype);
            let is_in = match dtype.as_deref() {
                Some("F32") => turn::<f32>(name, snapshots, &mut arrays),
                Some("U32") => turn::<u32>(name, snapshots, &mut arrays),
                Some("BF16") => turn::<half::bf16>(name, snapshots, &mut arrays),
                Some("U16") => turn::<u16>(name, snapshots, &mut arrays),
                Some("I16") => turn::<i16>(name, snapshots, &mut arrays),
                Some("U8") => turn::<u8>(name, snapshots, &mut arrays),
                _ => false,
            };
            if !is_in {
                left_out.insert(name.to_owned());
            }
        }
        let records = snapshots.iter().map(|(id, _)| *id).collect();
        Ok(arrays.finish(&SegmentHeader { schema: Segment::SCHEMA, records, left_out })?.bytes)
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

    /// Whether the segment is all that has to be asked about a cell. If it is, and has [no place](Segment::place) for the
    /// cell, then no snapshot has it.
    pub fn answers(&self, cell: &Cell) -> bool {
        !self.header.left_out.contains(&cell.array)
    }

    /// The bytes in the file that hold a cell of all snapshots; `None` where the segment does not have it.
    pub fn place(&self, cell: &Cell) -> Option<Range<u64>> {
        let slot = self.arrays.slot(&cell.array)?;
        let len = width_of(&slot.dtype)?.checked_mul(self.header.records.len())?;
        let begin = slot.bytes.start.checked_add(len.checked_mul(cell.at as usize)?)?;
        let end = begin.checked_add(len).filter(|&end| end <= slot.bytes.end)?;
        Some(begin as u64..end as u64)
    }

    /// What the bytes at the place of a cell say, a number for each snapshot; `None` where they are not as many.
    pub fn numbers(&self, cell: &Cell, bytes: &[u8]) -> Option<Vec<f32>> {
        let slot = self.arrays.slot(&cell.array)?;
        let len = width_of(&slot.dtype)?.checked_mul(self.header.records.len())?;
        if bytes.len() != len {
            return None;
        }
        bytes.chunks_exact(width_of(&slot.dtype)?).map(|it| number_of(&slot.dtype, it)).collect()
    }
}

/// Whether the rows of an array may be of other parameters in every snapshot: those cannot lie together.
fn takes_turns(snapshot: &Snapshot, name: &str) -> bool {
    let group = name.split_once('.').map_or(name, |(group, _)| group);
    let indices = [index_name(name), index_name(group)];
    name.ends_with(".of") || indices.iter().any(|index| snapshot.arrays().slot(index).is_some())
}

/// Adds an array, the number of one place of all snapshots after that of another; `false` where a snapshot has not all of it.
fn turn<T: ArrayElement>(name: &str, snapshots: &[(RecordId, Snapshot)], arrays: &mut ArrayWriter) -> bool {
    let columns: Option<Vec<_>> = snapshots.iter().map(|(_, it)| it.arrays().get::<T>(name)).collect();
    let Some(columns) = columns else { return false };
    let len = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let turned: Vec<T> = (0..len).flat_map(|at| columns.iter().map(move |column| column[at])).collect();
    arrays.push(Track::Light, name, &[len, columns.len()], &turned);
    true
}
