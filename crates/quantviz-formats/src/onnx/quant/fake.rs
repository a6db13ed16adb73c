//! QONNX's Quant: a quantizer and its inverse in one node, around weights that are stored as floats.

use onnx_ir::NodeProto;
use quantviz_core::{DType, Encoding, Granularity, Parameter, QuantDescriptor, Shape};

use super::{Constants, int_attribute};
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
        let described = match origin.carrier {
            None => describe_weight(node, parameter, &Constants { graph, tensors }),
            Some(_) => Err("it is rearranged before it is quantized".to_owned()),
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
) -> Result<QuantDescriptor, String> {
    if node.op_type == "BipolarQuant" {
        return Err("BipolarQuant is not supported".into());
    }
    let mode = node.attribute.iter().find(|attribute| attribute.name == "rounding_mode");
    if let Some(mode) = mode.filter(|mode| !mode.s.eq_ignore_ascii_case(b"ROUND")) {
        return Err(format!("rounding {} is not supported", String::from_utf8_lossy(&mode.s)));
    }
    let scales = constants.scales(input(node, 1).unwrap_or_default())?;
    let zero_points = input(node, 2).map(|name| constants.zero_points(name)).transpose()?;
    let (dtype, bits) = code_type(node, constants).ok_or("its number of bits is not known")?;

    let granularity = broadcast(&parameter.shape, &scales.shape)?;
    if let Some(zero_points) = zero_points.as_ref().filter(|it| it.shape.elements() != 1)
        && broadcast(&parameter.shape, &zero_points.shape)? != granularity
    {
        return Err("its zero-points are not shaped as its scales".into());
    }
    let is_signed = int_attribute(node, "signed").unwrap_or(1) != 0;
    let is_narrow = int_attribute(node, "narrow").unwrap_or(0) != 0;
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
    let narrow = f64::from(u8::from(is_narrow));
    let levels = 2f64.powi(bits.cast_signed());
    descriptor.bits = bits;
    descriptor.code_range =
        if is_signed { (narrow - levels / 2.0, levels / 2.0 - 1.0) } else { (0.0, levels - 1.0 - narrow) };
    descriptor.computed = Some(dtype);
    Ok(descriptor)
}

/// The type that holds the codes of a Quant, and their bits.
pub(super) fn code_type(node: &NodeProto, constants: &Constants<'_>) -> Option<(DType, u32)> {
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

/// Which elements share a scale, where the shapes are made to fit as numpy does.
fn broadcast(shape: &Shape, scales: &Shape) -> Result<Granularity, String> {
    if scales.elements() == 1 {
        return Ok(Granularity::Tensor);
    }
    let misfit = || format!("its scales of shape {scales} do not fit its shape {shape}");
    let missing = shape.rank().checked_sub(scales.rank()).ok_or_else(misfit)?;
    let scale_dims = std::iter::repeat_n(1, missing).chain(scales.dims().iter().copied());
    let sizes = shape.dims().iter().zip(scale_dims).map(|(&dim, count)| match count {
        1 => Some(dim),
        count if count == dim => Some(1),
        _ => None,
    });
    let sizes: Vec<u64> = sizes.collect::<Option<_>>().ok_or_else(misfit)?;
    Ok(Granularity::Block(sizes))
}
