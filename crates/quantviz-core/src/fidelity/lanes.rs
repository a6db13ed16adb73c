//! Errors of eight numbers at a time: of one channel, or of eight channels side by side.

use fearless_simd::{Select, Simd, SimdBase, SimdFloat, SimdMask, f64x8};

use super::sums::{ErrorSums, Judge, OFF};
use crate::dequantize::Affine;

pub(super) const LANES: usize = 8;

/// Sums, each for eight lanes. What they are of is told by their names in [`ErrorSums`].
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    count: [f64; LANES],
    non_finite: [f64; LANES],
    broken: [f64; LANES],
    silenced: [f64; LANES],
    reference: [f64; LANES],
    error: [f64; LANES],
    signed_error: [f64; LANES],
    quantized: [f64; LANES],
    max_error: [f64; LANES],
    rounded_error: [f64; LANES],
    clipped: [f64; LANES],
    clipped_error: [f64; LANES],
    off_grid: [f64; LANES],
    off_grid_error: [f64; LANES],
    at_ends: [f64; LANES],
    reference_low: [f64; LANES],
    reference_high: [f64; LANES],
    quantized_low: [f64; LANES],
    quantized_high: [f64; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        let (none, low, high) = ([0.0; LANES], [f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        Lanes {
            count: none,
            non_finite: none,
            broken: none,
            silenced: none,
            reference: none,
            error: none,
            signed_error: none,
            quantized: none,
            max_error: none,
            rounded_error: none,
            clipped: none,
            clipped_error: none,
            off_grid: none,
            off_grid_error: none,
            at_ends: none,
            reference_low: low,
            reference_high: high,
            quantized_low: low,
            quantized_high: high,
        }
    }
}

/// What eight codes are computed with.
#[derive(Clone, Copy)]
pub(super) struct Scales<S: Simd> {
    scale: f64x8<S>,
    /// One by it.
    inverse: f64x8<S>,
    zero_point: f64x8<S>,
    offset: f64x8<S>,
}

impl<S: Simd> Scales<S> {
    /// The same for all of them; `None` where codes mean all the same, or nothing.
    #[inline(always)]
    pub(super) fn all(simd: S, affine: &Affine) -> Option<Self> {
        let splat = |value: f64| f64x8::splat(simd, value);
        affine.is_usable().then(|| Scales {
            scale: splat(affine.scale),
            inverse: splat(1.0 / affine.scale),
            zero_point: splat(affine.zero_point),
            offset: splat(affine.offset),
        })
    }

    /// One for each.
    #[inline(always)]
    pub(super) fn each(simd: S, columns: &Columns) -> Self {
        let load = |all: &[f64; LANES]| f64x8::load_array_ref(simd, all);
        Scales {
            scale: load(&columns.scale),
            inverse: load(&columns.inverse),
            zero_point: load(&columns.zero_point),
            offset: load(&columns.offset),
        }
    }
}

/// What the codes of eight columns are computed with.
pub(super) struct Columns {
    scale: [f64; LANES],
    inverse: [f64; LANES],
    zero_point: [f64; LANES],
    offset: [f64; LANES],
}

impl Columns {
    /// `None` where the codes of one mean all the same, or nothing.
    pub(super) fn of(affine: [Affine; LANES]) -> Option<Self> {
        affine.iter().all(Affine::is_usable).then(|| Columns {
            scale: affine.map(|it| it.scale),
            inverse: affine.map(|it| 1.0 / it.scale),
            zero_point: affine.map(|it| it.zero_point),
            offset: affine.map(|it| it.offset),
        })
    }
}

impl Affine {
    /// Whether no code becomes a number that is not finite.
    fn is_usable(&self) -> bool {
        const LARGE: f64 = 1e100;
        let inverse = 1.0 / self.scale;
        inverse.is_finite() && [self.scale, self.zero_point, self.offset].iter().all(|it| it.abs() < LARGE)
    }
}

/// Numbers and the values of their codes as they lie side by side, and what rounds to each of these where they are not
/// whole numbers.
pub(super) struct Numbers<'a> {
    pub(super) reference: &'a [f64],
    pub(super) values: &'a [f64],
    pub(super) cells: Option<(&'a [f64], &'a [f64])>,
}

impl Numbers<'_> {
    /// The eight from a place on.
    #[inline(always)]
    fn eight<S: Simd>(simd: S, numbers: &[f64], at: usize) -> Option<f64x8<S>> {
        Some(f64x8::load_array_ref(simd, numbers.get(at..)?.first_chunk()?))
    }

    /// What rounds to the code at a place.
    #[inline(always)]
    pub(super) fn cell(&self, at: usize) -> Option<(f64, f64)> {
        let (lows, highs) = self.cells?;
        Some((*lows.get(at)?, *highs.get(at)?))
    }
}

/// Sums over numbers that are all rounded to the nearest and none of which is clipped.
struct Plain<S: Simd> {
    rows: f64,
    reference: f64x8<S>,
    error: f64x8<S>,
    signed_error: f64x8<S>,
    quantized: f64x8<S>,
    max_error: f64x8<S>,
    reference_low: f64x8<S>,
    reference_high: f64x8<S>,
    quantized_low: f64x8<S>,
    quantized_high: f64x8<S>,
}

