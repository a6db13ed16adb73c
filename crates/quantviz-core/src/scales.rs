//! What there is to say of the scales, zero-points and offsets of a parameter.

use std::ops::Range;

use crate::calibration::{Calibration, NEAR, Numbers, multiply};
use crate::dequantize::read_values;
use crate::{
    Error, Groups, Operand, ParameterId, ParameterSource, Part, QuantDescriptor, RangeSummary, Result, Shape,
    part_len,
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

impl MeasuredQuantization {
    /// What a calibration says of the groups that it was loaded for. They have to be those that lie in one range of
    /// elements, all of them whole.
    pub(crate) fn of_calibration(
        calibration: &Calibration,
        descriptor: &QuantDescriptor,
        elements: u64,
    ) -> Self {
        let groups = elements / calibration.groups.even_run().unwrap_or(1);
        let optional =
            |operand: Option<&Operand>, numbers: &Numbers| operand.map(|_| numbers.summary(groups));
        let effective = calibration.scales.summary(groups);
        let levels =
            calibration.levels.as_ref().map(|(inner, outer)| (inner.summary(groups), outer.summary(1)));
        MeasuredQuantization {
            scale: levels.map_or(effective, |(inner, _)| inner),
            outer_scale: levels.map(|(_, outer)| outer),
            effective_scale: Some(effective),
            zero_point: optional(descriptor.zero_point.as_ref(), &calibration.zero_points),
            offset: optional(descriptor.offset.as_ref(), &calibration.offsets),
            symmetric: descriptor.offset.is_none()
                && calibration.zero_points.are_all(descriptor.middle_code()),
            dequantized: RangeSummary::default(),
        }
    }

    /// Adds what was found out about other groups of the same parameter.
    pub(crate) fn merge(&mut self, other: &MeasuredQuantization) {
        let merge = |here: &mut Option<RangeSummary>, there: &Option<RangeSummary>| match (here, there) {
            (Some(here), Some(there)) => here.merge(there),
            (here, _) => *here = None,
        };
        self.scale.merge(&other.scale);
        merge(&mut self.outer_scale, &other.outer_scale);
        merge(&mut self.effective_scale, &other.effective_scale);
        merge(&mut self.zero_point, &other.zero_point);
        merge(&mut self.offset, &other.offset);
        self.symmetric &= other.symmetric;
        self.dequantized.merge(&other.dequantized);
    }
}

/// Whether pieces of `piece` elements part the groups of a parameter, so that what is read to compute its values is all
/// there is to measure of its scales, and each of them once.
pub(crate) fn come_along(quantization: &QuantDescriptor, stored: &Shape, piece: u64) -> bool {
    let divides = |groups: Option<Groups>| {
        let run = groups.and_then(|groups| groups.even_run());
        run.is_some_and(|run| piece.is_multiple_of(run) && NEAR.is_multiple_of(run))
    };
    let outer = quantization.outer_scale.is_none() || divides(quantization.outer_groups(stored));
    quantization.computed.is_none()
        && quantization.group_index.is_none()
        && divides(quantization.groups(stored))
        && outer
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
        let mut products = read_values(source, id, Part::Scales, range.clone())?;
        let outer_groups = || groups.outer_runs(&outer, range.clone()).map(|(_, group)| group);
        let first = outer_groups().min().unwrap_or(0);
        let end = outer_groups().max().map_or(0, |last| last + 1);
        if end - first > OUTER_SPAN {
            return Ok(None);
        }
        let values = read_values(source, id, Part::OuterScales, first..end)?;
        let outer_scales = Numbers::Each { first, values };
        multiply(&mut products, range.start, &groups, &outer_scales, &outer);
        summary.merge(&RangeSummary::of(&products));
    }
    Ok(Some(summary))
}

fn steps(len: u64) -> impl Iterator<Item = Range<u64>> {
    (0..len.div_ceil(STEP)).map(move |index| index * STEP..len.min((index + 1) * STEP))
}
