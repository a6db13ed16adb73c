//! What rules want to know of scales and zero-points, counted while they are read.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use quantviz_core::{
    Block, DType, Encoding, Granularity, Model, Operand, ParameterId, ParameterSource, Part, QuantDescriptor,
    Result, Scheme, part_len,
};

use crate::behind_zeros::silenced;

/// Significant bits below which a scale counts as weak.
const FEW_BITS: u32 = 6;

/// Scales of one level.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ScaleFacts {
    pub(crate) count: u64,
    pub(crate) nan: u64,
    pub(crate) infinite: u64,
    pub(crate) zeros: u64,
    pub(crate) negative: u64,
    /// Those that are subnormal in the type they are stored in, with few bits left.
    pub(crate) weak: u64,
    /// The weak one of the fewest bits, and how many it has.
    pub(crate) weakest: Option<(f64, u32)>,
    /// The scale that most channels share, and how many do; of scales per channel only.
    pub(crate) most_common: Option<(f64, u64)>,
}

impl ScaleFacts {
    fn read(
        source: &(dyn ParameterSource + Sync),
        id: ParameterId,
        part: Part,
        stored: Option<DType>,
        channels: bool,
    ) -> Result<Self> {
        let mut facts = ScaleFacts::default();
        let mut times: HashMap<u64, u64> = HashMap::new();
        for_each(source, id, part, &mut |scale| {
            facts.add(scale, stored);
            if channels {
                *times.entry(scale.to_bits()).or_default() += 1;
            }
        })?;
        // Of equally common ones the smallest: the order of a map is not to be seen.
        let common = times.into_iter().map(|(bits, times)| (f64::from_bits(bits), times));
        facts.most_common = common.max_by(|a, b| a.1.cmp(&b.1).then(b.0.total_cmp(&a.0)));
        Ok(facts)
    }

    fn add(&mut self, scale: f64, stored: Option<DType>) {
        self.count += 1;
        self.nan += u64::from(scale.is_nan());
        self.infinite += u64::from(scale.is_infinite());
        self.zeros += u64::from(scale == 0.0);
        self.negative += u64::from(scale < 0.0);
        if let Some(bits) =
            stored.and_then(|dtype| subnormal_bits(scale, dtype)).filter(|&bits| bits < FEW_BITS)
        {
            self.weak += 1;
            if self.weakest.is_none_or(|(_, fewest)| bits < fewest) {
                self.weakest = Some((scale, bits));
            }
        }
    }
}

/// The significant bits of a number that is subnormal in `dtype`; `None` for all others, and for types that have fewer
/// than six even of normal ones.
fn subnormal_bits(value: f64, dtype: DType) -> Option<u32> {
    // The exponents of the smallest number there is and of the smallest normal one.
    let (least, normal) = match dtype {
        DType::F32 => (-149, -126),
        DType::F16 => (-24, -14),
        DType::Bf16 => (-133, -126),
        _ => return None,
    };
    let size = value.abs();
    let is_subnormal = size > 0.0 && size < 2f64.powi(normal);
    // Dividing by a power of two is exact here.
    is_subnormal.then(|| 64 - ((size / 2f64.powi(least)) as u64).leading_zeros())
}

/// All levels of scales of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scales {
    pub(crate) inner: ScaleFacts,
    pub(crate) outer: Option<ScaleFacts>,
    /// Scales that are zero and whose codes were looked at.
    pub(crate) zeros: u64,
    /// Those of them whose codes are not all zero.
    pub(crate) silenced: u64,
}

impl Scales {
    pub(crate) fn read(source: &(dyn ParameterSource + Sync), id: ParameterId) -> Result<Option<Self>> {
        let model = source.model();
        let Some(quantization) = &model.parameter(id).quantization else { return Ok(None) };
        let channels = matches!(quantization.granularity, Granularity::Axis(_));
        let stored = |operand| scale_type(model, quantization, operand);
        let outer = quantization.outer_scale.as_ref();
        let inner_type = if outer.is_none() { stored(&quantization.scale) } else { None };
        let inner = ScaleFacts::read(source, id, Part::Scales, inner_type, channels)?;
        let outer = outer.map(|it| ScaleFacts::read(source, id, Part::OuterScales, stored(&it.scale), false));
        let mut scales = Scales { inner, outer: outer.transpose()?, zeros: 0, silenced: 0 };
        scales.look_behind_zeros(source, id, quantization)?;
        Ok(Some(scales))
    }

