//! The summary of the real values that codes stand for, without holding them.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use crate::calibration::{Calibration, for_each_calibration};
use crate::code_counts::CodeCounts;
use crate::column_sums::ColumnSums;
use crate::dequantize::{AT_ONCE, Affine, Run};
use crate::even_groups::EvenGroups;
use crate::few_codes::FewCodes;
use crate::group_sums::{Code, GroupSums};
use crate::run_counts::RunCounts;
use crate::{Block, Elements, ParameterId, ParameterSource, Part, RangeSummary, Result};

/// The summary of the real values of the elements `range`.
pub(crate) fn summarize_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
) -> Result<RangeSummary> {
    let mut sums = RealSums::default();
    let _ = for_each_calibration(source, id, range, &mut |calibration, range| {
        let mut block = |block: Block<'_>| {
            let _ = sums.add(calibration, &block);
            ControlFlow::Continue(())
        };
        let flow = source.read(id, Part::Codes, range, &mut block);
        sums.end();
        flow
    })?;
    Ok(sums.finish())
}

/// The summary of real values. Codes of long runs are counted, those of short ones summed up, and where neither will do,
/// values are computed many at a time.
#[derive(Default)]
pub(crate) struct RealSums {
    total: RangeSummary,
    columns: Option<ColumnSums>,
    values: Vec<f64>,
}

/// Runs from which on counting codes is quicker than anything else.
const WORTH_COUNTING: usize = 512;

impl RealSums {
    /// Adds what a block of codes stands for, and says how often each code occurs, where that was of use.
    pub(crate) fn add(&mut self, calibration: &Calibration, block: &Block<'_>) -> Option<CodeCounts> {
        dispatch!(Level::new(), simd => match (calibration.is_by_columns(block), &block.elements) {
            (true, Elements::U8(codes)) if calibration.table.is_none() => {
                self.add_columns(simd, calibration, block.start, codes);
                None
            }
            (true, Elements::I8(codes)) if calibration.table.is_none() => {
                self.add_columns(simd, calibration, block.start, codes);
                None
            }
            (true, _) => {
                self.add_rows(simd, calibration, block);
                None
            }
            (false, _) => self.add_runs(simd, calibration, block),
        })
    }

    /// Ends what was begun with a calibration.
    pub(crate) fn end(&mut self) {
        if let Some(columns) = self.columns.take() {
            columns.empty_into(&mut self.total);
        }
    }

    #[inline(always)]
    fn add_columns<S: Simd, T: Code>(&mut self, simd: S, calibration: &Calibration, start: u64, codes: &[T]) {
        let groups = &calibration.groups;
        let mut rest = codes;
        while !rest.is_empty()
            && let start = start + (codes.len() - rest.len()) as u64
            && let Some((group, row)) = groups.neighbours_at(start)
        {
            let len = usize::try_from(row).map_or(rest.len(), |row| row.min(rest.len()));
            // A part of a row is no reason to begin anew.
            let is_whole = groups.columns() == Some(len as u64);
            if is_whole && self.columns.as_ref().is_none_or(|columns| columns.room(group, len) == 0) {
                self.end();
                self.columns = ColumnSums::of::<T>(calibration, group, len);
            }
            match &mut self.columns {
                Some(columns) if is_whole => {
                    let most = columns.room(group, len).min(rest.len() / len);
                    let is_same = |row: &usize| {
                        groups.neighbours_at(start + (row * len) as u64).is_some_and(|(it, _)| it == group)
                    };
                    let rows = 1 + (1..most).take_while(is_same).count();
                    let (rows, behind) = rest.split_at(rows * len);
                    columns.add(simd, rows);
                    rest = behind;
                }
                _ => {
                    let (row, behind) = rest.split_at(len);
                    self.add_rows(simd, calibration, &Block { start, elements: T::elements(row) });
                    rest = behind;
                }
            }
        }
    }

    #[inline(always)]
    fn add_rows<S: Simd>(&mut self, simd: S, calibration: &Calibration, block: &Block<'_>) {
        calibration.for_each_row(simd, block, |values| {
            self.values.extend_from_slice(values);
            self.sum_up_many();
        });
    }

