//! The values that codes can take before they are scaled, and which of them is nearest to a number.

use crate::minifloat::code_values;
use crate::{DType, QuantDescriptor, Scheme};

/// What codes of one parameter can stand for, before scales: whole numbers from one end to the other, or some numbers in
/// ascending order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Grid {
    Even { low: f64, high: f64 },
    Uneven(Vec<f64>),
}

impl Grid {
    /// That of a descriptor. `stored` is the type of the codes where they are small floats.
    pub(crate) fn of(descriptor: &QuantDescriptor, stored: DType) -> Self {
        let (low, high) = descriptor.code_range;
        let values = match (&descriptor.table, descriptor.scheme) {
            (Some(table), _) => Some(table.iter().copied().map(f64::from).collect()),
            (None, Scheme::Float) => {
                code_values(stored).map(|all| all.iter().copied().map(f64::from).collect())
            }
            _ => None,
        };
        match values.map(ascending) {
            Some(values) if values.len() > 1 => Grid::Uneven(values),
            _ => Grid::Even { low, high },
        }
    }

    /// The smallest and the largest value.
    pub(crate) fn ends(&self) -> (f64, f64) {
        match self {
            Grid::Even { low, high } => (*low, *high),
            Grid::Uneven(values) => (values[0], values[values.len() - 1]),
        }
    }

    /// How many values there are.
    pub(crate) fn levels(&self) -> f64 {
        match self {
            Grid::Even { low, high } => high - low + 1.0,
            Grid::Uneven(values) => values.len() as f64,
        }
    }

    /// Whole numbers that are used on one side of zero as far as on the other: without the smallest of them, which signed
    /// types have for themselves.
    pub(crate) fn narrowed(self) -> Self {
        match self {
            Grid::Even { low, high } if low == -high - 1.0 => Grid::Even { low: -high, high },
            other => other,
        }
    }

    /// The value that is nearest to `target`; halves go to the even one of whole numbers.
    #[inline]
    pub(crate) fn nearest(&self, target: f64) -> f64 {
        match self {
            Grid::Even { low, high } => target.round_ties_even().clamp(*low, *high),
            Grid::Uneven(values) => {
                let above = values.partition_point(|&value| value < target).clamp(1, values.len() - 1);
                let (below, above) = (values[above - 1], values[above]);
                if target - below <= above - target { below } else { above }
            }
        }
    }

    /// How far `target` may lie beyond the ends before it is clipped: half of the last gap, and what rounding of the
    /// division may be.
    pub(crate) fn bounds(&self) -> (f64, f64) {
        let (low, high) = self.ends();
        let slack = (high - low) * 2f64.powi(-20) + 1e-6;
        match self {
            Grid::Even { .. } => (low - 0.5 - slack, high + 0.5 + slack),
            Grid::Uneven(values) => {
                let last = values.len() - 1;
                let (first_gap, last_gap) = (values[1] - values[0], values[last] - values[last - 1]);
                (low - first_gap / 2.0 - slack, high + last_gap / 2.0 + slack)
            }
        }
    }

    /// Half of the larger gap beside a value: nothing that rounds to it is further away.
    #[inline]
    pub(crate) fn half_gap(&self, value: f64) -> f64 {
        match self {
            Grid::Even { .. } => 0.5,
            Grid::Uneven(values) => {
                let place = values.partition_point(|&other| other < value).min(values.len() - 1);
                let below = if place > 0 { values[place] - values[place - 1] } else { 0.0 };
                let above = values.get(place + 1).map_or(0.0, |above| above - values[place]);
                below.max(above) / 2.0
            }
        }
    }
}

fn ascending(values: Vec<f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        let grid = Grid::Even { low: -128.0, high: 127.0 };
        assert_eq!([-200.0, 0.5, 1.5, 126.6].map(|it| grid.nearest(it)), [-128.0, 0.0, 2.0, 127.0]);
        assert_eq!(grid.clone().narrowed().ends(), (-127.0, 127.0));
        assert_eq!(Grid::Even { low: 0.0, high: 255.0 }.narrowed().ends(), (0.0, 255.0));
        let (low, high) = grid.bounds();
        assert!(low < -128.5 && low > -128.51 && high > 127.5 && high < 127.51);
    }

    #[test]
    fn a_table() {
        let grid = Grid::Uneven(ascending(vec![1.0, -1.0, 0.0, -0.0, 0.25, f64::NAN]));
        assert_eq!(grid.levels(), 4.0);
        assert_eq!([-9.0, 0.12, 0.13, 0.7, 5.0].map(|it| grid.nearest(it)), [-1.0, 0.0, 0.25, 1.0, 1.0]);
        assert_eq!([-1.0, 0.0, 0.25, 1.0].map(|it| grid.half_gap(it)), [0.5, 0.5, 0.375, 0.375]);
        let (low, high) = grid.bounds();
        assert!((low + 1.5).abs() < 1e-4 && (high - 1.375).abs() < 1e-4);
    }
}
