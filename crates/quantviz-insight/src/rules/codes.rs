//! Codes that use little of their range, pile up at its ends, or are NaN.

use std::collections::HashSet;

use quantviz_core::{DType, LayerId, ParameterId, Scheme, count, number};

use crate::case::{Case, Quantized};
use crate::facts::is_float8;
use crate::{Code, Evidence, Finding};

/// A share of the range below this is worth a finding.
const SHORT: f64 = 0.5;
/// Elements for each level from which on the use of levels says something.
const PER_LEVEL: f64 = 4.0;
/// How often an end code has to occur, and how much more often than its neighbour.
const PILE: u64 = 8;
const STEEP: u64 = 4;
/// Fewer levels than this say nothing about a pile at one end.
const FINE_LEVELS: f64 = 8.0;
/// An int32 bias with larger codes has been made to fit.
const NEARLY_FULL: f64 = 536_870_912.0;

fn has_enough(quantized: &Quantized<'_>) -> bool {
    quantized.facts.codes.count as f64 >= PER_LEVEL * quantized.levels()
}

/// The range of codes; without the smallest where it is never used and zero lies in the middle of the others.
fn range(quantized: &Quantized<'_>) -> (f64, f64) {
    let (low, high) = quantized.descriptor.code_range;
    let zero_points = quantized.facts.zero_points.as_ref();
    let is_symmetric = low == -high - 1.0 && zero_points.is_none_or(|it| it.are_all(0.0));
    if is_symmetric && quantized.facts.codes.min > low { (-high, high) } else { (low, high) }
}

/// QV009
pub(super) fn short_reach(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let full_biases = layers_with_full_bias(case);
    for quantized in case.quantized() {
        let (min, max) = (quantized.facts.codes.min, quantized.facts.codes.max);
        if quantized.descriptor.scheme != Scheme::Affine || !has_enough(&quantized) {
            continue;
        }
        let (low, high) = range(&quantized);
        let reach = (max - min) / (high - low);
        if reach >= SHORT {
            continue;
        }
        let why = explanation(&quantized, (min, max), &full_biases);
        let message = format!(
            "codes go from {} to {}: {} % of {} to {}{}",
            number(min),
            number(max),
            number((reach * 1000.0).round() / 10.0),
            number(low),
            number(high),
            why.map(|why| format!(" ({why})")).unwrap_or_default()
        );
        let mut evidence = Evidence::new().with("reach", reach).with("min", min).with("max", max);
        if let Some(why) = why {
            evidence = evidence.with("explanation", why);
        }
        findings.push(Finding::about(Code::ShortReach, &quantized.parameter.name, message, evidence));
    }
}

fn explanation(
    quantized: &Quantized<'_>,
    (min, max): (f64, f64),
    full_biases: &HashSet<LayerId>,
) -> Option<&'static str> {
    let is_reduced = match quantized.code_type() {
        Some(DType::I8) => min >= -64.0 && max <= 64.0,
        Some(DType::U8) => max <= 127.0,
        _ => false,
    };
    // What reaches both ends of the smaller range, or nearly so, was meant for it.
    let fills_it = max - min >= 96.0;
    if quantized.parameter.layer.is_some_and(|layer| full_biases.contains(&layer)) {
        Some("widened so that the int32 bias fits")
    } else {
        (is_reduced && fills_it).then_some("reduce_range")
    }
}

/// Layers with an int32 bias that takes nearly all of its range.
fn layers_with_full_bias(case: &Case<'_>) -> HashSet<LayerId> {
    let biases = case.quantized().filter(|it| it.is_bias() && it.code_type() == Some(DType::I32));
    let sizes = biases
        .filter_map(|it| Some((it.parameter.layer?, it.facts.codes.max.abs().max(it.facts.codes.min.abs()))));
    sizes.filter(|(_, size)| *size >= NEARLY_FULL).map(|(layer, _)| layer).collect()
}

