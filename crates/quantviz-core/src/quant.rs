//! How codes stand for real numbers, without holding a single one of them.

use crate::names::names;
use crate::{DType, DTypeClass, Error, Granularity, Groups, Model, ParameterId, Result, Shape};

names! {
    /// The convention that a file writes its quantization in.
    Encoding {
        /// ONNX's QuantizeLinear and DequantizeLinear around a float graph.
        Qdq "qdq";
        /// ONNX operators that compute on codes: QLinearConv, QLinearMatMul, QGemm.
        QOperator "qoperator";
        /// ConvInteger and MatMulInteger, usually with dynamic activations.
        Integer "integer";
        /// com.microsoft's MatMulNBits.
        MatMulNBits "matmul_nbits";
        /// com.microsoft's GatherBlockQuantized.
        GatherBlock "gather_block";
        /// ONNX's `quantization_annotation`.
        Annotation "annotation";
        /// GPTQ's packed `qweight`, `qzeros`, `scales`.
        Gptq "gptq";
        /// AWQ's packed `qweight`, `qzeros`, `scales`.
        Awq "awq";
        /// vLLM's compressed-tensors.
        CompressedTensors "compressed_tensors";
        /// Eight-bit floats with scales beside them.
        Fp8 "fp8";
        /// OCP microscaling: four-bit floats in blocks of 32 with power-of-two scales.
        Mxfp4 "mxfp4";
        /// Four-bit floats in blocks of 16 with scales of two levels.
        Nvfp4 "nvfp4";
        /// bitsandbytes' NF4, FP4 and int8.
        BitsAndBytes "bitsandbytes";
        /// Apple MLX's scales and biases.
        Mlx "mlx";
        /// GGUF's block types.
        Gguf "gguf";
        /// torch's own quantized tensors.
        Torch "torch";
        /// Half-quadratic quantization.
        Hqq "hqq";
        /// com.microsoft's MatMulBnb4.
        Bnb4 "bnb4";
        /// None of the above.
        Other "other";
    }
}

names! {
    /// What a code means before it is scaled.
    Scheme {
        /// A whole number: `scale · (code − zero point)`.
        Affine "affine";
        /// An index into a table: `scale · table[code]`.
        Codebook "codebook";
        /// A small floating-point number: `scale · value(code)`.
        Float "float";
    }
}

/// Where the scales or the zero-points of a parameter are to be found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operand {
    /// One number for all groups, and the parameter it was read from.
    One {
        /// The number.
        value: f64,
        /// Where it is stored, if that is a parameter of its own.
        parameter: Option<ParameterId>,
    },
    /// The elements of this parameter, one for each group.
    Parameter(ParameterId),
    /// The product of these, element by element; single numbers count for every group.
    Product(Vec<Operand>),
    /// Packed in a way that only the source knows: reading the part is up to it.
    Packed,
}

impl Operand {
    /// Whether it is one number for all groups.
    pub(crate) fn is_single(&self, model: &Model) -> bool {
        match self {
            Operand::One { .. } => true,
            Operand::Parameter(id) => model.parameter(*id).shape.elements() == 1,
            Operand::Product(factors) => factors.iter().all(|factor| factor.is_single(model)),
            Operand::Packed => false,
        }
    }

    /// The parameters that it is made of.
    pub fn parameters(&self) -> Vec<ParameterId> {
        match self {
            Operand::One { parameter, .. } => parameter.iter().copied().collect(),
            Operand::Parameter(id) => vec![*id],
            Operand::Product(factors) => factors.iter().flat_map(Operand::parameters).collect(),
            Operand::Packed => Vec::new(),
        }
    }
}

/// Scales that are quantized themselves: what those of the groups are multiplied with.
#[derive(Clone, Debug, PartialEq)]
pub struct OuterScale {
    /// Which elements share an outer scale.
    pub granularity: Granularity,
    /// The outer scales.
    pub scale: Operand,
}

