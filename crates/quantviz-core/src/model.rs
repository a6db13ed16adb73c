//! A model without its values: names, shapes, layers, roles, quantization, and what was odd about the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::text::one_line;
use crate::{DType, Operand, QuantDescriptor, Shape};

names! {
    /// The kind of file, or other place, that a model comes from.
    Format {
        /// Open Neural Network Exchange.
        Onnx "onnx";
        /// Hugging Face's safetensors.
        Safetensors "safetensors";
        /// PyTorch checkpoints and modules.
        Torch "torch";
        /// llama.cpp's GGUF.
        Gguf "gguf";
        /// A model in the memory of this process.
        Memory "memory";
    }
}

names! {
    /// What a parameter is for.
    Role {
        /// The matrix or kernel that a layer multiplies with.
        Weight "weight";
        /// What a layer adds.
        Bias "bias";
        /// Gain and shift of a normalisation.
        Norm "norm";
        /// Statistics that a normalisation collected in training.
        RunningStat "running_stat";
        /// Vectors that are looked up by index.
        Embedding "embedding";
        /// What the codes of another parameter, or an activation, are multiplied with.
        Scale "scale";
        /// The code that stands for zero in another parameter or an activation.
        ZeroPoint "zero_point";
        /// A number of the graph that nothing learnt: axes, shapes, epsilons.
        Constant "constant";
        /// The memory of an optimizer.
        Optimizer "optimizer";
        /// None of the above.
        Other "other";
    }
}

impl Role {
    /// Whether training changes it, so that it counts among a model's parameters.
    pub fn is_learnt(self) -> bool {
        matches!(self, Role::Weight | Role::Bias | Role::Norm | Role::Embedding)
    }
}

names! {
    /// What a layer is.
    LayerKind {
        /// A node of a graph.
        Operation "operation";
        /// A module path that owns parameters; the file has no graph, or the graph does not use them.
        Parameter "parameter";
    }
}

names! {
    /// What sort of oddity a [`Warning`] tells of.
    WarningKind {
        /// Well-formed, but not readable here.
        Unsupported "unsupported";
        /// The bytes of this tensor contradict the file.
        Malformed "malformed";
        /// The values are not where the file says.
        Missing "missing";
        /// Readable, but hardly meant like this.
        Odd "odd";
    }
}

/// Something that a reader noticed and that does not keep it from showing the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What sort of oddity it is.
    pub kind: WarningKind,
    /// The parameter it is about, if it is about one.
    pub parameter: Option<String>,
    /// What is odd, in one line.
    pub message: String,
}

impl Warning {
    /// A warning about one parameter; the message becomes one line, whatever names it quotes.
    pub fn about(parameter: impl Into<String>, kind: WarningKind, message: impl AsRef<str>) -> Self {
        Warning { kind, parameter: Some(parameter.into()), message: one_line(message.as_ref()) }
    }

    /// A warning about the whole model.
    pub fn general(kind: WarningKind, message: impl AsRef<str>) -> Self {
        Warning { kind, parameter: None, message: one_line(message.as_ref()) }
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $id(u32);

        impl $id {
            /// The id of the entry at `index`; `None` beyond four thousand million.
            pub fn new(index: usize) -> Option<Self> {
                u32::try_from(index).ok().map($id)
            }

            /// The place in the model's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// A parameter of one model: its place in [`Model::parameters`].
    ParameterId;
    /// A layer of one model: its place in [`Model::layers`].
    LayerId;
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parameter {
    /// The name, exactly as the file has it.
    pub name: String,
    /// The type of the stored elements.
    pub dtype: DType,
    /// The shape of the stored elements.
    pub shape: Shape,
    /// What it is for.
    pub role: Role,
    /// The first layer that computes with it.
    pub layer: Option<LayerId>,
    /// How its codes stand for real numbers, if they do.
    pub quantization: Option<QuantDescriptor>,
    /// An earlier parameter with the very same storage.
    pub shares: Option<ParameterId>,
}

impl Parameter {
    /// A parameter that belongs to no layer yet and is not quantized.
    pub fn new(name: impl Into<String>, dtype: DType, shape: Shape, role: Role) -> Self {
        Parameter { name: name.into(), dtype, shape, role, layer: None, quantization: None, shares: None }
    }

    /// The shape of what the parameter means: that of its codes, where they are packed into fewer elements.
    pub fn logical_shape(&self) -> &Shape {
        self.quantization
            .as_ref()
            .and_then(|quantization| quantization.logical.as_ref())
            .unwrap_or(&self.shape)
    }
}

/// An activation whose quantization the file fixes: it belongs to the layer that makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// The name of the float value.
    pub tensor: String,
    /// The type of its codes.
    pub dtype: DType,
    /// What codes are multiplied with.
    pub scale: Operand,
    /// The code that stands for zero.
    pub zero_point: Option<Operand>,
}

/// A node of the graph, or a module path where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Layer {
    /// The node's name or the module's path.
    pub name: String,
    /// The operator or the class, where the file says it.
    pub op: Option<String>,
    /// What it is.
    pub kind: LayerKind,
    /// The parameters it is the first to compute with.
    pub parameters: Vec<ParameterId>,
    /// The values and parameters it reads, slot by slot, as if nothing were quantized; empty where a slot is.
    pub inputs: Vec<String>,
    /// The values it makes.
    pub outputs: Vec<String>,
    /// Those of its outputs whose quantization the file fixes.
    pub activations: Vec<Activation>,
}

impl Layer {
    /// A layer without parameters.
    pub fn new(name: impl Into<String>, op: Option<String>, kind: LayerKind) -> Self {
        Layer {
            name: name.into(),
            op,
            kind,
            parameters: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            activations: Vec::new(),
        }
    }
}

/// Everything about a model but its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Model {
    /// Where it comes from.
    pub format: Format,
    /// The program that wrote it, where the file says so.
    pub producer: Option<String>,
    /// What else the file says about itself.
    pub metadata: BTreeMap<String, String>,
    /// The bytes of all its files.
    pub file_bytes: u64,
    /// Its layers, in the order of the graph or the file.
    pub layers: Vec<Layer>,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// What was odd about the file.
    pub warnings: Vec<Warning>,
}

