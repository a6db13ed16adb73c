//! bitsandbytes: NF4 and FP4, whose values are in a table and whose scales may be codes too, and int8 by rows.

use std::ops::{ControlFlow, Range};

use quantviz_core::{
    Block, DType, Elements, Encoding, Granularity, Operand, Part, QuantDescriptor, Result as Read, Role,
    Scheme, Shape, Sink,
};
use serde::Deserialize;

use super::catalogue::{Catalogue, Tensor};
use super::reading::{Reading, Stored};
use super::{Misfit, Quantized};
use crate::bytes::{Extent, read_elements};
use crate::file::ModelFile;
use crate::unpack::Packing;

/// Bytes of the JSON that describes a tensor.
const STATE_BYTES: u64 = 4096;

/// What the JSON beside a tensor says.
#[derive(Deserialize)]
struct State {
    shape: Vec<u64>,
    blocksize: u64,
    #[serde(default)]
    nested_blocksize: u64,
    #[serde(default)]
    nested_offset: f64,
}

pub(super) fn describe_four_bits(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
) -> Option<Result<Quantized, Misfit>> {
    if weight.dtype() != DType::U8 {
        return None;
    }
    let named = |ending: &str| catalogue.named(&format!("{}.{ending}", weight.name()));
    let (absmax, state) = ["nf4", "fp4"].iter().find_map(|kind| {
        Some((named("absmax")?, (*kind, named(&format!("quant_state.bitsandbytes__{kind}"))?)))
    })?;
    Some(fit_four_bits(catalogue, weight, absmax, state))
}

