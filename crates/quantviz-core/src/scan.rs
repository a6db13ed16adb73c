//! Measuring many parameters at once: in parallel, with progress, and with the same result on any machine.

use std::ops::{ControlFlow, Range};
use std::thread::available_parallelism;

use crate::dequantize::{read_values, summarize_real};
use crate::parallel::for_each_job;
use crate::{
    Bins, Block, Error, Histogram, ParameterId, ParameterSource, Part, RangeSummary, Result, part_len,
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

/// How far a scan has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Elements looked at.
    pub done: u64,
    /// Elements to look at, all in all.
    pub total: u64,
}

/// What a scan found out about one parameter.
#[derive(Debug)]
pub struct Measured {
    /// Which one.
    pub parameter: ParameterId,
    /// Its stored elements; its codes, where they are packed into other elements.
    pub summary: Option<RangeSummary>,
    /// The same elements over their own range. `None` without [`Scan::bins`], and where the range has no width.
    pub histogram: Option<Histogram>,
    /// What is to be said of a quantized one.
    pub quantization: Option<MeasuredQuantization>,
    /// Why something is missing above.
    pub error: Option<Error>,
}

/// What a scan found out about the quantization of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredQuantization {
    /// The scales of all groups.
    pub scale: RangeSummary,
    /// The outer scales, where scales have two levels.
    pub outer_scale: Option<RangeSummary>,
    /// The zero-points of all groups; `None` where the file has none.
    pub zero_point: Option<RangeSummary>,
    /// Whether every zero-point is the middle code.
    pub symmetric: bool,
    /// The real numbers that the codes stand for.
    pub dequantized: RangeSummary,
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
    ) -> Result<Vec<Measured>> {
        let ids = self.only.clone().unwrap_or_else(|| source.model().parameter_ids().collect());
        let mut tallies: Vec<Tally> = ids.into_iter().map(Tally::new).collect();
        let jobs: Vec<Job> =
            tallies.iter_mut().enumerate().flat_map(|(slot, tally)| plan(source, slot, tally)).collect();
        let total = jobs.iter().map(Job::elements).fold(0, u64::saturating_add);
        let threads = match self.threads {
            Some(threads) => threads,
            None if total < WORTH_A_THREAD => 1,
            None => available_parallelism().map_or(1, usize::from),
        };
        let report = |done| progress(Progress { done, total });

        let findings =
            for_each_job(threads, &jobs, Job::elements, &report, |job| job.run(source, self.bins))?;
        for (job, finding) in jobs.iter().zip(findings) {
            tallies[job.slot].take(&job.task, finding);
        }
        // The edges of a tensor that was measured in pieces are known only now.
        let binning: Vec<Job> =
            jobs.into_iter().filter_map(|job| tallies[job.slot].bin(job, self.bins)).collect();
        let keep_on = |_| progress(Progress { done: total, total });
        let findings = for_each_job(threads, &binning, Job::elements, &keep_on, |job| job.run(source, None))?;
        for (job, finding) in binning.iter().zip(findings) {
            tallies[job.slot].take(&job.task, finding);
        }
        Ok(tallies.into_iter().map(Tally::finish).collect())
    }
}

