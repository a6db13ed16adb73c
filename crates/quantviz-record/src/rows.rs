//! Which rows of a large embedding stand out now, and which come often.

/// Rows that come and go, of each embedding.
pub(crate) const GUESTS: usize = 64;
/// After so many looks at gradients it is known which rows come often: of 16 batches of 16,000 words, the thousandth most
/// frequent one has come about 25 times.
const LOOKS: u32 = 16;

/// What is known of all rows of an embedding that has too many to be shown.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    sizes: Vec<f32>,
    /// Those that stand out, as they were found last: by size, by change, by gradient.
    found: [Vec<u64>; 3],
    /// Of each row its part of the gradient, added up over looks.
    share: Vec<f32>,
    looks: u32,
}

impl Rows {
    /// `is_known` says that somebody has told which rows come often.
    pub(crate) fn of(is_known: bool) -> Self {
        Rows { looks: if is_known { LOOKS + 1 } else { 0 }, ..Rows::default() }
    }

    /// The root mean squares of all rows of the weights; `is_shown` tells of those that need be no guests.
    pub(crate) fn saw_weights(&mut self, sizes: &[f32], is_shown: impl Fn(u64) -> bool) {
        if sizes.iter().any(|it| it.is_nan()) {
            // It was looked at in part.
            return;
        }
        self.found[0] = largest(sizes.iter().copied(), &is_shown);
        if self.sizes.len() == sizes.len() {
            let changes = sizes.iter().zip(&self.sizes).map(|(now, before)| (now - before).abs());
            self.found[1] = largest(changes, &is_shown);
        }
        self.sizes.clear();
        self.sizes.extend_from_slice(sizes);
    }

    /// Those of the gradient.
    pub(crate) fn saw_gradients(&mut self, sizes: &[f32], is_shown: impl Fn(u64) -> bool) {
        let all: f32 = sizes.iter().sum();
        if !(all.is_finite() && all > 0.0) {
            return;
        }
        self.found[2] = largest(sizes.iter().copied(), &is_shown);
        self.share.resize(sizes.len(), 0.0);
        self.share.iter_mut().zip(sizes).for_each(|(share, it)| *share += it / all);
        self.looks += 1;
    }

    /// Rows that are not among the usual ones, and stand out now: by their size, by how it changed, by their gradient, in turns.
    pub(crate) fn guests(&self) -> Vec<u64> {
        let mut guests = Vec::new();
        for place in 0..GUESTS {
            for row in self.found.iter().filter_map(|found| found.get(place)) {
                if guests.len() < GUESTS && !guests.contains(row) {
                    guests.push(*row);
                }
            }
        }
        guests
    }

    /// Once, when it is known: the so many rows whose gradients are the largest, which are those of tokens that come often.
    pub(crate) fn frequent(&mut self, count: usize) -> Option<Vec<u64>> {
        if self.looks != LOOKS {
            return None;
        }
        self.looks += 1;
        let mut order: Vec<usize> = (0..self.share.len()).collect();
        order.sort_by(|&a, &b| self.share[b].total_cmp(&self.share[a]));
        Some(order.into_iter().take(count).map(|row| row as u64).collect())
    }
}

/// The rows of the largest numbers, the largest first.
fn largest(sizes: impl Iterator<Item = f32>, is_shown: &impl Fn(u64) -> bool) -> Vec<u64> {
    let mut found: Vec<(f32, u64)> = Vec::with_capacity(GUESTS + 1);
    for (row, size) in (0..).zip(sizes) {
        let is_small = found.len() == GUESTS && found.last().is_some_and(|last| size <= last.0);
        if is_small || size.is_nan() || size <= 0.0 || is_shown(row) {
            continue;
        }
        let place = found.partition_point(|it| it.0 >= size);
        found.insert(place, (size, row));
        found.truncate(GUESTS);
    }
    found.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_stand_out_are_guests() {
        let mut rows = Rows::default();
        let is_shown = |row: u64| row < 10;
        let mut sizes = vec![1.0f32; 1000];
        (sizes[3], sizes[500]) = (9.0, 8.0);
        rows.saw_weights(&sizes, is_shown);
        sizes[700] = 1.5;
        rows.saw_weights(&sizes, is_shown);
        let mut gradients = vec![0.0f32; 1000];
        (gradients[5], gradients[800]) = (1.0, 0.5);
        rows.saw_gradients(&gradients, is_shown);
        assert_eq!(rows.guests()[..3], [500, 700, 800]);
        assert!(rows.guests().iter().all(|&it| it >= 10) && rows.guests().len() == GUESTS);
        // What was looked at in part tells nothing of all.
        rows.saw_weights(&[f32::NAN; 1000], is_shown);
        assert_eq!(rows.guests()[0], 500);
    }

    #[test]
    fn rows_that_come_often_are_known_after_some_looks() {
        let mut rows = Rows::default();
        for look in 0..LOOKS {
            assert_eq!(rows.frequent(2), None);
            let mut gradients = vec![0.0; 100];
            (gradients[7], gradients[9]) = (1.0, 0.5);
            gradients[10 + look as usize] = 0.9;
            rows.saw_gradients(&gradients, |_| false);
        }
        assert_eq!((rows.frequent(2), rows.frequent(2)), (Some(vec![7, 9]), None));
    }
}
