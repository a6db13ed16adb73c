//! The one table of parameters: what every front end lists, in rounded numbers.

use std::collections::HashSet;

use quantviz_core::{Role, Warning, bytes, count, number, one_line};

use crate::cells::{RangeCells, SpreadCells};
use crate::inspection::{ActivationView, Inspection, LayerView, ModelView};
use crate::oddities::{NO_ELEMENTS, is_about_emptiness};
use crate::parameter::{ParameterView, SummaryView};
use crate::words;

/// A model's parameters as rows of text, in the order of the layers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParameterTable {
    /// What to say of the model above the table.
    pub header: Header,
    /// A row for every parameter.
    pub rows: Vec<Row>,
    /// A row for every activation whose quantization the file fixes.
    pub activations: Vec<ActivationRow>,
    /// Scales and zero-points that have no row of their own, because the tensors and activations they belong to show
    /// them.
    pub folded: usize,
    /// What was odd or could not be read, a line each.
    pub warnings: Vec<String>,
    /// What is to be kept in mind, a line each.
    pub notes: Vec<String>,
}

/// What to say of a model in two lines.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// The path.
    pub title: String,
    /// Format, sizes, producer.
    pub facts: Vec<String>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The name.
    pub name: String,
    /// The layer it belongs to; empty where the name begins with it.
    pub layer: String,
    /// The operator of that layer.
    pub op: String,
    /// The type of the stored elements; `4-bit` where they are packed.
    pub dtype: String,
    /// The shape of what the tensor means: that of its codes, where they are packed.
    pub shape: String,
    /// The real values: dequantized ones, if it is quantized. `None` where they cannot be read.
    pub range: Option<RangeCells>,
    /// Of what was recorded: how these numbers were taken, if not of all elements at this step. `sampled 1,234, as of step 400`.
    pub taken: Option<String>,
    /// What codes are multiplied with: both levels multiplied, where scales have two.
    pub scale: Option<SpreadCells>,
    /// Its zero-points.
    pub zero_point: Option<SpreadCells>,
    /// What is added after scaling.
    pub offset: Option<SpreadCells>,
    /// How its scales are spread over it, if there are many: `along axis 0`, `in blocks of 1×32`.
    pub granularity: Option<String>,
    /// What the statistics leave out: `2 NaN, 1 inf`.
    pub left_out: Option<String>,
    /// What else is to be known: `no elements`, `same storage as wte.weight`.
    pub remarks: Vec<String>,
    /// The histogram of the stored elements.
    pub histogram: Option<Bars>,
}

/// One quantized activation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActivationRow {
    /// The name of the float value.
    pub tensor: String,
    /// The layer that makes it.
    pub layer: String,
    /// The operator of that layer.
    pub op: String,
    /// The type of its codes.
    pub dtype: String,
    /// Its scale, if it is one number.
    pub scale: String,
    /// Its zero-point, if it is one number.
    pub zero_point: String,
}

/// A histogram to be drawn.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bars {
    /// For each bin, its share of the fullest one.
    pub shares: Vec<f64>,
    /// The left edge of the first bin.
    pub low: String,
    /// The right edge of the last bin.
    pub high: String,
    /// Whether it is of codes, and not of the real values.
    pub codes: bool,
}

impl ParameterTable {
    /// The table of an inspection. Scales and zero-points that a row or an activation shows have rows of their own only
    /// where `all` asks for it.
    pub fn of(inspection: &Inspection, all: bool) -> Self {
        let layer_of = |parameter: &ParameterView| inspection.layers.get(parameter.layer_index?);
        let mut shown = if all { inspection.parameters.iter().collect() } else { not_folded(inspection) };
        let folded = inspection.parameters.len() - shown.len();
        shown.sort_by_key(|parameter| parameter.layer_index);
        let activations = inspection.layers.iter().flat_map(|layer| {
            layer.activations.iter().map(|activation| ActivationRow::of(activation, layer))
        });
        let empty: HashSet<&str> =
            shown.iter().filter(|it| is_empty(it)).map(|it| it.name.as_str()).collect();
        // The row says it.
        let is_told = |warning: &&Warning| {
            warning.parameter.as_deref().is_some_and(|name| empty.contains(name))
                && is_about_emptiness(warning)
        };
        ParameterTable {
            header: Header::of(&inspection.model),
            rows: shown.into_iter().map(|it| Row::of(it, layer_of(it))).collect(),
            activations: activations.collect(),
            folded,
            warnings: warning_lines(inspection.warnings.iter().filter(|it| !is_told(it))),
            notes: Vec::new(),
        }
    }
}