impl Model {
    /// A model without anything in it.
    pub fn new(format: Format) -> Self {
        Model {
            format,
            producer: None,
            metadata: BTreeMap::new(),
            file_bytes: 0,
            layers: Vec::new(),
            parameters: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The parameter with this id.
    ///
    /// # Panics
    /// Where `id` is that of another, larger model.
    pub fn parameter(&self, id: ParameterId) -> &Parameter {
        &self.parameters[id.index()]
    }

    /// The layer with this id.
    ///
    /// # Panics
    /// Where `id` is that of another, larger model.
    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.index()]
    }

    /// The ids of all parameters, in order.
    pub fn parameter_ids(&self) -> impl Iterator<Item = ParameterId> + use<> {
        (0..self.parameters.len()).filter_map(ParameterId::new)
    }

    /// The first parameter of this name.
    pub fn parameter_named(&self, name: &str) -> Option<ParameterId> {
        self.parameters.iter().position(|parameter| parameter.name == name).and_then(ParameterId::new)
    }

    /// How many numbers training has set: the logical elements of weights, biases, norms and embeddings, shared
    /// storage once.
    pub fn parameter_count(&self) -> u64 {
        let learnt = self.parameters.iter().filter(|parameter| parameter.role.is_learnt());
        let once = learnt.filter(|parameter| parameter.shares.is_none());
        once.map(|parameter| parameter.logical_shape().elements()).fold(0, u64::saturating_add)
    }

    /// Gives every parameter without a layer that of its module path: its name less the last part. What such layers
    /// are called, and in which order they come, follows the parameters.
    pub fn add_module_layers(&mut self) {
        let modules = self.layers.iter().enumerate().filter(|(_, layer)| layer.kind == LayerKind::Parameter);
        let mut known: BTreeMap<String, LayerId> =
            modules.filter_map(|(index, layer)| Some((layer.name.clone(), LayerId::new(index)?))).collect();
        for index in 0..self.parameters.len() {
            let Some(id) = ParameterId::new(index) else { return };
            if self.parameters[index].layer.is_some() {
                continue;
            }
            let path = module_path(&self.parameters[index].name).to_owned();
            let layer = match known.get(&path) {
                Some(&layer) => layer,
                None => {
                    let Some(layer) = LayerId::new(self.layers.len()) else { return };
                    self.layers.push(Layer::new(path.clone(), None, LayerKind::Parameter));
                    known.insert(path, layer);
                    layer
                }
            };
            self.layers[layer.index()].parameters.push(id);
            self.parameters[index].layer = Some(layer);
        }
    }
}

/// `h.0.attn` of `h.0.attn.weight`; a name without dots is its own path.
pub fn module_path(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_module_paths() {
        let mut model = Model::new(Format::Memory);
        for name in ["wte.weight", "h.0.attn.weight", "h.0.attn.bias", "scale"] {
            model.parameters.push(Parameter::new(name, DType::F32, Shape::vector(3), Role::Weight));
        }
        model.add_module_layers();
        let layers: Vec<_> =
            model.layers.iter().map(|layer| (layer.name.as_str(), layer.parameters.len())).collect();
        assert_eq!(layers, [("wte", 1), ("h.0.attn", 2), ("scale", 1)]);
        assert!(model.parameters.iter().all(|parameter| parameter.layer.is_some()));
    }

    #[test]
    fn shared_storage_counts_once() {
        let mut model = Model::new(Format::Memory);
        for role in [Role::Embedding, Role::Weight, Role::Scale] {
            model.parameters.push(Parameter::new("p", DType::F32, Shape::vector(10), role));
        }
        model.parameters[1].shares = ParameterId::new(0);
        assert_eq!(model.parameter_count(), 10);
    }
}
