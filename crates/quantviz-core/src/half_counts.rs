//! How often each number of sixteen bits occurs. There are 65,536 of them, so of a large tensor most occur often: each is
//! looked at once, and range, moments and histogram follow exactly.

use half::{bf16, f16};

use crate::elements::Element;
use crate::values::Values;
use crate::{DType, Elements};

/// The counts of all numbers of one type.
pub(crate) struct HalfCounts {
    dtype: DType,
    /// By the bits of the number.
    counts: Box<[u32]>,
}

const NUMBERS: usize = 1 << 16;

/// Elements from which on it is worth it to look at every number there is.
const WORTH_COUNTING: u64 = 1 << 18;

/// Whether a tensor is counted.
pub(crate) fn is_counted(dtype: DType, elements: u64) -> bool {
    let is_half = matches!(dtype, DType::F16 | DType::Bf16 | DType::I16 | DType::U16);
    is_half && elements >= WORTH_COUNTING
}

impl HalfCounts {
    pub(crate) fn of(dtype: DType) -> Self {
        HalfCounts { dtype, counts: vec![0; NUMBERS].into_boxed_slice() }
    }

    /// Counts elements, all in all fewer than 2³²; false where they are of another type.
    #[must_use]
    pub(crate) fn add(&mut self, elements: &Elements<'_>) -> bool {
        if elements.dtype() != self.dtype {
            return false;
        }
        let halves: &[u16] = match elements {
            Elements::F16(slice) => bytemuck::cast_slice(slice),
            Elements::Bf16(slice) => bytemuck::cast_slice(slice),
            Elements::I16(slice) => bytemuck::cast_slice(slice),
            Elements::U16(slice) => slice,
            _ => return false,
        };
        let Ok(counts) = <&mut [u32; NUMBERS]>::try_from(&mut self.counts[..]) else { return false };
        halves.iter().for_each(|&half| counts[usize::from(half)] += 1);
        true
    }

    pub(crate) fn into_values(self) -> Values {
        let list = (0..=u16::MAX).zip(self.counts).filter(|(_, times)| *times > 0).collect();
        Values::Listed(self.dtype, list)
    }
}

/// What sixteen bits stand for.
pub(crate) fn value_of(dtype: DType, bits: u16) -> f64 {
    match dtype {
        DType::F16 => Element::to_f64(f16::from_bits(bits)),
        DType::Bf16 => Element::to_f64(bf16::from_bits(bits)),
        DType::I16 => f64::from(bits.cast_signed()),
        _ => f64::from(bits),
    }
}
