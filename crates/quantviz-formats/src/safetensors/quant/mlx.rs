//! MLX: rows as dense streams in 32-bit words, with scales and biases for groups along them, or of small floats with
//! scales of a byte.

use quantviz_core::{DType, DTypeClass, Encoding, Operand, Part, QuantDescriptor, Role};

use super::catalogue::{Catalogue, Tensor};
use super::grouping::{along_last, with_last};
use super::reading::{Reading, Stored};
use super::{Misfit, Quantized, float_descriptor};
use crate::unpack::Packing;

/// The bits and the sizes of groups that MLX has, its defaults first.
const BITS: [u32; 6] = [4, 8, 2, 3, 5, 6];
const GROUP_SIZES: [u64; 3] = [64, 32, 128];

pub(super) fn describe(catalogue: &Catalogue<'_>, weight: Tensor<'_>) -> Option<Result<Quantized, Misfit>> {
    if !weight.is_called("weight") || weight.dtype() != DType::U32 {
        return None;
    }
    let scales = catalogue.beside(weight, "scales")?;
    Some(fit(catalogue, weight, scales))
}

/// A mode of small floats.
struct FloatMode {
    name: &'static str,
    encoding: Encoding,
    codes: DType,
    /// Codes that share a scale.
    group: u64,
    scales: DType,
}

/// The bits of a group tell them apart.
const FLOAT_MODES: &[FloatMode] = &[
    FloatMode {
        name: "MLX mxfp4",
        encoding: Encoding::Mxfp4,
        codes: DType::F4E2M1,
        group: 32,
        scales: DType::F8E8M0,
    },
    FloatMode {
        name: "MLX nvfp4",
        encoding: Encoding::Nvfp4,
        codes: DType::F4E2M1,
        group: 16,
        scales: DType::F8E4M3Fn,
    },
    FloatMode {
        name: "MLX mxfp8",
        encoding: Encoding::Fp8,
        codes: DType::F8E4M3Fn,
        group: 32,
        scales: DType::F8E8M0,
    },
];

impl FloatMode {
    fn bits(&self) -> u64 {
        self.codes.bits().unwrap_or_default().into()
    }

    fn fit(&self, weight: Tensor<'_>, scales: Tensor<'_>) -> Result<Quantized, Misfit> {
        let logical = with_last(weight.dims(), weight.dims().last().unwrap_or(&0) * 32 / self.bits())?;
        let granularity = along_last(logical.dims(), scales.dims(), &[self.group])?;
        let descriptor =
            float_descriptor(self.encoding, self.name, self.codes, logical, granularity, Operand::Packed);
        Ok(Quantized::new(descriptor)
            .reading(Part::Codes, Reading::As(weight.extent, self.codes))
            .reading(Part::Scales, Reading::As(scales.extent, self.scales))
            .part(scales, Role::Scale))
    }
}

fn fit(catalogue: &Catalogue<'_>, weight: Tensor<'_>, scales: Tensor<'_>) -> Result<Quantized, Misfit> {
    if scales.dtype() == DType::U8 {
        let bits = weight.elements().saturating_mul(32);
        let is_mode = |mode: &&FloatMode| scales.elements().saturating_mul(mode.group * mode.bits()) == bits;
        let mode = FLOAT_MODES.iter().find(is_mode);
        let mode = mode.ok_or_else(|| Misfit::unsupported("MLX with scales of a byte for other groups"))?;
        return mode.fit(weight, scales);
    }
    if scales.dtype().class() != DTypeClass::Float {
        return Err(Misfit::unsupported(&format!("MLX with scales of type {}", scales.dtype())));
    }
    let biases = catalogue.beside(weight, "biases").ok_or_else(|| Misfit::missing("biases"))?;
    if biases.dims() != scales.dims() {
        return Err(Misfit::malformed(format!(
            "its biases of shape {:?} do not fit its scales",
            biases.dims()
        )));
    }
    let words = *weight.dims().last().unwrap_or(&0);
    let (bits, group_size) =
        bits_and_group_size(catalogue, weight, words, *scales.dims().last().unwrap_or(&0)).ok_or_else(
            || Misfit::malformed(format!("its scales of shape {:?} do not fit its words", scales.dims())),
        )?;
    let columns = words * 32 / u64::from(bits);
    let logical = with_last(weight.dims(), columns)?;
    let granularity = along_last(logical.dims(), scales.dims(), &[group_size])?;
    let scale = catalogue.operand(scales);
    let mut descriptor = QuantDescriptor::of_packed(Encoding::Mlx, "MLX", logical, bits, granularity, scale);
    descriptor.offset = Some(catalogue.operand(biases));
    let packing = Packing::rows(bits, columns, words * 4);
    Ok(Quantized::new(descriptor)
        .reading(Part::Codes, Reading::Packed(weight.extent, packing, Stored::Plain))
        .part(scales, Role::Scale)
        .part(biases, Role::ZeroPoint))
}

/// Shapes only give the product of both.
fn bits_and_group_size(
    catalogue: &Catalogue<'_>,
    weight: Tensor<'_>,
    words: u64,
    groups: u64,
) -> Option<(u32, u64)> {
    let hints = catalogue.hints();
    let of_module = hints.modules.get(weight.module()).copied();
    let sizes = || hints.group_sizes.iter().copied().chain(GROUP_SIZES);
    let usual = || sizes().flat_map(|size| BITS.into_iter().map(move |bits| (bits, size)));
    let hinted = sizes().flat_map(|size| hints.bits.iter().map(move |&bits| (bits, size)));
    let fits = |&(bits, size): &(u32, u64)| {
        size.saturating_mul(u64::from(bits)).saturating_mul(groups) == words * 32
    };
    of_module.into_iter().chain(hinted).chain(usual()).find(fits)
}
