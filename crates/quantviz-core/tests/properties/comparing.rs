//! What quantization cost, against the definitions; and pairs that are found whatever they are called.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{
    BinnedValues, Compare, ComparedPair, Comparison, DType, Encoding, Fidelity, Gain, Granularity, MatchedBy,
    MemorySource, Operand, ParameterSource, QuantDescriptor, Role, Shape, SourceExt,
};

/// Numbers that are roughly normal, and no two matrices alike.
pub(crate) fn numbers(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    Array2::from_shape_fn((rows, columns), |_| (0..6).map(|_| uniform()).sum::<f32>() * 0.05)
}

/// How a test quantizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme {
    pub(crate) dtype: DType,
    /// Rows and columns of a group.
    pub(crate) group: (usize, usize),
    /// What scales are multiplied with: less than one clips.
    pub(crate) narrow: f32,
}

struct Quantized {
    codes: Array2<i16>,
    scales: Vec<f32>,
    zero_points: Vec<i16>,
}

impl Scheme {
    fn range(self) -> (f32, f32) {
        self.dtype.range().map_or((0.0, 0.0), |(low, high)| (low as f32, high as f32))
    }

    fn quantize(self, numbers: ArrayView2<'_, f32>) -> Quantized {
        let (low, high) = self.range();
        let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
        let mut codes = Array2::zeros(numbers.raw_dim());
        for (block, mut into) in
            numbers.exact_chunks(self.group).into_iter().zip(codes.exact_chunks_mut(self.group))
        {
            let largest = block.iter().fold(0f32, |most, it| most.max(it.abs())).max(1e-6);
            let zero = if low == 0.0 { ((high + 1.0) / 2.0).floor() } else { 0.0 };
            let scale = largest / (high - zero) * self.narrow;
            into.zip_mut_with(&block, |code, value| {
                *code = ((value / scale).round_ties_even() + zero).clamp(low, high) as i16;
            });
            scales.push(scale);
            zero_points.push(zero as i16);
        }
        Quantized { codes, scales, zero_points }
    }

    /// A source with the codes under a name, and what scales them.
    pub(crate) fn source(
        self,
        source: MemorySource,
        name: &str,
        numbers: ArrayView2<'_, f32>,
    ) -> MemorySource {
        self.scaled_source(source, name, numbers, 1.0)
    }

    /// The same with scales that are wrong by a factor.
    fn scaled_source(
        self,
        source: MemorySource,
        name: &str,
        numbers: ArrayView2<'_, f32>,
        factor: f32,
    ) -> MemorySource {
        let Quantized { codes, mut scales, zero_points } = self.quantize(numbers);
        scales.iter_mut().for_each(|scale| *scale *= factor);
        let bytes: Vec<u8> = codes.iter().map(|code| code.to_le_bytes()[0]).collect();
        let zeros: Vec<u8> = zero_points.iter().map(|zero| zero.to_le_bytes()[0]).collect();
        let shape = Shape::new([numbers.nrows() as u64, numbers.ncols() as u64]).expect("small");
        let source = source
            .with(format!("{name}.s"), Array1::from(scales))
            .with_bytes(format!("{name}.z"), self.dtype, Shape::vector(zeros.len() as u64), &zeros)
            .and_then(|source| source.with_bytes(name, self.dtype, shape, &bytes))
            .expect("as many bytes");
        let operand = |name: String| source.model().parameter_named(&name).map(Operand::Parameter);
        let granularity = match self.group {
            (rows, columns) if (rows, columns) == numbers.dim() => Granularity::Tensor,
            (1, columns) if columns == numbers.ncols() => Granularity::Axis(0),
            (rows, 1) if rows == numbers.nrows() => Granularity::Axis(1),
            (rows, columns) => Granularity::Block(vec![rows as u64, columns as u64]),
        };
        let scale = operand(format!("{name}.s")).expect("was added");
        let zero_point = operand(format!("{name}.z"));
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Other, "a test", self.dtype, granularity, scale, zero_point);
        let mut source = source.quantized(descriptor.expect("holds codes")).expect("the groups fit");
        roles(&mut source);
        source
    }
}

pub(crate) fn roles(source: &mut MemorySource) {
    for parameter in &mut source.model_mut().parameters {
        parameter.role = match parameter.name.rsplit_once('.').map(|(_, end)| end) {
            Some("s") => Role::Scale,
            Some("z") => Role::ZeroPoint,
            _ => Role::Weight,
        };
    }
}

