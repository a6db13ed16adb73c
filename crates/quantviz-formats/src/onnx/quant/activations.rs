//! Activations whose quantization the file fixes, with the layers that make them.

use std::collections::HashMap;
use std::iter::successors;

use onnx_ir::NodeProto;
use quantviz_core::{Activation, DType, LayerId, Role};

use super::{Constants, claim_input, fake, linear};
use crate::onnx::graph::{Graph, Layers, Source, input, is_fake_quantize, is_linear, is_quantize};
use crate::onnx::tensor::Tensors;

/// Lists the activations that Q/DQ pairs quantize.
pub(super) fn describe<'a>(graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    let clips = graph.hidden_nodes().filter(|node| graph.bounds_codes(node));
    let clips: HashMap<&str, &NodeProto> = clips.filter_map(|node| Some((input(node, 0)?, node))).collect();
    let clip_of = |node: &NodeProto| clips.get(node.output.first()?.as_str()).copied();
    for node in graph.hidden_nodes().filter(|node| is_linear(node)) {
        let Some(data) = input(node, 0) else { continue };
        let origin = graph.origin(data);
        let Source::Value(value) = origin.source else { continue };
        let tensor = if is_quantize(node) { data } else { node.output.first().map_or(data, String::as_str) };
        // Else a quantizer before this one has said it already.
        if let (false, Some(maker)) = (origin.quantized, layers.maker(value)) {
            let constants = Constants { graph, tensors };
            let (stored, range) = match is_fake_quantize(node) {
                true => fake::activation_codes(node, &constants).unzip(),
                false => (linear::said_type(node).filter(|_| is_quantize(node)), None),
            };
            let clips: Vec<&NodeProto> = successors(clip_of(node), |clip| clip_of(clip)).collect();
            let added = add_activation(graph, layers, tensors, maker, (value, tensor), node, (1, 2), stored);
            if let Some(activation) = added {
                let constants = Constants { graph, tensors };
                let clip = |range, clip: &&NodeProto| constants.clipped(clip, range);
                let range = range.or(activation.code_range);
                activation.code_range = range.map(|range| clips.iter().fold(range, clip));
            }
            for clip in clips {
                claim_input(graph, layers, tensors, maker, clip, 1, Role::Constant);
                claim_input(graph, layers, tensors, maker, clip, 2, Role::Constant);
            }
        }
    }
}

/// Adds the activation `value`, which is called `tensor` as a float, and whose scale and zero-point are inputs of `node`;
/// `None` where it is known already, or its scale is not.
#[expect(clippy::too_many_arguments, reason = "the context, and where to look in the node")]
pub(super) fn add_activation<'l, 'a>(
    graph: &Graph<'a>,
    layers: &'l mut Layers<'a>,
    tensors: &mut Tensors,
    maker: LayerId,
    (value, tensor): (&'a str, &str),
    node: &'a NodeProto,
    (scale_slot, zero_point_slot): (usize, usize),
    stored_as: Option<DType>,
) -> Option<&'l mut Activation> {
    let constants = Constants { graph, tensors };
    let scale = constants.scales(input(node, scale_slot)?).ok()?;
    let zero_point = input(node, zero_point_slot).map(|name| constants.zero_points(name));
    let zero_point = zero_point.transpose().ok()?;
    let zero_point_dtype = zero_point.as_ref().map(|zero_point| zero_point.dtype);
    claim_input(graph, layers, tensors, maker, node, scale_slot, Role::Scale);
    claim_input(graph, layers, tensors, maker, node, zero_point_slot, Role::ZeroPoint);
    if !layers.described.insert(value) {
        return None;
    }
    let dtype = stored_as.or(zero_point_dtype).unwrap_or(DType::U8);
    let activations = &mut layers.list[maker.index()].activations;
    activations.push(Activation::new(tensor, dtype, scale.operand, zero_point.map(|it| it.operand)));
    activations.last_mut()
}
