//! MatMulInteger and ConvInteger: products of codes, which a Mul behind them scales.

use std::collections::HashMap;

use onnx_ir::NodeProto;
use quantviz_core::{Encoding, Granularity, ParameterId, QuantDescriptor, Role, Shape};

use super::scales::leaves;
use super::{Constants, Reason, claim_input, descriptor, gathered_from, per_axis};
use crate::onnx::graph::{Graph, Layers, Source, input};
use crate::onnx::tensor::Tensors;

/// A product of codes and what makes a real number of it.
#[derive(Clone, Debug)]
pub(in crate::onnx) struct IntegerProduct<'a> {
    /// The nodes between the product and the real number.
    pub(in crate::onnx) nodes: Vec<usize>,
    /// The values it is multiplied with.
    factors: Vec<&'a str>,
    /// The real number.
    pub(in crate::onnx) output: &'a str,
}

/// Whether its output are products of codes without a scale.
pub(super) fn is_integer_product(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "MatMulInteger" | "ConvInteger")
}

/// The products of codes in a graph, by the index of their node.
pub(in crate::onnx) fn integer_products<'a>(
    nodes: &'a [NodeProto],
    makers: &HashMap<&'a str, usize>,
) -> HashMap<usize, IntegerProduct<'a>> {
    let products = nodes.iter().enumerate().filter(|(_, node)| is_integer_product(node));
    let products: Vec<_> = products.collect();
    if products.is_empty() {
        return HashMap::new();
    }
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            readers.entry(name).or_default().push(index);
        }
    }
    let chains = Chains { nodes, readers, makers };
    products.into_iter().filter_map(|(index, node)| Some((index, chains.behind(node)?))).collect()
}

struct Chains<'a, 'm> {
    nodes: &'a [NodeProto],
    readers: HashMap<&'a str, Vec<usize>>,
    makers: &'m HashMap<&'a str, usize>,
}

impl<'a> Chains<'a, '_> {
    /// Follows a product through Cast and Mul until both of its scales are there.
    fn behind(&self, product: &'a NodeProto) -> Option<IntegerProduct<'a>> {
        let scale_of_activation = self.activation_scale(product);
        let mut found = IntegerProduct { nodes: Vec::new(), factors: Vec::new(), output: "" };
        let mut value = product.output.first()?.as_str();
        // A Cast and two Muls, and a Mul of two scales beside them.
        while found.nodes.len() < 4 {
            let [reader] = self.readers.get(value)?[..] else { return None };
            let node = &self.nodes[reader];
            found.nodes.push(reader);
            match node.op_type.as_str() {
                "Cast" => {}
                "Mul" => {
                    let other = node.input.iter().map(String::as_str).find(|&name| name != value)?;
                    found.factors.extend(self.factors(other, &mut found.nodes));
                }
                _ => return None,
            }
            value = node.output.first()?;
            let has_activation = scale_of_activation.is_none_or(|scale| found.factors.contains(&scale));
            let others = found.factors.iter().filter(|&&factor| Some(factor) != scale_of_activation).count();
            if has_activation && others > 0 {
                found.output = value;
                return Some(found);
            }
        }
        None
    }

    /// The scale of the operand that is no constant.
    fn activation_scale(&self, product: &'a NodeProto) -> Option<&'a str> {
        let makers = product.input.iter().take(2).filter_map(|name| self.makers.get(name.as_str()));
        makers.map(|&index| &self.nodes[index]).find_map(|maker| match maker.op_type.as_str() {
            "DynamicQuantizeLinear" => maker.output.get(1).map(String::as_str),
            "QuantizeLinear" => input(maker, 1),
            _ => None,
        })
    }

    /// The two values that a Mul that nothing else reads makes a scale of, else the value.
    fn factors(&self, value: &'a str, absorbed: &mut Vec<usize>) -> Vec<&'a str> {
        let maker = self.makers.get(value).filter(|&&index| self.nodes[index].op_type == "Mul");
        match maker {
            Some(&index) => {
                if self.readers.get(value).is_some_and(|readers| readers.len() == 1) {
                    absorbed.push(index);
                }
                self.nodes[index].input.iter().map(String::as_str).collect()
            }
            None => vec![value],
        }
    }
}

/// Describes the constant operands of products of codes.
pub(super) fn describe<'a>(graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    for (index, node) in graph.nodes.iter().enumerate().filter(|(_, node)| is_integer_product(node)) {
        let Some(layer) = graph.output(index).and_then(|output| layers.maker(output)) else { continue };
        for (slot, zero_point, axis) in [(0, 2, 0), (1, 3, -1)] {
            let Some(codes) = codes_of(graph, node, slot) else { continue };
            claim_input(graph, layers, tensors, layer, node, zero_point, Role::ZeroPoint);
            if tensors.parameters[codes.index()].quantization.is_some() {
                continue;
            }
            let axis = if node.op_type == "ConvInteger" { 0 } else { axis };
            let factors =
                graph.products.get(&index).map(|product| weight_factors(graph, tensors, node, slot, product));
            let described = match factors {
                Some(factors) => {
                    for &factor in &factors {
                        for id in leaves(graph, factor) {
                            layers.claim_as(tensors, layer, id, Role::Scale);
                        }
                    }
                    describe_codes(graph, tensors, node, codes, &factors, (slot, zero_point), axis)
                }
                None => Err("no constant scale follows its product".into()),
            };
            match described {
                Ok(descriptor) => tensors.parameters[codes.index()].quantization = Some(descriptor),
                Err(message) => tensors.warn_undescribed(codes, message),
            }
        }
    }
}

