//! The tensors of an ONNX file: their types, and where their elements are.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use onnx_ir::{AttributeProto, TensorProto};
use quantviz_core::{
    Block, DType, Elements, Error, ErrorKind, Parameter, ParameterId, Part, Result, Role, Shape, Sink,
    Warning, WarningKind, byte_len, check_range, one_line,
};

use super::flatten::SparseTensor;
use super::packed::Packed;
use super::sparse::Sparse;
use super::typed::TypedValues;
use super::wire::{Payload, Span};
use crate::Limits;
use crate::bytes::{Extent, read_elements, with_buffer};
use crate::confined::{beside, refuse_link_out};
use crate::file::ModelFile;

/// All tensors of a model: the parameters they make, and the way to their elements.
pub(super) struct Tensors {
    /// The model itself, then the files with external data.
    files: Vec<ModelFile>,
    file_at: HashMap<PathBuf, usize>,
    limits: Limits,
    /// Bytes that the tensors so far take, or would.
    data_bytes: u64,
    payloads: Vec<Noted>,
    /// Bytes that sparse tensors take beyond those in the file.
    zero_bytes: u64,
    locations: Vec<Location>,
    /// External data that some tensor already claimed.
    external: HashMap<Extent, ParameterId>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) warnings: Vec<Warning>,
    /// Parameters whose quantization there was a warning about.
    undescribed: HashSet<ParameterId>,
    packed_codes: HashMap<ParameterId, Packed>,
    packed_zero_points: HashMap<ParameterId, Packed>,
    listed: HashMap<ParameterId, Listed>,
}