pub(crate) fn reference(named: &[(&str, Array2<f32>)]) -> MemorySource {
    let mut source = named.iter().fold(MemorySource::new(), |all, (name, it)| all.with(*name, it.clone()));
    roles(&mut source);
    source
}

pub(crate) fn compare(reference: &MemorySource, quantized: &MemorySource) -> Comparison {
    Compare::new()
        .bins(BINS)
        .run(reference, quantized, &|_| ControlFlow::Continue(()))
        .expect("nobody calls it off")
}

/// The measures, one number after the other.
fn by_definition(
    numbers: ArrayView2<'_, f32>,
    real: ArrayView2<'_, f64>,
    scales: &Array2<f64>,
    scheme: Scheme,
    narrow: bool,
) -> [f64; 9] {
    let (low, high) = scheme.range();
    let (mut low, high) = (f64::from(low), f64::from(high));
    if narrow {
        low = -high;
    }
    let zero = if low == 0.0 { ((high + 1.0) / 2.0).floor() } else { 0.0 };
    let slack = (high - low) * 2f64.powi(-20) + 1e-6;
    let n = numbers.len() as f64;
    let mut sums = [0.0f64; 9];
    for ((r, q), s) in numbers.iter().zip(real).zip(scales) {
        let r = f64::from(*r);
        let e = r - q;
        let target = r / s + zero;
        let rounded = s * (target.round_ties_even().clamp(low, high) - zero);
        let is_clipped = target > high + 0.5 + slack || target < low - 0.5 - slack;
        sums[0] += r * r;
        sums[1] += e * e;
        sums[2] += e / n;
        sums[3] = sums[3].max(e.abs());
        sums[4] += (r - rounded).powi(2);
        sums[5] += f64::from(u8::from(is_clipped)) / n;
        sums[6] += if is_clipped { e * e } else { 0.0 };
        sums[7] += f64::from(u8::from(!is_clipped && e.abs() > s.abs() / 2.0 * (1.0 + 2f64.powi(-10))));
        sums[8] += r * q;
    }
    sums
}

const BINS: usize = 12;

/// How many numbers are in each bin, below the first and above the last, one number after the other.
fn binned<'a>(numbers: impl Iterator<Item = &'a f64> + Clone, low: f64, high: f64) -> (Vec<u64>, u64, u64) {
    let step = (high - low) / BINS as f64;
    let edge = |index: usize| if index == BINS { high } else { index as f64 * step + low };
    let holds = |index: usize, it: f64| {
        edge(index) <= it && (it < edge(index + 1) || index + 1 == BINS && it == high)
    };
    let count = |holds: &dyn Fn(f64) -> bool| numbers.clone().filter(|it| holds(**it)).count() as u64;
    let counts = (0..BINS).map(|index| count(&|it| holds(index, it))).collect();
    (counts, count(&|it| it < low), count(&|it| it > high))
}

/// Whether both histograms of a pair are those of these numbers, over the range of the reference.
fn are_spread_like(pair: &ComparedPair, numbers: &[f64], real: &[f64]) -> bool {
    let histograms = pair.histograms.as_ref().expect("it has a range");
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [(&histograms.reference, numbers), (&histograms.quantized, real)].into_iter().all(|(found, expected)| {
        let BinnedValues { histogram, below, above, nan, .. } = found;
        (histogram.low, histogram.high, *nan) == (low, high, 0)
            && (histogram.counts.clone(), *below, *above) == binned(expected.iter(), low, high)
            && found.count() == expected.len() as u64
    })
}

fn close(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() <= 1e-9 * expected.abs().max(1e-12))
}