/// Which group each index along an axis belongs to, where groups are not runs of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupIndex {
    /// A parameter says it.
    Listed {
        /// The axis, in the shape of the codes.
        axis: usize,
        /// The parameter whose elements are the groups, one for each index.
        parameter: ParameterId,
    },
    /// The groups take turns: of three, indices 0, 3, 6 and so on belong to the first.
    InTurns {
        /// The axis, in the shape of the codes.
        axis: usize,
    },
}

impl GroupIndex {
    /// The axis, in the shape of the codes.
    pub fn axis(self) -> usize {
        match self {
            GroupIndex::Listed { axis, .. } | GroupIndex::InTurns { axis } => axis,
        }
    }

    /// The parameter that says it, if one does.
    pub fn parameter(self) -> Option<ParameterId> {
        match self {
            GroupIndex::Listed { parameter, .. } => Some(parameter),
            GroupIndex::InTurns { .. } => None,
        }
    }
}

/// How the codes of a parameter stand for real numbers:
///
/// ```text
/// real = outer scale · scale · (value(code) − zero point) + offset
/// ```
///
/// where `value(code)` is the code itself, what it means as a small float, or its entry in a table, as the
/// [`Scheme`] says; zero-points and offsets are zero where there are none.
///
/// A descriptor names its scales and zero-points and never holds them, because they can be a tenth of a four-bit
/// file; [`Part::Scales`](crate::Part::Scales) and the parts beside it read them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuantDescriptor {
    /// The convention of the file.
    pub encoding: Encoding,
    /// What a code means before it is scaled.
    pub scheme: Scheme,
    /// Which elements share a scale.
    pub granularity: Granularity,
    /// Bits of one code.
    pub bits: u32,
    /// The smallest and the largest code the type has, as values.
    pub code_range: (f64, f64),
    /// The shape of the codes, where it is not that of the stored elements.
    pub logical: Option<Shape>,
    /// The operator or the scheme that says so in the file.
    pub source: String,
    /// What codes are multiplied with.
    pub scale: Operand,
    /// What scales are multiplied with, where they have two levels.
    pub outer_scale: Option<OuterScale>,
    /// The code that stands for zero; `None` where the file has none, which means code 0.
    pub zero_point: Option<Operand>,
    /// What is added after scaling, where the file says it so.
    pub offset: Option<Operand>,
    /// The values of all codes of a codebook.
    pub table: Option<Vec<f32>>,
    /// The group of every index along an axis, where groups are not runs of neighbours.
    pub group_index: Option<GroupIndex>,
    /// Other parameters that it is spread over: those that hold what the source unpacks for operands that are
    /// [`Packed`](Operand::Packed), for one.
    pub packed_in: Vec<ParameterId>,
    /// The type of the codes, where they are not stored: the stored elements are the real numbers before they are
    /// quantized, and codes follow from them as `clamp(round(stored / scale) + zero point)`; where there is a table, which
    /// has to ascend then, as the entry that is nearest to `stored / scale`.
    pub computed: Option<DType>,
}

impl QuantDescriptor {
    /// The descriptor of a tensor whose stored elements, of type `storage`, are its codes. `None` for types that
    /// cannot hold codes.
    pub fn of_stored(
        encoding: Encoding,
        source: impl Into<String>,
        storage: DType,
        granularity: Granularity,
        scale: Operand,
        zero_point: Option<Operand>,
    ) -> Option<Self> {
        let is_float = storage.class() == DTypeClass::Float;
        Some(QuantDescriptor {
            encoding,
            scheme: if is_float { Scheme::Float } else { Scheme::Affine },
            granularity,
            bits: storage.bits()?,
            code_range: storage.range()?,
            logical: None,
            source: source.into(),
            scale,
            outer_scale: None,
            zero_point,
            offset: None,
            table: None,
            group_index: None,
            packed_in: Vec::new(),
            computed: None,
        })
    }

