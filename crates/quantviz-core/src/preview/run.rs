//! The work of a preview in pieces that do not depend on the number of threads.

use std::ops::{ControlFlow, Range};
use std::thread::available_parallelism;

use super::fit::Extent;
use super::plan::Plan;
use super::survey::Survey;
use super::tiles::{Tile, View, steps};
use super::weights::{Weight, find_weights};
use super::{Preview, PreviewedScheme, PreviewedWeight};
use crate::parallel::for_each_job;
use crate::{Block, Error, ParameterSource, Part, Progress, Result};

type Report<'a> = &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync);

/// Elements that are surveyed at a time.
const SURVEYED: u64 = 1 << 20;
/// Elements, each as often as it is rounded, below which another thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 16;
/// Weights that are looked at together, in elements: of large ones a few, of small ones many.
const BATCH: u64 = 1 << 27;

pub(super) fn run<S: ParameterSource + Sync + ?Sized>(
    preview: &Preview,
    source: &S,
    progress: Report<'_>,
) -> Result<Vec<PreviewedWeight>> {
    let mut weights = find_weights(source.model(), &preview.rules)?.into_iter().peekable();
    let looks = 1 + preview.schemes.len() as u64 * preview.clip.candidates().len() as u64;
    let model = source.model();
    let elements_of = |weight: &Weight| model.parameter(weight.parameter).shape.elements();
    let all = weights.clone().map(|weight| elements_of(&weight)).fold(0, u64::saturating_add);
    let total = all.saturating_mul(looks);
    let threads = preview.threads.unwrap_or_else(|| threads_for(total));
    let (mut done, mut previewed) = (0u64, Vec::new());
    while weights.peek().is_some() {
        let mut batch = Batch { tasks: Vec::new(), preview, source, threads };
        let mut elements = 0u64;
        while elements < BATCH
            && let Some(weight) = weights.next()
        {
            let task = Task::new(source, weight, elements_of(&weight));
            elements = elements.saturating_add(task.elements);
            batch.tasks.push(task);
        }
        let end = done.saturating_add(elements.saturating_mul(looks));
        let report = |here: u64| progress(Progress { done: done.saturating_add(here).min(end), total });
        let report_later = |here: u64| report(here.saturating_add(elements));
        batch.survey(&report)?;
        batch.plan(&report_later)?;
        batch.round(&report_later)?;
        previewed.extend(batch.tasks.into_iter().map(Task::finish));
        done = end;
    }
    if progress(Progress { done: total, total }).is_break() {
        return Err(Error::cancelled());
    }
    Ok(previewed)
}

fn threads_for(elements: u64) -> usize {
    let worth = usize::try_from(elements / WORTH_A_THREAD).unwrap_or(usize::MAX);
    available_parallelism().map_or(1, usize::from).min(worth).max(1)
}

/// One weight on its way.
struct Task {
    weight: Weight,
    elements: u64,
    survey: Survey,
    plans: Vec<Planned>,
    error: Option<Error>,
}

/// A scheme for it, and what is known of its groups so far.
struct Planned {
    plan: Plan,
    extents: Vec<Extent>,
    losses: Vec<f64>,
}

/// A tile of one weight that is rounded by one scheme.
struct Job {
    task: usize,
    planned: usize,
    tile: Tile,
}

struct Batch<'a, S: ?Sized> {
    tasks: Vec<Task>,
    preview: &'a Preview,
    source: &'a S,
    threads: usize,
}

