//! One case: everything that quantviz reads from its file, against what was noted of it.

use std::fmt::{Debug, Display};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use quantviz_core::{
    ErrorKind, Granularity, Histogram, Measured, Model, Parameter, ParameterId, ParameterSource, Part,
    QuantDescriptor, RangeSummary, Scan, Shape, SourceExt, WarningKind,
};
use quantviz_formats::BoxedSource;

use crate::notes::{
    HistogramTruth, QuantizedTruth, SummaryTruth, TensorTruth, Truth, read_truth, read_values, value,
};
use crate::seen::Seen;

/// Everything that differs in one case, and each time where.
pub(crate) fn check_case(folder: &Path, seen: &mut Seen) -> Vec<String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let compared = catch_unwind(AssertUnwindSafe(|| {
        let truth = read_truth(folder)?;
        seen.add(&truth);
        let source = quantviz_formats::open(folder.join(&truth.file)).map_err(|error| error.to_string())?;
        let mut comparison = Comparison { folder, truth, source, mismatches: Vec::new() };
        comparison.compare(seen)?;
        Ok(comparison.mismatches)
    }));
    let mismatches = match compared {
        Ok(Ok(mismatches)) => mismatches,
        Ok(Err(error)) => vec![error],
        Err(panic) => vec![panic_message(&*panic)],
    };
    mismatches.into_iter().map(|mismatch| format!("{name}: {mismatch}")).collect()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without saying why"))
}

struct Comparison<'a> {
    folder: &'a Path,
    truth: Truth,
    source: BoxedSource,
    mismatches: Vec<String>,
}