/// The constant codes of an operand, or those that it is picked from.
fn codes_of(graph: &Graph<'_>, node: &NodeProto, slot: usize) -> Option<ParameterId> {
    match graph.origin(input(node, slot)?).source {
        Source::Parameter(codes) => Some(codes),
        Source::Value(value) => gathered_from(graph, value),
    }
}

/// The factors of a product that are not the scale of its other operand.
fn weight_factors<'a>(
    graph: &Graph<'_>,
    tensors: &Tensors,
    node: &NodeProto,
    slot: usize,
    product: &IntegerProduct<'a>,
) -> Vec<&'a str> {
    let other = input(node, 1 - slot).and_then(|name| graph.maker(name));
    let of_other = other.and_then(|quantizer| input(quantizer, 1));
    let mut factors: Vec<&str> =
        product.factors.iter().copied().filter(|factor| graph.parameter(factor).is_some()).collect();
    if let Some(position) = factors.iter().position(|&factor| Some(factor) == of_other) {
        factors.remove(position);
    }
    // Where both operands are constants, only names say which scale is whose.
    if factors.len() == 2
        && let (Some(codes), Some(_)) = (codes_of(graph, node, slot), codes_of(graph, node, 1 - slot))
    {
        let codes = &tensors.parameters[codes.index()].name;
        let scale = format!("{}_scale", codes.strip_suffix("_quantized").unwrap_or(codes));
        if let Some(own) = factors.iter().find(|factor| **factor == scale) {
            return vec![*own];
        }
    }
    factors
}

fn describe_codes(
    graph: &Graph<'_>,
    tensors: &Tensors,
    node: &NodeProto,
    codes: ParameterId,
    factors: &[&str],
    (slot, zero_point): (usize, usize),
    axis: i64,
) -> Result<QuantDescriptor, Reason> {
    let parameter = &tensors.parameters[codes.index()];
    let constants = Constants { graph, tensors };
    let [factor] = factors else {
        return Err(format!("{} constants scale its product, not one", factors.len()).into());
    };
    let mut scales = constants.scales(factor)?;
    let granularity = match scales.shape.elements() {
        1 => Granularity::Tensor,
        many => {
            // Shaped to be multiplied with the product: 1×8×1×1 for eight channels.
            scales.shape = Shape::vector(many);
            let (arrangement, arranged) = constants.arrangement(node, slot, &parameter.shape)?;
            arrangement.back(per_axis(&arranged, &scales.shape, Some(axis))?)?
        }
    };
    let zero_points = input(node, zero_point).map(|name| constants.zero_points(name)).transpose()?;
    descriptor(parameter, Encoding::Integer, &node.op_type, granularity, scales, zero_points)
}
