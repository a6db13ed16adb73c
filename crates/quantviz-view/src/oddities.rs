//! What is odd about the values of a model, which is known only once they are measured.

use std::collections::HashSet;

use quantviz_core::{
    ErrorKind, Measured, MeasuredQuantization, Model, Parameter, RangeSummary, Role, Warning, WarningKind,
};

use crate::numbers::count;

/// Warnings that a scan adds to those of a reader.
pub(crate) struct Oddities<'a> {
    /// What the reader has warned of already: a scan stumbles over the same.
    known: HashSet<(WarningKind, &'a str)>,
    found: Vec<Warning>,
}

impl<'a> Oddities<'a> {
    pub(crate) fn of(model: &'a Model) -> Self {
        let about = |it: &'a Warning| Some((it.kind, it.parameter.as_deref()?));
        Oddities { known: model.warnings.iter().filter_map(about).collect(), found: Vec::new() }
    }

    pub(crate) fn note(&mut self, parameter: &Parameter, measured: &Measured) {
        let name = parameter.name.as_str();
        if let Some(error) = &measured.error {
            let kind = warning_kind(error.kind());
            if !self.known.contains(&(kind, name)) {
                let place = error.offset().map(|offset| format!("byte {offset}: ")).unwrap_or_default();
                self.found.push(Warning::about(name, kind, format!("{place}{}", error.message())));
            }
        }
        let values = measured.summary.as_ref().and_then(|summary| odd_values(summary, parameter.role));
        let scales = measured.quantization.as_deref().and_then(odd_scales);
        let messages = values.into_iter().chain(scales);
        self.found.extend(messages.map(|message| Warning::about(name, WarningKind::Odd, message)));
    }

    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.found
    }
}

pub(crate) fn warning_kind(kind: ErrorKind) -> WarningKind {
    match kind {
        ErrorKind::NotFound | ErrorKind::Io => WarningKind::Missing,
        ErrorKind::Unsupported => WarningKind::Unsupported,
        _ => WarningKind::Malformed,
    }
}

pub(crate) fn no_parameters(model: &Model) -> Option<Warning> {
    let is_empty = model.parameters.is_empty();
    is_empty.then(|| Warning::general(WarningKind::Odd, "the model has no parameters"))
}

fn odd_values(summary: &RangeSummary, role: Role) -> Option<String> {
    // Graphs mask with infinity, and leave inputs of nodes empty.
    let is_constant = role == Role::Constant;
    let odd = if is_constant { summary.nan() } else { summary.count() - summary.finite() };
    match (summary.count(), odd) {
        (0, _) if !is_constant => Some("it has no elements".to_owned()),
        (_, 0) => None,
        (all, odd) => Some(share(odd, all, "values", "NaN or infinite")),
    }
}

fn odd_scales(quantization: &MeasuredQuantization) -> Option<String> {
    let scale = &quantization.scale;
    let odd = scale.count() - scale.finite() + scale.zeros();
    (odd > 0).then(|| share(odd, scale.count(), "scales", "zero, NaN or infinite"))
}

fn share(some: u64, all: u64, of_what: &str, what: &str) -> String {
    let verb = if some == 1 { "is" } else { "are" };
    format!("{} of its {} {of_what} {verb} {what}", count(some), count(all))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use ndarray::arr1;
    use quantviz_core::{
        DType, Encoding, Granularity, MemorySource, Operand, ParameterSource, QuantDescriptor,
    };

    use super::*;
    use crate::{Inspection, Request};

    fn warnings(source: &(dyn ParameterSource + Sync)) -> Vec<String> {
        let inspection = Inspection::of(source, "m", &Request::default(), &|_| ControlFlow::Continue(()));
        let warnings = inspection.expect("all can be read").warnings;
        warnings.into_iter().map(|it| it.parameter.unwrap_or_default() + ": " + &it.message).collect()
    }

    #[test]
    fn values_that_are_none_are_told() {
        let source = MemorySource::new()
            .with("fine.weight", arr1(&[1.0f32]))
            .with("odd.weight", arr1(&[1.0f32, f32::NAN, f32::INFINITY]))
            .with("empty.weight", arr1::<f32>(&[]));
        let expected =
            ["odd.weight: 2 of its 3 values are NaN or infinite", "empty.weight: it has no elements"];
        assert_eq!(warnings(&source), expected);
    }

    #[test]
    fn constants_may_be_infinite_or_empty() {
        let mut source = MemorySource::new()
            .with("mask", arr1(&[0.0f32, f32::NEG_INFINITY]))
            .with("roi", arr1::<f32>(&[]))
            .with("odd", arr1(&[f32::NAN]));
        source.model_mut().parameters.iter_mut().for_each(|it| it.role = Role::Constant);
        assert_eq!(warnings(&source), ["odd: 1 of its 1 values is NaN or infinite"]);
    }

    #[test]
    fn scales_that_scale_nothing_are_told() {
        let scale = Operand::One { value: 0.0, parameter: None };
        let quantization =
            QuantDescriptor::of_stored(Encoding::Qdq, "test", DType::I8, Granularity::Tensor, scale, None);
        let source =
            MemorySource::new().with("w", arr1(&[1i8])).quantized(quantization.expect("i8 has codes"));
        let expected = ["w: 1 of its 1 scales is zero, NaN or infinite"];
        assert_eq!(warnings(&source.expect("one group fits any shape")), expected);
    }

    #[test]
    fn a_model_of_nothing_is_told() {
        assert_eq!(warnings(&MemorySource::new()), [": the model has no parameters"]);
    }
}
