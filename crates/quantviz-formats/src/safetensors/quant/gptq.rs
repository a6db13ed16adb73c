//! GPTQ: `qweight` with the codes of each column packed downwards, `qzeros` packed along rows, and perhaps `g_idx`.

use std::ops::ControlFlow;

use quantviz_core::{
    DType, Encoding, GroupIndex, Operand, Part, QuantDescriptor, Role, Shape, Warning, WarningKind,
};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::granularity;
use super::reading::{Reading, Stored};
use super::{Misfit, Quantized};
use crate::unpack::Packing;

/// Bits that GPTQ packs, the usual ones first.
const BITS: [u32; 4] = [4, 8, 3, 2];
/// Zero-points that are looked at to learn how they are stored.
const SAMPLED: u64 = 4096;

/// How zero-points are stored: the first version of the format has them less one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZeroPoints {
    LessOne,
    Plain,
}

pub(super) fn describe(catalogue: &Catalogue<'_>, qweight: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    let is_packed = qweight.is_called("qweight") && qweight.dtype() == DType::I32;
    is_packed.then(|| fit(catalogue, qweight))
}

fn fit(catalogue: &Catalogue<'_>, qweight: Tensor<'_>) -> Result<Quantized, Misfit> {
    let scales = catalogue.beside(qweight, "scales").ok_or_else(|| Misfit::missing("scales"))?;
    let qzeros = catalogue.beside(qweight, "qzeros").ok_or_else(|| Misfit::missing("qzeros"))?;
    let g_idx = catalogue.beside(qweight, "g_idx");
    let (&[words, columns], &[groups, scale_columns]) = (qweight.dims(), scales.dims()) else {
        return Err(Misfit::unsupported("a qweight that is no matrix"));
    };
    if columns != scale_columns {
        return Err(Misfit::unsupported("a qweight that neither GPTQ nor AWQ packs like this"));
    }
    let bits = bits(catalogue, qweight, qzeros, columns)?;
    let logical = Shape::new([words * 32 / u64::from(bits), columns])
        .map_err(|error| Misfit::malformed(error.message()))?;
    if qzeros.dtype() != DType::I32 || qzeros.dims().first() != Some(&groups) {
        return Err(Misfit::malformed(format!(
            "its qzeros of shape {:?} do not fit its scales",
            qzeros.dims()
        )));
    }
    let granularity = granularity(logical.dims(), scales.dims(), &[&catalogue.hints().group_sizes])?;
    let zeros = Packing::rows(bits, columns, qzeros.dims()[1] * 4);
    let stored =
        *catalogue.gptq.get_or_init(|| zero_points(catalogue, qzeros, &zeros, bits, scales.elements()));
    let (source, stored) = match stored {
        ZeroPoints::LessOne => ("GPTQ v1", Stored::LessOne),
        ZeroPoints::Plain => ("GPTQ v2", Stored::Plain),
    };
    let scale = catalogue.operand(scales);
    let mut descriptor =
        QuantDescriptor::of_packed(Encoding::Gptq, source, logical, bits, granularity, scale);
    descriptor.zero_point = Some(Operand::Packed);
    let index = g_idx.filter(|_| groups > 1).map(|g_idx| GroupIndex::Listed { axis: 0, parameter: g_idx.id });
    descriptor.group_index = index;
    let codes = Packing::Columns { bits: bits.into(), columns, padded: false };
    Ok(Quantized::new(descriptor)
        .reading(Part::Codes, Reading::Packed(qweight.extent, codes, Stored::Plain))
        .reading(Part::ZeroPoints, Reading::Packed(qzeros.extent, zeros, stored))
        .part(scales, Role::Scale)
        .packed_zero_points(qzeros, scales, Reading::Packed(qzeros.extent, zeros, stored))
        .part(g_idx, Role::Constant))
}

/// The bits of a code: as many as make the shapes fit, and what the configuration says where several do.
fn bits(
    catalogue: &Catalogue<'_>,
    qweight: Tensor<'_>,
    qzeros: Tensor<'_>,
    columns: u64,
) -> Result<u32, Misfit> {
    let (words, g_idx) = (qweight.dims()[0], catalogue.beside(qweight, "g_idx"));
    let fits = |bits: &u32| {
        let bits = u64::from(*bits);
        let rows = words * 32 / bits;
        (words * 32).is_multiple_of(bits)
            && matches!(qzeros.dims(), [_, zero_words] if *zero_words == (columns * bits).div_ceil(32))
            && g_idx.is_none_or(|g_idx| g_idx.elements() == rows)
    };
    let hinted = catalogue.hints().bits.iter().copied().filter(|bits| BITS.contains(bits));
    let misfit = || Misfit::unsupported("a qweight whose qzeros and g_idx fit no number of bits");
    hinted.chain(BITS).find(fits).ok_or_else(misfit)
}

/// How the zero-points of this model are stored: as its configuration says, else as those of one layer tell. Those of
/// a symmetric quantization all are the middle code, or all one less.
fn zero_points(
    catalogue: &Catalogue<'_>,
    qzeros: Tensor<'_>,
    packing: &Packing,
    bits: u32,
    len: u64,
) -> ZeroPoints {
    match catalogue.hints().checkpoint_format.as_deref() {
        Some("gptq") => return ZeroPoints::LessOne,
        Some("gptq_v2") => return ZeroPoints::Plain,
        _ => {}
    }
    match only_code(catalogue, qzeros, packing, len.min(SAMPLED)) {
        Some(code) if u32::from(code) == 1 << (bits - 1) => return ZeroPoints::Plain,
        Some(code) if u32::from(code) == (1 << (bits - 1)) - 1 => {}
        _ => catalogue.warn(Warning::general(
            WarningKind::Odd,
            "quantize_config.json names no checkpoint_format: qzeros are read as one less than the zero-points (\"gptq\"); \
             if they are not, set it to \"gptq_v2\"",
        )),
    }
    ZeroPoints::LessOne
}

/// The code that all of the first so many are, if they are one.
fn only_code(catalogue: &Catalogue<'_>, tensor: Tensor<'_>, packing: &Packing, len: u64) -> Option<u8> {
    let mut only = None;
    let mut sink = |_, codes: &[u8]| {
        let first = *only.get_or_insert(codes[0]);
        if codes.iter().all(|&code| code == first) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let flow = packing.read(catalogue.file(tensor), tensor.extent.offset, 0..len, &mut sink).ok()?;
    only.filter(|_| flow.is_continue())
}
