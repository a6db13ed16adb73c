//! Where the elements of tensors are: in the model's own file, in files beside it, in nodes.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;

use onnx_ir::TensorProto;
use quantviz_core::{
    Block, DType, Elements, Error, ErrorKind, ParameterId, Result, Shape, Sink, byte_len, one_line,
};

use super::flatten::SparseTensor;
use super::sparse::Sparse;
use super::typed::TypedValues;
use super::wire::{Payload, Span};
use crate::bytes::{Extent, read_elements, with_buffer};
use crate::confined::{beside, refuse_link_out};
use crate::file::{ModelFile, cut_short};
use crate::{Limits, stand_in};

/// The files of a model, and where in them the elements of its tensors are.
pub(super) struct Places {
    /// The model itself, then the files with external data.
    files: Vec<ModelFile>,
    file_at: HashMap<PathBuf, usize>,
    limits: Limits,
    /// Bytes that the tensors so far take, or would.
    data_bytes: u64,
    payloads: Vec<Noted>,
    /// Bytes that sparse tensors take beyond those in the file.
    zero_bytes: u64,
    /// One for each parameter.
    locations: Vec<Location>,
}

/// Where the elements of a tensor are.
pub(super) enum Location {
    Bytes(Extent),
    Typed(TypedValues),
    Sparse(Box<Sparse>),
    /// The one element there is, as memory holds it.
    Here([u8; 8]),
    /// Where another parameter has them.
    Same(ParameterId),
    Unreadable(ErrorKind, String),
}

/// What the walk noted of a tensor: a function's are asked for whenever it is called.
enum Noted {
    Payload(Payload),
    Taken(ParameterId),
}

impl Places {
    pub(super) fn new(model: ModelFile, payloads: Vec<Payload>, limits: Limits) -> Self {
        Places {
            file_at: HashMap::from([(model.path().to_owned(), 0)]),
            files: vec![model],
            limits,
            data_bytes: 0,
            payloads: payloads.into_iter().map(Noted::Payload).collect(),
            zero_bytes: 0,
            locations: Vec::new(),
        }
    }

    /// The model's own file.
    pub(super) fn model(&self) -> &ModelFile {
        &self.files[0]
    }

    /// The bytes of all files.
    pub(super) fn file_bytes(&self) -> u64 {
        self.files.iter().map(ModelFile::len).sum()
    }

    /// Notes where the elements of the next parameter are.
    pub(super) fn push(&mut self, location: Location) {
        self.locations.push(location);
    }

    /// Pushes elements of a parameter, which are known to be within `shape`, into `sink`.
    pub(super) fn read(
        &self,
        id: ParameterId,
        dtype: DType,
        shape: &Shape,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        self.read_at(&self.locations[id.index()], dtype, shape, range, sink)
    }

    fn read_at(
        &self,
        location: &Location,
        dtype: DType,
        shape: &Shape,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match location {
            Location::Bytes(extent) => {
                read_elements(&self.files[extent.file], extent.offset, dtype, range, sink)
            }
            Location::Typed(values) => values.read(&self.files[0], range, sink),
            Location::Sparse(sparse) => {
                let read = |location: &Location, dtype, range, sink: &mut dyn Sink| {
                    self.read_at(location, dtype, shape, range, sink)
                };
                sparse.read(dtype, shape, range, read, sink)
            }
            Location::Here(_) if range.is_empty() => Ok(ControlFlow::Continue(())),
            Location::Here(bytes) => with_buffer(bytes.len() as u64, |buffer| {
                buffer.copy_from_slice(bytes);
                let elements = Elements::from_bytes(dtype, buffer, 0, 1);
                let elements = elements.ok_or_else(|| Error::malformed("the value is no element"))?;
                Ok(sink.block(Block { start: 0, elements }))
            }),
            Location::Same(first) => self.read_at(&self.locations[first.index()], dtype, shape, range, sink),
            Location::Unreadable(kind, message) => Err(Error::new(*kind, message)),
        }
    }

