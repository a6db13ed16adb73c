//! What the errors of many numbers add up to.

use crate::fidelity::grid::Grid;

/// Sums over numbers and what quantization made of them. Sums of parts add up to that of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ErrorSums {
    pub(crate) count: u64,
    /// Pairs of which one is not finite; they are in nothing else.
    pub(crate) non_finite: u64,
    /// Those of which the reference is finite.
    pub(crate) broken: u64,
    /// The energy of the reference where scales are zero.
    pub(crate) silenced: f64,
    /// Of the squares of the reference, of the errors, of the errors as they are, and of the squares of the quantized.
    pub(crate) reference: f64,
    pub(crate) error: f64,
    pub(crate) signed_error: f64,
    pub(crate) quantized: f64,
    pub(crate) max_error: f64,
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
pub(super) const OFF: f64 = 1.0 + 1.0 / 1024.0;

impl ErrorSums {
    /// Adds a number and what became of it, of which nothing is known but that.
    pub(crate) fn add(&mut self, r: f64, q: f64) {
        self.count += 1;
        if !(r.is_finite() && q.is_finite()) {
            self.non_finite += 1;
            self.broken += u64::from(r.is_finite());
            return;
        }
        let e = r - q;
        self.reference += r * r;
        self.error += e * e;
        self.signed_error += e;
        self.quantized += q * q;
        self.max_error = self.max_error.max(e.abs());
        reach(&mut self.reference_range, r);
        reach(&mut self.quantized_range, q);
    }

    pub(crate) fn merge(&mut self, other: &ErrorSums) {
        self.count += other.count;
        self.non_finite += other.non_finite;
        self.broken += other.broken;
        self.silenced += other.silenced;
        self.reference += other.reference;
        self.error += other.error;
        self.signed_error += other.signed_error;
        self.quantized += other.quantized;
        self.max_error = self.max_error.max(other.max_error);
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

    /// The sum of the products of both, which follows from the squares of both and of their difference.
    pub(crate) fn product(&self) -> f64 {
        (self.reference + self.quantized - self.error) / 2.0
    }

    /// The factor that the values are multiples of the reference by, if it explains most of the error. Clipping makes values
    /// smaller too, but explains little that way.
    pub(super) fn common_factor(&self) -> Option<f64> {
        /// As far from one as the noise of coarse codes never moves it.
        const TELLING: f64 = 0.01;
        let factor = self.product() / self.reference;
        let rest = self.quantized - self.product() * factor;
        let explains = rest.max(0.0) <= self.error / 4.0;
        (factor.is_finite() && (factor - 1.0).abs() > TELLING && explains).then_some(factor)
    }

    /// The largest number of the reference, whatever its sign.
    pub(crate) fn max_reference(&self) -> f64 {
        self.reference_range.map_or(0.0, |(low, high)| low.abs().max(high.abs()))
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
