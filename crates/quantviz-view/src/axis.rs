//! An axis of numbers that a chart is drawn along, and one of counts that bars stand up to.

use quantviz_core::{count, number};
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

/// How high bars stand, from none up to the tallest: evenly, or by the logarithm, which shows what is rare.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CountAxis {
    /// Round counts: 0 is the foot of the bars, 1 the tallest of them.
    pub ticks: Vec<Tick>,
    /// Powers of ten, by the logarithm.
    pub log_ticks: Vec<Tick>,
    tallest: u64,
}

impl CountAxis {
    /// Up to the tallest of all bars.
    pub(crate) fn up_to(tallest: u64) -> Self {
        let tallest = tallest.max(1);
        let mut axis = CountAxis { ticks: Vec::new(), log_ticks: Vec::new(), tallest };
        let even = Axis::between(0.0, tallest as f64);
        let whole = even.round_numbers().filter(|value| value.fract() == 0.0);
        axis.ticks = whole.map(|value| Tick { at: even.place(value), label: count(value as u64) }).collect();
        let powers = (0..=19).map(|power| 10u64.pow(power)).take_while(|power| *power <= tallest);
        axis.log_ticks = powers.map(|it| Tick { at: axis.log_height(it), label: count(it) }).collect();
        axis
    }

    /// How many the tallest bar counts.
    pub fn tallest(&self) -> u64 {
        self.tallest
    }

    /// The height of a bar of so many.
    pub(crate) fn height(&self, times: u64) -> f64 {
        times as f64 / self.tallest as f64
    }

    /// The same by the logarithm; a bar of one stands above one of none.
    pub(crate) fn log_height(&self, times: u64) -> f64 {
        (times as f64).ln_1p() / (self.tallest as f64).ln_1p()
    }
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
    pub(crate) fn round_numbers(&self) -> impl Iterator<Item = f64> + use<> {
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

    #[test]
    fn counts_have_whole_ticks() {
        let labels = |ticks: &[Tick]| ticks.iter().map(|it| it.label.clone()).collect::<Vec<_>>();
        let axis = CountAxis::up_to(2345);
        assert_eq!(labels(&axis.ticks), ["0", "500", "1,000", "1,500", "2,000"]);
        assert_eq!(labels(&axis.log_ticks), ["1", "10", "100", "1,000"]);
        assert_eq!((axis.height(2345), axis.log_height(2345), axis.log_height(0)), (1.0, 1.0, 0.0));
        assert!(axis.log_height(1) > axis.height(1));
        assert_eq!(labels(&CountAxis::up_to(1).ticks), ["0", "1"]);
        assert_eq!(CountAxis::up_to(u64::MAX).log_ticks.len(), 20);
        assert_eq!(labels(&CountAxis::up_to(0).ticks), ["0", "1"]);
    }
}
