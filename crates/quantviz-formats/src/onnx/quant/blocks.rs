//! com.microsoft's operators on blocks of few bits: MatMulNBits, GatherBlockQuantized, MatMulBnb4.

use onnx_ir::NodeProto;
use quantviz_core::{
    DType, Encoding, Granularity, GroupIndex, Operand, ParameterId, QuantDescriptor, Scheme, Shape,
};

use super::{Constants, Reason, axis_at, constant_input, int_attribute};
use crate::bit_rows::BitRows;
use crate::onnx::graph::{Graph, input};
use crate::onnx::packed::Packed;
use crate::onnx::tensor::Tensors;

/// Why a parameter cannot be described.
type Described = Result<QuantDescriptor, Reason>;

struct BlockOperator {
    op: &'static str,
    /// The slot of the codes.
    codes: usize,
    describe: fn(&Graph<'_>, &mut Tensors, &NodeProto, ParameterId) -> Described,
}

const BLOCK_OPERATORS: &[BlockOperator] = &[
    BlockOperator { op: "MatMulNBits", codes: 1, describe: matmul_nbits },
    BlockOperator { op: "GatherBlockQuantized", codes: 0, describe: gather_block_quantized },
    BlockOperator { op: "MatMulBnb4", codes: 1, describe: matmul_bnb4 },
];

/// Describes the constants of operators on blocks.
pub(super) fn describe(graph: &Graph<'_>, tensors: &mut Tensors) {
    for node in graph.nodes {
        let Some(operator) = BLOCK_OPERATORS.iter().find(|operator| operator.op == node.op_type) else {
            continue;
        };
        let Some(codes) = constant_input(graph, node, operator.codes) else { continue };
        if tensors.parameters[codes.index()].quantization.is_some() {
            continue;
        }
        match (operator.describe)(graph, tensors, node, codes) {
            Ok(descriptor) => tensors.parameters[codes.index()].quantization = Some(descriptor),
            Err(message) => tensors.warn_undescribed(codes, message),
        }
    }
}

/// `MatMulNBits(A, B, scales, zero_points, g_idx)`: B is N rows of ⌈K / block_size⌉ blocks.
fn matmul_nbits(graph: &Graph<'_>, tensors: &mut Tensors, node: &NodeProto, codes: ParameterId) -> Described {
    if int_attribute(node, "weight_prepacked").unwrap_or(0) != 0 {
        return Err("its codes are packed for one kind of machine".into());
    }
    let [rows, row] = ["N", "K"].map(|name| positive(node, name, None));
    let (rows, row) = (rows?, row?);
    let bits = bits(node)?;
    let block = positive(node, "block_size", None)?;
    let blocks = row.div_ceil(block);
    let block_bytes = block.checked_mul(u64::from(bits)).ok_or("its blocks are too large")?.div_ceil(8);
    let layout = BitRows { bits: u64::from(bits), row, block, block_bytes, high_first: false };
    fits(tensors, codes, layout.byte_len(rows), "codes")?;
    let scale = scales(graph, tensors, node, 2, rows.checked_mul(blocks))?;

    let logical = Shape::new([rows, row]).map_err(|error| error.message().to_owned())?;
    let granularity = Granularity::Block(vec![1, block]);
    let mut descriptor =
        QuantDescriptor::of_packed(Encoding::MatMulNBits, &node.op_type, logical, bits, granularity, scale);
    descriptor.zero_point = Some(match optional(graph, node, 3)? {
        None => middle(bits),
        Some(id) if tensors.parameters[id.index()].dtype == DType::U8 => {
            let layout = BitRows::padded(blocks, bits.into());
            fits(tensors, id, layout.byte_len(rows), "zero-points")?;
            tensors.pack_zero_points(codes, Packed::numbers(id, layout));
            descriptor.packed_in.push(id);
            Operand::Packed
        }
        Some(_) => scales(graph, tensors, node, 3, rows.checked_mul(blocks))?,
    });
    descriptor.group_index =
        optional(graph, node, 4)?.map(|parameter| GroupIndex::Listed { axis: 1, parameter });
    tensors.pack_codes(codes, Packed::numbers(codes, layout));
    Ok(descriptor)
}

/// `GatherBlockQuantized(data, indices, scales, zero_points)`: codes of four bits as such, or packed into bytes.
fn gather_block_quantized(
    graph: &Graph<'_>,
    tensors: &mut Tensors,
    node: &NodeProto,
    codes: ParameterId,
) -> Described {
    let parameter = tensors.parameters[codes.index()].clone();
    let bits = bits(node)?;
    let packed = parameter.dtype == DType::U8 && bits < 8;
    let per_byte = u64::from(8 / bits);
    let mut dims = parameter.shape.dims().to_vec();
    let last = dims.last_mut().ok_or("it is a single number")?;
    *last = if packed { last.checked_mul(per_byte).ok_or("its rows are too long")? } else { *last };
    let logical = Shape::new(dims).map_err(|error| error.message().to_owned())?;

    let axis = axis(node, "quantize_axis", 1, logical.rank())?;
    let block = positive(node, "block_size", Some(128))?;
    let mut sizes = vec![1; logical.rank()];
    sizes[axis] = block;
    let granularity = Granularity::Block(sizes);
    let groups = granularity
        .groups(&logical)
        .ok_or_else(|| Reason::misfit("its blocks do not fit its shape"))?
        .count();
    let scale = scales(graph, tensors, node, 2, Some(groups))?;
    let zero_point = optional(graph, node, 3)?;
    if !packed {
        let zero_point = match zero_point {
            Some(_) => Some(scales(graph, tensors, node, 3, Some(groups))?),
            None if parameter.dtype == DType::U8 => Some(middle(bits)),
            None => None,
        };
        let source = &node.op_type;
        return QuantDescriptor::of_stored(
            Encoding::GatherBlock,
            source,
            parameter.dtype,
            granularity,
            scale,
            zero_point,
        )
        .ok_or_else(|| format!("{} cannot hold codes", parameter.dtype).into());
    }
    let row = logical.dims().last().copied().unwrap_or(1);
    let mut descriptor = QuantDescriptor::of_packed(
        Encoding::GatherBlock,
        &node.op_type,
        logical.clone(),
        bits,
        granularity,
        scale,
    );
    descriptor.zero_point = Some(match zero_point {
        None => middle(bits),
        Some(_) if axis + 1 != logical.rank() => {
            return Err("its zero-points are packed across blocks".into());
        }
        Some(id) => {
            let layout = BitRows::padded(row.div_ceil(block), bits.into());
            fits(tensors, id, layout.byte_len(logical.elements() / row.max(1)), "zero-points")?;
            tensors.pack_zero_points(codes, Packed::numbers(id, layout));
            descriptor.packed_in.push(id);
            Operand::Packed
        }
    });
    tensors.pack_codes(codes, Packed::numbers(codes, BitRows::padded(row, bits.into())));
    Ok(descriptor)
}

/// `MatMulBnb4(A, B, absmax)`: B is N·K codes of bitsandbytes, one block after the other whatever the rows.
fn matmul_bnb4(graph: &Graph<'_>, tensors: &mut Tensors, node: &NodeProto, codes: ParameterId) -> Described {
    let [rows, row] = ["N", "K"].map(|name| positive(node, name, None));
    let (rows, row) = (rows?, row?);
    let block = positive(node, "block_size", None)?;
    let elements = rows.checked_mul(row).ok_or("it has too many elements")?;
    let layout = BitRows { high_first: true, ..BitRows::padded(elements, 4) };
    fits(tensors, codes, layout.byte_len(1), "codes")?;
    let scale = scales(graph, tensors, node, 2, Some(elements.div_ceil(block)))?;

    let blocks_are_in_rows = row % block == 0;
    let (logical, sizes) =
        if blocks_are_in_rows { (vec![rows, row], vec![1, block]) } else { (vec![elements], vec![block]) };
    let logical = Shape::new(logical).map_err(|error| error.message().to_owned())?;
    let mut descriptor = QuantDescriptor::of_packed(
        Encoding::Bnb4,
        &node.op_type,
        logical,
        4,
        Granularity::Block(sizes),
        scale,
    );
    descriptor.scheme = Scheme::Codebook;
    descriptor.table = Some(match int_attribute(node, "quant_type") {
        Some(0) => FP4.to_vec(),
        Some(1) | None => NF4.to_vec(),
        Some(other) => return Err(format!("its quant_type is {other}").into()),
    });
    tensors.pack_codes(codes, Packed::numbers(codes, layout));
    Ok(descriptor)
}

/// bitsandbytes' four-bit floats.
#[rustfmt::skip]
const FP4: [f32; 16] = [
    0.0, 0.005_208_333_5, 0.666_666_7, 1.0, 0.333_333_34, 0.5, 0.166_666_67, 0.25,
    -0.0, -0.005_208_333_5, -0.666_666_7, -1.0, -0.333_333_34, -0.5, -0.166_666_67, -0.25,
];

/// The quantiles of the normal distribution that QLoRA uses.
#[rustfmt::skip]
const NF4: [f32; 16] = [
    -1.0, -0.696_192_8, -0.525_073_05, -0.394_917_5, -0.284_441_38, -0.184_773_43, -0.091_050_036, 0.0,
    0.079_580_3, 0.160_930_2, 0.246_112_3, 0.337_915_24, 0.440_709_83, 0.562_617, 0.722_956_84, 1.0,
];

fn bits(node: &NodeProto) -> Result<u32, String> {
    match int_attribute(node, "bits").unwrap_or(4) {
        bits @ (2 | 4 | 8) => Ok(bits as u32),
        other => Err(format!("codes of {other} bits are not supported")),
    }
}

fn positive(node: &NodeProto, name: &str, default: Option<u64>) -> Result<u64, String> {
    let value = match int_attribute(node, name) {
        Some(value) => u64::try_from(value).ok().filter(|&value| value > 0),
        None => default,
    };
    value.ok_or_else(|| format!("the attribute {name} of {} is missing or not positive", node.op_type))
}

fn axis(node: &NodeProto, name: &str, default: i64, rank: usize) -> Result<usize, String> {
    let axis = int_attribute(node, name).unwrap_or(default);
    axis_at(axis, rank).ok_or_else(|| format!("its {name} is {axis}"))
}

/// The middle code, where an operator takes it for the missing zero-point.
fn middle(bits: u32) -> Operand {
    Operand::One { value: f64::from(1u32 << (bits - 1)), parameter: None }
}

fn scales(
    graph: &Graph<'_>,
    tensors: &Tensors,
    node: &NodeProto,
    slot: usize,
    expected: Option<u64>,
) -> Result<Operand, Reason> {
    let name = input(node, slot).ok_or_else(|| format!("{} has no scales for it", node.op_type))?;
    let scales = Constants { graph, tensors }.scales(name)?;
    let found = scales.shape.elements();
    match scales.outer {
        None if Some(found) == expected => Ok(scales.operand),
        None => Err(Reason::misfit(format!("{name} has {found} elements, not one for every block"))),
        Some(_) => Err("its scales are quantized themselves".into()),
    }
}

/// The constant in a slot that may be empty, but not computed.
fn optional(graph: &Graph<'_>, node: &NodeProto, slot: usize) -> Result<Option<ParameterId>, Reason> {
    let known = |name: &str| {
        graph
            .constant(name)
            .ok_or_else(|| Reason::no_constant(graph, &format!("{name}, which it needs,"), name))
    };
    input(node, slot).map(known).transpose()
}

fn fits(tensors: &Tensors, id: ParameterId, expected: Option<u64>, what: &str) -> Result<(), Reason> {
    let parameter = &tensors.parameters[id.index()];
    match expected {
        Some(expected) if parameter.shape.elements() == expected && parameter.dtype.bits() == Some(8) => {
            Ok(())
        }
        _ => Err(Reason::misfit(format!(
            "its {what} are not packed as its operator says: {} {}",
            parameter.dtype, parameter.shape
        ))),
    }
}
