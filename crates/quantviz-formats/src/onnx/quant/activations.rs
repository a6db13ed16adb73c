//! Activations whose quantization the file fixes, with the layers that make them.

use onnx_ir::NodeProto;
use quantviz_core::{Activation, DType, LayerId, Role};

use super::{Constants, claim_input, fake, linear};
use crate::onnx::graph::{Graph, Layers, Source, input, is_fake_quantize, is_linear, is_quantize};
use crate::onnx::tensor::Tensors;

/// Lists the activations that Q/DQ pairs quantize.
pub(super) fn describe<'a>(graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    for node in graph.hidden_nodes().filter(|node| is_linear(node)) {
        let Some(data) = input(node, 0) else { continue };
        let origin = graph.origin(data);
        let Source::Value(value) = origin.source else { continue };
        let tensor = if is_quantize(node) { data } else { node.output.first().map_or(data, String::as_str) };
        // Else a quantizer before this one has said it already.
        if let (false, Some(maker)) = (origin.quantized, layers.maker(value)) {
            let constants = Constants { graph, tensors };
            let stored = match is_fake_quantize(node) {
                true => fake::code_type(node, &constants).map(|(dtype, _)| dtype),
                false => linear::said_type(node).filter(|_| is_quantize(node)),
            };
            add_activation(graph, layers, tensors, maker, (value, tensor), node, (1, 2), stored);
        }
    }
}

/// Adds the activation `value`, which is called `tensor` as a float, and whose scale and zero-point are inputs of `node`.
#[expect(clippy::too_many_arguments, reason = "the context, and where to look in the node")]
pub(super) fn add_activation<'a>(
    graph: &Graph<'a>,
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
    maker: LayerId,
    (value, tensor): (&'a str, &str),
    node: &'a NodeProto,
    (scale_slot, zero_point_slot): (usize, usize),
    stored_as: Option<DType>,
) {
    let constants = Constants { graph, tensors };
    let Some(Ok(scale)) = input(node, scale_slot).map(|name| constants.scales(name)) else { return };
    let zero_point = input(node, zero_point_slot).map(|name| constants.zero_points(name));
    let Ok(zero_point) = zero_point.transpose() else { return };
    let zero_point_dtype = zero_point.as_ref().map(|zero_point| zero_point.dtype);
    claim_input(graph, layers, tensors, maker, node, scale_slot, Role::Scale);
    claim_input(graph, layers, tensors, maker, node, zero_point_slot, Role::ZeroPoint);
    if layers.described.insert(value) {
        layers.list[maker.index()].activations.push(Activation::new(
            tensor,
            stored_as.or(zero_point_dtype).unwrap_or(DType::U8),
            scale.operand,
            zero_point.map(|zero_point| zero_point.operand),
        ));
    }
}
