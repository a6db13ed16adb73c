//! What an encoding can do: the decibels that its codes keep of weights that are spread as a normal distribution is.

#![expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]

use super::grid::Grid;
use super::sqnr_db;
use crate::{Encoding, Granularity, Operand, Parameter, QuantDescriptor};

/// The decibels that a quantized weight would keep if its numbers were normally distributed, each group of them scaled by
/// its largest and rounded to the nearest: what to judge a weight by, since four bits can never be as good as eight.
///
/// `None` for what is not quantized, for vectors, and for codes of more than sixteen bits, whose scales follow from others.
/// Scales are taken to be exact.
///
/// ```
/// use quantviz_core::{
///     DType, Encoding, Granularity, Operand, Parameter, QuantDescriptor, Role, Shape,
///     expected_sqnr_db,
/// };
///
/// let scale = Operand::One { value: 0.01, parameter: None };
/// let mut weight = Parameter::new("w", DType::I8, Shape::new([1024, 1024])?, Role::Weight);
/// weight.quantization =
///     QuantDescriptor::of_stored(Encoding::Qdq, "", DType::I8, Granularity::Tensor, scale, None);
/// let db = expected_sqnr_db(&weight).expect("a matrix of codes");
/// assert!((38.5..39.1).contains(&db));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn expected_sqnr_db(parameter: &Parameter) -> Option<f64> {
    let descriptor = parameter.quantization.as_ref()?;
    let dims = parameter.logical_shape().dims();
    let elements: u64 = dims.iter().product();
    if dims.len() < 2 || descriptor.bits > 16 || elements < 2 {
        return None;
    }
    let group = match &descriptor.granularity {
        Granularity::Axis(axis) => elements / dims.get(*axis).copied().filter(|dim| *dim > 0)?,
        Granularity::Block(sizes) => sizes
            .iter()
            .zip(dims)
            .map(|(size, dim)| size.min(dim))
            .fold(1u64, |all, size| all.saturating_mul(*size)),
        _ => elements,
    };
    let group = group.max(2) as f64;
    let stored = descriptor.computed.unwrap_or(parameter.dtype);
    let error = match Grid::of(descriptor, stored) {
        Grid::Even { low, high } if high - low >= FEW_STEPS => error_of_steps(descriptor, low, high, group),
        Grid::Even { low, high } => {
            // Files may say that there is one code, or none.
            let codes = (0..=14).map(|step| low + f64::from(step)).take_while(|code| *code <= high);
            let codes: Vec<f64> = codes.map(|code| code - middle(low, high)).collect();
            (codes.len() > 1).then(|| error_of_values(&codes, group, None))?
        }
        Grid::Uneven(values) => error_of_values(&values, group, largest_target(descriptor.encoding)),
    };
    // Of unit variance.
    sqnr_db(1.0, error)
}

/// Steps from which on errors are as good as evenly spread over each.
const FEW_STEPS: f64 = 14.0;

/// The code that stands for zero where as many are above as below it.
fn middle(low: f64, high: f64) -> f64 {
    if low < 0.0 { 0.0 } else { ((low + high) / 2.0).ceil() }
}

/// Scales that are powers of two leave the largest number anywhere between these.
fn largest_target(encoding: Encoding) -> Option<(f64, f64)> {
    (encoding == Encoding::Mxfp4).then_some((4.0, 8.0))
}

/// Of many even steps: a twelfth of the square of each.
fn error_of_steps(descriptor: &QuantDescriptor, low: f64, high: f64, group: f64) -> f64 {
    let (squared, exact) = match zero_is_free(descriptor, low, high) {
        // The smallest and the largest number are at the ends.
        true => (squared_range(group) / (high - low).powi(2), 2.0),
        false => {
            let zero = middle(low, high);
            let steps = if low < 0.0 { high } else { (high - zero).max(zero - low) };
            (squared_largest(group) / steps.powi(2), 1.0)
        }
    };
    squared / 12.0 * (1.0 - exact / group)
}

