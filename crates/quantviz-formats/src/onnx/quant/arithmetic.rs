//! Codes that ordinary arithmetic makes real: `Mul(Sub(Cast(codes), zero point), scale)`.

use onnx_ir::NodeProto;
use quantviz_core::{
    DType, DTypeClass, Encoding, Granularity, Operand, Parameter, ParameterId, QuantDescriptor, Shape,
};

use super::arrange::Arrangement;
use super::scales::Scales;
use super::{Constants, Reason, broadcast, descriptor, int_attribute};
use crate::onnx::graph::{Graph, input, is_linear, is_product, is_shift};
use crate::onnx::tensor::{Tensors, dtype_of};

/// Describes every parameter of codes that is cast to real numbers and multiplied with a constant.
pub(super) fn describe(graph: &Graph<'_>, tensors: &mut Tensors) {
    let products: Vec<_> = graph.hidden_nodes().filter(|node| is_product(node)).collect();
    // The last product first: it knows of those before it.
    for product in products.into_iter().rev() {
        let Some(path) = Path::to(graph, tensors, product.output.first().map_or("", String::as_str)) else {
            continue;
        };
        let parameter = path.parameter;
        match path.describe(product, &Constants { graph, tensors }) {
            Ok(descriptor) => tensors.parameters[parameter.index()].quantization = Some(descriptor),
            Err(message) => tensors.warn_undescribed(parameter, message),
        }
    }
    for node in graph.layer_nodes().filter(|node| READERS.contains(&node.op_type.as_str())) {
        for name in &node.input {
            let Some(path) = Path::to(graph, tensors, name) else { continue };
            if tensors.parameters[path.parameter.index()].shape.rank() >= 2 {
                let message = "its codes are cast to numbers, and no constant scale follows".to_owned();
                tensors.warn_undescribed(path.parameter, message);
            }
        }
    }
}

/// Operators that compute with a weight, or would make one of codes with what the graph computes.
const READERS: &[&str] = &["Mul", "Div", "Sub", "MatMul", "Gemm", "Conv"];

/// As many nodes between codes and what is made of them are no quantization.
const MOST_NODES: usize = 64;

/// The way of codes to what is made of them.
struct Path<'a> {
    parameter: ParameterId,
    /// What lies between, from the parameter on.
    nodes: Vec<&'a NodeProto>,
}

impl<'a> Path<'a> {
    /// `None` where nothing is to be said of codes that are cast to real numbers.
    fn to(graph: &Graph<'a>, tensors: &Tensors, value: &str) -> Option<Self> {
        let (parameter, origin) = graph.parameter_at(value)?;
        let is_code = |it: &Parameter| {
            matches!(it.dtype.class(), DTypeClass::Signed | DTypeClass::Unsigned)
                && it.dtype.bits() <= Some(8)
                && it.shape.elements() > 1
        };
        if !is_code(&tensors.parameters[parameter.index()]) || tensors.is_settled(parameter) {
            return None;
        }
        let mut nodes: Vec<_> = graph.path(origin).take(MOST_NODES).collect();
        if nodes.len() == MOST_NODES {
            return None;
        }
        nodes.reverse();
        let is_cast = nodes.iter().any(|node| node.op_type == "Cast" && casts_to_float(node));
        let is_plain = !nodes.iter().any(|node| is_linear(node) || node.op_type == "Clip");
        (is_cast && is_plain).then_some(Path { parameter, nodes })
    }

    fn describe(&self, product: &NodeProto, constants: &Constants<'_>) -> Result<QuantDescriptor, Reason> {
        let parameter = &constants.tensors.parameters[self.parameter.index()];
        let mut steps = self.nodes.iter().enumerate().filter(|(_, node)| is_product(node) || is_shift(node));
        let shift = match (steps.next(), steps.next(), steps.next()) {
            (Some((_, node)), None, None) if is_product(node) => None,
            (Some((at, shift)), Some((_, node)), None) if is_shift(shift) && is_product(node) => Some(at),
            _ => return Err("it is scaled or shifted more than once".into()),
        };
        let scales = self.factor(product, constants)?;
        let before = self.nodes.len() - 1;
        let granularity = self.granularity(before, &parameter.shape, &scales.shape, constants)?;
        let zero_points = shift.map(|at| {
            let zero_points = constants.zero_points(input(self.nodes[at], 1).unwrap_or_default())?;
            let is_one = zero_points.shape.elements() == 1;
            let of_zero_points = self.granularity(at, &parameter.shape, &zero_points.shape, constants)?;
            match is_one || of_zero_points == granularity {
                true => Ok(zero_points),
                false => Err(Reason::misfit("its zero-points are not shaped as its scales")),
            }
        });
        let zero_points = zero_points.transpose()?;
        descriptor(parameter, Encoding::Other, &product.op_type, granularity, scales, zero_points)
    }

    /// What the product multiplies with.
    fn factor(&self, product: &NodeProto, constants: &Constants<'_>) -> Result<Scales, Reason> {
        let is_codes = |slot| {
            input(product, slot).and_then(|name| constants.graph.parameter(name)) == Some(self.parameter)
        };
        let scales = |slot| constants.scales(input(product, slot).unwrap_or_default());
        match (product.op_type.as_str(), is_codes(0), is_codes(1)) {
            ("Mul", true, false) => scales(1),
            ("Mul", false, true) => scales(0),
            ("Div", true, false) => match scales(1)? {
                Scales { operand: Operand::One { value, parameter }, shape, dtype, outer: None } => {
                    let operand = Operand::One { value: 1.0 / value, parameter };
                    Ok(Scales { operand, shape, dtype, outer: None })
                }
                _ => Err("it is divided by many numbers".into()),
            },
            (op, ..) => Err(format!("{op} does more than to scale it").into()),
        }
    }

    /// Which of the stored elements share one of the numbers that they meet behind so many nodes.
    fn granularity(
        &self,
        nodes: usize,
        stored: &Shape,
        numbers: &Shape,
        constants: &Constants<'_>,
    ) -> Result<Granularity, Reason> {
        let arrangement = Arrangement::of(stored, self.nodes[..nodes].iter().copied(), constants)?;
        let arranged = Shape::new(arrangement.dims.clone()).map_err(|error| error.message().to_owned())?;
        Ok(arrangement.back(broadcast(&arranged, numbers)?)?)
    }
}

fn casts_to_float(node: &NodeProto) -> bool {
    let to = int_attribute(node, "to").and_then(|to| i32::try_from(to).ok()).map_or(DType::Unknown, dtype_of);
    to.class() == DTypeClass::Float
}
