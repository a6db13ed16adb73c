//! What rounding the weights of a model would cost: what `quantviz preview --json` prints, and its table.

use std::ops::ControlFlow;

use quantviz_core::{
    AxisRule, Choice, Clip, Model, ParameterSource, Preview, PreviewScheme, PreviewedScheme, PreviewedWeight,
    Progress, Result, Shape, Warning, WarningKind, choose, count, decibels, one_line, quantized_weights,
};
use serde::{Deserialize, Serialize};

use crate::inspection::{ModelView, known_warnings};

/// What to simulate.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// The schemes, in the order of the columns.
    pub schemes: Vec<PreviewScheme>,
    /// The bits for each weight that the best choice of schemes may take; none is made without.
    pub target_bits: Option<f64>,
    /// How scales are chosen.
    pub clip: Clip,
    /// Axes of scales per channel that are not what they seem.
    pub axes: Vec<AxisRule>,
    /// Threads to use; one for every core without.
    pub threads: Option<usize>,
}

/// What schemes would cost: the schema `quantviz.preview/1`. Every field is always there; what does not apply is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PreviewReport {
    /// The name and the version of this shape of data.
    pub schema: String,
    /// The model as a whole.
    pub model: PreviewModel,
    /// Its weights, those that lose most first: by the chosen scheme, else by the first.
    pub layers: Vec<PreviewLayer>,
    /// What no choice within the target can exceed.
    pub bound_sqnr_db: Option<f64>,
    /// What was odd, could not be read, or was left out.
    pub warnings: Vec<Warning>,
}

/// All weights together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PreviewModel {
    /// What is known of the file.
    #[serde(flatten)]
    pub file: ModelView,
    /// What the numbers say something about: `weights`, and nothing about activations.
    pub basis: String,
    /// How many numbers were rounded.
    pub elements: u64,
    /// How scales were chosen: `none`, so that nothing is clipped, or `mse`.
    pub clip: String,
    /// Each scheme for all weights.
    pub schemes: Vec<SchemeView>,
    /// The bits for each weight that were asked for.
    pub target_bits: Option<f64>,
    /// What the chosen schemes come to.
    pub sqnr_db: Option<f64>,
    /// The bits that they take.
    pub bits_per_weight: Option<f64>,
}

/// One weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PreviewLayer {
    /// The name of the parameter.
    pub parameter: String,
    /// The layer that it belongs to.
    pub layer: Option<String>,
    /// The operator of that layer.
    pub op: Option<String>,
    /// Its shape.
    pub shape: Shape,
    /// How many numbers it has.
    pub elements: u64,
    /// How many of them are left out, because they are not finite.
    pub non_finite: u64,
    /// The axis of scales per channel.
    pub axis: usize,
    /// What each scheme comes to.
    pub schemes: Vec<SchemeView>,
    /// The scheme that the best choice has for it.
    pub chosen: Option<String>,
}

/// What one scheme comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SchemeView {
    /// Its name.
    pub scheme: String,
    /// The signal-to-noise ratio; null where nothing is lost.
    pub sqnr_db: Option<f64>,
    /// Whether nothing is lost.
    pub exact: bool,
    /// The bits of codes, scales and zero-points.
    pub bits_per_weight: Option<f64>,
}

impl PreviewReport {
    /// The version of the data that [`PreviewReport`] serializes to.
    pub const SCHEMA: &str = "quantviz.preview/1";

