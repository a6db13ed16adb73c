//! What the errors of many numbers add up to.

use crate::dequantize::Affine;
use crate::fidelity::grid::Grid;

/// Sums over numbers and what quantization made of them. Sums of parts add up to that of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ErrorSums {
    pub(crate) count: u64,
    /// Pairs of which one is not finite; they are in nothing else.
    pub(crate) non_finite: u64,
    /// Of the squares of the reference, of the errors, of the errors as they are, of the products of both, and of the
    /// squares of the quantized.
    pub(crate) reference: f64,
    pub(crate) error: f64,
    pub(crate) signed_error: f64,
    pub(crate) product: f64,
    pub(crate) quantized: f64,
    pub(crate) max_error: f64,
    pub(crate) max_reference: f64,
    /// Of the squares of the errors that rounding to the nearest would have made.
    pub(crate) rounded_error: f64,
    pub(crate) clipped: u64,
    pub(crate) clipped_error: f64,
    pub(crate) off_grid: u64,
    pub(crate) off_grid_error: f64,
    /// Codes at either end.
    pub(crate) at_ends: u64,
    /// The ends of the reference and of the quantized.
    pub(crate) reference_range: Option<(f64, f64)>,
    pub(crate) quantized_range: Option<(f64, f64)>,
}

/// How errors of one run are judged.
pub(crate) struct Judge<'a> {
    pub(crate) grid: &'a Grid,
    pub(crate) bounds: (f64, f64),
    pub(crate) ends: (f64, f64),
}

impl<'a> Judge<'a> {
    pub(crate) fn by(grid: &'a Grid) -> Self {
        Judge { grid, bounds: grid.bounds(), ends: grid.ends() }
    }
}

/// What is off by more than half a step and this is not off by rounding.
const OFF: f64 = 1.0 + 1.0 / 1024.0;

impl ErrorSums {
    /// Adds numbers of the reference, and the values of their codes, all of which are scaled by `affine`.
    pub(crate) fn add(&mut self, reference: &[f64], values: &[f64], affine: &Affine, judge: &Judge<'_>) {
        for (&r, &value) in reference.iter().zip(values) {
            let q = affine.real(value);
            self.add_one(r, q, value, affine, judge);
        }
    }

    #[inline(always)]
    pub(crate) fn add_one(&mut self, r: f64, q: f64, value: f64, affine: &Affine, judge: &Judge<'_>) {
        self.count += 1;
        if !(r.is_finite() && q.is_finite()) {
            self.non_finite += 1;
            return;
        }
        let e = r - q;
        let square = e * e;
        self.reference += r * r;
        self.error += square;
        self.signed_error += e;
        self.product += r * q;
        self.quantized += q * q;
        self.max_error = self.max_error.max(e.abs());
        self.max_reference = self.max_reference.max(r.abs());
        reach(&mut self.reference_range, r);
        reach(&mut self.quantized_range, q);
        self.at_ends += u64::from(value <= judge.ends.0 || value >= judge.ends.1);
        if affine.scale == 0.0 {
            // Nothing can be rounded where all codes mean the same.
            self.rounded_error += square;
            return;
        }
        let target = (r - affine.offset) / affine.scale + affine.zero_point;
        let rounded = r - affine.real(judge.grid.nearest(target));
        self.rounded_error += rounded * rounded;
        if target < judge.bounds.0 || target > judge.bounds.1 {
            self.clipped += 1;
            self.clipped_error += square;
        } else if e.abs() > affine.scale.abs() * judge.grid.half_gap(value) * OFF {
            self.off_grid += 1;
            self.off_grid_error += square;
        }
    }

    pub(crate) fn merge(&mut self, other: &ErrorSums) {
        self.count += other.count;
        self.non_finite += other.non_finite;
        self.reference += other.reference;
        self.error += other.error;
        self.signed_error += other.signed_error;
        self.product += other.product;
        self.quantized += other.quantized;
        self.max_error = self.max_error.max(other.max_error);
        self.max_reference = self.max_reference.max(other.max_reference);
        self.rounded_error += other.rounded_error;
        self.clipped += other.clipped;
        self.clipped_error += other.clipped_error;
        self.off_grid += other.off_grid;
        self.off_grid_error += other.off_grid_error;
        self.at_ends += other.at_ends;
        for (range, more) in [
            (&mut self.reference_range, other.reference_range),
            (&mut self.quantized_range, other.quantized_range),
        ] {
            if let Some((low, high)) = more {
                reach(range, low);
                reach(range, high);
            }
        }
    }

    /// Pairs of finite numbers.
    pub(crate) fn finite(&self) -> u64 {
        self.count - self.non_finite
    }
}

#[inline(always)]
fn reach(range: &mut Option<(f64, f64)>, value: f64) {
    let (low, high) = range.unwrap_or((value, value));
    *range = Some((low.min(value), high.max(value)));
}
