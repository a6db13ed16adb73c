//! From codes to the real numbers they stand for, in f64.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use crate::calibration::{Calibration, for_each_calibration};
use crate::code_counts::CodeCounts;
use crate::elements::for_each_type;
use crate::{Block, Element, Elements, ParameterId, ParameterSource, Part, RangeSummary, Result};

/// Values that are looked at together: they stay in the first-level cache.
const AT_ONCE: usize = 4096;

/// Codes that are computed with the same numbers.
pub(crate) struct Run<'a> {
    pub(crate) codes: Elements<'a>,
    table: Option<&'a [f32]>,
    pub(crate) scale: f64,
    pub(crate) zero_point: f64,
    offset: f64,
}

impl Calibration {
    #[inline(always)]
    pub(crate) fn for_each_run(&self, block: &Block<'_>, mut f: impl FnMut(Run<'_>)) {
        let mut done = 0;
        while done < block.elements.len() {
            let start = block.start + done as u64;
            let (group, mut run) = self.groups.at(start);
            let mut scale = self.scales.of(group);
            if let Some((outer_groups, outer_scales)) = &self.outer {
                let (outer_group, outer_run) = outer_groups.at(start);
                scale *= outer_scales.of(outer_group);
                run = run.min(outer_run);
            }
            let left = block.elements.len() - done;
            let len = usize::try_from(run).map_or(left, |run| run.min(left));
            f(Run {
                codes: block.elements.slice(done..done + len),
                table: self.table.as_deref(),
                scale,
                zero_point: self.zero_points.of(group),
                offset: self.offsets.of(group),
            });
            done += len;
        }
    }

    /// Whether codes side by side have numbers side by side, so that rows are quicker than runs.
    fn is_by_columns(&self, block: &Block<'_>) -> bool {
        let is_empty = block.elements.is_empty();
        !is_empty && self.outer.is_none() && self.groups.neighbours_at(block.start).is_some()
    }

    /// The real values of a block, many at a time, where each code has the numbers of the next group: nothing is looked
    /// up for a single code.
    #[inline(always)]
    fn for_each_row<S: Simd>(&self, simd: S, block: &Block<'_>, mut f: impl FnMut(&[f64])) {
        let (mut done, mut values) = (0, Vec::new());
        while done < block.elements.len()
            && let Some((group, row)) = self.groups.neighbours_at(block.start + done as u64)
        {
            let left = (block.elements.len() - done).min(AT_ONCE);
            let len = usize::try_from(row).map_or(left, |row| row.min(left));
            simd.vectorize(
                #[inline(always)]
                || self.compute_row(&block.elements.slice(done..done + len), group, &mut values),
            );
            f(&values);
            done += len;
        }
    }

    /// Replaces `values` by what these codes stand for, the first of which is in that group.
    #[inline(always)]
    fn compute_row(&self, codes: &Elements<'_>, first: u64, values: &mut Vec<f64>) {
        values.clear();
        push_values(codes, values);
        if let Some(table) = &self.table {
            values.iter_mut().for_each(|value| *value = in_table(table, *value));
        }
        self.zero_points.apply(first, values, |value, zero| value - zero);
        self.scales.apply(first, values, |value, scale| value * scale);
        self.offsets.apply(first, values, |value, offset| value + offset);
    }
}

impl Run<'_> {
    fn for_each(&self, mut f: impl FnMut(f64)) {
        self.codes.for_each(|code| f(self.real(code)));
    }

    #[inline]
    fn real(&self, code: f64) -> f64 {
        self.scaled(self.table.map_or(code, |table| in_table(table, code)))
    }

    #[inline(always)]
    fn scaled(&self, value: f64) -> f64 {
        self.scale * (value - self.zero_point) + self.offset
    }
}

fn in_table(table: &[f32], code: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a small table"
    )]
    table.get(code as usize).map_or(f64::NAN, |&value| f64::from(value))
}

#[inline(always)]
fn push_values(elements: &Elements<'_>, values: &mut Vec<f64>) {
    for_each_type!(
        elements,
        slice => values.extend(slice.iter().map(|value| value.to_f64())),
        packed => packed.push_values(values)
    );
}

/// Pushes the real values of the elements `range` into `sink`, in order.
pub(crate) fn for_each_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    mut sink: impl FnMut(f64),
) -> Result<()> {
    let all = for_each_calibration(source, id, range, &mut |calibration, range| {
        let mut block = |block: Block<'_>| {
            if calibration.is_by_columns(&block) {
                dispatch!(Level::new(), simd => calibration.for_each_row(simd, &block, |values| {
                    values.iter().for_each(|&value| sink(value));
                }));
            } else {
                calibration.for_each_run(&block, |run| run.for_each(&mut sink));
            }
            ControlFlow::Continue(())
        };
        source.read(id, Part::Codes, range, &mut block)
    });
    all.map(|_| ())
}

/// The summary of the real values of the elements `range`.
pub(crate) fn summarize_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
) -> Result<RangeSummary> {
    let mut sums = RealSums::default();
    let _ = for_each_calibration(source, id, range, &mut |calibration, range| {
        let mut block = |block: Block<'_>| {
            sums.add(calibration, &block);
            ControlFlow::Continue(())
        };
        source.read(id, Part::Codes, range, &mut block)
    })?;
    Ok(sums.finish())
}

/// The summary of real values, which are computed and summed up many at a time.
#[derive(Default)]
pub(crate) struct RealSums {
    total: RangeSummary,
    values: Vec<f64>,
}

/// Runs from which on counting codes is quicker than computing values.
const WORTH_COUNTING: usize = 4096;

impl RealSums {
    /// Adds what a block of codes stands for.
    pub(crate) fn add(&mut self, calibration: &Calibration, block: &Block<'_>) {
        dispatch!(Level::new(), simd => match calibration.is_by_columns(block) {
            true => calibration.for_each_row(simd, block, |values| {
                self.values.extend_from_slice(values);
                self.sum_up_many();
            }),
            false => calibration.for_each_run(block, |run| self.add_run(simd, &run)),
        });
    }

    #[inline(always)]
    fn add_run<S: Simd>(&mut self, simd: S, run: &Run<'_>) {
        if run.codes.len() >= WORTH_COUNTING
            && let Some(codes) = CodeCounts::of(&run.codes)
        {
            let values = codes.values().map(|(code, times)| (run.real(code), times));
            self.total.merge(&RangeSummary::of_counted(values));
            return;
        }
        for start in (0..run.codes.len()).step_by(AT_ONCE) {
            let some = run.codes.slice(start..run.codes.len().min(start + AT_ONCE));
            let first = self.values.len();
            simd.vectorize(
                #[inline(always)]
                || match (run.table, &some) {
                    (Some(table), Elements::U8(codes)) => {
                        let value =
                            |code: u8| table.get(usize::from(code)).map_or(f64::NAN, |&it| f64::from(it));
                        self.values.extend(codes.iter().map(|&code| run.scaled(value(code))));
                    }
                    (Some(table), _) => {
                        push_values(&some, &mut self.values);
                        let values = &mut self.values[first..];
                        values.iter_mut().for_each(|value| *value = run.scaled(in_table(table, *value)));
                    }
                    (None, _) => {
                        push_values(&some, &mut self.values);
                        self.values[first..].iter_mut().for_each(|value| *value = run.scaled(*value));
                    }
                },
            );
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

/// All values of a range of a part.
pub(crate) fn read_values<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    let mut sink = |block: Block<'_>| {
        push_values(&block.elements, &mut values);
        ControlFlow::Continue(())
    };
    let _ = source.read(id, part, range, &mut sink)?;
    Ok(values)
}
