//! An axis of numbers that a chart is drawn along.

use quantviz_core::number;
use serde::Serialize;

/// Numbers from the left edge of a chart to its right one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Axis {
    /// The number at the left edge.
    pub low: f64,
    /// The number at the right edge.
    pub high: f64,
    /// Round numbers in between.
    pub ticks: Vec<Tick>,
}

/// A number that is written at an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tick {
    /// Where it stands: 0 is the left edge, 1 the right one.
    pub at: f64,
    /// The number.
    pub label: String,
}

/// As many steps as an axis has at most.
const STEPS: f64 = 5.0;

impl Axis {
    /// From one number to another, and a little around them where they are the same.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        let (low, high) = if low < high { (low, high) } else { (low - 0.5, high + 0.5) };
        let mut axis = Axis { low, high, ticks: Vec::new() };
        axis.ticks =
            axis.round_numbers().map(|value| Tick { at: axis.place(value), label: number(value) }).collect();
        axis
    }

    /// Where a number stands: 0 is the left edge, 1 the right one. What lies beyond stands at the edge.
    pub fn place(&self, value: f64) -> f64 {
        let width = self.high - self.low;
        let share = if width.is_finite() {
            (value - self.low) / width
        } else {
            (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
        };
        share.clamp(0.0, 1.0)
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn round_numbers(&self) -> impl Iterator<Item = f64> + use<> {
        let least = self.high / STEPS - self.low / STEPS;
        let power = 10f64.powf(least.log10().floor());
        let factor =
            [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * 0.999).unwrap_or(10.0);
        let step = factor * power;
        let (low, high) = (self.low, self.high);
        // Counted from zero, so that nothing adds up.
        let first = (low / step).ceil();
        (0..=10)
            .map(move |index| (first + f64::from(index)) * step + 0.0)
            .filter(move |value| (low..=high).contains(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> Vec<String> {
        Axis::between(low, high).ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(-0.1144, 0.1005), ["-0.1", "-0.05", "0", "0.05", "0.1"]);
        assert_eq!(labels(-128.5, 127.5), ["-100", "0", "100"]);
        assert_eq!(labels(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(3.0, 3.0), ["2.6", "2.8", "3", "3.2", "3.4"]);
        assert_eq!(labels(1e300, 1.4e308).len(), 2);
    }

    #[test]
    fn no_range_is_too_wide_or_too_narrow() {
        for (low, high) in [(f64::MIN, f64::MAX), (0.0, 5e-324), (1.0, 1.0 + f64::EPSILON), (-5e-324, 0.0)] {
            let axis = Axis::between(low, high);
            assert_eq!((axis.place(low), axis.place(high)), (0.0, 1.0), "{low} {high}");
            assert!(axis.ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.at)), "{axis:?}");
        }
    }
}
