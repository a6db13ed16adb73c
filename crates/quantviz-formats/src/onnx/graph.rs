//! From nodes to layers: what computes with which parameter, as if nothing were quantized.

use std::collections::{HashMap, HashSet};
use std::iter::successors;

use onnx_ir::NodeProto;
use quantviz_core::{Error, Layer, LayerId, LayerKind, ParameterId, Result, Role};

use super::flatten::node_name;
use super::quant::{IntegerProduct, integer_products};
use super::roles::role_in;
use super::tensor::Tensors;

/// The nodes of a graph with its names resolved.
pub(super) struct Graph<'a> {
    pub(super) nodes: &'a [NodeProto],
    constants: HashMap<&'a str, ParameterId>,
    /// Values that no node has to make.
    given: HashSet<&'a str>,
    /// The node that makes a value.
    makers: HashMap<&'a str, usize>,
    /// The hidden node that hands a value on.
    carriers: HashMap<&'a str, usize>,
    /// Products of codes, by the index of their node.
    pub(super) products: HashMap<usize, IntegerProduct<'a>>,
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
    let op = node.op_type.as_str();
    matches!(op, "QuantizeLinear" | "DynamicQuantizeLinear")
        || matches!(op, "TRT_FP8QuantizeLinear" | "TRT_INT4QuantizeLinear" | "TRT_INT8QuantizeLinear")
}

pub(super) fn is_dequantize(node: &NodeProto) -> bool {
    let op = node.op_type.as_str();
    op == "DequantizeLinear"
        || matches!(op, "TRT_FP8DequantizeLinear" | "TRT_INT4DequantizeLinear" | "TRT_INT8DequantizeLinear")
}

/// Whether it quantizes and dequantizes at once.
pub(super) fn is_fake_quantize(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "Quant" | "IntQuant" | "BipolarQuant")
}

/// Whether its second input is a scale and its third a zero-point.
pub(super) fn is_linear(node: &NodeProto) -> bool {
    is_quantize(node) || is_dequantize(node) || is_fake_quantize(node)
}

/// Whether it scales one input by the other.
pub(super) fn is_product(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "Mul" | "Div")
}

/// Whether it takes one input from the other.
pub(super) fn is_shift(node: &NodeProto) -> bool {
    node.op_type == "Sub"
}

/// The input in a slot; `None` where the slot is empty or missing.
pub(super) fn input(node: &NodeProto, slot: usize) -> Option<&str> {
    node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty())
}

/// Operators that hand a constant on in another type or arrangement.
const CARRIERS: &[&str] =
    &["Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Clip"];

impl<'a> Graph<'a> {
    /// `elements` knows how many a constant has.
    pub(super) fn new(
        nodes: &'a [NodeProto],
        constants: HashMap<&'a str, ParameterId>,
        given: HashSet<&'a str>,
        elements: impl Fn(ParameterId) -> u64,
    ) -> Self {
        let outputs = nodes.iter().enumerate().flat_map(|(index, node)| {
            node.output.iter().map(move |name| (name.as_str(), index)).filter(|(name, _)| !name.is_empty())
        });
        let makers = outputs.collect();
        let products = integer_products(nodes, &makers);
        let absorbed: HashSet<usize> = products.values().flat_map(|it| it.nodes.iter().copied()).collect();
        let hidden = Vec::with_capacity(nodes.len());
        let mut graph = Graph { nodes, constants, given, makers, carriers: HashMap::new(), products, hidden };
        for (index, node) in nodes.iter().enumerate() {
            // Nodes are sorted, so what a value passed through is known already.
            let is_product = is_product(node) && graph.is_constant(node);
            let main = if is_product { graph.largest_factor(node, &elements) } else { input(node, 0) };
            let origin = graph.origin(main.unwrap_or_default());
            let carries =
                is_product || is_linear(node) || graph.is_constant(node) || graph.bounds_codes(node);
            if carries && let Some(output) = node.output.first().filter(|name| !name.is_empty()) {
                // What else DynamicQuantizeLinear makes is no form of its input.
                graph.carriers.insert(output, index);
            }
            let is_list = graph.constants.contains_key(node.output.first().map_or("", String::as_str));
            let is_hidden = carries || is_list || absorbed.contains(&index);
            graph.hidden.push(is_hidden.then_some(origin));
        }
        graph
    }

