//! One look at a matrix: statistics, the size of every row and column, and a small picture of it.

use fearless_simd::{Level, Simd, dispatch};

use crate::RangeSummary;

/// The most rows, and columns, that a small picture of a matrix has.
pub const THUMBNAIL: usize = 24;

/// Rows whose sums are in `f32`: so few that rounding costs no digit that a summary shows.
const ROWS_AT_ONCE: usize = 128;
/// Rows that are looked at together, so that sums of columns are fetched once for all of them.
const ROWS: usize = 8;
const LANES: usize = 16;

/// A matrix that is being looked at, row after row.
#[derive(Debug)]
pub struct MatrixLook {
    most_cells: usize,
    rows: usize,
    columns: usize,
    /// The next row.
    at: usize,
    /// Rows since the sums of columns were emptied.
    pending: usize,
    sums: ColumnSums,
    /// A row that came in pieces.
    piece: Vec<f32>,
    looked: Totals,
    look: Look,
}

/// Of each column, over few rows.
#[derive(Debug, Default)]
struct ColumnSums {
    sum: Vec<f32>,
    squares: Vec<f32>,
    low: Vec<f32>,
    high: Vec<f32>,
    zeros: Vec<f32>,
}

#[derive(Debug, Default)]
struct Totals {
    rows: usize,
    sum: f64,
    squares: f64,
    low: f32,
    high: f32,
    zeros: f64,
    is_odd: bool,
    /// Of each cell of the picture, how many rows were looked at.
    rows_in_band: Vec<f32>,
}

/// What a look has seen.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Look {
    /// Counts, range and moments, of the rows that were looked at. `None` where there are numbers that are none, or so
    /// large that their squares are none: then a slower look is needed.
    pub summary: Option<RangeSummary>,
    /// The root mean square of each row; not a number, where it was not looked at.
    pub row_rms: Vec<f32>,
    /// The root mean square of each column.
    pub column_rms: Vec<f32>,
    /// How many rows and columns the picture has.
    pub cells: (usize, usize),
    /// The root mean square in each cell of the picture, row by row.
    pub cell_rms: Vec<f32>,
    /// The largest distance from zero in each cell.
    pub cell_peak: Vec<f32>,
}

impl Default for MatrixLook {
    fn default() -> Self {
        MatrixLook::with_cells(THUMBNAIL)
    }
}

impl MatrixLook {
    /// Looks whose pictures have at most so many rows, and columns: [`THUMBNAIL`], if nothing is said.
    pub fn with_cells(most: usize) -> Self {
        MatrixLook {
            most_cells: most,
            rows: 0,
            columns: 0,
            at: 0,
            pending: 0,
            sums: ColumnSums::default(),
            piece: Vec::new(),
            looked: Totals::default(),
            look: Look::default(),
        }
    }

