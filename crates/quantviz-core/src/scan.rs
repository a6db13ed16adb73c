//! Measuring many parameters at once: in parallel, with progress, and with the same result on any machine.

use std::ops::ControlFlow;
use std::thread::available_parallelism;

use crate::job::{Job, bins_over};
use crate::parallel::for_each_job;
use crate::scales::MeasuredQuantization;
use crate::tally::Tally;
use crate::work::Work;
use crate::{Error, Histogram, ParameterId, ParameterSource, RangeSummary, Result};

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

impl Progress {
    /// So much of so much.
    pub fn of(done: u64, total: u64) -> Self {
        Progress { done, total }
    }
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
            let batch = self.batch_of(&mut tasks);
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

    /// Parameters that are measured at a time: what is found out about them takes far more memory than what is kept, the
    /// more so with large histograms, and with numbers that are counted in many pieces.
    fn batch_of(&self, tasks: &mut impl Iterator<Item = Task>) -> Vec<Task> {
        const PARAMETERS: usize = 4096;
        const BINS: usize = 1 << 22;
        const ELEMENTS: u64 = 1 << 29;
        let most = self.bins.map_or(PARAMETERS, |bins| (BINS / bins.max(1)).clamp(16, PARAMETERS));
        let mut batch = Vec::new();
        let mut elements = 0u64;
        while batch.len() < most
            && elements < ELEMENTS
            && let Some(task) = tasks.next()
        {
            elements = elements.saturating_add(task.1.as_ref().map_or(0, Work::all));
            batch.push(task);
        }
        batch
    }

    /// Measures some parameters, in their order.
    fn measure<S: ParameterSource + Sync + ?Sized>(
        &self,
        source: &S,
        batch: Vec<Task>,
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
            .filter_map(|job| {
                let range = tallies[job.slot].unbinned();
                job.binned_later(range.zip(self.bins).and_then(|(range, bins)| bins_over(range, bins)))
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

/// A parameter, and what measuring it means; or why it cannot be measured.
type Task = (ParameterId, Result<Work>);

/// Elements below which another thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 18;

fn threads_for(elements: u64) -> usize {
    let worth = usize::try_from(elements / WORTH_A_THREAD).unwrap_or(usize::MAX);
    available_parallelism().map_or(1, usize::from).min(worth).max(1)
}
