//! What rounds to each code, where codes are not whole numbers: found once for each of them, not for each number.

use super::grid::Grid;
use crate::code_counts::{CODES, code_values_of};
use crate::dequantize::in_table;
use crate::{DType, Elements};

/// Everything between these rounds to a code.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The cells of all codes, by their bits.
pub(super) struct Cells(Box<[Cell; CODES]>);

impl Cells {
    /// Of codes of a type, which may stand for what a table has; `None` where they are whole numbers.
    pub(super) fn of(grid: &Grid, dtype: DType, table: Option<&[f32]>) -> Option<Self> {
        let Grid::Uneven(values) = grid else { return None };
        let (first, last) = grid.bounds();
        let code_value = code_values_of(dtype);
        let cell = |code| {
            let value = code_value(code);
            let value = table.map_or(value, |table| in_table(table, value));
            let place = values.partition_point(|&other| other < value);
            let middle = |below: usize, above: usize| Some((values.get(below)? + values.get(above)?) / 2.0);
            let low = place.checked_sub(1).and_then(|below| middle(below, place)).unwrap_or(first);
            let high = middle(place, place + 1).unwrap_or(last);
            // A number that is none is in no cell.
            Cell { value, low, high }
        };
        dtype.bits().filter(|&bits| bits <= 8).map(|_| Cells(Box::new(std::array::from_fn(cell))))
    }

    /// Adds the values of codes and the ends of their cells; false, and nothing added, where elements are no such codes.
    #[inline(always)]
    pub(super) fn push(
        &self,
        elements: &Elements<'_>,
        unpacked: &mut Vec<u8>,
        to: [&mut Vec<f64>; 3],
    ) -> bool {
        let codes = match elements {
            Elements::U8(codes) => codes,
            Elements::I8(codes) => bytemuck::cast_slice(codes),
            Elements::Packed(packed) => {
                unpacked.clear();
                packed.push_codes(unpacked);
                &unpacked[..]
            }
            _ => return false,
        };
        let [values, lows, highs] = to;
        let cells = codes.iter().map(|&code| self.0[usize::from(code)]);
        values.extend(cells.clone().map(|cell| cell.value));
        lows.extend(cells.clone().map(|cell| cell.low));
        highs.extend(cells.map(|cell| cell.high));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cell holds rounds to its value, and what it does not hold does not.
    #[test]
    fn what_rounds_to_a_code() {
        let all: Vec<f64> = (0..CODES).map(code_values_of(DType::F8E4M3Fn)).collect();
        let mut finite: Vec<f64> = all.iter().copied().filter(|value| value.is_finite()).collect();
        finite.sort_by(f64::total_cmp);
        finite.dedup();
        let grid = Grid::Uneven(finite);
        let cells = Cells::of(&grid, DType::F8E4M3Fn, None).expect("floats");
        for (cell, value) in cells.0.iter().zip(all) {
            assert!(cell.value == value || value.is_nan() && cell.value.is_nan());
            for target in [cell.low, cell.high].into_iter().filter(|_| value.is_finite()) {
                let inside = target + (value - target) * 1e-9;
                let outside = target - (value - target) * 1e-9;
                assert_eq!(grid.nearest(inside), value);
                let is_beyond = outside < grid.bounds().0 || outside > grid.bounds().1;
                assert!(is_beyond || grid.nearest(outside) != value, "{value} {target}");
            }
        }
        assert!(Cells::of(&Grid::Even { low: 0.0, high: 15.0 }, DType::U4, None).is_none());
    }
}
