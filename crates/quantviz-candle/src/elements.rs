//! Elements of one tensor, read where candle keeps them.

use std::ops::{ControlFlow, Range};

use candle_core::{CpuStorage, Layout, Storage, Tensor};
use quantviz_core::{Block, DType, Element, Elements, Error, Result, Sink, check_range};

/// How many elements are copied at once where they do not lie side by side.
const PIECE: usize = 4096;

/// What distinguishes tensors: names of one place are names of one tensor.
pub(crate) type Place = (usize, usize, Vec<usize>, Vec<usize>);

/// Where a tensor lies: the address of its storage, and which of it in which order.
pub(crate) fn place(tensor: &Tensor) -> Place {
    let (storage, layout) = tensor.storage_and_layout();
    let address = std::ptr::from_ref::<Storage>(&storage).addr();
    (address, layout.start_offset(), layout.dims().to_vec(), layout.stride().to_vec())
}

/// Why none of its elements can be read, if so.
pub(crate) fn obstacle(tensor: &Tensor) -> Option<Error> {
    let (storage, _) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F6E2M3(_) | CpuStorage::F6E3M2(_) | CpuStorage::F4(_)) => {
            Some(Error::unsupported("candle does not say how it packs these numbers"))
        }
        Storage::Cpu(_) => None,
        _ => Some(Error::unsupported("it lies on another device: make the network of copies on the CPU")),
    }
}

/// Runs one generic body for whichever type is stored. 8-bit floats are bytes, and the dtype that gives them a meaning.
macro_rules! for_stored {
    ($storage:expr, $slice:ident => $body:expr, $codes:ident as $dtype:ident => $coded:expr) => {
        match $storage {
            CpuStorage::U8($slice) => $body,
            CpuStorage::U32($slice) => $body,
            CpuStorage::I16($slice) => $body,
            CpuStorage::I32($slice) => $body,
            CpuStorage::I64($slice) => $body,
            CpuStorage::BF16($slice) => $body,
            CpuStorage::F16($slice) => $body,
            CpuStorage::F32($slice) => $body,
            CpuStorage::F64($slice) => $body,
            CpuStorage::F8E4M3(codes) => {
                let ($codes, $dtype) = (|place: usize| codes[place].to_bits(), DType::F8E4M3Fn);
                $coded
            }
            CpuStorage::F8E8M0(codes) => {
                let ($codes, $dtype) = (|place: usize| codes[place], DType::F8E8M0);
                $coded
            }
            _ => Err(Error::unsupported("candle does not say how it packs these numbers")),
        }
    };
}

/// Pushes the elements `range` into `sink`.
pub(crate) fn read(tensor: &Tensor, range: Range<u64>, sink: &mut dyn Sink) -> Result<ControlFlow<()>> {
    check_range(&range, tensor.elem_count() as u64)?;
    if let Some(error) = obstacle(tensor) {
        return Err(error);
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { return Ok(ControlFlow::Continue(())) };
    let range = range.start as usize..range.end as usize;
    if range.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    for_stored!(storage,
        slice => Ok(push(slice, layout, range, sink)),
        codes as dtype => Ok(push_copies(layout, range, codes, |start, piece: &[u8]| {
            let elements = Elements::from_bytes(dtype, piece, 0, piece.len());
            elements.map_or(ControlFlow::Break(()), |elements| sink.block(Block { start, elements }))
        }))
    )
}

/// Writes the elements at the indices `at` to `out`.
pub(crate) fn gather(tensor: &Tensor, at: &[u64], out: &mut [f32]) -> Result<()> {
    assert_eq!(at.len(), out.len(), "one place for every index");
    let len = tensor.elem_count() as u64;
    if let Some(&beyond) = at.iter().find(|&&index| index >= len) {
        return check_range(&(beyond..beyond.saturating_add(1)), len);
    }
    if let Some(error) = obstacle(tensor) {
        return Err(error);
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { return Ok(()) };
    let place = place_of(layout);
    let places = at.iter().map(|&index| place(index as usize)).zip(out);
    for_stored!(storage,
        slice => {
            places.for_each(|(place, out)| *out = slice[place].to_f64() as f32);
            Ok(())
        },
        codes as dtype => {
            places.for_each(|(place, out)| {
                let code = [codes(place)];
                let elements = Elements::from_bytes(dtype, &code, 0, 1);
                elements.iter().for_each(|it| it.for_each(|value| *out = value as f32));
            });
            Ok(())
        }
    )
}

fn push<T: Element>(
    values: &[T],
    layout: &Layout,
    range: Range<usize>,
    sink: &mut dyn Sink,
) -> ControlFlow<()> {
    if let Some((first, end)) = layout.contiguous_offsets() {
        let start = range.start as u64;
        return sink.block(Block { start, elements: T::elements(&values[first..end][range]) });
    }
    push_copies(
        layout,
        range,
        |place| values[place],
        |start, piece| sink.block(Block { start, elements: T::elements(piece) }),
    )
}

/// Copies elements from where they lie, in row-major order, piece by piece.
fn push_copies<T>(
    layout: &Layout,
    range: Range<usize>,
    value: impl Fn(usize) -> T,
    mut push: impl FnMut(u64, &[T]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let place = place_of(layout);
    let mut piece = Vec::with_capacity(PIECE.min(range.len()));
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + PIECE);
        piece.clear();
        piece.extend((start..end).map(|index| value(place(index))));
        push(start as u64, &piece)?;
        start = end;
    }
    ControlFlow::Continue(())
}

/// Where in the storage the element of a row-major index lies.
fn place_of(layout: &Layout) -> impl Fn(usize) -> usize {
    let contiguous = layout.contiguous_offsets().map(|(first, _)| first);
    move |index| match contiguous {
        Some(first) => first + index,
        None => {
            let axes = layout.dims().iter().zip(layout.stride()).rev();
            let add = |(rest, place), (&dim, &stride)| (rest / dim, place + rest % dim * stride);
            axes.fold((index, layout.start_offset()), add).1
        }
    }
}
