//! The three directions along which rows of an embedding are shown: held while they are good enough.

use super::sample::Seeded;
use super::spectrum::dot;

/// Directions that are looked for together: more than are shown, so that the third is found though the fourth is nearly
/// as good.
const BLOCK: usize = 6;

/// The directions in which rows differ most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Principal {
    /// Orthonormal, the most telling first.
    pub directions: Vec<Vec<f32>>,
    /// The variance along each.
    pub variances: Vec<f64>,
    /// The variance along all.
    pub total: f64,
    /// The mean of the rows.
    pub mean: Vec<f32>,
}

/// Where rows are shown: three directions and a centre.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// Orthonormal.
    pub directions: [Vec<f32>; 3],
    /// What is in the middle.
    pub center: Vec<f32>,
}

impl Principal {
    /// Of rows of a width, by iterating on directions that were found before, or on random ones.
    pub fn of(rows: &[f32], width: usize, start: Option<&Principal>, iterations: usize) -> Self {
        let count = rows.len().checked_div(width).unwrap_or(0);
        let mut mean = vec![0.0f32; width];
        for row in rows.chunks_exact(width.max(1)) {
            add_scaled(&mut mean, row, 1.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
        let share = 1.0 / count.max(1) as f32;
        mean.iter_mut().for_each(|it| *it *= share);
        let mut total = 0.0;
        let block = BLOCK.min(width).min(count.max(1));
        let mut directions = match start.filter(|it| it.mean.len() == width) {
            Some(start) => start.directions.clone(),
            None => {
                let mut seeded = Seeded::new(0, "directions");
                #[expect(clippy::cast_possible_truncation, reason = "noise")]
                let mut random = || (0..width).map(|_| seeded.share() as f32 - 0.5).collect::<Vec<f32>>();
                (0..block).map(|_| random()).collect()
            }
        };
        orthonormalize(&mut directions);
        let mut variances = vec![0.0; directions.len()];
        for _ in 0..iterations.max(1) {
            // C·V, one row at a time: what C is nobody ever sees.
            let mut next = vec![vec![0.0f32; width]; directions.len()];
            let mut inner = vec![0.0f64; directions.len() * directions.len()];
            total = 0.0;
            let mut centered = vec![0.0f32; width];
            for row in rows.chunks_exact(width.max(1)) {
                centered.iter_mut().zip(row.iter().zip(&mean)).for_each(|(to, (row, mean))| *to = row - mean);
                total += dot(&centered, &centered);
                let along: Vec<f64> = directions.iter().map(|it| dot(&centered, it)).collect();
                for (a, next) in along.iter().zip(&mut next) {
                    #[expect(clippy::cast_possible_truncation, reason = "an iteration")]
                    add_scaled(next, &centered, *a as f32);
                }
                for (a, inner) in along.iter().zip(inner.chunks_exact_mut(along.len())) {
                    inner.iter_mut().zip(&along).for_each(|(inner, b)| *inner += a * b);
                }
            }
            // Within what they span, the directions are turned to be those of most variance.
            let (values, turned) = jacobi(inner, directions.len());
            variances = values.iter().map(|it| it * f64::from(share)).collect();
            directions = turned
                .iter()
                .map(|weights| {
                    let mut direction = vec![0.0f32; width];
                    for (weight, next) in weights.iter().zip(&next) {
                        #[expect(clippy::cast_possible_truncation, reason = "an iteration")]
                        add_scaled(&mut direction, next, *weight as f32);
                    }
                    direction
                })
                .collect();
            orthonormalize(&mut directions);
        }
        Principal { directions, variances, total: total * f64::from(share), mean }
    }

    /// Of all variance, the share along the best three directions.
    pub fn best_share(&self) -> f32 {
        share(self.variances.iter().take(3).sum(), self.total)
    }
}

impl Frame {
    /// The best three directions, turned so that what is seen changes as little as it can from an earlier frame: by a
    /// rotation, nothing is mirrored or scaled.
    pub fn of(principal: &Principal, before: Option<&Frame>) -> Self {
        let width = principal.mean.len();
        let mut best = principal.directions.clone();
        // Of fewer than three dimensions, the others are empty.
        best.resize(3, vec![0.0; width]);
        best.truncate(3);
        let center = principal.mean.clone();
        let Some(before) = before.filter(|it| it.center.len() == width) else {
            return Frame { directions: best.try_into().unwrap_or_default(), center };
        };
        // The orthogonal Procrustes problem on the nine products of old and new directions.
        let products: Vec<f64> =
            before.directions.iter().flat_map(|old| best.iter().map(|new| dot(old, new))).collect();
        let rotation = nearest_rotation(&products);
        let directions = std::array::from_fn(|old| {
            let mut direction = vec![0.0f32; width];
            for (new, best) in best.iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "a rotation")]
                add_scaled(&mut direction, best, rotation[old * 3 + new] as f32);
            }
            direction
        });
        Frame { directions, center }
    }

    /// Where a row is shown.
    pub fn place(&self, row: &[f32]) -> [f32; 3] {
        #[expect(clippy::cast_possible_truncation, reason = "a place")]
        std::array::from_fn(|axis| {
            let direction = &self.directions[axis];
            (dot(row, direction) - dot(&self.center, direction)) as f32
        })
    }

    /// Of all variance of rows, the share along each direction.
    pub fn shares(&self, rows: &[f32]) -> [f32; 3] {
        let width = self.center.len();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
        let count = rows.len().checked_div(width).unwrap_or(1).max(1) as f64;
        let (mut sums, mut squares, mut total) = ([0.0; 3], [0.0; 3], 0.0);
        let (mut mean, mut centered) = (vec![0.0f32; width], vec![0.0f32; width]);
        for row in rows.chunks_exact(width.max(1)) {
            centered.iter_mut().zip(row.iter().zip(&self.center)).for_each(|(to, (row, it))| *to = row - it);
            total += dot(&centered, &centered);
            add_scaled(&mut mean, &centered, 1.0);
            for axis in 0..3 {
                let along = dot(&centered, &self.directions[axis]);
                sums[axis] += along;
                squares[axis] += along * along;
            }
        }
        let variance = total / count - dot(&mean, &mean) / (count * count);
        std::array::from_fn(|axis| share(squares[axis] / count - (sums[axis] / count).powi(2), variance))
    }
}

