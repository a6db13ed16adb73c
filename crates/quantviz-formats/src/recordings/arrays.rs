//! Arrays of numpy's as a source: one in a file, or many in an archive.

use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, PoisonError};

use quantviz_core::{
    Block, DType, Elements, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part, Result,
    Role, Shape, Sink, check_range, read_derived,
};

use super::header::{self, Header, LONGEST_START};
#[cfg(feature = "torch")]
use super::inflate::Inflater;
use crate::Limits;
use crate::bytes::{Extent, with_buffer};
use crate::file::{ModelFile, cut_short};

/// The arrays of a file.
pub(super) struct Arrays {
    file: ModelFile,
    model: Model,
    arrays: Vec<Array>,
    /// Bytes of one array that may be in memory at once.
    held_bytes: u64,
}

/// An array: where its elements are, or why they are not read.
struct Array {
    packed: Packed,
    elements: Result<Stored>,
    /// How far compressed bytes were read, and elements that had to be put in order.
    state: Mutex<State>,
}

/// The bytes of an array with its header.
#[derive(Clone, Copy)]
struct Packed {
    stored: Extent,
    /// How many there are once they are no longer compressed.
    len: u64,
    is_deflated: bool,
}

#[derive(Clone, Copy)]
struct Stored {
    /// The first byte of the elements, behind the header.
    offset: u64,
    bytes_each: u64,
    is_big_endian: bool,
    is_fortran: bool,
}

#[derive(Default)]
struct State {
    #[cfg(feature = "torch")]
    inflater: Option<Inflater>,
    /// All elements in the order of the others, where the file has them in another.
    turned: Option<Vec<u8>>,
}

/// Bytes that one read takes.
const READ_BYTES: u64 = 1 << 18;

impl Arrays {
    /// The one array of an `.npy` file.
    pub(super) fn alone(file: ModelFile, name: &str, limits: &Limits) -> Result<Self> {
        let stored = Extent { file: 0, offset: 0, len: file.len() };
        let packed = Packed { stored, len: stored.len, is_deflated: false };
        let mut arrays = Arrays::of(file, limits);
        arrays.add(name, Ok(packed), limits)?;
        arrays.model.add_module_layers();
        Ok(arrays)
    }

    /// The arrays of an `.npz` file, in the order of their names.
    #[cfg(feature = "torch")]
    pub(super) fn in_archive(file: ModelFile, limits: &Limits) -> Result<Self> {
        use crate::torch::{Archive, Entry};
        let whole = Extent { file: 0, offset: 0, len: file.len() };
        let mut budget = limits.pickle_bytes;
        let archive = Archive::open(&file, whole, limits, &mut budget)?;
        let mut arrays = Arrays::of(file, limits);
        for (name, entry) in archive.entries() {
            let packed = entry.map(|Entry { stored, len, is_deflated }| Packed { stored, len, is_deflated });
            arrays.add(name.strip_suffix(".npy").unwrap_or(name), packed, limits)?;
        }
        arrays.model.add_module_layers();
        Ok(arrays)
    }

    #[cfg(not(feature = "torch"))]
    pub(super) fn in_archive(_: ModelFile, _: &Limits) -> Result<Self> {
        Err(Error::unsupported("archives are not read by this build: it lacks the feature `torch`"))
    }

    fn of(file: ModelFile, limits: &Limits) -> Self {
        let mut model = Model::new(Format::Memory);
        model.file_bytes = file.len();
        Arrays { file, model, arrays: Vec::new(), held_bytes: limits.inflated_bytes }
    }

    /// Adds an array. One that is damaged alone is told of when it is read.
    fn add(&mut self, name: &str, packed: Result<Packed>, limits: &Limits) -> Result<()> {
        let header = packed.as_ref().map_err(Error::clone).and_then(|packed| self.header(*packed, limits));
        let (dtype, shape) = match &header {
            Ok((header, _)) => (header.dtype.clone().unwrap_or(DType::Unknown), header.shape.clone()),
            Err(_) => (DType::Unknown, Shape::scalar()),
        };
        let packed = packed.unwrap_or(Packed {
            stored: Extent { file: 0, offset: 0, len: 0 },
            len: 0,
            is_deflated: false,
        });
        let elements = header.and_then(|(header, offset)| Stored::of(&header, offset, packed.len));
        self.model.parameters.push(Parameter::new(name, dtype, shape, Role::Other));
        self.arrays.push(Array { packed, elements, state: Mutex::default() });
        Ok(())
    }

    /// The header of an array, and where the elements begin.
    fn header(&self, packed: Packed, limits: &Limits) -> Result<(Header, u64)> {
        let mut state = State::default();
        let mut read = |range: Range<u64>| {
            let mut bytes = vec![0; in_memory(range.end - range.start)?];
            self.read_packed(&mut state, packed, range.start, &mut bytes).map(|()| bytes)
        };
        let start = read(0..packed.len.min(LONGEST_START as u64))?;
        let (begin, end) = header::extent(&start)?;
        if end as u64 > packed.len {
            return Err(cut_short("the header of an array ends early"));
        }
        let text = read(begin as u64..end as u64)?;
        Ok((header::parse(&text, limits.rank)?, end as u64))
    }

