//! The two types that numbers are computed in: every stored type fits one of them exactly.

use std::ops::{Add, Mul, Sub};

/// `f32` or `f64`. Comparisons are plain ones, because `min` and `max` of Rust's floats carry rules for NaN that cost
/// vectorisation.
pub trait Real:
    Copy + PartialOrd + Default + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Into<f64>
{
    /// Beyond all numbers.
    const INFINITY: Self;
    /// Before all numbers.
    const NEG_INFINITY: Self;
    /// The distance from one to the next number, as `f64`.
    const EPSILON: f64;
    /// Added to a number, it rounds it to a whole one, which is then in the low bits.
    const ROUND: Self;
    /// More bins than this are too narrow to be told apart.
    const MOST_BINS: u32;

    /// The nearest number.
    fn of(value: f64) -> Self;

    /// The distance from zero.
    fn abs(self) -> Self;

    /// The whole number to which [`ROUND`](Self::ROUND) was added; something huge where that is negative or large.
    fn whole(self) -> u32;
}

impl Real for f32 {
    const INFINITY: Self = f32::INFINITY;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    const EPSILON: f64 = f32::EPSILON as f64;
    const ROUND: Self = 12_582_912.0; // 1.5 · 2^23
    const MOST_BINS: u32 = 1 << 12;

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "rounded")]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    #[inline(always)]
    fn whole(self) -> u32 {
        self.to_bits().wrapping_sub(Self::ROUND.to_bits())
    }
}

impl Real for f64 {
    const INFINITY: Self = f64::INFINITY;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    const EPSILON: f64 = f64::EPSILON;
    const ROUND: Self = 6_755_399_441_055_744.0; // 1.5 · 2^52
    const MOST_BINS: u32 = 1 << 20;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn whole(self) -> u32 {
        let whole = self.to_bits().wrapping_sub(Self::ROUND.to_bits());
        u32::try_from(whole).unwrap_or(u32::MAX)
    }
}

/// The value of the bits of a half-precision number, in a way that vectors can go.
#[inline(always)]
pub(crate) fn f32_of_f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    // Exponents count from 15 there and from 127 here; subnormal numbers become normal by the multiplication.
    let scaled = (f32::from_bits(magnitude) * f32::from_bits((127 + 127 - 15) << 23)).to_bits();
    let is_number = bits & 0x7c00 != 0x7c00;
    let value = if is_number { scaled } else { magnitude | 0x7f80_0000 };
    f32::from_bits(sign | value)
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn every_half_precision_number() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (f32_of_f16(bits), f16::from_bits(bits).to_f32());
            let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(same, "{bits:#06x}: {found} instead of {expected}");
        }
    }
}
