//! What is odd about the values of a model, which is known only once they are measured.

use std::collections::HashSet;

use quantviz_core::{
    Granularity, Measured, MeasuredQuantization, Model, Parameter, QuantDescriptor, RangeSummary, Role,
    Warning, WarningKind, count,
};

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
            let kind = error.kind().into();
            if !self.known.contains(&(kind, name)) {
                self.found.push(Warning::about(name, kind, error.line_within(error.file(), Some(name))));
            }
        }
        let values = measured.summary.as_ref().and_then(|summary| odd_values(summary, parameter.role));
        let quantization = measured.quantization.as_deref().zip(parameter.quantization.as_ref());
        let scales = quantization.into_iter().flat_map(|(measured, it)| odd_quantization(measured, it));
        let mut messages: Vec<String> = values.into_iter().chain(scales).collect();
        if messages.is_empty() {
            messages.extend(odd_products(measured));
        }
        self.found
            .extend(messages.into_iter().map(|message| Warning::about(name, WarningKind::Odd, message)));
    }

    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.found
    }
}

/// What is said of an empty tensor.
pub(crate) const NO_ELEMENTS: &str = "no elements";

pub(crate) fn is_about_emptiness(warning: &Warning) -> bool {
    warning.kind == WarningKind::Odd && warning.message.strip_prefix("it has ") == Some(NO_ELEMENTS)
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
        (0, _) if !is_constant => Some(format!("it has {NO_ELEMENTS}")),
        (_, 0) => None,
        (all, odd) => Some(share(odd, all, "values", "NaN or infinite")),
    }
}

fn odd_quantization(measured: &MeasuredQuantization, descriptor: &QuantDescriptor) -> Vec<String> {
    // Blocks of nothing but zeros have a scale of zero in sound files: rows of padding, experts that nobody asks.
    let has_blocks = matches!(descriptor.granularity, Granularity::Block(_));
    let parts = [
        (Some(&measured.scale), "scales", true),
        (measured.outer_scale.as_ref(), "outer scales", true),
        (measured.zero_point.as_ref(), "zero-points", false),
        (measured.offset.as_ref(), "offsets", false),
    ];
    let odd = |(summary, what, is_factor): (Option<&RangeSummary>, &str, bool)| {
        let summary = summary?;
        let zero_is_odd = is_factor && (!has_blocks || summary.zeros() == summary.count());
        let zeros = if zero_is_odd { summary.zeros() } else { 0 };
        let odd = summary.count() - summary.finite() + zeros;
        let which = if zero_is_odd { "zero, NaN or infinite" } else { "NaN or infinite" };
        (odd > 0).then(|| share(odd, summary.count(), what, which))
    };
    parts.into_iter().filter_map(odd).collect()
}

/// Scales and codes that are finite, and products that are not.
fn odd_products(measured: &Measured) -> Option<String> {
    let real = &measured.quantization.as_deref()?.dequantized;
    let odd = real.count() - real.finite();
    (odd > 0).then(|| share(odd, real.count(), "real values", "NaN or infinite"))
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
        DType, Encoding, Granularity, MemorySource, Operand, OuterScale, ParameterId, ParameterSource,
        QuantDescriptor,
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

    /// A vector of four codes of one, described so.
    fn codes(describe: impl FnOnce(&mut QuantDescriptor)) -> Vec<String> {
        let scale = Operand::One { value: 1.0, parameter: None };
        let quantization =
            QuantDescriptor::of_stored(Encoding::Qdq, "test", DType::I8, Granularity::Tensor, scale, None);
        let mut quantization = quantization.expect("i8 has codes");
        describe(&mut quantization);
        let source = MemorySource::new().with("w", arr1(&[1i8, 1, 1, 1])).quantized(quantization);
        warnings(&source.expect("they fit"))
    }

    fn one(value: f64) -> Operand {
        Operand::One { value, parameter: None }
    }

    #[test]
    fn scales_that_scale_nothing_are_told() {
        assert_eq!(codes(|_| ()), [""; 0]);
        let zero = ["w: 1 of its 1 scales is zero, NaN or infinite"];
        assert_eq!(codes(|it| it.scale = one(0.0)), zero);
        // Sound files have blocks of zeros.
        let blocks = |scales: [f64; 2]| {
            let scale = Operand::Parameter(ParameterId::new(0).expect("small"));
            let blocks = Granularity::Block(vec![2]);
            let quantization =
                QuantDescriptor::of_stored(Encoding::Qdq, "test", DType::I8, blocks, scale, None);
            let source = MemorySource::new()
                .with("s", arr1(&scales))
                .with("w", arr1(&[1i8, 1, 1, 1]))
                .quantized(quantization.expect("i8 has codes"));
            let of_codes = |it: &String| it.starts_with("w: ");
            warnings(&source.expect("two blocks")).into_iter().filter(of_codes).collect::<Vec<_>>()
        };
        assert_eq!(blocks([0.0, 1.0]), [""; 0]);
        assert_eq!(blocks([0.0, 0.0]), ["w: 2 of its 2 scales are zero, NaN or infinite"]);
        assert_eq!(blocks([f64::NAN, 0.0])[0], "w: 1 of its 2 scales is NaN or infinite");
    }

    #[test]
    fn everything_that_codes_are_computed_with_is_looked_at() {
        let outer = OuterScale { granularity: Granularity::Tensor, scale: one(f64::INFINITY) };
        assert_eq!(
            codes(|it| it.outer_scale = Some(outer)),
            ["w: 1 of its 1 outer scales is zero, NaN or infinite"]
        );
        assert_eq!(
            codes(|it| it.zero_point = Some(one(f64::NAN))),
            ["w: 1 of its 1 zero-points is NaN or infinite"]
        );
        assert_eq!(codes(|it| it.offset = Some(one(f64::NAN))), ["w: 1 of its 1 offsets is NaN or infinite"]);
        let outer = OuterScale { granularity: Granularity::Tensor, scale: one(f64::MAX) };
        let too_large = codes(|it| {
            it.scale = one(f64::MAX);
            it.outer_scale = Some(outer);
        });
        assert_eq!(too_large, ["w: 4 of its 4 real values are NaN or infinite"]);
    }

    #[test]
    fn a_model_of_nothing_is_told() {
        assert_eq!(warnings(&MemorySource::new()), [": the model has no parameters"]);
    }
}
