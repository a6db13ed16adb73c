//! One parameter, measured: a part of what `quantviz inspect --json` prints.

use quantviz_core::{
    DType, Encoding, Granularity, Histogram, Measured, MeasuredQuantization, Model, Parameter,
    QuantDescriptor, RangeSummary, Role, Scheme, Shape,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::words;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParameterView {
    /// The name, exactly as the file has it.
    pub name: String,
    /// The type of the stored elements.
    pub dtype: DType,
    /// The shape of the stored elements.
    pub shape: Shape,
    /// The name of the layer it belongs to.
    pub layer: Option<String>,
    /// Which of the layers of this inspection that is: names of layers need not be unique.
    pub layer_index: Option<usize>,
    /// What it is for.
    pub role: Role,
    /// The earlier parameter whose storage it shares.
    pub shares: Option<String>,
    /// The stored elements; the codes, where they are packed.
    pub summary: Option<SummaryView>,
    /// The same elements, over their own range.
    pub histogram: Option<Histogram>,
    /// How its codes stand for real numbers.
    pub quantization: Option<Box<QuantizationView>>,
}

/// Counts, range and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SummaryView {
    /// Elements.
    pub count: u64,
    /// Elements that are neither NaN nor infinite; the statistics are theirs.
    pub finite: u64,
    /// Elements that are not a number.
    pub nan: u64,
    /// Elements that are plus infinity.
    pub pos_inf: u64,
    /// Elements that are minus infinity.
    pub neg_inf: u64,
    /// Elements that are zero.
    pub zeros: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The population's standard deviation.
    pub std: Option<f64>,
    /// The root of the sum of squares.
    pub l2: Option<f64>,
}

/// How the codes of a parameter stand for real numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QuantizationView {
    /// The convention of the file.
    pub encoding: Encoding,
    /// What a code means before it is scaled.
    pub scheme: Scheme,
    /// Which elements share a scale.
    pub granularity: GranularityKind,
    /// The axis along which scales differ.
    pub axis: Option<usize>,
    /// The size of a block along each axis.
    pub block: Option<Vec<u64>>,
    /// Bits of a code.
    pub bits: u32,
    /// The smallest and the largest code that the type has.
    #[serde(serialize_with = "whole_numbers")]
    pub code_range: [f64; 2],
    /// Whether every zero-point is the middle code.
    pub symmetric: Option<bool>,
    /// What the stored elements are packed from.
    pub logical: Option<Logical>,
    /// The operator or the scheme that says so.
    pub source: String,
    /// The names of the parameters that hold its scales, zero-points and the like.
    pub parameters: Vec<String>,
    /// The scales of all groups, as the file has them.
    pub scale: Option<Spread>,
    /// The scales of the scales.
    pub scale2: Option<Spread>,
    /// What codes are multiplied with: both levels multiplied, where there are two.
    pub effective_scale: Option<Spread>,
    /// The zero-points of all groups.
    pub zero_point: Option<Spread>,
    /// What is added in each group after scaling.
    pub offset: Option<Spread>,
    /// The real numbers.
    pub dequantized: Option<SummaryView>,
}

/// Which elements share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GranularityKind {
    /// All.
    Tensor,
    /// Those with the same index along an axis.
    Axis,
    /// Those in the same block.
    Block,
}

/// The codes inside packed elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Logical {
    /// Their shape.
    pub shape: Shape,
    /// The bits of each.
    pub bits: u32,
}

/// Many numbers in a few.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// How many are neither NaN nor infinite; what follows is of them.
    pub finite: u64,
    /// How many are not a number.
    pub nan: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
}

impl ParameterView {
    pub(crate) fn of(
        model: &Model,
        parameter: &Parameter,
        layer_index: Option<usize>,
        measured: Measured,
    ) -> Self {
        let quantization = parameter.quantization.as_ref();
        let of_measured =
            |descriptor| QuantizationView::of(model, descriptor, measured.quantization.as_deref());
        ParameterView {
            name: parameter.name.clone(),
            dtype: parameter.dtype,
            shape: parameter.shape.clone(),
            layer: parameter.layer.map(|layer| model.layer(layer).name.clone()),
            layer_index,
            role: parameter.role,
            shares: parameter.shares.map(|earlier| model.parameter(earlier).name.clone()),
            summary: measured.summary.as_ref().map(SummaryView::of),
            quantization: quantization.map(of_measured).map(Box::new),
            histogram: measured.histogram,
        }
    }
}

