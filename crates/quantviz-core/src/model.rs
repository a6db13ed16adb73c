//! A model without its values: names, shapes, layers, roles, quantization, and what was odd about the file.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::text::one_line;
use crate::{Activation, DType, DTypeClass, ErrorKind, Note, QuantDescriptor, QuantizedInput, Shape};

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
    /// Whether training changes what has this role, as far as a role can tell: scales and zero-points of a
    /// quantization it does not.
    pub fn is_learnt(self) -> bool {
        !matches!(self, Role::RunningStat | Role::Constant | Role::Optimizer | Role::Scale | Role::ZeroPoint)
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
        /// Its scales or zero-points are not as many, or not arranged, as its codes need them.
        Misfit "misfit";
        /// The values are not where the file says.
        Missing "missing";
        /// Larger, deeper or more than the limits allow.
        Limit "limit";
        /// The operating system does not let it be read.
        Io "io";
        /// Readable, but hardly meant like this.
        Odd "odd";
    }
}

impl From<ErrorKind> for WarningKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound | ErrorKind::UnknownName => WarningKind::Missing,
            ErrorKind::Unsupported => WarningKind::Unsupported,
            ErrorKind::Malformed => WarningKind::Malformed,
            ErrorKind::Limit => WarningKind::Limit,
            ErrorKind::Io => WarningKind::Io,
            ErrorKind::Refused | ErrorKind::Cancelled => WarningKind::Odd,
        }
    }
}

/// Something that a reader noticed and that does not keep it from showing the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq)]
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
    /// The axis of the stored elements along which the outputs of its layer lie, where a graph says so.
    pub output_axis: Option<usize>,
}

impl Parameter {
    /// A parameter that belongs to no layer yet and is not quantized.
    pub fn new(name: impl Into<String>, dtype: DType, shape: Shape, role: Role) -> Self {
        Parameter {
            name: name.into(),
            dtype,
            shape,
            role,
            layer: None,
            quantization: None,
            shares: None,
            output_axis: None,
        }
    }

    /// Whether it is a matrix, or has more axes, that a layer multiplies with or looks rows up in: what is said of the
    /// weights of a model is said of these.
    pub fn is_weight(&self) -> bool {
        matches!(self.role, Role::Weight | Role::Embedding) && self.logical_shape().rank() > 1
    }

    /// The shape of what the parameter means: that of its codes, where they are packed into fewer elements.
    pub fn logical_shape(&self) -> &Shape {
        self.quantization
            .as_ref()
            .and_then(|quantization| quantization.logical.as_ref())
            .unwrap_or(&self.shape)
    }
}

/// A node of the graph, or a module path where there is none.
#[derive(Clone, Debug, PartialEq)]
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
    /// Those of its inputs, parameters among them, that come as codes, or from codes.
    pub quantized_inputs: Vec<QuantizedInput>,
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
            quantized_inputs: Vec::new(),
        }
    }
}

