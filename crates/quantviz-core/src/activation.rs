//! Values between layers whose quantization the file fixes.

use crate::{DType, Operand, ParameterId};

/// An activation whose quantization the file fixes: it belongs to the layer that makes it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Activation {
    /// The name of the float value.
    pub tensor: String,
    /// The type of its codes.
    pub dtype: DType,
    /// What codes are multiplied with.
    pub scale: Operand,
    /// The code that stands for zero.
    pub zero_point: Option<Operand>,
    /// The smallest and the largest code, where the type has such.
    pub code_range: Option<(f64, f64)>,
}

impl Activation {
    /// An activation of this name, whose codes are all that the type has.
    pub fn new(tensor: impl Into<String>, dtype: DType, scale: Operand, zero_point: Option<Operand>) -> Self {
        Activation { tensor: tensor.into(), dtype, scale, zero_point, code_range: dtype.range() }
    }

    /// The parameters that hold its scale and its zero-point.
    pub fn parameters(&self) -> Vec<ParameterId> {
        let operands = std::iter::once(&self.scale).chain(&self.zero_point);
        operands.flat_map(Operand::parameters).collect()
    }
}

/// An input of a layer that reaches it as codes, or as numbers that were codes just before.
///
/// The same value may be quantized in one way for one layer and in another for the next: this says what a layer gets.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuantizedInput {
    /// Which of the layer's inputs.
    pub slot: usize,
    /// The type of the codes.
    pub dtype: DType,
    /// What codes are multiplied with; `None` where that is computed while the model runs.
    pub scale: Option<Operand>,
    /// The code that stands for zero; `None` where the file has none, or it is computed.
    pub zero_point: Option<Operand>,
}

impl QuantizedInput {
    /// An input of codes whose scale is computed while the model runs.
    pub fn new(slot: usize, dtype: DType) -> Self {
        QuantizedInput { slot, dtype, scale: None, zero_point: None }
    }
}
