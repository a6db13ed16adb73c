//! Sums of the codes of whole columns, where every column of a matrix has a scale of its own: row after row is added to
//! them, and only the sums are scaled.

use fearless_simd::Simd;

use crate::RangeSummary;
use crate::calibration::Calibration;
use crate::dequantize::Affine;
use crate::group_sums::{Centre, Code, GroupSums, KnownSums};

/// The columns of some rows that have the same groups.
pub(crate) struct ColumnSums {
    /// The group of the first column.
    first: u64,
    rows: u16,
    columns: Vec<(Affine, Centre)>,
    centres: Vec<i16>,
    sums: Vec<i32>,
    squares: Vec<i32>,
    low: Vec<i16>,
    high: Vec<i16>,
    zeros: Vec<u16>,
}

/// So few rows that no sum overflows, of squares of distances of at most 255.
const MOST_ROWS: u16 = 1 << 14;

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
        let of_columns: Vec<_> = groups.map(column).collect::<Option<_>>()?;
        Some(ColumnSums {
            first,
            rows: 0,
            centres: of_columns.iter().map(|(_, centre)| centre.code).collect(),
            columns: of_columns,
            sums: vec![0; columns],
            squares: vec![0; columns],
            low: vec![i16::MAX; columns],
            high: vec![i16::MIN; columns],
            zeros: vec![0; columns],
        })
    }

    /// Whether a row of so many codes, the first of which is in that group, can be added.
    pub(crate) fn fits(&self, group: u64, columns: usize) -> bool {
        self.first == group && self.sums.len() == columns && self.rows < MOST_ROWS
    }

    /// Adds a row.
    pub(crate) fn add<S: Simd, T: Code>(&mut self, simd: S, codes: &[T]) {
        self.rows += 1;
        // One loop for each: vectors take as many columns at once as fit.
        simd.vectorize(
            #[inline(always)]
            || {
                let distance = |(&code, &centre): (&T, &i16)| {
                    let code: i16 = code.into();
                    code - centre
                };
                let distances = || codes.iter().zip(&self.centres).map(distance);
                self.sums.iter_mut().zip(distances()).for_each(|(sum, it)| *sum += i32::from(it));
                let squares = self.squares.iter_mut().zip(distances());
                squares.for_each(|(square, it)| *square += i32::from(it) * i32::from(it));
                self.zeros.iter_mut().zip(distances()).for_each(|(zeros, it)| *zeros += u16::from(it == 0));
                self.low.iter_mut().zip(codes).for_each(|(low, &code)| *low = code.into().min(*low));
                self.high.iter_mut().zip(codes).for_each(|(high, &code)| *high = code.into().max(*high));
            },
        );
    }

    /// Adds what the codes of all columns stand for.
    pub(crate) fn empty_into(self, groups: &mut GroupSums, total: &mut RangeSummary) {
        for (column, (affine, centre)) in self.columns.iter().enumerate() {
            let sums = KnownSums {
                count: self.rows.into(),
                sum: self.sums[column],
                squares: self.squares[column],
                zeros: self.zeros[column].into(),
            };
            let ends = (f64::from(self.low[column]), f64::from(self.high[column]));
            groups.add_sums(&sums, ends, affine, centre, total);
        }
    }
}
