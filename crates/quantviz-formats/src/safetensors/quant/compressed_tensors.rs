//! compressed-tensors: rows of whole numbers as dense streams in 32-bit words, or as plain bytes.

use quantviz_core::{DType, DTypeClass, Encoding, GroupIndex, Operand, Part, QuantDescriptor, Role, Shape};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::{along_last, with_last};
use super::reading::{Reading, Stored};
use super::{Misfit, Quantized};
use crate::unpack::Packing;

const SOURCE: &str = "compressed-tensors";
/// Bits of codes, the usual ones first.
const BITS: [u32; 8] = [4, 8, 2, 3, 5, 6, 7, 1];

/// `weight_packed` and what is called alike.
pub(super) fn describe_packed(
    catalogue: &Catalogue<'_>,
    packed: Tensor<'_>,
) -> Option<Result<Quantized, Misfit>> {
    let base = packed.name().strip_suffix("_packed")?;
    let scale = catalogue.named(&format!("{base}_scale"));
    let is_weight = scale.is_some() || packed.is_called("weight_packed");
    is_weight.then(|| match scale {
        Some(scale) if packed.dtype() == DType::I32 => {
            PackedWeight { catalogue, packed, base, scale }.describe()
        }
        Some(_) => Err(Misfit::unsupported("a weight_packed with other words or scales")),
        None => Err(Misfit::missing("scales")),
    })
}

struct PackedWeight<'a> {
    catalogue: &'a Catalogue<'a>,
    packed: Tensor<'a>,
    base: &'a str,
    scale: Tensor<'a>,
}

impl<'a> PackedWeight<'a> {
    fn named(&self, ending: &str) -> Option<Tensor<'a>> {
        self.catalogue.named(&format!("{}{ending}", self.base))
    }

    fn describe(&self) -> Result<Quantized, Misfit> {
        let (shape, g_idx) = (self.named("_shape"), self.named("_g_idx"));
        let words = *self.packed.dims().last().unwrap_or(&0);
        let (logical, bits, padded) = self.shape_and_bits(shape, words)?;
        let columns = *logical.dims().last().unwrap_or(&0);
        let granularity = along_last(logical.dims(), self.scale.dims(), &self.catalogue.hints().group_sizes)?;
        let g_idx_axis = logical.rank() - 1;
        let scale = self.catalogue.operand(self.scale);
        let mut descriptor = QuantDescriptor::of_packed(
            Encoding::CompressedTensors,
            SOURCE,
            logical,
            bits,
            granularity,
            scale,
        );
        // As the library has them: signed, and packed with the smallest as zero.
        let middle = 1u8 << (bits - 1);
        descriptor.code_range = (-f64::from(middle), f64::from(middle) - 1.0);
        if let Some(g_idx) = g_idx.filter(|_| self.scale.dims().last() != Some(&1)) {
            if g_idx.dims() != [columns] {
                let message = format!("its g_idx of shape {:?} is not for {columns} columns", g_idx.dims());
                return Err(Misfit::malformed(message));
            }
            descriptor.group_index = Some(GroupIndex::Listed { axis: g_idx_axis, parameter: g_idx.id });
        }
        let packing = match padded {
            true => Packing::rows_of_words(bits, columns),
            false => Packing::rows(bits, columns, words * 4),
        };
        let codes = Reading::Packed(self.packed.extent, packing, Stored::Raised(middle));
        let zero_point = self.named("_zero_point");
        let quantized = Quantized::new(descriptor)
            .reading(Part::Codes, codes)
            .part(self.scale, Role::Scale)
            .part(shape, Role::Constant)
            .part(g_idx, Role::Constant);
        match zero_point {
            Some(zero_point) => self.with_zero_points(quantized, zero_point, bits, padded),
            None => Ok(quantized),
        }
    }

    /// `weight_shape` holds the shape; where it is not there, words are full. And whether codes stay in their words, as
    /// older versions of the library have them.
    fn shape_and_bits(&self, shape: Option<Tensor<'_>>, words: u64) -> Result<(Shape, u32, bool), Misfit> {
        let candidates = || self.catalogue.hints().bits.iter().copied().chain(BITS);
        let Some(shape) = shape else {
            let bits = candidates().find(|&bits| (words * 32).is_multiple_of(u64::from(bits)));
            let bits = bits.ok_or_else(|| Misfit::missing("shapes"))?;
            return Ok((with_last(self.packed.dims(), words * 32 / u64::from(bits))?, bits, false));
        };
        let misfit = || Misfit::malformed("its weight_shape does not fit its words");
        let dimension = |value: f64| (0.0..2f64.powi(53)).contains(&value).then_some(value as u64);
        let values = self.catalogue.few_values(shape, 8).ok_or_else(misfit)?;
        let dims: Vec<u64> = values.into_iter().map(dimension).collect::<Option<_>>().ok_or_else(misfit)?;
        let (Some((&columns, rows)), Some((_, stored_rows))) =
            (dims.split_last(), self.packed.dims().split_last())
        else {
            return Err(misfit());
        };
        let either = |bits| [(bits, false), (bits, true)];
        let fits = |&(bits, padded): &(u32, bool)| words_of(columns, bits, padded) == words;
        let found = candidates().flat_map(either).find(fits).filter(|_| rows == stored_rows);
        let (bits, padded) = found.ok_or_else(misfit)?;
        Ok((Shape::new(dims).map_err(|error| Misfit::malformed(error.message()))?, bits, padded))
    }

    /// Packed down the columns of what has the shape of the scales; older files have them plain.
    fn with_zero_points(
        &self,
        mut quantized: Quantized,
        tensor: Tensor<'_>,
        bits: u32,
        padded: bool,
    ) -> Result<Quantized, Misfit> {
        if tensor.dtype() == DType::I8 && tensor.elements() == self.scale.elements() {
            quantized.descriptor.zero_point = Some(self.catalogue.operand(tensor));
            return Ok(quantized.part(tensor, Role::ZeroPoint));
        }
        let padded = match (tensor.dims(), self.scale.dims()) {
            (&[words, groups], &[rows, scale_groups]) if groups == scale_groups => {
                [padded, !padded].into_iter().find(|&padded| words_of(rows, bits, padded) == words)
            }
            _ => None,
        };
        let Some(padded) = padded.filter(|_| tensor.dtype() == DType::I32) else {
            let message = format!("its zero-points of shape {:?} do not fit its scales", tensor.dims());
            return Err(Misfit::malformed(message));
        };
        let packing = Packing::Columns { bits: bits.into(), columns: tensor.dims()[1], padded };
        let reading = || Reading::Packed(tensor.extent, packing, Stored::Raised(1 << (bits - 1)));
        quantized.descriptor.zero_point = Some(Operand::Packed);
        Ok(quantized.reading(Part::ZeroPoints, reading()).packed_zero_points(tensor, self.scale, reading()))
    }
}

