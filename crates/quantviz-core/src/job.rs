//! What one thread does at a time, and what comes of it.

use std::ops::{ControlFlow, Range};

use crate::calibration::for_each_calibration;
use crate::code_counts::CodeCounts;
use crate::half_counts::HalfCounts;
use crate::real_sums::{RealSums, summarize_real};
use crate::scales::{MeasuredQuantization, calibrate};
use crate::values::Values;
use crate::{
    Bins, Block, DType, Elements, Histogram, ParameterId, ParameterSource, Part, RangeSummary, Result,
};

/// A piece of the work, which is one thread's.
pub(crate) struct Job {
    /// Which of the parameters that are measured together it is about.
    pub(crate) slot: usize,
    pub(crate) parameter: ParameterId,
    pub(crate) part: Part,
    pub(crate) task: Task,
    pub(crate) range: Range<u64>,
}

#[derive(Clone)]
pub(crate) enum Task {
    /// Look at the elements.
    Summarize(Summarize),
    /// Summarise the scales and the zero-points.
    Calibrate,
    /// Summarise the real values of codes that are computed.
    Dequantize,
    /// Bin the elements.
    Bin(Box<Bins>),
}

/// What a look at elements is for, beside their summary.
#[derive(Clone, Copy)]
pub(crate) struct Summarize {
    /// They are all there are: bin them too.
    pub(crate) whole: bool,
    /// They are codes: summarise the real values too.
    pub(crate) codes: bool,
    /// The scales that come along are all there are of these elements: summarise them too.
    pub(crate) scales: bool,
    /// They are to be counted, being of this type.
    pub(crate) counted: Option<DType>,
}

pub(crate) enum Finding {
    Values { values: Values, histogram: Option<Histogram>, real: Option<Result<Real>> },
    Calibrated(Box<MeasuredQuantization>),
    Real(RangeSummary),
    Binned(Histogram),
}

/// What was found out about real values.
pub(crate) struct Real {
    pub(crate) summary: RangeSummary,
    /// Of the scales, where they came along.
    pub(crate) quantization: Option<Box<MeasuredQuantization>>,
}

impl Job {
    pub(crate) fn elements(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The same elements once more, now that the bins are known; `None` where one look is enough.
    pub(crate) fn binned_later(self, bins: Option<Bins>) -> Option<Self> {
        let again = matches!(self.task, Task::Summarize(Summarize { whole: false, .. }));
        bins.filter(|_| again).map(|bins| Job { task: Task::Bin(Box::new(bins)), ..self })
    }

    pub(crate) fn run<S: ParameterSource + ?Sized>(
        &self,
        source: &S,
        bins: Option<usize>,
    ) -> Result<Finding> {
        match &self.task {
            Task::Summarize(how) => self.summarize(source, *how, bins.filter(|_| how.whole)),
            Task::Calibrate => calibrate(source, self.parameter).map(|it| Finding::Calibrated(Box::new(it))),
            Task::Dequantize => summarize_real(source, self.parameter, self.range.clone()).map(Finding::Real),
            Task::Bin(bins) => {
                self.bin(source, Bins::clone(bins)).map(|bins| Finding::Binned(bins.into_histogram()))
            }
        }
    }

    fn summarize<S: ParameterSource + ?Sized>(
        &self,
        source: &S,
        how: Summarize,
        bins: Option<usize>,
    ) -> Result<Finding> {
        let mut look = Look::at(self.elements(), bins, how.counted);
        let mut real = None;
        if how.codes {
            let mut sums = RealSums::default();
            let mut quantization: Option<Box<MeasuredQuantization>> = None;
            let descriptor = source.model().parameter(self.parameter).quantization.as_ref();
            let all = for_each_calibration(
                source,
                self.parameter,
                self.range.clone(),
                &mut |calibration, range| {
                    if let Some(descriptor) = descriptor.filter(|_| how.scales) {
                        let elements = range.end - range.start;
                        let more = MeasuredQuantization::of_calibration(calibration, descriptor, elements);
                        match &mut quantization {
                            Some(known) => known.merge(&more),
                            None => quantization = Some(Box::new(more)),
                        }
                    }
                    let mut sink = |block: Block<'_>| {
                        let counts = sums.add(calibration, &block);
                        look.take(&block.elements, counts);
                        ControlFlow::Continue(())
                    };
                    let flow = source.read(self.parameter, Part::Codes, range, &mut sink);
                    sums.end();
                    flow
                },
            );
            real = Some(all.map(|_| Real { summary: sums.finish(), quantization }));
        }
        // Codes can be looked at even where what scales them cannot.
        if !matches!(real, Some(Ok(_))) {
            look = Look::at(self.elements(), bins, how.counted);
            let mut sink = |block: Block<'_>| {
                look.take(&block.elements, None);
                ControlFlow::Continue(())
            };
            let _ = source.read(self.parameter, self.part, self.range.clone(), &mut sink)?;
        }
        let (mut values, mut histogram) = look.finish();
        if let (Some(bins), None) = (bins, &histogram) {
            histogram = match values.unbinned() {
                Some(summary) => {
                    let bins = bins_over(summary, bins).map(|bins| self.bin(source, bins)).transpose()?;
                    bins.map(Bins::into_histogram)
                }
                None => {
                    let summary = values.summary();
                    let histogram = values.count_in(&summary, bins);
                    // More memory than they are worth, once they are in a histogram.
                    values = Values::Summed(summary);
                    histogram
                }
            };
        }
        Ok(Finding::Values { values, histogram, real })
    }

    fn bin<S: ParameterSource + ?Sized>(&self, source: &S, mut bins: Bins) -> Result<Bins> {
        let mut sink = |block: Block<'_>| {
            bins.add(&block.elements);
            ControlFlow::Continue(())
        };
        let _ = source.read(self.parameter, self.part, self.range.clone(), &mut sink)?;
        Ok(bins)
    }
}

/// What one job sees of the values.
struct Look {
    values: Values,
    counts: Option<HalfCounts>,
    histogram: Option<Histogram>,
    elements: u64,
    bins: Option<usize>,
}

impl Look {
    fn at(elements: u64, bins: Option<usize>, counted: Option<DType>) -> Self {
        let counts = counted.map(HalfCounts::of);
        Look { values: Values::default(), counts, histogram: None, elements, bins }
    }

    /// Takes elements, which someone may have counted already.
    fn take(&mut self, elements: &Elements<'_>, counts: Option<CodeCounts>) {
        if self.counts.as_mut().is_some_and(|counts| counts.add(elements)) {
            return;
        }
        match counts {
            Some(counts) => self.values.merge(Values::Counted(Box::new(counts))),
            None => self.values.add(elements),
        }
        // All at once: the second look needs no second read.
        if elements.len() as u64 == self.elements
            && let Some(bins) = self.bins
            && let Some(mut bins) = self.values.unbinned().and_then(|summary| bins_over(summary, bins))
        {
            bins.add(elements);
            self.histogram = Some(bins.into_histogram());
        }
    }

    fn finish(mut self) -> (Values, Option<Histogram>) {
        if let Some(counts) = self.counts {
            self.values.merge(counts.into_values());
        }
        (self.values, self.histogram)
    }
}

pub(crate) fn bins_over(summary: &RangeSummary, bins: usize) -> Option<Bins> {
    Bins::between(summary.min()?, summary.max()?, bins)
}
