//! Measuring many parameters at once: in parallel, with progress, and with the same result on any machine.

use std::ops::{ControlFlow, Range};
use std::thread::available_parallelism;

use crate::calibration::for_each_calibration;
use crate::code_counts::CodeCounts;
use crate::half_counts::{HalfCounts, is_counted};
use crate::parallel::for_each_job;
use crate::real_sums::{RealSums, summarize_real};
use crate::scales::{MeasuredQuantization, calibrate, come_along};
use crate::source::measured_part;
use crate::tally::Tally;
use crate::values::Values;
use crate::{
    Bins, Block, DType, Elements, Error, Histogram, ParameterId, ParameterSource, Part, RangeSummary, Result,
};

/// What to measure, and with how many threads.
///
/// ```
/// use std::ops::ControlFlow;
/// use quantviz_core::{MemorySource, Scan, SourceExt};
///
/// let source = MemorySource::new().with("weight", ndarray::arr2(&[[-1.0f32, 0.0], [0.5, 2.0]]));
/// let measured = source.scan(&Scan::new().bins(4), &|_| ControlFlow::Continue(()))?;
/// let histogram = measured[0].histogram.as_ref().expect("its range has a width");
/// assert_eq!(histogram.counts, [1, 1, 1, 1]);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scan {
    only: Option<Vec<ParameterId>>,
    bins: Option<usize>,
    threads: Option<usize>,
}

/// How far a scan has come, in elements: one that is looked at twice, because its codes are computed or because its
/// histogram needs the range of all, counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is done.
    pub done: u64,
    /// What there is to do, all in all.
    pub total: u64,
}

/// What a scan found out about one parameter.
#[derive(Debug)]
#[non_exhaustive]
pub struct Measured {
    /// Which one.
    pub parameter: ParameterId,
    /// Its stored elements; its codes, where they are packed into other elements.
    pub summary: Option<RangeSummary>,
    /// The same elements over their own range. `None` without [`Scan::bins`], and where the range has no width.
    pub histogram: Option<Histogram>,
    /// What is to be said of a quantized one.
    pub quantization: Option<Box<MeasuredQuantization>>,
    /// Why something is missing above.
    pub error: Option<Error>,
}

impl Scan {
    /// A scan of everything, without histograms, with a thread for every core.
    pub fn new() -> Self {
        Scan::default()
    }

    /// Measures these parameters only.
    #[must_use]
    pub fn only(mut self, parameters: impl IntoIterator<Item = ParameterId>) -> Self {
        self.only = Some(parameters.into_iter().collect());
        self
    }

