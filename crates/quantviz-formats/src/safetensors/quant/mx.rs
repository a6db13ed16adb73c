//! OCP microscaling: four-bit floats in blocks of 32, with a power of two for each, a byte that is its exponent.

use quantviz_core::{DType, Encoding, Operand, Part, Role, Shape};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::{along_last, with_last};
use super::reading::Reading;
use super::{Misfit, Quantized, float_descriptor};

pub(super) const BLOCK: u64 = 32;

pub(super) fn describe(catalogue: &Catalogue<'_>, codes: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    let name = codes.name();
    let named = |base: &str, ending: &str| catalogue.named(&format!("{base}{ending}"));
    let (scale, logical, source) = match codes.dtype() {
        // gpt-oss has an axis more, of the bytes of a block.
        DType::U8 if name.ends_with("_blocks") => {
            let scale = named(name.strip_suffix("_blocks")?, "_scales")?;
            let (_, rows) = codes.dims().split_last()?;
            (scale, with_last(rows, rows.last()? * BLOCK), "gpt-oss")
        }
        DType::U8 => {
            let scale = named(name.strip_suffix("_packed").unwrap_or(name), "_scale")?;
            (scale, with_last(codes.dims(), codes.dims().last()? * 2), "MXFP4")
        }
        _ => return None,
    };
    is_exponent(scale).then(|| fit(catalogue, codes, scale, logical?, source))
}

/// Whether a tensor is made of exponents: writers that lack a type for them use bytes.
pub(super) fn is_exponent(scale: Tensor<'_>) -> bool {
    matches!(scale.dtype(), DType::U8 | DType::F8E8M0)
}

/// The operand for scales that are exponents, and how to read them where their bytes do not say so.
pub(super) fn exponents(catalogue: &Catalogue<'_>, scale: Tensor<'_>) -> (Operand, Option<Reading>) {
    match scale.dtype() {
        DType::U8 => (Operand::Packed, Some(Reading::As(scale.extent, DType::F8E8M0))),
        _ => (catalogue.operand(scale), None),
    }
}

fn fit(
    catalogue: &Catalogue<'_>,
    codes: Tensor<'_>,
    scale: Tensor<'_>,
    logical: Shape,
    source: &str,
) -> Result<Quantized, Misfit> {
    if logical.elements().checked_mul(4) != codes.extent.len.checked_mul(8) {
        return Err(Misfit::malformed(format!(
            "its shape {:?} does not hold blocks of {BLOCK}",
            codes.dims()
        )));
    }
    if logical.elements() != scale.elements().saturating_mul(BLOCK) {
        return Err(Misfit::unsupported("four-bit floats in other blocks than of 32"));
    }
    let granularity = along_last(logical.dims(), scale.dims(), &[BLOCK])?;
    let (operand, reading) = exponents(catalogue, scale);
    let descriptor = float_descriptor(Encoding::Mxfp4, source, DType::F4E2M1, logical, granularity, operand);
    let mut quantized = Quantized::new(descriptor)
        .reading(Part::Codes, Reading::As(codes.extent, DType::F4E2M1))
        .part(scale, Role::Scale);
    quantized.readings.extend(reading.map(|reading| (Part::Scales, reading)));
    Ok(quantized)
}
