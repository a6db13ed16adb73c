//! What is said of a matrix as a whole: rank, extremes, and what rounding to eight bits would leave of it.

use fearless_simd::{Level, Simd, dispatch};

/// Rows and columns that stand out, from the root mean squares of all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Peaks {
    /// The largest by the median.
    pub peak: f32,
    /// How many are below a thousandth of the median.
    pub dead: u32,
}

/// What is computed of some whole rows of a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MatrixFeatures {
    /// The sum of squares by the square of the largest singular value.
    pub stable_rank: f32,
    /// The exponential of the entropy of the squared singular values.
    pub effective_rank: f32,
    /// Decibels that are left by rounding to eight bits with one scale.
    pub sqnr_int8: f32,
    /// Decibels that are left by rounding to eight bits with a scale for each row.
    pub sqnr_int8_channel: f32,
}

/// The share of the median below which a row or a column is dead.
const DEAD: f32 = 1e-3;

impl Peaks {
    /// Of the root mean squares of rows or of columns; those that are no numbers were not looked at.
    pub fn of(rms: &[f32]) -> Self {
        let mut sorted: Vec<f32> = rms.iter().copied().filter(|it| it.is_finite()).collect();
        sorted.sort_by(f32::total_cmp);
        let (Some(&median), Some(&largest)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
            return Peaks { peak: f32::NAN, dead: 0 };
        };
        let dead = sorted.partition_point(|&it| it < DEAD * median);
        Peaks { peak: largest / median, dead: u32::try_from(dead).unwrap_or(u32::MAX) }
    }

    /// The so many largest, with their places, the largest first.
    pub fn largest(rms: &[f32], count: usize) -> Vec<(usize, f32)> {
        let mut all: Vec<(usize, f32)> =
            rms.iter().copied().enumerate().filter(|(_, it)| it.is_finite()).collect();
        let largest_first = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if all.len() > count {
            all.select_nth_unstable_by(count, largest_first);
            all.truncate(count);
        }
        all.sort_by(largest_first);
        all
    }
}

impl MatrixFeatures {
    /// Of rows of so many columns, which may be some of the rows of a matrix whose largest magnitude is `peak`. `None` where
    /// they hold numbers that are none, or nothing but zeros.
    pub fn of(rows: &[f32], columns: usize, peak: f32) -> Option<Self> {
        let squares = squared_singular_values(rows, columns)?;
        let total: f64 = squares.iter().sum();
        let largest = squares.iter().copied().fold(0.0, f64::max);
        if !(total > 0.0 && total.is_finite() && largest > 0.0) {
            return None;
        }
        let shares = squares.iter().map(|it| it / total).filter(|&share| share > 0.0);
        let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
        let signal: f64 = rows.iter().map(|&it| f64::from(it) * f64::from(it)).sum();
        let noise = rounding_noise(rows, peak);
        let by_row = rows.chunks_exact(columns).map(|row| {
            let peak = row.iter().fold(0.0f32, |peak, it| peak.max(it.abs()));
            rounding_noise(row, peak)
        });
        let noise_by_row: f64 = by_row.sum();
        #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
        let narrow = |value: f64| value as f32;
        let decibels = |noise: f64| narrow(10.0 * (signal / noise).log10());
        Some(MatrixFeatures {
            stable_rank: narrow(total / largest),
            effective_rank: narrow(entropy.exp()),
            sqnr_int8: decibels(noise),
            sqnr_int8_channel: decibels(noise_by_row),
        })
    }
}

/// The squares of what rounding to the nearest of 255 codes changes, added up.
fn rounding_noise(values: &[f32], peak: f32) -> f64 {
    if peak <= 0.0 {
        return 0.0;
    }
    dispatch!(Level::new(), simd => rounding_noise_with(simd, values, peak / 127.0))
}

#[inline(always)]
fn rounding_noise_with<S: Simd>(simd: S, values: &[f32], scale: f32) -> f64 {
    const LANES: usize = 8;
    let square = |value: f32| {
        let rounded = (value / scale).round_ties_even().clamp(-127.0, 127.0) * scale;
        f64::from(value - rounded) * f64::from(value - rounded)
    };
    simd.vectorize(
        #[inline(always)]
        || {
            let (whole, rest) = values.as_chunks::<LANES>();
            let mut sums = [0.0f64; LANES];
            for chunk in whole {
                (0..LANES).for_each(|lane| sums[lane] += square(chunk[lane]));
            }
            sums.iter().sum::<f64>() + rest.iter().map(|&it| square(it)).sum::<f64>()
        },
    )
}