impl Comparison<'_> {
    fn compare(&mut self, seen: &mut Seen) -> Result<(), String> {
        self.compare_model();
        if let Some(twin) = self.truth.twin.clone() {
            self.compare_twin(&twin)?;
        }
        let scan = Scan::new().bins(16);
        let measured =
            self.source.scan(&scan, &|_| ControlFlow::Continue(())).map_err(|error| error.to_string())?;
        for tensor in std::mem::take(&mut self.truth.tensors) {
            // Names that are not there have been reported.
            if let Some(id) = self.source.model().parameter_named(&tensor.name) {
                self.compare_tensor(&tensor, id, &measured[id.index()])?;
                let model = self.source.model();
                if model.parameter(id).quantization.is_none() && tensor.values.is_some() {
                    seen.compared(model.format, model.parameter(id), Some(&self.truth.oracle));
                }
            }
        }
        for quantized in std::mem::take(&mut self.truth.quantized) {
            if let Some(id) = self.source.model().parameter_named(&quantized.name) {
                self.compare_quantized(&quantized, id, &measured[id.index()])?;
                let model = self.source.model();
                seen.compared(model.format, model.parameter(id), quantized.oracle.as_deref());
            }
        }
        self.check_conformance();
        Ok(())
    }

    fn require(&mut self, holds: bool, mismatch: impl FnOnce() -> String) {
        if !holds {
            self.mismatches.push(mismatch());
        }
    }

    fn equal<T: PartialEq + Debug>(&mut self, what: impl Display, found: T, expected: T) {
        self.require(found == expected, || format!("{what}: found {found:?}, expected {expected:?}"));
    }

    fn compare_model(&mut self) {
        let parameters = &self.source.model().parameters;
        let found = sorted(parameters.iter().map(|parameter| parameter.name.as_str()));
        let expected = sorted(self.truth.tensors.iter().map(|tensor| tensor.name.as_str()));
        self.equal("names", found, expected);
        let parameters = self.source.model().parameters.iter();
        let quantized = parameters.filter(|parameter| parameter.quantization.is_some());
        let found = sorted(quantized.map(|parameter| parameter.name.as_str()));
        let expected = sorted(self.truth.quantized.iter().map(|quantized| quantized.name.as_str()));
        self.equal("quantized tensors", found, expected);
        for warning in self.source.model().warnings.clone() {
            let harmless = !matches!(warning.kind, WarningKind::Malformed | WarningKind::Missing);
            self.require(harmless, || format!("warned of, though nothing is wrong: {warning:?}"));
        }
    }

    /// The layers of what a quantizer wrote are those of the float model in its order, each with a name that begins like
    /// there: operators on codes have an end to theirs, and a bias may be a layer of its own. A Relu may be missing, where
    /// codes begin at zero anyway.
    fn compare_twin(&mut self, twin: &str) -> Result<(), String> {
        let twin = quantviz_formats::open(self.folder.join(twin)).map_err(|error| error.to_string())?;
        let layers = |model: &Model| -> Vec<String> {
            let layers = model.layers.iter().filter(|layer| layer.op.as_deref() != Some("Relu"));
            layers.map(|layer| layer.name.clone()).collect()
        };
        let (found, floats) = (layers(self.source.model()), layers(twin.model()));
        let mut floats_of: Vec<&String> = Vec::new();
        for name in &found {
            let base = name.strip_suffix("_bias_add").map(|value| format!("node_{value}"));
            let base = base.as_ref().unwrap_or(name);
            floats_of.extend(
                floats.iter().filter(|float| base == *float || base.starts_with(&format!("{float}_"))),
            );
        }
        floats_of.dedup();
        self.require(floats_of.into_iter().eq(&floats), || {
            format!("layers: found {found:?}, those of the float model are {floats:?}")
        });
        let warnings = [self.source.model(), twin.model()].map(|model| model.warnings.clone()).concat();
        self.equal("warnings", warnings, Vec::new());
        Ok(())
    }

    fn compare_tensor(
        &mut self,
        truth: &TensorTruth,
        id: ParameterId,
        measured: &Measured,
    ) -> Result<(), String> {
        let name = &truth.name;
        let parameter = self.source.model().parameter(id).clone();
        self.equal(format!("{name:?}: dtype"), parameter.dtype.name(), truth.dtype.as_str());
        self.equal(format!("{name:?}: shape"), parameter.shape.dims(), truth.shape.as_slice());
        self.equal(format!("{name:?}: scanned"), measured.parameter, id);
        let is_packed = parameter.quantization.as_ref().is_some_and(|it| it.logical.is_some());
        if is_packed {
            self.check_packed(name, &parameter, measured);
        }
        let (Some(file), Some(summary)) = (&truth.values, &truth.summary) else {
            if !is_packed {
                self.check_numberless(name, id, measured);
            }
            return Ok(());
        };
        let expected = read_values(&self.folder.join(file))?;
        match self.source.values(id, Part::Stored) {
            Ok(found) => {
                let difference = first_difference(&found, &expected);
                self.require(difference.is_none(), || {
                    format!("{name:?}: {}", difference.unwrap_or_default())
                });
            }
            Err(error) => self.mismatches.push(format!("{name:?}: unreadable: {error}")),
        }
        if is_packed {
            return Ok(());
        }
        match (&measured.summary, &measured.error) {
            (Some(found), None) => {
                let differences = summary_differences(found, summary, &expected);
                let differences = differences.into_iter().map(|difference| format!("{name:?}: {difference}"));
                self.mismatches.extend(differences);
            }
            (_, error) => self.mismatches.push(format!("{name:?}: not measured: {error:?}")),
        }
        self.compare_histogram(name, measured.histogram.as_ref(), truth.histogram.as_ref());
        Ok(())
    }

    /// What is stored packed is measured by its codes.
    fn check_packed(&mut self, name: &str, parameter: &Parameter, measured: &Measured) {
        let codes = measured.summary.map(|summary| summary.count());
        self.equal(format!("{name:?}: codes"), codes, Some(parameter.logical_shape().elements()));
        self.require(measured.error.is_none(), || format!("{name:?}: not measured: {:?}", measured.error));
    }

    /// Types without numbers are refused, and that is all.
    fn check_numberless(&mut self, name: &str, id: ParameterId, measured: &Measured) {
        let unsupported = Some(ErrorKind::Unsupported);
        let found = measured.error.as_ref().map(quantviz_core::Error::kind);
        self.equal(format!("{name:?}: scanning"), found, unsupported);
        self.equal(format!("{name:?}: summary"), measured.summary, None);
        let read = self.source.values(id, Part::Stored).map_err(|error| error.kind());
        let nothing_to_read = read.as_ref().is_ok_and(Vec::is_empty);
        if !nothing_to_read {
            self.equal(format!("{name:?}: reading"), read.err(), unsupported);
        }
    }

    fn compare_histogram(&mut self, name: &str, found: Option<&Histogram>, truth: Option<&HistogramTruth>) {
        let expected = truth.map(|truth| {
            assert_eq!(truth.counts.len(), truth.bins, "as many counts as bins");
            Histogram { low: truth.low.0, high: truth.high.0, counts: truth.counts.clone() }
        });
        self.equal(format!("{name:?}: histogram"), found, expected.as_ref());
    }

    fn compare_quantized(
        &mut self,
        truth: &QuantizedTruth,
        id: ParameterId,
        measured: &Measured,
    ) -> Result<(), String> {
        let name = &truth.name;
        let parameter = self.source.model().parameter(id).clone();
        // A tensor without a descriptor has been reported.
        let Some(quantization) = &parameter.quantization else { return Ok(()) };
        self.compare_groups(truth, quantization, &parameter.shape);
        let expected = read_values(&self.folder.join(&truth.values))?;
        match self.source.real_array(id) {
            Ok(found) => {
                let zero = if truth.sums { 0.0 } else { -0.0 };
                let found: Vec<f64> = found.iter().map(|&value| f64::from(value) + zero).collect();
                let rounded: Vec<f64> =
                    expected.iter().map(|&value| f64::from(value as f32) + zero).collect();
                let difference = first_further(&found, &rounded, truth.relative);
                self.require(difference.is_none(), || {
                    format!("{name:?}: dequantized: {}", difference.unwrap_or_default())
                });
            }
            Err(error) => self.mismatches.push(format!("{name:?}: not dequantized: {error}")),
        }
        if let Some(codes) = &truth.codes {
            let expected = read_values(&self.folder.join(codes))?;
            let found = self.source.values(id, Part::Codes).map_err(|error| error.to_string())?;
            let difference = first_difference(&found, &expected);
            self.require(difference.is_none(), || {
                format!("{name:?}: codes: {}", difference.unwrap_or_default())
            });
        }
        let Some(found) = &measured.quantization else {
            self.mismatches.push(format!("{name:?}: its quantization was not measured"));
            return Ok(());
        };
        let finite = || expected.iter().copied().filter(|value| value.is_finite());
        let extremes = [finite().reduce(f64::min), finite().reduce(f64::max)];
        let rounding = if truth.in_float32 { f64::from(f32::EPSILON) / 2.0 } else { 1e-12 };
        let tolerance = rounding.max(truth.relative);
        for (found, expected) in [found.dequantized.min(), found.dequantized.max()].into_iter().zip(extremes)
        {
            let same = match (found, expected) {
                (Some(found), Some(expected)) => close(found, expected, tolerance * expected.abs()),
                (found, expected) => found == expected,
            };
            self.require(same, || format!("{name:?}: dequantized range: {found:?}, expected {expected:?}"));
        }
        Ok(())
    }

    /// Different words for the same groups are fine.
    fn compare_groups(&mut self, truth: &QuantizedTruth, quantization: &QuantDescriptor, shape: &Shape) {
        let logical = quantization.logical.as_ref().unwrap_or(shape);
        if let Some(expected) = &truth.logical {
            self.equal(format!("{:?}: logical shape", truth.name), logical.dims(), expected.as_slice());
        }
        let expected = match (&truth.block, truth.axis, truth.block_size) {
            (Some(block), ..) => Granularity::Block(block.clone()),
            (None, None, _) => Granularity::Tensor,
            (None, Some(axis), None) => Granularity::Axis(axis),
            (None, Some(axis), Some(size)) => {
                let mut sizes = vec![1; shape.rank()];
                sizes[axis] = size;
                Granularity::Block(sizes)
            }
        };
        let found = quantization.groups(shape);
        self.require(found.is_some() && found == expected.groups(logical), || {
            format!("{:?}: {:?}, expected {expected:?}", truth.name, quantization.granularity)
        });
    }

    /// The suite reads everything many times over, which takes long for large tensors.
    fn check_conformance(&mut self) {
        let parameters = &self.source.model().parameters;
        if parameters.iter().any(|parameter| parameter.shape.elements() > 1_000_000) {
            return;
        }
        let checked = catch_unwind(AssertUnwindSafe(|| quantviz_testkit::check_sync_source(&*self.source)));
        if let Err(panic) = checked {
            self.mismatches.push(format!("conformance: {}", panic_message(&*panic)));
        }
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Bit for bit, except that all NaNs are one.
pub(crate) fn first_difference(found: &[f64], expected: &[f64]) -> Option<String> {
    first_further(found, expected, 0.0)
}

/// The same, for numbers that may differ by as much.
fn first_further(found: &[f64], expected: &[f64], relative: f64) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} elements, expected {}", found.len(), expected.len()));
    }
    let same = |found: f64, expected: f64| {
        found.to_bits() == expected.to_bits()
            || (found.is_nan() && expected.is_nan())
            || (relative > 0.0 && close(found, expected, relative * expected.abs()))
    };
    let pairs = || found.iter().copied().zip(expected.iter().copied());
    let mut different = pairs().enumerate().filter(|(_, (found, expected))| !same(*found, *expected));
    let (index, (found, expected)) = different.next()?;
    let more = different.count();
    Some(format!("element {index} is {found:?}, expected {expected:?}; {more} more differ"))
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance
}

