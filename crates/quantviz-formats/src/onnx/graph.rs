//! From nodes to layers: what computes with which parameter, as if nothing were quantized.

use std::collections::{HashMap, HashSet};

use onnx_ir::{GraphProto, NodeProto, TensorProto};
use quantviz_core::{Layer, LayerId, LayerKind, ParameterId, Role};

use super::roles::role_in;
use super::tensor::Tensors;

/// The nodes of a graph with its names resolved.
pub(super) struct Graph<'a> {
    pub(super) nodes: &'a [NodeProto],
    constants: HashMap<&'a str, ParameterId>,
    producers: HashMap<&'a str, usize>,
    /// Whether a node only carries a parameter or an activation to the node that computes with it.
    hidden: Vec<bool>,
}

/// Where a value comes from, looking through hidden nodes.
pub(super) struct Origin<'a> {
    pub(super) source: Source<'a>,
    /// The hidden nodes in between, the consumer's side first.
    pub(super) path: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    Parameter(ParameterId),
    Value(&'a str),
}

pub(super) fn is_quantize(node: &NodeProto) -> bool {
    node.op_type == "QuantizeLinear"
}

pub(super) fn is_dequantize(node: &NodeProto) -> bool {
    node.op_type == "DequantizeLinear"
}

/// The tensor of a Constant node.
pub(super) fn constant_tensor(node: &NodeProto) -> Option<(&str, &TensorProto)> {
    let value =
        node.attribute.iter().find(|attribute| node.op_type == "Constant" && attribute.name == "value");
    Some((node.output.first()?, value?.t.as_ref()?))
}

/// The input in a slot; `None` where the slot is empty or missing.
pub(super) fn input(node: &NodeProto, slot: usize) -> Option<&str> {
    node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty())
}

/// Operators that hand a constant on in another type or arrangement.
fn is_carrier(node: &NodeProto) -> bool {
    const CARRIERS: &[&str] =
        &["Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Clip"];
    CARRIERS.contains(&node.op_type.as_str()) || is_quantize(node) || is_dequantize(node)
}

impl<'a> Graph<'a> {
    pub(super) fn new(graph: &'a GraphProto, constants: HashMap<&'a str, ParameterId>) -> Self {
        let nodes = &graph.node;
        let mut producers = HashMap::new();
        let mut derived: HashSet<&str> = HashSet::new();
        let mut hidden = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let is_constant = |name: &str| constants.contains_key(name) || derived.contains(name);
            let carries_constant = is_carrier(node) && input(node, 0).is_some_and(is_constant);
            let outputs = node.output.iter().map(String::as_str).filter(|name| !name.is_empty());
            if carries_constant {
                derived.extend(outputs.clone());
            }
            producers.extend(outputs.map(|name| (name, index)));
            hidden.push(
                carries_constant
                    || is_quantize(node)
                    || is_dequantize(node)
                    || constant_tensor(node).is_some(),
            );
        }
        Graph { nodes, constants, producers, hidden }
    }

    /// Where a value comes from.
    pub(super) fn origin(&self, name: &'a str) -> Origin<'a> {
        let mut name = name;
        let mut path = Vec::new();
        loop {
            if let Some(&parameter) = self.constants.get(name) {
                return Origin { source: Source::Parameter(parameter), path };
            }
            match self.producers.get(name) {
                // A hostile graph can run in circles.
                Some(&producer) if self.hidden[producer] && path.len() <= self.nodes.len() => {
                    path.push(producer);
                    name = input(&self.nodes[producer], 0).unwrap_or_default();
                }
                _ => return Origin { source: Source::Value(name), path },
            }
        }
    }

    /// The parameter that a value is, possibly after hidden nodes.
    pub(super) fn parameter(&self, name: &'a str) -> Option<ParameterId> {
        match self.origin(name).source {
            Source::Parameter(id) => Some(id),
            Source::Value(_) => None,
        }
    }

    /// The hidden nodes, in order.
    pub(super) fn hidden_nodes(&self) -> impl Iterator<Item = &'a NodeProto> {
        self.nodes.iter().zip(&self.hidden).filter(|(_, hidden)| **hidden).map(|(node, _)| node)
    }
}

/// The layers of a model while they are being made.
#[derive(Default)]
pub(super) struct Layers<'a> {
    pub(super) list: Vec<Layer>,
    /// The layer that makes a value.
    makers: HashMap<&'a str, LayerId>,
}

impl<'a> Layers<'a> {
    /// A layer for every input of the graph and every node that is not hidden, with the parameters that it is the
    /// first to compute with. `on_path` hears of the hidden nodes between a parameter and its layer.
    pub(super) fn of(
        inputs: impl Iterator<Item = &'a str>,
        graph: &Graph<'a>,
        tensors: &mut Tensors,
        mut on_path: impl FnMut(&mut Self, &mut Tensors, LayerId, &[usize]),
    ) -> Self {
        let mut layers = Layers::default();
        for name in inputs.filter(|name| !graph.constants.contains_key(name)) {
            if let Some(id) = layers.push(Layer::new(name, Some("Input".to_owned()), LayerKind::Operation)) {
                layers.makes(id, name);
            }
        }
        for (node, _) in graph.nodes.iter().zip(&graph.hidden).filter(|(_, hidden)| !**hidden) {
            let first_output = node.output.first().map_or("", String::as_str);
            let name = match node.name.as_str() {
                "" => format!("{}:{first_output}", node.op_type),
                name => name.to_owned(),
            };
            let layer = Layer::new(name, Some(node.op_type.clone()), LayerKind::Operation);
            let Some(id) = layers.push(layer) else { break };
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                layers.makes(id, output);
            }
            let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
            for (slot, name) in node.input.iter().enumerate() {
                let Origin { source, path } = graph.origin(name);
                let resolved = match source {
                    Source::Value(name) => name,
                    Source::Parameter(parameter) => {
                        let role =
                            role_in(&node.op_type, standard, slot, &tensors.parameters[parameter.index()]);
                        if layers.claim(tensors, id, parameter, role) {
                            on_path(&mut layers, tensors, id, &path);
                        }
                        &tensors.parameters[parameter.index()].name
                    }
                };
                layers.list[id.index()].inputs.push(resolved.to_owned());
            }
        }
        layers
    }

    /// The layer that makes a value.
    pub(super) fn maker(&self, value: &str) -> Option<LayerId> {
        self.makers.get(value).copied()
    }

    /// Gives a parameter to a layer, unless an earlier one has it; false if so.
    pub(super) fn claim(
        &mut self,
        tensors: &mut Tensors,
        layer: LayerId,
        parameter: ParameterId,
        role: Role,
    ) -> bool {
        let entry = &mut tensors.parameters[parameter.index()];
        if entry.layer.is_some() {
            return false;
        }
        entry.layer = Some(layer);
        entry.role = role;
        self.list[layer.index()].parameters.push(parameter);
        true
    }

    fn push(&mut self, layer: Layer) -> Option<LayerId> {
        let id = LayerId::new(self.list.len())?;
        self.list.push(layer);
        Some(id)
    }

    fn makes(&mut self, layer: LayerId, value: &'a str) {
        self.makers.entry(value).or_insert(layer);
        self.list[layer.index()].outputs.push(value.to_owned());
    }
}