    /// Fills `buffer` from what an array has at `offset`.
    fn read_packed(&self, state: &mut State, packed: Packed, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > packed.len) {
            return Err(cut_short("an array ends early"));
        }
        if !packed.is_deflated {
            return self.file.read_at(packed.stored.offset + offset, buffer);
        }
        #[cfg(feature = "torch")]
        {
            let is_behind = state.inflater.as_ref().is_none_or(|inflater| inflater.position() > offset);
            if is_behind {
                state.inflater = Some(Inflater::new(packed.stored));
            }
            if let Some(inflater) = &mut state.inflater {
                inflater.skip_to(&self.file, offset)?;
                inflater.fill(&self.file, buffer)?;
                if inflater.position() == packed.len {
                    state.inflater = None;
                }
            }
            Ok(())
        }
        #[cfg(not(feature = "torch"))]
        {
            let _ = state;
            Err(Error::unsupported("archives are not read by this build"))
        }
    }

    /// Fills `buffer` with elements, as little-endian bytes.
    fn fill(
        &self,
        array: &Array,
        stored: Stored,
        shape: &Shape,
        first: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let mut state = array.state.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.is_fortran {
            if state.turned.is_none() {
                state.turned = Some(self.turn(&mut state, array.packed, stored, shape)?);
            }
            let start = in_memory(first * stored.bytes_each)?;
            let turned = state.turned.as_deref().unwrap_or_default();
            buffer.copy_from_slice(&turned[start..start + buffer.len()]);
            // Whoever has read it to its end does not come back.
            if start + buffer.len() == turned.len() {
                state.turned = None;
            }
        } else {
            let offset = stored.offset + first * stored.bytes_each;
            self.read_packed(&mut state, array.packed, offset, buffer)?;
        }
        if stored.is_big_endian && stored.bytes_each > 1 {
            buffer.chunks_exact_mut(in_memory(stored.bytes_each)?).for_each(<[u8]>::reverse);
        }
        Ok(())
    }

    /// All elements with the last index counting fastest, where the first does in the file.
    fn turn(&self, state: &mut State, packed: Packed, stored: Stored, shape: &Shape) -> Result<Vec<u8>> {
        let bytes = shape.elements() * stored.bytes_each;
        if bytes > self.held_bytes {
            let message = format!(
                "it is in Fortran order, and its {bytes} bytes are too many to turn: save numpy.ascontiguousarray of it"
            );
            return Err(Error::limit(message).of_limit("inflated_bytes"));
        }
        let mut turned = Vec::new();
        let len = in_memory(bytes)?;
        turned.try_reserve_exact(len).map_err(|_| Error::limit("more than this machine's memory"))?;
        turned.resize(len, 0);
        let each = in_memory(stored.bytes_each)?;
        let dims = shape.dims();
        let mut place = vec![0; dims.len()];
        let mut buffer = vec![0; READ_BYTES.min(bytes) as usize / each * each];
        let mut done = 0;
        while done < len {
            let step = buffer.len().min(len - done);
            self.read_packed(state, packed, stored.offset + done as u64, &mut buffer[..step])?;
            for element in buffer[..step].chunks_exact(each) {
                let index = place.iter().zip(dims).fold(0, |index, (&at, &dim)| index * dim + at);
                let start = in_memory(index)? * each;
                turned[start..start + each].copy_from_slice(element);
                for (at, &dim) in place.iter_mut().zip(dims) {
                    *at += 1;
                    if *at < dim {
                        break;
                    }
                    *at = 0;
                }
            }
            done += step;
        }
        Ok(turned)
    }
}

impl Stored {
    /// Elements that fill exactly what is there.
    fn of(header: &Header, offset: u64, len: u64) -> Result<Self> {
        let dtype = header.dtype.clone().map_err(Error::unsupported)?;
        let bytes_each = u64::from(dtype.bits().unwrap_or(0) / 8);
        let there = len - offset.min(len);
        if header.shape.elements().checked_mul(bytes_each) != Some(there) {
            let message = format!(
                "its shape {} of {dtype} does not take the {there} bytes that are there",
                header.shape
            );
            return Err(Error::malformed(message));
        }
        let is_fortran = header.is_fortran && header.shape.dims().iter().filter(|&&dim| dim > 1).count() > 1;
        Ok(Stored { offset, bytes_each, is_big_endian: header.is_big_endian, is_fortran })
    }
}

impl ParameterSource for Arrays {
    fn model(&self) -> &Model {
        &self.model
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        if part != Part::Stored {
            return read_derived(self, id, part, range, sink);
        }
        let parameter = self.model.parameter(id);
        let mut read = || {
            let array = &self.arrays[id.index()];
            let stored = array.elements.clone()?;
            check_range(&range, parameter.shape.elements())?;
            let step = (READ_BYTES / stored.bytes_each).max(1);
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start + step);
                let flow = with_buffer((end - start) * stored.bytes_each, |buffer| {
                    self.fill(array, stored, &parameter.shape, start, buffer)?;
                    let elements = Elements::from_bytes(parameter.dtype, buffer, 0, in_memory(end - start)?);
                    let elements =
                        elements.ok_or_else(|| Error::malformed("the bytes read are no elements"))?;
                    Ok(sink.block(Block { start, elements }))
                })?;
                if flow.is_break() {
                    return Ok(flow);
                }
                start = end;
            }
            Ok(ControlFlow::Continue(()))
        };
        read().map_err(|error: Error| error.in_file(self.file.path()).in_tensor(&parameter.name))
    }
}

fn in_memory(count: u64) -> Result<usize> {
    usize::try_from(count).map_err(|_| Error::limit("more than this machine's memory"))
}
