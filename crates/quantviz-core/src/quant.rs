//! How codes stand for real numbers, without holding a single one of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::{DType, DTypeClass, ParameterId, Shape};

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

/// Which elements share a scale and a zero-point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granularity {
    /// All of them.
    Tensor,
    /// Those with the same index along one axis, often a channel.
    Axis(usize),
    /// Those in the same block; one size per axis, the last block along each may be ragged.
    Block(Vec<u64>),
}

impl Granularity {
    /// The groups that a tensor of this shape falls into; `None` if the axis or the block does not fit the shape.
    pub fn groups(&self, shape: &Shape) -> Option<Groups> {
        let dims = shape.dims();
        let mut sizes = dims.to_vec();
        match self {
            Granularity::Tensor => {}
            Granularity::Axis(axis) => *sizes.get_mut(*axis)? = 1,
            Granularity::Block(block) if block.len() == dims.len() && !block.contains(&0) => {
                sizes.clone_from(block)
            }
            Granularity::Block(_) => return None,
        }
        let split_axes =
            dims.iter().zip(&sizes).rposition(|(dim, size)| size != dim).map_or(0, |axis| axis + 1);
        Some(Groups {
            axes: dims.iter().copied().zip(sizes).take(split_axes).collect(),
            inner: dims[split_axes..].iter().product(),
            index: None,
        })
    }
}

/// The groups of elements that share a scale, numbered row-major as files store their scales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Length of an axis, and how much of it a group spans; the last one is the innermost that groups divide.
    axes: Vec<(u64, u64)>,
    /// Elements behind the innermost divided axis.
    inner: u64,
    /// An axis whose indices say themselves to which group they belong.
    index: Option<(usize, Vec<u64>)>,
}

impl Groups {
    /// The same groups, but those along `axis` are what `index` says instead of runs of neighbours. `None` where the
    /// groups do not divide that axis, or `index` has other groups than there are.
    pub(crate) fn with_index(mut self, axis: usize, index: Vec<u64>) -> Option<Self> {
        let &(dim, size) = self.axes.get(axis)?;
        let fits = index.len() as u64 >= dim && index.iter().all(|&group| group < dim.div_ceil(size));
        self.index = Some((axis, index));
        fits.then_some(self)
    }

    /// Which slab of an axis a position lies in.
    fn slab(&self, axis: usize, position: u64) -> u64 {
        match &self.index {
            #[expect(clippy::cast_possible_truncation, reason = "the index is in memory")]
            Some((indexed, groups)) if *indexed == axis => groups[position as usize],
            _ => position / self.axes[axis].1,
        }
    }

    /// How many there are: one scale for each.
    pub fn count(&self) -> u64 {
        self.axes.iter().map(|&(dim, size)| if dim == size { 1 } else { dim.div_ceil(size) }).product()
    }

    /// The group of the element at `index`, and how many elements from there on lie in the same group.
    pub fn at(&self, index: u64) -> (u64, u64) {
        let (mut rest, offset) = (index / self.inner, index % self.inner);
        let (mut group, mut groups_behind) = (0, 1);
        for (axis, (dim, size)) in self.axes.iter().enumerate().rev() {
            group += self.slab(axis, rest % dim) * groups_behind;
            groups_behind *= dim.div_ceil(*size);
            rest /= dim;
        }
        let innermost_is_indexed = self.index.as_ref().is_some_and(|(axis, _)| axis + 1 == self.axes.len());
        let rows = match self.axes.last() {
            Some((dim, size)) if !innermost_is_indexed => {
                let position = index / self.inner % dim;
                (size - position % size).min(dim - position)
            }
            _ => 1,
        };
        (group, rows * self.inner - offset)
    }

    /// Where every element along the innermost axis has a group of its own: the group of the element at `index`, and how
    /// many elements from there on lie in that group and those after it, one each.
    pub(crate) fn neighbours_at(&self, index: u64) -> Option<(u64, u64)> {
        let (axis, &(dim, size)) = self.axes.iter().enumerate().next_back()?;
        let is_indexed = self.index.as_ref().is_some_and(|(indexed, _)| *indexed == axis);
        (self.inner == 1 && size == 1 && !is_indexed).then(|| (self.at(index).0, dim - index % dim))
    }

    /// The groups that the elements of `range` can lie in: exactly those where groups follow each other in memory,
    /// else all.
    pub fn span(&self, range: &Range<u64>) -> Range<u64> {
        // Behind an axis that is cut into slabs of more than one, groups come round again.
        let outer = self.axes.split_last().map_or(&[][..], |(_, outer)| outer);
        let in_order = self.index.is_none() && outer.iter().all(|&(dim, size)| size == 1 || dim == 1);
        if in_order && !range.is_empty() {
            self.at(range.start).0..self.at(range.end - 1).0 + 1
        } else {
            0..self.count()
        }
    }
}

/// Where the scales or the zero-points of a parameter are to be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Scales that are quantized themselves: what those of the groups are multiplied with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OuterScale {
    /// Which elements share an outer scale.
    pub granularity: Granularity,
    /// The outer scales.
    pub scale: Operand,
}

