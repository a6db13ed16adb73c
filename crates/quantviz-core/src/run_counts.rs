//! The real values of long runs of byte-sized codes: the codes of each run are counted, and each of the 256 that there are
//! is scaled once.

use fearless_simd::{
    Bytes, Select, Simd, SimdBase, SimdFloat, SimdInt, SimdSplit, SimdWiden, f32x8, f64x4, f64x8, i32x8,
    u32x8,
};

use crate::code_counts::{CODES, CodeCounts, TABLES, Tables, add, code_values_of, count};
use crate::dequantize::{Affine, Run, in_table};
use crate::group_sums::{Centre, KnownSums, LEFT, TAME};
use crate::{DType, Elements, RangeSummary};

/// Counts one run after the other.
pub(crate) struct RunCounts {
    dtype: DType,
    /// What every code stands for before it is scaled.
    values: [f64; CODES],
    /// The same and its square, but zero where it is no finite number.
    powers: [[f64; CODES]; 2],
    /// The codes for finite numbers, the least of these first, and the others.
    order: Vec<u8>,
    odd: Vec<u8>,
    /// Whether all the others are whole numbers, so that sums of them and of their squares are exact.
    are_whole: bool,
    tables: Tables,
    /// The counts of runs that are not in `all` yet.
    recent: [u32; CODES],
    /// How many codes these are.
    recent_len: usize,
    all: [u64; CODES],
}

/// Counts are exact in `f32` up to here.
const LONGEST: usize = 1 << 24;

impl RunCounts {
    /// Of elements like these; `None` where they have more than eight bits.
    pub(crate) fn of(elements: &Elements<'_>, table: Option<&[f32]>) -> Option<Self> {
        let dtype = elements.dtype();
        dtype.bits().filter(|&bits| bits <= 8)?;
        let code_value = code_values_of(dtype);
        let value = |code| table.map_or(code_value(code), |table| in_table(table, code_value(code)));
        let values: [f64; CODES] = std::array::from_fn(value);
        let finite = values.map(|value| if value.is_finite() { value } else { 0.0 });
        let (mut order, odd): (Vec<u8>, Vec<u8>) =
            (0..=u8::MAX).partition(|&code| values[usize::from(code)].is_finite());
        order
            .sort_unstable_by(|&one, &other| values[usize::from(one)].total_cmp(&values[usize::from(other)]));
        Some(RunCounts {
            dtype,
            values,
            powers: [finite, finite.map(|value| value * value)],
            order,
            odd,
            are_whole: finite.iter().all(|value| value.trunc() == *value && value.abs() <= 255.0),
            tables: [[0; CODES]; TABLES],
            recent: [0; CODES],
            recent_len: 0,
            all: [0; CODES],
        })
    }

    /// How often each code occurred in all runs.
    pub(crate) fn into_counts(mut self) -> CodeCounts {
        add(&mut self.all, &self.recent);
        CodeCounts::new(self.dtype, self.all)
    }

    /// Adds a run.
    #[inline(always)]
    pub(crate) fn add<S: Simd>(&mut self, simd: S, run: &Run<'_>, total: &mut RangeSummary) {
        for start in (0..run.codes.len()).step_by(LONGEST) {
            let codes = run.codes.slice(start..run.codes.len().min(start + LONGEST));
            if count(&codes, &mut self.tables).is_none() {
                return;
            }
            if self.recent_len + codes.len() > u32::MAX as usize {
                add(&mut self.all, &self.recent);
                (self.recent, self.recent_len) = ([0; CODES], 0);
            }
            self.recent_len += codes.len();
            self.add_counted(simd, &run.affine, codes.len() as u64, total);
        }
    }

    #[inline(always)]
    fn add_counted<S: Simd>(&mut self, simd: S, affine: &Affine, count: u64, total: &mut RangeSummary) {
        let [sum, squares] = simd.vectorize(
            #[inline(always)]
            || self.put_together(simd),
        );
        if !self.add_sums(affine, count, [sum, squares], total) {
            let summary = simd.vectorize(
                #[inline(always)]
                || self.summary(simd, affine, count),
            );
            let summary = summary.unwrap_or_else(|| {
                let counts = self.tables[0].iter().map(|&times| u64::from(times));
                let reals = self.values.iter().map(|&value| affine.real(value));
                RangeSummary::of_counted(reals.zip(counts))
            });
            total.merge(&summary);
        }
        self.tables[0] = [0; CODES];
    }

    /// Puts the counts of a run together in the first table, and adds up what the codes stand for before they are scaled,
    /// and the squares of that.
    #[inline(always)]
    fn put_together<S: Simd>(&mut self, simd: S) -> [f64; 2] {
        let none = f64x4::splat(simd, 0.0);
        let (mut sums, mut squares) = ([none; 2], [none; 2]);
        let [first, second, third, fourth] = self.tables.each_mut().map(|table| table.as_chunks_mut::<8>().0);
        let recent = self.recent.as_chunks_mut::<8>().0;
        let [values, value_squares] = self.powers.each_ref().map(|powers| powers.as_chunks::<8>().0);
        for place in 0..CODES / 8 {
            let load = |table: &[u32; 8]| u32x8::load_array_ref(simd, table);
            let counts =
                load(&first[place]) + load(&second[place]) + load(&third[place]) + load(&fourth[place]);
            first[place] = counts.into();
            recent[place] = (load(&recent[place]) + counts).into();
            (second[place], third[place], fourth[place]) = ([0; 8], [0; 8], [0; 8]);
            let counts: i32x8<S> = counts.bitcast();
            let (low, high) = counts.to_float::<f32x8<S>>().widen();
            let (low_value, high_value) = f64x8::load_array_ref(simd, &values[place]).split();
            sums = [low.mul_add(low_value, sums[0]), high.mul_add(high_value, sums[1])];
            let (low_value, high_value) = f64x8::load_array_ref(simd, &value_squares[place]).split();
            squares = [low.mul_add(low_value, squares[0]), high.mul_add(high_value, squares[1])];
        }
        [sums, squares].map(|[low, high]| (low + high).reduce_sum())
    }

