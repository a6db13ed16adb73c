//! QONNX's Quant and BipolarQuant: a quantizer and its inverse in one node, around weights that are stored as floats.

use onnx_ir::NodeProto;
use quantviz_core::{DType, Encoding, Parameter, QuantDescriptor, Scheme};

use super::{Constants, Reason, broadcast, int_attribute};
use crate::onnx::graph::{Graph, Source, input, is_fake_quantize};
use crate::onnx::tensor::Tensors;

/// Describes every float parameter that a Quant rounds.
pub(super) fn describe(graph: &Graph<'_>, tensors: &mut Tensors) {
    for node in graph.hidden_nodes().filter(|node| is_fake_quantize(node)) {
        let Some(origin) = input(node, 0).map(|name| graph.origin(name)) else { continue };
        let Source::Parameter(id) = origin.source else { continue };
        let parameter = &tensors.parameters[id.index()];
        if parameter.quantization.is_some() {
            continue;
        }
        let constants = Constants { graph, tensors };
        let described = match origin.carrier {
            None if is_bipolar(node) => describe_signs(node, parameter, &constants),
            None => describe_weight(node, parameter, &constants),
            Some(_) => Err("it is rearranged before it is quantized".into()),
        };
        match described {
            Ok(descriptor) => tensors.parameters[id.index()].quantization = Some(descriptor),
            Err(message) => tensors.warn_undescribed(id, message),
        }
    }
}

/// `Quant(x, scale, zero_point, bits)`
fn describe_weight(
    node: &NodeProto,
    parameter: &Parameter,
    constants: &Constants<'_>,
) -> Result<QuantDescriptor, Reason> {
    let mode = node.attribute.iter().find(|attribute| attribute.name == "rounding_mode");
    if let Some(mode) = mode.filter(|mode| !mode.s.eq_ignore_ascii_case(b"ROUND")) {
        return Err(format!("rounding {} is not supported", String::from_utf8_lossy(&mode.s)).into());
    }
    let scales = constants.scales(input(node, 1).unwrap_or_default())?;
    let zero_points = input(node, 2).map(|name| constants.zero_points(name)).transpose()?;
    let (dtype, bits) = code_type(node, constants).ok_or("its number of bits is not known")?;

    let granularity = broadcast(&parameter.shape, &scales.shape)?;
    if let Some(zero_points) = zero_points.as_ref().filter(|it| it.shape.elements() != 1)
        && broadcast(&parameter.shape, &zero_points.shape)? != granularity
    {
        return Err(Reason::misfit("its zero-points are not shaped as its scales"));
    }
    let zero_point = zero_points.map(|it| it.operand);
    let mut descriptor = QuantDescriptor::of_stored(
        Encoding::Other,
        &node.op_type,
        dtype,
        granularity,
        scales.operand,
        zero_point,
    )
    .ok_or_else(|| format!("{dtype} cannot hold codes"))?;
    descriptor.bits = bits;
    descriptor.code_range = code_range(node, bits);
    descriptor.computed = Some(dtype);
    Ok(descriptor)
}

/// `BipolarQuant(x, scale)`: minus one or one, as the sign of a number is. Zero has that of one.
fn describe_signs(
    node: &NodeProto,
    parameter: &Parameter,
    constants: &Constants<'_>,
) -> Result<QuantDescriptor, Reason> {
    let scales = constants.scales(input(node, 1).unwrap_or_default())?;
    let granularity = broadcast(&parameter.shape, &scales.shape)?;
    let (encoding, operator) = (Encoding::Other, &node.op_type);
    let descriptor =
        QuantDescriptor::of_stored(encoding, operator, DType::U8, granularity, scales.operand, None);
    let mut descriptor = descriptor.ok_or("its codes have no type")?;
    descriptor.scheme = Scheme::Codebook;
    descriptor.table = Some(vec![-1.0, 1.0]);
    descriptor.bits = 1;
    descriptor.code_range = (0.0, 1.0);
    descriptor.computed = Some(DType::U8);
    Ok(descriptor)
}

fn is_bipolar(node: &NodeProto) -> bool {
    node.op_type == "BipolarQuant"
}

/// The type of the codes that an activation is rounded to, and their range.
pub(super) fn activation_codes(node: &NodeProto, constants: &Constants<'_>) -> Option<(DType, (f64, f64))> {
    if is_bipolar(node) {
        return Some((DType::I8, (-1.0, 1.0)));
    }
    code_type(node, constants).map(|(dtype, bits)| (dtype, code_range(node, bits)))
}

/// The codes of so many bits that a Quant has.
fn code_range(node: &NodeProto, bits: u32) -> (f64, f64) {
    let is_signed = int_attribute(node, "signed").unwrap_or(1) != 0;
    let is_narrow = int_attribute(node, "narrow").unwrap_or(0) != 0;
    let narrow = f64::from(u8::from(is_narrow));
    let levels = 2f64.powi(bits.cast_signed());
    if is_signed { (narrow - levels / 2.0, levels / 2.0 - 1.0) } else { (0.0, levels - 1.0 - narrow) }
}

/// The type that holds the codes of a Quant, and their bits.
fn code_type(node: &NodeProto, constants: &Constants<'_>) -> Option<(DType, u32)> {
    let bits = input(node, 3).and_then(|name| constants.number(name));
    let bits = bits.filter(|bits| bits.fract() == 0.0 && (1.0..=16.0).contains(bits))? as u32;
    let is_signed = int_attribute(node, "signed").unwrap_or(1) != 0;
    Some(match (is_signed, bits) {
        (true, ..=8) => (DType::I8, bits),
        (true, _) => (DType::I16, bits),
        (false, ..=8) => (DType::U8, bits),
        (false, _) => (DType::U16, bits),
    })
}