    /// A matrix of so many rows and columns. What an earlier look has taken of memory is used again.
    pub fn begin(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns, self.at, self.pending) = (rows, columns, 0, 0);
        self.sums.begin(columns);
        self.piece.clear();
        let cells = (rows.min(self.most_cells), columns.min(self.most_cells));
        let mut bands = std::mem::take(&mut self.looked.rows_in_band);
        refill(&mut bands, cells.0, 0.0);
        self.looked =
            Totals { low: f32::INFINITY, high: f32::NEG_INFINITY, rows_in_band: bands, ..Totals::default() };
        self.look.summary = None;
        self.look.cells = cells;
        refill(&mut self.look.row_rms, rows, f32::NAN);
        refill(&mut self.look.column_rms, columns, 0.0);
        refill(&mut self.look.cell_rms, cells.0 * cells.1, 0.0);
        refill(&mut self.look.cell_peak, cells.0 * cells.1, 0.0);
    }

    /// Leaves out rows: the next value is the first of this one, which is none before the last.
    pub fn skip_to(&mut self, row: usize) {
        if row != self.at {
            self.flush();
            self.at = row;
        }
    }

    /// Looks at the next values, row-major.
    pub fn add(&mut self, mut values: &[f32]) {
        if !self.piece.is_empty() {
            let missing = (self.columns - self.piece.len()).min(values.len());
            self.piece.extend_from_slice(&values[..missing]);
            values = &values[missing..];
            if self.piece.len() < self.columns {
                return;
            }
            let piece = std::mem::take(&mut self.piece);
            self.add_rows(&piece);
            self.piece = piece;
            self.piece.clear();
        }
        let whole = values.len() - values.len().checked_rem(self.columns).unwrap_or(0);
        self.add_rows(&values[..whole]);
        self.piece.extend_from_slice(&values[whole..]);
    }

    fn add_rows(&mut self, values: &[f32]) {
        dispatch!(Level::new(), simd => self.add_rows_with(simd, values));
    }

    #[inline(always)]
    fn add_rows_with<S: Simd>(&mut self, simd: S, mut values: &[f32]) {
        let columns = self.columns;
        while values.len() >= columns && columns > 0 && self.at < self.rows {
            let band_end = self.band_end();
            let left = (band_end - self.at).min(ROWS_AT_ONCE - self.pending);
            let rows = (values.len() / columns).min(left);
            let (here, rest) = values.split_at(rows * columns);
            values = rest;
            let squares = &mut self.look.row_rms[self.at..self.at + rows];
            let sums = &mut self.sums;
            simd.vectorize(
                #[inline(always)]
                || sums.add_rows(here, columns, squares),
            );
            self.at += rows;
            self.pending += rows;
            if self.at == band_end || self.pending == ROWS_AT_ONCE {
                self.flush();
            }
        }
    }

    fn band(&self) -> usize {
        // The bands of rows are [⌈b·rows/cells⌉, ⌈(b+1)·rows/cells⌉).
        (self.at * self.look.cells.0).checked_div(self.rows).unwrap_or(0)
    }

    fn band_end(&self) -> usize {
        ((self.band() + 1) * self.rows).div_ceil(self.look.cells.0.max(1))
    }

    /// Empties the sums of columns.
    fn flush(&mut self) {
        if self.pending == 0 {
            return;
        }
        let before = self.at - self.pending;
        let band = (before * self.look.cells.0).checked_div(self.rows).unwrap_or(0);
        let cells = self.look.cells.1;
        let totals = &mut self.looked;
        let first = band * cells;
        let mut begin = 0;
        for cell in 0..cells {
            let end = ((cell + 1) * self.columns).div_ceil(cells);
            let part = self.sums.empty(begin..end, &mut self.look.column_rms);
            begin = end;
            totals.sum += part.sum;
            totals.squares += part.squares;
            totals.low = totals.low.min(part.low);
            totals.high = totals.high.max(part.high);
            totals.zeros += part.zeros;
            self.look.cell_rms[first + cell] += narrow(part.squares);
            let peak = &mut self.look.cell_peak[first + cell];
            *peak = peak.max(part.low.abs()).max(part.high.abs());
        }
        totals.is_odd |= !(totals.sum.is_finite() && totals.squares.is_finite());
        totals.rows_in_band[band] += wide(self.pending);
        totals.rows += self.pending;
        self.pending = 0;
    }

    /// What was seen.
    pub fn finish(&mut self) -> &Look {
        self.flush();
        let (totals, look, columns) = (&self.looked, &mut self.look, self.columns);
        let rms = |squares: f32, count: f32| if count > 0.0 { (squares / count).sqrt() } else { 0.0 };
        look.row_rms.iter_mut().for_each(|it| *it = rms(*it, wide(columns)));
        look.column_rms.iter_mut().for_each(|it| *it = rms(*it, wide(totals.rows)));
        let cells = look.cells.1;
        let widths: Vec<f32> = (0..cells)
            .map(|cell| wide(((cell + 1) * columns).div_ceil(cells) - (cell * columns).div_ceil(cells)))
            .collect();
        for (at, it) in look.cell_rms.iter_mut().enumerate() {
            *it = rms(*it, totals.rows_in_band[at / cells] * widths[at % cells]);
        }
        let count = (totals.rows * columns) as u64;
        let (mean_square, mean) = (totals.squares / real(count), totals.sum / real(count));
        // Where the mean is far larger than the spread, squares do not tell it.
        let is_plain = !totals.is_odd && count > 0 && mean * mean < 1e3 * (mean_square - mean * mean);
        let is_zero = !totals.is_odd && totals.squares == 0.0;
        look.summary = (is_plain || is_zero).then(|| {
            let ends = (f64::from(totals.low), f64::from(totals.high));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of counts")]
            let zeros = totals.zeros as u64;
            RangeSummary::of_sums(count, 0.0, totals.sum, totals.squares, ends, zeros)
                .sampled_from((self.rows * columns) as u64)
        });
        look
    }
}