    /// Adds a run by its sums, and says whether they tell enough.
    #[inline(always)]
    fn add_sums(
        &self,
        affine: &Affine,
        count: u64,
        [sum, squares]: [f64; 2],
        total: &mut RangeSummary,
    ) -> bool {
        let zero_point = affine.zero_point;
        let is_exact = zero_point == 0.0
            || self.are_whole && zero_point.trunc() == zero_point && zero_point.abs() <= 255.0;
        if !is_exact || affine.offset != 0.0 || !TAME.contains(&affine.scale.abs()) {
            return false;
        }
        let occurs = |code: &u8| self.tables[0][usize::from(*code)] > 0;
        if self.odd.iter().any(occurs) {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "no run is so long")]
        let len = count as f64;
        let squares = squares - zero_point * (2.0 * sum - len * zero_point);
        let sum = sum - len * zero_point;
        if squares - sum * sum / len <= LEFT * squares {
            return false;
        }
        let value = |code: u8| self.values[usize::from(code)];
        let first_zero = self.order.partition_point(|&code| value(code) < zero_point);
        let zero_codes = self.order[first_zero..].iter().take_while(|&&code| value(code) == zero_point);
        let zeros = zero_codes.map(|&code| u64::from(self.tables[0][usize::from(code)])).sum();
        let known = KnownSums { count, sum, squares, zeros };
        total.merge(&known.summary(affine, &Centre::ZERO, self.ends(affine, total)));
        true
    }

    /// The least and the largest number of a run, or what is known already and reaches as far.
    #[inline(always)]
    fn ends(&self, affine: &Affine, known: &RangeSummary) -> (f64, f64) {
        let known = known.min().zip(known.max());
        let is_beyond = |value: &f64| known.is_none_or(|(low, high)| *value < low || *value > high);
        let real = |code: &u8| affine.real(self.values[usize::from(*code)]);
        let occurs = |code: &&u8| self.tables[0][usize::from(**code)] > 0;
        let up = self.order.iter().take_while(|code| is_beyond(&real(code))).find(occurs).map(real);
        let down = self.order.iter().rev().take_while(|code| is_beyond(&real(code))).find(occurs).map(real);
        let found = up.into_iter().chain(down).map(|end| (end, end));
        found.chain(known).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))).unwrap_or((0.0, 0.0))
    }

    /// What the counts of a run come to. `None` where some number is not
    /// finite.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "no run is so long")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sums of counts")]
    fn summary<S: Simd>(&self, simd: S, affine: &Affine, count: u64) -> Option<RangeSummary> {
        let (values, counts) = (self.values.as_chunks::<8>().0, self.tables[0].as_chunks::<8>().0);
        let none = f64x4::splat(simd, 0.0);
        let (mut sum, mut zeros) = (none, none);
        let (mut low, mut high) = (f64x4::splat(simd, f64::INFINITY), f64x4::splat(simd, f64::NEG_INFINITY));
        for (values, counts) in values.iter().zip(counts) {
            for (reals, counts) in reals(simd, values, counts, affine) {
                let occurs = counts.simd_gt(0.0);
                sum += reals * counts;
                zeros += reals.simd_eq(0.0).select(counts, none);
                low = low.min(occurs.select(reals, low));
                high = high.max(occurs.select(reals, high));
            }
        }
        let mean = sum.reduce_sum() / count as f64;
        if !mean.is_finite() {
            return None;
        }
        let mut squares = none;
        for (values, counts) in values.iter().zip(counts) {
            for (reals, counts) in reals(simd, values, counts, affine) {
                let distances = reals - mean;
                squares += distances * distances * counts;
            }
        }
        let (low, high) = (low.reduce_min(), high.reduce_max());
        let (squares, zeros) = (squares.reduce_sum(), zeros.reduce_sum());
        squares
            .is_finite()
            .then(|| RangeSummary::of_sums(count, mean, 0.0, squares, (low, high), zeros as u64))
    }
}

/// The real numbers of eight codes, and how often they occur. What does not occur may be no number, and is zero here.
#[inline(always)]
fn reals<S: Simd>(
    simd: S,
    values: &[f64; 8],
    counts: &[u32; 8],
    affine: &Affine,
) -> [(f64x4<S>, f64x4<S>); 2] {
    let counts: f32x8<S> = u32x8::load_array_ref(simd, counts).to_float();
    let (first, second) = counts.widen();
    let (low, high) = f64x8::load_array_ref(simd, values).split();
    let none = f64x4::splat(simd, 0.0);
    let low = (low - affine.zero_point) * affine.scale + affine.offset;
    let high = (high - affine.zero_point) * affine.scale + affine.offset;
    [(first.simd_gt(0.0).select(low, none), first), (second.simd_gt(0.0).select(high, none), second)]
}