    /// The descriptor of codes of `bits` bits that are packed into other elements: `logical` is their own shape.
    /// They are unsigned, there are as many scales as the granularity has groups, and no zero-points; what differs
    /// is to be changed.
    pub fn of_packed(
        encoding: Encoding,
        source: impl Into<String>,
        logical: Shape,
        bits: u32,
        granularity: Granularity,
        scale: Operand,
    ) -> Self {
        QuantDescriptor {
            encoding,
            scheme: Scheme::Affine,
            granularity,
            bits,
            code_range: (0.0, 2f64.powi(bits.cast_signed()) - 1.0),
            logical: Some(logical),
            source: source.into(),
            scale,
            outer_scale: None,
            zero_point: None,
            offset: None,
            table: None,
            group_index: None,
            packed_in: Vec::new(),
            computed: None,
        }
    }

    /// The code in the middle of the range: where zero lies if the quantization is symmetric.
    pub fn middle_code(&self) -> f64 {
        match self.code_range {
            (low, high) if low == 0.0 => ((high - low) / 2.0).ceil(),
            _ => 0.0,
        }
    }

    /// The groups of a parameter whose stored shape is `stored`; `None` if they do not fit it.
    pub fn groups(&self, stored: &Shape) -> Option<Groups> {
        self.granularity.groups(self.logical.as_ref().unwrap_or(stored))
    }

    /// Every operand there is.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        let outer = self.outer_scale.as_ref().map(|outer| &outer.scale);
        let optional = [outer, self.zero_point.as_ref(), self.offset.as_ref()];
        std::iter::once(&self.scale).chain(optional.into_iter().flatten())
    }

    /// The parameters that hold its scales, zero-points and the like, each once.
    pub fn parameters(&self) -> Vec<ParameterId> {
        let index = self.group_index.and_then(GroupIndex::parameter);
        let named = self.operands().flat_map(Operand::parameters);
        let mut parameters = Vec::new();
        for id in named.chain(index).chain(self.packed_in.iter().copied()) {
            if !parameters.contains(&id) {
                parameters.push(id);
            }
        }
        parameters
    }

    /// Refuses what does not fit codes stored in this shape, or names parameters that `model` does not have.
    pub(crate) fn check(&self, model: &Model, stored: &Shape) -> Result<()> {
        let misfit = || Error::malformed("its scales do not fit its shape");
        let groups = self.groups(stored).ok_or_else(misfit)?;
        if self.outer_scale.is_some() {
            self.outer_groups(stored).ok_or_else(misfit)?;
        }
        if let Some(unknown) = self.parameters().iter().find(|id| id.index() >= model.parameters.len()) {
            let message = format!(
                "its descriptor names parameter {}, but there are {}",
                unknown.index(),
                model.parameters.len()
            );
            return Err(Error::malformed(message));
        }
        match self.group_index {
            Some(index) if !groups.divide(index.axis()) => {
                Err(Error::malformed("its groups do not divide the axis of its group index"))
            }
            _ => Ok(()),
        }
    }

    /// The groups that share an outer scale, where there are such.
    pub fn outer_groups(&self, stored: &Shape) -> Option<Groups> {
        self.outer_scale.as_ref()?.granularity.groups(self.logical.as_ref().unwrap_or(stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_code_range() {
        let middle = |dtype| {
            let one = Operand::One { value: 1.0, parameter: None };
            let descriptor =
                QuantDescriptor::of_stored(Encoding::Qdq, "", dtype, Granularity::Tensor, one, None);
            descriptor.map(|descriptor| descriptor.middle_code())
        };
        assert_eq!(middle(DType::I8), Some(0.0));
        assert_eq!(middle(DType::U8), Some(128.0));
        assert_eq!(middle(DType::U4), Some(8.0));
        assert_eq!(middle(DType::F8E4M3Fn), Some(0.0));
        assert_eq!(middle(DType::F32), None);
    }
}
