//! Q/DQ around weights: what DequantizeLinear makes of a parameter, and QuantizeLinear before it of a float one.

use onnx_ir::NodeProto;
use quantviz_core::{
    DType, DTypeClass, Encoding, Granularity, OuterScale, Parameter, ParameterId, QuantDescriptor, Shape,
};

use super::arrange::{Arrangement, sizes_of};
use super::scales::Scales;
use super::{Constants, Reason, int_attribute, resolve_axis, zero_points_fit};
use crate::onnx::graph::{Graph, Source, input, is_dequantize, is_product, is_quantize};
use crate::onnx::packed::Packed;
use crate::onnx::tensor::{Tensors, dtype_of};

/// Describes every parameter that a DequantizeLinear turns into real numbers.
pub(super) fn describe(graph: &Graph<'_>, tensors: &mut Tensors) {
    for node in graph.hidden_nodes().filter(|node| is_dequantize(node)) {
        let Some(path) = Path::to(graph, tensors, node) else { continue };
        let parameter = path.parameter;
        let constants = Constants { graph, tensors };
        match path.describe(node, &constants) {
            Ok(descriptor) => {
                if let Some(logical) = &descriptor.logical {
                    let packed = Packed::bytes_of(parameter, logical.elements(), DType::F8E4M3Fn);
                    tensors.pack_codes(parameter, packed);
                }
                tensors.parameters[parameter.index()].quantization = Some(descriptor);
            }
            Err(message) => tensors.warn_undescribed(parameter, message),
        }
    }
}

/// The way of a parameter to the DequantizeLinear that makes real numbers of it.
struct Path<'a> {
    parameter: ParameterId,
    /// What lies between, from the parameter on.
    nodes: Vec<&'a NodeProto>,
    /// The axis that a Gather picks slices along.
    gathered: Option<i64>,
}

impl<'a> Path<'a> {
    /// `None` where there is nothing left to say of the parameter: many nodes may be at the end of one long way.
    fn to(graph: &Graph<'a>, tensors: &Tensors, node: &'a NodeProto) -> Option<Self> {
        let mut origin = graph.origin(input(node, 0)?);
        let mut gathered = None;
        if let Source::Value(value) = origin.source {
            let gather = graph.maker(value).filter(|maker| maker.op_type == "Gather")?;
            // What lies behind a Gather would have to be looked at in the shape of the indices.
            if origin.carrier.is_some() {
                return None;
            }
            origin = graph.origin(input(gather, 0)?);
            gathered = Some(int_attribute(gather, "axis").unwrap_or(0));
        }
        let Source::Parameter(parameter) = origin.source else { return None };
        if tensors.is_settled(parameter) {
            return None;
        }
        let mut nodes: Vec<_> = graph.path(origin).collect();
        nodes.reverse();
        Some(Path { parameter, nodes, gathered })
    }

    fn describe(&self, node: &NodeProto, constants: &Constants<'_>) -> Result<QuantDescriptor, Reason> {
        if self.nodes.iter().any(|node| is_dequantize(node) || is_product(node)) {
            return Err("it is computed with before it is quantized".into());
        }
        let parameter = &constants.tensors.parameters[self.parameter.index()];
        let scales = constants.scales(input(node, 1).unwrap_or_default())?;
        let zero_points = input(node, 2).map(|name| constants.zero_points(name)).transpose()?;
        let quantizer = self.nodes.iter().copied().find(|node| is_quantize(node));
        let codes = match quantizer {
            Some(quantizer) => quantized_type(quantizer, constants),
            None => code_type(&self.nodes, parameter.dtype),
        };
        let is_fp8_in_bytes = node.op_type == "TRT_FP8DequantizeLinear" && codes == DType::U8;
        let codes = if is_fp8_in_bytes { DType::F8E4M3Fn } else { codes };
        let is_float = |dtype: DType| dtype.class() == DTypeClass::Float;
        if quantizer.is_some() && !(is_float(parameter.dtype) && parameter.dtype.bits() >= Some(16)) {
            return Err(format!("{} is quantized although it holds codes already", parameter.dtype).into());
        }

        let granularity = self.granularity(node, parameter, &scales.shape, constants)?;
        zero_points_fit(&granularity, &parameter.shape, zero_points.as_ref())?;
        let source = &quantizer.unwrap_or(node).op_type;
        let (scale, zero_point) = (scales.operand.clone(), zero_points.map(|it| it.operand));
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Qdq, source, codes, granularity, scale, zero_point);
        let mut descriptor = descriptor
            .filter(|descriptor| descriptor.bits <= 32)
            .filter(|_| quantizer.is_some() || !is_float(codes) || codes.bits() <= Some(8))
            .ok_or_else(|| format!("{codes} cannot hold codes"))?;
        descriptor.outer_scale = outer_scale(&scales, &descriptor.granularity, &parameter.shape)?;
        descriptor.logical = is_fp8_in_bytes.then(|| parameter.shape.clone());
        self.clip(&mut descriptor, constants);

