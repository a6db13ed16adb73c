//! NVFP4: four-bit floats, two in a byte, with an eight-bit scale for sixteen of them and one more for the tensor.

use quantviz_core::{DType, Encoding, Granularity, Operand, OuterScale, Part, Role};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::{along_last, with_last};
use super::reading::Reading;
use super::{Misfit, Quantized, float_descriptor};

const BLOCK: u64 = 16;

pub(super) fn describe(catalogue: &Catalogue<'_>, codes: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    if codes.dtype() != DType::U8 {
        return None;
    }
    let name = codes.name();
    let base = name.strip_suffix("_packed").unwrap_or(name);
    let scale = catalogue.named(&format!("{base}_scale")).filter(|scale| scale.dtype() == DType::F8E4M3Fn)?;
    Some(fit(catalogue, codes, base, scale))
}

fn fit(
    catalogue: &Catalogue<'_>,
    codes: Tensor<'_>,
    base: &str,
    scale: Tensor<'_>,
) -> Result<Quantized, Misfit> {
    let logical = with_last(codes.dims(), codes.dims().last().unwrap_or(&0) * 2)?;
    let granularity = along_last(logical.dims(), scale.dims(), &[BLOCK])?;
    let (outer, source) = outer_scale(catalogue, base)?;
    let (tensor, operand) = outer;
    let operand_of_scale = catalogue.operand(scale);
    let mut descriptor =
        float_descriptor(Encoding::Nvfp4, source, DType::F4E2M1, logical, granularity, operand_of_scale);
    descriptor.outer_scale = Some(OuterScale { granularity: Granularity::Tensor, scale: operand });
    Ok(Quantized::new(descriptor)
        .reading(Part::Codes, Reading::As(codes.extent, DType::F4E2M1))
        .part(scale, Role::Scale)
        .part(tensor, Role::Scale))
}

type Outer<'a> = (Tensor<'a>, Operand);

/// ModelOpt multiplies with a second scale, compressed-tensors divides by a global one.
fn outer_scale<'a>(catalogue: &Catalogue<'a>, base: &str) -> Result<(Outer<'a>, &'static str), Misfit> {
    let found = |ending: &str| catalogue.named(&format!("{base}{ending}"));
    let (tensor, divides, source) = match (found("_scale_2"), found("_global_scale")) {
        (Some(second), _) => (second, false, "ModelOpt"),
        (None, Some(global)) => (global, true, "compressed-tensors"),
        (None, None) => return Err(Misfit::missing("outer scales")),
    };
    let one = match catalogue.few_values(tensor, 1).as_deref() {
        Some(&[value]) => value,
        _ => return Err(Misfit::malformed(format!("its outer scale is {} numbers", tensor.elements()))),
    };
    let value = if divides { 1.0 / one } else { one };
    Ok(((tensor, Operand::One { value, parameter: Some(tensor.id) }), source))
}
