//! The nearest code to a number, and what codes stand for.

/// What the codes of a scheme are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Codes {
    Whole(Whole),
    Float(SmallFloat),
    Table(&'static [f32; 16]),
}

/// Whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Whole {
    pub(super) low: f32,
    pub(super) high: f32,
    pub(super) arithmetic: Arithmetic,
}

/// How a number becomes a whole one. They differ where rounding in f32 decides, and codes are to be those of the
/// quantizer that a scheme is named for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arithmetic {
    /// Divided by the scale, rounded half to even, then the zero-point is added: ONNX's QuantizeLinear.
    DivideHalfToEven,
    /// Multiplied with the reciprocal of the scale, the zero-point added, then rounded half away from zero: the kernels
    /// behind MatMulNBits.
    MultiplyHalfAway,
}

/// Floating-point numbers of a few bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SmallFloat {
    mantissa_bits: i32,
    smallest_exponent: i32,
    largest: f32,
}

pub(super) const E4M3: SmallFloat = SmallFloat { mantissa_bits: 3, smallest_exponent: -6, largest: 448.0 };
pub(super) const E2M1: SmallFloat = SmallFloat { mantissa_bits: 1, smallest_exponent: 0, largest: 6.0 };

/// The quantiles of a normal distribution that bitsandbytes calls NF4.
pub(crate) const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_03,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// What a group of weights is rounded with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fitted {
    /// What codes are multiplied with; the product, where there are two levels.
    pub(super) scale: f64,
    /// The same for the way to codes, in the arithmetic of f32: what is divided by, or multiplied with.
    factor: f32,
    pub(super) zero_point: f32,
}

impl Fitted {
    pub(super) fn new(codes: &Codes, scale: f64, zero_point: f32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is that of f32")]
        let narrow = scale as f32;
        let factor = match codes {
            Codes::Whole(Whole { arithmetic: Arithmetic::MultiplyHalfAway, .. }) => {
                Some(narrow.recip()).filter(|reciprocal| reciprocal.is_finite()).unwrap_or(0.0)
            }
            // Everything becomes zero where there is no scale.
            _ if narrow == 0.0 => f32::INFINITY,
            _ => narrow,
        };
        Fitted { scale, factor, zero_point }
    }
}

impl Codes {
    /// The code of a number: of a table, its index; of small floats, their value.
    pub(super) fn code(&self, number: f32, to: &Fitted) -> f32 {
        match self {
            Codes::Whole(whole) => match whole.arithmetic {
                Arithmetic::DivideHalfToEven => whole.divided(number, to),
                Arithmetic::MultiplyHalfAway => whole.multiplied(number, to),
            },
            Codes::Float(float) => float.nearest(number / to.factor),
            Codes::Table(table) => (0u8..).zip(&**table).fold(0.0, |nearest, (code, _)| {
                if lies_above(table, code.into(), number / to.factor) { f32::from(code) } else { nearest }
            }),
        }
    }

    /// What a code means before it is scaled.
    pub(super) fn value(&self, code: f32) -> f64 {
        match self {
            Codes::Whole(_) | Codes::Float(_) => code.into(),
            Codes::Table(table) => crate::dequantize::in_table(&table[..], code.into()),
        }
    }

    /// The sum of the squares of what numbers lose.
    #[inline(always)]
    pub(super) fn squared_error(&self, numbers: &[f32], to: &Fitted) -> f64 {
        let zero_point = f64::from(to.zero_point);
        match self {
            Codes::Whole(whole) => {
                let real = |code: f32| to.scale * (f64::from(code) - zero_point);
                match whole.arithmetic {
                    Arithmetic::DivideHalfToEven => sum_of_squares(
                        numbers,
                        #[inline(always)]
                        |number| f64::from(number) - real(whole.divided(number, to)),
                    ),
                    Arithmetic::MultiplyHalfAway => sum_of_squares(
                        numbers,
                        #[inline(always)]
                        |number| f64::from(number) - real(whole.multiplied(number, to)),
                    ),
                }
            }
            Codes::Float(float) => sum_of_squares(
                numbers,
                #[inline(always)]
                |number| f64::from(number) - to.scale * f64::from(float.nearest(number / to.factor)),
            ),
            Codes::Table(table) => sum_of_squares(
                numbers,
                #[inline(always)]
                |number| f64::from(number) - to.scale * f64::from(in_table(table, number / to.factor)),
            ),
        }
    }
}

impl Whole {
    #[inline(always)]
    fn divided(&self, number: f32, to: &Fitted) -> f32 {
        ((number / to.factor).round_ties_even() + to.zero_point).max(self.low).min(self.high)
    }