/// Whether zero-points or offsets follow the numbers, and so both ends of the codes are used.
fn zero_is_free(descriptor: &QuantDescriptor, low: f64, high: f64) -> bool {
    match &descriptor.zero_point {
        _ if descriptor.offset.is_some() => true,
        Some(Operand::One { value, .. }) => low >= 0.0 && *value != middle(low, high),
        Some(_) => low >= 0.0,
        None => false,
    }
}

/// Of any values: the errors of numbers side by side, as often as they are.
fn error_of_values(values: &[f64], group: f64, target: Option<(f64, f64)>) -> f64 {
    const NUMBERS: u32 = 2048;
    const TARGETS: u32 = 8;
    let grid = Grid::Uneven(values.to_vec());
    let (low, high) = grid.ends();
    let largest = squared_largest(group).sqrt();
    let end = high.max(-low);
    let errors = |target: f64| {
        let scale = largest / target;
        let squared = |number: f64| (number - scale * grid.nearest(number / scale)).powi(2);
        let (mut error, mut all) = (0.0, 0.0);
        for number in 0..NUMBERS {
            let number = (f64::from(number) + 0.5) / f64::from(NUMBERS) * 2.0 - 1.0;
            let number = number * largest;
            let share = (-number * number / 2.0).exp();
            error += share * squared(number);
            all += share;
        }
        // Every group has its largest number, however rare such numbers are.
        error / all * (1.0 - 1.0 / group) + squared(largest) / group
    };
    match target {
        Some((least, most)) => {
            let targets = (0..TARGETS).map(|step| {
                let step = (f64::from(step) + 0.5) / f64::from(TARGETS);
                least * (most / least).powf(step)
            });
            targets.map(errors).sum::<f64>() / f64::from(TARGETS)
        }
        None => errors(end),
    }
}

/// The mean of the square of the largest magnitude of so many normal numbers.
fn squared_largest(count: f64) -> f64 {
    integral(|number| {
        let all_smaller = (count * (-complement(number)).ln_1p()).exp();
        2.0 * number * (1.0 - all_smaller)
    })
}

/// The mean of the square of the distance between the smallest and the largest of so many normal numbers, as if these two
/// were independent.
fn squared_range(count: f64) -> f64 {
    let all_below = |number: f64| (count * (-complement(number) / 2.0).ln_1p()).exp();
    let all_above = |number: f64| (complement(number) / 2.0).powf(count);
    let mean = integral(|number| 1.0 - all_below(number) - all_above(number));
    let squared = integral(|number| 2.0 * number * (1.0 - all_below(number) + all_above(number)));
    2.0 * squared + 2.0 * mean * mean
}

/// From zero to where normal numbers end.
fn integral(f: impl Fn(f64) -> f64) -> f64 {
    const STEPS: u32 = 600;
    const END: f64 = 9.0;
    let width = END / f64::from(STEPS);
    (0..STEPS).map(|step| f((f64::from(step) + 0.5) * width)).sum::<f64>() * width
}