fn schemes() -> impl Strategy<Value = ((usize, usize), Scheme)> {
    let shapes = (1..5usize, 1..5usize).prop_map(|(rows, columns)| (rows * 4, columns * 16));
    (shapes, select(vec![DType::I8, DType::U8]), 0..5usize, select(vec![1.0f32, 0.7])).prop_map(
        |((rows, columns), dtype, kind, narrow)| {
            // Where blocks do not have to fit, vectors do not either.
            let columns = columns + if matches!(kind, 2 | 3) { 0 } else { 3 };
            let group = [(rows, columns), (1, columns), (1, 16), (4, 16), (rows, 1)][kind];
            ((rows, columns), Scheme { dtype, group, narrow })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A scale that is wrong is not taken for channels that were multiplied.
    #[test]
    fn a_factor_that_all_values_have_is_told(
        ((rows, columns), scheme) in schemes(),
        seed in 1..1000u64,
        factor in select(vec![0.4f32, 0.95, 1.0, 1.05, 2.0, -1.0]),
    ) {
        let scheme = Scheme { narrow: 1.0, ..scheme };
        let numbers = numbers(rows, columns, seed);
        let from = reference(&[("w", numbers.clone())]);
        let of = scheme.scaled_source(MemorySource::new(), "w_quantized", numbers.view(), factor);
        let compared = compare(&from, &of);
        prop_assert_eq!(compared.pairs.len(), 1, "{:?}", compared);
        let pair = &compared.pairs[0];
        prop_assert!(matches!(pair.pair.alignment.gain, Gain::None), "{:?}", pair.pair.alignment);
        let found = pair.fidelity.as_ref().expect("readable").common_factor;
        match factor == 1.0 {
            true => prop_assert_eq!(found, None),
            false => prop_assert!(
                found.is_some_and(|found| (found - f64::from(factor)).abs() < 0.01 * f64::from(factor.abs())),
                "{:?}", found
            ),
        }
    }

    #[test]
    fn measures_are_those_of_the_definition(((rows, columns), scheme) in schemes(), seed in 1..1000u64) {
        let numbers = numbers(rows, columns, seed);
        let from = reference(&[("w", numbers.clone())]);
        let of = scheme.source(MemorySource::new(), "w_quantized", numbers.view());
        let compared = compare(&from, &of);
        prop_assert_eq!(compared.pairs.len(), 1, "{:?}", compared);
        let pair = &compared.pairs[0];
        prop_assert_eq!(pair.pair.matched_by, MatchedBy::Name);
        let fidelity: &Fidelity = pair.fidelity.as_ref().expect("readable");

        let id = of.model().parameter_named("w_quantized").expect("was added");
        let codes = of.array(id)?;
        let scales = of.values(id, quantviz_core::Part::Scales)?;
        let (height, width) = scheme.group;
        let per_row = columns / width;
        let scale_of = |row: usize, column: usize| scales[row / height * per_row + column / width];
        let zero = if scheme.dtype == DType::U8 { 128.0 } else { 0.0 };
        let scales = Array2::from_shape_fn((rows, columns), |(row, column)| scale_of(row, column));
        let real = Array2::from_shape_fn((rows, columns), |at| scales[at] * (codes[[at.0, at.1]] - zero));
        let narrow = scheme.dtype == DType::I8 && codes.iter().all(|&code| code > -128.0);
        let [s, e, mean, most, rounded, clipped, clip_error, off_grid, product] =
            by_definition(numbers.view(), real.view(), &scales, scheme, narrow);
        let n = numbers.len() as f64;
        prop_assert!(close(fidelity.sqnr_db, 10.0 * (s / e).log10()), "{} {:?} {:?}", 10.0 * (s / e).log10(), pair.pair, fidelity);
        prop_assert!(close(fidelity.rtn_sqnr_db, 10.0 * (s / rounded).log10()), "{} {:?}", 10.0 * (s / rounded).log10(), fidelity);
        prop_assert!(close(fidelity.mse, e / n), "{:?}", fidelity);
        prop_assert!((fidelity.mean_error.expect("there are some") - mean).abs() < 1e-12);
        prop_assert!(close(fidelity.max_abs_error, most), "{:?}", fidelity);
        prop_assert!((fidelity.clipped.expect("there are some") - clipped).abs() < 1e-12, "{:?} {}", fidelity, clipped);
        prop_assert!((fidelity.clip_noise.expect("there is some") - clip_error / e).abs() < 1e-9, "{:?}", fidelity);
        prop_assert!((fidelity.off_grid.expect("there are some") - off_grid / (n * (1.0 - clipped))).abs() < 1e-9);
        let quantized: f64 = real.iter().map(|it| it * it).sum();
        prop_assert!(close(fidelity.cosine, product / (s * quantized).sqrt()), "{:?}", fidelity);
        // Channels are rows, unless columns have the scales, and add up to the whole.
        let channels = fidelity.channels.as_ref().expect("it is a matrix");
        let (axis, len) = if width == 1 { (1, columns) } else { (0, rows) };
        prop_assert_eq!((channels.axis, channels.all.len()), (axis, len));
        let in_each = n / len as f64;
        let all: f64 = channels.all.iter().map(|it| it.mse * in_each).sum();
        prop_assert!((all - e).abs() <= 1e-9 * e);

        let numbers: Vec<f64> = numbers.iter().copied().map(f64::from).collect();
        let real: Vec<f64> = real.iter().copied().collect();
        prop_assert!(are_spread_like(pair, &numbers, &real), "{:?}", pair.histograms);
        let counts = pair.codes.as_ref().expect("eight bits");
        prop_assert_eq!(counts.iter().map(|(_, times)| times).sum::<u64>(), numbers.len() as u64);
        for (code, times) in counts {
            prop_assert_eq!(codes.iter().filter(|it| *it == code).count() as u64, *times);
        }
    }
}

/// What the codes of a test stand for: it has a scale for each row, and no zero-points.
fn reals(of: &MemorySource, name: &str) -> Vec<f64> {
    let id = of.model().parameter_named(name).expect("was added");
    let scales = of.values(id, quantviz_core::Part::Scales).expect("readable");
    let codes = of.array(id).expect("readable");
    let per_scale = codes.len() / scales.len();
    codes.iter().enumerate().map(|(index, code)| scales[index / per_scale] * code).collect()
}

pub(crate) const INT8: Scheme = Scheme { dtype: DType::I8, group: (1, 1), narrow: 1.0 };

fn per_tensor(numbers: &Array2<f32>) -> Scheme {
    Scheme { group: numbers.dim(), ..INT8 }
}

#[test]
fn pairs_are_found_whatever_they_are_called() {
    let all: Vec<Array2<f32>> = (1..7).map(|seed| numbers(40, 48, seed)).collect();
    let names = ["a", "b", "c", "d", "e", "f"];
    let named: Vec<_> = names.into_iter().zip(all.iter().cloned()).collect();
    let from = reference(&named);
    // Backwards, and every other one transposed.
    let mut of = MemorySource::new();
    for (index, numbers) in all.iter().enumerate().rev() {
        let turned =
            if index % 2 == 0 { numbers.clone() } else { numbers.t().as_standard_layout().to_owned() };
        of = per_tensor(&turned).source(of, &format!("q{index}"), turned.view());
    }
    let compared = compare(&from, &of);
    assert!(
        compared.unmatched_quantized.is_empty() && compared.unmatched_reference.is_empty(),
        "{compared:?}"
    );
    for pair in &compared.pairs {
        let index: usize = of.model().parameter(pair.pair.quantized).name[1..].parse().expect("a number");
        assert_eq!(pair.pair.reference.index(), index);
        assert_eq!(
            (pair.pair.matched_by, pair.pair.alignment.transposed),
            (MatchedBy::Value, index % 2 == 1)
        );
        assert!(pair.fidelity.as_ref().expect("readable").sqnr_db.expect("not exact") > 30.0);
        let numbers: Vec<f64> = all[index].iter().copied().map(f64::from).collect();
        assert!(are_spread_like(pair, &numbers, &reals(&of, &format!("q{index}"))), "q{index}");
    }
    assert!(
        compared.weights.sqnr_db.is_some_and(|db| (30.0..60.0).contains(&db)),
        "{:?}",
        compared.weights.sqnr_db
    );
}

#[test]
fn parts_of_a_merged_weight() {
    let (rows, columns) = (numbers(24, 32, 5), numbers(32, 24, 9));
    let from = reference(&[("rows", rows.clone()), ("columns", columns.clone())]);
    let mut of = MemorySource::new();
    for part in 0..3usize {
        let some = rows.slice(s![part * 8..part * 8 + 8, ..]).to_owned();
        of = per_tensor(&some).source(of, &format!("r{part}"), some.view());
        let some = columns.slice(s![.., part * 8..part * 8 + 8]).t().as_standard_layout().to_owned();
        of = per_tensor(&some).source(of, &format!("c{part}"), some.view());
    }
    let compared = compare(&from, &of);
    assert!(compared.unmatched_quantized.is_empty(), "{:?}", compared.unmatched_quantized);
    for pair in &compared.pairs {
        let name = &of.model().parameter(pair.pair.quantized).name;
        let part: u64 = name[1..].parse().expect("a number");
        let split = pair.pair.alignment.split.as_ref().expect("it is a part");
        let of_rows = name.starts_with('r');
        assert_eq!((split.axis, split.range.start), (usize::from(!of_rows), part * 8), "{name}");
        assert_eq!(pair.pair.alignment.transposed, !of_rows);
        let part = part as usize * 8..part as usize * 8 + 8;
        let part = if of_rows { rows.slice(s![part, ..]) } else { columns.slice(s![.., part]) };
        let part: Vec<f64> = part.iter().copied().map(f64::from).collect();
        assert!(are_spread_like(pair, &part, &reals(&of, name)), "{name}");
        assert!(pair.fidelity.as_ref().expect("readable").sqnr_db.expect("not exact") > 30.0, "{name}");
    }
}

#[test]
fn channels_that_were_multiplied() {
    let numbers = numbers(16, 64, 3);
    let from = reference(&[("w", numbers.clone())]);
    let mut multiplied = numbers.clone();
    for (row, mut numbers) in multiplied.axis_iter_mut(Axis(0)).enumerate() {
        numbers *= 0.5 + row as f32 / 8.0;
    }
    let scheme = Scheme { group: (1, 64), ..INT8 };
    let compared = compare(&from, &scheme.source(MemorySource::new(), "w", multiplied.view()));
    let pair = &compared.pairs[0];
    let Gain::Output(factors) = &pair.pair.alignment.gain else { panic!("{:?}", pair.pair.alignment) };
    assert!((factors[8] - 1.5).abs() < 0.01, "{factors:?}");
    let rows = numbers.outer_iter().zip(factors);
    let folded: Vec<f64> = rows
        .flat_map(|(row, factor)| row.to_owned().into_iter().map(move |it| f64::from(it) * factor))
        .collect();
    let of = scheme.source(MemorySource::new(), "w", multiplied.view());
    assert!(are_spread_like(pair, &folded, &reals(&of, "w")));
    assert!(pair.fidelity.as_ref().expect("readable").sqnr_db.expect("not exact") > 35.0);
}

#[test]
fn what_does_not_belong_is_said_to() {
    let from = reference(&[("w", numbers(32, 32, 1)), ("v", numbers(8, 8, 2))]);
    let of = per_tensor(&numbers(32, 32, 1)).source(MemorySource::new(), "w", numbers(32, 32, 77).view());
    let compared = compare(&from, &of);
    assert!(compared.pairs.is_empty());
    assert!(compared.unmatched_quantized[0].why.contains("nothing of its size is like it"), "{compared:?}");
    assert_eq!(compared.unmatched_reference.len(), 2);
    assert_eq!((compared.weights.sqnr_db, compared.bits_per_weight), (None, None));

    let twins = reference(&[("one", numbers(32, 32, 1)), ("other", numbers(32, 32, 1))]);
    let of = per_tensor(&numbers(32, 32, 1)).source(MemorySource::new(), "w", numbers(32, 32, 1).view());
    let compared = compare(&twins, &of);
    assert!(compared.unmatched_quantized[0].why.contains("ambiguous: "), "{compared:?}");
}

#[test]
fn what_is_exact_and_what_has_no_energy() {
    let powers =
        Array2::from_shape_fn((8, 8), |(row, column)| (row as f32 - 4.0) * (column as f32 - 3.0) + 0.0);
    let from = reference(&[("w", powers.clone())]);
    let scheme = Scheme { group: (8, 8), ..INT8 };
    let exact = Array2::from_shape_fn((8, 8), |at| powers[at] * 127.0 / 16.0 / (127.0 / 16.0));
    let compared = compare(&from, &scheme.source(MemorySource::new(), "w", exact.view()));
    let fidelity = compared.pairs[0].fidelity.as_ref().expect("readable");
    assert!(fidelity.exact || fidelity.sqnr_db.is_some_and(|db| db > 40.0), "{fidelity:?}");

    let nothing = reference(&[("w", Array2::zeros((8, 8)))]);
    let compared = compare(&nothing, &scheme.source(MemorySource::new(), "w", Array2::zeros((8, 8)).view()));
    let fidelity = compared.pairs[0].fidelity.as_ref().expect("readable");
    assert!(
        fidelity.exact && fidelity.sqnr_db.is_none() && fidelity.relative_error.is_none(),
        "{fidelity:?}"
    );
}
