//! Histograms that agree with numpy's, bin for bin.

use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use fearless_simd::{Level, Simd, dispatch};

use crate::Elements;
use crate::elements::{Element, for_each_type};

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
    /// What is not yet among the histogram's counts. Neighbours often fall into the same bin: in tables of their own
    /// they need not wait for each other.
    pending: Vec<[u32; TABLES]>,
    pending_rows: usize,
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
        all_have_width.then(|| Bins { histogram, edges: edges.into(), pending: Vec::new(), pending_rows: 0 })
    }

    /// Counts every value within the range.
    pub fn add(&mut self, elements: &Elements<'_>) {
        for_each_type!(
            elements,
            slice => dispatch!(Level::new(), simd => self.add_slice(simd, slice)),
            packed => self.add_counted(packed.value_counts())
        );
    }

    /// Finds the bins of a row of values at once, and counts those one by one for which that is not certain.
    #[inline(always)]
    fn add_slice<S: Simd, T: Element>(&mut self, simd: S, values: &[T]) {
        let guess = Guess::of(&self.histogram);
        let (rows, rest) = values.as_chunks::<LANES>();
        let mut pending = mem::take(&mut self.pending);
        if !rows.is_empty() {
            pending.resize(self.histogram.counts.len(), [0; TABLES]);
        }
        for rows in rows.chunks(ROWS) {
            if self.pending_rows + rows.len() > ROWS {
                self.count(&mut pending);
            }
            self.pending_rows += rows.len();
            simd.vectorize(
                #[inline(always)]
                || {
                    for row in rows {
                        match guess.bins(row.map(T::to_f64)) {
                            Some(bins) => bins.into_iter().enumerate().for_each(|(lane, bin)| {
                                if let Some(tables) = pending.get_mut(bin as usize) {
                                    tables[lane % TABLES] += 1;
                                }
                            }),
                            None => row.iter().for_each(|value| self.add_times(value.to_f64(), 1)),
                        }
                    }
                },
            );
        }
        self.pending = pending;
        rest.iter().for_each(|value| self.add_times(value.to_f64(), 1));
    }

    /// Adds the pending counts to the histogram's.
    fn count(&mut self, pending: &mut [[u32; TABLES]]) {
        for (count, tables) in self.histogram.counts.iter_mut().zip(pending) {
            *count += mem::take(tables).into_iter().map(u64::from).sum::<u64>();
        }
        self.pending_rows = 0;
    }

    /// Counts values that occur so many times each.
    pub fn add_counted(&mut self, values: impl Iterator<Item = (f64, u64)>) {
        values.filter(|&(_, times)| times > 0).for_each(|(value, times)| self.add_times(value, times));
    }

    /// What was counted.
    pub fn into_histogram(mut self) -> Histogram {
        let mut pending = mem::take(&mut self.pending);
        self.count(&mut pending);
        self.histogram
    }

    /// numpy's rule: guess the bin by division, then let the edges decide.
    #[inline]
    fn add_times(&mut self, value: f64, times: u64) {
        let Histogram { low, high, counts } = &mut self.histogram;
        if !(value >= *low && value <= *high) {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 bins")]
        let guess = (value - *low) / (*high - *low) * counts.len() as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the bins' number"
        )]
        let mut bin = (guess as usize).min(counts.len() - 1);
        if value < self.edges[bin] {
            bin -= 1;
        }
        if bin + 1 < counts.len() && value >= self.edges[bin + 1] {
            bin += 1;
        }
        counts[bin] += times;
    }
}

const LANES: usize = 16;
const TABLES: usize = 4;
/// So few that no table overflows.
const ROWS: usize = 1 << 28;

/// The bins of values that are far enough from every edge.
struct Guess {
    low: f64,
    high: f64,
    bins_per_unit: f64,
    /// The distance from the middle of a bin within which rounding, of edges or here, cannot matter.
    certain: f64,
}

impl Guess {
    fn of(histogram: &Histogram) -> Self {
        let Histogram { low, high, ref counts } = *histogram;
        #[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 bins")]
        let bins_per_unit = counts.len() as f64 / (high - low);
        // An edge is off by the rounding of numbers as large as the ends of the range, which may be far from zero and
        // close together; what is computed here, by that of the number of bins.
        let rounding = 4.0 * f64::EPSILON * bins_per_unit * (low.abs().max(high.abs()) + (high - low));
        Guess { low, high, bins_per_unit, certain: 0.5 - 1e-9 - rounding }
    }

    /// `None` if any of the values is near an edge, out of range or not a number.
    #[inline(always)]
    fn bins(&self, row: [f64; LANES]) -> Option<[u32; LANES]> {
        /// Rounds to a whole number, which is then in the low bits.
        const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
        let mut bins = [0; LANES];
        let mut certain = true;
        for (bin, value) in bins.iter_mut().zip(row) {
            let middle = (value - self.low) * self.bins_per_unit - 0.5;
            let rounded = middle + ROUND;
            // No comparison with NaN holds.
            certain &= (middle - (rounded - ROUND)).abs() < self.certain;
            certain &= (value >= self.low) & (value <= self.high);
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are the number")]
            let low_bits = rounded.to_bits() as u32;
            *bin = low_bits;
        }
        certain.then_some(bins)
    }
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
