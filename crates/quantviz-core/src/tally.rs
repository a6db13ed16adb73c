//! The findings about one parameter, put together.

use crate::scales::MeasuredQuantization;
use crate::scan::{Finding, Measured, Task};
use crate::{Error, Histogram, ParameterId, RangeSummary, Result};

/// The findings about one parameter, as they come in. The first error about its values, and the first about its
/// quantization, stand for the rest: half a summary would mislead.
pub(crate) struct Tally {
    parameter: ParameterId,
    values: Result<RangeSummary>,
    histogram: Option<Histogram>,
    calibration: Result<Option<Box<MeasuredQuantization>>>,
}

impl Tally {
    /// Nothing yet; or, where that is known, why there will be nothing.
    pub(crate) fn new(parameter: ParameterId, error: Option<Error>) -> Self {
        let values = error.map_or_else(|| Ok(RangeSummary::default()), Err);
        Tally { parameter, values, histogram: None, calibration: Ok(None) }
    }

    /// What is known of the values, if they could be read.
    pub(crate) fn summary(&self) -> Option<&RangeSummary> {
        self.values.as_ref().ok()
    }

    pub(crate) fn take(&mut self, task: &Task, finding: Result<Finding>) {
        match finding {
            Ok(Finding::Values(summary, histogram)) => {
                self.values.iter_mut().for_each(|sum| sum.merge(&summary));
                self.histogram = histogram;
            }
            Ok(Finding::Binned(histogram)) => {
                let sum = self.histogram.get_or_insert_with(|| Histogram {
                    counts: vec![0; histogram.counts.len()],
                    ..histogram
                });
                let same_edges = sum.merge(&histogram);
                debug_assert!(same_edges, "pieces of one tensor share their edges");
            }
            Ok(Finding::Calibrated(quantization)) => {
                if let Ok(calibration) = &mut self.calibration {
                    *calibration = Some(quantization);
                }
            }
            Ok(Finding::Real(summary)) => {
                self.calibration.iter_mut().flatten().for_each(|it| it.dequantized.merge(&summary));
            }
            Err(error) => match task {
                Task::Summarize { .. } | Task::Bin(_) if self.values.is_ok() => self.values = Err(error),
                Task::Calibrate | Task::Dequantize if self.calibration.is_ok() => {
                    self.calibration = Err(error)
                }
                _ => {}
            },
        }
    }

    pub(crate) fn finish(self) -> Measured {
        let (summary, value_error) = split(self.values.map(Some));
        let (quantization, quantization_error) = split(self.calibration);
        Measured {
            parameter: self.parameter,
            histogram: self.histogram.filter(|_| summary.is_some()),
            summary,
            quantization,
            error: value_error.or(quantization_error),
        }
    }
}

fn split<T>(result: Result<Option<T>>) -> (Option<T>, Option<Error>) {
    result.map_or_else(|error| (None, Some(error)), |value| (value, None))
}
