//! Everything that is to be said of one model: what `quantviz inspect --json` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use quantviz_core::{
    Activation, DType, Encoding, Error, Format, Granularity, Histogram, Layer, LayerId, LayerKind, Measured,
    MeasuredQuantization, Model, Operand, Parameter, ParameterId, ParameterSource, Progress, QuantDescriptor,
    RangeSummary, Result, Role, Scan, Scheme, Shape, SourceExt, Warning,
};
use serde::{Serialize, Serializer};

use crate::group::Place;
use crate::nearest::unknown;
use crate::oddities::{Oddities, no_parameters, warning_kind};

/// What to look at, and how closely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Parameters, by name; everything if none and no layer is named.
    pub parameters: Vec<String>,
    /// Layers, by name, with all their parameters.
    pub layers: Vec<String>,
    /// Bins of the histograms; none are made without.
    pub bins: Option<usize>,
    /// Threads to use; one for every core without.
    pub threads: Option<usize>,
}

/// A model with its layers and parameters measured: the schema `quantviz.inspect/1`. Every field is always there; what
/// does not apply, and what no JSON number expresses, is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The name and the version of this shape of data.
    pub schema: &'static str,
    /// The model as a whole.
    pub model: ModelView,
    /// Its layers, in order.
    pub layers: Vec<LayerView>,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<ParameterView>,
    /// What was odd or could not be read.
    pub warnings: Vec<Warning>,
}

/// A model as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelView {
    /// The path, as it was given.
    pub path: String,
    /// The format, where it is known.
    pub format: Option<Format>,
    /// The bytes of all files, shards and external data included.
    pub file_bytes: Option<u64>,
    /// Numbers that training has set.
    pub parameter_count: Option<u64>,
    /// The program that wrote it.
    pub producer: Option<String>,
    /// What else the file says of itself.
    pub metadata: BTreeMap<String, String>,
    /// Which of the variants of a model it is, if a folder was looked at.
    #[serde(flatten)]
    pub place: Place,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerView {
    /// The node's name or the module's path.
    pub name: String,
    /// The operator or the class.
    pub op: Option<String>,
    /// A node of a graph, or a module that owns parameters.
    pub kind: LayerKind,
    /// The names of its parameters.
    pub parameters: Vec<String>,
    /// Whether a parameter or an activation of it is quantized.
    pub quantized: bool,
    /// What it makes, where its quantization is fixed.
    pub activations: Vec<ActivationView>,
}

/// A quantized activation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActivationView {
    /// The name of the float value.
    pub tensor: String,
    /// Its scale, if it is one number.
    pub scale: Option<f64>,
    /// Its zero-point, if it is one number.
    pub zero_point: Option<f64>,
    /// The type of its codes.
    pub dtype: DType,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParameterView {
    /// The name, exactly as the file has it.
    pub name: String,
    /// The type of the stored elements.
    pub dtype: DType,
    /// The shape of the stored elements.
    pub shape: Shape,
    /// The name of the layer it belongs to.
    pub layer: Option<String>,
    /// What it is for.
    pub role: Role,
    /// The stored elements; the codes, where they are packed.
    pub summary: Option<SummaryView>,
    /// The same elements, over their own range.
    pub histogram: Option<Histogram>,
    /// How its codes stand for real numbers.
    pub quantization: Option<Box<QuantizationView>>,
}

/// Counts, range and moments.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    pub l2: f64,
}

/// How the codes of a parameter stand for real numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuantizationView {
    /// The convention of the file.
    pub encoding: Encoding,
    /// What a code means before it is scaled.
    pub scheme: Scheme,
    /// `tensor`, `axis` or `block`.
    pub granularity: &'static str,
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
    /// The scales of all groups.
    pub scale: Option<Spread>,
    /// The scales of the scales.
    pub scale2: Option<Spread>,
    /// The zero-points of all groups.
    pub zero_point: Option<Spread>,
    /// The real numbers.
    pub dequantized: Option<SummaryView>,
}

