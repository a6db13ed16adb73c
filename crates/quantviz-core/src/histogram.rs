//! Histograms that agree with numpy's, bin for bin.

use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use fearless_simd::{Level, Simd, dispatch};

use crate::binning::{Guess, Pending, ROW};
use crate::code_counts::CodeCounts;
use crate::elements::{Element, for_each_type};
use crate::{Elements, Real};

/// How many finite values fall into each of some bins of equal width between `low` and `high`.
///
/// It equals `numpy.histogram(values.astype(float64), bins, (low, high))`, rounding included; [`Bins`] counts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The left edge of the first bin.
    pub low: f64,
    /// The right edge of the last bin.
    pub high: f64,
    /// The number of values in each bin: bins are closed on the left, the last one on both sides.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The edges: one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        edges(self.low, self.high, self.counts.len())
    }

    /// Adds the counts of a histogram with the same edges; false, and nothing added, if they differ.
    #[must_use]
    pub fn merge(&mut self, other: &Histogram) -> bool {
        let same = self.low.to_bits() == other.low.to_bits()
            && self.high.to_bits() == other.high.to_bits()
            && self.counts.len() == other.counts.len();
        if same {
            self.counts.iter_mut().zip(&other.counts).for_each(|(here, there)| *here += there);
        }
        same
    }
}

/// Counts values into a [`Histogram`].
///
/// ```
/// use quantviz_core::{Bins, Elements};
///
/// let mut bins = Bins::between(0.0, 4.0, 2).expect("a range with width");
/// bins.add(&Elements::F32(&[0.0, 1.0, 2.0, 4.0]));
/// assert_eq!(bins.into_histogram().counts, [2, 2]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    histogram: Histogram,
    /// Shared by the bins of all pieces of a tensor.
    edges: Arc<[f64]>,
    pending: Pending,
    outside: Outside,
}

/// Values that are in no bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) below: u64,
    pub(crate) above: u64,
    pub(crate) nan: u64,
}

impl Bins {
    /// Empty bins. `None` where numpy raises an error, or widens the range: for no bins, and for ranges that are
    /// empty, too wide to subtract, or too narrow for so many bins.
    pub fn between(low: f64, high: f64, bins: usize) -> Option<Self> {
        if bins == 0 || !(high - low).is_finite() {
            return None;
        }
        let edges = edges(low, high, bins);
        let all_have_width = edges.windows(2).all(|edge| edge[0] < edge[1]);
        let histogram = Histogram { low, high, counts: vec![0; bins] };
        all_have_width.then(|| Bins {
            histogram,
            edges: edges.into(),
            pending: Pending::default(),
            outside: Outside::default(),
        })
    }

    /// Counts every value within the range.
    pub fn add(&mut self, elements: &Elements<'_>) {
        // Codes are so few that they repeat: it is quicker to count them first.
        if let Some(codes) = CodeCounts::of(elements) {
            return self.add_counted(codes.values());
        }
        for_each_type!(
            elements,
            slice => dispatch!(Level::new(), simd => self.add_slice(simd, slice)),
            _packed => {}
        );
    }

    /// Finds the bins of many values at once, and counts those one by one for which that is not certain.
    #[inline(always)]
    fn add_slice<S: Simd, T: Element>(&mut self, simd: S, values: &[T]) {
        match Guess::<T::Real>::of(&self.histogram) {
            Some(guess) => self.add_rows(simd, &guess, T::to_real, values),
            // Bins too narrow for f32 may do in f64; if not there either, every value is looked at.
            None => match Guess::<f64>::of(&self.histogram) {
                Some(guess) => self.add_rows(simd, &guess, T::to_f64, values),
                None => values.iter().for_each(|value| self.add_times(value.to_f64(), 1)),
            },
        }
    }

    #[inline(always)]
    fn add_rows<S: Simd, T: Element, R: Real>(
        &mut self,
        simd: S,
        guess: &Guess<R>,
        to_real: impl Fn(T) -> R + Copy,
        values: &[T],
    ) {
        let (rows, rest) = values.as_chunks::<ROW>();
        let mut pending = mem::take(&mut self.pending);
        let outside = &mut self.outside;
        pending.count(simd, rows, guess, to_real, &mut self.histogram.counts, |row, counts| {
            for &value in row {
                match guess.bin(to_real(value)) {
                    (bin, true) => counts[bin as usize] += 1,
                    (_, false) => add_times(&self.edges, counts, outside, value.to_f64(), 1),
                }
            }
        });
        self.pending = pending;
        rest.iter().for_each(|value| self.add_times(value.to_f64(), 1));
    }

    /// Counts values that occur so many times each.
    pub fn add_counted(&mut self, values: impl Iterator<Item = (f64, u64)>) {
        values.filter(|&(_, times)| times > 0).for_each(|(value, times)| self.add_times(value, times));
    }

    /// What was counted, and what was in no bin.
    pub(crate) fn finish(self) -> (Histogram, Outside) {
        let outside = self.outside;
        (self.into_histogram(), outside)
    }

    /// What was counted.
    pub fn into_histogram(mut self) -> Histogram {
        self.pending.empty_into(&mut self.histogram.counts);
        self.histogram
    }

    fn add_times(&mut self, value: f64, times: u64) {
        add_times(&self.edges, &mut self.histogram.counts, &mut self.outside, value, times);
    }
}

/// numpy's rule: guess the bin by division, then let the edges decide.
#[inline]
fn add_times(edges: &[f64], counts: &mut [u64], outside: &mut Outside, value: f64, times: u64) {
    let (low, high) = (edges[0], edges[counts.len()]);
    if !(value >= low && value <= high) {
        let Outside { below, above, nan } = outside;
        *if value < low {
            below
        } else if value > high {
            above
        } else {
            nan
        } += times;
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 bins")]
    let guess = (value - low) / (high - low) * counts.len() as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the bins' number"
    )]
    let mut bin = (guess as usize).min(counts.len() - 1);
    if value < edges[bin] {
        bin -= 1;
    }
    if bin + 1 < counts.len() && value >= edges[bin + 1] {
        bin += 1;
    }
    counts[bin] += times;
}

/// `numpy.linspace(low, high, bins + 1)`, rounding included.
#[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 bins")]
fn edges(low: f64, high: f64, bins: usize) -> Vec<f64> {
    let step = (high - low) / bins as f64;
    (0..bins).map(|index| index as f64 * step + low).chain([high]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_no_bins_can_divide() {
        assert_eq!(Bins::between(1.0, 1.0, 8), None);
        assert_eq!(Bins::between(2.0, 1.0, 8), None);
        assert_eq!(Bins::between(f64::MIN, f64::MAX, 8), None);
        assert_eq!(Bins::between(0.0, f64::NAN, 8), None);
        assert_eq!(Bins::between(0.0, 1.0, 0), None);
        assert_eq!(Bins::between(0.0, f64::from_bits(3), 4), None);
        assert_eq!(Bins::between(1.0, 1.0 + f64::EPSILON, 64), None);
    }

    #[test]
    fn merges_only_with_equal_edges() {
        let histogram = |high, bins| Bins::between(0.0, high, bins).expect("has width").into_histogram();
        let mut sum = histogram(1.0, 4);
        assert!(sum.merge(&Histogram { low: 0.0, high: 1.0, counts: vec![1, 0, 0, 2] }));
        assert_eq!(sum.counts, [1, 0, 0, 2]);
        assert!(!sum.merge(&histogram(1.0, 5)));
        assert!(!sum.merge(&histogram(2.0, 4)));
    }
}
