//! Which codes stand for which numbers: QuantizeLinear and DequantizeLinear, and the operators that compute on codes.

use onnx_ir::NodeProto;
use quantviz_core::{
    Activation, DType, Encoding, Granularity, LayerId, Operand, ParameterId, QuantDescriptor, Role, Shape,
};

use super::graph::{Graph, Layers, Origin, Source, input, is_dequantize, is_quantize};
use super::tensor::{Tensors, dtype_of};

/// Describes every parameter that a DequantizeLinear turns into real numbers.
pub(super) fn describe_parameters(graph: &Graph<'_>, tensors: &mut Tensors) {
    for node in graph.hidden_nodes().filter(|node| is_dequantize(node)) {
        let Some(origin) = input(node, 0).map(|codes| graph.origin(codes)) else { continue };
        let Source::Parameter(parameter) = origin.source else { continue };
        if tensors.parameters[parameter.index()].quantization.is_some() {
            continue;
        }
        match describe_linear(graph, tensors, node, parameter, origin.carrier.is_none()) {
            Ok(descriptor) => tensors.parameters[parameter.index()].quantization = Some(descriptor),
            Err(message) => tensors.warn_undescribed(parameter, message),
        }
    }
}

/// Gives the constants of hidden nodes between a parameter and its layer to that layer.
pub(super) fn claim_path<'a>(
    graph: &Graph<'a>,
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
    layer: LayerId,
    origin: Origin<'a>,
) {
    let path: Vec<_> = graph.path(origin).collect();
    for node in path.into_iter().rev() {
        let is_linear = is_dequantize(node) || is_quantize(node);
        for slot in 1..node.input.len() {
            let role = match slot {
                1 if is_linear => Role::Scale,
                2 if is_linear => Role::ZeroPoint,
                _ => Role::Constant,
            };
            claim_input(graph, layers, tensors, layer, node, slot, role);
        }
    }
}

/// `DequantizeLinear(codes, scale, zero_point)`, where the codes are a parameter.
fn describe_linear(
    graph: &Graph<'_>,
    tensors: &Tensors,
    node: &NodeProto,
    codes: ParameterId,
    direct: bool,
) -> Result<QuantDescriptor, String> {
    let parameter = &tensors.parameters[codes.index()];
    let scale = constant_input(graph, node, 1).ok_or("its scale is computed in the graph")?;
    let scale_shape = &tensors.parameters[scale.index()].shape;
    let default_axis = if node.domain == "com.microsoft" { None } else { Some(1) };
    let granularity = match int_attribute(node, "block_size").unwrap_or(0) {
        _ if scale_shape.elements() == 1 => Granularity::Tensor,
        _ if !direct => {
            return Err("its scales apply to a rearranged form of it, which is not supported yet".into());
        }
        0 => per_axis(&parameter.shape, scale_shape, int_attribute(node, "axis").or(default_axis))?,
        block => per_block(&parameter.shape, scale_shape, int_attribute(node, "axis").unwrap_or(1), block)?,
    };
    let zero_point = zero_point_input(graph, node, 2)?;
    descriptor(tensors, Encoding::Qdq, &node.op_type, codes, granularity, scale, zero_point)
}

fn zero_point_input(graph: &Graph<'_>, node: &NodeProto, slot: usize) -> Result<Option<ParameterId>, String> {
    let known = |name| graph.parameter(name).ok_or("its zero-point is computed in the graph".to_owned());
    input(node, slot).map(known).transpose()
}