/// The codes inside packed elements.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logical {
    /// Their shape.
    pub shape: Shape,
    /// The bits of each.
    pub bits: u32,
}

/// Many numbers in three.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
}

impl Inspection {
    /// The version of the data that [`Inspection`] serializes to.
    pub const SCHEMA: &str = "quantviz.inspect/1";

    /// Measures a model. `progress` hears how far it has come and ends it by breaking.
    ///
    /// # Errors
    /// Where `request` names a parameter or a layer that is not there, or a parameter that cannot be read.
    pub fn of(
        source: &(dyn ParameterSource + Sync),
        path: impl Into<String>,
        request: &Request,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Self> {
        let model = source.model();
        let selection = Selection::of(model, request)?;
        let mut scan = Scan::new().only(selection.parameters.iter().copied());
        scan = request.bins.map_or(scan.clone(), |bins| scan.bins(bins));
        scan = request.threads.map_or(scan.clone(), |threads| scan.threads(threads));
        let mut inspection = Inspection::unmeasured(model, path);
        inspection.layers =
            selection.layers.iter().map(|&id| LayerView::of(model, model.layer(id))).collect();
        inspection.parameters.reserve_exact(selection.parameters.len());
        let mut oddities = Oddities::of(model);
        let mut wanted = None;
        source.scan_each(&scan, progress, &mut |mut measured| {
            let parameter = model.parameter(measured.parameter);
            oddities.note(parameter, &measured);
            let is_wanted = request.parameters.contains(&parameter.name);
            let error = measured.error.take().filter(|_| is_wanted);
            wanted = wanted.take().or(error.map(|error| explained(model, parameter, error)));
            inspection.parameters.push(ParameterView::of(model, parameter, measured));
        })?;
        inspection.warnings.extend(oddities.into_warnings());
        wanted.map_or(Ok(inspection), Err)
    }

    /// What is known of a model without reading a value: its layers, and no parameter.
    pub fn unmeasured(model: &Model, path: impl Into<String>) -> Self {
        Inspection {
            schema: Self::SCHEMA,
            model: ModelView {
                path: path.into(),
                format: Some(model.format),
                file_bytes: Some(model.file_bytes),
                parameter_count: Some(model.parameter_count()),
                producer: model.producer.clone(),
                metadata: model.metadata.clone(),
                place: Place::default(),
            },
            layers: Vec::new(),
            parameters: Vec::new(),
            warnings: model.warnings.iter().cloned().chain(no_parameters(model)).collect(),
        }
    }

    /// A file of a folder that could not be opened, and why.
    pub fn unreadable(path: impl Into<String>, format: Option<Format>, error: &Error) -> Self {
        Inspection {
            schema: Self::SCHEMA,
            model: ModelView {
                path: path.into(),
                format,
                file_bytes: None,
                parameter_count: None,
                producer: None,
                metadata: BTreeMap::new(),
                place: Place::default(),
            },
            layers: Vec::new(),
            parameters: Vec::new(),
            warnings: vec![Warning::general(warning_kind(error.kind()), error.message())],
        }
    }
}

/// The error of a scan, or what the reader has said of it: it knows more.
fn explained(model: &Model, parameter: &Parameter, error: Error) -> Error {
    let is_same = |it: &&Warning| {
        it.parameter.as_ref() == Some(&parameter.name) && it.kind == warning_kind(error.kind())
    };
    match model.warnings.iter().find(is_same) {
        Some(warning) => Error::new(error.kind(), &warning.message).in_tensor(&parameter.name),
        None => error,
    }
}

/// The parameters and layers that a request names, in the order of the model.
struct Selection {
    parameters: Vec<ParameterId>,
    layers: Vec<LayerId>,
}

impl Selection {
    fn of(model: &Model, request: &Request) -> Result<Self> {
        let all_layers = || (0..model.layers.len()).filter_map(LayerId::new);
        if request.parameters.is_empty() && request.layers.is_empty() {
            return Ok(Selection {
                parameters: model.parameter_ids().collect(),
                layers: all_layers().collect(),
            });
        }
        let mut parameters = BTreeSet::new();
        let mut layers = BTreeSet::new();
        for name in &request.layers {
            let named: Vec<LayerId> = all_layers().filter(|&id| model.layer(id).name == *name).collect();
            // The name of a module stands for all that is in it.
            let inside = |id: &LayerId| {
                model.layer(*id).name.strip_prefix(name).is_some_and(|it| it.starts_with(['.', '/']))
            };
            let found = if named.is_empty() { all_layers().filter(inside).collect() } else { named };
            if found.is_empty() {
                return Err(unknown("layer", name, model.layers.iter().map(|layer| layer.name.as_str())));
            }
            layers.extend(found);
        }
        for &layer in &layers {
            parameters.extend(&model.layer(layer).parameters);
        }
        for name in &request.parameters {
            let id = model.parameter_named(name).ok_or_else(|| {
                // Weights come before their scales: they are more often meant.
                let (learnt, others): (Vec<_>, Vec<_>) =
                    model.parameters.iter().partition(|it| it.role.is_learnt());
                unknown("parameter", name, learnt.into_iter().chain(others).map(|it| it.name.as_str()))
            })?;
            parameters.insert(id);
            layers.extend(model.parameter(id).layer);
        }
        Ok(Selection { parameters: parameters.into_iter().collect(), layers: layers.into_iter().collect() })
    }
}

impl LayerView {
    pub(crate) fn of(model: &Model, layer: &Layer) -> Self {
        let parameters = || layer.parameters.iter().map(|&id| model.parameter(id));
        LayerView {
            name: layer.name.clone(),
            op: layer.op.clone(),
            kind: layer.kind,
            parameters: parameters().map(|parameter| parameter.name.clone()).collect(),
            quantized: !layer.activations.is_empty() || parameters().any(|it| it.quantization.is_some()),
            activations: layer.activations.iter().map(ActivationView::of).collect(),
        }
    }
}

impl ActivationView {
    fn of(activation: &Activation) -> Self {
        let one = |operand: &Operand| match operand {
            Operand::One { value, .. } => Some(*value),
            _ => None,
        };
        ActivationView {
            tensor: activation.tensor.clone(),
            scale: one(&activation.scale),
            zero_point: activation.zero_point.as_ref().and_then(one),
            dtype: activation.dtype,
        }
    }
}

impl ParameterView {
    fn of(model: &Model, parameter: &Parameter, measured: Measured) -> Self {
        let quantization = parameter.quantization.as_ref();
        let of_measured = |descriptor| QuantizationView::of(descriptor, measured.quantization.as_deref());
        ParameterView {
            name: parameter.name.clone(),
            dtype: parameter.dtype,
            shape: parameter.shape.clone(),
            layer: parameter.layer.map(|layer| model.layer(layer).name.clone()),
            role: parameter.role,
            summary: measured.summary.as_ref().map(SummaryView::of),
            quantization: quantization.map(of_measured).map(Box::new),
            histogram: measured.histogram,
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
            mean: summary.mean(),
            std: summary.std(),
            l2: summary.l2(),
        }
    }
}

impl QuantizationView {
    fn of(descriptor: &QuantDescriptor, measured: Option<&MeasuredQuantization>) -> Self {
        let (granularity, axis, block) = match &descriptor.granularity {
            Granularity::Tensor => ("tensor", None, None),
            Granularity::Axis(axis) => ("axis", Some(*axis), None),
            Granularity::Block(sizes) => ("block", None, Some(sizes.clone())),
        };
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
            scale: measured.map(|it| Spread::of(&it.scale)),
            scale2: measured.and_then(|it| it.outer_scale.as_ref()).map(Spread::of),
            zero_point: measured.and_then(|it| it.zero_point.as_ref()).map(Spread::of),
            dequantized: measured.map(|it| SummaryView::of(&it.dequantized)),
        }
    }
}

impl Spread {
    fn of(summary: &RangeSummary) -> Self {
        Spread { count: summary.count(), min: summary.min(), max: summary.max(), mean: summary.mean() }
    }
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
