//! The real values of short runs of codes of which there are at most sixteen: how often each occurs in a run is found by
//! comparing all of it with each, many at a time, and whatever a code means is computed once for each run.

use fearless_simd::{Select, Simd, SimdBase, SimdMask, f64x4, u8x32};

use crate::code_counts::{CODES, CodeCounts, code_values_of};
use crate::dequantize::{Affine, Run, in_table};
use crate::{DType, Elements, RangeSummary};

/// Sums over runs.
pub(crate) struct FewCodes {
    dtype: DType,
    /// What every code stands for before it is scaled.
    values: [f64; FEW],
    all: [u64; FEW],
    sums: Sums,
    /// Codes that were packed.
    unpacked: Vec<u8>,
}

pub(crate) const FEW: usize = 16;
const LANES: usize = 4;

/// Runs that are put together: so few that sums lose no digits, and a better mean is soon known.
const AT_ONCE: usize = 256;
/// Codes that are compared at once.
const ROW: usize = 32;

struct Sums {
    runs: usize,
    count: u64,
    /// A number that is roughly the mean: the sums are of distances from it.
    near: f64,
    distances: [f64; LANES],
    squares: [f64; LANES],
    zeros: [f64; LANES],
    low: [f64; LANES],
    high: [f64; LANES],
}

impl Sums {
    fn near(near: f64) -> Self {
        let none = [0.0; LANES];
        let (low, high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        Sums { runs: 0, count: 0, near, distances: none, squares: none, zeros: none, low, high }
    }
}

impl FewCodes {
    /// Of codes in a table, or of packed ones; `None` where there are more than a few.
    pub(crate) fn of(elements: &Elements<'_>, table: Option<&[f32]>) -> Option<Self> {
        let dtype = elements.dtype();
        let fits = match elements {
            Elements::U8(_) => table.is_some_and(|table| table.len() <= FEW),
            Elements::Packed(packed) => packed.bits() <= 4 && table.is_none(),
            _ => false,
        };
        let code_value = code_values_of(dtype);
        let value = |code| table.map_or(code_value(code), |table| in_table(table, code_value(code)));
        let sums = Sums::near(0.0);
        fits.then(|| FewCodes {
            dtype,
            values: std::array::from_fn(value),
            all: [0; FEW],
            sums,
            unpacked: Vec::new(),
        })
    }

    /// Adds a run; false, and nothing added, where a code is none of the few, or stands for no finite number.
    #[inline(always)]
    pub(crate) fn add<S: Simd>(&mut self, simd: S, run: &Run<'_>, total: &mut RangeSummary) -> bool {
        let counts = match run.codes {
            Elements::U8(codes) => count(simd, codes),
            Elements::Packed(packed) => {
                self.unpacked.clear();
                packed.push_codes(&mut self.unpacked);
                count(simd, &self.unpacked)
            }
            _ => None,
        };
        let Some(counts) = counts else { return false };
        if self.sums.runs >= AT_ONCE {
            self.empty_into(total);
        }
        if !self.scale(simd, &counts, &run.affine) {
            return false;
        }
        self.sums.runs += 1;
        self.sums.count += run.codes.len() as u64;
        self.all.iter_mut().zip(counts).for_each(|(all, times)| *all += u64::from(times));
        true
    }

    #[inline(always)]
    fn scale<S: Simd>(&mut self, simd: S, counts: &[u16; FEW], affine: &Affine) -> bool {
        let load = |lanes: &[f64; LANES]| f64x4::load_array_ref(simd, lanes);
        let none = f64x4::splat(simd, 0.0);
        let sums = &mut self.sums;
        let (mut distances, mut squares, mut zeros) = (none, none, load(&sums.zeros));
        let (mut low, mut high) = (load(&sums.low), load(&sums.high));
        let values = self.values.as_chunks::<LANES>().0;
        for (values, counts) in values.iter().zip(counts.as_chunks::<LANES>().0) {
            let counts = load(&counts.map(f64::from));
            let occurs = counts.simd_gt(0.0);
            let real = (load(values) - affine.zero_point) * affine.scale + affine.offset;
            // What does not occur may be no number.
            let distance = occurs.select(real - sums.near, none);
            distances += distance * counts;
            squares += distance * distance * counts;
            zeros += real.simd_eq(0.0).select(counts, none);
            low = low.min(occurs.select(real, low));
            high = high.max(occurs.select(real, high));
        }
        if !squares.reduce_sum().is_finite() {
            return false;
        }
        sums.distances = (load(&sums.distances) + distances).into();
        sums.squares = (load(&sums.squares) + squares).into();
        (sums.zeros, sums.low, sums.high) = (zeros.into(), low.into(), high.into());
        true
    }

    /// Adds everything to `total`.
    pub(crate) fn empty_into(&mut self, total: &mut RangeSummary) {
        let sums = &self.sums;
        if sums.count > 0 {
            let low = sums.low.iter().copied().fold(f64::INFINITY, f64::min);
            let high = sums.high.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sums of counts")]
            let zeros = sums.zeros.iter().sum::<f64>() as u64;
            let (distances, squares) = (sums.distances.iter().sum(), sums.squares.iter().sum());
            total.merge(&RangeSummary::of_sums(
                sums.count,
                sums.near,
                distances,
                squares,
                (low, high),
                zeros,
            ));
        }
        self.sums = Sums::near(total.mean().unwrap_or(0.0));
    }

    /// How often each code occurred in all runs that were added.
    pub(crate) fn into_counts(self) -> CodeCounts {
        let mut counts = [0; CODES];
        counts[..FEW].copy_from_slice(&self.all);
        CodeCounts::new(self.dtype, counts)
    }
}

/// How often each code occurs; `None` where there are others.
#[inline(always)]
fn count<S: Simd>(simd: S, codes: &[u8]) -> Option<[u16; FEW]> {
    let (rows, rest) = codes.as_chunks::<ROW>();
    let mut counts = [0u16; FEW];
    for row in rows {
        let row = u8x32::load_array_ref(simd, row);
        for (code, count) in (0u8..).zip(&mut counts) {
            *count += of_bits(row.simd_eq(code).to_bitmask());
        }
    }
    for &code in rest {
        *counts.get_mut(usize::from(code))? += 1;
    }
    let found: usize = counts.iter().map(|&count| usize::from(count)).sum();
    (found == codes.len()).then_some(counts)
}

#[inline(always)]
fn of_bits(mask: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
    let ones = mask.count_ones() as u16;
    ones
}