fn descriptor(
    tensors: &Tensors,
    encoding: Encoding,
    source: &str,
    codes: ParameterId,
    granularity: Granularity,
    scale: ParameterId,
    zero_point: Option<ParameterId>,
) -> Result<QuantDescriptor, String> {
    let parameter = &tensors.parameters[codes.index()];
    let groups = granularity.groups(&parameter.shape).ok_or("its scales do not fit its shape")?.count();
    if let Some(zero_point) = zero_point {
        let zero_points = tensors.parameters[zero_point.index()].shape.elements();
        if zero_points != groups && zero_points != 1 {
            return Err(format!("it has {zero_points} zero-points for {groups} scales"));
        }
    }
    let scale = operand(tensors, scale);
    let zero_point = zero_point.map(|zero_point| operand(tensors, zero_point));
    QuantDescriptor::of_stored(encoding, source, parameter.dtype, granularity, scale, zero_point)
        .ok_or_else(|| format!("{} cannot hold codes", parameter.dtype))
}

fn per_axis(shape: &Shape, scales: &Shape, axis: Option<i64>) -> Result<Granularity, String> {
    let Some(axis) = axis else {
        return Err(format!("it has {} scales and no axis", scales.elements()));
    };
    let index = resolve_axis(shape, axis)?;
    let channels = shape.dims()[index];
    if scales.rank() != 1 || scales.elements() != channels {
        return Err(format!(
            "its scales of shape {scales} do not fit the {channels} channels of axis {axis}"
        ));
    }
    Ok(Granularity::Axis(index))
}

fn per_block(shape: &Shape, scales: &Shape, axis: i64, block: i64) -> Result<Granularity, String> {
    let index = resolve_axis(shape, axis)?;
    let block = u64::try_from(block).map_err(|_| format!("its block size is {block}"))?;
    let mut sizes = vec![1; shape.rank()];
    sizes[index] = block;
    let blocks: Vec<u64> = shape.dims().iter().zip(&sizes).map(|(dim, size)| dim.div_ceil(*size)).collect();
    if scales.dims() != blocks {
        return Err(format!("its scales of shape {scales} do not fit blocks of {block} along axis {axis}"));
    }
    Ok(Granularity::Block(sizes))
}

fn resolve_axis(shape: &Shape, axis: i64) -> Result<usize, String> {
    let rank = shape.rank() as i64;
    let index = if axis < 0 { axis.saturating_add(rank) } else { axis };
    match usize::try_from(index) {
        Ok(index) if index < shape.rank() => Ok(index),
        _ => Err(format!("its scales are for axis {axis}, its shape is {shape}")),
    }
}

/// A number that is already known, or the parameter to read it from.
pub(super) fn operand(tensors: &Tensors, id: ParameterId) -> Operand {
    if tensors.parameters[id.index()].shape.elements() != 1 {
        return Operand::Parameter(id);
    }
    match tensors.scalar(id) {
        Ok(value) => Operand::One { value, parameter: Some(id) },
        Err(_) => Operand::Parameter(id),
    }
}

/// Lists the activations that Q/DQ pairs quantize with the layers that make them.
pub(super) fn describe_activations<'a>(graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    for node in graph.hidden_nodes() {
        let Some(data) = input(node, 0) else { continue };
        let origin = graph.origin(data);
        let Source::Value(value) = origin.source else { continue };
        let tensor = if is_quantize(node) { data } else { node.output.first().map_or(data, String::as_str) };
        // Else a quantizer before this one has said it already.
        if let (false, Some(maker)) = (origin.quantized, layers.maker(value)) {
            let stored = int_attribute(node, "output_dtype").filter(|_| is_quantize(node));
            let default =
                stored.and_then(|code| i32::try_from(code).ok()).filter(|&code| code != 0).map(dtype_of);
            add_activation(graph, layers, tensors, maker, (value, tensor), node, (1, 2), default);
        }
    }
}