impl<S: ParameterSource + Sync + ?Sized> Batch<'_, S> {
    /// Finds out what is to be known before anything is rounded.
    fn survey(&mut self, report: &(dyn Fn(u64) -> ControlFlow<()> + Sync)) -> Result<()> {
        let tasks = self.tasks.iter().enumerate();
        let jobs: Vec<(usize, Range<u64>)> = tasks
            .flat_map(|(task, it)| steps(0..it.elements, SURVEYED).map(move |range| (task, range)))
            .collect();
        let size = |(_, range): &(usize, Range<u64>)| range.end - range.start;
        let surveys = for_each_job(self.threads, &jobs, size, report, |(task, range)| {
            Survey::of(self.source, self.tasks[*task].weight.parameter, range.clone())
        })?;
        for ((task, _), survey) in jobs.into_iter().zip(surveys) {
            match survey {
                Ok(survey) => self.tasks[task].survey.merge(&survey),
                Err(error) => self.tasks[task].fail(error),
            }
        }
        Ok(())
    }

    /// Lays out the tiles, and finds the extents of groups that lie in several.
    fn plan(&mut self, report: &(dyn Fn(u64) -> ControlFlow<()> + Sync)) -> Result<()> {
        let model = self.source.model();
        for task in self.tasks.iter_mut().filter(|task| task.error.is_none()) {
            let view = View::of(&model.parameter(task.weight.parameter).shape, task.weight.axis);
            let schemes = self.preview.schemes.iter();
            let planned = schemes.map(|&scheme| {
                let plan = Plan::of(self.preview, &view, scheme, task.survey.extent);
                Planned { extents: plan.no_extents(), losses: plan.no_losses(), plan }
            });
            task.plans = planned.collect();
        }
        // These looks are few, and do not count as progress.
        let jobs = self.jobs(Plan::needs_extents);
        let found = for_each_job(
            self.threads,
            &jobs,
            |_| 0,
            report,
            |job| {
                let values = self.values(job)?;
                Ok(values.chunks(job.tile.column()).map(Extent::of).collect::<Vec<_>>())
            },
        )?;
        self.take(jobs, found, |planned, tile, found| {
            planned.extents.iter_mut().skip(tile.first_group()).zip(found).for_each(|(extent, part)| {
                *extent = extent.with(part);
            });
        });
        Ok(())
    }

    /// Rounds.
    fn round(&mut self, report: &(dyn Fn(u64) -> ControlFlow<()> + Sync)) -> Result<()> {
        let jobs = self.jobs(|_| true);
        let planned = |job: &Job| &self.tasks[job.task].plans[job.planned];
        let size = |job: &Job| job.tile.elements().saturating_mul(planned(job).plan.candidates.len() as u64);
        let losses = for_each_job(self.threads, &jobs, size, report, |job| {
            let Planned { plan, extents, .. } = planned(job);
            Ok(plan.losses(&job.tile, &self.values(job)?, extents))
        })?;
        self.take(jobs, losses, |planned, tile, losses| {
            let first = planned.plan.first_loss(&tile);
            planned.losses.iter_mut().skip(first).zip(losses).for_each(|(sum, loss)| *sum += loss);
        });
        Ok(())
    }

    fn values(&self, job: &Job) -> Result<Vec<f32>> {
        job.tile.read(self.source, self.tasks[job.task].weight.parameter)
    }

    /// A job for each tile of the plans that `is_wanted` wants.
    fn jobs(&self, is_wanted: impl Fn(&Plan) -> bool) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (task, it) in self.tasks.iter().enumerate().filter(|(_, task)| task.error.is_none()) {
            for (planned, it) in it.plans.iter().enumerate().filter(|(_, it)| is_wanted(&it.plan)) {
                jobs.extend(it.plan.tiling.tiles.iter().map(|&tile| Job { task, planned, tile }));
            }
        }
        jobs
    }

    /// Adds what was found, in the order of the jobs.
    fn take<T>(&mut self, jobs: Vec<Job>, found: Vec<Result<T>>, add: impl Fn(&mut Planned, Tile, T)) {
        for (job, found) in jobs.into_iter().zip(found) {
            let task = &mut self.tasks[job.task];
            match found {
                Ok(found) => add(&mut task.plans[job.planned], job.tile, found),
                Err(error) => task.fail(error),
            }
        }
    }
}

impl Task {
    /// A shape can claim any size without a byte behind it: there has to be something before anything is planned for it.
    fn new<S: ParameterSource + ?Sized>(source: &S, weight: Weight, elements: u64) -> Self {
        let mut nothing = |_: Block<'_>| ControlFlow::Break(());
        let last = elements.saturating_sub(1)..elements;
        let error = source.read(weight.parameter, Part::Stored, last, &mut nothing).err();
        let elements = if error.is_some() { 0 } else { elements };
        Task { weight, elements, survey: Survey::default(), plans: Vec::new(), error }
    }

    /// The first error stays.
    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    fn finish(self) -> PreviewedWeight {
        let Task { weight, elements, survey, plans, error } = self;
        let finish = |Planned { plan, losses, .. }: Planned| PreviewedScheme {
            scheme: plan.scheme,
            squares: survey.squares,
            squared_error: plan.least(&losses).map(|(_, loss)| loss).sum(),
            elements,
            bits: plan.scheme.bits(elements, plan.tiling.groups),
        };
        let schemes = if error.is_some() { Vec::new() } else { plans.into_iter().map(finish).collect() };
        PreviewedWeight { weight, elements, non_finite: survey.non_finite, schemes, error }
    }
}