/// The work that one parameter means, in pieces that do not depend on the number of threads.
fn plan<S: ParameterSource + ?Sized>(source: &S, slot: usize, tally: &mut Tally) -> Vec<Job> {
    let parameter = source.model().parameter(tally.parameter);
    let packed = parameter.quantization.as_ref().is_some_and(|it| it.logical.is_some());
    if !parameter.dtype.is_numeric() && !packed {
        let message = format!("{} values cannot be measured", parameter.dtype);
        tally.values = Err(Error::unsupported(message).in_tensor(&parameter.name));
        return Vec::new();
    }
    let part = if packed { Part::Codes } else { Part::Stored };
    let bits = parameter.dtype.bits().filter(|_| !packed).unwrap_or(8);
    let elements = parameter.logical_shape().elements();
    let piece = PIECE_BYTES * 8 / u64::from(bits);
    let job = |task, range| Job { slot, parameter: tally.parameter, part, task, range };
    let whole = elements <= piece;
    // A shape can claim any size without a byte behind it: see that there is something before planning for it.
    if !whole
        && let Err(error) =
            source.read(tally.parameter, part, 0..1, &mut |_: Block<'_>| ControlFlow::Break(()))
    {
        tally.values = Err(error);
        return Vec::new();
    }
    let mut jobs: Vec<Job> =
        pieces(elements, piece).map(|range| job(Task::Summarize { whole }, range)).collect();
    if parameter.quantization.is_some() {
        jobs.push(job(Task::Calibrate, 0..0));
        jobs.extend(pieces(elements, piece).map(|range| job(Task::Dequantize, range)));
    }
    jobs
}

/// What one job reads at most: enough to be worth a turn, small enough to share the work of a large tensor.
const PIECE_BYTES: u64 = 16 << 20;
/// Elements below which a second thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 18;

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

enum Task {
    /// Summarise the elements, and bin them too where they are all there are.
    Summarize { whole: bool },
    /// Summarise the scales and the zero-points.
    Calibrate,
    /// Summarise the real values.
    Dequantize,
    /// Bin the elements.
    Bin(Bins),
}

enum Finding {
    Values(RangeSummary, Option<Histogram>),
    Calibrated(Box<MeasuredQuantization>),
    Real(RangeSummary),
    Binned(Histogram),
}

impl Job {
    fn elements(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn run<S: ParameterSource + ?Sized>(&self, source: &S, bins: Option<usize>) -> Result<Finding> {
        match &self.task {
            Task::Summarize { whole } => self.summarize(source, bins.filter(|_| *whole)),
            Task::Calibrate => self.calibrate(source),
            Task::Dequantize => summarize_real(source, self.parameter, self.range.clone()).map(Finding::Real),
            Task::Bin(bins) => {
                self.bin(source, bins.clone()).map(|bins| Finding::Binned(bins.into_histogram()))
            }
        }
    }

    fn summarize<S: ParameterSource + ?Sized>(&self, source: &S, bins: Option<usize>) -> Result<Finding> {
        let mut summary = RangeSummary::default();
        let mut histogram = None;
        let mut sink = |block: Block<'_>| {
            summary.merge(&RangeSummary::of_elements(&block.elements));
            // All at once: the second look needs no second read.
            if block.elements.len() as u64 == self.elements()
                && let Some(mut bins) = bins.and_then(|bins| bins_over(&summary, bins))
            {
                bins.add(&block.elements);
                histogram = Some(bins.into_histogram());
            }
            ControlFlow::Continue(())
        };
        let _ = source.read(self.parameter, self.part, self.range.clone(), &mut sink)?;
        if let (None, Some(bins)) = (&histogram, bins.and_then(|bins| bins_over(&summary, bins))) {
            histogram = Some(self.bin(source, bins)?.into_histogram());
        }
        Ok(Finding::Values(summary, histogram))
    }

    fn bin<S: ParameterSource + ?Sized>(&self, source: &S, mut bins: Bins) -> Result<Bins> {
        let mut sink = |block: Block<'_>| {
            bins.add(&block.elements);
            ControlFlow::Continue(())
        };
        let _ = source.read(self.parameter, self.part, self.range.clone(), &mut sink)?;
        Ok(bins)
    }

    fn calibrate<S: ParameterSource + ?Sized>(&self, source: &S) -> Result<Finding> {
        let read = |part| {
            let len = part_len(source.model(), self.parameter, part)?;
            // In steps: the scales of a large tensor are many.
            let mut summary = RangeSummary::default();
            let mut same = None;
            for range in pieces(len, 1 << 20) {
                let values = read_values(source, self.parameter, part, range)?;
                let first = *same.get_or_insert(values.first().copied());
                if values.iter().any(|&value| Some(value) != first) {
                    same = Some(None);
                }
                summary.merge(&RangeSummary::of(&values));
            }
            Ok::<_, Error>((summary, same.flatten()))
        };
        let quantization = source.model().parameter(self.parameter).quantization.as_ref();
        let optional = |part, is_there: bool| is_there.then(|| read(part)).transpose();
        let (scale, _) = read(Part::Scales)?;
        let outer_scale =
            optional(Part::OuterScales, quantization.is_some_and(|it| it.outer_scale.is_some()))?;
        let zero_point = optional(Part::ZeroPoints, quantization.is_some_and(|it| it.zero_point.is_some()))?;
        let only_zero_point = zero_point.map_or(Some(0.0), |(_, same)| same);
        let symmetric =
            quantization.is_some_and(|it| it.offset.is_none() && only_zero_point == Some(it.middle_code()));
        Ok(Finding::Calibrated(Box::new(MeasuredQuantization {
            scale,
            outer_scale: outer_scale.map(|(summary, _)| summary),
            zero_point: zero_point.map(|(summary, _)| summary),
            symmetric,
            dequantized: RangeSummary::default(),
        })))
    }
}

fn bins_over(summary: &RangeSummary, bins: usize) -> Option<Bins> {
    Bins::between(summary.min()?, summary.max()?, bins)
}

/// The findings about one parameter, as they come in. The first error about its values, and the first about its
/// quantization, stand for the rest: half a summary would mislead.
struct Tally {
    parameter: ParameterId,
    values: Result<RangeSummary>,
    histogram: Option<Histogram>,
    calibration: Result<Option<MeasuredQuantization>>,
}

impl Tally {
    fn new(parameter: ParameterId) -> Self {
        Tally { parameter, values: Ok(RangeSummary::default()), histogram: None, calibration: Ok(None) }
    }

    fn take(&mut self, task: &Task, finding: Result<Finding>) {
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
                self.calibration.iter_mut().for_each(|it| *it = Some((*quantization).clone()));
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

    /// The second look that a job needs whose tensor was measured in pieces.
    fn bin(&self, job: Job, bins: Option<usize>) -> Option<Job> {
        let bins = bins_over(self.values.as_ref().ok()?, bins?)?;
        matches!(job.task, Task::Summarize { whole: false }).then_some(Job { task: Task::Bin(bins), ..job })
    }

    fn finish(self) -> Measured {
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