/// The share of normal numbers whose magnitude is larger than this: erfc(x/√2), to seven digits (Numerical Recipes 6.2).
fn complement(number: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = number / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + x / 2.0);
    let polynomial = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (polynomial - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview::NF4;
    use crate::{DType, OuterScale, Role, Shape};

    fn expected(dtype: DType, granularity: Granularity, change: impl Fn(&mut QuantDescriptor)) -> f64 {
        let mut weight = Parameter::new("w", dtype, Shape::new([1024, 1024]).expect("small"), Role::Weight);
        let scale = Operand::One { value: 1.0, parameter: None };
        let descriptor = QuantDescriptor::of_stored(Encoding::Other, "", dtype, granularity, scale, None);
        let mut descriptor = descriptor.expect("codes");
        change(&mut descriptor);
        weight.quantization = Some(descriptor);
        expected_sqnr_db(&weight).expect("a matrix of codes")
    }

    /// What quantizers reached on a matrix of a million normal numbers.
    #[test]
    fn it_is_what_quantizers_reach() {
        let block = |size| Granularity::Block(vec![1, size]);
        let zero = |value| Some(Operand::One { value, parameter: None });
        let symmetric = |it: &mut QuantDescriptor| it.zero_point = zero(8.0);
        let five_bits = |it: &mut QuantDescriptor| {
            (it.code_range, it.zero_point) = ((0.0, 31.0), zero(16.0));
        };
        let free = |it: &mut QuantDescriptor| it.offset = zero(0.0);
        let free_five = |it: &mut QuantDescriptor| (it.code_range, it.offset) = ((0.0, 31.0), zero(0.0));
        let nothing = |_: &mut QuantDescriptor| {};
        let table = |it: &mut QuantDescriptor| it.table = Some(NF4.to_vec());
        let power_of_two = |it: &mut QuantDescriptor| it.encoding = Encoding::Mxfp4;
        let two_levels = |it: &mut QuantDescriptor| {
            let scale = Operand::One { value: 1.0, parameter: None };
            it.outer_scale = Some(OuterScale { granularity: Granularity::Tensor, scale });
        };
        let cases: [(&str, f64, f64); 14] = [
            ("int8", 38.8, expected(DType::I8, Granularity::Tensor, nothing)),
            ("int8-channel", 42.1, expected(DType::I8, Granularity::Axis(0), nothing)),
            ("f8", 31.6, expected(DType::F8E4M3Fn, Granularity::Tensor, nothing)),
            ("int4-block32", 21.3, expected(DType::U4, block(32), symmetric)),
            ("int4-block32-asym", 21.9, expected(DType::U4, block(32), free)),
            ("int4-block128", 19.7, expected(DType::U4, block(128), symmetric)),
            ("nf4-block64", 20.7, expected(DType::U4, block(64), table)),
            ("nvfp4", 20.4, expected(DType::F4E2M1, block(16), two_levels)),
            ("mxfp4", 18.9, expected(DType::F4E2M1, block(32), power_of_two)),
            ("Q8_0", 45.4, expected(DType::I8, block(32), nothing)),
            ("Q5_1", 28.4, expected(DType::U8, block(32), free_five)),
            ("Q5_0", 27.4, expected(DType::U8, block(32), five_bits)),
            ("Q4_1", 22.1, expected(DType::U4, block(32), free)),
            ("Q4_0", 21.3, expected(DType::U4, block(32), symmetric)),
        ];
        let off: Vec<String> = cases
            .iter()
            .filter(|(_, reached, expected)| (reached - expected).abs() > 0.4)
            .map(|(what, reached, expected)| format!("{what}: {expected:.2} and not {reached}"))
            .collect();
        assert!(off.is_empty(), "{off:#?}");
    }

    #[test]
    fn codes_that_are_none() {
        let mut weight = Parameter::new("w", DType::I8, Shape::new([4, 4]).expect("small"), Role::Weight);
        let scale = Operand::One { value: 1.0, parameter: None };
        for range in [(1.0, 1.0), (3.0, -3.0), (f64::NAN, 1.0), (f64::NEG_INFINITY, f64::INFINITY)] {
            let descriptor = QuantDescriptor::of_stored(
                Encoding::Qdq,
                "",
                DType::I8,
                Granularity::Tensor,
                scale.clone(),
                None,
            );
            let descriptor = descriptor.map(|it| QuantDescriptor { code_range: range, ..it });
            weight.quantization = descriptor;
            assert_eq!(expected_sqnr_db(&weight), None, "{range:?}");
        }
    }

    #[test]
    fn what_nothing_is_expected_of() {
        let mut bias = Parameter::new("b", DType::I32, Shape::vector(64), Role::Bias);
        assert_eq!(expected_sqnr_db(&bias), None);
        let scale = Operand::One { value: 1.0, parameter: None };
        bias.quantization =
            QuantDescriptor::of_stored(Encoding::Qdq, "", DType::I32, Granularity::Tensor, scale, None);
        assert_eq!(expected_sqnr_db(&bias), None);
    }
}
