//! Eight-bit floats with scales beside them: one, one for each channel, or one for each tile or block.

use quantviz_core::{DType, DTypeClass, Encoding, Part, QuantDescriptor, Role};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::granularity;
use super::mx::{self, exponents};
use super::{Misfit, Quantized};

/// The sides of a tile where nothing says otherwise.
const TILE: u64 = 128;

pub(super) fn describe(catalogue: &Catalogue<'_>, weight: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    let is_float8 = weight.dtype().class() == DTypeClass::Float && weight.dtype().bits() == Some(8);
    if !is_float8 || weight.dtype() == DType::F8E8M0 {
        return None;
    }
    // Both are multiplied with: what "inverse" means is that of the quantizer's.
    let endings = ["_scale_inv", "_scale"];
    let named = endings.iter().find_map(|ending| catalogue.named(&format!("{}{ending}", weight.name())));
    let scale = named.or_else(|| catalogue.beside(weight, "scale").filter(|_| weight.is_called("weight")))?;
    Some(fit(catalogue, weight, scale))
}

fn fit(catalogue: &Catalogue<'_>, weight: Tensor<'_>, scale: Tensor<'_>) -> Result<Quantized, Misfit> {
    let (operand, reading, source) = match scale.dtype() {
        DType::U8 => {
            let (operand, reading) = exponents(catalogue, scale);
            (operand, reading, "MXFP8")
        }
        dtype if dtype.class() == DTypeClass::Float => (catalogue.operand(scale), None, "FP8"),
        dtype => return Err(Misfit::unsupported(&format!("eight-bit floats with scales of type {dtype}"))),
    };
    let tile = catalogue.hints().tile.as_slice();
    let (rows, columns) = if let &[rows, columns] = tile { (rows, columns) } else { (TILE, TILE) };
    let mut hinted: Vec<&[u64]> = vec![&[]; weight.dims().len()];
    let last_two = [&[columns, mx::BLOCK][..], &[rows]];
    hinted.iter_mut().rev().zip(last_two).for_each(|(axis, sizes)| *axis = sizes);
    let granularity = granularity(weight.dims(), scale.dims(), &hinted)?;
    let descriptor =
        QuantDescriptor::of_stored(Encoding::Fp8, source, weight.dtype(), granularity, operand, None)
            .ok_or_else(|| Misfit::unsupported(weight.dtype().name()))?;
    let mut quantized = Quantized::new(descriptor).part(scale, Role::Scale);
    quantized.readings.extend(reading.map(|reading| (Part::Scales, reading)));
    Ok(quantized)
}