/// The words that so many codes take: side by side, or each within a word.
fn words_of(codes: u64, bits: u32, padded: bool) -> u64 {
    match padded {
        true => codes.div_ceil(u64::from(32 / bits)),
        false => codes.saturating_mul(bits.into()).div_ceil(32),
    }
}

/// Whole numbers of eight bits that are no more packed than any tensor.
pub(super) fn describe_int8(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
) -> Option<Result<Quantized, Misfit>> {
    if weight.dtype() != DType::I8 {
        return None;
    }
    let named = |ending: &str| catalogue.named(&format!("{}{ending}", weight.name()));
    let scale = named("_scale").filter(|scale| scale.dtype().class() == DTypeClass::Float)?;
    Some(fit_int8(catalogue, weight, scale, named("_zero_point")))
}

fn fit_int8(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
    scale: Tensor<'_>,
    zero_point: Option<Tensor<'_>>,
) -> Result<Quantized, Misfit> {
    let granularity = along_last(weight.dims(), scale.dims(), &catalogue.hints().group_sizes)?;
    if let Some(zero_point) = zero_point.filter(|it| it.elements() != scale.elements()) {
        let message = format!("its zero-points of shape {:?} do not fit its scales", zero_point.dims());
        return Err(Misfit::malformed(message));
    }
    let operand = |tensor| catalogue.operand(tensor);
    let (encoding, zeros) = (Encoding::CompressedTensors, zero_point.map(operand));
    let descriptor =
        QuantDescriptor::of_stored(encoding, SOURCE, DType::I8, granularity, operand(scale), zeros)
            .ok_or_else(|| Misfit::unsupported("int8"))?;
    Ok(Quantized::new(descriptor).part(scale, Role::Scale).part(zero_point, Role::ZeroPoint))
}