    /// Makes a histogram of this many bins for every parameter.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = Some(bins);
        self
    }

    /// Uses this many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    pub(crate) fn run<S: ParameterSource + Sync + ?Sized>(
        &self,
        source: &S,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
        each: &mut dyn FnMut(Measured),
    ) -> Result<()> {
        let ids = self.only.clone().unwrap_or_else(|| source.model().parameter_ids().collect());
        let tasks: Vec<_> =
            ids.into_iter().map(|id| (id, Work::of(source, id, self.bins.is_some()))).collect();
        let total = tasks.iter().flat_map(|(_, work)| work).map(Work::all).fold(0, u64::saturating_add);
        let threads = self.threads.unwrap_or_else(|| threads_for(total));
        let mut done = 0;
        if progress(Progress { done, total }).is_break() {
            return Err(Error::cancelled());
        }
        let mut tasks = tasks.into_iter();
        loop {
            let batch: Vec<_> = tasks.by_ref().take(batch_of(self.bins)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let elements = batch.iter().flat_map(|(_, work)| work).map(Work::all);
            let end = elements.fold(done, u64::saturating_add);
            let report = |here: u64| progress(Progress { done: done.saturating_add(here).min(end), total });
            self.measure(source, batch, threads, &report)?.into_iter().for_each(&mut *each);
            done = end;
        }
    }

    /// Measures some parameters, in their order.
    fn measure<S: ParameterSource + Sync + ?Sized>(
        &self,
        source: &S,
        batch: Vec<(ParameterId, Result<Work>)>,
        threads: usize,
        report: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<Measured>> {
        let sum = |of: fn(&Work) -> u64| {
            batch.iter().flat_map(|(_, work)| work).map(of).fold(0, u64::saturating_add)
        };
        let (first_look, all) = (sum(Work::first_look), sum(Work::all));
        let mut jobs = Vec::new();
        let mut tallies: Vec<Tally> = Vec::with_capacity(batch.len());
        for (slot, (parameter, work)) in batch.into_iter().enumerate() {
            jobs.extend(work.iter().flat_map(|work| work.jobs(slot, parameter)));
            tallies.push(Tally::new(parameter, work.err()));
        }
        let findings = for_each_job(threads, &jobs, Job::elements, report, |job| job.run(source, self.bins))?;
        for (job, finding) in jobs.iter().zip(findings) {
            tallies[job.slot].take(&job.task, finding);
        }
        // The edges of a tensor that was measured in pieces are known only now.
        let binning: Vec<Job> = jobs
            .into_iter()
            .filter(|job| matches!(job.task, Task::Summarize(Summarize { whole: false, .. })))
            .filter_map(|job| {
                let range = tallies[job.slot].unbinned();
                let bins = range.zip(self.bins).and_then(|(it, bins)| bins_over(it, bins));
                Some(Job { task: Task::Bin(Box::new(bins?)), ..job })
            })
            .collect();
        let report_again = |here: u64| report(first_look.saturating_add(here));
        let findings =
            for_each_job(threads, &binning, Job::elements, &report_again, |job| job.run(source, None))?;
        // What turned out to have no range needed no second look.
        if report(all).is_break() {
            return Err(Error::cancelled());
        }
        for (job, finding) in binning.iter().zip(findings) {
            tallies[job.slot].take(&job.task, finding);
        }
        Ok(tallies.into_iter().map(|tally| tally.finish(self.bins)).collect())
    }
}

/// Parameters that are measured at a time: what is found out about them takes far more memory than what is kept, the
/// more so with large histograms.
fn batch_of(bins: Option<usize>) -> usize {
    const BATCH: usize = 4096;
    const BINS: usize = 1 << 22;
    bins.map_or(BATCH, |bins| (BINS / bins.max(1)).clamp(16, BATCH))
}
/// Elements below which another thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 18;

fn threads_for(elements: u64) -> usize {
    let worth = usize::try_from(elements / WORTH_A_THREAD).unwrap_or(usize::MAX);
    available_parallelism().map_or(1, usize::from).min(worth).max(1)
}

/// What measuring one parameter means.
struct Work {
    part: Part,
    elements: u64,
    /// How many elements one job reads.
    piece: u64,
    /// Whether there are real numbers behind what is measured.
    quantized: bool,
    /// Whether what is measured are the codes themselves, so that one look is enough for both.
    codes: bool,
    /// Whether that look finds out about the scales as well.
    scales: bool,
    /// The type of numbers that are counted.
    counted: Option<DType>,
    /// Whether a histogram needs a second look: the range of the whole is known only after the first.
    binned_later: bool,
}

impl Work {
    /// Nothing, but the reason, for what cannot be measured.
    fn of<S: ParameterSource + ?Sized>(source: &S, id: ParameterId, binned: bool) -> Result<Self> {
        let parameter = source.model().parameter(id);
        let part = measured_part(parameter);
        let packed = part == Part::Codes;
        if !parameter.dtype.is_numeric() && !packed {
            let message = format!("{} values cannot be measured", parameter.dtype);
            return Err(Error::unsupported(message).in_tensor(&parameter.name));
        }
        let bits = parameter.dtype.bits().filter(|_| !packed).unwrap_or(8);
        let elements = parameter.logical_shape().elements();
        let piece = PIECE_BYTES * 8 / u64::from(bits);
        // A shape can claim any size without a byte behind it: see that there is something before planning for it.
        if elements > piece {
            let _ = source.read(id, part, 0..1, &mut |_: Block<'_>| ControlFlow::Break(()))?;
        }
        // What is counted needs no second look: the counts know the rest.
        let counted = Some(parameter.dtype).filter(|&dtype| !packed && is_counted(dtype, elements));
        let binned_later = binned && elements > piece && bits > 8 && counted.is_none();
        let quantization = parameter.quantization.as_ref();
        let codes = quantization.is_some_and(|it| it.computed.is_none());
        let scales = quantization.is_some_and(|it| come_along(it, &parameter.shape, piece)) && elements > 0;
        Ok(Work {
            part,
            elements,
            piece,
            quantized: quantization.is_some(),
            codes,
            scales,
            counted,
            binned_later,
        })
    }

    /// Elements to look at before all ranges are known.
    fn first_look(&self) -> u64 {
        self.elements.saturating_mul(if self.quantized && !self.codes { 2 } else { 1 })
    }

    fn all(&self) -> u64 {
        self.first_look().saturating_add(if self.binned_later { self.elements } else { 0 })
    }

    /// The work in pieces that do not depend on the number of threads.
    fn jobs(&self, slot: usize, parameter: ParameterId) -> Vec<Job> {
        let pieces = || pieces(self.elements, self.piece);
        let job = |task, range| Job { slot, parameter, part: self.part, task, range };
        let whole = self.elements <= self.piece;
        let counted = self.counted;
        let summarize = Task::Summarize(Summarize { whole, codes: self.codes, scales: self.scales, counted });
        let mut jobs: Vec<Job> = pieces().map(|range| job(summarize.clone(), range)).collect();
        if self.quantized && !self.scales {
            jobs.push(job(Task::Calibrate, 0..0));
        }
        if self.quantized && !self.codes {
            jobs.extend(pieces().map(|range| job(Task::Dequantize, range)));
        }
        jobs
    }
}

/// What one job reads at most: enough to be worth a turn, small enough to share the work of a large tensor.
const PIECE_BYTES: u64 = 16 << 20;

/// At least one, so that an empty tensor is measured too.
fn pieces(elements: u64, piece: u64) -> impl Iterator<Item = Range<u64>> {
    (0..elements.div_ceil(piece).max(1)).map(move |index| index * piece..elements.min((index + 1) * piece))
}

struct Job {
    slot: usize,
    parameter: ParameterId,
    part: Part,
    task: Task,
    range: Range<u64>,
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
    whole: bool,
    /// They are codes: summarise the real values too.
    codes: bool,
    /// The scales that come along are all there are of these elements: summarise them too.
    scales: bool,
    /// They are to be counted, being of this type.
    counted: Option<DType>,
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
    fn elements(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn run<S: ParameterSource + ?Sized>(&self, source: &S, bins: Option<usize>) -> Result<Finding> {
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
                None => values.count_in(bins),
            };
            // More memory than they are worth, once they are in a histogram.
            values = Values::Summed(values.summary());
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
