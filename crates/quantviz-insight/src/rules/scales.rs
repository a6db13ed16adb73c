//! Scales that are none, are negative, have few bits, or are all the same.

use quantviz_core::{DType, Encoding, Operand, number};

use crate::case::{Case, Quantized};
use crate::scale_facts::ScaleFacts;
use crate::{Code, Evidence, Finding, Level, Target};

/// Channels with the same scale from which on they are worth a finding.
const MANY_CHANNELS: u64 = 8;

/// What to do about scales that are zero and hide nothing.
const NOTHING_LOST: &str = "Nothing is lost: rows that were pruned, or pad a vocabulary, look like this.";

/// Scales of parameters, level by level; a bias whose scale is implied has none of its own.
fn levels(case: &Case<'_>, mut each: impl FnMut(&Quantized<'_>, &ScaleFacts)) {
    for quantized in case.quantized().filter(|quantized| !quantized.has_implied_scale()) {
        if let Some(scales) = &quantized.facts.scales {
            each(&quantized, &scales.inner);
            scales.outer.iter().for_each(|outer| each(&quantized, outer));
        }
    }
}

/// QV001
pub(super) fn bad(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let code = Code::BadScale;
    levels(case, |quantized, scales| {
        let ScaleFacts { nan, infinite, count, .. } = *scales;
        if nan + infinite > 0 {
            let message = format!("{} of {count} scales are NaN or infinite", nan + infinite);
            let evidence = Evidence::new().with("nan", nan).with("infinite", infinite).with("scales", count);
            findings.push(Finding::about(code, &quantized.parameter.name, message, evidence));
        }
    });
    for quantized in case.quantized().filter(|quantized| !quantized.has_implied_scale()) {
        let Some(scales) = &quantized.facts.scales else { continue };
        let (zeros, count) = (scales.zeros, scales.outer.as_ref().unwrap_or(&scales.inner).count);
        if zeros == 0 {
            continue;
        }
        let evidence =
            Evidence::new().with("zeros", zeros).with("silenced", scales.silenced).with("scales", count);
        let name = &quantized.parameter.name;
        if scales.silenced > 0 {
            let message =
                format!("{} of {count} scales are 0 and their codes are not all zero", scales.silenced);
            findings.push(Finding::about(code, name, message, evidence));
        } else {
            let message = format!("{zeros} of {count} scales are 0, and nothing but zeros is behind them");
            let finding = Finding::about(code, name, message, evidence).at(Level::Info);
            findings.push(finding.advising(NOTHING_LOST));
        }
    }
    for activation in case.activations() {
        if !activation.scale.is_finite() || activation.scale == 0.0 {
            let message = format!("the scale of this activation is {}", number(activation.scale));
            let evidence = Evidence::new().with("scale", activation.scale);
            findings.push(Finding::about(code, activation.tensor, message, evidence));
        }
    }
}

/// QV002
pub(super) fn negative(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let level = match case.target {
        Some(Target::TensorRt) => Level::Error,
        _ => Code::NegativeScale.rule().level,
    };
    let is_linear = |encoding| {
        matches!(encoding, Encoding::Qdq | Encoding::QOperator | Encoding::Integer | Encoding::Annotation)
    };
    levels(case, |quantized, scales| {
        if scales.negative > 0 && is_linear(quantized.descriptor.encoding) {
            let message = format!("{} of {} scales are negative", scales.negative, scales.count);
            let evidence = Evidence::new().with("negative", scales.negative).with("scales", scales.count);
            let finding = Finding::about(Code::NegativeScale, &quantized.parameter.name, message, evidence);
            findings.push(finding.at(level));
        }
    });
    for activation in case.activations().filter(|activation| activation.scale < 0.0) {
        let message = format!("the scale of this activation is {}", number(activation.scale));
        let evidence = Evidence::new().with("scale", activation.scale);
        findings.push(Finding::about(Code::NegativeScale, activation.tensor, message, evidence).at(level));
    }
}

/// QV003
pub(super) fn subnormal(case: &Case<'_>, findings: &mut Vec<Finding>) {
    levels(case, |quantized, scales| {
        if let Some((weakest, bits)) = scales.weakest {
            let (weak, count) = (scales.weak, scales.count);
            let message = format!(
                "{weak} of {count} scales are subnormal with fewer than 6 bits left: {} has {bits}",
                number(weakest)
            );
            let evidence = Evidence::new()
                .with("weak", weak)
                .with("scales", count)
                .with("scale", weakest)
                .with("bits", u64::from(bits));
            findings.push(Finding::about(Code::SubnormalScale, &quantized.parameter.name, message, evidence));
        }
    });
}

/// QV007
pub(super) fn equal_channels(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for quantized in case.quantized().filter(|quantized| !quantized.is_bias()) {
        let Some(scales) = &quantized.facts.scales else { continue };
        let Some((scale, equal)) = scales.inner.most_common else { continue };
        let count = scales.inner.count;
        // Of many scales in a narrow type, some are the same by chance.
        let is_by_chance = 2 * equal < count && !has_wide_scales(case, &quantized);
        if equal < MANY_CHANNELS || is_by_chance {
            continue;
        }
        let message = format!("{equal} of {count} channels have the scale {}", number(scale));
        let evidence = Evidence::new().with("equal", equal).with("channels", count).with("scale", scale);
        findings.push(Finding::about(Code::EqualChannels, &quantized.parameter.name, message, evidence));
    }
}

fn has_wide_scales(case: &Case<'_>, quantized: &Quantized<'_>) -> bool {
    let is_wide = |dtype| matches!(dtype, DType::F32 | DType::F64);
    match &quantized.descriptor.scale {
        Operand::Parameter(id) => is_wide(case.model().parameter(*id).dtype),
        _ => false,
    }
}
