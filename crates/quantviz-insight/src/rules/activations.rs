//! Activations that nobody calibrated.

use std::collections::HashSet;

use quantviz_core::{DTypeClass, Part, SourceExt, number};

use crate::case::{Case, is_whole};
use crate::{Code, Evidence, Finding};

/// What quantizers of torch take for the scale of a range without width: the smallest step of a float.
const EPSILON: f32 = f32::EPSILON;

/// QV014
pub(super) fn uncalibrated(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let of_graph = case.activations().map(|it| (it.tensor.to_owned(), it.scale, it.zero_point));
    let mut known = HashSet::new();
    for (tensor, scale, zero_point) in of_graph.chain(of_modules(case)) {
        let is_untouched = scale == 1.0 && zero_point == 0.0;
        let is_empty = scale == f64::from(EPSILON);
        if (is_untouched || is_empty) && known.insert(tensor.clone()) {
            let message = format!(
                "scale {} with zero-point {}: never calibrated, or always zero",
                if is_empty { EPSILON.to_string() } else { number(scale) },
                number(zero_point)
            );
            let evidence = Evidence::new().with("scale", scale).with("zero_point", zero_point);
            findings.push(Finding::about(Code::Uncalibrated, &tensor, message, evidence));
        }
    }
}

/// Modules of torch keep scale and zero-point of what they give beside their parameters: `fc.scale`, `fc.zero_point`.
fn of_modules(case: &Case<'_>) -> Vec<(String, f64, f64)> {
    let model = case.model();
    let calibrating = model.calibrating();
    let by_name = case.by_name();
    let single = |id| {
        let is_single = model.parameter(id).shape.elements() == 1 && !calibrating.contains(&id);
        is_single.then(|| case.source.values(id, Part::Stored).ok()?.first().copied()).flatten()
    };
    let mut found = Vec::new();
    let mut is_dynamic = true;
    for id in model.parameter_ids().filter(|&id| model.parameter(id).dtype.class() == DTypeClass::Float) {
        let name = &model.parameter(id).name;
        let Some((module, number)) = name.rsplit_once("scale") else { continue };
        let Some(&of_zero) = by_name.get(format!("{module}zero_point{number}").as_str()) else { continue };
        let is_code = is_whole(model.parameter(of_zero).dtype);
        let (Some(scale), Some(zero_point), true) = (single(id), single(of_zero), is_code) else { continue };
        is_dynamic &= model.parameter(id).shape.rank() == 0 && (scale, zero_point) == (1.0, 0.0);
        found.push((module.trim_end_matches(['.', '_']).to_owned(), scale, zero_point));
    }
    // Modules that quantize while they run have a scale that nobody uses. Where they do not, one module quantizes the
    // input, and its scale is a list of one.
    if is_dynamic { Vec::new() } else { found }
}