impl Lanes {
    /// Adds rows of eight numbers, each from one of these places on, as long as they are nothing but rounded to the nearest:
    /// what most of all numbers are. Says which row is not, and is not added. What is summed up stays in registers.
    #[inline(always)]
    pub(super) fn add_plain<S: Simd>(
        &mut self,
        simd: S,
        numbers: &Numbers<'_>,
        places: &mut impl Iterator<Item = usize>,
        scales: &Scales<S>,
        judge: &Judge<'_>,
    ) -> Option<usize> {
        let load = |lanes: &[f64; LANES]| f64x8::load_array_ref(simd, lanes);
        let mut plain = Plain {
            rows: 0.0,
            reference: load(&self.reference),
            error: f64x8::splat(simd, 0.0),
            signed_error: load(&self.signed_error),
            quantized: load(&self.quantized),
            max_error: load(&self.max_error),
            reference_low: load(&self.reference_low),
            reference_high: load(&self.reference_high),
            quantized_low: load(&self.quantized_low),
            quantized_high: load(&self.quantized_high),
        };
        let shift = scales.zero_point - scales.offset * scales.inverse;
        let mut other = None;
        for at in places {
            let r = Numbers::eight(simd, numbers.reference, at);
            let value = Numbers::eight(simd, numbers.values, at);
            let (Some(r), Some(value)) = (r, value) else { break };
            // The last digit may differ from that of a division: whatever is that near to the end of a cell is as near to both.
            let target = r.mul_add(scales.inverse, shift);
            let is_nearest = match numbers.cells {
                None => target.round_ties_even().simd_eq(value),
                Some((lows, highs)) => {
                    let (low, high) = (Numbers::eight(simd, lows, at), Numbers::eight(simd, highs, at));
                    let (Some(low), Some(high)) = (low, high) else { break };
                    target.simd_ge(low) & target.simd_le(high)
                }
            };
            let is_plain = is_nearest & value.simd_gt(judge.ends.0) & value.simd_lt(judge.ends.1);
            if !is_plain.all_true() {
                other = Some(at);
                break;
            }
            let q = (value - scales.zero_point).mul_add(scales.scale, scales.offset);
            let e = r - q;
            plain.rows += 1.0;
            plain.reference = r.mul_add(r, plain.reference);
            plain.error = e.mul_add(e, plain.error);
            plain.signed_error += e;
            plain.quantized = q.mul_add(q, plain.quantized);
            plain.max_error = plain.max_error.max(e.abs());
            plain.reference_low = plain.reference_low.min(r);
            plain.reference_high = plain.reference_high.max(r);
            plain.quantized_low = plain.quantized_low.min(q);
            plain.quantized_high = plain.quantized_high.max(q);
        }
        self.count = (load(&self.count) + plain.rows).into();
        self.error = (load(&self.error) + plain.error).into();
        self.rounded_error = (load(&self.rounded_error) + plain.error).into();
        self.reference = plain.reference.into();
        self.signed_error = plain.signed_error.into();
        self.quantized = plain.quantized.into();
        self.max_error = plain.max_error.into();
        self.reference_low = plain.reference_low.into();
        self.reference_high = plain.reference_high.into();
        self.quantized_low = plain.quantized_low.into();
        self.quantized_high = plain.quantized_high.into();
        other
    }

    /// Adds eight numbers from a place on, the codes of which are whole numbers; false, and nothing added, where some
    /// number is not finite.
    #[inline(always)]
    pub(super) fn add<S: Simd>(
        &mut self,
        simd: S,
        numbers: &Numbers<'_>,
        at: usize,
        scales: &Scales<S>,
        judge: &Judge<'_>,
    ) -> bool {
        let r = Numbers::eight(simd, numbers.reference, at);
        let value = Numbers::eight(simd, numbers.values, at);
        let (Some(r), Some(value)) = (r, value) else { return false };
        let q = (value - scales.zero_point) * scales.scale + scales.offset;
        // Zero times what is not finite is not zero.
        if !((r + q) * 0.0).simd_eq(0.0).all_true() {
            return false;
        }
        let none = f64x8::splat(simd, 0.0);
        let one = f64x8::splat(simd, 1.0);
        let e = r - q;
        let square = e * e;
        let sum =
            |all: &mut [f64; LANES], more: f64x8<S>| *all = (f64x8::load_array_ref(simd, all) + more).into();
        sum(&mut self.count, one);
        sum(&mut self.reference, r * r);
        sum(&mut self.error, square);
        sum(&mut self.signed_error, e);
        sum(&mut self.quantized, q * q);
        let size = e.abs();
        self.max_error = f64x8::load_array_ref(simd, &self.max_error).max(size).into();
        self.reference_low = f64x8::load_array_ref(simd, &self.reference_low).min(r).into();
        self.reference_high = f64x8::load_array_ref(simd, &self.reference_high).max(r).into();
        self.quantized_low = f64x8::load_array_ref(simd, &self.quantized_low).min(q).into();
        self.quantized_high = f64x8::load_array_ref(simd, &self.quantized_high).max(q).into();
        let at_ends = value.simd_le(judge.ends.0) | value.simd_ge(judge.ends.1);
        let target = (r - scales.offset) * scales.inverse + scales.zero_point;
        let nearest = target.round_ties_even();
        if nearest.simd_eq(value).all_true() && !at_ends.any_true() {
            // Rounded to the nearest, all of them, and none clipped: no more is to be known.
            sum(&mut self.rounded_error, square);
            return true;
        }
        sum(&mut self.at_ends, at_ends.select(one, none));
        let nearest = nearest.max(judge.ends.0).min(judge.ends.1);
        let rounded = r - ((nearest - scales.zero_point) * scales.scale + scales.offset);
        sum(&mut self.rounded_error, rounded * rounded);
        let clipped = target.simd_lt(judge.bounds.0) | target.simd_gt(judge.bounds.1);
        let off_grid = size.simd_gt(scales.scale.abs() * (0.5 * OFF)) & !clipped;
        // Most files have neither.
        if clipped.any_true() {
            sum(&mut self.clipped, clipped.select(one, none));
            sum(&mut self.clipped_error, clipped.select(square, none));
        }
        if off_grid.any_true() {
            sum(&mut self.off_grid, off_grid.select(one, none));
            sum(&mut self.off_grid_error, off_grid.select(square, none));
        }
        true
    }

