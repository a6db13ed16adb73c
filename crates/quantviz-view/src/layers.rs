//! The layers of a model with their parameters, and a badge where something is quantized.

use quantviz_core::{Model, Parameter, ParameterId, Role, number, one_line};

use crate::inspection::{ActivationView, LayerView, ModelView, known_warnings};
use crate::table::{Header, warning_lines};
use crate::words;

/// A model's layers, in order. Making it reads no value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerList {
    /// What to say of the model above the list.
    pub header: Header,
    /// The layers.
    pub layers: Vec<LayerEntry>,
    /// Scales and zero-points that are not listed, because a tensor or an activation that is listed names them.
    pub folded: usize,
    /// What was odd, a line each.
    pub warnings: Vec<String>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct LayerActivation {
    /// The name of the float value.
    pub tensor: String,
    /// Type, scale and zero-point in a few words: `i8 scale 0.02473 zero-point -8`.
    pub quantization: String,
}

/// One parameter of a layer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerParameter {
    /// The name.
    pub name: String,
    /// The type of the stored elements; `4-bit` where they are packed.
    pub dtype: String,
    /// The shape of what the tensor means: that of its codes, where they are packed.
    pub shape: String,
    /// What it is for.
    pub role: Role,
    /// How it is quantized, in a few words: `qdq per tensor`, `gguf 4-bit in blocks of 1×32`.
    pub quantized: Option<String>,
}

impl LayerList {
    /// The layers of a model that `path` names. Scales and zero-points that a tensor or an activation names are listed
    /// only where `all` asks for it.
    pub fn of(model: &Model, path: impl Into<String>, all: bool) -> Self {
        let told = model.calibrating();
        let is_folded = |id: ParameterId| {
            let is_scale = matches!(model.parameter(id).role, Role::Scale | Role::ZeroPoint);
            !all && is_scale && told.contains(&id)
        };
        let layers = model.layers.iter().map(|layer| {
            let view = LayerView::of(model, layer);
            let parameters = layer.parameters.iter().filter(|&&id| !is_folded(id));
            LayerEntry {
                parameters: parameters.map(|&id| LayerParameter::of(model.parameter(id))).collect(),
                activations: view.activations.iter().map(LayerActivation::of).collect(),
                name: words::layer_name(&view.name, view.kind),
                op: view.op.as_deref().map(one_line),
                quantized: view.quantized,
            }
        });
        LayerList {
            header: Header::of(&ModelView::of(model, path)),
            layers: layers.collect(),
            folded: model.parameter_ids().filter(|&id| is_folded(id)).count(),
            warnings: warning_lines(&known_warnings(model)),
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
        let quantization = parameter.quantization.as_ref();
        let packed = quantization.and_then(|it| Some((it.logical.as_ref()?, it.bits)));
        LayerParameter {
            name: one_line(&parameter.name),
            dtype: words::dtype(parameter.dtype, &parameter.shape, packed),
            shape: parameter.logical_shape().to_string(),
            role: parameter.role,
            quantized: quantization.map(|it| words::badge(parameter, it)),
        }
    }
}