impl ParameterView {
    /// The real values: dequantized ones, if it is quantized.
    pub(crate) fn real(&self) -> Option<&SummaryView> {
        match &self.quantization {
            Some(quantization) => quantization.dequantized.as_ref(),
            None => self.summary.as_ref(),
        }
    }

    /// What people call the type of its numbers, or of its codes.
    pub(crate) fn type_label(&self) -> String {
        let logical = self.quantization.as_ref().and_then(|it| it.logical.as_ref());
        match logical.filter(|logical| logical.shape != self.shape) {
            Some(packed) => format!("{}-bit", packed.bits),
            None => words::dtype_label(self.dtype),
        }
    }
}

impl SummaryView {
    fn of(summary: &RangeSummary) -> Self {
        SummaryView {
            count: summary.count(),
            finite: summary.finite(),
            nan: summary.nan(),
            pos_inf: summary.pos_inf(),
            neg_inf: summary.neg_inf(),
            zeros: summary.zeros(),
            min: summary.min(),
            max: summary.max(),
            mean: finite(summary.mean()),
            std: finite(summary.std()),
            l2: finite(Some(summary.l2())),
        }
    }
}

impl QuantizationView {
    fn of(model: &Model, descriptor: &QuantDescriptor, measured: Option<&MeasuredQuantization>) -> Self {
        let (granularity, axis, block) = match &descriptor.granularity {
            Granularity::Axis(axis) => (GranularityKind::Axis, Some(*axis), None),
            Granularity::Block(sizes) => (GranularityKind::Block, None, Some(sizes.clone())),
            _ => (GranularityKind::Tensor, None, None),
        };
        let spread =
            |of: fn(&MeasuredQuantization) -> Option<&RangeSummary>| measured.and_then(of).map(Spread::of);
        QuantizationView {
            encoding: descriptor.encoding,
            scheme: descriptor.scheme,
            granularity,
            axis,
            block,
            bits: descriptor.bits,
            code_range: [descriptor.code_range.0, descriptor.code_range.1],
            symmetric: measured.map(|it| it.symmetric),
            logical: descriptor.logical.clone().map(|shape| Logical { shape, bits: descriptor.bits }),
            source: descriptor.source.clone(),
            parameters: names(model, &descriptor.parameters()),
            scale: spread(|it| Some(&it.scale)),
            scale2: spread(|it| it.outer_scale.as_ref()),
            effective_scale: spread(|it| it.effective_scale.as_ref()),
            zero_point: spread(|it| it.zero_point.as_ref()),
            offset: spread(|it| it.offset.as_ref()),
            dequantized: measured.map(|it| SummaryView::of(&it.dequantized)),
        }
    }
}

impl Spread {
    fn of(summary: &RangeSummary) -> Self {
        Spread {
            count: summary.count(),
            finite: summary.finite(),
            nan: summary.nan(),
            min: summary.min(),
            max: summary.max(),
            mean: finite(summary.mean()),
        }
    }
}

/// No JSON number is infinite.
pub(crate) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

pub(crate) fn names(model: &Model, parameters: &[quantviz_core::ParameterId]) -> Vec<String> {
    parameters.iter().map(|&id| model.parameter(id).name.clone()).collect()
}

/// `-128` rather than `-128.0`: codes of nearly every type are whole.
fn whole_numbers<S: Serializer>(values: &[f64; 2], serializer: S) -> Result<S::Ok, S::Error> {
    let whole = values.map(|value| value as i64);
    if whole.map(|value| value as f64) == *values {
        whole.serialize(serializer)
    } else {
        values.serialize(serializer)
    }
}