        if let Some(quantizer) = quantizer {
            let same = |slot| match (input(quantizer, slot), input(node, slot)) {
                (Some(a), Some(b)) => a == b || constants.same_number(a, b),
                (a, b) => a == b,
            };
            let along = |node, name| int_attribute(node, name);
            let is_one = scales.shape.elements() == 1;
            let same_groups = is_one
                || ["axis", "block_size"].iter().all(|name| along(quantizer, name) == along(node, name));
            if !same(1) || !same(2) || !same_groups {
                return Err("it is quantized with one scale and dequantized with another".into());
            }
            descriptor.computed = Some(codes);
        }
        Ok(descriptor)
    }

    fn granularity(
        &self,
        node: &NodeProto,
        parameter: &Parameter,
        scales: &Shape,
        constants: &Constants<'_>,
    ) -> Result<Granularity, Reason> {
        if scales.elements() == 1 {
            return Ok(Granularity::Tensor);
        }
        let arrangement = Arrangement::of(&parameter.shape, self.nodes.iter().copied(), constants)?;
        let arranged = Shape::new(arrangement.dims.clone()).map_err(|error| error.message().to_owned())?;
        let default_axis = if node.domain == "com.microsoft" { None } else { Some(1) };
        let axis = int_attribute(node, "axis").or(default_axis);
        if let Some(gathered) = self.gathered {
            // Counted from the end, the axes behind the one that is picked from are the same.
            let is_behind = |axis: i64| axis < 0 && gathered >= 0 && arranged.rank() as i64 + axis > gathered;
            if !axis.is_some_and(is_behind) {
                return Err("its scales are for what is gathered from it".into());
            }
        }
        let granularity = match int_attribute(node, "block_size").unwrap_or(0) {
            0 => super::per_axis(&arranged, scales, axis)?,
            block => per_block(&arranged, scales, axis.unwrap_or(1), block)?,
        };
        Ok(arrangement.back(granularity)?)
    }

    /// Takes codes beyond the bounds of a Clip out of the range.
    fn clip(&self, descriptor: &mut QuantDescriptor, constants: &Constants<'_>) {
        let first = self.nodes.iter().position(|node| is_quantize(node)).map_or(0, |index| index + 1);
        for node in self.nodes[first..].iter().filter(|node| node.op_type == "Clip") {
            descriptor.code_range = constants.clipped(node, descriptor.code_range);
        }
    }
}

/// The type of codes that are stored as another: a Cast on their way may narrow them.
pub(super) fn code_type(path: &[&NodeProto], stored: DType) -> DType {
    let casts = path.iter().filter(|node| node.op_type == "Cast");
    let casts = casts.filter_map(|node| int_attribute(node, "to"));
    casts.map(|to| dtype_of(i32::try_from(to).unwrap_or(0))).next_back().unwrap_or(stored)
}

/// The type of codes that the operator's name or an attribute of QuantizeLinear says.
pub(super) fn said_type(node: &NodeProto) -> Option<DType> {
    match node.op_type.as_str() {
        "TRT_FP8QuantizeLinear" => Some(DType::F8E4M3Fn),
        "TRT_INT4QuantizeLinear" => Some(DType::I4),
        "TRT_INT8QuantizeLinear" => Some(DType::I8),
        _ => {
            let code = int_attribute(node, "output_dtype").and_then(|code| i32::try_from(code).ok());
            code.filter(|&code| code != 0).map(dtype_of)
        }
    }
}

/// The type that a QuantizeLinear makes.
pub(super) fn quantized_type(node: &NodeProto, constants: &Constants<'_>) -> DType {
    let said = said_type(node);
    let zero_points = || constants.zero_points(input(node, 2)?).ok();
    said.or_else(|| zero_points().map(|zero_points| zero_points.dtype)).unwrap_or(DType::U8)
}

/// Scales of scales, for the elements that the scales are for.
fn outer_scale(
    scales: &Scales,
    granularity: &Granularity,
    shape: &Shape,
) -> Result<Option<OuterScale>, Reason> {
    let Some((outer, scale)) = &scales.outer else { return Ok(None) };
    let granularity = match outer {
        Granularity::Tensor => Granularity::Tensor,
        outer if scales.shape.rank() == shape.rank() => {
            let blocks = sizes_of(granularity, shape.dims());
            let outer_blocks = sizes_of(outer, scales.shape.dims());
            let sizes = blocks.iter().zip(outer_blocks).zip(shape.dims());
            Granularity::Block(
                sizes.map(|((size, times), dim)| size.saturating_mul(times).min(*dim)).collect(),
            )
        }
        _ => return Err(Reason::misfit("the scales of its scales do not fit its shape")),
    };
    Ok(Some(OuterScale { granularity, scale: scale.clone() }))
}

fn per_block(shape: &Shape, scales: &Shape, axis: i64, block: i64) -> Result<Granularity, Reason> {
    let index = resolve_axis(shape, axis)?;
    let block = u64::try_from(block).map_err(|_| Reason::misfit(format!("its block size is {block}")))?;
    let mut sizes = vec![1; shape.rank()];
    sizes[index] = block;
    let blocks: Vec<u64> = shape.dims().iter().zip(&sizes).map(|(dim, size)| dim.div_ceil(*size)).collect();
    if scales.dims() != blocks {
        let message = format!("its scales of shape {scales} do not fit blocks of {block} along axis {axis}");
        return Err(Reason::misfit(message));
    }
    Ok(Granularity::Block(sizes))
}
