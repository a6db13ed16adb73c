//! The tensors of an ONNX file: their types, and where their elements are.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;

use onnx_ir::TensorProto;
use quantviz_core::{
    DType, Error, ErrorKind, Parameter, ParameterId, Part, Result, Role, Shape, Sink, Warning, WarningKind,
    byte_len, check_range, one_line,
};

use super::packed::Packed;
use super::typed::TypedValues;
use super::wire::{Payload, Span};
use crate::Limits;
use crate::bytes::{Extent, read_elements};
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
    payloads: Vec<Payload>,
    locations: Vec<Location>,
    /// External data that some tensor already claimed.
    external: HashMap<Extent, ParameterId>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) warnings: Vec<Warning>,
    /// Parameters whose quantization there was a warning about.
    undescribed: HashSet<ParameterId>,
    packed_codes: HashMap<ParameterId, Packed>,
    packed_zero_points: HashMap<ParameterId, Packed>,
}

enum Location {
    Bytes(Extent),
    Typed(TypedValues),
    Unreadable(ErrorKind, String),
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
            payloads,
            locations: Vec::new(),
            external: HashMap::new(),
            parameters: Vec::new(),
            warnings: Vec::new(),
            undescribed: HashSet::new(),
            packed_codes: HashMap::new(),
            packed_zero_points: HashMap::new(),
        }
    }

    /// The bytes of all files.
    pub(super) fn file_bytes(&self) -> u64 {
        self.files.iter().map(ModelFile::len).sum()
    }

    /// Adds a tensor as a parameter.
    pub(super) fn add(&mut self, name: &str, tensor: &TensorProto) -> Result<ParameterId> {
        let in_tensor = |error: Error| error.in_tensor(name);
        let id = ParameterId::new(self.parameters.len()).ok_or_else(|| Error::limit("too many tensors"))?;
        let shape = shape_of(&tensor.dims, self.limits.rank).map_err(in_tensor)?;
        let mut parameter = Parameter::new(name, dtype_of(tensor.data_type), shape, Role::Other);
        if parameter.dtype == DType::Unknown {
            let message = format!("the data type {} is not known here", tensor.data_type);
            self.warnings.push(Warning::about(name, WarningKind::Unsupported, message));
        }
        let location = self.locate(tensor, &mut parameter, id).map_err(in_tensor)?;
        if let Location::Unreadable(kind, message) = &location
            && parameter.dtype.is_numeric()
        {
            let kind = match kind {
                ErrorKind::NotFound | ErrorKind::Io => WarningKind::Missing,
                ErrorKind::Unsupported => WarningKind::Unsupported,
                _ => WarningKind::Malformed,
            };
            self.warnings.push(Warning::about(name, kind, message));
        }
        self.parameters.push(parameter);
        self.locations.push(location);
        Ok(id)
    }

    fn locate(
        &mut self,
        tensor: &TensorProto,
        parameter: &mut Parameter,
        id: ParameterId,
    ) -> Result<Location> {
        let (dtype, shape) = (parameter.dtype, &parameter.shape);
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
        let expected = byte_len(dtype, shape)?;
        self.data_bytes = self.data_bytes.saturating_add(expected);
        if self.data_bytes > self.limits.data_bytes {
            let message = format!("the tensors up to here take more than {} bytes", self.limits.data_bytes);
            return Err(Error::limit(message));
        }
        if tensor.data_location.value() == EXTERNAL {
            return Ok(match self.locate_external(tensor, expected) {
                Ok(extent) => {
                    parameter.shares = Some(*self.external.entry(extent).or_insert(id)).filter(|&first| {
                        let same = |first: &Parameter| first.dtype == dtype && first.shape == *shape;
                        first != id && expected > 0 && same(&self.parameters[first.index()])
                    });
                    Location::Bytes(extent)
                }
                Err(error) => Location::Unreadable(error.kind(), unreadable_message(&error)),
            });
        }
        let payload = self.take_payload(tensor)?;
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

    /// What the walk noted about a tensor: in the copy, its raw data is the number of the note.
    fn take_payload(&mut self, tensor: &TensorProto) -> Result<Payload> {
        if tensor.raw_data.is_empty() {
            return Ok(Payload::default());
        }
        let ticket = <[u8; 4]>::try_from(&tensor.raw_data[..]).ok().map(u32::from_le_bytes);
        let payload = ticket.and_then(|ticket| self.payloads.get_mut(ticket as usize));
        payload.map(std::mem::take).ok_or_else(|| Error::malformed("its data was lost"))
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
        self.files.push(ModelFile::open(&path)?);
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

    /// Says how the codes of a parameter are packed.
    pub(super) fn pack_codes(&mut self, parameter: ParameterId, packed: Packed) {
        self.packed_codes.insert(parameter, packed);
    }

    /// Says where the zero-points of a parameter are, and how they are packed.
    pub(super) fn pack_zero_points(&mut self, parameter: ParameterId, packed: Packed) {
        self.packed_zero_points.insert(parameter, packed);
    }

    /// How a part of a parameter is packed, if it is.
    pub(super) fn packed(&self, parameter: ParameterId, part: Part) -> Option<Packed> {
        match part {
            Part::Codes => self.packed_codes.get(&parameter).copied(),
            Part::ZeroPoints => self.packed_zero_points.get(&parameter).copied(),
            _ => None,
        }
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
        match &self.locations[id.index()] {
            Location::Bytes(extent) => {
                read_elements(&self.files[extent.file], extent.offset, dtype, range, sink)
            }
            Location::Typed(values) => values.read(&self.files[0], range, sink),
            Location::Unreadable(kind, message) => Err(Error::new(*kind, message)),
        }
    }
}

/// `TensorProto.DataLocation.EXTERNAL`
const EXTERNAL: i32 = 1;

fn shape_of(dims: &[i64], most: usize) -> Result<Shape> {
    if dims.len() > most {
        return Err(Error::limit(format!("it has {} dimensions, more than {most}", dims.len())));
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
