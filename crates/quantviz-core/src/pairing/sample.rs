//! A few places of a parameter that are looked at to tell who it is.

use super::Aligned;
use crate::dequantize::for_each_real;
use crate::{ParameterId, ParameterSource, Result, Shape};

/// Squares of a matrix, or of what is one if all axes but the first are taken together. Small parameters are looked at
/// whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tiles {
    columns: u64,
    /// The first row and the first column of each.
    corners: Vec<(u64, u64)>,
    pub(super) height: usize,
    pub(super) width: usize,
}

const SIDE: u64 = 32;
const TILES: u64 = 4;

impl Tiles {
    pub(super) fn of(shape: &Shape) -> Self {
        let (rows, columns) = match shape.dims() {
            [] => (1, 1),
            [len] => (1, *len),
            [rows, others @ ..] => (*rows, others.iter().product()),
        };
        if rows * columns <= SIDE * SIDE * TILES {
            return Tiles { columns, corners: vec![(0, 0)], height: rows as usize, width: columns as usize };
        }
        let (height, width) = match (rows.min(SIDE), columns.min(SIDE)) {
            // Long and thin: as many numbers, in another shape.
            (height, SIDE) if height < SIDE => (height, (SIDE * SIDE / height).min(columns)),
            (SIDE, width) if width < SIDE => ((SIDE * SIDE / width).min(rows), width),
            both => both,
        };
        // The same for all parameters of the shape, and nowhere near each other.
        let place = |tile: u64, room: u64| {
            let mixed = (tile + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            (room * tile / TILES + mixed % (room / TILES).max(1)).min(room)
        };
        let corner = |tile| (place(tile, rows - height), place(TILES - 1 - tile, columns - width));
        let corners = (0..TILES).map(corner).collect();
        Tiles { columns, corners, height: height as usize, width: width as usize }
    }

    /// The rows of all tiles: where each begins.
    fn rows(&self) -> impl Iterator<Item = u64> + use<'_> {
        self.corners.iter().flat_map(move |(row, column)| {
            (0..self.height as u64).map(move |below| (row + below) * self.columns + column)
        })
    }

    /// The row and the column of each number of the sample: of one of the matrix, since rows of two tiles may be the same.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, u64)> + use<'_> {
        self.rows().flat_map(|start| {
            (start..start + self.width as u64).map(|index| (index / self.columns, index % self.columns))
        })
    }

    /// The numbers of the reference beside these codes.
    pub(super) fn read(&self, aligned: &Aligned<'_>) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for &(row, column) in &self.corners {
            let (rows, columns) = (row..row + self.height as u64, column..column + self.width as u64);
            all.extend(aligned.tile(rows, columns, self.columns)?);
        }
        Ok(all)
    }
}

/// What the codes there stand for.
pub(super) fn sample(
    source: &(dyn ParameterSource + Sync),
    id: ParameterId,
    tiles: &Tiles,
) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for start in tiles.rows() {
        for_each_real(source, id, start..start + tiles.width as u64, |value| values.push(value))?;
    }
    Ok(values)
}
