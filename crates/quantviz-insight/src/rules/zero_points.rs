//! Zero-points that no runtime takes, and those that give a level away.

use quantviz_core::{DType, DTypeClass, Encoding, Note, Operand, Scheme, number};

use crate::case::{Case, Quantized, is_whole};
use crate::{Code, Evidence, Finding, Level, Target};

/// QV005
pub(super) fn bad(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for note in &case.model().notes {
        if let Note::ZeroPointType { tensor, codes, zero_points } = note {
            let message = format!("its zero-points are {zero_points}, its codes {codes}");
            let evidence =
                Evidence::new().with("zero_points", zero_points.name()).with("codes", codes.name());
            findings.push(Finding::about(Code::BadZeroPoint, tensor, message, evidence));
        }
    }
    for quantized in case.quantized() {
        let Some(zero_points) = &quantized.facts.zero_points else { continue };
        let (min, max) = (zero_points.min, zero_points.max);
        let evidence = || Evidence::new().with("min", min).with("max", max);
        let name = &quantized.parameter.name;
        let range = match (min == max, min, max) {
            (true, min, _) => format!("is {}", number(min)),
            (false, min, max) => format!("goes from {} to {}", number(min), number(max)),
        };
        let (low, high) = quantized.descriptor.code_range;
        if quantized.code_type() == Some(DType::I32) {
            if !zero_points.are_all(0.0) {
                let message = format!("the zero-point of int32 codes {range}, not 0");
                findings.push(Finding::about(Code::BadZeroPoint, name, message, evidence()));
            }
        } else if has_whole_zero_points(case, &quantized) && (min < low || max > high) {
            let message =
                format!("its zero-point {range}, codes go from {} to {}", number(low), number(high));
            let evidence = evidence().with("lowest_code", low).with("highest_code", high);
            findings.push(Finding::about(Code::BadZeroPoint, name, message, evidence));
        }
    }
}

/// Whether its zero-points are codes, and no real numbers.
fn has_whole_zero_points(case: &Case<'_>, quantized: &Quantized<'_>) -> bool {
    let descriptor = quantized.descriptor;
    let is_code = match &descriptor.zero_point {
        Some(Operand::One { parameter: Some(id), .. } | Operand::Parameter(id)) => {
            is_whole(case.model().parameter(*id).dtype)
        }
        Some(Operand::One { value, parameter: None }) => value.fract() == 0.0,
        // GPTQ's can be one more than the last code: they are stored less one.
        Some(Operand::Packed) => {
            descriptor.encoding != Encoding::Gptq && descriptor.encoding != Encoding::Torch
        }
        _ => false,
    };
    is_code && descriptor.scheme == Scheme::Affine
}

/// QV006
pub(super) fn symmetric_254(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let level = if case.target == Some(Target::Qnn) { Level::Warning } else { Level::Info };
    for quantized in case.quantized() {
        let is_middle = quantized.facts.zero_points.as_ref().is_some_and(|it| it.are_all(127.0));
        let is_byte = quantized.descriptor.code_range == (0.0, 255.0);
        if is_middle && is_byte && quantized.facts.codes.times(255.0) == Some(0) {
            let message =
                "its zero-point is 127 and the code 255 is not used: symmetric over 0 to 254".to_owned();
            let evidence =
                Evidence::new().with("zero_point", 127u64).with("largest_code", quantized.facts.codes.max);
            let finding = Finding::about(Code::Symmetric254, &quantized.parameter.name, message, evidence);
            findings.push(finding.at(level));
        }
    }
}

/// QV022
pub(super) fn not_symmetric(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.target != Some(Target::TensorRt) {
        return;
    }
    let mut tell = |name: &str, codes: Option<DType>, zero_points: Option<(f64, f64)>| {
        let zero_points = zero_points.unwrap_or((0.0, 0.0));
        let message = match (zero_points, codes) {
            ((0.0, 0.0), Some(codes)) if codes.class() == DTypeClass::Unsigned => {
                format!("its codes are {codes}, and TensorRT has signed ones only")
            }
            ((0.0, 0.0), _) => return,
            ((min, max), _) if min == max => format!("its zero-point is {}, not 0", number(min)),
            ((min, max), _) => {
                format!("its zero-points go from {} to {}, not all 0", number(min), number(max))
            }
        };
        let evidence = Evidence::new().with("min", zero_points.0).with("max", zero_points.1);
        let evidence = match codes {
            Some(codes) => evidence.with("codes", codes.name()),
            None => evidence,
        };
        findings.push(Finding::about(Code::NotSymmetric, name, message, evidence));
    };
    let is_linear = |encoding| matches!(encoding, Encoding::Qdq | Encoding::QOperator);
    for quantized in case.quantized().filter(|it| is_linear(it.descriptor.encoding)) {
        let zero_points = quantized.facts.zero_points.as_ref().map(|it| (it.min, it.max));
        tell(&quantized.parameter.name, quantized.code_type(), zero_points);
    }
    for activation in case.activations() {
        tell(activation.tensor, Some(activation.codes), Some((activation.zero_point, activation.zero_point)));
    }
}