fn fit_four_bits(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
    absmax: Tensor<'_>,
    (kind, state_tensor): (&str, Tensor<'_>),
) -> Result<Quantized, Misfit> {
    let named = |ending: &str| catalogue.named(&format!("{}.{ending}", weight.name()));
    let state = read_state(catalogue, state_tensor)?;
    let logical = Shape::new(state.shape.as_slice()).map_err(|error| Misfit::malformed(error.message()))?;
    if logical.elements().div_ceil(2) != weight.elements() {
        return Err(Misfit::malformed(format!(
            "its shape is said to be {logical}, which does not fit its bytes"
        )));
    }
    let granularity = flat_blocks(logical.dims(), state.blocksize)
        .ok_or_else(|| Misfit::unsupported("bitsandbytes with blocks that end within rows"))?;
    if granularity.groups(&logical).map(|groups| groups.count()) != Some(absmax.elements()) {
        return Err(Misfit::malformed(format!(
            "its {} scales do not fit its shape {logical}",
            absmax.elements()
        )));
    }
    let table_tensor = named("quant_map").ok_or_else(|| Misfit::missing("values"))?;
    let table = table(catalogue, table_tensor, 16)?;
    let (operand, reading) = match absmax.dtype() {
        DType::U8 => (Operand::Packed, Some(nested(catalogue, weight, absmax, &state)?)),
        _ => (catalogue.operand(absmax), None),
    };
    let source = kind.to_ascii_uppercase();
    let mut descriptor =
        QuantDescriptor::of_packed(Encoding::BitsAndBytes, source, logical, 4, granularity, operand);
    descriptor.scheme = Scheme::Codebook;
    let table = table.into_iter().map(|value| value as f32).collect();
    descriptor.table = Some(table);
    let codes = Reading::Packed(weight.extent, Packing::high_nibbles_first(), Stored::Plain);
    let mut quantized = Quantized::new(descriptor)
        .reading(Part::Codes, codes)
        .part(absmax, Role::Scale)
        .part(table_tensor, Role::Constant)
        .part(state_tensor, Role::Constant)
        .part(named("nested_absmax"), Role::Scale)
        .part(named("nested_quant_map"), Role::Constant);
    quantized.readings.extend(reading.map(|reading| (Part::Scales, reading)));
    Ok(quantized)
}

fn read_state(catalogue: &Catalogue<'_>, tensor: Tensor<'_>) -> Result<State, Misfit> {
    let unreadable = || Misfit::malformed("what is said of its state is not what bitsandbytes writes");
    let values = catalogue.few_values(tensor, STATE_BYTES).filter(|_| tensor.dtype() == DType::U8);
    let bytes: Vec<u8> = values.ok_or_else(unreadable)?.into_iter().map(|value| value as u8).collect();
    let state: State = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    if state.blocksize == 0 { Err(unreadable()) } else { Ok(state) }
}

fn table(catalogue: &Catalogue<'_>, tensor: Tensor<'_>, len: u64) -> Result<Vec<f64>, Misfit> {
    let values = catalogue.few_values(tensor, len).filter(|values| values.len() as u64 == len);
    values.ok_or_else(|| Misfit::malformed(format!("its table has {} values, not {len}", tensor.elements())))
}

/// Blocks that follow each other through all elements, whatever the axes; `None` where they are no boxes.
fn flat_blocks(dims: &[u64], block: u64) -> Option<Granularity> {
    let mut sizes = vec![1; dims.len()];
    let mut rest = block;
    for (axis, &dim) in dims.iter().enumerate().rev() {
        let outermost = axis == 0;
        sizes[axis] = rest.min(dim);
        rest = match (rest, dim) {
            (rest, dim) if dim > 0 && rest.is_multiple_of(dim) => rest / dim,
            (rest, dim) if dim.is_multiple_of(rest) || outermost => 1,
            _ => return None,
        };
    }
    Some(Granularity::Block(sizes))
}

/// Scales that are codes: `table[code] · outer + offset`.
#[derive(Debug)]
pub(crate) struct NestedScales {
    codes: Extent,
    table: Vec<f64>,
    outer: Extent,
    block: u64,
    offset: f64,
}

fn nested(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
    absmax: Tensor<'_>,
    state: &State,
) -> Result<Reading, Misfit> {
    let named = |ending: &str| catalogue.named(&format!("{}.{ending}", weight.name()));
    let outer = named("nested_absmax").filter(|outer| outer.dtype() == DType::F32);
    let outer = outer.ok_or_else(|| Misfit::missing("scales of scales"))?;
    let table_tensor = named("nested_quant_map").ok_or_else(|| Misfit::missing("values of scales"))?;
    let block = state.nested_blocksize;
    if block == 0 || outer.elements() != absmax.elements().div_ceil(block) {
        return Err(Misfit::malformed("its scales of scales do not fit them"));
    }
    Ok(Reading::Nested(NestedScales {
        codes: absmax.extent,
        table: table(catalogue, table_tensor, 256)?,
        outer: outer.extent,
        block,
        offset: state.nested_offset,
    }))
}

impl NestedScales {
    pub(crate) fn read(
        &self,
        files: &[ModelFile],
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Read<ControlFlow<()>> {
        let first_outer = range.start / self.block;
        let mut outer = Vec::new();
        let mut take = |block: Block<'_>| {
            block.elements.for_each(|value| outer.push(value));
            ControlFlow::Continue(())
        };
        let Extent { file, offset, .. } = self.outer;
        let outer_range = first_outer..range.end.div_ceil(self.block).max(first_outer);
        let _ = read_elements(&files[file], offset, DType::F32, outer_range, &mut take)?;
        let mut scales = Vec::new();
        let mut decode = |block: Block<'_>| {
            scales.clear();
            let mut index = block.start;
            block.elements.for_each(|code| {
                let outer = outer[(index / self.block - first_outer) as usize];
                scales.push(self.table[code as usize] * outer + self.offset);
                index += 1;
            });
            sink.block(Block { start: block.start, elements: Elements::F64(&scales) })
        };
        read_elements(&files[self.codes.file], self.codes.offset, DType::U8, range, &mut decode)
    }
}

/// `weight` in whole numbers of eight bits and `SCB`, the largest magnitude of each row.
pub(super) fn describe_int8(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
) -> Option<Result<Quantized, Misfit>> {
    let is_codes = weight.is_called("weight") && weight.dtype() == DType::I8;
    let largest = catalogue.beside(weight, "SCB").filter(|_| is_codes)?;
    let format = catalogue.beside(weight, "weight_format");
    Some(fit_int8(catalogue, weight, largest).map(|it| it.part(format, Role::Constant)))
}

fn fit_int8(catalogue: &Catalogue<'_>, weight: Tensor<'_>, largest: Tensor<'_>) -> Result<Quantized, Misfit> {
    if weight.dims().first() != Some(&largest.elements()) {
        let message = format!("its SCB of {} numbers is not for its rows", largest.elements());
        return Err(Misfit::malformed(message));
    }
    let fraction = Operand::One { value: 1.0 / 127.0, parameter: None };
    let scale = Operand::Product(vec![catalogue.operand(largest), fraction]);
    let (encoding, rows) = (Encoding::BitsAndBytes, Granularity::Axis(0));
    let descriptor = QuantDescriptor::of_stored(encoding, "LLM.int8", DType::I8, rows, scale, None)
        .ok_or_else(|| Misfit::unsupported("int8"))?;
    Ok(Quantized::new(descriptor).part(largest, Role::Scale))
}
