//! Bytes that look like what a network has learnt: values of roughly normal distribution, and codes of them.

use quantviz::{bf16, f16};

/// What a payload is made of, again and again: so many of each.
pub(crate) type Record = &'static [(usize, Field)];

/// A stored number, or several in a byte.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// A weight, standard deviation 0.02.
    F32,
    /// A weight squared, as an optimizer remembers it.
    Square,
    /// A weight in half precision.
    F16,
    /// A weight in bfloat16.
    Bf16,
    /// A weight as an eight-bit float of four exponent bits.
    F8E4M3,
    /// A weight as a code of eight bits.
    I8,
    /// Two codes of four bits, about eight.
    Nibbles,
    /// The scale that fits [`Field::I8`]: the codes are those of the weights.
    FittingScale,
    /// The one of [`Field::F8E4M3`].
    FittingScale8,
    /// Any byte.
    Byte,
    /// A scale.
    Scale32,
    /// A scale in half precision.
    Scale16,
    /// This byte.
    Constant(u8),
}

/// Where all of it comes from: the same numbers on every run.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Another seed, other numbers.
    pub fn new(seed: u64) -> Self {
        Noise(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// Marsaglia's xorshift.
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The sum of eight bytes is roughly normal: mean 0, standard deviation 0.02. A fraction fills the gaps between sums,
    /// because values on a grid would meet the edges of bins as those of networks do not.
    fn weight(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u32 = bits.to_le_bytes().map(u32::from).iter().sum();
        let fraction = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32;
        (sum as f32 + fraction - 1020.5) * 1e-4
    }

    /// Appends whole records, until there are at least so many bytes.
    pub fn fill(&mut self, record: Record, bytes: usize, out: &mut Vec<u8>) {
        while out.len() < bytes {
            for &(count, field) in record {
                (0..count).for_each(|_| self.push(field, out));
            }
        }
    }

    fn push(&mut self, field: Field, out: &mut Vec<u8>) {
        let weight = self.weight();
        match field {
            Field::F32 => out.extend(weight.to_le_bytes()),
            Field::Square => out.extend((weight * weight).to_le_bytes()),
            Field::F16 => out.extend(f16::from_f32(weight).to_le_bytes()),
            Field::Bf16 => out.extend(bf16::from_f32(weight).to_le_bytes()),
            Field::F8E4M3 => out.push(float8(weight)),
            Field::I8 => {
                out.push(((weight * INT8).round_ties_even().clamp(-127.0, 127.0) as i8).cast_unsigned())
            }
            Field::FittingScale => out.extend(INT8.recip().to_le_bytes()),
            Field::FittingScale8 => out.extend(FLOAT8.recip().to_le_bytes()),
            Field::Nibbles => {
                let code = |weight: f32| (weight * 110.0 + 8.5).clamp(0.0, 15.0) as u8;
                out.push(code(weight) | code(self.weight()) << 4);
            }
            Field::Byte => out.push(self.0.to_le_bytes()[3]),
            Field::Scale32 => out.extend((5e-4 + weight.abs() * 5e-3).to_le_bytes()),
            Field::Scale16 => out.extend(f16::from_f32(5e-3 + weight.abs() * 5e-2).to_le_bytes()),
            Field::Constant(byte) => out.push(byte),
        }
    }
}

/// What makes codes of weights. Of eight bits, three and a half standard deviations fill the range.
const INT8: f32 = 1800.0;
const FLOAT8: f32 = 4096.0;

/// A weight divided by a fitting scale, rounded to the nearest.
fn float8(weight: f32) -> u8 {
    /// Below it the steps are all the same.
    const SMALLEST_EXPONENT: f32 = 1.0 / 64.0;
    let scaled = weight * FLOAT8;
    let (sign, size) = ((scaled.to_bits() >> 24) as u8 & 0x80, scaled.abs());
    if size < SMALLEST_EXPONENT {
        return sign | (size * 8.0 / SMALLEST_EXPONENT).round_ties_even() as u8;
    }
    let bits = size.to_bits();
    let rounded = bits + 0x7_ffff + (bits >> 20 & 1);
    // The exponent's bias is 7 instead of 127.
    sign | ((rounded >> 20) - (120 << 3)).min(0x7e) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(field: Field) -> Vec<u8> {
        let mut bytes = Vec::new();
        Noise::new(1).fill(&[], 0, &mut bytes);
        Noise::new(1).fill(Box::leak(Box::new([(1, field)])), 40_000, &mut bytes);
        bytes
    }

    fn spread(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn weights_are_about_zero() {
        let bytes = filled(Field::F32);
        let values: Vec<f64> =
            bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value).into()).collect();
        let (mean, deviation) = spread(&values);
        assert!(mean.abs() < 1e-3 && (deviation - 0.02).abs() < 2e-3, "{mean} {deviation}");
    }

    #[test]
    fn codes_use_their_range() {
        let codes: Vec<f64> = filled(Field::I8).iter().map(|code| code.cast_signed().into()).collect();
        let (mean, deviation) = spread(&codes);
        assert!(mean.abs() < 2.0 && (30.0..45.0).contains(&deviation), "{mean} {deviation}");
        let nibbles = filled(Field::Nibbles);
        let codes: Vec<f64> = nibbles.iter().flat_map(|byte| [byte & 15, byte >> 4]).map(f64::from).collect();
        let (mean, deviation) = spread(&codes);
        assert!((mean - 8.0).abs() < 0.2 && (1.5..3.5).contains(&deviation), "{mean} {deviation}");
    }

    #[test]
    fn small_floats_are_the_nearest() {
        // 1.0 is 0x38, 448 the largest, 0x7e.
        assert_eq!(float8(1.0 / 4096.0), 0x38);
        assert_eq!(float8(-1.5 / 4096.0), 0xbc);
        assert_eq!(float8(448.0 / 4096.0), 0x7e);
        assert_eq!(float8(1000.0 / 4096.0), 0x7e);
        assert_eq!([1.06, 1.07, 1.0625].map(|it| float8(it / 4096.0)), [0x38, 0x39, 0x38]);
        assert_eq!([1.95, 0.015_624, 0.001].map(|it| float8(it / 4096.0)), [0x40, 0x08, 0x01]);
        assert_eq!(float8(0.0), 0);
    }
}