    /// Where a tensor has its elements.
    pub(super) fn locate(
        &mut self,
        tensor: &TensorProto,
        dtype: DType,
        shape: &Shape,
        id: ParameterId,
    ) -> Result<Location> {
        if tensor.segment.is_some() {
            let message = "tensors in segments are not supported".to_owned();
            return Ok(Location::Unreadable(ErrorKind::Unsupported, message));
        }
        if matches!(dtype, DType::String | DType::Unknown) {
            return Ok(Location::Unreadable(
                ErrorKind::Unsupported,
                format!("{dtype} values cannot be read"),
            ));
        }
        let expected = self.count_bytes(dtype, shape)?;
        if tensor.data_location.value() == EXTERNAL {
            return Ok(match self.locate_external(tensor, expected) {
                Ok(extent) => Location::Bytes(extent),
                Err(error) => Location::Unreadable(error.kind(), unreadable_message(&error)),
            });
        }
        let payload = match self.take_payload(&tensor.raw_data, id)? {
            Ok(payload) => payload,
            Err(first) => return Ok(Location::Same(first)),
        };
        let plain = |span: Span| {
            if span.len == expected {
                return Ok(Location::Bytes(Extent { file: 0, offset: span.offset, len: span.len }));
            }
            let message = format!("{dtype} {shape} takes {expected} bytes, its data has {}", span.len);
            Err(Error::malformed(message).at_byte(span.offset))
        };
        if let Some(raw) = payload.raw.filter(|raw| raw.len > 0 || payload.typed.is_empty()) {
            return plain(raw);
        }
        match TypedValues::new(dtype, shape.elements(), payload) {
            Some(values) => match values.as_plain_bytes() {
                Some(span) => plain(span),
                None => Ok(Location::Typed(values)),
            },
            None => {
                let message = format!("{dtype} {shape} has no data, or too little");
                Ok(Location::Unreadable(ErrorKind::Malformed, message))
            }
        }
    }

    /// The same of a tensor of which the file holds only some elements.
    pub(super) fn locate_sparse(
        &mut self,
        sparse: &SparseTensor,
        dtype: DType,
        shape: &Shape,
        id: ParameterId,
    ) -> Location {
        match self.try_sparse(sparse, dtype, shape, id) {
            Ok(sparse) => Location::Sparse(Box::new(sparse)),
            Err(error) => Location::Unreadable(error.kind(), unreadable_message(&error)),
        }
    }

    /// The same of a list that an attribute holds, and how many elements there are, unless another parameter has them.
    pub(super) fn locate_list(
        &mut self,
        ticket: &[u8],
        dtype: DType,
        id: ParameterId,
    ) -> Result<(u64, Location)> {
        let payload = match self.take_payload(ticket, id)? {
            Ok(payload) => payload,
            Err(first) => return Ok((0, Location::Same(first))),
        };
        let values = TypedValues::of_all(dtype, payload, &self.files[0])?;
        let elements = values.elements();
        Ok(match values.as_plain_bytes() {
            Some(Span { offset, len }) => (elements, Location::Bytes(Extent { file: 0, offset, len })),
            None => (elements, Location::Typed(values)),
        })
    }

    fn try_sparse(
        &mut self,
        sparse: &SparseTensor,
        dtype: DType,
        shape: &Shape,
        id: ParameterId,
    ) -> Result<Sparse> {
        let dims = |tensor: &TensorProto| shape_of(&tensor.dims, 2);
        let (values, indices) = (dims(&sparse.values)?, dims(&sparse.indices)?);
        let count = values.elements();
        if count > shape.elements() {
            return Err(Error::malformed(format!("it has {count} values, its shape {}", shape.elements())));
        }
        let by_axis = match *indices.dims() {
            [length] if length == count => false,
            [length, rank] if length == count && rank == shape.rank() as u64 => true,
            _ => return Err(Error::malformed(format!("it has {count} values and {indices} indices"))),
        };
        if sparse.indices.data_type != INT64 {
            return Err(Error::malformed("its indices are not i64"));
        }
        // Small files can stand for very many zeros, and all of them are looked at.
        self.zero_bytes = self.zero_bytes.saturating_add(self.count_bytes(dtype, shape)?);
        if self.zero_bytes > self.limits.inflated_bytes {
            let message = format!(
                "the sparse tensors up to here stand for more than {} bytes",
                self.limits.inflated_bytes
            );
            return Err(Error::limit(message).of_limit("inflated_bytes"));
        }
        let values = self.locate(&sparse.values, dtype, &values, id)?;
        let indices = self.locate(&sparse.indices, DType::I64, &indices, id)?;
        Ok(Sparse { values, indices, count, by_axis })
    }

