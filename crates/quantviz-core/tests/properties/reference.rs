//! The definitions, written out naively: values bit by bit, statistics in two passes, bins by search.

use quantviz_core::{DType, DTypeClass, Granularity, RangeSummary, Shape};
use quantviz_testkit::strategies::Tensor;

/// Every value of a tensor.
pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    (0..tensor.shape.elements() as usize).map(|index| value(tensor.dtype, &tensor.bytes, index)).collect()
}

fn value(dtype: DType, bytes: &[u8], index: usize) -> f64 {
    let bits = dtype.bits().expect("a fixed width") as usize;
    let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
    let code = (0..bits).fold(0, |code, place| code | bit(index * bits + place) << place);
    match dtype {
        DType::F64 => float(code, 11, 52, 1023, is_ieee),
        DType::F32 => float(code, 8, 23, 127, is_ieee),
        DType::F16 => float(code, 5, 10, 15, is_ieee),
        DType::Bf16 => float(code, 8, 7, 127, is_ieee),
        DType::F8E5M2 => float(code, 5, 2, 15, is_ieee),
        // Seven ones, of either sign, are the NaNs.
        DType::F8E4M3Fn => float(code, 4, 3, 7, |code, _, _| (code & 0x7f == 0x7f).then_some(f64::NAN)),
        // What would be minus zero is the NaN.
        DType::F8E4M3FnUz => float(code, 4, 3, 8, |code, _, _| (code == 0x80).then_some(f64::NAN)),
        DType::F8E5M2FnUz => float(code, 5, 2, 16, |code, _, _| (code == 0x80).then_some(f64::NAN)),
        DType::F6E2M3 => float(code, 2, 3, 1, |_, _, _| None),
        DType::F6E3M2 => float(code, 3, 2, 3, |_, _, _| None),
        DType::F4E2M1 => float(code, 2, 1, 1, |_, _, _| None),
        DType::F8E8M0 if code == 255 => f64::NAN,
        DType::F8E8M0 => power_of_two(code as i32 - 127),
        _ => match dtype.class() {
            DTypeClass::Bool => f64::from(u8::from(code != 0)),
            DTypeClass::Signed if code >> (bits - 1) == 1 => (i128::from(code) - (1 << bits)) as f64,
            _ => code as f64,
        },
    }
}

type Special = fn(code: u64, top_exponent: bool, mantissa: u64) -> Option<f64>;

fn is_ieee(_: u64, top_exponent: bool, mantissa: u64) -> Option<f64> {
    top_exponent.then_some(if mantissa == 0 { f64::INFINITY } else { f64::NAN })
}

fn float(code: u64, exponent_bits: u32, mantissa_bits: u32, bias: i32, special: Special) -> f64 {
    let mantissa = code & ((1 << mantissa_bits) - 1);
    let exponent = (code >> mantissa_bits & ((1 << exponent_bits) - 1)) as i32;
    let sign = if code >> (exponent_bits + mantissa_bits) == 1 { -1.0 } else { 1.0 };
    let ulp = |exponent: i32| power_of_two(exponent - bias - mantissa_bits as i32);
    let magnitude = match special(code, exponent == (1 << exponent_bits) - 1, mantissa) {
        Some(special) => special,
        None if exponent == 0 => mantissa as f64 * ulp(1),
        None => (mantissa + (1 << mantissa_bits)) as f64 * ulp(exponent),
    };
    sign * magnitude
}

/// Exact down to the smallest subnormal, where `powi` is not.
fn power_of_two(exponent: i32) -> f64 {
    let factor = if exponent < 0 { 0.5 } else { 2.0 };
    (0..exponent.abs()).fold(1.0, |power, _| power * factor)
}

/// The same number, or both none.
pub(crate) fn same(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
}

/// Two passes, with Neumaier's sums.
pub(crate) struct Statistics {
    pub(crate) finite: Vec<f64>,
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    /// What the error of the mean is measured against.
    pub(crate) mean_magnitude: f64,
    /// What the error of the variance is measured against; infinite where squares are too large for an f64.
    pub(crate) mean_square: f64,
}

impl Statistics {
    pub(crate) fn of(values: &[f64]) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let count = finite.len() as f64;
        let average = |f: &dyn Fn(f64) -> f64| sum(finite.iter().map(|&value| f(value) / count));
        // The sum of rounded shares can end an ulp beyond the largest number that there is.
        let mean = average(&|value| value).clamp(f64::MIN, f64::MAX);
        Statistics {
            mean,
            variance: average(&|value| (value - mean).powi(2)),
            mean_magnitude: average(&f64::abs),
            mean_square: average(&|value| value * value),
            finite,
        }
    }

    /// Whether the sum of the squares is no larger than the largest number that there is.
    fn adds_up(&self) -> bool {
        (self.mean_square * self.finite.len() as f64).is_finite()
    }
}

fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    if lost.is_finite() { sum + lost } else { sum }
}

