//! The axis of a float weight along which the outputs of its layer lie: a scale per channel goes along it.

use onnx_ir::NodeProto;
use quantviz_core::{DTypeClass, Granularity, ParameterId};

use super::{Constants, axis_at, int_attribute};
use crate::onnx::graph::{Graph, input};
use crate::onnx::tensor::Tensors;

/// Where an operator has a weight, and which of its axes makes outputs.
struct WeightSlot {
    op: &'static str,
    slot: usize,
    axis: Axis,
}

/// Negative axes count from the last.
enum Axis {
    At(i64),
    /// This one, or the other of a matrix if the attribute says that it is transposed.
    Of(i64, &'static str),
    /// The attribute says it; the first without.
    Named(&'static str),
}

const fn weight(op: &'static str, slot: usize, axis: Axis) -> WeightSlot {
    WeightSlot { op, slot, axis }
}

const SLOTS: &[WeightSlot] = &[
    weight("Conv", 1, Axis::At(0)),
    weight("FusedConv", 1, Axis::At(0)),
    weight("ConvTranspose", 1, Axis::At(1)),
    weight("MatMul", 0, Axis::At(-2)),
    weight("MatMul", 1, Axis::At(-1)),
    weight("FusedMatMul", 0, Axis::Of(-2, "transA")),
    weight("FusedMatMul", 1, Axis::Of(-1, "transB")),
    weight("Gemm", 0, Axis::Of(-2, "transA")),
    weight("Gemm", 1, Axis::Of(-1, "transB")),
    weight("FusedGemm", 0, Axis::Of(-2, "transA")),
    weight("FusedGemm", 1, Axis::Of(-1, "transB")),
    // A row for each index.
    weight("Gather", 0, Axis::Named("axis")),
];

/// Notes the axis of each weight, as the first node that computes with it has it.
pub(super) fn find(graph: &Graph<'_>, tensors: &mut Tensors) {
    for node in graph.layer_nodes() {
        for slot in SLOTS.iter().filter(|slot| slot.op == node.op_type) {
            let Some(id) = input(node, slot.slot).and_then(|name| graph.parameter(name)) else { continue };
            let parameter = &tensors.parameters[id.index()];
            if parameter.output_axis.is_none() && parameter.dtype.class() == DTypeClass::Float {
                tensors.parameters[id.index()].output_axis = stored_axis(graph, tensors, node, slot, id);
            }
        }
    }
}

/// The axis as the stored elements have it, which may be arranged anew on their way.
fn stored_axis(
    graph: &Graph<'_>,
    tensors: &Tensors,
    node: &NodeProto,
    slot: &WeightSlot,
    id: ParameterId,
) -> Option<usize> {
    let shape = &tensors.parameters[id.index()].shape;
    let (arrangement, arranged) = Constants { graph, tensors }.arrangement(node, slot.slot, shape).ok()?;
    let flag = |name| int_attribute(node, name).unwrap_or(0);
    let axis = match slot.axis {
        Axis::At(axis) => axis,
        Axis::Of(axis, transposed) if flag(transposed) != 0 => -3 - axis,
        Axis::Of(axis, _) => axis,
        Axis::Named(name) => flag(name),
    };
    match arrangement.back(Granularity::Axis(axis_at(axis, arranged.rank())?)).ok()? {
        Granularity::Axis(axis) => Some(axis),
        // A single output may be on any axis of that length.
        Granularity::Tensor => shape.dims().iter().position(|&dim| dim == 1),
        _ => None,
    }
}
