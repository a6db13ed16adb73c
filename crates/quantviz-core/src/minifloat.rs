//! The values of every code of the types with at most eight bits, as tables.

use std::sync::LazyLock;

use crate::{DType, DTypeClass};

/// The value of every code of `dtype`, in the order of the codes; `None` for types of more than eight bits.
pub fn code_values(dtype: DType) -> Option<&'static [f32]> {
    static TABLES: LazyLock<Vec<(DType, Vec<f32>)>> = LazyLock::new(|| {
        let small =
            DType::ALL.iter().filter_map(|&dtype| Some((dtype, dtype.bits().filter(|&bits| bits <= 8)?)));
        small
            .map(|(dtype, bits)| (dtype, (0..1u16 << bits).map(|code| decode(dtype, bits, code)).collect()))
            .collect()
    });
    TABLES.iter().find(|(of, _)| *of == dtype).map(|(_, table)| table.as_slice())
}

/// Rounding to the numbers of a small float type.
pub(crate) struct Rounding {
    /// Its finite numbers in ascending order, and whether their codes are even.
    numbers: Vec<(f32, bool)>,
}

impl Rounding {
    pub(crate) fn to(dtype: DType) -> Self {
        let codes = code_values(dtype).unwrap_or_default().iter().enumerate();
        let mut numbers: Vec<(f32, bool)> = codes
            .filter(|(_, value)| value.is_finite())
            .map(|(code, &value)| (value, code % 2 == 0))
            .collect();
        numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Rounding { numbers }
    }

    /// The nearest number, the one with the even code where two are; the last where there is none so large.
    pub(crate) fn nearest(&self, value: f32) -> f32 {
        if value.is_nan() {
            return value;
        }
        let above = self.numbers.partition_point(|(number, _)| number.total_cmp(&value).is_lt());
        let number = |index: usize| self.numbers.get(index).copied();
        match (above.checked_sub(1).and_then(number), number(above)) {
            (Some((below, below_is_even)), Some((above, _))) => {
                let (down, up) = (f64::from(value) - f64::from(below), f64::from(above) - f64::from(value));
                if down < up || (down == up && below_is_even) { below } else { above }
            }
            (Some((last, _)), None) | (None, Some((last, _))) => last,
            (None, None) => f32::NAN,
        }
    }
}

/// What the codes with all exponent bits set stand for.
#[derive(PartialEq)]
enum Top {
    /// Infinities and NaNs, as in IEEE 754.
    InfinitiesAndNaNs,
    /// Numbers, but for the very last code (of each sign), a NaN.
    LastIsNaN,
    /// Numbers; "minus zero" is the only NaN.
    MinusZeroIsNaN,
    /// Numbers throughout.
    Numbers,
}

fn decode(dtype: DType, bits: u32, code: u16) -> f32 {
    match dtype {
        DType::F8E4M3Fn => float(code, 4, 3, 7, &Top::LastIsNaN),
        DType::F8E4M3FnUz => float(code, 4, 3, 8, &Top::MinusZeroIsNaN),
        DType::F8E5M2 => float(code, 5, 2, 15, &Top::InfinitiesAndNaNs),
        DType::F8E5M2FnUz => float(code, 5, 2, 16, &Top::MinusZeroIsNaN),
        DType::F6E2M3 => float(code, 2, 3, 1, &Top::Numbers),
        DType::F6E3M2 => float(code, 3, 2, 3, &Top::Numbers),
        DType::F4E2M1 => float(code, 2, 1, 1, &Top::Numbers),
        DType::F8E8M0 if code == 255 => f32::NAN,
        DType::F8E8M0 => 2f32.powi(i32::from(code) - 127),
        _ => match dtype.class() {
            DTypeClass::Bool => f32::from(u8::from(code != 0)),
            DTypeClass::Signed if code >> (bits - 1) == 1 => f32::from(code) - f32::from(1u16 << bits),
            _ => f32::from(code),
        },
    }
}

