//! Scales that the graph computes from constants.

use onnx_ir::NodeProto;
use quantviz_core::{DType, DTypeClass, Granularity, Operand, ParameterId, Shape};

use super::arrange::Arrangement;
use super::{Constants, Reason, int_attribute, operand};
use crate::onnx::graph::{Graph, input, is_dequantize};
use crate::onnx::tensor::dtype_of;

/// Scales, or zero-points, that are known from the file.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    pub(super) operand: Operand,
    /// What they are multiplied with, where they are quantized themselves, and which of them share it.
    pub(super) outer: Option<(Granularity, Operand)>,
    pub(super) shape: Shape,
    pub(super) dtype: DType,
}

/// Nodes that are looked at for one scale.
const MOST_NODES: usize = 64;

impl Constants<'_> {
    /// The scales that a value is.
    pub(super) fn scales(&self, name: &str) -> Result<Scales, Reason> {
        let unknown = |reason: Option<String>| match reason {
            Some(reason) => reason.into(),
            None => self.no_constant("its scale", name),
        };
        self.fold(name, &mut MOST_NODES.clone()).map_err(unknown)
    }

    /// The zero-points that a value is.
    pub(super) fn zero_points(&self, name: &str) -> Result<Scales, Reason> {
        let computed = || self.no_constant("its zero-point", name);
        let folded = self.fold(name, &mut MOST_NODES.clone());
        folded.ok().filter(|folded| folded.outer.is_none()).ok_or_else(computed)
    }

    fn no_constant(&self, what: &str, name: &str) -> Reason {
        // Only of what is not there, the name helps to find out why.
        let named = if self.graph.is_nowhere(name) { format!("{what} {name:?}") } else { what.to_owned() };
        Reason::no_constant(self.graph, &named, name)
    }

    /// An error without a text says that the value is more than scales.
    fn fold(&self, name: &str, nodes_left: &mut usize) -> Result<Scales, Option<String>> {
        *nodes_left = nodes_left.checked_sub(1).ok_or(None)?;
        if let Some(id) = self.graph.constant(name) {
            return Ok(self.of_parameter(id));
        }
        let node = self.graph.maker(name).ok_or(None)?;
        let mut operand = |slot| self.fold(input(node, slot).ok_or(None)?, nodes_left);
        match node.op_type.as_str() {
            "Identity" => operand(0),
            "Cast" => cast(operand(0)?, dtype_of(int_attribute(node, "to").unwrap_or(0) as i32)),
            "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Transpose" => self.arranged(node, operand(0)?),
            "Mul" => times(operand(0)?, operand(1)?),
            "Div" => {
                let (dividend, divisor) = (operand(0)?, operand(1)?);
                let Operand::One { value, .. } = divisor.operand else { return Err(None) };
                times(
                    dividend,
                    Scales { operand: Operand::One { value: 1.0 / value, parameter: None }, ..divisor },
                )
            }
            _ if is_dequantize(node) => self.quantized(node),
            _ => Err(None),
        }
    }

    /// The scales that a parameter is.
    pub(super) fn of_parameter(&self, id: ParameterId) -> Scales {
        let parameter = &self.tensors.parameters[id.index()];
        Scales {
            operand: operand(self.tensors, id),
            outer: None,
            shape: parameter.shape.clone(),
            dtype: parameter.dtype,
        }
    }

    fn arranged(&self, node: &NodeProto, scales: Scales) -> Result<Scales, Option<String>> {
        let arrangement = Arrangement::of(&scales.shape, [node], self)?;
        let in_order =
            node.op_type != "Transpose" || scales.shape.dims().iter().filter(|&&dim| dim > 1).count() <= 1;
        let simple_outer =
            scales.outer.as_ref().is_none_or(|(granularity, _)| *granularity == Granularity::Tensor);
        let shape = Shape::new(arrangement.dims).map_err(|_| None)?;
        if in_order && simple_outer { Ok(Scales { shape, ..scales }) } else { Err(None) }
    }

    /// Scales that are codes with scales of their own.
    fn quantized(&self, node: &NodeProto) -> Result<Scales, Option<String>> {
        let id = input(node, 0).and_then(|name| self.graph.constant(name)).ok_or(None)?;
        let parameter = &self.tensors.parameters[id.index()];
        let quantization = parameter.quantization.as_ref().ok_or(None)?;
        let is_plain = quantization.zero_point.is_none() && quantization.outer_scale.is_none();
        if !is_plain {
            return Err(Some("its scales have zero-points or scales of two levels".to_owned()));
        }
        Ok(Scales {
            // Never read at once: a single code is not yet a number.
            operand: Operand::Parameter(id),
            outer: Some((quantization.granularity.clone(), quantization.scale.clone())),
            shape: parameter.shape.clone(),
            dtype: DType::F32,
        })
    }
}

/// The parameters that a scale is computed from.
pub(super) fn leaves(graph: &Graph<'_>, name: &str) -> Vec<ParameterId> {
    let (mut found, mut names) = (Vec::new(), vec![name]);
    for _ in 0..MOST_NODES {
        let Some(name) = names.pop() else { break };
        if let Some(id) = graph.constant(name) {
            found.push(id);
        } else if let Some(node) = graph.maker(name).filter(|node| graph.is_constant(node)) {
            names.extend(node.input.iter().rev().map(String::as_str));
        }
    }
    found
}

/// Exact casts only: what a narrower type rounds, nobody has computed yet.
fn cast(scales: Scales, to: DType) -> Result<Scales, Option<String>> {
    let is_float = |dtype: DType| dtype.class() == DTypeClass::Float;
    let fits = match (scales.dtype, to) {
        (from, to) if from == to => true,
        (from, DType::F32 | DType::F64) => from.bits() <= Some(16) || (from, to) == (DType::F32, DType::F64),
        // Zero-points change their type.
        (from, to) => !is_float(from) && !is_float(to),
    };
    if fits { Ok(Scales { dtype: to, ..scales }) } else { Err(None) }
}

fn times(a: Scales, b: Scales) -> Result<Scales, Option<String>> {
    let (many, one) = if b.shape.elements() == 1 { (a, b) } else { (b, a) };
    if (one.shape.elements() != 1 && one.shape != many.shape) || one.outer.is_some() {
        return Err(None);
    }
    let operand = match (many.operand, one.operand) {
        (Operand::Product(mut factors), Operand::Product(more)) => {
            factors.extend(more);
            Operand::Product(factors)
        }
        (Operand::Product(mut factors), factor) | (factor, Operand::Product(mut factors)) => {
            factors.push(factor);
            Operand::Product(factors)
        }
        (a, b) => Operand::Product(vec![a, b]),
    };
    Ok(Scales { operand, ..many })
}