    /// The bytes of a tensor, counted among those of all.
    fn count_bytes(&mut self, dtype: DType, shape: &Shape) -> Result<u64> {
        let bytes = byte_len(dtype, shape)?;
        self.data_bytes = self.data_bytes.saturating_add(bytes);
        if self.data_bytes > self.limits.data_bytes {
            let message = format!("the tensors up to here take more than {} bytes", self.limits.data_bytes);
            return Err(Error::limit(message).of_limit("data_bytes"));
        }
        Ok(bytes)
    }

    /// What the walk noted about a tensor, or the parameter that has it already. In the copy, its data is the number of
    /// the note.
    fn take_payload(&mut self, ticket: &[u8], id: ParameterId) -> Result<Result<Payload, ParameterId>> {
        if ticket.is_empty() {
            return Ok(Ok(Payload::default()));
        }
        let ticket = <[u8; 4]>::try_from(ticket).ok().map(u32::from_le_bytes);
        let noted = ticket.and_then(|ticket| self.payloads.get_mut(ticket as usize));
        let noted = noted.ok_or_else(|| Error::malformed("its data was lost"))?;
        match std::mem::replace(noted, Noted::Taken(id)) {
            Noted::Payload(payload) => Ok(Ok(payload)),
            Noted::Taken(first) => {
                *noted = Noted::Taken(first);
                Ok(Err(first))
            }
        }
    }

    fn locate_external(&mut self, tensor: &TensorProto, expected: u64) -> Result<Extent> {
        let entry = |key: &str| {
            let entry = tensor.external_data.iter().rev().find(|entry| entry.key == key);
            entry.map(|entry| entry.value.as_str())
        };
        let number = |key: &str| {
            let parse = |text: &str| text.trim().parse::<u64>().ok();
            entry(key)
                .map(|text| parse(text).ok_or_else(|| Error::malformed(format!("its {key} is {text:?}"))))
        };
        let location =
            entry("location").ok_or_else(|| Error::malformed("it has external data without a location"))?;
        let file = self.external_file(location)?;
        let file_len = self.files[file].len();
        let offset = number("offset").transpose()?.unwrap_or(0);
        let len = number("length").transpose()?.unwrap_or(expected);
        if len != expected {
            return Err(Error::malformed(format!("it takes {expected} bytes, its external data has {len}")));
        }
        let path = self.files[file].path();
        let message = || format!("its {len} bytes at {offset} are beyond the end, byte {file_len}");
        match offset.checked_add(len) {
            Some(end) if end <= file_len => Ok(Extent { file, offset, len }),
            Some(_) => Err(stand_in::error_of(path).unwrap_or_else(|| cut_short(message()).in_file(path))),
            None => Err(Error::malformed(message()).in_file(path)),
        }
    }

    fn external_file(&mut self, location: &str) -> Result<usize> {
        let model = self.files[0].path();
        let path = beside(model, location)?;
        if let Some(&file) = self.file_at.get(&path) {
            return Ok(file);
        }
        refuse_link_out(model, &path)?;
        let file = self.files.len();
        self.files.push(ModelFile::open_beside(file, &path)?);
        self.file_at.insert(path, file);
        Ok(file)
    }
}

/// `TensorProto.DataType.INT64`
const INT64: i32 = 7;
/// `TensorProto.DataLocation.EXTERNAL`
const EXTERNAL: i32 = 1;

/// The shape that these dimensions are, of which there may be so many.
pub(super) fn shape_of(dims: &[i64], most: usize) -> Result<Shape> {
    if dims.len() > most {
        let message = format!("it has {} dimensions, more than {most}", dims.len());
        return Err(Error::limit(message).of_limit("rank"));
    }
    let dims: Result<Vec<u64>, _> = dims.iter().map(|&dim| u64::try_from(dim)).collect();
    Shape::new(dims.map_err(|_| Error::malformed("its shape has a negative dimension"))?)
}

fn unreadable_message(error: &Error) -> String {
    match error.file() {
        Some(file) => one_line(&format!("{}: {}", file.display(), error.message())),
        None => error.message().to_owned(),
    }
}
