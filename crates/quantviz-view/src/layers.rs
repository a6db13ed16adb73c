//! The layers of a model with their parameters, and badges: where something is quantized, what it cost, what was found.

use std::collections::HashMap;

use quantviz_core::{Layer, Model, Parameter, ParameterId, QuantDescriptor, Role, number, one_line};
use quantviz_insight::{Finding, Level};
use serde::Serialize;

use crate::comparison::{PairView, VariantView};
use crate::fidelity_table::{FidelityRow, Verdict};

use crate::findings::level_count;
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
    /// What is to be seen at a glance, the worst first: how it is quantized, what that cost, what was found.
    pub badges: Vec<Badge>,
}

/// A word beside the name of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Badge {
    /// What it is about.
    pub kind: BadgeKind,
    /// The word: `qdq`, `39.6 dB`, `2 warnings`.
    pub text: String,
    /// How it is to be taken.
    pub tone: Tone,
    /// All of it in words, to be shown where somebody points at it.
    pub tooltip: String,
}

/// What a badge is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BadgeKind {
    /// What was found in the layer.
    Finding,
    /// What quantization cost the parameter that suffers most.
    Fidelity,
    /// How parameters or activations are quantized.
    Quantization,
}

/// How something is to be taken: what colour it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tone {
    /// Wrong.
    Bad,
    /// Worth a look.
    Look,
    /// Good.
    Good,
    /// Neither.
    Plain,
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
                badges: Badge::of_quantization(model, layer).into_iter().collect(),
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

impl LayerList {
    /// Adds badges of what quantization cost each layer, and of what was found in it. `variant` is the comparison of the
    /// model that this list is of.
    pub fn judge(&mut self, variant: &VariantView) {
        let pairs: HashMap<String, &PairView> =
            variant.pairs.iter().map(|pair| (one_line(&pair.quantized), pair)).collect();
        self.judge_by(&variant.findings, |name| pairs.get(name).copied());
    }

    /// Adds badges of what was found in each layer of a model that was compared with nothing.
    pub fn judge_alone(&mut self, findings: &[Finding]) {
        self.judge_by(findings, |_| None);
    }

    fn judge_by<'a>(&mut self, findings: &[Finding], pair: impl Fn(&str) -> Option<&'a PairView>) {
        let mut found: HashMap<String, Vec<&Finding>> = HashMap::new();
        for finding in findings {
            found
                .entry(one_line(finding.parameter.as_deref().unwrap_or_default()))
                .or_default()
                .push(finding);
        }
        for layer in &mut self.layers {
            let parameters = layer.parameters.iter().map(|it| &it.name);
            let names = parameters.chain(layer.activations.iter().map(|it| &it.tensor));
            let here: Vec<&Finding> = names
                .filter(|name| !name.is_empty())
                .filter_map(|name| found.get(name))
                .flatten()
                .copied()
                .collect();
            let pairs = layer.parameters.iter().filter_map(|it| pair(&it.name));
            let of_layer = [Badge::of_findings(&here), Badge::of_pairs(pairs)];
            layer.badges.splice(0..0, of_layer.into_iter().flatten());
        }
    }
}

impl Badge {
    fn of_quantization(model: &Model, layer: &Layer) -> Option<Self> {
        let parameters = layer.parameters.iter().map(|&id| model.parameter(id));
        let descriptors: Vec<(&Parameter, &QuantDescriptor)> =
            parameters.filter_map(|it| Some((it, it.quantization.as_ref()?))).collect();
        // The weight says more than the bias.
        let (parameter, descriptor) =
            descriptors.iter().find(|(it, _)| it.role != Role::Bias).or(descriptors.first())?;
        Some(Badge {
            kind: BadgeKind::Quantization,
            text: format!("{} {}", descriptor.encoding, words::type_label(parameter)),
            tone: Tone::Plain,
            tooltip: format!("{}: {}", one_line(&parameter.name), words::badge(parameter, descriptor)),
        })
    }

    /// The pair that suffers most; weights count before biases.
    pub(crate) fn of_pairs<'a>(pairs: impl Iterator<Item = &'a PairView>) -> Option<Self> {
        let pairs: Vec<(&PairView, FidelityRow)> = pairs.map(|pair| (pair, FidelityRow::of(pair))).collect();
        let (pair, row) = pairs.into_iter().min_by(|(one, one_row), (other, other_row)| {
            let is_bias = |pair: &PairView| pair.role == Role::Bias;
            let order = is_bias(one).cmp(&is_bias(other));
            order.then(other_row.verdict.cmp(&one_row.verdict)).then(one.rank().total_cmp(&other.rank()))
        })?;
        let text = if pair.sqnr_db.is_some() { format!("{} dB", row.sqnr) } else { row.sqnr.clone() };
        Some(Badge {
            kind: BadgeKind::Fidelity,
            tooltip: format!("{}: {text}, {}", one_line(&pair.quantized), row.why),
            text,
            tone: match row.verdict {
                Verdict::Fine => Tone::Good,
                Verdict::Improvable => Tone::Look,
                Verdict::Poor => Tone::Bad,
            },
        })
    }

    /// How many findings there are of the worst level.
    pub(crate) fn of_findings(findings: &[&Finding]) -> Option<Self> {
        let level = findings.iter().map(|finding| finding.level).min()?;
        let worst = findings.iter().filter(|finding| finding.level == level);
        let lines: Vec<String> = findings.iter().map(|it| format!("{} {}", it.code, it.message)).collect();
        Some(Badge {
            kind: BadgeKind::Finding,
            text: level_count(level, worst.count() as u64),
            tone: match level {
                Level::Error => Tone::Bad,
                Level::Warning => Tone::Look,
                Level::Info => Tone::Plain,
            },
            tooltip: lines.join("; "),
        })
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
