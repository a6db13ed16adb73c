//! What can be said of many numbers in a few: counts, range, mean, spread.

use crate::Elements;
use fearless_simd::{Level, Simd, dispatch};

use crate::Real;
use crate::code_counts::CodeCounts;
use crate::elements::{Element, for_each_type};

/// Counts, range and moments of a set of numbers. Summaries of parts [merge](Self::merge) into that of the whole;
/// the counts, the minimum and the maximum exactly, the moments to within 1e-12.
///
/// Statistics are over the finite values; NaNs and infinities are counted beside them.
///
/// ```
/// use quantviz_core::RangeSummary;
///
/// let mut summary = RangeSummary::of(&[1.0f32, 2.0, f32::NAN]);
/// summary.merge(&RangeSummary::of(&[6.0f32]));
/// assert_eq!((summary.count(), summary.nan(), summary.min(), summary.max()), (4, 1, Some(1.0), Some(6.0)));
/// assert_eq!(summary.mean(), Some(3.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeSummary {
    count: u64,
    population: u64,
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
    zeros: u64,
    min: f64,
    max: f64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    m2: f64,
}

impl Default for RangeSummary {
    fn default() -> Self {
        RangeSummary {
            count: 0,
            population: 0,
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            m2: 0.0,
        }
    }
}

impl RangeSummary {
    /// The summary of a slice.
    pub fn of<T: Element>(values: &[T]) -> Self {
        dispatch!(Level::new(), simd => of_slice(simd, values))
    }

    /// The summary of elements in the type they are stored in.
    pub fn of_elements(elements: &Elements<'_>) -> Self {
        if let Some(codes) = CodeCounts::of(elements) {
            return RangeSummary::of_counted(codes.values());
        }
        for_each_type!(elements, slice => RangeSummary::of(slice), _packed => RangeSummary::default())
    }

    /// The summary of values that occur so many times each.
    pub fn of_counted(values: impl Iterator<Item = (f64, u64)> + Clone) -> Self {
        let mut summary = RangeSummary::default();
        let mut sum = 0.0;
        for (value, times) in values.clone().filter(|&(_, times)| times > 0) {
            summary.count += times;
            if value.is_finite() {
                summary.min = summary.min.min(value);
                summary.max = summary.max.max(value);
                summary.zeros += if value == 0.0 { times } else { 0 };
                sum += value * as_f64(times);
            } else if value.is_nan() {
                summary.nan += times;
            } else if value > 0.0 {
                summary.pos_inf += times;
            } else {
                summary.neg_inf += times;
            }
        }
        summary.population = summary.count;
        if summary.finite() > 0 {
            let finite = values.filter(|&(value, times)| value.is_finite() && times > 0);
            summary.mean = sum / as_f64(summary.finite());
            if !sum.is_finite() {
                // Too large to add up: shares of the mean are not.
                let shares =
                    finite.clone().map(|(value, times)| value * (as_f64(times) / as_f64(summary.finite())));
                summary.mean = shares.sum::<f64>().clamp(summary.min, summary.max);
            }
            summary.m2 = finite.map(|(value, times)| (value - summary.mean).powi(2) * as_f64(times)).sum();
        }
        summary
    }

    /// The summary of `count` finite values: from the sums of their distances from `near` and of the squares of these,
    /// their smallest and largest, and the number of zeros.
    pub(crate) fn of_sums(
        count: u64,
        near: f64,
        distances: f64,
        squares: f64,
        (min, max): (f64, f64),
        zeros: u64,
    ) -> Self {
        let mean = near + distances / as_f64(count);
        // In this order nothing overflows that the squares do not.
        let m2 = (squares - distances * (distances / as_f64(count))).max(0.0);
        RangeSummary { count, population: count, zeros, min, max, mean, m2, ..RangeSummary::default() }
    }

    /// The sum of the squares of the distances from the mean.
    pub(crate) fn squared_distances(&self) -> f64 {
        self.m2
    }

    /// Marks the summary as that of a sample: it was taken to speak for `population` elements.
    #[must_use]
    pub fn sampled_from(mut self, population: u64) -> Self {
        self.population = population.max(self.count);
        self
    }

