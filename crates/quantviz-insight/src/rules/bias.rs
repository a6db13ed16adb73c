//! int32 biases: kernels add them to sums of products of codes as they are.

use std::collections::HashMap;

use quantviz_core::{DType, Layer, Operand, QuantDescriptor, Role, number};

use crate::case::{ByName, Case};
use crate::{Code, Evidence, Finding};

/// How far a bias scale may be from the product, of that.
const TOLERANCE: f64 = 0.01;

/// QV012
pub(super) fn scale(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let (by_name, readers) = (case.by_name(), case.readers());
    for layer in &case.model().layers {
        if let Some(finding) = off_scale(case, layer, &by_name, &readers) {
            findings.push(finding);
        }
    }
}

fn off_scale(
    case: &Case<'_>,
    layer: &Layer,
    by_name: &ByName<'_>,
    readers: &HashMap<&str, u64>,
) -> Option<Finding> {
    let scale_of = |role: Option<Role>| {
        let input = layer.quantized_inputs.iter().find(|input| {
            let parameter = layer.inputs.get(input.slot).and_then(|name| by_name.get(name.as_str()));
            parameter.map(|&id| case.model().parameter(id).role) == role
        });
        case.values(input?.scale.as_ref()?)
    };
    let (inputs, weights) = (scale_of(None)?, scale_of(Some(Role::Weight))?);
    let &[input] = &inputs[..] else { return None };
    let bias = layer.inputs.iter().filter_map(|name| by_name.get(name.as_str()).copied()).find(|&id| {
        let parameter = case.model().parameter(id);
        parameter.role == Role::Bias && parameter.dtype == DType::I32
    })?;
    let parameter = case.model().parameter(bias);
    let factor = own_factor(parameter.quantization.as_ref()?);
    let biases = case.scales(bias)?;
    let channels = weights.len().max(biases.len());
    let at = |scales: &[f64], channel| if scales.len() == 1 { scales[0] } else { scales[channel] };
    if [&weights, &biases].iter().any(|scales| scales.len() != 1 && scales.len() != channels) {
        return None;
    }
    let off = |channel: usize| {
        let (expected, found) = (input * at(&weights, channel), at(&biases, channel) / factor);
        let ratio = found / expected;
        // What is not finite is another rule's.
        (expected.is_finite() && found.is_finite() && expected != 0.0)
            .then_some((channel, ratio, found, expected))
    };
    let off = (0..channels).filter_map(off).filter(|(_, ratio, ..)| (ratio - 1.0).abs() > TOLERANCE);
    let off: Vec<_> = off.collect();
    let distance = |ratio: f64| (ratio - 1.0).abs();
    let &(channel, ratio, found, expected) =
        off.iter().max_by(|one, other| distance(one.1).total_cmp(&distance(other.1)))?;
    let nodes = readers.get(parameter.name.as_str()).copied().unwrap_or_default();
    let shared = if nodes > 1 { format!("; {nodes} nodes share this bias") } else { String::new() };
    let of_channels = match channels {
        1 => String::new(),
        _ => format!(" in {} of {channels} channels", off.len()),
    };
    let message = format!(
        "its scale {} is {} times input scale × weight scale {} at {}{of_channels}{shared}",
        number(found),
        number(ratio),
        number(expected),
        layer.name,
    );
    let evidence = Evidence::new()
        .with("ratio", ratio)
        .with("scale", found)
        .with("expected", expected)
        .with("channel", channel as u64)
        .with("channels_off", off.len() as u64)
        .with("nodes", nodes)
        .with("node", layer.name.as_str());
    Some(Finding::about(Code::BiasScale, &parameter.name, message, evidence))
}

/// What the operator itself multiplies with, which is no parameter: QGemm's alpha.
fn own_factor(descriptor: &QuantDescriptor) -> f64 {
    let Operand::Product(factors) = &descriptor.scale else { return 1.0 };
    let own = factors.iter().filter_map(|factor| match factor {
        Operand::One { value, parameter: None } => Some(*value),
        _ => None,
    });
    own.product()
}

/// QV013
pub(super) fn saturated(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for quantized in case.quantized().filter(|it| it.code_type() == Some(DType::I32)) {
        let (min, max) = (quantized.facts.codes.min, quantized.facts.codes.max);
        let (low, high) = (f64::from(i32::MIN), f64::from(i32::MAX));
        if min <= low || max >= high {
            let code = if min <= low { low } else { high };
            let message = format!("an int32 code is {code}, the end of the type");
            let evidence = Evidence::new().with("min", min).with("max", max);
            findings.push(Finding::about(Code::SaturatedBias, &quantized.parameter.name, message, evidence));
        }
    }
}
