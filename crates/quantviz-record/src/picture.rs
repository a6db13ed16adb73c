//! A small picture of a matrix.

use quantviz_core::THUMBNAIL;

/// The cells of a small picture.
pub(crate) const CELLS: usize = THUMBNAIL * THUMBNAIL;
/// Octaves below the largest cell that a small picture tells apart.
const OCTAVES: f32 = 16.0;

#[derive(Clone, Default)]
pub(crate) struct Picture {
    pub(crate) scale: f32,
    pub(crate) cells: Vec<u8>,
}

impl Picture {
    /// On a logarithmic scale: 255 is the largest cell, 0 is zero or nothing.
    pub(crate) fn of(cells: &[f32], used: (usize, usize)) -> Self {
        Picture::with_side(THUMBNAIL, cells, used)
    }

    /// One of so many rows and columns, of which some may not be in use.
    pub(crate) fn with_side(side: usize, cells: &[f32], (rows, columns): (usize, usize)) -> Self {
        let scale = cells.iter().copied().filter(|it| it.is_finite()).fold(0.0f32, f32::max);
        let mut picture = vec![0; side * side];
        for (at, &cell) in cells.iter().enumerate().take(rows * columns) {
            let code = 255.0 + (cell / scale).log2() / OCTAVES * 254.0;
            // A cell that is no number, of numbers that are none, is as empty as zero.
            picture[at / columns * side + at % columns] =
                if cell > 0.0 { code.clamp(1.0, 255.0).round() as u8 } else { 0 };
        }
        Picture { scale, cells: picture }
    }

    /// In half as many rows and columns: of four cells the size of all, or the largest of them.
    pub(crate) fn halved(&self, merge: Merge) -> Self {
        const HALF: usize = THUMBNAIL / 2;
        let mut halved = vec![0.0f32; HALF * HALF];
        if self.cells.len() == CELLS {
            for (at, out) in halved.iter_mut().enumerate() {
                let first = at / HALF * 2 * THUMBNAIL + at % HALF * 2;
                let four =
                    [first, first + 1, first + THUMBNAIL, first + THUMBNAIL + 1].map(|it| self.value(it));
                *out = match merge {
                    Merge::Largest => four.into_iter().fold(0.0, f32::max),
                    // Cells at the edge that are not in use, or empty, are zero and do not count.
                    Merge::Size => {
                        let used = four.iter().filter(|it| **it > 0.0).count().max(1);
                        (four.iter().map(|it| it * it).sum::<f32>() / used as f32).sqrt()
                    }
                };
            }
        }
        Picture::with_side(HALF, &halved, (HALF, HALF))
    }

    fn value(&self, at: usize) -> f32 {
        match self.cells[at] {
            0 => 0.0,
            code => self.scale * ((f32::from(code) - 255.0) / 254.0 * OCTAVES).exp2(),
        }
    }
}

/// Pictures of the matrices that were seen last, each of another.
#[derive(Default)]
pub(crate) struct LastSeen(Vec<(u32, Picture)>);

impl LastSeen {
    const MOST: usize = 13;

    pub(crate) fn put(&mut self, matrix: u32, picture: Picture) {
        self.0.retain(|(it, _)| *it != matrix);
        self.0.insert(0, (matrix, picture));
        self.0.truncate(Self::MOST);
    }

    pub(crate) fn matrices(&self) -> Vec<u32> {
        self.0.iter().map(|it| it.0).collect()
    }

    pub(crate) fn pictures(&self) -> impl Iterator<Item = &Picture> {
        self.0.iter().map(|it| &it.1)
    }
}

/// What four cells become.
#[derive(Clone, Copy)]
pub(crate) enum Merge {
    /// The root of the mean of squares.
    Size,
    Largest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_tell_sixteen_octaves_apart() {
        let picture = Picture::of(&[1.0, 0.5, 0.0, f32::NAN, 1e-9, 2.0], (2, 3));
        assert_eq!(picture.scale, 2.0);
        assert_eq!(
            (picture.cells[0], picture.cells[2], picture.cells[24], picture.cells[25], picture.cells[26]),
            (239, 0, 0, 1, 255)
        );
    }

    #[test]
    fn four_cells_become_one() {
        let cells: Vec<f32> = (0..24 * 24).map(|at| if at % 24 < 2 { 1.0 } else { 4.0 }).collect();
        let picture = Picture::of(&cells, (24, 24));
        for merge in [Merge::Size, Merge::Largest] {
            let halved = picture.halved(merge);
            assert_eq!((halved.scale, halved.cells.len()), (4.0, 144));
            // Two octaves below the largest.
            assert_eq!((halved.cells[0], halved.cells[1], halved.cells[12]), (223, 255, 223));
        }
        let mixed = Picture::of(&[3.0, 1.0, 1.0, 1.0], (2, 2));
        assert!((mixed.halved(Merge::Size).scale - 3.0f32.sqrt()).abs() < 0.05);
        assert_eq!(mixed.halved(Merge::Largest).scale, 3.0);
    }
}