    /// Adds the numbers that `other` summarises.
    pub fn merge(&mut self, other: &RangeSummary) {
        let (here, there) = (as_f64(self.finite()), as_f64(other.finite()));
        if here == 0.0 {
            (self.mean, self.m2) = (other.mean, other.m2);
        } else if there > 0.0 {
            // Chan, Golub and LeVeque's pairwise update.
            let distance = other.mean - self.mean;
            let share = there / (here + there);
            self.mean = if distance.is_finite() {
                self.mean + distance * share
            } else {
                self.mean * (1.0 - share) + other.mean * share
            };
            // In an order in which nothing overflows that the sum does not.
            self.m2 += other.m2 + distance * share * distance * here;
        }
        self.count += other.count;
        self.population = self.population.saturating_add(other.population);
        self.nan += other.nan;
        self.pos_inf += other.pos_inf;
        self.neg_inf += other.neg_inf;
        self.zeros += other.zeros;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many numbers were looked at.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many numbers the summary speaks for: more than [`count`](Self::count) where it is a sample.
    pub fn population(&self) -> u64 {
        self.population
    }

    /// Whether some numbers were left out.
    pub fn is_sampled(&self) -> bool {
        self.population > self.count
    }

    /// How many are neither NaN nor infinite.
    pub fn finite(&self) -> u64 {
        self.count - self.nan - self.pos_inf - self.neg_inf
    }

    /// How many are not a number.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// How many are plus infinity.
    pub fn pos_inf(&self) -> u64 {
        self.pos_inf
    }

    /// How many are minus infinity.
    pub fn neg_inf(&self) -> u64 {
        self.neg_inf
    }

    /// How many are zero, of either sign.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The smallest finite value.
    pub fn min(&self) -> Option<f64> {
        self.of_finite(self.min)
    }

    /// The largest finite value.
    pub fn max(&self) -> Option<f64> {
        self.of_finite(self.max)
    }

    /// The mean of the finite values.
    pub fn mean(&self) -> Option<f64> {
        self.of_finite(self.mean)
    }

    /// The population's standard deviation of the finite values (numpy's `ddof=0`).
    pub fn std(&self) -> Option<f64> {
        self.of_finite((self.m2 / as_f64(self.finite())).sqrt())
    }

    /// The square root of the sum of the squares of the finite values.
    pub fn l2(&self) -> f64 {
        (self.m2 + as_f64(self.finite()) * self.mean * self.mean).sqrt()
    }

    /// The largest distance from zero of a finite value.
    pub fn abs_max(&self) -> Option<f64> {
        self.of_finite(self.min.abs().max(self.max.abs()))
    }

    fn of_finite(&self, value: f64) -> Option<f64> {
        // Adding zero turns -0, which the order of merges could otherwise show, into 0.
        (self.finite() > 0).then_some(value + 0.0)
    }
}

/// Elements that are summarised together: so few that a NaN among them costs little.
const CHUNK: usize = 4096;
/// Independent sums, so that the compiler can keep them in vector registers: nothing here names an instruction, but
/// it is compiled once for each generation of processors.
const LANES: usize = 16;

#[inline(always)]
fn of_slice<S: Simd, T: Element>(simd: S, values: &[T]) -> RangeSummary {
    let mut summary = RangeSummary::default();
    let first = values.first().map_or(0.0, |value| value.to_f64());
    let mut near = if first.is_finite() { first } else { 0.0 };
    for chunk in values.chunks(CHUNK) {
        let part = simd.vectorize(
            #[inline(always)]
            || of_chunk(chunk, near),
        );
        // One NaN or infinity shows in the sums; only then look which they are.
        let part =
            part.unwrap_or_else(|| RangeSummary::of_counted(chunk.iter().map(|value| (value.to_f64(), 1))));
        summary.merge(&part);
        near = summary.mean;
    }
    summary
}

/// One pass. The moments are about `near`, a number that is roughly the mean, so that a large mean costs no digits of
/// the spread. `None` where the values do not add up to finite sums.
#[inline(always)]
fn of_chunk<T: Element>(values: &[T], near: f64) -> Option<RangeSummary> {
    let (rows, rest) = values.as_chunks::<LANES>();
    let mut sums = Sums::default();
    rows.iter().for_each(|row| sums.add(row, near));
    rest.iter().for_each(|value| sums.add_to(0, value.to_real(), near));
    let (distances, squares) = (sums.distances.iter().sum::<f64>(), sums.squares.iter().sum::<f64>());
    if !(distances.is_finite() && squares.is_finite()) {
        return None;
    }
    let min = sums.min.into_iter().map(T::Real::into).fold(f64::INFINITY, f64::min);
    let max = sums.max.into_iter().map(T::Real::into).fold(f64::NEG_INFINITY, f64::max);
    let zeros = sums.zeros.iter().map(|&zeros| u64::from(zeros)).sum();
    Some(RangeSummary::of_sums(values.len() as u64, near, distances, squares, (min, max), zeros))
}

struct Sums<R> {
    /// Of the distances from a number near the mean, and of their squares.
    distances: [f64; LANES],
    squares: [f64; LANES],
    min: [R; LANES],
    max: [R; LANES],
    zeros: [u32; LANES],
}

impl<R: Real> Default for Sums<R> {
    fn default() -> Self {
        Sums {
            distances: [0.0; LANES],
            squares: [0.0; LANES],
            min: [R::INFINITY; LANES],
            max: [R::NEG_INFINITY; LANES],
            zeros: [0; LANES],
        }
    }
}

impl<R: Real> Sums<R> {
    #[inline(always)]
    fn add<T: Element<Real = R>>(&mut self, row: &[T; LANES], near: f64) {
        for (lane, value) in row.iter().enumerate() {
            self.add_to(lane, value.to_real(), near);
        }
    }

    #[inline(always)]
    fn add_to(&mut self, lane: usize, value: R, near: f64) {
        let distance = value.into() - near;
        self.distances[lane] += distance;
        self.squares[lane] += distance * distance;
        self.min[lane] = if value < self.min[lane] { value } else { self.min[lane] };
        self.max[lane] = if value > self.max[lane] { value } else { self.max[lane] };
        self.zeros[lane] += u32::from(value == R::default());
    }
}

#[expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples may speak for more than can be counted.
    #[test]
    fn samples_of_everything_add_up() {
        let mut summary = RangeSummary::of(&[1.0f32]).sampled_from(u64::MAX);
        summary.merge(&RangeSummary::of(&[2.0f32]));
        assert_eq!((summary.population(), summary.count(), summary.max()), (u64::MAX, 2, Some(2.0)));
    }
}
