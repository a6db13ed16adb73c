//! The layers of a model with their parameters, and a badge where something is quantized.

use quantviz_core::{Granularity, Model, Parameter, Role, one_line};

use crate::inspection::{ActivationView, Inspection, LayerView};
use crate::numbers::number;
use crate::table::{Header, warnings};

/// A model's layers, in order. Making it reads no value.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerList {
    /// What to say of the model above the list.
    pub header: Header,
    /// The layers.
    pub layers: Vec<LayerEntry>,
    /// Scales and zero-points that are not listed, because the tensors they belong to show their badge.
    pub folded: usize,
    /// What was odd, a line each.
    pub warnings: Vec<String>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerEntry {
    /// The node's name or the module's path.
    pub name: String,
    /// The operator or the class.
    pub op: Option<String>,
    /// Whether it has quantization parameters.
    pub quantized: bool,
    /// Its quantized outputs.
    pub activations: Vec<LayerActivation>,
    /// Its parameters.
    pub parameters: Vec<LayerParameter>,
}

/// One quantized output of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerActivation {
    /// The name of the float value.
    pub tensor: String,
    /// Type, scale and zero-point in a few words: `i8 scale 0.02473 zero-point -8`.
    pub quantization: String,
}

/// One parameter of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParameter {
    /// The name.
    pub name: String,
    /// The type of the stored elements.
    pub dtype: String,
    /// The shape of the stored elements.
    pub shape: String,
    /// What it is for.
    pub role: Role,
    /// How it is quantized, in a few words: `qdq int8, per tensor`. The badge.
    pub quantized: Option<String>,
}

impl LayerList {
    /// The layers of a model that `path` names. Scales and zero-points are listed only where `all` asks for it.
    pub fn of(model: &Model, path: impl Into<String>, all: bool) -> Self {
        let inspection = Inspection::unmeasured(model, path);
        let is_folded =
            |parameter: &Parameter| !all && matches!(parameter.role, Role::Scale | Role::ZeroPoint);
        let layers = model.layers.iter().map(|layer| {
            let view = LayerView::of(model, layer);
            let parameters = layer.parameters.iter().map(|&id| model.parameter(id));
            LayerEntry {
                parameters: parameters.filter(|it| !is_folded(it)).map(LayerParameter::of).collect(),
                activations: view.activations.iter().map(LayerActivation::of).collect(),
                name: one_line(&view.name),
                op: view.op.as_deref().map(one_line),
                quantized: view.quantized,
            }
        });
        LayerList {
            header: Header::of(&inspection),
            layers: layers.collect(),
            folded: model.parameters.iter().filter(|it| is_folded(it)).count(),
            warnings: warnings(&inspection),
        }
    }
}

impl LayerActivation {
    fn of(view: &ActivationView) -> Self {
        let scale = view.scale.map(|scale| format!(" scale {}", number(scale))).unwrap_or_default();
        let zero_point =
            view.zero_point.map(|zero| format!(" zero-point {}", number(zero))).unwrap_or_default();
        LayerActivation {
            tensor: one_line(&view.tensor),
            quantization: format!("{}{scale}{zero_point}", view.dtype),
        }
    }
}

impl LayerParameter {
    fn of(parameter: &Parameter) -> Self {
        let badge = parameter.quantization.as_ref().map(|quantization| {
            let per = match &quantization.granularity {
                Granularity::Tensor => "per tensor".to_owned(),
                Granularity::Axis(axis) => format!("per axis {axis}"),
                Granularity::Block(sizes) => {
                    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
                    format!("in blocks of {}", sizes.join("×"))
                }
            };
            format!("{} {per}", quantization.encoding)
        });
        LayerParameter {
            name: one_line(&parameter.name),
            dtype: parameter.dtype.to_string(),
            shape: parameter.shape.to_string(),
            role: parameter.role,
            quantized: badge,
        }
    }
}