/// Fails unless `summary` says of `values` what two passes say.
pub(crate) fn check_summary(summary: &RangeSummary, values: &[f64]) -> Result<(), String> {
    let count = |holds: fn(f64) -> bool| values.iter().filter(|&&value| holds(value)).count() as u64;
    let expected = Statistics::of(values);
    let counts = [
        ("count", summary.count(), values.len() as u64),
        ("finite", summary.finite(), expected.finite.len() as u64),
        ("nan", summary.nan(), count(f64::is_nan)),
        ("pos_inf", summary.pos_inf(), count(|value| value == f64::INFINITY)),
        ("neg_inf", summary.neg_inf(), count(|value| value == f64::NEG_INFINITY)),
        ("zeros", summary.zeros(), count(|value| value == 0.0)),
    ];
    for (name, found, expected) in counts {
        ensure(found == expected, || format!("{name} is {found}, not {expected}"))?;
    }
    let smallest = expected.finite.iter().copied().reduce(f64::min);
    let largest = expected.finite.iter().copied().reduce(f64::max);
    check_ends(summary, smallest, largest)?;
    let (Some(mean), Some(std)) = (summary.mean(), summary.std()) else {
        return ensure(expected.finite.is_empty(), || "a mean or a std is missing".to_owned());
    };
    ensure(!expected.finite.is_empty(), || "a mean of nothing".to_owned())?;
    close("mean", mean, expected.mean, 1e-12 * expected.mean_magnitude)?;
    if expected.adds_up() {
        close("variance", std * std, expected.variance, 1e-12 * expected.mean_square)?;
        let square = summary.l2().powi(2) / expected.finite.len() as f64;
        close("mean of squares", square, expected.mean_square, 4e-12 * expected.mean_square)?;
    }
    Ok(())
}

/// The same moments, to within what merging promises; all else exactly.
pub(crate) fn check_alike(one: &RangeSummary, other: &RangeSummary, values: &[f64]) -> Result<(), String> {
    let exact =
        |it: &RangeSummary| (it.count(), it.population(), it.nan(), it.pos_inf(), it.neg_inf(), it.zeros());
    ensure(exact(one) == exact(other), || format!("{:?} and {:?}", exact(one), exact(other)))?;
    check_ends(one, other.min(), other.max())?;
    let scale = Statistics::of(values);
    if let (Some(mean), Some(other)) = (one.mean(), other.mean()) {
        close("mean", mean, other, 1e-12 * scale.mean_magnitude)?;
    }
    match (one.std(), other.std()) {
        (Some(std), Some(other)) if scale.adds_up() => {
            close("variance", std * std, other * other, 1e-12 * scale.mean_square)
        }
        _ => Ok(()),
    }
}

/// To the bit, and zero without a sign.
fn check_ends(summary: &RangeSummary, low: Option<f64>, high: Option<f64>) -> Result<(), String> {
    let bits = |end: Option<f64>| end.map(|end| if end == 0.0 { 0 } else { end.to_bits() });
    let same = |end: Option<f64>, expected| end.map(f64::to_bits) == bits(expected);
    ensure(same(summary.min(), low), || format!("min is {:?}, not {low:?}", summary.min()))?;
    ensure(same(summary.max(), high), || format!("max is {:?}, not {high:?}", summary.max()))
}

/// Among subnormal numbers no relative error can hold, so they are free.
fn close(name: &str, found: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    let error = (found - expected).abs();
    ensure(error <= tolerance + f64::MIN_POSITIVE, || {
        format!("{name} is {found:e}, not {expected:e}: off by {error:e}, allowed {tolerance:e}")
    })
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// `numpy.histogram(values, bins, (low, high))` by its definition: the last edge that is not above the value.
pub(crate) fn histogram(values: &[f64], low: f64, high: f64, bins: usize) -> (Vec<f64>, Vec<u64>) {
    let step = (high - low) / bins as f64;
    let mut edges: Vec<f64> = (0..=bins).map(|index| low + index as f64 * step).collect();
    edges[bins] = high;
    let mut counts = vec![0; bins];
    for value in values.iter().filter(|&&value| low <= value && value <= high) {
        let edges_below = edges.iter().filter(|edge| *edge <= value).count();
        counts[(edges_below - 1).min(bins - 1)] += 1;
    }
    (edges, counts)
}

/// The group of every element, coordinate by coordinate, and how many groups there are.
pub(crate) fn groups(shape: &Shape, granularity: &Granularity) -> (Vec<usize>, usize) {
    let dims = shape.dims();
    let size = |axis: usize| match granularity {
        Granularity::Tensor => dims[axis],
        Granularity::Axis(split) if *split == axis => 1,
        Granularity::Axis(_) => dims[axis],
        Granularity::Block(sizes) => sizes[axis],
        other => panic!("a granularity that nobody has told of here: {other:?}"),
    };
    // Also an axis without length is whole.
    let groups_along =
        |axis: usize| if size(axis) == dims[axis] { 1 } else { dims[axis].div_ceil(size(axis)) };
    let group_of = |index: u64| {
        let coordinate = |axis: usize| index / shape.stride(axis) % dims[axis];
        (0..dims.len()).fold(0, |group, axis| group * groups_along(axis) + coordinate(axis) / size(axis))
    };
    let count: u64 = (0..dims.len()).map(groups_along).product();
    ((0..shape.elements()).map(|index| group_of(index) as usize).collect(), count as usize)
}
