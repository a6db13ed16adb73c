//! The scale and the zero-point of a group of weights.

use super::family::{Family, Fit};
use super::rounding::{Arithmetic, Codes, E4M3, Fitted, Whole, power_of_two};

/// The smallest and the largest of some weights, zero among them: every scheme can say zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Extent {
    pub(super) min: f32,
    pub(super) max: f32,
}

impl Extent {
    #[inline(always)]
    pub(super) fn of(numbers: &[f32]) -> Self {
        const LANES: usize = 16;
        let (mut mins, mut maxs) = ([0f32; LANES], [0f32; LANES]);
        let rows = numbers.chunks_exact(LANES);
        let rest = rows.remainder();
        for row in rows {
            for (lane, &number) in row.iter().enumerate() {
                mins[lane] = if number < mins[lane] { number } else { mins[lane] };
                maxs[lane] = if number > maxs[lane] { number } else { maxs[lane] };
            }
        }
        let min = mins.iter().chain(rest).fold(0.0, |min, &number| if number < min { number } else { min });
        let max = maxs.iter().chain(rest).fold(0.0, |max, &number| if number > max { number } else { max });
        Extent { min, max }
    }

    pub(super) fn with(self, other: Extent) -> Self {
        Extent { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    #[inline(always)]
    fn size(self) -> f32 {
        if self.max > -self.min { self.max } else { -self.min }
    }

    /// That many hundredths of it.
    #[inline(always)]
    pub(super) fn clipped(self, hundredths: u8) -> Self {
        if hundredths == 100 {
            return self;
        }
        let share = f64::from(hundredths) / 100.0;
        #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is that of f32")]
        let clip = |bound: f32| (f64::from(bound) * share) as f32;
        Extent { min: clip(self.min), max: clip(self.max) }
    }
}

impl Family {
    /// What weights of this extent are rounded with; `tensor` is that of the whole tensor.
    #[inline(always)]
    pub(super) fn fit(&self, extent: Extent, tensor: Extent) -> Fitted {
        let (scale, zero_point) = match self.fit {
            Fit::Symmetric(steps) => (or_one(2.0 * f64::from(extent.size()) / steps), 0.0),
            Fit::MinMax(steps) => self.fit_min_max(extent, steps),
            Fit::SignedLargest(steps) => {
                let largest = if extent.max > -extent.min { extent.max } else { extent.min };
                (f64::from(largest / -steps), steps)
            }
            Fit::Largest(largest) => (f64::from(extent.size() / largest), 0.0),
            Fit::PowerOfTwo(doublings) => (f64::from(microscale(extent.size(), doublings)), 0.0),
            Fit::TwoLevels(largest) => {
                let outer = tensor.size() / (largest * 448.0);
                let inner = if outer > 0.0 { E4M3.nearest(extent.size() / largest / outer) } else { 0.0 };
                (f64::from(inner) * f64::from(outer), 0.0)
            }
        };
        Fitted::new(&self.codes, scale, zero_point)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is that of f32")]
    fn fit_min_max(&self, extent: Extent, steps: f64) -> (f64, f32) {
        let Extent { min, max } = extent;
        if let Codes::Whole(Whole { arithmetic: Arithmetic::MultiplyHalfAway, high, .. }) = self.codes {
            let scale = (max - min) / high;
            let zero_point = if scale > 0.0 { (-min / scale).clamp(0.0, high).round() } else { 0.0 };
            return (scale.into(), zero_point);
        }
        let scale = (f64::from(max) - f64::from(min)) / steps;
        match or_one(scale) {
            one if scale < f64::from(f32::MIN_POSITIVE) => (one, 0.0),
            narrow => (narrow, (-f64::from(min) / scale).round_ties_even() as f32),
        }
    }
}

/// A scale in f32; one, where it would be no normal number.
#[expect(clippy::cast_possible_truncation, reason = "the arithmetic is that of f32")]
fn or_one(scale: f64) -> f64 {
    if scale < f64::from(f32::MIN_POSITIVE) { 1.0 } else { f64::from(scale as f32) }
}

/// The power of two at or below a size, less some doublings, as far as eight bits of exponent go.
fn microscale(size: f32, doublings: i32) -> f32 {
    let exponent = (size.to_bits() >> 23).cast_signed() - 127;
    power_of_two((exponent - doublings).max(-126))
}