/// The parameters, without the scales and zero-points that a tensor or an activation shows.
pub(crate) fn not_folded(inspection: &Inspection) -> Vec<&ParameterView> {
    let told = told_elsewhere(inspection);
    let is_folded = |parameter: &&ParameterView| {
        matches!(parameter.role, Role::Scale | Role::ZeroPoint) && told.contains(parameter.name.as_str())
    };
    inspection.parameters.iter().filter(|it| !is_folded(it)).collect()
}

/// The names of the parameters whose numbers stand with a tensor or an activation.
fn told_elsewhere(inspection: &Inspection) -> HashSet<&str> {
    let of_tensors =
        inspection.parameters.iter().flat_map(|it| &it.quantization).flat_map(|it| &it.parameters);
    let activations = inspection.layers.iter().flat_map(|layer| &layer.activations);
    of_tensors.chain(activations.flat_map(|it| &it.parameters)).map(String::as_str).collect()
}

fn is_empty(parameter: &ParameterView) -> bool {
    parameter.summary.as_ref().is_some_and(|summary| summary.count == 0)
}

pub(crate) fn warning_lines<'a>(warnings: impl IntoIterator<Item = &'a Warning>) -> Vec<String> {
    let line = |warning: &Warning| match &warning.parameter {
        Some(parameter) => one_line(&format!("{parameter}: {}", warning.message)),
        None => one_line(&warning.message),
    };
    warnings.into_iter().map(line).collect()
}

impl Header {
    pub(crate) fn of(model: &ModelView) -> Self {
        let facts = [
            model.format.map(|format| format.name().to_owned()),
            model.parameter_count.map(|parameters| {
                format!("{} parameter{}", count(parameters), if parameters == 1 { "" } else { "s" })
            }),
            model.file_bytes.map(bytes),
            model.producer.as_ref().map(|producer| format!("by {}", one_line(producer))),
        ];
        Header { title: one_line(&model.path), facts: facts.into_iter().flatten().collect() }
    }
}

impl Row {
    pub(crate) fn of(parameter: &ParameterView, layer: Option<&LayerView>) -> Self {
        let quantization = parameter.quantization.as_deref();
        let real = parameter.real();
        let logical = quantization.and_then(|it| it.logical.as_ref());
        let no_elements = is_empty(parameter).then(|| NO_ELEMENTS.to_owned());
        let shares = parameter.shares.as_deref().map(|name| format!("same storage as {}", one_line(name)));
        Row {
            name: one_line(&parameter.name),
            layer: layer.map(|layer| name_beside(layer, &parameter.name)).unwrap_or_default(),
            op: op(layer),
            dtype: words::dtype(
                parameter.dtype,
                &parameter.shape,
                logical.map(|logical| (&logical.shape, logical.bits)),
            ),
            shape: logical.map_or(&parameter.shape, |logical| &logical.shape).to_string(),
            range: real.map(RangeCells::of),
            taken: None,
            scale: quantization
                .and_then(|it| it.effective_scale.as_ref().filter(|scale| scale.count > 0))
                .map(SpreadCells::of),
            zero_point: quantization.and_then(|it| it.zero_point.as_ref()).map(SpreadCells::of),
            offset: quantization.and_then(|it| it.offset.as_ref()).map(SpreadCells::of),
            granularity: quantization.and_then(words::granularity_of),
            left_out: real.and_then(left_out),
            remarks: no_elements.into_iter().chain(shares).collect(),
            histogram: parameter.histogram.as_ref().map(|histogram| {
                let fullest = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
                Bars {
                    shares: histogram.counts.iter().map(|&bin| bin as f64 / fullest as f64).collect(),
                    low: number(histogram.low),
                    high: number(histogram.high),
                    codes: quantization.is_some(),
                }
            }),
        }
    }
}