/// QV010, as far as codes alone tell.
pub(super) fn clipped(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for quantized in case.quantized() {
        let descriptor = quantized.descriptor;
        let Some(counts) = &quantized.facts.codes.counts else { continue };
        let finite: Vec<(f64, u64)> = counts.iter().copied().filter(|(code, _)| code.is_finite()).collect();
        let is_ordered = descriptor.scheme != Scheme::Codebook;
        // Four-bit floats clip by design: their scales are powers of two, or small floats themselves.
        let is_fine = quantized.levels() >= FINE_LEVELS
            && (descriptor.scheme == Scheme::Affine || descriptor.bits >= 8);
        // Two or three values that repeat are no distribution with an end.
        let is_spread = finite.len() as f64 >= quantized.levels() / 8.0;
        if !is_ordered || !is_fine || !is_spread || !has_enough(&quantized) {
            continue;
        }
        let Some(of_scales) = &quantized.facts.scales else { continue };
        // Whatever is calibrated by its largest value has that one at an end.
        let scales = of_scales.inner.count;
        let of_each_group = if scales == 1 { 0 } else { scales };
        let codes = quantized.facts.codes.count;
        let expected = of_each_group + of_scales.codes_behind_zeros(codes);
        // Of channels on their own, those without values on one side of zero have zero itself at that end.
        let zero_points = quantized.facts.zero_points.as_ref().filter(|it| it.min != it.max);
        let zeros_at =
            |end: usize| zero_points.map_or(0, |it| it.at_ends[end] * codes.div_ceil(scales.max(1)));
        let (low, high) = range(&quantized);
        let ends = [(low, neighbour(&quantized, low, 1.0)), (high, neighbour(&quantized, high, -1.0))];
        for (side, (end, beside)) in ends.into_iter().enumerate() {
            let at_end = quantized.facts.codes.times(end).unwrap_or(0);
            let beside_end = beside.and_then(|beside| quantized.facts.codes.times(beside)).unwrap_or(0);
            let excess = at_end.saturating_sub(expected + zeros_at(side));
            if excess >= PILE && excess > STEEP * beside_end {
                let message = format!(
                    "clipped: code {} occurs {} times, its neighbour {}",
                    number(end),
                    count(at_end),
                    count(beside_end)
                );
                let evidence = Evidence::new()
                    .with("code", end)
                    .with("times", at_end)
                    .with("neighbour_times", beside_end)
                    .with("scales", scales);
                findings.push(Finding::about(Code::Clipped, &quantized.parameter.name, message, evidence));
                break;
            }
        }
    }
}

/// The code next to an end, towards the middle.
fn neighbour(quantized: &Quantized<'_>, end: f64, step: f64) -> Option<f64> {
    if quantized.descriptor.scheme == Scheme::Affine {
        return Some(end + step);
    }
    let values = quantviz_core::code_values(quantized.code_type()?)?.iter().map(|&value| f64::from(value));
    let inside = values.filter(|value| value.is_finite() && (value - end) * step > 0.0);
    inside.min_by(|one, other| (one - end).abs().total_cmp(&(other - end).abs()))
}

/// QV017
pub(super) fn nan(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let nan_of = |id: &ParameterId| {
        let parameter = case.model().parameter(*id);
        let computed = parameter.quantization.as_ref().and_then(|it| it.computed);
        let is_float = is_float8(computed.unwrap_or(parameter.dtype))
            || parameter.quantization.as_ref().is_some_and(|it| it.scheme == Scheme::Float && it.bits == 8);
        is_float.then(|| case.facts_of(*id)).flatten().map(|facts| (&parameter.name, &facts.codes))
    };
    for (name, codes) in case.facts.iter().filter_map(|(id, _)| nan_of(id)) {
        if codes.nan > 0 {
            let message = format!("{} of {} float8 codes are NaN", count(codes.nan), count(codes.count));
            let evidence = Evidence::new().with("nan", codes.nan).with("codes", codes.count);
            findings.push(Finding::about(Code::NanCodes, name, message, evidence));
        }
    }
}
