//! HQQ: `W_q` with a slab of the weight in each place of its bytes or words, `scale`, `zero`, and a tensor for each
//! setting.

use quantviz_core::{DType, Encoding, Granularity, GroupIndex, Part, QuantDescriptor, Role, Shape};

use super::catalogue::{Catalogue, Tensor};
use super::reading::{Reading, Stored};
use super::{Misfit, Quantized};
use crate::unpack::Packing;

/// The settings that a layer's tensors tell, and nothing that is multiplied.
const SETTINGS: &[&str] = &[
    "shape",
    "nbits",
    "group_size",
    "axis",
    "packing",
    "unpack_view_dtype",
    "compute_dtype",
    "view_as_float",
    "quant_scale",
    "quant_zero",
    "offload_meta",
    "encoded_state_dict",
    "stores_quant_config",
    "channel_wise",
    "optimize",
    "round_zero",
];

pub(super) fn describe(catalogue: &Catalogue<'_>, codes: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    codes.is_called("W_q").then(|| fit(catalogue, codes))
}

fn fit(catalogue: &Catalogue<'_>, codes: Tensor<'_>) -> Result<Quantized, Misfit> {
    let beside = |last: &str| catalogue.beside(codes, last);
    let needed = |last| beside(last).ok_or_else(|| Misfit::unsupported(&format!("HQQ without its {last}")));
    let (scale, zero, shape) = (needed("scale")?, needed("zero")?, needed("shape")?);
    let setting = |last| {
        let values = catalogue.few_values(beside(last)?, 1)?;
        values
            .first()
            .filter(|value| value.fract() == 0.0 && (0.0..=65536.0).contains(*value))
            .map(|&value| value as u64)
    };
    let bits = setting("nbits").filter(|bits| (1..=8).contains(bits));
    let bits = bits.ok_or_else(|| Misfit::unsupported("HQQ without its number of bits"))?;
    let logical = logical_shape(catalogue, shape)?;
    let &[rows, columns] = logical.dims() else { return Err(Misfit::unsupported("HQQ of no matrix")) };
    // HQQ makes a matrix of the same elements in the same order that has a group in each row, or in each column.
    let (axis, length, of) = match setting("axis") {
        Some(0) => (0, rows, "columns"),
        Some(1) => (1, columns, "rows"),
        _ => return Err(Misfit::unsupported("HQQ without its axis")),
    };
    let group = setting("group_size").unwrap_or(length);
    if group == 0 || length % group != 0 {
        return Err(Misfit::unsupported(&format!("HQQ with groups of {group} in {of} of {length}")));
    }
    let groups = logical.elements() / group;
    if scale.elements() != groups || zero.elements() != groups {
        return Err(Misfit::malformed(format!("its scales and zero-points are not for {groups} groups")));
    }
    let (per_unit, unit_bytes) = match (bits, codes.dtype()) {
        (4, DType::U8) => (2, 1),
        (2, DType::U8) => (4, 1),
        (1, DType::U8) => (8, 1),
        (3, DType::I32) => (10, 4),
        (5 | 6 | 8, DType::U8) => (1, 1),
        (_, dtype) => return Err(Misfit::unsupported(&format!("HQQ with {bits} bits in {dtype}"))),
    };
    // Slabs are of whole rows of that matrix: the last one is filled up with rows of nothing.
    let slab = match axis {
        0 => group.div_ceil(per_unit) * groups,
        _ => groups.div_ceil(per_unit) * group,
    };
    if codes.elements() != slab {
        return Err(Misfit::malformed(format!(
            "its words of shape {:?} are not for {logical}",
            codes.dims()
        )));
    }
    let granularity = match axis {
        _ if group == length => Granularity::Axis(1 - axis),
        0 => Granularity::Block(vec![group, 1]),
        _ => Granularity::Block(vec![1, group]),
    };
    let packing = match per_unit {
        1 => Packing::rows(8, slab, slab),
        _ => Packing::Slabs { bits, slab, unit_bytes },
    };
    let mut descriptor = QuantDescriptor::of_packed(
        Encoding::Hqq,
        "HQQ",
        logical,
        bits as u32,
        granularity,
        catalogue.operand(scale),
    );
    descriptor.zero_point = Some(catalogue.operand(zero));
    // A column of the weight fills several of that matrix in turns.
    descriptor.group_index = (axis == 0 && group < length).then_some(GroupIndex::InTurns { axis: 0 });
    let quantized = Quantized::new(descriptor)
        .reading(Part::Codes, Reading::Packed(codes.extent, packing, Stored::Plain))
        .part(scale, Role::Scale)
        .part(zero, Role::ZeroPoint);
    Ok(SETTINGS.iter().fold(quantized, |quantized, name| quantized.part(beside(name), Role::Constant)))
}

fn logical_shape(catalogue: &Catalogue<'_>, shape: Tensor<'_>) -> Result<Shape, Misfit> {
    let misfit = || Misfit::malformed("its shape is none");
    let dimension = |value: &f64| (1.0..2f64.powi(53)).contains(value).then_some(*value as u64);
    let values = catalogue.few_values(shape, 8).ok_or_else(misfit)?;
    let dims: Option<Vec<u64>> = values.iter().map(dimension).collect();
    Shape::new(dims.ok_or_else(misfit)?).map_err(|error| Misfit::malformed(error.message()))
}