/// Adds the activation `value`, which is called `tensor` as a float, and whose scale and zero-point are inputs of `node`.
#[expect(clippy::too_many_arguments, reason = "the context, and where to look in the node")]
fn add_activation<'a>(
    graph: &Graph<'a>,
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
    maker: LayerId,
    (value, tensor): (&'a str, &str),
    node: &'a NodeProto,
    (scale_slot, zero_point_slot): (usize, usize),
    stored_as: Option<DType>,
) {
    let Some(scale) = constant_input(graph, node, scale_slot) else { return };
    let Ok(zero_point) = zero_point_input(graph, node, zero_point_slot) else { return };
    let zero_point_dtype = zero_point.map(|id| tensors.parameters[id.index()].dtype);
    claim_input(graph, layers, tensors, maker, node, scale_slot, Role::Scale);
    claim_input(graph, layers, tensors, maker, node, zero_point_slot, Role::ZeroPoint);
    if layers.described.insert(value) {
        layers.list[maker.index()].activations.push(Activation {
            tensor: tensor.to_owned(),
            dtype: stored_as.or(zero_point_dtype).unwrap_or(DType::U8),
            scale: operand(tensors, scale),
            zero_point: zero_point.map(|id| operand(tensors, id)),
        });
    }
}

/// An operator that computes on codes: where its operands, its bias and its output have their scales.
struct CodeOperator {
    op: &'static str,
    /// Slots of codes, scale and zero-point, and the axis of the scales where there are many.
    operands: [(usize, usize, usize, Channels); 2],
    /// The slot of a bias whose scale is the product of those of the operands.
    bias: Option<usize>,
    /// Slots of the scale and the zero-point of the output.
    output: (usize, usize),
}

#[derive(Clone, Copy)]
enum Channels {
    First,
    Last,
    /// Rows or columns, as the attribute says.
    LastUnless(&'static str),
}

const CODE_OPERATORS: &[CodeOperator] = &[
    CodeOperator {
        op: "QLinearConv",
        operands: [(0, 1, 2, Channels::First), (3, 4, 5, Channels::First)],
        bias: Some(8),
        output: (6, 7),
    },
    CodeOperator {
        op: "QLinearMatMul",
        operands: [(0, 1, 2, Channels::First), (3, 4, 5, Channels::Last)],
        bias: None,
        output: (6, 7),
    },
    CodeOperator {
        op: "QGemm",
        operands: [(0, 1, 2, Channels::First), (3, 4, 5, Channels::LastUnless("transB"))],
        bias: Some(6),
        output: (7, 8),
    },
];

/// Describes the operands of operators that compute on codes.
pub(super) fn describe_code_operators<'a>(graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    for node in graph.nodes {
        let Some(operator) = CODE_OPERATORS.iter().find(|operator| operator.op == node.op_type) else {
            continue;
        };
        let Some(layer) = node.output.first().and_then(|output| layers.maker(output)) else { continue };
        for (codes, scale, zero_point, channels) in operator.operands {
            let Some(origin) = input(node, codes).map(|name| graph.origin(name).source) else { continue };
            match origin {
                Source::Value(value) => {
                    if let Some(maker) = layers.maker(value) {
                        let slots = (scale, zero_point);
                        add_activation(graph, layers, tensors, maker, (value, value), node, slots, None);
                    }
                }
                Source::Parameter(parameter) => {
                    describe_operand(graph, tensors, node, parameter, (scale, zero_point), channels);
                }
            }
            claim_input(graph, layers, tensors, layer, node, scale, Role::Scale);
            claim_input(graph, layers, tensors, layer, node, zero_point, Role::ZeroPoint);
        }
        if let Some(bias) = operator.bias.and_then(|slot| constant_input(graph, node, slot)) {
            describe_bias(graph, tensors, node, operator, bias);
        }
        if let Some(output) = node.output.first() {
            add_activation(graph, layers, tensors, layer, (output, output), node, operator.output, None);
        }
    }
}

