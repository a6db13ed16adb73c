//! Reading the elements of a view in the order of its shape, wherever its strides send them.

use std::iter;
use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Result, Shape, Sink};

use super::bytes::{Bytes, Held};
use crate::bytes::{read_elements, with_buffer};
use crate::file::ModelFile;

/// Elements of a storage. That all of them are within it has been checked.
#[derive(Debug)]
pub(super) struct View {
    pub(super) bytes: Bytes,
    /// Elements before the first.
    pub(super) offset: u64,
    /// Elements between neighbours along each axis, unless they lie row after row.
    pub(super) strides: Option<Vec<u64>>,
}

/// Bytes of elements that are delivered at once, and that one read takes at most. For a matrix that lies on its side
/// every block is spread over the whole storage: the larger blocks are, the fewer times it is read.
const BLOCK_BYTES: u64 = 16 << 20;
/// Bytes per element that a read may take: more of it are better read on their own.
const GAP: u64 = 4096;

/// The bytes that reading a view takes, of those between its first and its last element.
pub(super) fn bytes_to_read(elements: u64, span_bytes: u64) -> u64 {
    span_bytes.min(elements.saturating_mul(GAP))
}

impl View {
    /// Pushes the elements `range`, which are known to be there.
    pub(super) fn read(
        &self,
        file: &ModelFile,
        dtype: DType,
        shape: &Shape,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match (&self.strides, &self.bytes) {
            (Some(strides), _) => self.gather(file, dtype, shape.dims(), strides, range, sink),
            (None, Bytes::Stored(extent)) => {
                let shifted = self.offset + range.start..self.offset + range.end;
                let mut shift =
                    |block: Block<'_>| sink.block(Block { start: block.start - self.offset, ..block });
                read_elements(file, extent.offset, dtype, shifted, &mut shift)
            }
            (None, Bytes::Held(held)) => {
                let elements = elements_of(held, dtype, self.offset + range.start, range.end - range.start)?;
                Ok(sink.block(Block { start: range.start, elements }))
            }
        }
    }

    /// Reads elements that are near each other together, and puts each where the shape wants it.
    fn gather(
        &self,
        file: &ModelFile,
        dtype: DType,
        dims: &[u64],
        strides: &[u64],
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let bits = dtype.bits().filter(|bits| dtype.is_numeric() && bits % 8 == 0);
        let width = bits.map(|bits| u64::from(bits / 8)).ok_or_else(|| no_numbers(dtype))?;
        let mut found = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + BLOCK_BYTES / width);
            let flow = with_buffer((end - start) * width, |buffer| {
                let mut copy = Copy { view: self, file, width, found: &mut found, buffer };
                for part in boxes(dims, start..end) {
                    let (mut axes, place, slot) = axes_of(&part, dims, strides);
                    copy.elements(&mut axes, self.offset + place, slot - start)?;
                }
                let elements = Elements::from_bytes(dtype, buffer, 0, in_block(end - start));
                Ok(sink.block(Block { start, elements: elements.ok_or_else(|| no_numbers(dtype))? }))
            })?;
            if flow.is_break() {
                return Ok(flow);
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// One axis of a box of elements.
#[derive(Clone, Copy)]
struct Axis {
    len: u64,
    /// Elements of the storage between neighbours.
    stride: u64,
    /// Elements of the shape between neighbours.
    slots: u64,
}

impl Axis {
    /// Elements of the storage between the first and the last.
    fn reach(&self) -> u64 {
        (self.len - 1) * self.stride
    }
}

/// Copying from a storage into a block.
struct Copy<'a> {
    view: &'a View,
    file: &'a ModelFile,
    width: u64,
    /// Room for what a read finds.
    found: &'a mut Vec<u8>,
    buffer: &'a mut [u8],
}

impl Copy<'_> {
    /// Copies a box whose first element is at `place` of the storage to the slots from `slot` on: by one read where
    /// its elements are near each other, else one half after the other.
    fn elements(&mut self, axes: &mut [Axis], place: u64, slot: u64) -> Result<()> {
        let bytes = (1 + axes.iter().map(Axis::reach).sum::<u64>()) * self.width;
        let elements = axes.iter().fold(1u64, |product, axis| product.saturating_mul(axis.len));
        if bytes <= BLOCK_BYTES && bytes == bytes_to_read(elements, bytes) {
            self.found.resize(in_block(bytes), 0);
            self.view.bytes.read_at(self.file, place * self.width, self.found)?;
            self.scatter(axes, 0, slot);
            return Ok(());
        }
        // A single element spans one, so that there is an axis to halve.
        let Some(longest) = (0..axes.len()).max_by_key(|&axis| axes[axis].reach()) else { return Ok(()) };
        let axis = axes[longest];
        let half = axis.len / 2;
        axes[longest].len = half;
        self.elements(axes, place, slot)?;
        axes[longest].len = axis.len - half;
        self.elements(axes, place + half * axis.stride, slot + half * axis.slots)?;
        axes[longest] = axis;
        Ok(())
    }

