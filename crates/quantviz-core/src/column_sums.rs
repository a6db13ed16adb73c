//! Sums of the codes of whole columns, where every column of a matrix has a scale of its own: row after row is added to
//! them, and only the sums are scaled.

use fearless_simd::{Bytes, Select, Simd, SimdBase, SimdIntWiden, SimdWiden, i16x16, i32x8, u8x32};

use crate::RangeSummary;
use crate::calibration::Calibration;
use crate::dequantize::Affine;
use crate::group_sums::{Centre, Code, KnownSums};

/// The columns of some rows that have the same groups.
pub(crate) struct ColumnSums {
    /// The group of the first column.
    first: u64,
    /// What is flipped in codes, see [`Code::FLIP`]: everything here is said of what comes of that.
    flip: u8,
    rows: usize,
    columns: Vec<(Affine, Centre)>,
    /// The codes that distances are taken from.
    centres: Vec<i16>,
    /// The codes that stand for about zero, the nearest that there is.
    zero_codes: Vec<u8>,
    sums: Vec<i32>,
    squares: Vec<i32>,
    low: Vec<u8>,
    high: Vec<u8>,
    zeros: Vec<u32>,
}

/// So few rows that no sum overflows, of squares of distances of at most 255.
const MOST_ROWS: usize = 1 << 14;
/// So few rows that sums of distances fit in sixteen bits, and numbers of zeros in eight.
const ROWS_AT_ONCE: usize = 128;
/// Columns that are looked at together, down all those rows: what is known of them never leaves the processor.
const STRIP: usize = 32;

impl ColumnSums {
    /// Columns of which nothing is known yet, the first of which is in that group; `None` where sums of codes do not tell
    /// what their values add up to.
    pub(crate) fn of<T: Code>(calibration: &Calibration, first: u64, columns: usize) -> Option<Self> {
        let [least, most] = T::ENDS;
        let ends = (least.to_f64(), most.to_f64());
        let column = |group| {
            let affine = calibration.affine(group);
            Some((affine, affine.centre(ends)?))
        };
        let groups = first..first + columns as u64;
        let of_columns: Vec<(Affine, Centre)> = groups.map(column).collect::<Option<_>>()?;
        let centres: Vec<i16> =
            of_columns.iter().map(|(_, centre)| centre.code + i16::from(T::FLIP)).collect();
        Some(ColumnSums {
            first,
            flip: T::FLIP,
            rows: 0,
            columns: of_columns,
            zero_codes: centres
                .iter()
                .map(|&centre| u8::try_from(centre.clamp(0, 255)).unwrap_or(0))
                .collect(),
            centres,
            sums: vec![0; columns],
            squares: vec![0; columns],
            low: vec![u8::MAX; columns],
            high: vec![u8::MIN; columns],
            zeros: vec![0; columns],
        })
    }

    /// How many rows of so many codes, the first of which is in that group, can be added.
    pub(crate) fn room(&self, group: u64, columns: usize) -> usize {
        let fits = self.first == group && self.columns.len() == columns;
        if fits { MOST_ROWS - self.rows } else { 0 }
    }