/// The squares of the singular values, from the products of the rows with each other, or of the columns where these are
/// fewer.
fn squared_singular_values(values: &[f32], columns: usize) -> Option<Vec<f64>> {
    let rows = values.len().checked_div(columns)?;
    if rows == 0 || values.iter().any(|it| !it.is_finite()) {
        return None;
    }
    let turned: Vec<f32>;
    let (values, rows, columns) = if rows <= columns {
        (values, rows, columns)
    } else {
        turned =
            (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect();
        (&turned[..], columns, rows)
    };
    Some(eigenvalues(products_of_rows(values, rows, columns), rows))
}

/// The products of all rows with each other.
pub(super) fn products_of_rows(values: &[f32], rows: usize, columns: usize) -> Vec<f64> {
    dispatch!(Level::new(), simd => products(simd, values, rows, columns))
}

#[inline(always)]
fn products<S: Simd>(simd: S, values: &[f32], rows: usize, columns: usize) -> Vec<f64> {
    let mut gram = vec![0.0f64; rows * rows];
    let row = |at: usize| &values[at * columns..(at + 1) * columns];
    simd.vectorize(
        #[inline(always)]
        || {
            for a in 0..rows {
                for b in 0..=a {
                    let product = dot_inlined(row(a), row(b));
                    (gram[a * rows + b], gram[b * rows + a]) = (product, product);
                }
            }
        },
    );
    gram
}

/// The product of two rows: in `f32` over few numbers, in `f64` over all.
///
/// ```
/// assert_eq!(quantviz_core::dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    dot_inlined(a, b)
}