    #[inline(always)]
    fn add_runs<S: Simd>(
        &mut self,
        simd: S,
        calibration: &Calibration,
        block: &Block<'_>,
    ) -> Option<CodeCounts> {
        let groups = &calibration.groups;
        let run = groups.even_run().unwrap_or_else(|| groups.walk(block.start).here().1);
        let is_short = run < WORTH_COUNTING as u64;
        let few = is_short.then(|| FewCodes::of(&block.elements, calibration.table.as_deref()));
        if let Some(mut codes) = few.flatten() {
            let mut added = 0;
            simd.vectorize(
                #[inline(always)]
                || {
                    calibration.for_each_run(
                        block,
                        #[inline(always)]
                        |run| match codes.add(simd, &run, &mut self.total) {
                            true => added += run.codes.len(),
                            false => self.add_values(simd, &run),
                        },
                    );
                },
            );
            codes.empty_into(&mut self.total);
            return Some(codes.into_counts()).filter(|_| added == block.elements.len());
        }
        if is_short && calibration.table.is_none() && calibration.outer.is_none() {
            let counts = CodeCounts::of(&block.elements);
            if let Some((counts, ends)) = counts.as_ref().and_then(|it| Some((it, it.ends()?))) {
                let even = EvenGroups::of(calibration, block.start, block.elements.len(), ends);
                let known = self.total.min().zip(self.total.max());
                let summary = match (&block.elements, even) {
                    (Elements::U8(codes), Some(even)) => even.summary(simd, codes, counts, known),
                    (Elements::I8(codes), Some(even)) => even.summary(simd, codes, counts, known),
                    _ => None,
                };
                match (&block.elements, summary) {
                    (_, Some(summary)) => self.total.merge(&summary),
                    (Elements::U8(codes), _) => {
                        self.add_short_runs(simd, calibration, block.start, codes, ends)
                    }
                    (Elements::I8(codes), _) => {
                        self.add_short_runs(simd, calibration, block.start, codes, ends)
                    }
                    _ => calibration.for_each_run(block, |run| self.add_values(simd, &run)),
                }
                return Some(counts.clone());
            }
        }
        let mut long_runs = None;
        if !is_short {
            long_runs = RunCounts::of(&block.elements, calibration.table.as_deref());
        }
        let mut counted = 0;
        calibration.for_each_run(block, |run| {
            match long_runs.as_mut().filter(|_| run.codes.len() >= WORTH_COUNTING) {
                Some(runs) => {
                    runs.add(simd, &run, &mut self.total);
                    counted += run.codes.len();
                }
                None => self.add_values(simd, &run),
            }
        });
        long_runs.filter(|_| counted == block.elements.len()).map(RunCounts::into_counts)
    }

    #[inline(always)]
    fn add_short_runs<S: Simd, T: Code>(
        &mut self,
        simd: S,
        calibration: &Calibration,
        start: u64,
        codes: &[T],
        ends: (f64, f64),
    ) {
        let mut sums = GroupSums::beside(&self.total);
        let mut all_were_added = true;
        simd.vectorize(
            #[inline(always)]
            || {
                for_each_group(
                    calibration,
                    start,
                    codes,
                    #[inline(always)]
                    |codes, affine| match GroupSums::centre(&affine, ends, codes.len()) {
                        Some(centre) => sums.add(simd, codes, ends, &affine, &centre),
                        None => all_were_added = false,
                    },
                );
            },
        );
        let summary = sums.summary();
        if !all_were_added || summary.is_none() {
            for_each_group(calibration, start, codes, |codes, affine| {
                if summary.is_none() || GroupSums::centre(&affine, ends, codes.len()).is_none() {
                    self.add_values(simd, &Run { codes: T::elements(codes), table: None, affine });
                }
            });
        }
        self.total.merge(&summary.unwrap_or_default());
    }

    #[inline(always)]
    fn add_values<S: Simd>(&mut self, simd: S, run: &Run<'_>) {
        for part in run.parts() {
            part.push_reals(simd, &mut self.values);
            self.sum_up_many();
        }
    }

    fn sum_up_many(&mut self) {
        if self.values.len() >= AT_ONCE {
            self.total.merge(&RangeSummary::of(&self.values));
            self.values.clear();
        }
    }

    pub(crate) fn finish(mut self) -> RangeSummary {
        self.total.merge(&RangeSummary::of(&self.values));
        self.total
    }
}

/// Calls `each` with the codes of every group, from `start` on, and what they are computed with.
#[inline(always)]
fn for_each_group<'a, T>(
    calibration: &Calibration,
    start: u64,
    codes: &'a [T],
    mut each: impl FnMut(&'a [T], Affine),
) {
    let (mut rest, mut walk) = (codes, calibration.groups.walk(start));
    while !rest.is_empty() {
        let (group, run) = walk.here();
        let len = usize::try_from(run).map_or(rest.len(), |run| run.min(rest.len()));
        let (codes, behind) = rest.split_at(len);
        each(codes, calibration.affine(group));
        walk.go(len as u64);
        rest = behind;
    }
}