    /// Simulates the schemes of a request. `progress` hears how far it has come and ends it by breaking.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{PreviewReport, PreviewRequest, PreviewTable};
    ///
    /// let source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.3], [0.21, 0.5]]));
    /// let request = PreviewRequest::of(["int8".parse()?, "uint8-channel".parse()?]);
    /// let report = PreviewReport::of(&source, "my model", &request, &|_| ControlFlow::Continue(()))?;
    /// assert_eq!(report.layers[0].schemes[1].scheme, "uint8-channel");
    /// assert_eq!(PreviewTable::of(&report).schemes, ["int8", "uint8-channel"]);
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where nothing can be rounded or read, or the schemes do not fit the target.
    pub fn of(
        source: &(dyn ParameterSource + Sync),
        path: impl Into<String>,
        request: &PreviewRequest,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Self> {
        let model = source.model();
        let mut previewed = request.preview().run(source, progress)?;
        if previewed.iter().all(|weight| weight.error.is_some())
            && let Some(error) = previewed.first_mut().and_then(|weight| weight.error.take())
        {
            return Err(error.in_tensor(&model.parameter(previewed[0].weight.parameter).name));
        }
        let choice = request.target_bits.map(|bits| choose(&previewed, bits)).transpose()?;
        let chosen = |index: usize| choice.as_ref().and_then(|choice| choice.schemes[index]);
        let mut layers: Vec<(f64, PreviewLayer)> = previewed
            .iter()
            .enumerate()
            .filter(|(_, weight)| weight.error.is_none())
            .map(|(index, weight)| {
                let rank = weight.schemes.get(chosen(index).unwrap_or(0));
                let loss = rank.map_or(0.0, PreviewedScheme::noise_to_signal);
                (loss, PreviewLayer::of(model, weight, chosen(index)))
            })
            .collect();
        layers.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Ok(PreviewReport {
            schema: Self::SCHEMA.to_owned(),
            model: PreviewModel::of(model, path.into(), request, &previewed, choice.as_ref()),
            layers: layers.into_iter().map(|(_, layer)| layer).collect(),
            bound_sqnr_db: choice.as_ref().and_then(Choice::bound_sqnr_db),
            warnings: warnings(model, &previewed),
        })
    }
}

impl PreviewRequest {
    /// A simulation of these schemes, without clipping and without a target.
    pub fn of(schemes: impl IntoIterator<Item = PreviewScheme>) -> Self {
        PreviewRequest {
            schemes: schemes.into_iter().collect(),
            target_bits: None,
            clip: Clip::default(),
            axes: Vec::new(),
            threads: None,
        }
    }

    fn preview(&self) -> Preview {
        let preview = Preview::of(self.schemes.clone()).clip(self.clip).axes(self.axes.clone());
        self.threads.map_or(preview.clone(), |threads| preview.threads(threads))
    }
}

impl PreviewModel {
    fn of(
        model: &Model,
        path: String,
        request: &PreviewRequest,
        previewed: &[PreviewedWeight],
        choice: Option<&Choice>,
    ) -> Self {
        let of_scheme = |(index, scheme): (usize, &PreviewScheme)| {
            let all: Vec<&PreviewedScheme> =
                previewed.iter().filter_map(|it| it.schemes.get(index)).collect();
            let elements: u64 = all.iter().map(|it| it.elements).sum();
            let bits: u64 = all.iter().map(|it| it.bits).sum();
            let lost = PreviewedScheme::mean_noise_to_signal(all.iter().copied());
            SchemeView {
                scheme: scheme.to_string(),
                sqnr_db: decibels(lost),
                exact: lost == 0.0,
                bits_per_weight: (elements > 0).then(|| bits as f64 / elements as f64),
            }
        };
        PreviewModel {
            file: ModelView::of(model, path),
            basis: "weights".to_owned(),
            elements: previewed.iter().filter(|it| it.error.is_none()).map(|it| it.elements).sum(),
            clip: request.clip.name().to_owned(),
            schemes: request.schemes.iter().enumerate().map(of_scheme).collect(),
            target_bits: request.target_bits,
            sqnr_db: choice.and_then(Choice::sqnr_db),
            bits_per_weight: choice.map(|choice| choice.bits_per_weight),
        }
    }
}

impl PreviewLayer {
    fn of(model: &Model, weight: &PreviewedWeight, chosen: Option<usize>) -> Self {
        let parameter = model.parameter(weight.weight.parameter);
        let layer = parameter.layer.map(|layer| model.layer(layer));
        PreviewLayer {
            parameter: parameter.name.clone(),
            layer: layer.map(|layer| layer.name.clone()),
            op: layer.and_then(|layer| layer.op.clone()),
            shape: parameter.shape.clone(),
            elements: weight.elements,
            non_finite: weight.non_finite,
            axis: weight.weight.axis,
            schemes: weight.schemes.iter().map(SchemeView::of).collect(),
            chosen: chosen.and_then(|index| Some(weight.schemes.get(index)?.scheme.to_string())),
        }
    }
}

impl SchemeView {
    fn of(previewed: &PreviewedScheme) -> Self {
        SchemeView {
            scheme: previewed.scheme.to_string(),
            sqnr_db: previewed.sqnr_db(),
            exact: previewed.is_exact(),
            bits_per_weight: previewed.bits_per_weight(),
        }
    }
}

/// What the file says, what could not be read, and what is no reference.
fn warnings(model: &Model, previewed: &[PreviewedWeight]) -> Vec<Warning> {
    let mut warnings = known_warnings(model);
    for weight in previewed {
        let name = &model.parameter(weight.weight.parameter).name;
        if let Some(error) = &weight.error {
            let message = error.line_within(None, Some(name));
            warnings.push(Warning::about(name, error.kind().into(), message));
        } else if weight.non_finite > 0 {
            let message = format!("{} of its numbers are not finite and left out", count(weight.non_finite));
            warnings.push(Warning::about(name, WarningKind::Odd, message));
        }
    }
    match &quantized_weights(model)[..] {
        [] => {}
        [one] => {
            warnings.push(Warning::about(&model.parameter(*one).name, WarningKind::Unsupported, QUANTIZED))
        }
        [one, others @ ..] => {
            let first = one_line(&model.parameter(*one).name);
            let message = format!("{first} and {} other weights: {QUANTIZED}", others.len());
            warnings.push(Warning::general(WarningKind::Unsupported, message));
        }
    }
    warnings
}

const QUANTIZED: &str = "left out, because what is quantized already is no reference";

#[cfg(test)]
mod tests {
    use ndarray::arr2;
    use quantviz_core::{DType, Encoding, Granularity, MemorySource, Operand, QuantDescriptor};

