//! The findings about one parameter, put together.

use crate::job::{Finding, Real, Task};
use crate::scales::MeasuredQuantization;
use crate::scan::Measured;
use crate::values::Values;
use crate::{Error, Histogram, ParameterId, RangeSummary, Result};

/// The findings about one parameter, as they come in. The first error about its values, and the first about its
/// quantization, stand for the rest: half a summary would mislead.
pub(crate) struct Tally {
    parameter: ParameterId,
    values: Result<Values>,
    histogram: Option<Histogram>,
    calibration: Result<Option<Box<MeasuredQuantization>>>,
    real: Result<RangeSummary>,
}

impl Tally {
    /// Nothing yet; or, where that is known, why there will be nothing.
    pub(crate) fn new(parameter: ParameterId, error: Option<Error>) -> Self {
        let values = error.map_or_else(|| Ok(Values::default()), Err);
        Tally { parameter, values, histogram: None, calibration: Ok(None), real: Ok(RangeSummary::default()) }
    }

    /// The summary of values that have to be looked at again for a histogram.
    pub(crate) fn unbinned(&self) -> Option<&RangeSummary> {
        self.values.as_ref().ok().and_then(Values::unbinned)
    }

    pub(crate) fn take(&mut self, task: &Task, finding: Result<Finding>) {
        match finding {
            Ok(Finding::Values { values, histogram, real }) => {
                if let Ok(known) = &mut self.values {
                    known.merge(values);
                }
                self.histogram = histogram;
                match real {
                    Some(Ok(Real { summary, quantization })) => {
                        if let Some(quantization) = quantization {
                            self.take_quantization(quantization);
                        }
                        self.take_real(Ok(summary));
                    }
                    Some(Err(error)) => self.take_real(Err(error)),
                    None => {}
                }
            }
            Ok(Finding::Binned(histogram)) => {
                let sum = self.histogram.get_or_insert_with(|| Histogram {
                    counts: vec![0; histogram.counts.len()],
                    ..histogram
                });
                let same_edges = sum.merge(&histogram);
                debug_assert!(same_edges, "pieces of one tensor share their edges");
            }
            Ok(Finding::Calibrated(quantization)) => self.calibration = Ok(Some(quantization)),
            Ok(Finding::Real(real)) => self.take_real(Ok(real)),
            Err(error) => match task {
                Task::Summarize(_) | Task::Bin(_) if self.values.is_ok() => self.values = Err(error),
                Task::Calibrate => self.calibration = Err(error),
                Task::Dequantize => self.take_real(Err(error)),
                _ => {}
            },
        }
    }

    fn take_quantization(&mut self, more: Box<MeasuredQuantization>) {
        match &mut self.calibration {
            Ok(Some(known)) => known.merge(&more),
            Ok(None) => self.calibration = Ok(Some(more)),
            Err(_) => {}
        }
    }

    fn take_real(&mut self, real: Result<RangeSummary>) {
        if let Ok(known) = &mut self.real {
            match real {
                Ok(more) => known.merge(&more),
                Err(error) => self.real = Err(error),
            }
        }
    }

    pub(crate) fn finish(self, bins: Option<usize>) -> Measured {
        let (values, value_error) = split(self.values.map(Some));
        let summary = values.as_ref().map(Values::summary);
        let counted = || values.as_ref()?.count_in(summary.as_ref()?, bins?);
        let histogram = self.histogram.or_else(counted).filter(|_| values.is_some());
        let quantization = self.calibration.and_then(|calibration| {
            let real = self.real?;
            let Some(mut calibration) = calibration else { return Ok(None) };
            calibration.dequantized = real;
            Ok(Some(calibration))
        });
        let (quantization, quantization_error) = split(quantization);
        Measured {
            parameter: self.parameter,
            summary,
            histogram,
            quantization,
            error: value_error.or(quantization_error),
        }
    }
}

fn split<T>(result: Result<Option<T>>) -> (Option<T>, Option<Error>) {
    result.map_or_else(|error| (None, Some(error)), |value| (value, None))
}
