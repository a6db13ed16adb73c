//! Weights that meet quantized inputs.

use std::collections::HashSet;

use quantviz_core::{DType, DTypeClass, Layer, ParameterId, Role, TransformerPart, count};

use crate::case::Case;
use crate::{Code, Evidence, Finding, Level, Target};

/// Operators that runtimes have integer kernels for.
const PRODUCTS: &[&str] =
    &["Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul"];
/// A weight of fewer elements is hardly worth quantizing.
const SMALL: u64 = 1024;
/// Two products of an uint8 with codes up to this fit 16 bits.
const FITS: f64 = 64.0;

/// Layers that multiply a quantized input with a parameter, and that one; the type of the input's codes.
fn weights<'a>(case: &Case<'a>) -> Vec<(&'a Layer, DType, ParameterId)> {
    let by_name = case.by_name();
    let mut found = Vec::new();
    for layer in &case.model().layers {
        let parameter = |slot: usize| by_name.get(layer.inputs.get(slot)?.as_str()).copied();
        let Some(input) = layer.quantized_inputs.iter().find(|input| parameter(input.slot).is_none()) else {
            continue;
        };
        let mut parameters = (0..layer.inputs.len()).filter_map(parameter);
        let weight = parameters.find(|&id| case.model().parameter(id).role == Role::Weight);
        found.extend(weight.map(|weight| (layer, input.dtype, weight)));
    }
    found
}

/// QV015
pub(super) fn float(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let model = case.model();
    let readers = case.readers();
    let shared: HashSet<ParameterId> = model.parameters.iter().filter_map(|it| it.shares).collect();
    for (layer, input, id) in weights(case) {
        let parameter = model.parameter(id);
        let is_product = layer.op.as_deref().is_some_and(|op| PRODUCTS.contains(&op));
        let is_float = parameter.dtype.class() == DTypeClass::Float && parameter.dtype.bits() >= Some(16);
        if !is_product || !is_float || parameter.quantization.is_some() || parameter.shape.rank() < 2 {
            continue;
        }
        let elements = parameter.shape.elements();
        let is_tied = parameter.shares.is_some()
            || shared.contains(&id)
            || readers.get(parameter.name.as_str()).is_some_and(|&readers| readers > 1);
        let excuse = match () {
            () if elements < SMALL => Some("small"),
            () if TransformerPart::of(model, id) == Some(TransformerPart::Head) => Some("the head"),
            () if is_tied => Some("tied"),
            () => None,
        };
        let of_it = excuse.map(|excuse| format!(" ({excuse})")).unwrap_or_default();
        let message = format!(
            "the input of {} {} is {input}, its weight of {} elements is {}{of_it}",
            layer.op.as_deref().unwrap_or_default(),
            layer.name,
            count(elements),
            parameter.dtype
        );
        let evidence = Evidence::new()
            .with("elements", elements)
            .with("input", input.name())
            .with("weight", parameter.dtype.name());
        let finding = Finding::about(Code::FloatWeight, &parameter.name, message, evidence);
        findings.push(if excuse.is_some() { finding.at(Level::Info) } else { finding });
    }
}

/// QV020
pub(super) fn saturating(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.target != Some(Target::OrtX86Avx2) {
        return;
    }
    for (layer, input, id) in weights(case) {
        let (parameter, Some(facts)) = (case.model().parameter(id), case.facts_of(id)) else { continue };
        let codes = parameter.quantization.as_ref().and_then(|it| it.computed).unwrap_or(parameter.dtype);
        let largest = facts.codes.max.max(-facts.codes.min);
        if input == DType::U8 && codes == DType::I8 && largest > FITS {
            let message = format!("{} multiplies uint8 by int8 codes up to {largest}", layer.name);
            let evidence = Evidence::new().with("largest_code", largest).with("node", layer.name.as_str());
            findings.push(Finding::about(Code::Saturating, &parameter.name, message, evidence));
        }
    }
}