impl ColumnSums {
    fn begin(&mut self, columns: usize) {
        for (sums, value) in [
            (&mut self.sum, 0.0),
            (&mut self.squares, 0.0),
            (&mut self.low, f32::INFINITY),
            (&mut self.high, f32::NEG_INFINITY),
            (&mut self.zeros, 0.0),
        ] {
            refill(sums, columns, value);
        }
    }

    #[inline(always)]
    fn add_rows(&mut self, values: &[f32], columns: usize, row_squares: &mut [f32]) {
        let mut groups = values.chunks_exact(ROWS * columns);
        let (of_groups, of_rest) = row_squares.split_at_mut(row_squares.len() / ROWS * ROWS);
        for (group, squares) in groups.by_ref().zip(of_groups.as_chunks_mut::<ROWS>().0) {
            *squares = self.add_together(group, columns);
        }
        for (row, squares) in groups.remainder().chunks_exact(columns).zip(of_rest) {
            [*squares] = self.add_together(row, columns);
        }
    }

    /// Adds `N` rows; returns the sum of squares of each.
    #[inline(always)]
    fn add_together<const N: usize>(&mut self, values: &[f32], columns: usize) -> [f32; N] {
        let rows: [&[f32]; N] = std::array::from_fn(|row| &values[row * columns..(row + 1) * columns]);
        let mut row_squares = [[0.0f32; LANES]; N];
        let whole = columns / LANES * LANES;
        let mut begin = 0;
        while begin < whole {
            // Copies, which stay in registers while the rows go by.
            let mut sum = *lanes(&mut self.sum, begin);
            let mut squares = *lanes(&mut self.squares, begin);
            let mut low = *lanes(&mut self.low, begin);
            let mut high = *lanes(&mut self.high, begin);
            let mut zeros = *lanes(&mut self.zeros, begin);
            for (row, of_row) in rows.iter().zip(&mut row_squares) {
                let Some(values) = row[begin..].first_chunk::<LANES>() else { break };
                for lane in 0..LANES {
                    let value = values[lane];
                    let square = value * value;
                    sum[lane] += value;
                    squares[lane] += square;
                    of_row[lane] += square;
                    low[lane] = if value < low[lane] { value } else { low[lane] };
                    high[lane] = if value > high[lane] { value } else { high[lane] };
                    zeros[lane] += if value == 0.0 { 1.0 } else { 0.0 };
                }
            }
            *lanes(&mut self.sum, begin) = sum;
            *lanes(&mut self.squares, begin) = squares;
            *lanes(&mut self.low, begin) = low;
            *lanes(&mut self.high, begin) = high;
            *lanes(&mut self.zeros, begin) = zeros;
            begin += LANES;
        }
        for column in whole..columns {
            for (row, of_row) in rows.iter().zip(&mut row_squares) {
                let value = row[column];
                self.sum[column] += value;
                self.squares[column] += value * value;
                of_row[column % LANES] += value * value;
                self.low[column] = if value < self.low[column] { value } else { self.low[column] };
                self.high[column] = if value > self.high[column] { value } else { self.high[column] };
                self.zeros[column] += if value == 0.0 { 1.0 } else { 0.0 };
            }
        }
        row_squares.map(|lanes| lanes.iter().sum())
    }

    /// What these columns have come to, which begin anew; their squares are added to those of whole columns.
    fn empty(&mut self, columns: std::ops::Range<usize>, column_squares: &mut [f32]) -> Part {
        let mut part =
            Part { sum: 0.0, squares: 0.0, low: f32::INFINITY, high: f32::NEG_INFINITY, zeros: 0.0 };
        for column in columns {
            part.sum += f64::from(std::mem::take(&mut self.sum[column]));
            let squares = std::mem::take(&mut self.squares[column]);
            part.squares += f64::from(squares);
            column_squares[column] += squares;
            part.low = part.low.min(std::mem::replace(&mut self.low[column], f32::INFINITY));
            part.high = part.high.max(std::mem::replace(&mut self.high[column], f32::NEG_INFINITY));
            part.zeros += f64::from(std::mem::take(&mut self.zeros[column]));
        }
        part
    }
}

struct Part {
    sum: f64,
    squares: f64,
    low: f32,
    high: f32,
    zeros: f64,
}

