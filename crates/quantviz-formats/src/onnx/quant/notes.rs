//! What descriptions do not say: types of zero-points, types that are too new, what is reshaped without a zero-point.

use std::collections::HashSet;

use onnx_ir::NodeProto;
use quantviz_core::{DType, Note};

use super::code_operators::operand_slots;
use super::linear::{code_type, quantized_type, said_type};
use super::{Constants, gathered_from};
use crate::onnx::graph::{Graph, Source, input, is_quantize};
use crate::onnx::tensor::Tensors;

/// As many nodes between codes and their DequantizeLinear are no quantization.
const MOST_NODES: usize = 64;

/// Takes notes of all nodes that quantize, dequantize or compute on codes.
pub(in crate::onnx) fn take(graph: &Graph<'_>, tensors: &Tensors, opset: Option<i64>) -> Vec<Note> {
    let mut taker =
        Taker { constants: Constants { graph, tensors }, opset, known: HashSet::new(), notes: Vec::new() };
    for node in graph.nodes {
        match node.op_type.as_str() {
            "QuantizeLinear" | "DequantizeLinear" => taker.linear(node),
            "Reshape" => taker.reshape(node),
            _ => taker.operands(node),
        }
    }
    taker.notes
}

struct Taker<'a> {
    constants: Constants<'a>,
    opset: Option<i64>,
    /// Tensors and what was noted of them: a quantizer and its inverse say the same.
    known: HashSet<(Kind, String)>,
    notes: Vec<Note>,
}

#[derive(PartialEq, Eq, Hash)]
enum Kind {
    ZeroPointType,
    TooNew,
    Reshaped,
}

impl Taker<'_> {
    fn linear(&mut self, node: &NodeProto) {
        let Some((tensor, codes)) = self.codes(node) else { return };
        if let Some(zero_points) = self.zero_point_type(node, 2) {
            self.compare(&tensor, codes, zero_points);
        }
        let since = first_version(codes);
        if let (Some(version), "" | "ai.onnx") = (self.opset, node.domain.as_str())
            && version < since
            && self.known.insert((Kind::TooNew, tensor.clone()))
        {
            let operator = node.op_type.clone();
            self.notes.push(Note::CodesTooNew { tensor, codes, operator, version, since });
        }
    }

    /// What a node quantizes or dequantizes, and the type of its codes; `None` where the graph does not say it.
    fn codes(&self, node: &NodeProto) -> Option<(String, DType)> {
        let Constants { graph, tensors } = &self.constants;
        let data = input(node, 0)?;
        let origin = graph.origin(data);
        let name = match origin.source {
            Source::Parameter(id) => tensors.parameters[id.index()].name.clone(),
            Source::Value(value) => value.to_owned(),
        };
        if is_quantize(node) {
            // Without a type of its own it makes that of its zero-points.
            let codes = quantized_type(node, &self.constants);
            return Some((name, codes));
        }
        let mut path: Vec<&NodeProto> = graph.path(origin).take(MOST_NODES).collect();
        if path.len() == MOST_NODES {
            return None;
        }
        path.reverse();
        if let Some(quantizer) = path.iter().rev().find(|node| is_quantize(node)) {
            return Some((
                name,
                said_type(quantizer).unwrap_or_else(|| quantized_type(quantizer, &self.constants)),
            ));
        }
        match origin.source {
            Source::Parameter(id) => Some((name, code_type(&path, tensors.parameters[id.index()].dtype))),
            Source::Value(value) => {
                let id = gathered_from(graph, value)?;
                let parameter = &tensors.parameters[id.index()];
                Some((parameter.name.clone(), parameter.dtype))
            }
        }
    }

    fn zero_point_type(&self, node: &NodeProto, slot: usize) -> Option<DType> {
        Some(self.constants.zero_points(input(node, slot)?).ok()?.dtype)
    }

    fn compare(&mut self, tensor: &str, codes: DType, zero_points: DType) {
        if codes != zero_points && self.known.insert((Kind::ZeroPointType, tensor.to_owned())) {
            self.notes.push(Note::ZeroPointType { tensor: tensor.to_owned(), codes, zero_points });
        }
    }

    /// Constant operands of an operator that computes on codes.
    fn operands(&mut self, node: &NodeProto) {
        for (slot, _, zero_point) in operand_slots(node) {
            let origin = input(node, slot).map(|name| self.constants.graph.origin(name));
            let Some((Source::Parameter(id), None)) = origin.map(|it| (it.source, it.carrier)) else {
                continue;
            };
            if let Some(zero_points) = self.zero_point_type(node, zero_point) {
                let parameter = &self.constants.tensors.parameters[id.index()];
                let (name, codes) = (parameter.name.clone(), parameter.dtype);
                self.compare(&name, codes, zero_points);
            }
        }
    }

    fn reshape(&mut self, node: &NodeProto) {
        let maker = input(node, 0).and_then(|name| self.constants.graph.maker(name));
        let Some(dequantizer) = maker.filter(|it| it.op_type == "DequantizeLinear" && input(it, 2).is_none())
        else {
            return;
        };
        if let Some((tensor, codes)) = self.codes(dequantizer)
            && self.known.insert((Kind::Reshaped, tensor.clone()))
        {
            self.notes.push(Note::ReshapedWithoutZeroPoint { tensor, codes });
        }
    }
}

/// The first version of ONNX's QuantizeLinear and DequantizeLinear that knows a type of codes.
fn first_version(codes: DType) -> i64 {
    match codes {
        DType::F8E4M3Fn | DType::F8E4M3FnUz | DType::F8E5M2 | DType::F8E5M2FnUz => 19,
        DType::I4 | DType::U4 | DType::I16 | DType::U16 => 21,
        DType::F4E2M1 => 23,
        DType::I2 | DType::U2 => 25,
        DType::F6E2M3 | DType::F6E3M2 => 28,
        _ => 10,
    }
}