/// Scales and zero-points that are no tensors.
pub(super) struct Listed {
    pub(super) scales: Vec<f64>,
    pub(super) zero_points: Vec<f64>,
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

/// `TensorProto.DataType`, by number.
pub(super) fn dtype_of(data_type: i32) -> DType {
    match data_type {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        8 => DType::String,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        14 => DType::C64,
        15 => DType::C128,
        16 => DType::Bf16,
        17 => DType::F8E4M3Fn,
        18 => DType::F8E4M3FnUz,
        19 => DType::F8E5M2,
        20 => DType::F8E5M2FnUz,
        21 => DType::U4,
        22 => DType::I4,
        23 => DType::F4E2M1,
        24 => DType::F8E8M0,
        25 => DType::U2,
        26 => DType::I2,
        27 => DType::F6E2M3,
        28 => DType::F6E3M2,
        _ => DType::Unknown,
    }
}

impl Tensors {
    pub(super) fn new(model: ModelFile, payloads: Vec<Payload>, limits: Limits) -> Self {
        Tensors {
            file_at: HashMap::from([(model.path().to_owned(), 0)]),
            files: vec![model],
            limits,
            data_bytes: 0,
            payloads: payloads.into_iter().map(Noted::Payload).collect(),
            zero_bytes: 0,
            locations: Vec::new(),
            external: HashMap::new(),
            parameters: Vec::new(),
            warnings: Vec::new(),
            undescribed: HashSet::new(),
            packed_codes: HashMap::new(),
            packed_zero_points: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    /// The bytes of all files.
    pub(super) fn file_bytes(&self) -> u64 {
        self.files.iter().map(ModelFile::len).sum()
    }

    /// Adds a tensor as a parameter.
    pub(super) fn add(&mut self, name: &str, tensor: &TensorProto) -> Result<ParameterId> {
        let id = self.next_id()?;
        let in_tensor = |error: Error| error.in_tensor(name);
        let shape = shape_of(&tensor.dims, self.limits.rank).map_err(in_tensor)?;
        let mut parameter = Parameter::new(name, dtype_of(tensor.data_type), shape, Role::Other);
        if parameter.dtype == DType::Unknown {
            let message = format!("the data type {} is not known here", tensor.data_type);
            self.warnings.push(Warning::about(name, WarningKind::Unsupported, message));
        }
        let location = self.locate(tensor, parameter.dtype, &parameter.shape, id).map_err(in_tensor)?;
        parameter.shares = match &location {
            Location::Bytes(extent) if extent.file > 0 && extent.len > 0 => {
                Some(*self.external.entry(*extent).or_insert(id)).filter(|&first| first != id)
            }
            Location::Same(first) => Some(*first),
            _ => None,
        };
        let shares_all = |first: &ParameterId| {
            let first = &self.parameters[first.index()];
            first.dtype == parameter.dtype && first.shape == parameter.shape
        };
        parameter.shares = parameter.shares.filter(shares_all);
        self.push(parameter, location);
        Ok(id)
    }

    /// Adds a tensor of which the file holds only some elements.
    pub(super) fn add_sparse(&mut self, name: &str, sparse: &SparseTensor) -> Result<ParameterId> {
        let id = self.next_id()?;
        let in_tensor = |error: Error| error.in_tensor(name);
        let shape = shape_of(&sparse.dims, self.limits.rank).map_err(in_tensor)?;
        let dtype = dtype_of(sparse.values.data_type);
        let location = match self.locate_sparse(sparse, dtype, &shape, id) {
            Ok(sparse) => Location::Sparse(Box::new(sparse)),
            Err(error) => Location::Unreadable(error.kind(), unreadable_message(&error)),
        };
        self.push(Parameter::new(name, dtype, shape, Role::Other), location);
        Ok(id)
    }

    /// Adds a list that a node holds as an attribute: `floats` or whole numbers.
    pub(super) fn add_list(
        &mut self,
        name: &str,
        dtype: DType,
        attribute: &AttributeProto,
    ) -> Result<ParameterId> {
        let id = self.next_id()?;
        let (elements, location) = match self.take_payload(&attribute.s, id)? {
            Ok(payload) => {
                let file = &self.files[0];
                let values = TypedValues::of_all(dtype, payload, file).map_err(|it| it.in_tensor(name))?;
                let elements = values.elements();
                let location = match values.as_plain_bytes() {
                    Some(Span { offset, len }) => Location::Bytes(Extent { file: 0, offset, len }),
                    None => Location::Typed(values),
                };
                (elements, location)
            }
            Err(first) => (self.parameters[first.index()].shape.elements(), Location::Same(first)),
        };
        self.push(Parameter::new(name, dtype, Shape::vector(elements), Role::Other), location);
        Ok(id)
    }

    /// Adds a single number that a node holds as an attribute.
    pub(super) fn add_number(&mut self, name: &str, dtype: DType, bytes: [u8; 8]) -> Result<ParameterId> {
        let id = self.next_id()?;
        self.push(Parameter::new(name, dtype, Shape::scalar(), Role::Other), Location::Here(bytes));
        Ok(id)
    }

    fn next_id(&self) -> Result<ParameterId> {
        let limit = || Error::limit(format!("more than {} tensors", self.limits.tensors)).of_limit("tensors");
        let count = Some(self.parameters.len()).filter(|&count| count < self.limits.tensors);
        count.and_then(ParameterId::new).ok_or_else(limit)
    }

    fn push(&mut self, parameter: Parameter, location: Location) {
        if let Location::Unreadable(kind, message) = &location
            && parameter.dtype.is_numeric()
        {
            self.warnings.push(Warning::about(&parameter.name, (*kind).into(), message));
        }
        self.parameters.push(parameter);
        self.locations.push(location);
    }

    fn locate(
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

    fn locate_sparse(
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
        let len = match number("length").transpose()? {
            Some(len) => len,
            None => expected.min(file_len.saturating_sub(offset)),
        };
        if len != expected {
            return Err(Error::malformed(format!("it takes {expected} bytes, its external data has {len}")));
        }
        match offset.checked_add(len) {
            Some(end) if end <= file_len => Ok(Extent { file, offset, len }),
            _ => {
                let message = format!("its {len} bytes at {offset} are beyond the end, byte {file_len}");
                Err(Error::malformed(message).in_file(self.files[file].path()))
            }
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

    /// Warns that the quantization of a parameter is not known, and why; of the first reason only.
    pub(super) fn warn_undescribed(&mut self, parameter: ParameterId, message: String) {
        if self.undescribed.insert(parameter) {
            let name = &self.parameters[parameter.index()].name;
            self.warnings.push(Warning::about(name, WarningKind::Unsupported, message));
        }
    }

    /// Whether the quantization of a parameter is described, or has been warned about.
    pub(super) fn is_settled(&self, parameter: ParameterId) -> bool {
        self.parameters[parameter.index()].quantization.is_some() || self.undescribed.contains(&parameter)
    }

    /// Says how the codes of a parameter are packed.
    pub(super) fn pack_codes(&mut self, parameter: ParameterId, packed: Packed) {
        self.packed_codes.insert(parameter, packed);
    }

    /// Says where the zero-points of a parameter are, and how they are packed.
    pub(super) fn pack_zero_points(&mut self, parameter: ParameterId, packed: Packed) {
        self.packed_zero_points.insert(parameter, packed);
    }

    /// Gives a parameter scales and zero-points that are no tensors.
    pub(super) fn list_scales(&mut self, parameter: ParameterId, listed: Listed) {
        self.listed.insert(parameter, listed);
    }

    /// A part of a parameter that is no tensor.
    pub(super) fn listed(&self, parameter: ParameterId, part: Part) -> Option<&[f64]> {
        let listed = self.listed.get(&parameter)?;
        match part {
            Part::Scales => Some(&listed.scales),
            Part::ZeroPoints => Some(&listed.zero_points),
            _ => None,
        }
    }

    /// The model's own file.
    pub(super) fn path(&self) -> &Path {
        self.files[0].path()
    }

    /// How a part of a parameter is packed, if it is.
    pub(super) fn packed(&self, parameter: ParameterId, part: Part) -> Option<Packed> {
        match part {
            Part::Codes => self.packed_codes.get(&parameter).copied(),
            Part::ZeroPoints => self.packed_zero_points.get(&parameter).copied(),
            _ => None,
        }
    }

    /// The elements of a short list of whole numbers, such as a shape.
    pub(super) fn short_list(&self, id: ParameterId) -> Option<Vec<i64>> {
        let parameter = &self.parameters[id.index()];
        let len = parameter.shape.elements();
        if len > self.limits.rank as u64 || !matches!(parameter.dtype, DType::I64 | DType::I32) {
            return None;
        }
        let mut list = Vec::new();
        let mut sink = |block: Block<'_>| {
            block.elements.for_each(|element| list.push(element as i64));
            ControlFlow::Continue(())
        };
        let _ = self.read(id, parameter.dtype, &parameter.shape, 0..len, &mut sink).ok()?;
        Some(list)
    }

    /// The value of a tensor of one element.
    pub(super) fn scalar(&self, id: ParameterId) -> Result<f64> {
        let mut value = f64::NAN;
        let mut sink = |block: quantviz_core::Block<'_>| {
            block.elements.for_each(|element| value = element);
            ControlFlow::Continue(())
        };
        let parameter = &self.parameters[id.index()];
        let _ = self.read(id, parameter.dtype, &parameter.shape, 0..1, &mut sink)?;
        Ok(value)
    }

    pub(super) fn read(
        &self,
        id: ParameterId,
        dtype: DType,
        shape: &Shape,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        check_range(&range, shape.elements())?;
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
}

/// `TensorProto.DataType.INT64`
const INT64: i32 = 7;
/// `TensorProto.DataLocation.EXTERNAL`
const EXTERNAL: i32 = 1;

fn shape_of(dims: &[i64], most: usize) -> Result<Shape> {
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