    /// Adds whole rows.
    pub(crate) fn add<S: Simd, T: Code>(&mut self, simd: S, codes: &[T]) {
        let columns = self.columns.len();
        let bytes: &[u8] = bytemuck::cast_slice(codes);
        self.rows += bytes.len() / columns;
        simd.vectorize(
            #[inline(always)]
            || {
                let in_strips = columns / STRIP * STRIP;
                for rows in bytes.chunks(columns * ROWS_AT_ONCE) {
                    for start in (0..in_strips).step_by(STRIP) {
                        let mut strip =
                            Strip::new(simd, self.flip, &self.zero_codes[start..], &self.centres[start..]);
                        strip.add_rows(rows, start, columns);
                        self.take(start, &strip);
                    }
                    for column in in_strips..columns {
                        self.add_column(column, rows);
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn take<S: Simd>(&mut self, start: usize, strip: &Strip<S>) {
        let columns = start..start + STRIP;
        let add = |all: &mut i32, more: i32| *all += more;
        let sums = strip.sums.iter().flat_map(|some| some.as_slice()).map(|&sum| i32::from(sum));
        self.sums[columns.clone()].iter_mut().zip(sums).for_each(|(all, more)| add(all, more));
        let squares = strip.squares.iter().flat_map(|some| some.as_slice());
        self.squares[columns.clone()].iter_mut().zip(squares).for_each(|(all, &more)| add(all, more));
        let zeros = self.zeros[columns.clone()].iter_mut().zip(strip.zeros.as_slice());
        zeros.for_each(|(all, &more)| *all += u32::from(more));
        let low = self.low[columns.clone()].iter_mut().zip(strip.low.as_slice());
        low.for_each(|(all, &more)| *all = more.min(*all));
        let high = self.high[columns].iter_mut().zip(strip.high.as_slice());
        high.for_each(|(all, &more)| *all = more.max(*all));
    }

    /// Adds what rows have in one column.
    fn add_column(&mut self, column: usize, rows: &[u8]) {
        for code in rows.iter().skip(column).step_by(self.columns.len()) {
            let code = code ^ self.flip;
            let distance = i32::from(i16::from(code) - self.centres[column]);
            self.sums[column] += distance;
            self.squares[column] += distance * distance;
            self.zeros[column] += u32::from(code == self.zero_codes[column]);
            self.low[column] = code.min(self.low[column]);
            self.high[column] = code.max(self.high[column]);
        }
    }

    /// Adds what the codes of all columns stand for.
    pub(crate) fn empty_into(self, total: &mut RangeSummary) {
        for (column, (affine, centre)) in self.columns.iter().enumerate() {
            let is_zero_code = i16::from(self.zero_codes[column]) == self.centres[column];
            let sums = KnownSums {
                count: self.rows as u64,
                sum: self.sums[column].into(),
                squares: self.squares[column].into(),
                zeros: if is_zero_code { self.zeros[column].into() } else { 0 },
            };
            let code = |byte: u8| f64::from(byte) - f64::from(self.flip);
            let end = |byte| affine.real(code(byte));
            let (one, other) = (end(self.low[column]), end(self.high[column]));
            total.merge(&sums.summary(affine, centre, (one.min(other), one.max(other))));
        }
    }
}

/// What is known of columns side by side.
struct Strip<S: Simd> {
    simd: S,
    flip: u8,
    zero_codes: u8x32<S>,
    centres: [i16x16<S>; 2],
    sums: [i16x16<S>; 2],
    squares: [i32x8<S>; 4],
    low: u8x32<S>,
    high: u8x32<S>,
    zeros: u8x32<S>,
}

impl<S: Simd> Strip<S> {
    #[inline(always)]
    fn new(simd: S, flip: u8, zero_codes: &[u8], centres: &[i16]) -> Self {
        Strip {
            simd,
            flip,
            zero_codes: u8x32::from_slice(simd, &zero_codes[..STRIP]),
            centres: [
                i16x16::from_slice(simd, &centres[..16]),
                i16x16::from_slice(simd, &centres[16..STRIP]),
            ],
            sums: [i16x16::splat(simd, 0); 2],
            squares: [i32x8::splat(simd, 0); 4],
            low: u8x32::splat(simd, u8::MAX),
            high: u8x32::splat(simd, u8::MIN),
            zeros: u8x32::splat(simd, 0),
        }
    }

    /// Adds the codes of these columns, from `start` on, in rows of so many.
    #[inline(always)]
    fn add_rows(&mut self, rows: &[u8], start: usize, columns: usize) {
        let simd = self.simd;
        let mut pairs = rows.chunks_exact(2 * columns);
        for pair in &mut pairs {
            let first = self.look(u8x32::from_slice(simd, &pair[start..start + STRIP]));
            let second = self.look(u8x32::from_slice(simd, &pair[columns + start..columns + start + STRIP]));
            self.add(first, second);
        }
        if let Some(last) = pairs.remainder().get(start..start + STRIP) {
            let last = self.look(u8x32::from_slice(simd, last));
            self.add(last, [i16x16::splat(simd, 0); 2]);
        }
    }

    /// Their distances from the centres.
    #[inline(always)]
    fn look(&mut self, codes: u8x32<S>) -> [i16x16<S>; 2] {
        let codes = codes ^ self.flip;
        self.low = self.low.min(codes);
        self.high = self.high.max(codes);
        self.zeros +=
            codes.simd_eq(self.zero_codes).select(u8x32::splat(self.simd, 1), u8x32::splat(self.simd, 0));
        let (low, high) = codes.widen();
        let (low, high): (i16x16<S>, i16x16<S>) = (low.bitcast(), high.bitcast());
        [low - self.centres[0], high - self.centres[1]]
    }

    /// Two rows at once: neighbours are multiplied and added in one step.
    #[inline(always)]
    fn add(&mut self, first: [i16x16<S>; 2], second: [i16x16<S>; 2]) {
        for half in 0..2 {
            self.sums[half] += first[half] + second[half];
            let (low, high) = first[half].interleave(second[half]);
            self.squares[2 * half] += low.pairwise_dot_product(low);
            self.squares[2 * half + 1] += high.pairwise_dot_product(high);
        }
    }
}
