//! How the values of a parameter are spread, over time.

use quantviz_core::{bf16, histogram_grid, tail_weight};

pub(crate) const BINS: usize = 64;
/// A histogram with more than this share of its numbers in one of its end bins needs another grid.
const OUTSIDE: f32 = 0.02;
/// Weights within this share of the largest are at its ends.
const AT_ENDS: f32 = 1e-3;

/// How the values of a parameter are spread.
#[derive(Clone, Default)]
pub(crate) struct Shape {
    pub(crate) grid: Option<(f32, f32)>,
    pub(crate) counts: Vec<bf16>,
    pub(crate) kurtosis: f32,
    pub(crate) at_ends: f32,
}

impl Shape {
    /// Takes numbers as they are now; `true` where they are counted on another grid from here on.
    pub(crate) fn take(&mut self, values: &[f32], largest: f32) -> bool {
        self.kurtosis = tail_weight(values);
        let at_ends = values.iter().filter(|it| it.abs() >= largest * (1.0 - AT_ENDS)).count();
        self.at_ends = at_ends as f32 / values.len().max(1) as f32;
        let mut has_changed = false;
        if self.grid.is_none() {
            (self.grid, has_changed) = (Some(histogram_grid(largest)), true);
        }
        let mut counts = self.count(values);
        let ends = counts[0].max(counts[BINS - 1]);
        let middle: f32 = counts[BINS / 2 - 2..BINS / 2 + 2].iter().sum();
        // Numbers that have outgrown their grid, or shrunk within it until it tells nothing.
        let is_lost = largest > 0.0 && (ends > OUTSIDE || middle >= 1.0 - 1e-6);
        if is_lost && self.grid != Some(histogram_grid(largest)) {
            (self.grid, has_changed) = (Some(histogram_grid(largest)), true);
            counts = self.count(values);
        }
        self.counts = counts.iter().map(|&it| bf16::from_f32(it)).collect();
        has_changed
    }

    /// The share of numbers in each bin; what lies beyond the ends is in the end bins.
    fn count(&self, values: &[f32]) -> [f32; BINS] {
        let mut counts = [0u32; BINS];
        let Some((low, width)) = self.grid else { return [0.0; BINS] };
        for value in values.iter().filter(|it| !it.is_nan()) {
            counts[((value - low) / width).clamp(0.0, (BINS - 1) as f32) as usize] += 1;
        }
        counts.map(|it| it as f32 / values.len().max(1) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_left_when_numbers_outgrow_them() {
        let mut shape = Shape::default();
        assert!(shape.take(&[0.5, -0.5, 0.25], 0.5));
        assert!(!shape.take(&[0.9, -0.5, 0.25], 0.9), "there is room to grow");
        assert!(shape.take(&[9.0, -0.5, 0.25], 9.0) && !shape.take(&[9.0, -0.5, 0.25], 9.0));
        assert!(shape.take(&[1e-4, -2e-4], 2e-4), "and to shrink there is not");
        let sum: f32 = shape.counts.iter().map(|it| it.to_f32()).sum();
        assert_eq!(sum, 1.0);
    }
}
