//! Tensors of which the file holds only the elements that are not zero, read as if it held all.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Result, Shape, Sink};

use super::places::Location;
use crate::bytes::with_buffer;

/// The elements that are there, and where they belong.
pub(super) struct Sparse {
    pub(super) values: Location,
    pub(super) indices: Location,
    /// How many there are.
    pub(super) count: u64,
    /// Whether an index has a number for every axis, instead of one for the whole tensor.
    pub(super) by_axis: bool,
}

/// Elements that are delivered at a time.
const AT_ONCE: u64 = 1 << 16;

impl Sparse {
    /// Pushes the elements `range`, which are known to be within `shape`. `read` reads one of the two tensors.
    pub(super) fn read(
        &self,
        dtype: DType,
        shape: &Shape,
        range: Range<u64>,
        read: impl Fn(&Location, DType, Range<u64>, &mut dyn Sink) -> Result<ControlFlow<()>>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        // Codes below a byte would have to be packed, and small floats are nowhere sparse.
        let is_small_float = dtype.bits() == Some(8) && !matches!(dtype, DType::I8 | DType::U8);
        let width =
            dtype.bits().filter(|bits| bits % 8 == 0 && !is_small_float).map(|bits| u64::from(bits / 8));
        let width = width.ok_or_else(|| Error::unsupported(format!("sparse {dtype} cannot be read")))?;
        let places = self.places(shape, &read)?;
        let before = |index: u64| places.partition_point(|&place| place < index);
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + AT_ONCE);
            let (first, last) = (before(start), before(end));
            let flow = with_buffer((end - start) * width, |buffer| {
                buffer.fill(0);
                let mut here = places[first..last].iter();
                let mut put = |block: Block<'_>| {
                    for (value, place) in
                        bytes_of(&block.elements).chunks_exact(width as usize).zip(&mut here)
                    {
                        let at = ((place - start) * width) as usize;
                        buffer[at..at + value.len()].copy_from_slice(value);
                    }
                    ControlFlow::Continue(())
                };
                let _ = read(&self.values, dtype, first as u64..last as u64, &mut put)?;
                let elements = Elements::from_bytes(dtype, buffer, 0, (end - start) as usize);
                let elements = elements.ok_or_else(|| Error::malformed("the values read are no elements"))?;
                Ok(sink.block(Block { start, elements }))
            })?;
            if flow.is_break() {
                return Ok(flow);
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Where the elements belong, in ascending order.
    fn places(
        &self,
        shape: &Shape,
        read: impl Fn(&Location, DType, Range<u64>, &mut dyn Sink) -> Result<ControlFlow<()>>,
    ) -> Result<Vec<u64>> {
        let per_place = if self.by_axis { shape.rank() as u64 } else { 1 };
        let mut numbers: Vec<i64> = Vec::new();
        let mut take = |block: Block<'_>| {
            if let Elements::I64(indices) = block.elements {
                numbers.extend_from_slice(indices);
            }
            ControlFlow::Continue(())
        };
        let _ = read(&self.indices, DType::I64, 0..self.count * per_place, &mut take)?;
        let dims = if self.by_axis { shape.dims() } else { &[shape.elements()] };
        let mut places = Vec::with_capacity(numbers.len() / dims.len().max(1));
        for index in numbers.chunks_exact(dims.len().max(1)) {
            let within = |(&number, &dim): (&i64, &u64)| u64::try_from(number).ok().filter(|&it| it < dim);
            let place = index
                .iter()
                .zip(dims)
                .try_fold(0, |place, (number, dim)| Some(place * dim + within((number, dim))?));
            let place =
                place.ok_or_else(|| Error::malformed(format!("its index {index:?} is not within it")))?;
            if places.last().is_some_and(|&last| last >= place) {
                return Err(Error::malformed(format!(
                    "its index {index:?} does not come after the one before"
                )));
            }
            places.push(place);
        }
        Ok(places)
    }
}

fn bytes_of<'a>(elements: &Elements<'a>) -> &'a [u8] {
    match elements {
        Elements::F64(slice) => bytemuck::cast_slice(slice),
        Elements::F32(slice) => bytemuck::cast_slice(slice),
        Elements::F16(slice) => bytemuck::cast_slice(slice),
        Elements::Bf16(slice) => bytemuck::cast_slice(slice),
        Elements::I64(slice) => bytemuck::cast_slice(slice),
        Elements::I32(slice) => bytemuck::cast_slice(slice),
        Elements::I16(slice) => bytemuck::cast_slice(slice),
        Elements::I8(slice) => bytemuck::cast_slice(slice),
        Elements::U64(slice) => bytemuck::cast_slice(slice),
        Elements::U32(slice) => bytemuck::cast_slice(slice),
        Elements::U16(slice) => bytemuck::cast_slice(slice),
        Elements::U8(slice) => slice,
        _ => &[],
    }
}
