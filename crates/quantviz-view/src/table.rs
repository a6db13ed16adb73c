//! The one table of parameters: what every front end lists, in rounded numbers.

use std::collections::HashMap;

use quantviz_core::{Role, Warning, one_line};

use crate::inspection::{Inspection, LayerView, ParameterView, QuantizationView, Spread, SummaryView};
use crate::numbers::{bytes, count, number};

/// A model's parameters as rows of text, in the order of the layers.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterTable {
    /// What to say of the model above the table.
    pub header: Header,
    /// A row for every parameter.
    pub rows: Vec<Row>,
    /// Scales and zero-points that have no row of their own, because the tensors they belong to show them.
    pub folded: usize,
    /// What was odd or could not be read, a line each.
    pub warnings: Vec<String>,
}

/// What to say of a model in two lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The path.
    pub title: String,
    /// Format, sizes, producer.
    pub facts: Vec<String>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The name.
    pub name: String,
    /// The layer it belongs to.
    pub layer: String,
    /// The operator of that layer.
    pub op: String,
    /// The type of the stored elements.
    pub dtype: String,
    /// The shape of the stored elements.
    pub shape: String,
    /// The real values: dequantized ones, if it is quantized. `None` where they cannot be read.
    pub range: Option<RangeCells>,
    /// Its scales.
    pub scale: Option<SpreadCells>,
    /// Its zero-points.
    pub zero_point: Option<SpreadCells>,
    /// How its scales are spread over it, if there are many: `axis 0`, `blocks of 1×32`.
    pub granularity: Option<String>,
    /// What else is to be known of its values: `2 NaN, 1 inf`.
    pub oddities: Option<String>,
    /// The histogram of the stored elements.
    pub histogram: Option<Bars>,
}

/// A histogram to be drawn.
#[derive(Clone, Debug, PartialEq)]
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

/// The values of a tensor in four numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeCells {
    /// The smallest.
    pub min: String,
    /// The largest.
    pub max: String,
    /// The mean.
    pub mean: String,
    /// The standard deviation.
    pub std: String,
}

/// One number, or many in three.
#[derive(Clone, Debug, PartialEq)]
pub enum SpreadCells {
    /// All are this.
    One(String),
    /// They differ.
    Many {
        /// The smallest.
        min: String,
        /// The largest.
        max: String,
        /// The mean.
        mean: String,
    },
}

impl ParameterTable {
    /// The table of an inspection. Scales and zero-points have rows of their own only where `all` asks for it.
    pub fn of(inspection: &Inspection, all: bool) -> Self {
        let mut layers: HashMap<&str, (usize, &LayerView)> = HashMap::new();
        for (index, layer) in inspection.layers.iter().enumerate() {
            layers.entry(&layer.name).or_insert((index, layer));
        }
        let layer_of = |parameter: &ParameterView| layers.get(parameter.layer.as_deref()?).copied();
        let is_folded =
            |parameter: &&ParameterView| !all && matches!(parameter.role, Role::Scale | Role::ZeroPoint);
        let mut shown: Vec<&ParameterView> =
            inspection.parameters.iter().filter(|it| !is_folded(it)).collect();
        let folded = inspection.parameters.len() - shown.len();
        shown.sort_by_key(|parameter| layer_of(parameter).map(|(index, _)| index));
        ParameterTable {
            header: Header::of(inspection),
            rows: shown.into_iter().map(|it| Row::of(it, layer_of(it).map(|(_, layer)| layer))).collect(),
            folded,
            warnings: warnings(inspection),
        }
    }
}

pub(crate) fn warnings(inspection: &Inspection) -> Vec<String> {
    let line = |warning: &Warning| match &warning.parameter {
        Some(parameter) => one_line(&format!("{parameter}: {}", warning.message)),
        None => one_line(&warning.message),
    };
    inspection.warnings.iter().map(line).collect()
}

impl Header {
    pub(crate) fn of(inspection: &Inspection) -> Self {
        let model = &inspection.model;
        let facts = [
            model.format.map(|format| format.name().to_owned()),
            model.parameter_count.map(|parameters| format!("{} parameters", count(parameters))),
            model.file_bytes.map(bytes),
            model.producer.as_ref().map(|producer| format!("by {}", one_line(producer))),
        ];
        Header { title: one_line(&model.path), facts: facts.into_iter().flatten().collect() }
    }
}

impl Row {
    fn of(parameter: &ParameterView, layer: Option<&LayerView>) -> Self {
        let quantization = parameter.quantization.as_deref();
        let real = match quantization {
            Some(quantization) => quantization.dequantized.as_ref(),
            None => parameter.summary.as_ref(),
        };
        Row {
            name: one_line(&parameter.name),
            layer: parameter.layer.as_deref().map(one_line).unwrap_or_default(),
            op: layer.and_then(|layer| layer.op.as_deref()).map(one_line).unwrap_or_default(),
            dtype: parameter.dtype.to_string(),
            shape: parameter.shape.to_string(),
            range: real.map(RangeCells::of),
            scale: quantization.and_then(|it| it.scale.as_ref()).map(SpreadCells::of),
            zero_point: quantization.and_then(|it| it.zero_point.as_ref()).map(SpreadCells::of),
            granularity: quantization.and_then(granularity),
            oddities: parameter.summary.as_ref().and_then(oddities),
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

/// What the statistics leave out.
fn oddities(summary: &SummaryView) -> Option<String> {
    if summary.count == 0 {
        return Some("no elements".to_owned());
    }
    let counts = [(summary.nan, "NaN"), (summary.pos_inf, "inf"), (summary.neg_inf, "-inf")];
    let found: Vec<String> = counts
        .iter()
        .filter(|(times, _)| *times > 0)
        .map(|(times, what)| format!("{} {what}", count(*times)))
        .collect();
    (!found.is_empty()).then(|| found.join(", "))
}

fn granularity(quantization: &QuantizationView) -> Option<String> {
    if let Some(axis) = quantization.axis {
        return Some(format!("axis {axis}"));
    }
    let block = quantization.block.as_ref()?;
    Some(format!("blocks of {}", block.iter().map(u64::to_string).collect::<Vec<_>>().join("×")))
}

impl RangeCells {
    fn of(summary: &SummaryView) -> Self {
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        RangeCells {
            min: cell(summary.min),
            max: cell(summary.max),
            mean: cell(summary.mean),
            std: cell(summary.std),
        }
    }
}

impl SpreadCells {
    fn of(spread: &Spread) -> Self {
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        if spread.count <= 1 {
            return SpreadCells::One(cell(spread.mean));
        }
        SpreadCells::Many { min: cell(spread.min), max: cell(spread.max), mean: cell(spread.mean) }
    }
}
