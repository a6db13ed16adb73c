//! What there is to say of the scales, zero-points and offsets of a parameter.

use std::ops::Range;

use crate::calibration::Numbers;
use crate::dequantize::read_values;
use crate::{
    Error, Operand, ParameterId, ParameterSource, Part, QuantDescriptor, RangeSummary, Result, part_len,
};

/// What a scan found out about the quantization of one parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MeasuredQuantization {
    /// The scales of all groups, as the file has them.
    pub scale: RangeSummary,
    /// The outer scales, where scales have two levels.
    pub outer_scale: Option<RangeSummary>,
    /// What codes are multiplied with in each group: both levels multiplied, where there are two. `None` where a group
    /// does not lie in one of the outer level.
    pub effective_scale: Option<RangeSummary>,
    /// The zero-points of all groups; `None` where the file has none.
    pub zero_point: Option<RangeSummary>,
    /// What is added in each group after scaling; `None` where the file has none.
    pub offset: Option<RangeSummary>,
    /// Whether every zero-point is the middle code.
    pub symmetric: bool,
    /// The real numbers that the codes stand for.
    pub dequantized: RangeSummary,
}

/// Numbers that are read at once: so few that the bytes around them, where they are packed between codes, are still in a
/// near cache when the next part of them is read.
const STEP: u64 = 1 << 14;
/// Outer scales that are held for the scales of one step.
const OUTER_SPAN: u64 = 1 << 24;

/// Everything but the real numbers.
pub(crate) fn calibrate<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
) -> Result<MeasuredQuantization> {
    let parameter = source.model().parameter(id);
    let misfit = || Error::malformed("its scales do not fit its shape").in_tensor(&parameter.name);
    let descriptor = parameter.quantization.as_ref().ok_or_else(misfit)?;
    let optional = |part, operand: Option<&Operand>| {
        operand.map(|operand| summarize(source, id, part, operand)).transpose()
    };
    let (scale, _) = summarize(source, id, Part::Scales, &descriptor.scale)?;
    let outer_scale = optional(Part::OuterScales, descriptor.outer_scale.as_ref().map(|outer| &outer.scale))?;
    let effective_scale = match outer_scale {
        Some(_) => summarize_products(source, id, descriptor)?,
        None => Some(scale),
    };
    let zero_point = optional(Part::ZeroPoints, descriptor.zero_point.as_ref())?;
    let offset = optional(Part::Offsets, descriptor.offset.as_ref())?;
    let only_zero_point = zero_point.map_or(Some(0.0), |(_, only)| only);
    Ok(MeasuredQuantization {
        scale,
        outer_scale: outer_scale.map(|(summary, _)| summary),
        effective_scale,
        zero_point: zero_point.map(|(summary, _)| summary),
        offset: offset.map(|(summary, _)| summary),
        symmetric: descriptor.offset.is_none() && only_zero_point == Some(descriptor.middle_code()),
        dequantized: RangeSummary::default(),
    })
}

/// The summary of a part, and the number that all of it are, if they are one.
fn summarize<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    part: Part,
    operand: &Operand,
) -> Result<(RangeSummary, Option<f64>)> {
    let len = part_len(source.model(), id, part)?;
    if operand.is_single(source.model()) && len > 0 {
        let value = read_values(source, id, part, 0..1)?.first().copied().unwrap_or(f64::NAN);
        return Ok((RangeSummary::of_counted([(value, len)].into_iter()), Some(value)));
    }
    let mut summary = RangeSummary::default();
    let mut only = None;
    for range in steps(len) {
        let values = read_values(source, id, part, range)?;
        let first = *only.get_or_insert(values.first().copied());
        if values.iter().any(|&value| Some(value) != first) {
            only = Some(None);
        }
        summary.merge(&RangeSummary::of(&values));
    }
    Ok((summary, only.flatten()))
}

/// The summary of the products of both levels of scales.
fn summarize_products<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    descriptor: &QuantDescriptor,
) -> Result<Option<RangeSummary>> {
    let shape = &source.model().parameter(id).shape;
    let (Some(groups), Some(outer)) = (descriptor.groups(shape), descriptor.outer_groups(shape)) else {
        return Ok(None);
    };
    // An index moves groups along its axis; that matters only where the outer level divides the tensor too.
    if outer.count() > 1 && (descriptor.group_index.is_some() || !groups.lie_within(&outer)) {
        return Ok(None);
    }
    let mut summary = RangeSummary::default();
    for range in steps(groups.count()) {
        let scales = read_values(source, id, Part::Scales, range.clone())?;
        let outer_groups = groups.outer_groups(&outer, range);
        let first = outer_groups.iter().copied().min().unwrap_or(0);
        let end = outer_groups.iter().max().map_or(0, |last| last + 1);
        if end - first > OUTER_SPAN {
            return Ok(None);
        }
        let values = read_values(source, id, Part::OuterScales, first..end)?;
        let outer_scales = Numbers::Each { first, values };
        let products = scales.iter().zip(outer_groups).map(|(scale, group)| scale * outer_scales.of(group));
        summary.merge(&RangeSummary::of(&products.collect::<Vec<f64>>()));
    }
    Ok(Some(summary))
}

fn steps(len: u64) -> impl Iterator<Item = Range<u64>> {
    (0..len.div_ceil(STEP)).map(move |index| index * STEP..len.min((index + 1) * STEP))
}