impl ActivationRow {
    pub(crate) fn of(activation: &ActivationView, layer: &LayerView) -> Self {
        let cell = |value: Option<f64>| value.map(number).unwrap_or_default();
        ActivationRow {
            tensor: one_line(&activation.tensor),
            layer: name_beside(layer, &activation.tensor),
            op: op(Some(layer)),
            dtype: activation.dtype.to_string(),
            scale: cell(activation.scale),
            zero_point: cell(activation.zero_point),
        }
    }
}

fn op(layer: Option<&LayerView>) -> String {
    layer.and_then(|layer| layer.op.as_deref()).map(one_line).unwrap_or_default()
}

/// The name of a layer, where it says more than the name it stands beside.
fn name_beside(layer: &LayerView, name: &str) -> String {
    if name.starts_with(&layer.name) { String::new() } else { words::layer_name(&layer.name, layer.kind) }
}

fn left_out(summary: &SummaryView) -> Option<String> {
    let counts = [(summary.nan, "NaN"), (summary.pos_inf, "inf"), (summary.neg_inf, "-inf")];
    let found: Vec<String> = counts
        .iter()
        .filter(|(times, _)| *times > 0)
        .map(|(times, what)| format!("{} {what}", count(*times)))
        .collect();
    (!found.is_empty()).then(|| found.join(", "))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use ndarray::{arr1, arr2};
    use quantviz_core::{
        Activation, DType, Encoding, Granularity, Layer, LayerId, LayerKind, MemorySource, Operand,
        OuterScale, ParameterId, ParameterSource, QuantDescriptor,
    };

    use super::*;
    use crate::{LayerList, Request};

    fn table(source: &(dyn ParameterSource + Sync), all: bool) -> ParameterTable {
        let inspection = Inspection::of(source, "m", &Request::default(), &|_| ControlFlow::Continue(()));
        ParameterTable::of(&inspection.expect("all can be read"), all)
    }

    fn names(table: &ParameterTable) -> Vec<&str> {
        table.rows.iter().map(|row| row.name.as_str()).collect()
    }

    fn id(index: usize) -> ParameterId {
        ParameterId::new(index).expect("small")
    }

    fn of_i8(scale: Operand) -> QuantDescriptor {
        let one = QuantDescriptor::of_stored(
            Encoding::Other,
            "a test",
            DType::I8,
            Granularity::Tensor,
            scale,
            None,
        );
        one.expect("i8 holds codes")
    }

    #[test]
    fn scales_are_folded_where_something_shows_them() {
        let scale = |value| arr1(&[value]);
        let mut source = MemorySource::new()
            .with("codes.scale", scale(0.5f32))
            .with("y_scale", scale(0.25f32))
            .with("logit_scale", scale(4.0f32))
            .with("codes.weight", arr1(&[2i8]))
            .quantized(of_i8(Operand::Parameter(id(0))))
            .expect("one scale");
        let mut layer = Layer::new("conv", Some("Conv".into()), LayerKind::Operation);
        let of_y = Operand::One { value: 0.25, parameter: Some(id(1)) };
        layer.activations.push(Activation::new("y", DType::I8, of_y, None));
        source.model_mut().layers.push(layer);
        let folded = table(&source, false);
        assert_eq!((names(&folded), folded.folded), (vec!["codes.weight", "logit_scale"], 2));
        assert_eq!(folded.activations.len(), 1);
        let row = &folded.activations[0];
        assert_eq!((&*row.tensor, &*row.layer, &*row.op, &*row.scale), ("y", "conv", "Conv", "0.25"));
        assert_eq!((table(&source, true).rows.len(), table(&source, true).folded), (4, 0));
        let list = LayerList::of(source.model(), "m", false);
        let listed: Vec<_> = list.layers.iter().flat_map(|it| &it.parameters).map(|it| &*it.name).collect();
        assert_eq!((listed, list.folded), (vec!["codes.weight", "logit_scale"], 2));
    }

    #[test]
    fn layers_of_one_name_are_told_apart() {
        let mut source =
            MemorySource::new().with("gemm_w", arr2(&[[1.0f32]])).with("conv_w", arr2(&[[2.0f32]]));
        let model = source.model_mut();
        model.layers.clear();
        for (index, op) in [(1, "Conv"), (0, "Gemm")] {
            let mut layer = Layer::new("n", Some(op.into()), LayerKind::Operation);
            layer.parameters.push(id(index));
            model.parameters[index].layer = LayerId::new(model.layers.len());
            model.layers.push(layer);
        }
        let table = table(&source, false);
        let shown: Vec<_> = table.rows.iter().map(|row| (&*row.name, &*row.op)).collect();
        assert_eq!(shown, [("conv_w", "Conv"), ("gemm_w", "Gemm")]);
    }

    #[test]
    fn a_scale_of_two_levels_is_the_product() {
        let one = |value| Operand::One { value, parameter: None };
        let mut descriptor = of_i8(Operand::Parameter(id(0)));
        descriptor.granularity = Granularity::Block(vec![1]);
        descriptor.outer_scale = Some(OuterScale { granularity: Granularity::Tensor, scale: one(0.01) });
        descriptor.offset = Some(one(10.0));
        let source = MemorySource::new()
            .with("sub", arr1(&[10.0f32, 42.0]))
            .with("codes", arr1(&[1i8, 1]))
            .quantized(descriptor)
            .expect("two blocks");
        let table = table(&source, false);
        let row = &table.rows[1];
        let (min, max, mean) = ("0.1".to_owned(), "0.42".to_owned(), "0.26".to_owned());
        assert_eq!(row.scale, Some(SpreadCells::Many { min, max, mean }));
        assert_eq!(row.offset, Some(SpreadCells::One("10".to_owned())));
        assert_eq!(row.granularity.as_deref(), Some("in blocks of 1"));
    }

    #[test]
    fn scales_that_are_none_show() {
        let mut descriptor = of_i8(Operand::Parameter(id(0)));
        descriptor.granularity = Granularity::Axis(0);
        let source = MemorySource::new()
            .with("s", arr1(&[0.5f32, f32::NAN]))
            .with("codes", arr1(&[1i8, 1]))
            .quantized(descriptor)
            .expect("two rows");
        let table = table(&source, false);
        assert_eq!(table.rows[1].left_out.as_deref(), Some("1 NaN"));
        assert!(matches!(table.rows[1].scale, Some(SpreadCells::Many { .. })));
    }

    #[test]
    fn tied_weights_say_so() {
        let mut source = MemorySource::new()
            .with("wte.weight", arr2(&[[1.0f32]]))
            .with("lm_head.weight", arr2(&[[1.0f32]]));
        source.model_mut().parameters[1].shares = Some(id(0));
        let table = table(&source, false);
        assert_eq!(table.rows[1].remarks, ["same storage as wte.weight"]);
        assert_eq!(table.header.facts[1], "1 parameter");
    }

    #[test]
    fn a_module_alone_is_one_layer() {
        let source = MemorySource::new().with("weight", arr2(&[[1.0f32]])).with("bias", arr1(&[1.0f32]));
        let list = LayerList::of(source.model(), "m", false);
        assert_eq!((list.layers.len(), &*list.layers[0].name), (1, "(root)"));
        assert_eq!(table(&source, false).rows[0].layer, "");
    }
}