/// Everything about a model but its values.
#[derive(Clone, Debug, PartialEq)]
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
    /// The values that it gives out, where its file says so.
    pub outputs: Vec<String>,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// What was odd about the file.
    pub warnings: Vec<Warning>,
    /// What only the reader of the file could see of its quantization.
    pub notes: Vec<Note>,
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
            outputs: Vec::new(),
            parameters: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
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

    /// How many numbers training has set: the logical elements of all parameters, less running statistics, constants,
    /// what optimizers remember, and what other parameters are quantized with; shared storage once.
    ///
    /// What is called a scale is learnt too, where nothing is quantized that it could belong to. Where there is a graph,
    /// what none of its operations uses does not count.
    pub fn parameter_count(&self) -> u64 {
        let calibrating = self.calibrating();
        let has_graph = self.layers.iter().any(|layer| layer.kind == LayerKind::Operation);
        let is_used = |it: &Parameter| {
            !has_graph || it.layer.is_some_and(|layer| self.layer(layer).kind == LayerKind::Operation)
        };
        let scales_are_of_codes = has_graph || self.is_quantized();
        let learnt = self.parameter_ids().filter(|id| !calibrating.contains(id)).map(|id| self.parameter(id));
        let learnt =
            learnt.filter(|it| it.shares.is_none() && is_used(it) && is_learnt(it, scales_are_of_codes));
        learnt.map(|it| it.logical_shape().elements()).fold(0, u64::saturating_add)
    }

    /// The parameters that hold scales, zero-points and the like of other parameters and of activations.
    pub fn calibrating(&self) -> HashSet<ParameterId> {
        let of_parameters = self.parameters.iter().flat_map(|it| &it.quantization);
        let of_activations = self.layers.iter().flat_map(|layer| &layer.activations);
        let of_parameters = of_parameters.flat_map(QuantDescriptor::parameters);
        of_parameters.chain(of_activations.flat_map(Activation::parameters)).collect()
    }

    /// Whether anything is, be it in a way that nobody here knows.
    fn is_quantized(&self) -> bool {
        let has_codes = |it: &Parameter| {
            let is_small = it.dtype.bits().is_none_or(|bits| bits <= 8);
            it.quantization.is_some() || (is_small && it.dtype.class() != DTypeClass::Bool)
        };
        let activations = self.layers.iter().any(|layer| !layer.activations.is_empty());
        activations || self.parameters.iter().any(has_codes)
    }

    /// Gives every parameter without a layer that of its module path: its name less the last part. What such layers
    /// are called, and in which order they come, follows the parameters.
    pub fn add_module_layers(&mut self) {
        let mut modules = self.modules();
        for id in self.parameter_ids() {
            self.add_to_module(id, &mut modules);
        }
    }

    /// The layers that are module paths, by name.
    pub(crate) fn modules(&self) -> Modules {
        let modules = self.layers.iter().enumerate().filter(|(_, layer)| layer.kind == LayerKind::Parameter);
        modules.filter_map(|(index, layer)| Some((layer.name.clone(), LayerId::new(index)?))).collect()
    }

    /// Gives one parameter the layer of its module path, unless it has a layer.
    pub(crate) fn add_to_module(&mut self, id: ParameterId, modules: &mut Modules) {
        let (parameter, layers) = (&mut self.parameters[id.index()], &mut self.layers);
        if parameter.layer.is_some() {
            return;
        }
        let path = module_path(&parameter.name);
        let layer = match modules.get(path) {
            Some(&layer) => layer,
            None => {
                let Some(layer) = LayerId::new(layers.len()) else { return };
                layers.push(Layer::new(path, None, LayerKind::Parameter));
                modules.insert(path.to_owned(), layer);
                layer
            }
        };
        layers[layer.index()].parameters.push(id);
        parameter.layer = Some(layer);
    }
}

/// Whether training changed a parameter that calibrates no other.
fn is_learnt(parameter: &Parameter, scales_are_of_codes: bool) -> bool {
    // Whole numbers are counted where it is known what they are for: they may be indices and steps.
    let is_known = matches!(parameter.role, Role::Weight | Role::Bias | Role::Norm | Role::Embedding);
    let is_number = parameter.quantization.is_some()
        || matches!(parameter.dtype.class(), DTypeClass::Float | DTypeClass::Complex | DTypeClass::Quantized);
    match parameter.role {
        Role::Scale | Role::ZeroPoint => is_number && !scales_are_of_codes,
        role => role.is_learnt() && (is_known || is_number),
    }
}

/// Layers that are module paths.
pub(crate) type Modules = HashMap<String, LayerId>;

/// `h.0.attn` of `h.0.attn.weight`. A name without dots is its own path, unless modules call their parameters so: then
/// it belongs to the module that is the whole model, whose path is empty.
pub fn module_path(name: &str) -> &str {
    name.rsplit_once('.').map_or(if is_of_a_module(name) { "" } else { name }, |(path, _)| path)
}

