//! Whether rows fall into clusters.

use super::sample::Seeded;
use super::spectrum::products_of_rows;

/// So many rows tell it, spread over all.
const ROWS: usize = 256;
/// How many clusters are tried.
const COUNTS: [usize; 6] = [2, 3, 4, 6, 8, 12];
/// How often rows change their cluster at most.
const ROUNDS: usize = 12;

/// How clearly rows fall into clusters, by the angles between them: the mean silhouette of the best of some numbers of
/// clusters, 1 where they lie far apart and about zero where there are none. `None` of fewer than three rows that are not zero.
///
/// ```
/// let far_apart = [1.0, 0.0, 1.0, 0.01, 0.0, 1.0, 0.01, 1.0];
/// assert!(quantviz_core::cluster_score(&far_apart, 2).is_some_and(|score| score > 0.99));
/// ```
pub fn cluster_score(rows: &[f32], width: usize) -> Option<f32> {
    let distances = Distances::between(rows, width)?;
    let scores = COUNTS.iter().filter(|&&count| count < distances.count).map(|&count| {
        let clusters = distances.clusters(count);
        distances.silhouette(&clusters, count)
    });
    #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
    scores.reduce(f64::max).map(|best| best as f32)
}

/// Of all pairs of rows, one less the cosine.
struct Distances {
    count: usize,
    between: Vec<f64>,
}

impl Distances {
    fn between(rows: &[f32], width: usize) -> Option<Self> {
        let all = rows.len().checked_div(width)?;
        let step = all.div_ceil(ROWS).max(1);
        let mut chosen = Vec::new();
        for row in rows.chunks_exact(width).step_by(step) {
            let length = row.iter().map(|it| it * it).sum::<f32>().sqrt();
            if length > 0.0 && length.is_finite() {
                chosen.extend(row.iter().map(|it| it / length));
            }
        }
        let count = chosen.len() / width;
        let cosines = (count > 2).then(|| products_of_rows(&chosen, count, width))?;
        Some(Distances { count, between: cosines.into_iter().map(|it| (1.0 - it).max(0.0)).collect() })
    }

    fn of(&self, row: usize, other: usize) -> f64 {
        self.between[row * self.count + other]
    }

    /// The cluster of each row, around rows in their middle (k-medoids; begun as k-means++ does).
    fn clusters(&self, count: usize) -> Vec<usize> {
        let mut seeded = Seeded::new(0, "clusters");
        let mut middles = vec![0];
        while middles.len() < count {
            let nearest = |row| middles.iter().map(|&middle| self.of(row, middle)).fold(f64::MAX, f64::min);
            let squares: Vec<f64> = (0..self.count).map(|row| nearest(row) * nearest(row)).collect();
            let mut left = seeded.share() * squares.iter().sum::<f64>();
            let drawn = squares.iter().position(|it| {
                left -= it;
                left < 0.0
            });
            middles.push(drawn.unwrap_or(self.count - 1));
        }
        let mut clusters = self.nearest(&middles);
        for _ in 0..ROUNDS {
            for (cluster, middle) in middles.iter_mut().enumerate() {
                let own: Vec<usize> = (0..self.count).filter(|&row| clusters[row] == cluster).collect();
                let sum = |row: usize| own.iter().map(|&other| self.of(row, other)).sum::<f64>();
                let best = own.iter().copied().min_by(|&a, &b| sum(a).total_cmp(&sum(b)));
                *middle = best.unwrap_or(*middle);
            }
            let now = self.nearest(&middles);
            if now == clusters {
                break;
            }
            clusters = now;
        }
        clusters
    }

    fn nearest(&self, middles: &[usize]) -> Vec<usize> {
        let nearest = |row: usize| {
            let to = |cluster: usize| self.of(row, middles[cluster]);
            (0..middles.len()).min_by(|&a, &b| to(a).total_cmp(&to(b))).unwrap_or(0)
        };
        (0..self.count).map(nearest).collect()
    }

    /// The mean over rows of how much nearer the own cluster is than the next one; a row that is alone in its cluster counts
    /// as zero.
    fn silhouette(&self, clusters: &[usize], count: usize) -> f64 {
        let mut sizes = vec![0.0; count];
        clusters.iter().for_each(|&cluster| sizes[cluster] += 1.0);
        let mut all = 0.0;
        for row in 0..self.count {
            let mut sums = vec![0.0; count];
            for (other, &cluster) in clusters.iter().enumerate() {
                sums[cluster] += self.of(row, other);
            }
            let own = clusters[row];
            if sizes[own] < 2.0 {
                continue;
            }
            let within = sums[own] / (sizes[own] - 1.0);
            let others = (0..count).filter(|&it| it != own && sizes[it] > 0.0);
            let Some(next) = others.map(|it| sums[it] / sizes[it]).reduce(f64::min) else { continue };
            let largest = within.max(next);
            all += if largest > 0.0 { (next - within) / largest } else { 0.0 };
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 256")]
        let mean = all / self.count as f64;
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seeded: &mut Seeded) -> f32 {
        f32::from(u8::try_from(seeded.below(200)).unwrap_or(0)) / 100.0 - 1.0
    }

    #[test]
    fn rows_around_five_directions_are_told_from_noise() {
        let (width, mut seeded) = (32, Seeded::new(3, "rows"));
        let plain: Vec<f32> = (0..300 * width).map(|_| noise(&mut seeded)).collect();
        let directions: Vec<f32> = (0..5 * width).map(|_| noise(&mut seeded)).collect();
        let around: Vec<f32> = (0..300 * width)
            .map(|at| directions[at / width % 5 * width + at % width] + 0.2 * noise(&mut seeded))
            .collect();
        let (none, clear) = (cluster_score(&plain, width), cluster_score(&around, width));
        assert!(none.is_some_and(|it| it.abs() < 0.1), "{none:?}");
        assert!(clear.is_some_and(|it| it > 0.7), "{clear:?}");
    }

    /// By hand: two rows at a right angle to two others, which are at an angle of 60 degrees to each other.
    #[test]
    fn a_silhouette_that_is_known() {
        let (sin, cos) = (3.0f32.sqrt() / 2.0, 0.5);
        let rows = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, cos, sin];
        let distances = Distances::between(&rows, 3).expect("four rows");
        // Within 0 and to the next 1; within one half and to the next 1.
        assert!((distances.silhouette(&[0, 0, 1, 1], 2) - 0.75).abs() < 1e-6);
        assert_eq!(distances.clusters(2).iter().filter(|&&it| it == 0).count() % 2, 0);
    }

    #[test]
    fn of_too_few_there_is_none() {
        assert_eq!(cluster_score(&[1.0, 0.0, 0.0, 1.0], 2), None);
        assert_eq!(cluster_score(&[0.0; 40], 2), None);
        assert_eq!(cluster_score(&[f32::NAN; 40], 2), None);
        assert_eq!(cluster_score(&[], 0), None);
    }
}