    /// Adds one number to a lane, whatever it is. What rounds to its code is known where that is no whole number.
    pub(super) fn add_one(
        &mut self,
        lane: usize,
        (r, value): (f64, f64),
        cell: Option<(f64, f64)>,
        affine: &Affine,
        judge: &Judge<'_>,
    ) {
        self.count[lane] += 1.0;
        let q = affine.real(value);
        if !(r.is_finite() && q.is_finite()) {
            self.non_finite[lane] += 1.0;
            self.broken[lane] += f64::from(u8::from(r.is_finite()));
            return;
        }
        let e = r - q;
        let square = e * e;
        self.reference[lane] += r * r;
        self.error[lane] += square;
        self.signed_error[lane] += e;
        self.quantized[lane] += q * q;
        self.max_error[lane] = self.max_error[lane].max(e.abs());
        self.reference_low[lane] = self.reference_low[lane].min(r);
        self.reference_high[lane] = self.reference_high[lane].max(r);
        self.quantized_low[lane] = self.quantized_low[lane].min(q);
        self.quantized_high[lane] = self.quantized_high[lane].max(q);
        self.at_ends[lane] += f64::from(u8::from(value <= judge.ends.0 || value >= judge.ends.1));
        if affine.scale == 0.0 {
            // Nothing can be rounded where all codes mean the same.
            self.rounded_error[lane] += square;
            self.silenced[lane] += r * r;
            return;
        }
        let target = (r - affine.offset) / affine.scale + affine.zero_point;
        if cell.is_some_and(|(low, high)| low <= target && target <= high) {
            self.rounded_error[lane] += square;
            return;
        }
        // Nothing that rounds to a code is further from it than the larger part of its cell.
        let half_gap = || match cell {
            Some((low, high)) => (value - low).max(high - value),
            None => judge.grid.half_gap(value),
        };
        let rounded = r - affine.real(judge.grid.nearest(target));
        self.rounded_error[lane] += rounded * rounded;
        if target < judge.bounds.0 || target > judge.bounds.1 {
            self.clipped[lane] += 1.0;
            self.clipped_error[lane] += square;
        } else if e.abs() > affine.scale.abs() * half_gap() * OFF {
            self.off_grid[lane] += 1.0;
            self.off_grid_error[lane] += square;
        }
    }

    /// What one lane has summed up.
    pub(super) fn sums(&self, lane: usize) -> ErrorSums {
        let finite = self.count[lane] > self.non_finite[lane];
        let range = |low: &[f64; LANES], high: &[f64; LANES]| finite.then(|| (low[lane], high[lane]));
        let (reference, error, quantized) = (self.reference[lane], self.error[lane], self.quantized[lane]);
        ErrorSums {
            count: self.count[lane] as u64,
            non_finite: self.non_finite[lane] as u64,
            broken: self.broken[lane] as u64,
            silenced: self.silenced[lane],
            reference,
            error,
            signed_error: self.signed_error[lane],
            quantized,
            max_error: self.max_error[lane],
            rounded_error: self.rounded_error[lane],
            clipped: self.clipped[lane] as u64,
            clipped_error: self.clipped_error[lane],
            off_grid: self.off_grid[lane] as u64,
            off_grid_error: self.off_grid_error[lane],
            at_ends: self.at_ends[lane] as u64,
            reference_range: range(&self.reference_low, &self.reference_high),
            quantized_range: range(&self.quantized_low, &self.quantized_high),
        }
    }

    /// What all lanes have summed up.
    pub(super) fn total(&self) -> ErrorSums {
        let mut total = ErrorSums::default();
        (0..LANES).for_each(|lane| total.merge(&self.sums(lane)));
        total
    }
}
