//! What readers of files noted.

use quantviz_core::{DType, Note, WarningKind};

use crate::case::Case;
use crate::{Code, Evidence, Finding};

/// QV004
pub(super) fn misfit(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let by_name = case.by_name();
    for warning in case.model().warnings.iter().filter(|warning| warning.kind == WarningKind::Misfit) {
        let name = warning.parameter.as_deref().unwrap_or_default();
        let shape = by_name.get(name).map(|&id| case.model().parameter(id).shape.to_string());
        let evidence = shape.map_or_else(Evidence::new, |shape| Evidence::new().with("shape", shape));
        findings.push(Finding::about(Code::ScaleMisfit, name, warning.message.clone(), evidence));
    }
}

/// QV016
pub(super) fn codes_too_new(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for note in &case.model().notes {
        let Note::CodesTooNew { tensor, codes, operator, version, since } = note else { continue };
        let message = format!("{operator} of {codes} needs operator set {since}, the file says {version}");
        let evidence = Evidence::new()
            .with("codes", codes.name())
            .with("operator", operator.as_str())
            .with("version", *version as f64)
            .with("since", *since as f64);
        findings.push(Finding::about(Code::CodesTooNew, tensor, message, evidence));
    }
}

/// QV021
pub(super) fn no_zero_point(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for note in &case.model().notes {
        if let Note::ReshapedWithoutZeroPoint { tensor, codes: DType::I8 } = note {
            let message = "DequantizeLinear of int8 without a zero-point is read by Reshape".to_owned();
            let evidence = Evidence::new().with("codes", DType::I8.name());
            findings.push(Finding::about(Code::NoZeroPoint, tensor, message, evidence));
        }
    }
}
