//! AWQ: `qweight` with eight codes of four bits in a word along each row, shuffled, and `qzeros` like it.

use quantviz_core::{DType, Encoding, Operand, Part, QuantDescriptor, Role};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::{granularity, with_last};
use super::reading::{Reading, Stored};
use super::{Misfit, Quantized};
use crate::unpack::Packing;

/// Where the codes of a word are, counted from its low end: words are filled with codes 0, 2, 4, 6, 1, 3, 5, 7.
const ORDER: [u8; 8] = [0, 4, 1, 5, 2, 6, 3, 7];
const PER_WORD: u64 = 8;
const BITS: u32 = 4;

pub(super) fn describe(catalogue: &Catalogue<'_>, qweight: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    if !qweight.is_called("qweight") || qweight.dtype() != DType::I32 {
        return None;
    }
    let scales = catalogue.beside(qweight, "scales")?;
    let (&[_, words], &[_, columns]) = (qweight.dims(), scales.dims()) else { return None };
    (words * PER_WORD == columns).then(|| fit(catalogue, qweight, scales))
}

fn fit(catalogue: &Catalogue<'_>, qweight: Tensor<'_>, scales: Tensor<'_>) -> Result<Quantized, Misfit> {
    let qzeros = catalogue.beside(qweight, "qzeros").ok_or_else(|| Misfit::missing("qzeros"))?;
    let packed_like_scales = with_last(scales.dims(), scales.dims()[1] / PER_WORD)?;
    if qzeros.dtype() != DType::I32 || qzeros.dims() != packed_like_scales.dims() {
        return Err(Misfit::malformed(format!(
            "its qzeros of shape {:?} do not fit its scales",
            qzeros.dims()
        )));
    }
    let logical = with_last(qweight.dims(), scales.dims()[1])?;
    let granularity = granularity(logical.dims(), scales.dims(), &[&catalogue.hints().group_sizes])?;
    let scale = catalogue.operand(scales);
    let mut descriptor = QuantDescriptor::of_packed(Encoding::Awq, "AWQ", logical, BITS, granularity, scale);
    descriptor.zero_point = Some(Operand::Packed);
    let shuffled =
        |tensor: Tensor<'_>| Reading::Packed(tensor.extent, Packing::Shuffled(ORDER), Stored::Plain);
    Ok(Quantized::new(descriptor)
        .reading(Part::Codes, shuffled(qweight))
        .reading(Part::ZeroPoints, shuffled(qzeros))
        .part(scales, Role::Scale)
        .packed_zero_points(qzeros, scales, shuffled(qzeros)))
}