fn share(part: f64, total: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
    let share = if total > 0.0 { (part / total).clamp(0.0, 1.0) as f32 } else { 0.0 };
    share
}

fn add_scaled(to: &mut [f32], what: &[f32], factor: f32) {
    to.iter_mut().zip(what).for_each(|(to, it)| *to += factor * it);
}

/// Gram and Schmidt, twice, since once is not enough where directions nearly agree.
fn orthonormalize(directions: &mut [Vec<f32>]) {
    for _ in 0..2 {
        for at in 0..directions.len() {
            let (before, rest) = directions.split_at_mut(at);
            let Some(direction) = rest.first_mut() else { break };
            for other in before.iter() {
                #[expect(clippy::cast_possible_truncation, reason = "a direction")]
                let along = dot(direction, other) as f32;
                add_scaled(direction, other, -along);
            }
            let length = dot(direction, direction).sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "a direction")]
            let scale = if length > 1e-12 { (1.0 / length) as f32 } else { 0.0 };
            direction.iter_mut().for_each(|it| *it *= scale);
        }
    }
}

/// The eigenvalues of a small symmetric matrix, the largest first, and the eigenvectors.
fn jacobi(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut vectors: Vec<Vec<f64>> = (0..size)
        .map(|row| (0..size).map(|column| if row == column { 1.0 } else { 0.0 }).collect())
        .collect();
    for _sweep in 0..30 {
        let off: f64 = (0..size)
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .map(|(a, b)| matrix[a * size + b].powi(2))
            .sum();
        let all: f64 = matrix.iter().map(|it| it * it).sum();
        if off <= 1e-24 * all {
            break;
        }
        for a in 0..size {
            for b in a + 1..size {
                let between = matrix[a * size + b];
                if between == 0.0 {
                    continue;
                }
                let theta = (matrix[b * size + b] - matrix[a * size + a]) / (2.0 * between);
                let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sin = tangent * cos;
                for at in 0..size {
                    let (x, y) = (matrix[at * size + a], matrix[at * size + b]);
                    (matrix[at * size + a], matrix[at * size + b]) = (cos * x - sin * y, sin * x + cos * y);
                }
                for at in 0..size {
                    let (x, y) = (matrix[a * size + at], matrix[b * size + at]);
                    (matrix[a * size + at], matrix[b * size + at]) = (cos * x - sin * y, sin * x + cos * y);
                    let (x, y) = (vectors[a][at], vectors[b][at]);
                    (vectors[a][at], vectors[b][at]) = (cos * x - sin * y, sin * x + cos * y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| matrix[b * size + b].total_cmp(&matrix[a * size + a]));
    let values = order.iter().map(|&at| matrix[at * size + at].max(0.0)).collect();
    (values, order.into_iter().map(|at| std::mem::take(&mut vectors[at])).collect())
}

/// The rotation that is nearest to a matrix of three by three: U·Vᵀ of its singular value decomposition, with the last
/// direction turned round where that would mirror.
fn nearest_rotation(matrix: &[f64]) -> [f64; 9] {
    let at = |row: usize, column: usize| matrix[row * 3 + column];
    let gram = (0..9).map(|it| (0..3).map(|k| at(k, it / 3) * at(k, it % 3)).sum()).collect();
    let (_, right) = jacobi(gram, 3);
    let mut left: Vec<Vec<f64>> = Vec::new();
    for vector in &right {
        let mut image: Vec<f64> = (0..3).map(|row| (0..3).map(|k| at(row, k) * vector[k]).sum()).collect();
        for other in &left {
            let along: f64 = image.iter().zip(other).map(|(a, b)| a * b).sum();
            image.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = image.iter().map(|it| it * it).sum::<f64>().sqrt();
        if length < 1e-9 {
            image = any_other(&left);
        } else {
            image.iter_mut().for_each(|it| *it /= length);
        }
        left.push(image);
    }
    let is_mirror = determinant(&left) * determinant(&right) < 0.0;
    let sign = |which: usize| if is_mirror && which == 2 { -1.0 } else { 1.0 };
    std::array::from_fn(|it| (0..3).map(|k| sign(k) * left[k][it / 3] * right[k][it % 3]).sum())
}

/// A unit vector that is at right angles to these, of which there are fewer than three.
fn any_other(others: &[Vec<f64>]) -> Vec<f64> {
    for axis in 0..3 {
        let mut vector = [0.0; 3];
        vector[axis] = 1.0;
        for other in others {
            let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = vector.iter().map(|it| it * it).sum::<f64>().sqrt();
        if length > 0.5 {
            return vector.iter().map(|it| it / length).collect();
        }
    }
    vec![0.0; 3]
}

fn determinant(rows: &[Vec<f64>]) -> f64 {
    let [a, b, c] = [&rows[0], &rows[1], &rows[2]];
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that differ by so much along each of a few coordinates.
    fn rows(spread: &[f32], width: usize, count: usize) -> Vec<f32> {
        let mut seeded = Seeded::new(5, "rows");
        #[expect(clippy::cast_possible_truncation, reason = "noise")]
        (0..count * width)
            .map(|at| spread.get(at % width).copied().unwrap_or(0.01) * (seeded.share() as f32 - 0.5) + 3.0)
            .collect()
    }

    #[test]
    fn the_widest_directions_are_found() {
        let rows = rows(&[0.1, 8.0, 0.2, 5.0, 3.0], 40, 500);
        let principal = Principal::of(&rows, 40, None, 20);
        for (direction, coordinate) in principal.directions.iter().zip([1, 3, 4]) {
            assert!(direction[coordinate].abs() > 0.99, "{direction:?}");
        }
        assert!(principal.best_share() > 0.97);
        let frame = Frame::of(&principal, None);
        let shares = frame.shares(&rows);
        assert!((shares.iter().sum::<f32>() - principal.best_share()).abs() < 1e-3);
        let place = frame.place(&rows[..40]);
        assert!(place.iter().all(|it| it.abs() < 5.0), "the mean is in the middle: {place:?}");
    }

    /// A frame of the same space that was turned and mirrored comes back as it was; of another space, it turns as little as
    /// it can and mirrors nothing.
    #[test]
    fn what_is_seen_turns_as_little_as_it_can() {
        let rows = rows(&[9.0, 8.0, 7.0], 10, 400);
        let principal = Principal::of(&rows, 10, None, 30);
        let before = Frame::of(&principal, None);
        let [a, b, c] = before.directions.clone();
        let mirrored =
            Principal { directions: vec![c, a.iter().map(|it| -it).collect(), b], ..principal.clone() };
        let after = Frame::of(&mirrored, Some(&before));
        // A mirror image cannot be rotated back, but for one direction it can.
        let agreement: Vec<f64> =
            (0..3).map(|it| dot(&before.directions[it], &after.directions[it])).collect();
        assert!(agreement.iter().filter(|&&it| it > 0.95).count() >= 2, "{agreement:?}");
        for it in 0..3 {
            for other in 0..3 {
                let product = dot(&after.directions[it], &after.directions[other]);
                assert!((product - if it == other { 1.0 } else { 0.0 }).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn little_and_nothing() {
        assert_eq!(Principal::of(&[], 5, None, 3).best_share(), 0.0);
        assert_eq!(Principal::of(&[1.0; 50], 5, None, 3).best_share(), 0.0);
        let flat = Principal::of(&[1.0, 2.0, 3.0, 4.0, 0.0, 9.0], 2, None, 30);
        assert!((flat.best_share() - 1.0).abs() < 1e-3);
        assert_eq!(Frame::of(&flat, None).place(&[1.0, 2.0])[2], 0.0);
    }
}
