//! The tensors of an ONNX file as parameters: their types, what they share, and how parts of them are packed.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::path::Path;

use onnx_ir::{AttributeProto, TensorProto};
use quantviz_core::{
    Block, DType, Error, Parameter, ParameterId, Part, Result, Role, Shape, Sink, Warning, WarningKind,
    check_range,
};

use super::flatten::SparseTensor;
use super::packed::Packed;
use super::places::{Location, Places, shape_of};
use super::quant::Reason;
use super::wire::Payload;
use crate::Limits;
use crate::bytes::Extent;
use crate::file::ModelFile;

/// All tensors of a model: the parameters they make, and the way to their elements.
pub(super) struct Tensors {
    limits: Limits,
    places: Places,
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
            limits,
            places: Places::new(model, payloads, limits),
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
        self.places.file_bytes()
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
        let location =
            self.places.locate(tensor, parameter.dtype, &parameter.shape, id).map_err(in_tensor)?;
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
        let location = self.places.locate_sparse(sparse, dtype, &shape, id);
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
        let (elements, location) =
            self.places.locate_list(&attribute.s, dtype, id).map_err(|it| it.in_tensor(name))?;
        let elements = match &location {
            Location::Same(first) => self.parameters[first.index()].shape.elements(),
            _ => elements,
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
        self.places.push(location);
    }

    /// Warns that the quantization of a parameter is not known, and why; of the first reason only.
    pub(super) fn warn_undescribed(&mut self, parameter: ParameterId, reason: impl Into<Reason>) {
        if self.undescribed.insert(parameter) {
            let Reason { kind, message } = reason.into();
            let name = &self.parameters[parameter.index()].name;
            self.warnings.push(Warning::about(name, kind, message));
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
        self.places.model().path()
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
        self.places.read(id, dtype, shape, range, sink)
    }
}