    #[inline(always)]
    fn multiplied(&self, number: f32, to: &Fitted) -> f32 {
        (number * to.factor + to.zero_point).round().max(self.low).min(self.high)
    }
}

impl SmallFloat {
    /// The nearest of them, the one with the even code where two are; the largest where there is none so large.
    #[inline(always)]
    pub(super) fn nearest(&self, number: f32) -> f32 {
        let size = number.abs().min(self.largest);
        let exponent = (size.to_bits() >> 23).cast_signed() - BIAS;
        let step = power_of_two(exponent.max(self.smallest_exponent) - self.mantissa_bits);
        ((size / step).round_ties_even() * step).copysign(number)
    }
}

const BIAS: i32 = 127;

/// Of exponents that normal numbers have.
#[inline(always)]
pub(super) fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits((exponent + BIAS).cast_unsigned() << 23)
}

/// Whether a number is nearer to this entry of a table than to the one before.
#[inline(always)]
fn lies_above(table: &[f32; 16], entry: usize, number: f32) -> bool {
    entry > 0 && number > f32::midpoint(table[entry - 1], table[entry])
}

/// The nearest entry.
#[inline(always)]
fn in_table(table: &[f32; 16], number: f32) -> f32 {
    let mut nearest = table[0];
    for entry in 1..16 {
        nearest = if lies_above(table, entry, number) { table[entry] } else { nearest };
    }
    nearest
}

/// Several sums at a time, because additions that wait for each other are slow; always the same, so that the result is.
#[inline(always)]
pub(super) fn sum_of_squares(numbers: &[f32], of: impl Fn(f32) -> f64) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let rows = numbers.chunks_exact(LANES);
    let rest: f64 = rows.remainder().iter().map(|&number| of(number)).map(|it| it * it).sum();
    for row in rows {
        for (sum, &number) in sums.iter_mut().zip(row) {
            let it = of(number);
            *sum += it * it;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::minifloat::Rounding;

    #[test]
    fn small_floats_are_rounded_as_their_tables_say() {
        for (float, dtype) in [(E4M3, DType::F8E4M3Fn), (E2M1, DType::F4E2M1)] {
            let by_table = Rounding::to(dtype);
            let sizes = (0..4000u16).map(|step| f32::from(step) / 7.0);
            let halves = (0..4096u16).map(|step| f32::from(step) / 512.0);
            for number in sizes.chain(halves).flat_map(|size| [size, -size]) {
                assert_eq!(float.nearest(number), by_table.nearest(number), "{number} as {dtype}");
            }
        }
    }

    #[test]
    fn the_nearest_entry_of_a_table() {
        let codes = Codes::Table(&NF4);
        let to = Fitted::new(&codes, 2.0, 0.0);
        for step in -220i16..=220 {
            let number = f32::from(step) / 100.0;
            let nearest =
                NF4.iter().copied().min_by(|a, b| (a - number).abs().total_cmp(&(b - number).abs()));
            let nearest = nearest.expect("sixteen of them");
            assert_eq!(in_table(&NF4, number), nearest, "{number}");
            let code = codes.code(2.0 * number, &to);
            assert_eq!(
                Some(code),
                NF4.iter().zip(0u8..).find(|(it, _)| **it == nearest).map(|(_, i)| i.into())
            );
        }
    }

    #[test]
    fn halves_go_where_each_quantizer_sends_them() {
        let whole = |arithmetic| Codes::Whole(Whole { low: 0.0, high: 15.0, arithmetic });
        let code = |arithmetic, number| {
            let codes = whole(arithmetic);
            codes.code(number, &Fitted::new(&codes, 0.5, 8.0))
        };
        assert_eq!([0.25, 0.75, -0.25].map(|it| code(Arithmetic::DivideHalfToEven, it)), [8.0, 10.0, 8.0]);
        assert_eq!([0.25, 0.75, -0.25].map(|it| code(Arithmetic::MultiplyHalfAway, it)), [9.0, 10.0, 8.0]);
        assert_eq!([100.0, -100.0].map(|it| code(Arithmetic::DivideHalfToEven, it)), [15.0, 0.0]);
    }

    #[test]
    fn without_a_scale_everything_is_zero() {
        for codes in [Codes::Float(E2M1), Codes::Table(&NF4)] {
            let to = Fitted::new(&codes, 0.0, 0.0);
            assert_eq!(codes.squared_error(&[0.0, 0.5], &to), 0.25);
        }
    }
}
