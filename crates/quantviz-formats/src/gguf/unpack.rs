//! The ways in which blocks hold numbers, from the bytes of one block to codes and scales.

use quantviz_core::f16;

/// Adds to every code the bits that are packed in `bytes`: `WIDTH` bits for each code, `shift` bits up. `RUN` codes in
/// a row have the lowest bits of `RUN` bytes, those that follow the next bits of the same bytes, until none are left.
pub(super) fn add_bits<const WIDTH: usize, const RUN: usize>(bytes: &[u8], shift: u32, codes: &mut [u8]) {
    let mask = u8::MAX >> (8 - WIDTH);
    let runs = bytes.chunks_exact(RUN).flat_map(|run| (0..8).step_by(WIDTH).map(move |low| (run, low)));
    for (codes, (run, low)) in codes.chunks_exact_mut(RUN).zip(runs) {
        for (code, byte) in codes.iter_mut().zip(run) {
            *code |= ((byte >> low) & mask) << shift;
        }
    }
}

/// Five codes in a byte, each -1, 0 or 1: the byte is a fraction of 256, whose digits in base three are the codes plus
/// one. `RUN` codes in a row have the first digit of `RUN` bytes, those that follow the next.
pub(super) fn ternary_digits<const RUN: usize>(bytes: &[u8], codes: &mut [u8]) {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    let runs = bytes.chunks_exact(RUN).flat_map(|run| POWERS.iter().map(move |power| (run, power)));
    for (codes, (run, power)) in codes.chunks_exact_mut(RUN).zip(runs) {
        for (code, byte) in codes.iter_mut().zip(run) {
            let digit = (u16::from(byte.wrapping_mul(*power)) * 3) >> 8;
            *code = (digit as u8).wrapping_sub(1);
        }
    }
}

/// The half-precision number at a place.
#[inline]
pub(super) fn half(bytes: &[u8], at: usize) -> f64 {
    let bits = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    if bits & EXPONENT == EXPONENT {
        return f16::from_bits(bits).to_f64_const();
    }
    // The bits of a half in their places of an `f64` are the number, but for what the exponents are counted from.
    let size = f64::from_bits(u64::from(bits & !SIGN) << 42) * HALF_TO_DOUBLE;
    f64::from_bits(size.to_bits() | u64::from(bits & SIGN) << 48)
}

const SIGN: u16 = 0x8000;
const EXPONENT: u16 = 0x7c00;
/// 2^1008: `f64` counts exponents from 1023, halves from 15.
const HALF_TO_DOUBLE: f64 = f64::from_bits((1008 + 1023) << 52);

/// The sixteen scales of a Q3_K block: the lower four bits of all, then the upper two.
pub(super) fn sixteen_scales(bytes: &[u8]) -> [u8; 16] {
    let mut scales = [0; 16];
    add_bits::<4, 8>(&bytes[..8], 0, &mut scales);
    add_bits::<2, 4>(&bytes[8..], 4, &mut scales);
    scales
}

/// The scales and the minima of Q4_K and Q5_K blocks: six bits each. The first four of both have the lower bits of a
/// byte of their own; the last four share a byte, and have their upper two bits above those of the first.
pub(super) fn scales_and_minima(bytes: &[u8]) -> [[u8; 8]; 2] {
    let mut both = [[0; 8]; 2];
    for (which, values) in both.iter_mut().enumerate() {
        for index in 0..4 {
            let (own, shared) = (bytes[4 * which + index], bytes[8 + index]);
            values[index] = own & 0x3f;
            values[4 + index] = (shared >> (4 * which) & 0x0f) | (own >> 6 << 4);
        }
    }
    both
}

/// Powers of two from 2^-127 on. No code is a NaN, unlike in [`DType::F8E8M0`](quantviz_core::DType::F8E8M0).
pub(super) fn power_of_two(exponent: u8) -> f64 {
    2f64.powi(i32::from(exponent) - 127)
}

/// An eight-bit float with four bits of exponent, whose sign counts for nothing. One code is zero where
/// [`DType::F8E4M3Fn`](quantviz_core::DType::F8E4M3Fn) has a NaN.
pub(super) fn unsigned_e4m3(code: u8) -> f64 {
    let (exponent, mantissa) = (i32::from(code >> 3 & 0x0f), f64::from(code & 0x07));
    match (code, exponent) {
        (0x7f, _) => 0.0,
        (_, 0) => mantissa / 8.0 * 2f64.powi(-6),
        _ => (1.0 + mantissa / 8.0) * 2f64.powi(exponent - 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_the_standard() {
        for bits in 0..=u16::MAX {
            let expected = f16::from_bits(bits).to_f64_const();
            let found = half(&bits.to_le_bytes(), 0);
            assert_eq!(found.to_bits(), expected.to_bits(), "{bits:#06x}");
        }
    }
}