/// `weight`, `bias_ih_l0`, `running_mean`: what modules call their own.
fn is_of_a_module(name: &str) -> bool {
    const STARTS: [&str; 5] = ["weight", "bias", "running_", "in_proj_", "num_batches_tracked"];
    STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, Granularity, Operand};

    #[test]
    fn layers_are_module_paths() {
        let mut model = Model::new(Format::Memory);
        for name in ["wte.weight", "h.0.attn.weight", "h.0.attn.bias", "scale", "weight", "bias_ih_l0"] {
            model.parameters.push(Parameter::new(name, DType::F32, Shape::vector(3), Role::Weight));
        }
        model.add_module_layers();
        let layers: Vec<_> =
            model.layers.iter().map(|layer| (layer.name.as_str(), layer.parameters.len())).collect();
        assert_eq!(layers, [("wte", 1), ("h.0.attn", 2), ("scale", 1), ("", 2)]);
        assert!(model.parameters.iter().all(|parameter| parameter.layer.is_some()));
    }

    fn model(parameters: &[(DType, Role)]) -> Model {
        let mut model = Model::new(Format::Memory);
        let parameter = |&(dtype, role)| Parameter::new("p", dtype, Shape::vector(10), role);
        model.parameters.extend(parameters.iter().map(parameter));
        model
    }

    #[test]
    fn shared_storage_counts_once() {
        let mut model = model(&[(DType::F32, Role::Embedding), (DType::F32, Role::Weight)]);
        model.parameters[1].shares = ParameterId::new(0);
        assert_eq!(model.parameter_count(), 10);
    }

    #[test]
    fn what_training_has_set_counts() {
        use Role::{Constant, Optimizer, Other, RunningStat, Scale, Weight};
        let learnt = [(DType::F32, Other), (DType::C64, Other), (DType::F32, Weight), (DType::I8, Weight)];
        assert_eq!(model(&learnt).parameter_count(), 40);
        let others = [
            (DType::F32, RunningStat),
            (DType::F32, Constant),
            (DType::F32, Optimizer),
            (DType::I64, Other),
            (DType::Bool, Other),
        ];
        assert_eq!(model(&others).parameter_count(), 0);
        // A gain is called scale, and so is what codes are multiplied with.
        assert_eq!(model(&[(DType::F32, Scale), (DType::F32, Weight)]).parameter_count(), 20);
        assert_eq!(model(&[(DType::F32, Scale), (DType::I8, Other)]).parameter_count(), 0);
    }

    #[test]
    fn what_a_graph_does_not_use_does_not_count() {
        let mut model =
            model(&[(DType::F32, Role::Weight), (DType::F32, Role::Weight), (DType::F32, Role::Scale)]);
        model.add_module_layers();
        assert_eq!(model.parameter_count(), 30);
        model.layers.push(Layer::new("n", None, LayerKind::Operation));
        model.parameters[0].layer = LayerId::new(1);
        model.parameters[2].layer = LayerId::new(1);
        assert_eq!(model.parameter_count(), 10);
    }

    #[test]
    fn what_calibrates_does_not_count() {
        let mut model =
            model(&[(DType::I8, Role::Weight), (DType::F32, Role::Other), (DType::F32, Role::Other)]);
        let scale = |index| Operand::One { value: 1.0, parameter: ParameterId::new(index) };
        let quantization =
            QuantDescriptor::of_stored(Encoding::Other, "", DType::I8, Granularity::Tensor, scale(1), None);
        model.parameters[0].quantization = quantization;
        let mut layer = Layer::new("n", None, LayerKind::Parameter);
        let activation = Activation::new("y", DType::I8, scale(2), None);
        layer.activations.push(activation);
        model.layers.push(layer);
        assert_eq!(model.parameter_count(), 10);
    }
}
