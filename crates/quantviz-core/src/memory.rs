//! Models that already are in memory.

use std::ops::{ControlFlow, Range};

use ndarray::{ArrayBase, Data, Dimension};

use crate::model::Modules;
use crate::roles::role_from_name;
use crate::{
    DType, Element, Elements, Error, Format, Model, Parameter, ParameterId, ParameterSource, Part,
    QuantDescriptor, Result, Role, Shape, Sink, byte_len, read_derived, read_elements,
};

/// Tensors in memory, as a source.
///
/// ```
/// use ndarray::arr1;
/// use quantviz_core::{MemorySource, ParameterSource, SourceExt};
///
/// let source = MemorySource::new().with("fc.weight", arr1(&[0.5f32, -2.0])).with("fc.bias", arr1(&[1.0f32]));
/// let weight = source.model().parameter_named("fc.weight").expect("was just added");
/// assert_eq!(source.summary(weight)?.abs_max(), Some(2.0));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Debug)]
pub struct MemorySource {
    model: Model,
    tensors: Vec<Stored>,
    /// `None` where somebody else may have changed the layers.
    modules: Option<Modules>,
}

/// Little-endian bytes in a vector that is aligned for every type.
#[derive(Debug)]
struct Stored {
    words: Vec<u64>,
    bytes: usize,
}

impl Stored {
    fn zeros(bytes: usize) -> Self {
        Stored { words: vec![0; bytes.div_ceil(8)], bytes }
    }
}

impl Default for MemorySource {
    fn default() -> Self {
        MemorySource { model: Model::new(Format::Memory), tensors: Vec::new(), modules: None }
    }
}

impl MemorySource {
    /// A model without parameters.
    pub fn new() -> Self {
        MemorySource::default()
    }

    /// Adds a parameter, an array or a view of one; its role and its layer follow from its name and shape. The
    /// elements are copied once.
    #[must_use]
    pub fn with<S: Data<Elem: Element>, D: Dimension>(
        mut self,
        name: impl Into<String>,
        array: ArrayBase<S, D>,
    ) -> Self {
        let dims: Vec<u64> = array.shape().iter().map(|&dim| dim as u64).collect();
        // The dimensions of something that exists can be multiplied.
        let shape = Shape::new(dims).unwrap_or_default();
        let mut stored = Stored::zeros(array.len() * size_of::<S::Elem>());
        let places: &mut [S::Elem] = bytemuck::cast_slice_mut(&mut stored.words);
        places.iter_mut().zip(array.iter()).for_each(|(place, &element)| *place = element);
        self.push(name.into(), S::Elem::DTYPE, shape, stored);
        self
    }

    /// Adds a parameter from its little-endian bytes, for types that Rust has no number for.
    pub fn with_bytes(
        mut self,
        name: impl Into<String>,
        dtype: DType,
        shape: Shape,
        bytes: &[u8],
    ) -> Result<Self> {
        let name = name.into();
        let expected = byte_len(dtype, &shape).map_err(|error| error.in_tensor(&name))?;
        if bytes.len() as u64 != expected {
            let message = format!("{dtype} {shape} takes {expected} bytes, not {}", bytes.len());
            return Err(Error::malformed(message).in_tensor(name));
        }
        let mut stored = Stored::zeros(bytes.len());
        bytemuck::cast_slice_mut(&mut stored.words)[..bytes.len()].copy_from_slice(bytes);
        self.push(name, dtype, shape, stored);
        Ok(self)
    }

    /// Says how the codes of the parameter that was added last stand for real numbers.
    ///
    /// # Errors
    /// Where there is no parameter yet, or the descriptor's groups do not fit its shape.
    pub fn quantized(mut self, quantization: QuantDescriptor) -> Result<Self> {
        let last = self.model.parameters.last();
        let last = last.ok_or_else(|| Error::not_found("there is no parameter to describe"))?;
        if quantization.logical.is_some() {
            let message = "codes that are packed into other elements need a source of their own";
            return Err(Error::unsupported(message).in_tensor(&last.name));
        }
        quantization.check(&self.model, &last.shape).map_err(|error| error.in_tensor(&last.name))?;
        if let Some(last) = self.model.parameters.last_mut() {
            last.quantization = Some(quantization);
        }
        Ok(self)
    }

    /// The model, to add layers, roles and metadata to.
    pub fn model_mut(&mut self) -> &mut Model {
        self.modules = None;
        &mut self.model
    }

    fn push(&mut self, name: String, dtype: DType, shape: Shape, stored: Stored) {
        let role = role_from_name(&name, &shape).unwrap_or(Role::Other);
        self.model.file_bytes += stored.bytes as u64;
        let mut modules = self.modules.take().unwrap_or_else(|| self.model.modules());
        if let Some(id) = ParameterId::new(self.model.parameters.len()) {
            self.model.parameters.push(Parameter::new(name, dtype, shape, role));
            self.model.add_to_module(id, &mut modules);
        }
        self.modules = Some(modules);
        self.tensors.push(stored);
    }
}

impl ParameterSource for MemorySource {
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
        let stored = self.tensors.get(id.index());
        let stored = stored.ok_or_else(|| Error::not_found("it has no values").in_tensor(&parameter.name))?;
        let bytes = &bytemuck::cast_slice(&stored.words)[..stored.bytes];
        let len = usize::try_from(parameter.shape.elements()).ok();
        let elements = len.and_then(|len| Elements::from_bytes(parameter.dtype, bytes, 0, len));
        let elements = elements.ok_or_else(|| {
            Error::unsupported(format!("{} elements cannot be read one by one", parameter.dtype))
                .in_tensor(&parameter.name)
        })?;
        read_elements(&elements, range, sink).map_err(|error| error.in_tensor(&parameter.name))
    }
}
