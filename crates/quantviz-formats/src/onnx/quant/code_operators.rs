//! Operators that compute on codes and are given scales and zero-points as inputs.

use onnx_ir::NodeProto;
use quantviz_core::{DType, Encoding, Granularity, Operand, ParameterId, QuantDescriptor, Role, Shape};

use super::activations::add_activation;
use super::integer::is_integer_product;
use super::{
    Constants, Reason, claim_input, constant_input, descriptor, float_attribute, gathered_from,
    int_attribute, per_axis,
};
use crate::onnx::graph::{Graph, Layers, Source, input};
use crate::onnx::tensor::Tensors;

/// An operator that computes on codes: where its operands, its bias and its output have their scales.
struct CodeOperator {
    op: &'static str,
    encoding: Encoding,
    operands: &'static [CodeOperand],
    /// The slot of a bias whose scale is the product of those of the operands.
    bias: Option<usize>,
    /// Slots of the scale and the zero-point of the output.
    output: Option<(usize, usize)>,
}

/// Slots of codes, scale and zero-point, and the axis of the scales where there are many.
#[derive(Clone, Copy)]
struct CodeOperand(usize, usize, usize, Channels);

#[derive(Clone, Copy)]
enum Channels {
    First,
    Last,
    /// Rows or columns, as the attribute says.
    LastUnless(&'static str),
    /// Those of the first axis, or of the first and the last.
    FirstAndLast,
}

use Channels::{First, FirstAndLast, Last, LastUnless};

const fn on_codes(
    op: &'static str,
    operands: &'static [CodeOperand],
    bias: Option<usize>,
    output: (usize, usize),
) -> CodeOperator {
    CodeOperator { op, encoding: Encoding::QOperator, operands, bias, output: Some(output) }
}

/// Its output is float.
const fn on_integers(op: &'static str, operands: &'static [CodeOperand]) -> CodeOperator {
    CodeOperator { op, encoding: Encoding::Integer, operands, bias: None, output: None }
}

const ONE: &[CodeOperand] = &[CodeOperand(0, 1, 2, First)];
const TWO: &[CodeOperand] = &[CodeOperand(0, 1, 2, First), CodeOperand(3, 4, 5, First)];

const CODE_OPERATORS: &[CodeOperator] = &[
    on_codes("QLinearConv", TWO, Some(8), (6, 7)),
    on_codes("QLinearMatMul", &[CodeOperand(0, 1, 2, First), CodeOperand(3, 4, 5, Last)], None, (6, 7)),
    on_codes(
        "QGemm",
        &[CodeOperand(0, 1, 2, First), CodeOperand(3, 4, 5, LastUnless("transB"))],
        Some(6),
        (7, 8),
    ),
    on_codes("QLinearAdd", TWO, None, (6, 7)),
    on_codes("QLinearMul", TWO, None, (6, 7)),
    on_codes("QLinearWhere", &[CodeOperand(1, 2, 3, First), CodeOperand(4, 5, 6, First)], None, (7, 8)),
    on_codes("QLinearSigmoid", ONE, None, (3, 4)),
    on_codes("QLinearLeakyRelu", ONE, None, (3, 4)),
    on_codes("QLinearSoftmax", ONE, None, (3, 4)),
    on_codes("QLinearReduceMean", ONE, None, (3, 4)),
    on_codes("QLinearAveragePool", ONE, None, (3, 4)),
    on_codes("QLinearGlobalAveragePool", ONE, None, (3, 4)),
    on_integers("MatMulIntegerToFloat", &[CodeOperand(0, 2, 4, First), CodeOperand(1, 3, 5, Last)]),
    on_integers("DynamicQuantizeMatMul", &[CodeOperand(1, 2, 3, Last)]),
    on_integers("QAttention", &[CodeOperand(0, 3, 6, First), CodeOperand(1, 4, 7, Last)]),
    on_integers(
        "DynamicQuantizeLSTM",
        &[CodeOperand(1, 8, 9, FirstAndLast), CodeOperand(2, 10, 11, FirstAndLast)],
    ),
    on_integers(
        "QEmbedLayerNormalization",
        &[
            CodeOperand(2, 8, 13, First),
            CodeOperand(3, 9, 14, First),
            CodeOperand(4, 10, 15, First),
            CodeOperand(5, 11, 16, First),
            CodeOperand(6, 12, 17, First),
        ],
    ),
];

/// `QLinearConcat(scale, zero_point, codes, scale, zero_point, codes, …)`: those of the output come first.
const CONCAT: &str = "QLinearConcat";

/// Slots of the codes that an operator computes on, of their scale and their zero-point, where it has such.
pub(super) fn operand_slots(node: &NodeProto) -> Vec<(usize, Option<usize>, usize)> {
    let slots = |&CodeOperand(codes, scale, zero_point, _): &CodeOperand| (codes, Some(scale), zero_point);
    match CODE_OPERATORS.iter().find(|operator| operator.op == node.op_type) {
        Some(operator) => operator.operands.iter().map(slots).collect(),
        None if node.op_type == CONCAT => concatenated(node).iter().map(slots).collect(),
        None if is_integer_product(node) => vec![(0, None, 2), (1, None, 3)],
        None => Vec::new(),
    }
}

fn concatenated(node: &NodeProto) -> Vec<CodeOperand> {
    let slots = (2..node.input.len()).step_by(3);
    slots.map(|slot| CodeOperand(slot, slot + 1, slot + 2, First)).collect()
}

/// Describes the operands of operators that compute on codes.
pub(super) fn describe<'a>(graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    for node in graph.nodes {
        let Some(layer) = node.output.first().and_then(|output| layers.maker(output)) else { continue };
        let operator = CODE_OPERATORS.iter().find(|operator| operator.op == node.op_type);
        let of_concat: Vec<CodeOperand>;
        let (operands, output) = match operator {
            Some(operator) => (operator.operands, operator.output),
            None if node.op_type == CONCAT => {
                of_concat = concatenated(node);
                (&of_concat[..], Some((0, 1)))
            }
            None => continue,
        };
        let encoding = operator.map_or(Encoding::QOperator, |operator| operator.encoding);
        for &CodeOperand(codes, scale, zero_point, channels) in operands {
            let Some(origin) = input(node, codes).map(|name| graph.origin(name).source) else { continue };
            match origin {
                Source::Value(value) => {
                    let slots = (scale, zero_point);
                    if let Some(maker) = layers.maker(value) {
                        add_activation(graph, layers, tensors, maker, (value, value), node, slots, None);
                    }
                    let is_for_all = || {
                        let constants = Constants { graph, tensors };
                        input(node, scale).is_some_and(|name| constants.number(name).is_some())
                    };
                    if let Some(parameter) = gathered_from(graph, value).filter(|_| is_for_all()) {
                        let slots = (codes, scale, zero_point);
                        describe_operand(graph, tensors, node, encoding, parameter, slots, channels);
                    }
                }
                Source::Parameter(parameter) => {
                    let slots = (codes, scale, zero_point);
                    describe_operand(graph, tensors, node, encoding, parameter, slots, channels);
                }
            }
            claim_input(graph, layers, tensors, layer, node, scale, Role::Scale);
            claim_input(graph, layers, tensors, layer, node, zero_point, Role::ZeroPoint);
        }
        if let Some((operator, slot)) = operator.and_then(|operator| Some((operator, operator.bias?)))
            && let Some(bias) = constant_input(graph, node, slot)
        {
            describe_bias(graph, tensors, node, operator, bias);
        }
        if let (Some(value), Some(slots)) = (node.output.first(), output) {
            add_activation(graph, layers, tensors, layer, (value, value), node, slots, None);
        }
    }
}