/// Which group each index along an axis belongs to, where groups are not runs of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupIndex {
    /// The axis, in the shape of the codes.
    pub axis: usize,
    /// The parameter whose elements are the groups, one for each index.
    pub parameter: ParameterId,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The type of the codes, where they are not stored: the stored elements are the real numbers before they are
    /// quantized, and codes follow from them as `clamp(round(stored / scale) + zero point)`.
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

    /// The groups that share an outer scale, where there are such.
    pub fn outer_groups(&self, stored: &Shape) -> Option<Groups> {
        self.outer_scale.as_ref()?.granularity.groups(self.logical.as_ref().unwrap_or(stored))
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;

    fn groups(dims: &[u64], granularity: &Granularity) -> Groups {
        granularity.groups(&Shape::new(dims).expect("small")).expect("fits")
    }

    /// The definition, coordinate by coordinate.
    fn group_by_definition(dims: &[u64], sizes: &[u64], index: u64) -> u64 {
        let mut rest = index;
        let coordinates: Vec<u64> = dims.iter().rev().map(|dim| (rest % dim, rest /= dim).0).collect();
        let axes = dims.iter().zip(sizes).zip(coordinates.iter().rev());
        axes.fold(0, |group, ((dim, size), position)| group * dim.div_ceil(*size) + position / size)
    }

    #[test]
    fn groups_and_runs_agree_with_the_definition() {
        let cases: &[(&[u64], &[u64])] = &[
            (&[], &[]),
            (&[7], &[7]),
            (&[7], &[3]),
            (&[4, 6], &[4, 6]),
            (&[4, 6], &[1, 6]),
            (&[4, 6], &[4, 1]),
            (&[4, 7], &[1, 3]),
            (&[5, 7], &[2, 3]),
            (&[5, 7], &[2, 7]),
            (&[2, 3, 4, 5], &[2, 1, 4, 5]),
            (&[2, 3, 4, 5], &[1, 1, 4, 5]),
            (&[1, 6, 4], &[1, 4, 4]),
        ];
        for (dims, sizes) in cases {
            let groups = groups(dims, &Granularity::Block(sizes.to_vec()));
            let elements: u64 = dims.iter().product();
            let expected: Vec<u64> =
                (0..elements).map(|index| group_by_definition(dims, sizes, index)).collect();
            assert_eq!(groups.count(), expected.iter().max().map_or(0, |last| last + 1));
            for index in 0..elements {
                let (group, run) = groups.at(index);
                let same =
                    expected[index as usize..].iter().take_while(|&&other| other == group).count() as u64;
                assert_eq!(group, expected[index as usize], "group of {index} in {dims:?} by {sizes:?}");
                assert!(run > 0 && run <= same, "run of {run} from {index} in {dims:?} by {sizes:?}");
                for end in index + 1..=elements {
                    let span = groups.span(&(index..end));
                    assert!(expected[index as usize..end as usize].iter().all(|group| span.contains(group)));
                }
            }
        }
    }

    #[test]
    fn an_index_sends_rows_to_any_group() {
        let blocks = |sizes: &[u64]| groups(&[4, 3], &Granularity::Block(sizes.to_vec()));
        let of_all = |groups: &Groups| (0..12).map(|index| groups.at(index).0).collect::<Vec<_>>();
        let rows = blocks(&[2, 1]).with_index(0, vec![1, 0, 0, 1]).expect("two groups of rows");
        assert_eq!(of_all(&rows), [3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5]);
        let columns = blocks(&[1, 2]).with_index(1, vec![1, 0, 1]).expect("two groups of columns");
        assert_eq!(of_all(&columns), [1, 0, 1, 3, 2, 3, 5, 4, 5, 7, 6, 7]);
        assert_eq!(columns.span(&(0..2)), 0..8);
        assert_eq!(blocks(&[2, 1]).with_index(0, vec![0, 1, 2, 0]), None);
        assert_eq!(blocks(&[2, 1]).with_index(0, vec![0, 1]), None);
    }

    #[test]
    fn an_axis_is_a_block_of_one() {
        assert_eq!(groups(&[4, 6], &Granularity::Axis(1)), groups(&[4, 6], &Granularity::Block(vec![4, 1])));
        assert_eq!(groups(&[3, 0], &Granularity::Axis(0)).count(), 3);
        assert_eq!(groups(&[3, 0], &Granularity::Tensor).count(), 1);
        assert_eq!(Granularity::Axis(2).groups(&Shape::new([4, 6]).expect("small")), None);
        assert_eq!(Granularity::Block(vec![2]).groups(&Shape::new([4, 6]).expect("small")), None);
    }

    #[test]
    fn spans_are_tight_where_memory_allows() {
        assert_eq!(groups(&[100, 64], &Granularity::Block(vec![1, 32])).span(&(64..96)), 2..3);
        assert_eq!(groups(&[100, 64], &Granularity::Axis(0)).span(&(64..193)), 1..4);
        assert_eq!(groups(&[100, 64], &Granularity::Axis(1)).span(&(64..96)), 0..64);
    }

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
