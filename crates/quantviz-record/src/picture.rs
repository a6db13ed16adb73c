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
    pub(crate) fn of(cells: &[f32], (rows, columns): (usize, usize)) -> Self {
        let scale = cells.iter().copied().filter(|it| it.is_finite()).fold(0.0f32, f32::max);
        let mut picture = vec![0; CELLS];
        for (at, &cell) in cells.iter().enumerate().take(rows * columns) {
            let code = 255.0 + (cell / scale).log2() / OCTAVES * 254.0;
            // A cell that is no number, of numbers that are none, is as empty as zero.
            picture[at / columns * THUMBNAIL + at % columns] =
                if cell > 0.0 { code.clamp(1.0, 255.0).round() as u8 } else { 0 };
        }
        Picture { scale, cells: picture }
    }
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
}