    /// Copies what was found to where the shape wants it.
    fn scatter(&mut self, axes: &[Axis], place: u64, slot: u64) {
        match axes {
            [] => {
                let width = in_block(self.width);
                let (from, to) = (in_block(place) * width, in_block(slot) * width);
                self.buffer[to..to + width].copy_from_slice(&self.found[from..from + width]);
            }
            [axis, rest @ ..] => {
                for at in 0..axis.len {
                    self.scatter(rest, place + at * axis.stride, slot + at * axis.slots);
                }
            }
        }
    }
}

/// The axes of a box, the widest stride first; its first element's place in the storage, and its place in the shape.
fn axes_of(part: &[Range<u64>], dims: &[u64], strides: &[u64]) -> (Vec<Axis>, u64, u64) {
    let (mut place, mut slot, mut slots) = (0, 0, 1);
    let mut axes = Vec::with_capacity(dims.len());
    for ((range, dim), &stride) in part.iter().zip(dims).zip(strides).rev() {
        place += range.start * stride;
        slot += range.start * slots;
        axes.push(Axis { len: range.end - range.start, stride, slots });
        slots *= dim;
    }
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.stride));
    (axes, place, slot)
}

/// The boxes that a run of elements, in the order of the shape, is made of.
fn boxes(dims: &[u64], range: Range<u64>) -> Vec<Vec<Range<u64>>> {
    let Some((_, rest)) = dims.split_first() else { return vec![Vec::new()] };
    let row: u64 = rest.iter().product();
    let in_row = |index: u64, range: Range<u64>| {
        boxes(rest, range).into_iter().map(move |part| iter::once(index..index + 1).chain(part).collect())
    };
    let (whole_start, whole_end) = (range.start.div_ceil(row), range.end / row);
    if whole_start > whole_end {
        let before = whole_end * row;
        return in_row(whole_end, range.start - before..range.end - before).collect();
    }
    let mut parts = Vec::new();
    if range.start < whole_start * row {
        parts.extend(in_row(whole_start - 1, range.start - (whole_start - 1) * row..row));
    }
    if whole_start < whole_end {
        parts.push(iter::once(whole_start..whole_end).chain(rest.iter().map(|&dim| 0..dim)).collect());
    }
    if whole_end * row < range.end {
        parts.extend(in_row(whole_end, 0..range.end - whole_end * row));
    }
    parts
}

fn elements_of(held: &Held, dtype: DType, first: u64, len: u64) -> Result<Elements<'_>> {
    let width = dtype.bits().map_or(1, |bits| bits.div_ceil(8) as usize);
    // What Rust takes for a slice of numbers must not end inside one.
    let bytes = held.as_slice();
    let bytes = &bytes[..bytes.len() / width * width];
    let numbers = Some(bytes).filter(|_| dtype.is_numeric());
    numbers
        .zip(usize::try_from(first).ok())
        .zip(usize::try_from(len).ok())
        .and_then(|((bytes, first), len)| Elements::from_bytes(dtype, bytes, first, len))
        .ok_or_else(|| no_numbers(dtype))
}

fn no_numbers(dtype: DType) -> Error {
    Error::unsupported(format!("{dtype} values cannot be read one by one"))
}

/// Within a block or a read, whose sizes are bounded.
fn in_block(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