/// Counts and the range are exact; the mean is within 1e-12 of the mean of |x|, the variance within 1e-12 of that of
/// x², and the norm within 1e-12 of itself.
fn summary_differences(found: &RangeSummary, truth: &SummaryTruth, values: &[f64]) -> Vec<String> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let mean_of = |f: fn(f64) -> f64| finite().map(f).sum::<f64>() / truth.finite as f64;
    let least = f64::MIN_POSITIVE;
    let mut differences = Vec::new();

    let counts =
        [found.count(), found.finite(), found.nan(), found.pos_inf(), found.neg_inf(), found.zeros()];
    let expected = [truth.count, truth.finite, truth.nan, truth.pos_inf, truth.neg_inf, truth.zeros];
    if counts != expected {
        differences
            .push(format!("counts (all, finite, NaN, inf, -inf, 0): {counts:?}, expected {expected:?}"));
    }
    let range = [found.min(), found.max()];
    let expected = [value(truth.min), value(truth.max)];
    if range != expected {
        differences.push(format!("range: {range:?}, expected {expected:?}"));
    }
    let square = |number: f64| number * number;
    for (what, found, expected, tolerance) in [
        ("mean", found.mean(), value(truth.mean), 1e-12 * mean_of(f64::abs) + least),
        (
            "variance",
            found.std().map(square),
            value(truth.std).map(square),
            1e-12 * mean_of(|value| value * value) + least,
        ),
        ("l2", Some(found.l2()), value(truth.l2), 1e-12 * value(truth.l2).unwrap_or_default() + least.sqrt()),
    ] {
        let same = match (found, expected) {
            (Some(found), Some(expected)) => close(found, expected, tolerance),
            (None, None) => true,
            // Finite values whose statistics float64 could not hold.
            (_, None) => truth.finite > 0,
            (None, Some(_)) => false,
        };
        if !same {
            differences.push(format!("{what}: {found:?}, expected {expected:?} within {tolerance:e}"));
        }
    }
    differences
}
