//! How the bins of many values are found at once, and counted.
//!
//! First the bins of a block of values are found, with vectors, and then they are counted, one after the other. Where
//! both alternate, some processors take twenty times as long (Zen 4: 5.6 ns a value instead of 0.27): a vector that is
//! loaded waits for all counts on their way to memory that might overlap it.

use fearless_simd::Simd;

use crate::elements::Element;
use crate::{Histogram, Real};

/// Values whose bins are certain together, or not.
pub(crate) const ROW: usize = 32;
/// Rows whose bins are found before any is counted: so few that they stay in the nearest cache beside the counts.
const BLOCK: usize = 64;
/// So few rows that no count overflows.
const MOST_ROWS: usize = 1 << 26;

/// What is not yet among the counts of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pending {
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
const TABLES: u32 = 4;

impl Pending {
    /// Counts the rows for which `guess` knows the bins, and leaves the others to `one_by_one`.
    #[inline(always)]
    pub(crate) fn count<S: Simd, T: Element, R: Real>(
        &mut self,
        simd: S,
        rows: &[[T; ROW]],
        guess: &Guess<R>,
        to_real: impl Fn(T) -> R + Copy,
        counts: &mut [u64],
        mut one_by_one: impl FnMut(&[T; ROW], &mut [u64]),
    ) {
        let find = |row: &[T; ROW]| guess.bins(row, to_real);
        for rows in rows.chunks(MOST_ROWS) {
            self.make_room(rows.len(), counts);
            let one_by_one = |row: &[T; ROW]| one_by_one(row, counts);
            match <&mut [u32; PAIRS]>::try_from(&mut self.table[..]) {
                Ok(pairs) if self.bins <= PAIRED_BINS => {
                    let add = |place: u32| pairs[place as usize % PAIRS] += 1;
                    count_blocks(simd, rows, find, pairs_of, add, one_by_one);
                }
                _ => {
                    let add = |place: u32| {
                        if let Some(count) = self.table.get_mut(place as usize) {
                            *count += 1;
                        }
                    };
                    count_blocks(simd, rows, find, by_tables, add, one_by_one);
                }
            }
        }
    }

    /// Sees to it that so many rows can be counted.
    fn make_room(&mut self, rows: usize, counts: &mut [u64]) {
        self.bins = counts.len();
        if self.rows + rows > MOST_ROWS {
            self.empty_into(counts);
        }
        self.rows += rows;
        let len = if self.bins <= PAIRED_BINS { PAIRS } else { self.bins * TABLES as usize };
        self.table.resize(len, 0);
    }

    /// Adds everything to the counts.
    pub(crate) fn empty_into(&mut self, counts: &mut [u64]) {
        let paired = self.bins <= PAIRED_BINS;
        for (place, &times) in self.table.iter().enumerate().filter(|(_, times)| **times > 0) {
            let bins = if paired {
                [place % PAIRED_BINS, place / PAIRED_BINS]
            } else {
                [place / TABLES as usize; 2]
            };
            for &bin in &bins[..if paired { 2 } else { 1 }] {
                counts[bin] += u64::from(times);
            }
        }
        self.table.fill(0);
        self.rows = 0;
    }
}

/// Adds one to the places of all rows for which `find` is certain of the bins.
#[inline(always)]
fn count_blocks<S: Simd, T, const PLACES: usize>(
    simd: S,
    rows: &[[T; ROW]],
    find: impl Fn(&[T; ROW]) -> ([u32; ROW], bool),
    arrange: impl Fn([u32; ROW]) -> [u32; PLACES],
    mut add: impl FnMut(u32),
    mut one_by_one: impl FnMut(&[T; ROW]),
) {
    let mut found = Found::<PLACES>::nothing();
    for rows in rows.chunks(BLOCK) {
        simd.vectorize(
            #[inline(always)]
            || found.find(rows, &find, &arrange),
        );
        found.certain().iter().for_each(|&place| add(place));
        found.uncertain().for_each(|row| one_by_one(&rows[row]));
    }
}

/// Where the values of a block are counted, `PLACES` for each row.
struct Found<const PLACES: usize> {
    places: [[u32; PLACES]; BLOCK],
    certain: usize,
    /// The rows that are to be looked at one by one.
    uncertain: [u32; BLOCK],
    uncertain_rows: usize,
}

impl<const PLACES: usize> Found<PLACES> {
    fn nothing() -> Self {
        Found { places: [[0; PLACES]; BLOCK], certain: 0, uncertain: [0; BLOCK], uncertain_rows: 0 }
    }

    /// Replaces what was found by the places of up to [`BLOCK`] rows. Uncertain rows leave theirs to the next, without
    /// a branch.
    #[inline(always)]
    fn find<T>(
        &mut self,
        rows: &[[T; ROW]],
        find: impl Fn(&[T; ROW]) -> ([u32; ROW], bool),
        arrange: impl Fn([u32; ROW]) -> [u32; PLACES],
    ) {
        (self.certain, self.uncertain_rows) = (0, 0);
        for (index, row) in (0u32..).zip(&rows[..rows.len().min(BLOCK)]) {
            let (bins, certain) = find(row);
            self.places[self.certain % BLOCK] = arrange(bins);
            self.uncertain[self.uncertain_rows % BLOCK] = index;
            self.certain += usize::from(certain);
            self.uncertain_rows += usize::from(!certain);
        }
    }

    fn certain(&self) -> &[u32] {
        self.places[..self.certain].as_flattened()
    }

    fn uncertain(&self) -> impl Iterator<Item = usize> {
        self.uncertain[..self.uncertain_rows].iter().map(|&row| row as usize)
    }
}

#[inline(always)]
fn pairs_of(bins: [u32; ROW]) -> [u32; ROW / 2] {
    let mut pairs = [0; ROW / 2];
    let (first, second) = bins.split_at(ROW / 2);
    for ((pair, &first), &second) in pairs.iter_mut().zip(first).zip(second) {
        *pair = first | second << 6;
    }
    pairs
}

#[inline(always)]
fn by_tables(mut bins: [u32; ROW]) -> [u32; ROW] {
    for (bin, table) in bins.iter_mut().zip((0..TABLES).cycle()) {
        *bin = bin.wrapping_mul(TABLES) + table;
    }
    bins
}

/// The bins of values that are far enough from every edge.
pub(crate) struct Guess<R> {
    bins_per_unit: R,
    /// What the middle of the first bin is then to be shifted by, to be zero.
    shift: R,
    /// The distance from the middle of a bin within which rounding, of edges or here, cannot matter.
    certain: R,
    bins: u32,
}

impl<R: Real> Guess<R> {
    /// `None` where too few values would be far enough.
    pub(crate) fn of(histogram: &Histogram) -> Option<Self> {
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
    pub(crate) fn bin(&self, value: R) -> (u32, bool) {
        let middle = value * self.bins_per_unit + self.shift;
        let rounded = middle + R::ROUND;
        let bin = rounded.whole();
        // No comparison with NaN holds, and numbers far out of range have other high bits.
        let certain = ((middle - (rounded - R::ROUND)).abs() < self.certain) & (bin < self.bins);
        (bin, certain)
    }

    /// The bins of a row, and whether all of them are certain.
    #[inline(always)]
    fn bins<T: Element>(&self, row: &[T; ROW], to_real: impl Fn(T) -> R) -> ([u32; ROW], bool) {
        let mut bins = [0; ROW];
        let mut all_certain = true;
        for (found, &value) in bins.iter_mut().zip(row) {
            let (bin, certain) = self.bin(to_real(value));
            *found = bin;
            all_certain &= certain;
        }
        (bins, all_certain)
    }
}