    /// What is rounded to zero beside larger scales of the same block, or is shifted, has lost nothing more; and where a
    /// whole block of ggml is zero, its codes are any.
    fn look_behind_zeros(
        &mut self,
        source: &(dyn ParameterSource + Sync),
        id: ParameterId,
        quantization: &QuantDescriptor,
    ) -> Result<()> {
        if quantization.offset.is_some() {
            return Ok(());
        }
        let stored = &source.model().parameter(id).shape;
        let (zeros, part, groups) = match &self.outer {
            None => (self.inner.zeros, Part::Scales, quantization.groups(stored)),
            Some(_) if quantization.encoding == Encoding::Gguf || quantization.zero_point.is_some() => {
                return Ok(());
            }
            Some(outer) => (outer.zeros, Part::OuterScales, quantization.outer_groups(stored)),
        };
        if let Some(groups) = groups.filter(|_| zeros > 0) {
            self.zeros = zeros;
            self.silenced = silenced(source, id, part, &groups)?;
        }
        Ok(())
    }

    /// Codes that lie where a scale is zero, of `codes` in all.
    pub(crate) fn codes_behind_zeros(&self, codes: u64) -> u64 {
        let behind = |scales: &ScaleFacts| scales.zeros * codes.div_ceil(scales.count.max(1));
        behind(&self.inner) + self.outer.as_ref().map_or(0, behind)
    }
}

/// The type in which scales are stored, where it is one of some precision.
fn scale_type(model: &Model, quantization: &QuantDescriptor, operand: &Operand) -> Option<DType> {
    match operand {
        Operand::One { parameter: Some(id), .. } | Operand::Parameter(id) => Some(model.parameter(*id).dtype),
        // The one type of scales of ggml that is no power of two and no small float.
        Operand::Packed
            if quantization.encoding == Encoding::Gguf && quantization.scheme != Scheme::Float =>
        {
            Some(DType::F16)
        }
        _ => None,
    }
}

/// The zero-points of a parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ZeroPointFacts {
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Those that are the smallest code, and the largest.
    pub(crate) at_ends: [u64; 2],
}

impl ZeroPointFacts {
    pub(crate) fn read(source: &(dyn ParameterSource + Sync), id: ParameterId) -> Result<Option<Self>> {
        let quantization = source.model().parameter(id).quantization.as_ref();
        let Some(quantization) = quantization.filter(|it| it.zero_point.is_some()) else { return Ok(None) };
        let (low, high) = quantization.code_range;
        let mut facts =
            ZeroPointFacts { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, at_ends: [0; 2] };
        for_each(source, id, Part::ZeroPoints, &mut |zero_point| {
            facts.count += 1;
            facts.min = facts.min.min(zero_point);
            facts.max = facts.max.max(zero_point);
            facts.at_ends[0] += u64::from(zero_point == low);
            facts.at_ends[1] += u64::from(zero_point == high);
        })?;
        Ok(Some(facts).filter(|facts| facts.count > 0))
    }

    /// Whether all of them are this one.
    pub(crate) fn are_all(&self, zero_point: f64) -> bool {
        self.min == zero_point && self.max == zero_point
    }
}

/// Hands on every element of a part, without holding them.
pub(crate) fn for_each(
    source: &(dyn ParameterSource + Sync),
    id: ParameterId,
    part: Part,
    each: &mut dyn FnMut(f64),
) -> Result<()> {
    for_each_in(source, id, part, 0..part_len(source.model(), id, part)?, each)
}

/// The same of some of the elements.
pub(crate) fn for_each_in(
    source: &(dyn ParameterSource + Sync),
    id: ParameterId,
    part: Part,
    range: Range<u64>,
    each: &mut dyn FnMut(f64),
) -> Result<()> {
    let mut sink = |block: Block<'_>| {
        block.elements.for_each(&mut *each);
        ControlFlow::Continue(())
    };
    source.read(id, part, range, &mut sink).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_subnormal_numbers_have_left() {
        let bits = |value: f64, dtype| subnormal_bits(value, dtype);
        assert_eq!(bits(f64::from(f32::from_bits(31)), DType::F32), Some(5));
        assert_eq!(bits(-f64::from(f32::from_bits(32)), DType::F32), Some(6));
        assert_eq!(bits(f64::from(f32::MIN_POSITIVE), DType::F32), None);
        assert_eq!(bits(0.0, DType::F32), None);
        assert_eq!(bits(2f64.powi(-24), DType::F16), Some(1));
        assert_eq!(bits(2f64.powi(-14), DType::F16), None);
        assert_eq!(bits(31.0 * 2f64.powi(-133), DType::Bf16), Some(5));
        assert_eq!(bits(2f64.powi(-9), DType::F8E4M3Fn), None);
    }
}
