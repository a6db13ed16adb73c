//! What layers get as codes: the same value, or the same codes, may be scaled in one way for one and in another for the
//! next.

use onnx_ir::NodeProto;
use quantviz_core::{DType, LayerId, QuantizedInput};

use super::Constants;
use super::code_operators::operand_slots;
use super::linear::quantized_type;
use crate::onnx::graph::{Graph, Layers, Source, input, is_dequantize, is_fake_quantize, is_quantize};
use crate::onnx::tensor::Tensors;

/// Hidden nodes that are looked at between a layer and what quantizes its input.
const MOST_NODES: usize = 64;

/// Lists the inputs of every layer that come as codes, or from codes.
pub(super) fn describe(graph: &Graph<'_>, layers: &mut Layers<'_>, tensors: &Tensors) {
    let constants = Constants { graph, tensors };
    let mut found: Vec<(LayerId, QuantizedInput)> = Vec::new();
    for &(index, layer) in &layers.of_nodes {
        let node = &graph.nodes[index];
        let operands = operand_slots(node);
        for slot in 0..node.input.len() {
            let described = match operands.iter().find(|(codes, ..)| *codes == slot) {
                Some(&(_, scale, zero_point)) => operand(&constants, node, slot, scale, zero_point),
                None => real_input(&constants, node, slot),
            };
            found.extend(described.map(|described| (layer, described)));
        }
    }
    for (layer, input) in found {
        layers.list[layer.index()].quantized_inputs.push(input);
    }
}

/// Codes that an operator computes on.
fn operand(
    constants: &Constants<'_>,
    node: &NodeProto,
    slot: usize,
    scale: Option<usize>,
    zero_point: usize,
) -> Option<QuantizedInput> {
    let origin = constants.graph.origin(input(node, slot)?);
    let quantizer = constants.graph.path(origin).take(MOST_NODES).find(|node| is_quantize(node));
    let zero_points = input(node, zero_point).and_then(|name| constants.zero_points(name).ok());
    let dtype = match (quantizer, &zero_points) {
        (Some(quantizer), _) => quantized_type(quantizer, constants),
        (None, _) if let Source::Parameter(id) = origin.source => {
            constants.tensors.parameters[id.index()].dtype
        }
        (None, Some(zero_points)) => zero_points.dtype,
        (None, None) => DType::U8,
    };
    let mut described = QuantizedInput::new(slot, dtype);
    let scales = scale.and_then(|scale| constants.scales(input(node, scale)?).ok());
    described.scale = scales.map(|scales| scales.operand);
    described.zero_point = zero_points.map(|zero_points| zero_points.operand);
    Some(described)
}

/// Numbers that were codes just before.
fn real_input(constants: &Constants<'_>, node: &NodeProto, slot: usize) -> Option<QuantizedInput> {
    let origin = constants.graph.origin(input(node, slot)?);
    let path: Vec<&NodeProto> = constants.graph.path(origin).take(MOST_NODES).collect();
    let last = path.iter().find(|node| is_dequantize(node) || is_fake_quantize(node))?;
    let zero_points = input(last, 2).and_then(|name| constants.zero_points(name).ok());
    let quantizer = path.iter().find(|node| is_quantize(node));
    let dtype = match (quantizer, origin.source) {
        (Some(quantizer), _) => quantized_type(quantizer, constants),
        (None, Source::Parameter(id)) => constants.tensors.parameters[id.index()].dtype,
        (None, Source::Value(_)) => zero_points.as_ref().map_or(DType::U8, |zero_points| zero_points.dtype),
    };
    let mut described = QuantizedInput::new(slot, dtype);
    described.scale = constants.scales(input(last, 1)?).ok().map(|scales| scales.operand);
    described.zero_point = zero_points.map(|zero_points| zero_points.operand);
    Some(described)
}
