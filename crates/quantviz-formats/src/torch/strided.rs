//! Reading the elements of a view in the order of its shape, wherever its strides send them.

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

/// Elements that are gathered at once: as many as fit one piece of a scan.
const AT_ONCE: u64 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 22;
/// Bytes nobody wants between two that are wanted, for which a second read would cost more.
const GAP: u64 = 4096;
/// Bytes that one read takes at most.
const READ_BYTES: u64 = 1 << 20;

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

    /// Reads near elements together, in the order of the storage, and puts each where the shape wants it.
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
        let last: u64 = dims.iter().zip(strides).map(|(dim, stride)| (dim - 1) * stride).sum();
        if last >> (u64::BITS - SLOT_BITS) > 0 {
            return Err(Error::unsupported("it is a view of too large a storage"));
        }
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut found: Vec<u8> = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + AT_ONCE);
            wanted.clear();
            wanted.extend((0..end - start).zip(places(dims, strides, start)).map(Wanted::new));
            wanted.sort();
            let flow = with_buffer((end - start) * width, |buffer| {
                for run in wanted.chunk_by(|a, b| (b.place() - a.place()) * width <= GAP) {
                    self.fetch(file, run, width, &mut found, buffer)?;
                }
                let elements = Elements::from_bytes(dtype, buffer, 0, wanted.len());
                Ok(sink.block(Block { start, elements: elements.ok_or_else(|| no_numbers(dtype))? }))
            })?;
            if flow.is_break() {
                return Ok(flow);
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads elements that are near each other, in pieces, and copies them to their slots of `buffer`.
    fn fetch(
        &self,
        file: &ModelFile,
        mut run: &[Wanted],
        width: u64,
        found: &mut Vec<u8>,
        buffer: &mut [u8],
    ) -> Result<()> {
        while let Some(first) = run.first().map(|it| it.place()) {
            let taken = run.partition_point(|it| (it.place() - first + 1) * width <= READ_BYTES).max(1);
            let last = run[taken - 1].place();
            found.resize(in_block((last - first + 1) * width), 0);
            self.bytes.read_at(file, (self.offset + first) * width, found)?;
            for it in &run[..taken] {
                let (from, to) = (in_block((it.place() - first) * width), in_block(it.slot() * width));
                buffer[to..][..in_block(width)].copy_from_slice(&found[from..][..in_block(width)]);
            }
            run = &run[taken..];
        }
        Ok(())
    }
}

/// An element that is wanted: its place in the storage above, its slot in the block below, so that sorting orders by
/// place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted(u64);

impl Wanted {
    fn new((slot, place): (u64, u64)) -> Self {
        Wanted(place << SLOT_BITS | slot)
    }

    fn place(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    fn slot(self) -> u64 {
        self.0 % AT_ONCE
    }
}

/// The places in the storage of the elements from `start` on, in the order of the shape.
fn places(dims: &[u64], strides: &[u64], start: u64) -> impl Iterator<Item = u64> {
    let mut index = vec![0; dims.len()];
    let mut rest = start;
    for (at, dim) in index.iter_mut().zip(dims).rev() {
        *at = rest % dim;
        rest /= dim;
    }
    let mut place: u64 = index.iter().zip(strides).map(|(at, stride)| at * stride).sum();
    std::iter::from_fn(move || {
        let here = place;
        for ((at, dim), stride) in index.iter_mut().zip(dims).zip(strides).rev() {
            if *at + 1 < *dim {
                *at += 1;
                place += stride;
                break;
            }
            place -= *at * stride;
            *at = 0;
        }
        Some(here)
    })
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