fn describe_operand(
    graph: &Graph<'_>,
    tensors: &mut Tensors,
    node: &NodeProto,
    encoding: Encoding,
    codes: ParameterId,
    (slot, scale, zero_point): (usize, usize, usize),
    channels: Channels,
) {
    let parameter = &tensors.parameters[codes.index()];
    if parameter.quantization.is_some() {
        return;
    }
    let constants = Constants { graph, tensors };
    let scales = constants.scales(input(node, scale).unwrap_or_default());
    let described = scales.and_then(|scales| {
        let granularity = match scales.shape.elements() {
            1 => Granularity::Tensor,
            _ => {
                let (arrangement, arranged) = constants.arrangement(node, slot, &parameter.shape)?;
                arrangement.back(channels.granularity(node, &arranged, &scales.shape)?)?
            }
        };
        let zero_points = input(node, zero_point).map(|name| constants.zero_points(name)).transpose()?;
        descriptor(parameter, encoding, &node.op_type, granularity, scales, zero_points)
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
    let constants = Constants { graph, tensors };
    let scales = operator
        .operands
        .iter()
        .map(|CodeOperand(_, scale, ..)| constants.scales(input(node, *scale).unwrap_or_default()));
    let scales = match scales.collect::<Result<Vec<_>, _>>() {
        Ok(scales) => scales,
        Err(message) => return tensors.warn_undescribed(bias, message),
    };
    let counts = || scales.iter().map(|scales| scales.shape.elements());
    let channels = counts().max().unwrap_or(1);
    let fits = counts().all(|count| count == 1 || count == channels);
    let granularity = match parameter.shape.dims().split_last() {
        _ if channels == 1 && fits => Granularity::Tensor,
        Some((&last, outer)) if last == channels && fits => Granularity::Axis(outer.len()),
        _ => {
            let message = format!("{channels} scales do not fit its shape {}", parameter.shape);
            return tensors.warn_undescribed(bias, Reason::misfit(message));
        }
    };
    let mut factors: Vec<Operand> = scales.into_iter().map(|scales| scales.operand).collect();
    if let Some(alpha) = float_attribute(node, "alpha").filter(|&alpha| alpha != 1.0) {
        factors.push(Operand::One { value: alpha, parameter: None });
    }
    let scale = Operand::Product(factors);
    tensors.parameters[bias.index()].quantization =
        QuantDescriptor::of_stored(Encoding::QOperator, &node.op_type, DType::I32, granularity, scale, None);
}

impl Channels {
    /// Which elements share one of many scales.
    fn granularity(self, node: &NodeProto, shape: &Shape, scales: &Shape) -> Result<Granularity, Reason> {
        let axis = match self {
            First => 0,
            Last => -1,
            LastUnless(attribute) if int_attribute(node, attribute).unwrap_or(0) != 0 => 0,
            LastUnless(_) => -1,
            FirstAndLast if scales.rank() < 2 => 0,
            FirstAndLast => {
                let mut sizes = shape.dims().to_vec();
                let ends = (sizes.first().copied(), sizes.last().copied());
                if sizes.len() < 2 || ends != (scales.dims().first().copied(), scales.dims().last().copied())
                {
                    let message = format!("its scales of shape {scales} do not fit its shape {shape}");
                    return Err(Reason::misfit(message));
                }
                let last = sizes.len() - 1;
                (sizes[0], sizes[last]) = (1, 1);
                return Ok(Granularity::Block(sizes));
            }
        };
        per_axis(shape, scales, Some(axis))
    }
}