    /// The constant that a product of constants is a form of: a weight, not what scales it.
    fn largest_factor(&self, node: &'a NodeProto, elements: impl Fn(ParameterId) -> u64) -> Option<&'a str> {
        let size = |name: &&str| self.parameter(name).map_or(0, &elements);
        // The first of equals: `max_by_key` would take the last.
        node.input.iter().map(String::as_str).rev().max_by_key(size)
    }

    /// Whether a node makes a constant of constants, in a way that leaves the main one of them recognisable.
    pub(super) fn is_constant(&self, node: &NodeProto) -> bool {
        let is_constant = |name: &String| self.parameter(name).is_some();
        match node.op_type.as_str() {
            _ if is_product(node) => node.input.iter().all(is_constant),
            // Where codes have just become numbers, it takes their zero-points off.
            _ if is_shift(node) => node.input.iter().all(is_constant) && self.is_cast(input(node, 0)),
            op => (CARRIERS.contains(&op) || is_linear(node)) && node.input.first().is_some_and(is_constant),
        }
    }

    /// Whether a Cast hands the value on.
    fn is_cast(&self, name: Option<&str>) -> bool {
        let carrier = name.and_then(|name| self.carriers.get(name));
        carrier.is_some_and(|&carrier| self.nodes[carrier].op_type == "Cast")
    }

    /// Whether it keeps the codes that a quantizer made of an activation within constant bounds.
    pub(super) fn bounds_codes(&self, node: &NodeProto) -> bool {
        // A Clip that is hidden is known to be one of codes, or of a constant.
        let maker = input(node, 0).and_then(|name| self.carriers.get(name)).map(|&index| &self.nodes[index]);
        let bounds = || node.input.iter().skip(1).filter(|name| !name.is_empty());
        node.op_type == "Clip"
            && maker.is_some_and(|maker| is_quantize(maker) || maker.op_type == "Clip")
            && bounds().all(|name| self.parameter(name).is_some())
    }

    /// Where a value comes from.
    pub(super) fn origin(&self, name: &'a str) -> Origin<'a> {
        self.known_origin(name).unwrap_or(Origin {
            source: Source::Value(name),
            carrier: None,
            quantized: false,
        })
    }

    /// The same for what is a parameter, or passed through a hidden node.
    fn known_origin(&self, name: &str) -> Option<Origin<'a>> {
        if let Some(parameter) = self.constant(name).filter(|_| !name.is_empty()) {
            return Some(Origin { source: Source::Parameter(parameter), carrier: None, quantized: false });
        }
        let carrier = *self.carriers.get(name)?;
        let origin = self.hidden[carrier]?;
        let quantized = origin.quantized || is_quantize(&self.nodes[carrier]);
        Some(Origin { carrier: Some(carrier), quantized, ..origin })
    }

    /// The parameter of this name, without looking through nodes.
    pub(super) fn constant(&self, name: &str) -> Option<ParameterId> {
        self.constants.get(name).copied()
    }

    /// The node that makes a value.
    pub(super) fn maker(&self, name: &str) -> Option<&'a NodeProto> {
        self.makers.get(name).map(|&index| &self.nodes[index])
    }

    /// Whether a value is read but neither made nor stored, which no graph may do.
    pub(super) fn is_nowhere(&self, name: &str) -> bool {
        !self.given.contains(name) && !self.constants.contains_key(name) && !self.makers.contains_key(name)
    }