/// Compiled with the instructions that whoever calls it has.
#[inline(always)]
pub(super) fn dot_inlined(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut total = 0.0;
    for (a, b) in a.chunks(1024).zip(b.chunks(1024)) {
        let mut lanes = [0.0f32; LANES];
        let (a_whole, a_rest) = a.as_chunks::<LANES>();
        let (b_whole, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a_whole.iter().zip(b_whole) {
            (0..LANES).for_each(|lane| lanes[lane] += a[lane] * b[lane]);
        }
        total += f64::from(lanes.iter().sum::<f32>());
        total += a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    }
    total
}

/// The eigenvalues of a symmetric matrix that has none below zero: it is brought to three diagonals by reflections, and
/// those are halved (Householder; then Sturm's count).
fn eigenvalues(mut matrix: Vec<f64>, size: usize) -> Vec<f64> {
    let mut beside = vec![0.0; size];
    for step in 0..size.saturating_sub(2) {
        let column: Vec<f64> = (step + 1..size).map(|row| matrix[row * size + step]).collect();
        let norm = column.iter().map(|it| it * it).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        let mut mirror = column;
        let alpha = if mirror[0] > 0.0 { -norm } else { norm };
        mirror[0] -= alpha;
        let length: f64 = mirror.iter().map(|it| it * it).sum();
        beside[step + 1] = alpha;
        // A ← H A H with H = 1 − 2vvᵀ/vᵀv, on the rest of the matrix.
        let first = step + 1;
        let scale = 2.0 / length;
        let product: Vec<f64> = (first..size)
            .map(|row| {
                let of_row = &matrix[row * size + first..(row + 1) * size];
                scale * of_row.iter().zip(&mirror).map(|(a, b)| a * b).sum::<f64>()
            })
            .collect();
        let middle = scale / 2.0 * product.iter().zip(&mirror).map(|(a, b)| a * b).sum::<f64>();
        let turned: Vec<f64> = product.iter().zip(&mirror).map(|(p, v)| p - middle * v).collect();
        for (row, (v_row, w_row)) in mirror.iter().zip(&turned).enumerate() {
            let of_row = &mut matrix[(first + row) * size + first..(first + row + 1) * size];
            for (value, (v, w)) in of_row.iter_mut().zip(mirror.iter().zip(&turned)) {
                *value -= v_row * w + w_row * v;
            }
        }
    }
    if size > 1 {
        beside[size - 1] = matrix[(size - 1) * size + size - 2];
    }
    let diagonal: Vec<f64> = (0..size).map(|at| matrix[at * size + at]).collect();
    let off: Vec<f64> = beside.iter().map(|it| it * it).collect();
    let ends = (0..size).map(|at| {
        let around = beside[at].abs() + beside.get(at + 1).map_or(0.0, |it| it.abs());
        diagonal[at] + around
    });
    let largest = ends.fold(0.0, f64::max);
    let first = (0..size).step_by(TOGETHER);
    let mut all: Vec<f64> =
        first.flat_map(|first| some_eigenvalues(&diagonal, &off, first, largest)).collect();
    all.truncate(size);
    all
}

/// Eigenvalues that are looked for at once: each is a chain of divisions, and processors divide several numbers in the
/// time of one.
const TOGETHER: usize = 8;
/// How often what is left is halved: to a billionth of the largest.
const HALVINGS: usize = 30;

/// The ones from the `first` smallest on. How many are below a number is how often the sequence of its pivots is negative.
fn some_eigenvalues(diagonal: &[f64], off_squares: &[f64], first: usize, largest: f64) -> [f64; TOGETHER] {
    let (mut low, mut high) = ([0.0; TOGETHER], [largest; TOGETHER]);
    for _ in 0..HALVINGS {
        let middle: [f64; TOGETHER] = std::array::from_fn(|it| (low[it] + high[it]) / 2.0);
        let (mut pivot, mut below) = ([1.0; TOGETHER], [0usize; TOGETHER]);
        for (value, off_square) in diagonal.iter().zip(off_squares) {
            for it in 0..TOGETHER {
                let next = value - middle[it] - off_square / pivot[it];
                pivot[it] = if next == 0.0 { f64::MIN_POSITIVE } else { next };
                below[it] += usize::from(next < 0.0);
            }
        }
        for it in 0..TOGETHER {
            let is_below = below[it] > first + it;
            (low[it], high[it]) = if is_below { (low[it], middle[it]) } else { (middle[it], high[it]) };
        }
    }
    std::array::from_fn(|it| (low[it] + high[it]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_that_are_known() {
        // Orthogonal rows of equal length: full rank, whichever way it lies.
        let mut identity = vec![0.0f32; 12 * 40];
        (0..12).for_each(|at| identity[at * 40 + 3 * at] = 2.0);
        let features = MatrixFeatures::of(&identity, 40, 2.0).expect("numbers");
        assert!((features.stable_rank - 12.0).abs() < 1e-3 && (features.effective_rank - 12.0).abs() < 1e-3);
        // An outer product has rank one.
        let product: Vec<f32> =
            (0..30u8).flat_map(|a| (0..20u8).map(move |b| f32::from(a) * f32::from(b + 1))).collect();
        let features = MatrixFeatures::of(&product, 20, 580.0).expect("numbers");
        assert!((features.stable_rank - 1.0).abs() < 1e-3 && features.effective_rank < 1.01, "{features:?}");
        assert_eq!(MatrixFeatures::of(&[0.0; 20], 5, 0.0), None);
        assert_eq!(MatrixFeatures::of(&[f32::NAN; 20], 5, 1.0), None);
    }

    /// Two matrices whose singular values can be written down: diag(3, 2, 1) turned by a rotation.
    #[test]
    fn singular_values_of_a_turned_diagonal() {
        let (sin, cos) = 0.7f32.sin_cos();
        let rotation = [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]];
        let values: Vec<f32> =
            rotation.iter().flat_map(|row| row.iter().zip([3.0f32, 2.0, 1.0]).map(|(a, b)| a * b)).collect();
        let mut squares = squared_singular_values(&values, 3).expect("numbers");
        squares.sort_by(f64::total_cmp);
        for (found, expected) in squares.iter().zip([1.0, 4.0, 9.0]) {
            assert!((found - expected).abs() < 1e-5, "{squares:?}");
        }
    }

    #[test]
    fn one_wide_row_costs_the_scale_of_all() {
        let mut values: Vec<f32> = (0..4000u16).map(|at| (f32::from(at) * 0.37).sin()).collect();
        values[..40].iter_mut().for_each(|it| *it *= 100.0);
        let features = MatrixFeatures::of(&values, 40, 100.0).expect("numbers");
        assert!(features.sqnr_int8_channel > features.sqnr_int8 + 3.0, "{features:?}");
        // A sine fills eight bits: 6.02 · 7 + 10 log10(3/2 · …), about 47 dB.
        let plain = MatrixFeatures::of(&values[40..], 40, 1.0).expect("numbers");
        assert!((46.0..54.0).contains(&plain.sqnr_int8), "{plain:?}");
    }

    #[test]
    fn peaks_and_the_dead() {
        let mut rms = vec![1.0f32; 50];
        (rms[3], rms[7], rms[8]) = (9.0, 1e-5, f32::NAN);
        assert_eq!(Peaks::of(&rms), Peaks { peak: 9.0, dead: 1 });
        assert_eq!(Peaks::largest(&rms, 2), [(3, 9.0), (0, 1.0)]);
        assert!(Peaks::of(&[]).peak.is_nan());
    }
}
