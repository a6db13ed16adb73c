//! All rules about one file, on one model.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::thread::available_parallelism;

use quantviz_core::{
    Comparison, Error, Parameter, ParameterId, ParameterSource, Progress, Result, for_each_job,
};

use crate::case::Case;
use crate::facts::Facts;
use crate::rules::FILE_RULES;
use crate::{Finding, Target, findings_of_comparison};

/// Looks for everything that is worth a finding in one model.
///
/// Values are read in pieces, so memory does not grow with the model. What is found does not depend on the number of
/// threads.
#[derive(Clone, Debug, Default)]
pub struct Lint {
    target: Option<Target>,
    threads: Option<usize>,
}

/// What was found in a model.
#[derive(Debug)]
#[non_exhaustive]
pub struct Linted {
    /// What was found, the worst first; within a level by number of rule, and then in the order of the file.
    pub findings: Vec<Finding>,
    /// Parameters that could not be read, and why: nothing is said of those.
    pub unread: Vec<Error>,
}

impl Lint {
    /// All rules, for no target in particular, with a thread for every core.
    pub fn new() -> Self {
        Lint::default()
    }

    /// Adds the rules of a runtime.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Uses this many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Looks at a model. `progress` hears of every parameter and calls it off by breaking.
    ///
    /// # Errors
    /// Only when `progress` breaks: [`ErrorKind::Cancelled`](quantviz_core::ErrorKind::Cancelled).
    pub fn run(
        &self,
        source: &(dyn ParameterSource + Sync),
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Linted> {
        self.look(source, &HashMap::new(), progress)
    }

    /// Looks at a model that was compared with another: what the comparison shows is found too, and codes that it has
    /// counted are not read once more.
    ///
    /// # Errors
    /// As [`run`](Lint::run).
    pub fn run_compared(
        &self,
        source: &(dyn ParameterSource + Sync),
        comparison: &Comparison,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Linted> {
        let counted =
            comparison.pairs.iter().filter_map(|it| Some((it.pair.quantized, it.codes.as_deref()?)));
        let mut linted = self.look(source, &counted.collect(), progress)?;
        let mut findings = findings_of_comparison(source.model(), comparison);
        findings.append(&mut linted.findings);
        // What a reference shows, the file alone may show too: the first is told, which has more to go by.
        let mut told = HashSet::new();
        findings.retain(|finding| told.insert((finding.code, finding.parameter.clone())));
        sort(&mut findings);
        Ok(Linted { findings, ..linted })
    }

    fn look(
        &self,
        source: &(dyn ParameterSource + Sync),
        counted: &HashMap<ParameterId, &[(f64, u64)]>,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Linted> {
        let model = source.model();
        let calibrating = model.calibrating();
        let is_judged =
            |id: &ParameterId| !calibrating.contains(id) && Facts::are_worth_reading(model.parameter(*id));
        let ids: Vec<ParameterId> = model.parameter_ids().filter(is_judged).collect();
        let size = |id: &ParameterId| elements(model.parameter(*id));
        let total = ids.iter().map(size).fold(0, u64::saturating_add);
        let report = |done| {
            let mut step = Progress::default();
            (step.done, step.total) = (done, total);
            progress(step)
        };
        let threads = self.threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
        let read = for_each_job(threads, &ids, size, &report, |&id| {
            Facts::read(source, id, counted.get(&id).copied())
        })?;

        let (mut facts, mut unread) = (Vec::new(), Vec::new());
        for (id, read) in ids.into_iter().zip(read) {
            match read {
                Ok(read) => facts.push((id, read)),
                Err(error) => unread.push(error),
            }
        }
        let case = Case::new(source, self.target, facts);
        let mut findings = Vec::new();
        FILE_RULES.iter().for_each(|rule| rule(&case, &mut findings));
        sort(&mut findings);
        Ok(Linted { findings, unread })
    }
}

/// The worst first; within a level by number of rule. What is equal in both stays in its order.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (finding.level, finding.code));
}

fn elements(parameter: &Parameter) -> u64 {
    parameter.logical_shape().elements()
}