#[inline(always)]
fn lanes(values: &mut [f32], begin: usize) -> &mut [f32; LANES] {
    match values[begin..].first_chunk_mut() {
        Some(lanes) => lanes,
        None => unreachable!("as many lanes are left"),
    }
}

fn refill(values: &mut Vec<f32>, len: usize, value: f32) {
    values.clear();
    values.resize(len, value);
}

#[expect(clippy::cast_possible_truncation, reason = "to be shown")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_precision_loss, reason = "no matrix has so many rows")]
fn wide(count: usize) -> f32 {
    count as f32
}

#[expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        (0..rows * columns)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                #[expect(clippy::cast_precision_loss, reason = "noise")]
                let noise = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
                if state >> 60 == 0 { 0.0 } else { noise }
            })
            .collect()
    }

    /// Against formulas that know nothing of bands and lanes, of pieces of every size.
    #[test]
    fn it_sees_what_is_there() {
        for (rows, columns, piece) in
            [(3, 5, 2), (24, 24, 100), (131, 37, 1000), (300, 130, 77), (7, 500, 9999)]
        {
            let values = matrix(rows, columns, 7);
            let mut looking = MatrixLook::default();
            looking.begin(rows, columns);
            values.chunks(piece).for_each(|piece| looking.add(piece));
            let look = looking.finish();
            let truth = RangeSummary::of(&values);
            let summary = look.summary.expect("plain numbers");
            assert_eq!(
                (summary.count(), summary.zeros()),
                (truth.count(), truth.zeros()),
                "{rows}x{columns}"
            );
            assert_eq!((summary.min(), summary.max()), (truth.min(), truth.max()));
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b} {rows}x{columns}");
            near(summary.mean().unwrap_or(9.0), truth.mean().unwrap_or(0.0));
            near(summary.std().unwrap_or(9.0), truth.std().unwrap_or(0.0));
            let rms = |of: &mut dyn Iterator<Item = f32>| {
                let all: Vec<f64> = of.map(|it| f64::from(it).powi(2)).collect();
                (all.iter().sum::<f64>() / real(all.len() as u64)).sqrt()
            };
            for row in 0..rows {
                near(
                    look.row_rms[row].into(),
                    rms(&mut values[row * columns..(row + 1) * columns].iter().copied()),
                );
            }
            for column in 0..columns {
                near(
                    look.column_rms[column].into(),
                    rms(&mut values.iter().skip(column).step_by(columns).copied()),
                );
            }
            let (bands, cells) = look.cells;
            for (band, cell) in (0..bands).flat_map(|band| (0..cells).map(move |cell| (band, cell))) {
                let inside = |at: &usize| {
                    (at / columns) * bands / rows == band && (at % columns) * cells / columns == cell
                };
                let inside: Vec<f32> = (0..values.len()).filter(inside).map(|at| values[at]).collect();
                near(look.cell_rms[band * cells + cell].into(), rms(&mut inside.iter().copied()));
                let peak = inside.iter().fold(0.0f32, |peak, it| peak.max(it.abs()));
                assert_eq!(look.cell_peak[band * cells + cell], peak);
            }
        }
    }

    #[test]
    fn rows_that_are_left_out() {
        let values = matrix(100, 8, 3);
        let mut looking = MatrixLook::default();
        looking.begin(100, 8);
        for row in (0..100).step_by(10) {
            looking.skip_to(row);
            looking.add(&values[row * 8..(row + 1) * 8]);
        }
        let look = looking.finish();
        let summary = look.summary.expect("plain numbers");
        assert_eq!((summary.count(), summary.population()), (80, 800));
        assert!(look.row_rms[0].is_finite() && look.row_rms[1].is_nan());
    }

    #[test]
    fn numbers_that_are_none_need_a_slower_look() {
        for odd in [f32::NAN, f32::INFINITY, 1e30, -1e25] {
            let mut values = matrix(40, 40, 1);
            values[777] = odd;
            let mut looking = MatrixLook::default();
            looking.begin(40, 40);
            looking.add(&values);
            assert!(looking.finish().summary.is_none(), "{odd}");
        }
        let mut looking = MatrixLook::default();
        looking.begin(40, 40);
        looking.add(&vec![1000.0f32; 1600]);
        assert!(looking.finish().summary.is_none(), "squares do not tell the spread");
        looking.begin(40, 40);
        looking.add(&vec![0.0f32; 1600]);
        assert_eq!(looking.finish().summary.and_then(|it| it.std()), Some(0.0));
    }
}
