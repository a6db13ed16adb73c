//! Histograms that agree with numpy's, bin for bin.

use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use fearless_simd::{Level, Simd, dispatch};

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
        all_have_width.then(|| Bins { histogram, edges: edges.into(), pending: Pending::default() })
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
        to_real: impl Fn(T) -> R,
        values: &[T],
    ) {
        let (rows, rest) = values.as_chunks::<ROW>();
        let mut pending = mem::take(&mut self.pending);
        for rows in rows.chunks(MOST_ROWS) {
            pending.make_room(rows.len(), &mut self.histogram.counts);
            let find = |row: &[T; ROW]| guess.bins(row, &to_real);
            let mut one_by_one = |row: &[T; ROW]| {
                for &value in row {
                    match guess.bin(to_real(value)) {
                        (bin, true) => self.histogram.counts[bin as usize] += 1,
                        (_, false) => self.add_times(value.to_f64(), 1),
                    }
                }
            };
            simd.vectorize(
                #[inline(always)]
                || pending.count(rows, find, &mut one_by_one),
            );
        }
        self.pending = pending;
        rest.iter().for_each(|value| self.add_times(value.to_f64(), 1));
    }

    /// Counts values that occur so many times each.
    pub fn add_counted(&mut self, values: impl Iterator<Item = (f64, u64)>) {
        values.filter(|&(_, times)| times > 0).for_each(|(value, times)| self.add_times(value, times));
    }

    /// What was counted.
    pub fn into_histogram(mut self) -> Histogram {
        self.pending.empty_into(&mut self.histogram.counts);
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

/// Values whose bins are found at once.
const ROW: usize = 32;
/// So few that no count overflows.
const MOST_ROWS: usize = 1 << 26;

/// What is not yet among the counts of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pending {
    /// How often two bins came together, where there are few enough: a count for two values takes half the time of
    /// two. Else the bins of every fourth value: neighbours often fall into the same bin, and need not wait for each
    /// other in tables of their own.
    table: Vec<u32>,
    bins: usize,
    rows: usize,
}

/// Bins whose pairs fit the nearest cache.
const PAIRED_BINS: usize = 64;
const PAIRS: usize = PAIRED_BINS * PAIRED_BINS;
const TABLES: usize = 4;

impl Pending {
    /// Sees to it that so many rows can be counted.
    fn make_room(&mut self, rows: usize, counts: &mut [u64]) {
        self.bins = counts.len();
        if self.rows + rows > MOST_ROWS {
            self.empty_into(counts);
        }
        self.rows += rows;
        let len = if self.bins <= PAIRED_BINS { PAIRS } else { self.bins * TABLES };
        self.table.resize(len, 0);
    }

    /// Counts the rows for which `find` knows the bins, and leaves the others to `one_by_one`.
    #[inline(always)]
    fn count<Row>(
        &mut self,
        rows: &[Row],
        find: impl Fn(&Row) -> Option<[u32; ROW]>,
        mut one_by_one: impl FnMut(&Row),
    ) {
        match <&mut [u32; PAIRS]>::try_from(&mut self.table[..]) {
            Ok(pairs) if self.bins <= PAIRED_BINS => {
                for row in rows {
                    let Some(bins) = find(row) else {
                        one_by_one(row);
                        continue;
                    };
                    let (first, second) = bins.split_at(ROW / 2);
                    let mut places = [0u16; ROW / 2];
                    for ((place, &first), &second) in places.iter_mut().zip(first).zip(second) {
                        #[expect(clippy::cast_possible_truncation, reason = "bins are below 64")]
                        let pair = (first | second << 6) as u16;
                        *place = pair;
                    }
                    places.into_iter().for_each(|place| pairs[usize::from(place) % PAIRS] += 1);
                }
            }
            _ => {
                let table = &mut self.table[..];
                for row in rows {
                    let Some(bins) = find(row) else {
                        one_by_one(row);
                        continue;
                    };
                    for (lane, &bin) in bins.iter().enumerate() {
                        if let Some(count) = table.get_mut(bin as usize * TABLES + lane % TABLES) {
                            *count += 1;
                        }
                    }
                }
            }
        }
    }

    /// Adds everything to the counts.
    fn empty_into(&mut self, counts: &mut [u64]) {
        let paired = self.bins <= PAIRED_BINS;
        for (place, &times) in self.table.iter().enumerate().filter(|(_, times)| **times > 0) {
            let bins = if paired { [place % PAIRED_BINS, place / PAIRED_BINS] } else { [place / TABLES; 2] };
            for &bin in &bins[..if paired { 2 } else { 1 }] {
                counts[bin] += u64::from(times);
            }
        }
        self.table.fill(0);
        self.rows = 0;
    }
}

/// The bins of values that are far enough from every edge.
struct Guess<R> {
    bins_per_unit: R,
    /// What the middle of the first bin is then to be shifted by, to be zero.
    shift: R,
    /// The distance from the middle of a bin within which rounding, of edges or here, cannot matter.
    certain: R,
    bins: u32,
}

impl<R: Real> Guess<R> {
    /// `None` where too few values would be far enough.
    fn of(histogram: &Histogram) -> Option<Self> {
        let Histogram { low, high, ref counts } = *histogram;
        let bins = u32::try_from(counts.len()).ok().filter(|&bins| bins <= R::MOST_BINS)?;
        let bins_per_unit = f64::from(bins) / (high - low);
        let shift = -low * bins_per_unit - 0.5;
        // What is multiplied and shifted is off by the rounding of numbers as large as the ends of the range, which
        // may be far from zero and close together.
        let largest = low.abs().max(high.abs()) * bins_per_unit + f64::from(bins);
        let certain = 0.5 - 1e-9 - 8.0 * R::EPSILON * largest;
        (certain > 0.49).then(|| Guess {
            bins_per_unit: R::of(bins_per_unit),
            shift: R::of(shift),
            certain: R::of(certain),
            bins,
        })
    }

    /// The bin of a value, and whether that is certain: not where it is near an edge, out of range or not a number.
    #[inline(always)]
    fn bin(&self, value: R) -> (u32, bool) {
        let middle = value * self.bins_per_unit + self.shift;
        let rounded = middle + R::ROUND;
        let bin = rounded.whole();
        // No comparison with NaN holds, and numbers far out of range have other high bits.
        let certain = ((middle - (rounded - R::ROUND)).abs() < self.certain) & (bin < self.bins);
        (bin, certain)
    }

    /// The bins of a row; `None` if one of them is not certain.
    #[inline(always)]
    fn bins<T: Element>(&self, row: &[T; ROW], to_real: impl Fn(T) -> R) -> Option<[u32; ROW]> {
        let mut bins = [0; ROW];
        let mut all_certain = true;
        for (found, &value) in bins.iter_mut().zip(row) {
            let (bin, certain) = self.bin(to_real(value));
            *found = bin;
            all_certain &= certain;
        }
        all_certain.then_some(bins)
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