    /// The first output of a node; that of a product of codes once it is scaled.
    pub(super) fn output(&self, index: usize) -> Option<&'a str> {
        let output = self.products.get(&index).map(|product| product.output);
        output.or_else(|| self.nodes[index].output.first().map(String::as_str))
    }

    /// The hidden nodes that a value passed through, the last one first.
    pub(super) fn path(&self, origin: Origin<'a>) -> impl Iterator<Item = &'a NodeProto> {
        let before = |&index: &usize| self.hidden[index].and_then(|origin| origin.carrier);
        successors(origin.carrier, before).map(|index| &self.nodes[index])
    }

    /// The parameter that a value is, possibly after hidden nodes.
    pub(super) fn parameter(&self, name: &str) -> Option<ParameterId> {
        self.parameter_at(name).map(|(id, _)| id)
    }

    /// The same, and the way that it came.
    pub(super) fn parameter_at(&self, name: &str) -> Option<(ParameterId, Origin<'a>)> {
        let origin = self.known_origin(name)?;
        match origin.source {
            Source::Parameter(id) => Some((id, origin)),
            Source::Value(_) => None,
        }
    }

    /// The hidden nodes, in order.
    pub(super) fn hidden_nodes(&self) -> impl Iterator<Item = &'a NodeProto> {
        self.nodes.iter().zip(&self.hidden).filter(|(_, hidden)| hidden.is_some()).map(|(node, _)| node)
    }

    /// All other nodes, in order, with their indices.
    fn layers(&self) -> impl Iterator<Item = (usize, &'a NodeProto)> {
        self.nodes.iter().enumerate().filter(|(index, _)| self.hidden[*index].is_none())
    }

    /// All other nodes, in order.
    pub(super) fn layer_nodes(&self) -> impl Iterator<Item = &'a NodeProto> {
        self.layers().map(|(_, node)| node)
    }
}

/// The layers of a model while they are being made.
#[derive(Default)]
pub(super) struct Layers<'a> {
    pub(super) list: Vec<Layer>,
    /// Nodes by their index, and the layers that they are.
    pub(super) of_nodes: Vec<(usize, LayerId)>,
    /// The layer that makes a value.
    makers: HashMap<&'a str, LayerId>,
    /// Values whose quantization is known.
    pub(super) described: HashSet<&'a str>,
}

impl<'a> Layers<'a> {
    /// A layer for every input of the graph and every node that is not hidden, with the parameters that it is the
    /// first to compute with. `on_path` hears of what lies between a parameter and its layer.
    pub(super) fn of(
        inputs: &'a [String],
        graph: &Graph<'a>,
        tensors: &mut Tensors,
        at_most: usize,
        mut on_path: impl FnMut(&mut Self, &mut Tensors, LayerId, Origin<'a>),
    ) -> Result<Self> {
        // A long name costs a hostile file little where hidden nodes give it a short one.
        let mut room = at_most;
        let mut layers = Layers::default();
        for name in inputs.iter().filter(|name| !graph.constants.contains_key(name.as_str())) {
            if let Some(id) =
                layers.push(Layer::new(name.as_str(), Some("Input".to_owned()), LayerKind::Operation))
            {
                layers.makes(id, name);
            }
        }
        for (index, node) in graph.layers() {
            let layer = Layer::new(node_name(node), Some(node.op_type.clone()), LayerKind::Operation);
            let Some(id) = layers.push(layer) else { break };
            layers.of_nodes.push((index, id));
            let product = graph.products.get(&index).map(|product| product.output);
            let outputs = node.output.iter().map(String::as_str).filter(|name| !name.is_empty());
            match product {
                Some(product) => layers.makes(id, product),
                None => outputs.for_each(|output| layers.makes(id, output)),
            }
            layers.list[id.index()].inputs.reserve_exact(node.input.len());
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
                        .of_limit("graph_bytes")
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

    /// Gives a parameter to a layer that knows better than the slot what it is for, unless an earlier one has it.
    pub(super) fn claim_as(&mut self, tensors: &mut Tensors, layer: LayerId, id: ParameterId, role: Role) {
        let entry = &mut tensors.parameters[id.index()];
        if entry.layer == Some(layer) {
            entry.role = role;
        }
        self.claim(tensors, layer, id, role);
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
        let outputs = &mut self.list[layer.index()].outputs;
        outputs.reserve_exact(1);
        outputs.push(value.to_owned());
    }
}