    use super::*;
    use crate::PreviewTable;

    fn report(source: &MemorySource, request: &PreviewRequest) -> PreviewReport {
        PreviewReport::of(source, "m", request, &|_| ControlFlow::Continue(())).expect("it can be rounded")
    }

    fn request(names: &[&str]) -> PreviewRequest {
        PreviewRequest::of(names.iter().map(|name| name.parse().expect("a known name")))
    }

    /// One weight with an outlier, one that nothing is lost of, and one that is quantized already.
    fn source() -> MemorySource {
        let scale = Operand::One { value: 0.5, parameter: None };
        let codes = QuantDescriptor::of_stored(
            Encoding::Other,
            "a test",
            DType::I8,
            Granularity::Tensor,
            scale,
            None,
        );
        MemorySource::new()
            .with("exact.weight", arr2(&[[127.0f32, 1.0], [0.0, -5.0]]))
            .with("far.weight", arr2(&[[1000.0f32, 0.7], [0.3, -0.9]]))
            .with("codes.weight", arr2(&[[1i8, 2], [3, 4]]))
            .quantized(codes.expect("i8 holds codes"))
            .expect("one scale")
    }

    #[test]
    fn what_loses_most_comes_first() {
        let report = report(&source(), &request(&["int8"]));
        let names: Vec<&str> = report.layers.iter().map(|layer| layer.parameter.as_str()).collect();
        assert_eq!(names, ["far.weight", "exact.weight"]);
        let exact = &report.layers[1].schemes[0];
        assert_eq!((exact.sqnr_db, exact.exact, report.model.schemes[0].exact), (None, true, false));
        assert_eq!(report.warnings.len(), 1);
        assert_eq!(
            (report.warnings[0].parameter.as_deref(), &*report.warnings[0].message),
            (Some("codes.weight"), QUANTIZED)
        );
    }

    #[test]
    fn there_and_back() {
        let request = PreviewRequest { target_bits: Some(30.0), ..request(&["int8", "uint8-channel"]) };
        let report = report(&source(), &request);
        let text = serde_json::to_string(&report).expect("it can be written");
        let read: PreviewReport = serde_json::from_str(&text).expect("it can be read");
        // The last digit of a number may be lost on the way.
        let of = |report: &PreviewReport| -> Vec<_> {
            report
                .layers
                .iter()
                .map(|it| (it.parameter.clone(), it.shape.clone(), it.chosen.clone()))
                .collect()
        };
        assert_eq!(
            (&read.schema, of(&read), &read.warnings),
            (&report.schema, of(&report), &report.warnings)
        );
    }

    #[test]
    fn cells_say_what_is_low_chosen_or_exact() {
        let request = PreviewRequest { target_bits: Some(30.0), ..request(&["int8", "nf4-block2"]) };
        let table = PreviewTable::of(&report(&source(), &request));
        let texts =
            |row: usize| table.rows[row].cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>();
        assert_eq!((table.rows[1].name.as_str(), texts(1)[0]), ("exact.weight", "exact"));
        assert!(table.rows[1].cells[0].is_chosen && !table.rows[1].cells[1].is_chosen);
        assert!(table.choice.is_some_and(|choice| choice.starts_with("* best within 30 bits per weight: ")));
        let cell = |sqnr_db| {
            let view = SchemeView { scheme: "int8".into(), sqnr_db, exact: false, bits_per_weight: None };
            let cell = crate::SqnrCell::of(&view, None);
            (cell.text, cell.is_low)
        };
        assert_eq!(cell(Some(130.0)), (">120".to_owned(), false));
        assert_eq!(cell(Some(33.0)), ("33.0".to_owned(), false));
        assert_eq!(cell(Some(32.7)), ("32.7".to_owned(), true));
    }
}