fn describe_operand(
    graph: &Graph<'_>,
    tensors: &mut Tensors,
    node: &NodeProto,
    codes: ParameterId,
    (scale, zero_point): (usize, usize),
    channels: Channels,
) {
    if tensors.parameters[codes.index()].quantization.is_some() {
        return;
    }
    let described = constant_input(graph, node, scale).ok_or("its scale is computed in the graph".to_owned());
    let described = described.and_then(|scale| {
        let shape = &tensors.parameters[codes.index()].shape;
        let scales = &tensors.parameters[scale.index()].shape;
        let granularity = match scales.elements() {
            1 => Granularity::Tensor,
            _ => per_axis(shape, scales, Some(channels.axis(node)))?,
        };
        let zero_point = zero_point_input(graph, node, zero_point)?;
        descriptor(tensors, Encoding::QOperator, &node.op_type, codes, granularity, scale, zero_point)
    });
    match described {
        Ok(descriptor) => tensors.parameters[codes.index()].quantization = Some(descriptor),
        Err(message) => tensors.warn_undescribed(codes, message),
    }
}

/// A bias is added to sums of products of codes: its scale is the product of theirs.
fn describe_bias(
    graph: &Graph<'_>,
    tensors: &mut Tensors,
    node: &NodeProto,
    operator: &CodeOperator,
    bias: ParameterId,
) {
    let parameter = &tensors.parameters[bias.index()];
    // QGemm takes a float bias when its output is float.
    if parameter.quantization.is_some() || parameter.dtype != DType::I32 {
        return;
    }
    let scales: Option<Vec<ParameterId>> =
        operator.operands.iter().map(|(_, scale, _, _)| constant_input(graph, node, *scale)).collect();
    let Some(scales) = scales else {
        tensors.warn_undescribed(bias, "its scale is computed in the graph".to_owned());
        return;
    };
    let counts = || scales.iter().map(|id| tensors.parameters[id.index()].shape.elements());
    let channels = counts().max().unwrap_or(1);
    let fits = counts().all(|count| count == 1 || count == channels);
    let granularity = match parameter.shape.dims().split_last() {
        _ if channels == 1 && fits => Granularity::Tensor,
        Some((&last, outer)) if last == channels && fits => Granularity::Axis(outer.len()),
        _ => {
            let message = format!("{channels} scales do not fit its shape {}", parameter.shape);
            tensors.warn_undescribed(bias, message);
            return;
        }
    };
    let mut factors: Vec<Operand> = scales.into_iter().map(|id| operand(tensors, id)).collect();
    if let Some(alpha) = float_attribute(node, "alpha").filter(|&alpha| alpha != 1.0) {
        factors.push(Operand::One { value: alpha, parameter: None });
    }
    let scale = Operand::Product(factors);
    tensors.parameters[bias.index()].quantization =
        QuantDescriptor::of_stored(Encoding::QOperator, &node.op_type, DType::I32, granularity, scale, None);
}

impl Channels {
    fn axis(self, node: &NodeProto) -> i64 {
        match self {
            Channels::First => 0,
            Channels::Last => -1,
            Channels::LastUnless(attribute) if int_attribute(node, attribute).unwrap_or(0) != 0 => 0,
            Channels::LastUnless(_) => -1,
        }
    }
}

pub(super) fn constant_input(graph: &Graph<'_>, node: &NodeProto, slot: usize) -> Option<ParameterId> {
    graph.parameter(input(node, slot)?)
}

fn claim_input<'a>(
    graph: &Graph<'a>,
    layers: &mut Layers<'a>,
    tensors: &mut Tensors,
    layer: LayerId,
    node: &'a NodeProto,
    slot: usize,
    role: Role,
) {
    if let Some(id) = constant_input(graph, node, slot) {
        // The layer itself may have claimed it a moment ago, not knowing what it is for.
        let entry = &mut tensors.parameters[id.index()];
        if entry.layer == Some(layer) {
            entry.role = role;
        }
        layers.claim(tensors, layer, id, role);
    }
}

pub(super) fn int_attribute(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

fn float_attribute(node: &NodeProto, name: &str) -> Option<f64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| f64::from(attribute.f))
}
