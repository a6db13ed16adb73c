//! The real values of long runs of byte-sized codes: the codes of each run are counted, and each of the 256 that there are
//! is scaled once.

use fearless_simd::{Select, Simd, SimdBase, SimdInt, SimdSplit, SimdWiden, f32x8, f64x4, f64x8, u32x8};

use crate::code_counts::{CODES, CodeCounts, TABLES, Tables, add, code_values_of, count};
use crate::dequantize::{Affine, Run, in_table};
use crate::{DType, Elements, RangeSummary};

/// Counts one run after the other.
pub(crate) struct RunCounts {
    dtype: DType,
    /// What every code stands for before it is scaled.
    values: [f64; CODES],
    tables: Tables,
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
        let values = std::array::from_fn(value);
        Some(RunCounts { dtype, values, tables: [[0; CODES]; TABLES], all: [0; CODES] })
    }

    /// How often each code occurred in all runs.
    pub(crate) fn into_counts(self) -> CodeCounts {
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
            self.add_counted(simd, &run.affine, codes.len() as u64, total);
        }
    }

    #[inline(always)]
    fn add_counted<S: Simd>(&mut self, simd: S, affine: &Affine, count: u64, total: &mut RangeSummary) {
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
        add(&mut self.all, &self.tables[0]);
        self.tables = [[0; CODES]; TABLES];
    }

    /// What the counts of a run come to, which are put together in the first table. `None` where some number is not
    /// finite.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "no run is so long")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sums of counts")]
    fn summary<S: Simd>(&mut self, simd: S, affine: &Affine, count: u64) -> Option<RangeSummary> {
        let [first, others @ ..] = &mut self.tables;
        for table in others {
            first.iter_mut().zip(table).for_each(|(all, times)| *all += *times);
        }
        let (values, counts) = (self.values.as_chunks::<8>().0, first.as_chunks::<8>().0);
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