fn float(code: u16, exponent_bits: u32, mantissa_bits: u32, bias: i32, top: &Top) -> f32 {
    let sign_bit = 1 << (exponent_bits + mantissa_bits);
    let sign = if code & sign_bit == 0 { 1.0 } else { -1.0 };
    let magnitude = code & (sign_bit - 1);
    let exponent = i32::from(magnitude >> mantissa_bits);
    let mantissa = magnitude & ((1 << mantissa_bits) - 1);
    let fraction = f32::from(mantissa) / f32::from(1u16 << mantissa_bits);
    let all_exponent_bits = exponent == (1 << exponent_bits) - 1;
    match top {
        Top::InfinitiesAndNaNs if all_exponent_bits && mantissa == 0 => return sign * f32::INFINITY,
        Top::InfinitiesAndNaNs if all_exponent_bits => return f32::NAN,
        Top::LastIsNaN if magnitude == sign_bit - 1 => return f32::NAN,
        Top::MinusZeroIsNaN if code == sign_bit => return f32::NAN,
        _ => {}
    }
    match exponent {
        0 => sign * fraction * 2f32.powi(1 - bias),
        _ => sign * (1.0 + fraction) * 2f32.powi(exponent - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(dtype: DType) -> &'static [f32] {
        code_values(dtype).expect("a small type")
    }

    #[test]
    fn landmarks_of_the_ocp_and_onnx_specifications() {
        let e4m3 = table(DType::F8E4M3Fn);
        assert_eq!((e4m3[0x01], e4m3[0x38], e4m3[0x7e], e4m3[0xfe]), (0.001953125, 1.0, 448.0, -448.0));
        assert!(e4m3[0x7f].is_nan() && e4m3[0xff].is_nan());
        let e4m3uz = table(DType::F8E4M3FnUz);
        assert_eq!((e4m3uz[0x7f], e4m3uz[0x40]), (240.0, 1.0));
        assert!(e4m3uz[0x80].is_nan());
        let e5m2 = table(DType::F8E5M2);
        assert_eq!((e5m2[0x7b], e5m2[0x7c], e5m2[0xfc]), (57344.0, f32::INFINITY, f32::NEG_INFINITY));
        assert!(e5m2[0x7d].is_nan());
        assert_eq!(table(DType::F8E5M2FnUz)[0x7f], 57344.0);
        assert_eq!(table(DType::F4E2M1)[..8], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(table(DType::F6E2M3)[31], 7.5);
        assert_eq!(table(DType::F6E3M2)[31], 28.0);
        assert_eq!((table(DType::F8E8M0)[127], table(DType::F8E8M0)[0]), (1.0, 2f32.powi(-127)));
    }

    #[test]
    fn the_nearest_of_a_few_numbers() {
        let e4m3 = |value| Rounding::to(DType::F8E4M3Fn).nearest(value);
        assert_eq!((e4m3(0.99), e4m3(-3.3), e4m3(1e9), e4m3(f32::NEG_INFINITY)), (1.0, -3.25, 448.0, -448.0));
        // 17 lies between 16 and 18, 19 between 18 and 20: the even code is that of 16, then that of 20.
        assert_eq!((e4m3(17.0), e4m3(19.0), e4m3(-17.0)), (16.0, 20.0, -16.0));
        assert!(e4m3(f32::NAN).is_nan());
        let e2m1 = Rounding::to(DType::F4E2M1);
        assert_eq!((e2m1.nearest(5.0), e2m1.nearest(2.5), e2m1.nearest(0.0)), (4.0, 2.0, 0.0));
        assert!(e2m1.nearest(-0.0).is_sign_negative());
    }

    #[test]
    fn integers_in_twos_complement() {
        assert_eq!(table(DType::I4)[7..10], [7.0, -8.0, -7.0]);
        assert_eq!(table(DType::I2), [0.0, 1.0, -2.0, -1.0]);
        assert_eq!(table(DType::I8)[128], -128.0);
        assert_eq!(table(DType::U4).len(), 16);
        assert_eq!(table(DType::Bool)[..3], [0.0, 1.0, 1.0]);
        assert_eq!(code_values(DType::F16), None);
    }
}
