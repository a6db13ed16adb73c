//! Numbers in the cells of a table, rounded.

use quantviz_core::number;

use crate::parameter::{Spread, SummaryView};

/// The values of a tensor in four numbers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RangeCells {
    /// The smallest.
    pub min: String,
    /// The largest.
    pub max: String,
    /// The mean.
    pub mean: String,
    /// The standard deviation.
    pub std: String,
}

/// One number, or many in three.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpreadCells {
    /// All are this.
    One(String),
    /// They differ, or some are not finite.
    Many {
        /// The smallest.
        min: String,
        /// The largest.
        max: String,
        /// The mean.
        mean: String,
    },
}

impl RangeCells {
    pub(crate) fn of(summary: &SummaryView) -> Self {
        RangeCells::of_numbers([summary.min, summary.max, summary.mean, summary.std])
    }

    /// Of the smallest, the largest, the mean and the standard deviation.
    pub(crate) fn of_numbers(numbers: [Option<f64>; 4]) -> Self {
        let [min, max, mean, std] = numbers.map(cell);
        RangeCells { min, max, mean, std }
    }
}

impl SpreadCells {
    pub(crate) fn of(spread: &Spread) -> Self {
        let are_finite = spread.finite == spread.count;
        if spread.count > 0 && spread.nan == spread.count {
            return SpreadCells::One("NaN".to_owned());
        }
        if spread.count <= 1 || (are_finite && spread.min == spread.max) {
            return SpreadCells::One(cell(spread.min));
        }
        SpreadCells::Many { min: cell(spread.min), max: cell(spread.max), mean: cell(spread.mean) }
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> SpreadCells {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (min, max) = (finite().reduce(f64::min), finite().reduce(f64::max));
        SpreadCells::of(&Spread {
            count: values.len() as u64,
            finite: finite().count() as u64,
            nan: values.iter().filter(|value| value.is_nan()).count() as u64,
            min,
            max,
            mean: min.zip(max).map(|(min, max)| (min + max) / 2.0),
        })
    }

    #[test]
    fn one_number_stands_for_all_that_are_equal() {
        let one = |text: &str| SpreadCells::One(text.to_owned());
        assert_eq!((spread(&[8.0, 8.0, 8.0]), spread(&[0.5])), (one("8"), one("0.5")));
        assert_eq!((spread(&[]), spread(&[f64::NAN, f64::NAN])), (one("–"), one("NaN")));
        for differ in [[0.5, f64::NAN], [0.0, 1.0], [1.0, f64::INFINITY]] {
            assert!(matches!(spread(&differ), SpreadCells::Many { .. }), "{differ:?}");
        }
    }
}
