//! From nodes to layers: what computes with which parameter, as if nothing were quantized.

use std::collections::{HashMap, HashSet};
use std::iter::successors;

use onnx_ir::{GraphProto, NodeProto, TensorProto};
use quantviz_core::{Error, Layer, LayerId, LayerKind, ParameterId, Result, Role};

use super::roles::role_in;
use super::tensor::Tensors;

/// The nodes of a graph with its names resolved.
pub(super) struct Graph<'a> {
    pub(super) nodes: &'a [NodeProto],
    constants: HashMap<&'a str, ParameterId>,
    /// The hidden node that hands a value on.
    carriers: HashMap<&'a str, usize>,
    /// Nodes that only carry a parameter or an activation to the node that computes with it, and from where.
    hidden: Vec<Option<Origin<'a>>>,
}

/// Where a value comes from, looking through hidden nodes.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) source: Source<'a>,
    /// The last of the hidden nodes in between.
    pub(super) carrier: Option<usize>,
    /// Whether one of them quantizes.
    pub(super) quantized: bool,
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
    let output = node.output.first().filter(|name| !name.is_empty());
    Some((output?, value?.t.as_ref()?))
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
        let hidden = Vec::with_capacity(nodes.len());
        let mut graph = Graph { nodes, constants, carriers: HashMap::new(), hidden };
        for (index, node) in nodes.iter().enumerate() {
            // Nodes are sorted, so what a value passed through is known already; a hostile graph that runs in
            // circles ends where it would refer to a later node.
            let origin = graph.origin(input(node, 0).unwrap_or_default());
            let carries_constant = is_carrier(node) && matches!(origin.source, Source::Parameter(_));
            let is_hidden = carries_constant
                || is_quantize(node)
                || is_dequantize(node)
                || constant_tensor(node).is_some();
            if is_hidden {
                let outputs = node.output.iter().map(String::as_str).filter(|name| !name.is_empty());
                graph.carriers.extend(outputs.map(|name| (name, index)));
            }
            graph.hidden.push(is_hidden.then_some(origin));
        }
        graph
    }

    /// Where a value comes from.
    pub(super) fn origin(&self, name: &'a str) -> Origin<'a> {
        if let Some(&parameter) = self.constants.get(name).filter(|_| !name.is_empty()) {
            return Origin { source: Source::Parameter(parameter), carrier: None, quantized: false };
        }
        match self.carriers.get(name).and_then(|&carrier| Some((carrier, self.hidden[carrier]?))) {
            Some((carrier, origin)) => {
                let quantized = origin.quantized || is_quantize(&self.nodes[carrier]);
                Origin { carrier: Some(carrier), quantized, ..origin }
            }
            None => Origin { source: Source::Value(name), carrier: None, quantized: false },
        }
    }

    /// The hidden nodes that a value passed through, the last one first.
    pub(super) fn path(&self, origin: Origin<'a>) -> impl Iterator<Item = &'a NodeProto> {
        let before = |&index: &usize| self.hidden[index].and_then(|origin| origin.carrier);
        successors(origin.carrier, before).map(|index| &self.nodes[index])
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
        self.nodes.iter().zip(&self.hidden).filter(|(_, hidden)| hidden.is_some()).map(|(node, _)| node)
    }

    /// All other nodes, in order.
    fn layer_nodes(&self) -> impl Iterator<Item = &'a NodeProto> {
        self.nodes.iter().zip(&self.hidden).filter(|(_, hidden)| hidden.is_none()).map(|(node, _)| node)
    }
}

/// The layers of a model while they are being made.
#[derive(Default)]
pub(super) struct Layers<'a> {
    pub(super) list: Vec<Layer>,
    /// The layer that makes a value.
    makers: HashMap<&'a str, LayerId>,
    /// Values whose quantization is known.
    pub(super) described: HashSet<&'a str>,
}

impl<'a> Layers<'a> {
    /// A layer for every input of the graph and every node that is not hidden, with the parameters that it is the
    /// first to compute with. `on_path` hears of what lies between a parameter and its layer.
    pub(super) fn of(
        inputs: impl Iterator<Item = &'a str>,
        graph: &Graph<'a>,
        tensors: &mut Tensors,
        at_most: usize,
        mut on_path: impl FnMut(&mut Self, &mut Tensors, LayerId, Origin<'a>),
    ) -> Result<Self> {
        // A long name costs a hostile file little where hidden nodes give it a short one.
        let mut room = at_most;
        let mut layers = Layers::default();
        for name in inputs.filter(|name| !graph.constants.contains_key(name)) {
            if let Some(id) = layers.push(Layer::new(name, Some("Input".to_owned()), LayerKind::Operation)) {
                layers.makes(id, name);
            }
        }
        for node in graph.layer_nodes() {
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
                let origin = graph.origin(name);
                let resolved = match origin.source {
                    Source::Value(name) => name,
                    Source::Parameter(parameter) => {
                        let role =
                            role_in(&node.op_type, standard, slot, &tensors.parameters[parameter.index()]);
                        if layers.claim(tensors, id, parameter, role) {
                            on_path(&mut layers, tensors, id, origin);
                        }
                        &tensors.parameters[parameter.index()].name
                    }
                };
                room = room.checked_sub(resolved.len()).ok_or_else(|| {
                    Error::limit(format!("the names of what nodes read take more than {at_most} bytes"))
                })?;
                layers.list[id.index()].inputs.push(resolved.to_owned());
            }
        }
        Ok(layers)
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
