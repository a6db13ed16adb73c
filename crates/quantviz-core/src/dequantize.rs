//! From codes to the real numbers they stand for, in f64.

use std::ops::{ControlFlow, Range};

use crate::elements::for_each_type;
use crate::quant::Groups;
use crate::{
    Block, Element, Elements, Error, GroupIndex, ParameterId, ParameterSource, Part, RangeSummary, Result,
};

/// Values that are looked at together: they stay in the first-level cache.
const AT_ONCE: usize = 4096;

/// What every group that a range of a parameter touches is computed with.
pub(crate) struct Calibration {
    groups: Groups,
    first_group: u64,
    scales: Vec<f64>,
    /// Empty where every zero-point is code 0.
    zero_points: Vec<f64>,
    /// Empty where nothing is added.
    offsets: Vec<f64>,
    outer: Option<OuterCalibration>,
    table: Option<Vec<f32>>,
}

struct OuterCalibration {
    groups: Groups,
    first_group: u64,
    scales: Vec<f64>,
}

/// Codes that are computed with the same numbers.
pub(crate) struct Run<'a> {
    pub(crate) codes: Elements<'a>,
    table: Option<&'a [f32]>,
    pub(crate) scale: f64,
    pub(crate) zero_point: f64,
    offset: f64,
}

impl Calibration {
    pub(crate) fn load<S: ParameterSource + ?Sized>(
        source: &S,
        id: ParameterId,
        range: &Range<u64>,
    ) -> Result<Self> {
        let parameter = source.model().parameter(id);
        let misfit = || Error::malformed("its scales do not fit its shape").in_tensor(&parameter.name);
        let descriptor = parameter.quantization.as_ref().ok_or_else(misfit)?;
        let mut groups = descriptor.groups(&parameter.shape).ok_or_else(misfit)?;
        if let Some(GroupIndex { axis, parameter: index }) = descriptor.group_index {
            groups = groups.with_index(axis, read_index(source, index)?).ok_or_else(misfit)?;
        }
        let span = groups.span(range);
        let read = |part, wanted| match wanted {
            true => read_values(source, id, part, span.clone()),
            false => Ok(Vec::new()),
        };
        let outer = match descriptor.outer_groups(&parameter.shape) {
            None if descriptor.outer_scale.is_some() => return Err(misfit()),
            None => None,
            Some(groups) => {
                let span = groups.span(range);
                let scales = read_values(source, id, Part::OuterScales, span.clone())?;
                Some(OuterCalibration { groups, first_group: span.start, scales })
            }
        };
        Ok(Calibration {
            first_group: span.start,
            scales: read(Part::Scales, true)?,
            zero_points: read(Part::ZeroPoints, descriptor.zero_point.is_some())?,
            offsets: read(Part::Offsets, descriptor.offset.is_some())?,
            outer,
            groups,
            table: descriptor.table.clone(),
        })
    }

    /// Whether codes side by side have numbers side by side, so that rows are quicker than runs.
    fn is_by_columns(&self, block: &Block<'_>) -> bool {
        let is_empty = block.elements.is_empty();
        !is_empty && self.outer.is_none() && self.groups.neighbours_at(block.start).is_some()
    }

    /// The real values of a block, many at a time, where each code has the numbers of the next group: nothing is looked
    /// up for a single code.
    fn for_each_row(&self, block: &Block<'_>, mut f: impl FnMut(&[f64])) {
        let (mut done, mut values) = (0, Vec::new());
        while done < block.elements.len()
            && let Some((group, row)) = self.groups.neighbours_at(block.start + done as u64)
        {
            let left = (block.elements.len() - done).min(AT_ONCE);
            let len = usize::try_from(row).map_or(left, |row| row.min(left));
            self.compute_row(&block.elements.slice(done..done + len), group - self.first_group, &mut values);
            f(&values);
            done += len;
        }
    }

    /// Replaces `values` by what these codes stand for, the first of which is in that group.
    fn compute_row(&self, codes: &Elements<'_>, first: u64, values: &mut Vec<f64>) {
        values.clear();
        push_values(codes, values);
        if let Some(table) = &self.table {
            values.iter_mut().for_each(|value| *value = in_table(table, *value));
        }
        values.iter_mut().zip(from(&self.zero_points, first)).for_each(|(value, zero)| *value -= zero);
        let scales = from(&self.scales, first);
        values.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
        if let Some(unscaled) = values.get_mut(scales.len()..) {
            unscaled.fill(f64::NAN);
        }
        values.iter_mut().zip(from(&self.offsets, first)).for_each(|(value, offset)| *value += offset);
    }

    pub(crate) fn for_each_run(&self, block: &Block<'_>, mut f: impl FnMut(Run<'_>)) {
        let mut done = 0;
        while done < block.elements.len() {
            let start = block.start + done as u64;
            let (group, mut run) = self.groups.at(start);
            let mut scale = number(&self.scales, group - self.first_group).unwrap_or(f64::NAN);
            if let Some(outer) = &self.outer {
                let (group, outer_run) = outer.groups.at(start);
                scale *= number(&outer.scales, group - outer.first_group).unwrap_or(f64::NAN);
                run = run.min(outer_run);
            }
            let left = block.elements.len() - done;
            let len = usize::try_from(run).map_or(left, |run| run.min(left));
            f(Run {
                codes: block.elements.slice(done..done + len),
                table: self.table.as_deref(),
                scale,
                zero_point: number(&self.zero_points, group - self.first_group).unwrap_or(0.0),
                // Adding minus zero changes nothing, not even the sign of a zero.
                offset: number(&self.offsets, group - self.first_group).unwrap_or(-0.0),
            });
            done += len;
        }
    }
}

fn number(numbers: &[f64], index: u64) -> Option<f64> {
    numbers.get(usize::try_from(index).ok()?).copied()
}

fn from(numbers: &[f64], index: u64) -> &[f64] {
    usize::try_from(index).ok().and_then(|index| numbers.get(index..)).unwrap_or_default()
}

fn in_table(table: &[f32], code: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a small table"
    )]
    table.get(code as usize).map_or(f64::NAN, |&value| f64::from(value))
}

fn push_values(elements: &Elements<'_>, values: &mut Vec<f64>) {
    for_each_type!(
        elements,
        slice => values.extend(slice.iter().map(|value| value.to_f64())),
        packed => values.extend(packed.codes().map(|code| f64::from(packed.values()[usize::from(code)])))
    );
}

fn read_index<S: ParameterSource + ?Sized>(source: &S, id: ParameterId) -> Result<Vec<u64>> {
    let len = source.model().parameter(id).shape.elements();
    let index = read_values(source, id, Part::Stored, 0..len)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    let group = |value: f64| if value >= 0.0 && value < 2f64.powi(53) { value as u64 } else { u64::MAX };
    Ok(index.into_iter().map(group).collect())
}

impl Run<'_> {
    fn for_each(&self, mut f: impl FnMut(f64)) {
        self.codes.for_each(|code| f(self.real(code)));
    }

    /// How often each value occurs, for codes of at most eight bits.
    fn value_counts(&self) -> Option<impl Iterator<Item = (f64, u64)> + Clone> {
        let counts = code_counts(&self.codes)?;
        Some(counts.map(|(code, times)| (self.real(code), times)))
    }

    #[inline]
    fn real(&self, code: f64) -> f64 {
        let value = self.table.map_or(code, |table| in_table(table, code));
        self.scale * (value - self.zero_point) + self.offset
    }
}

fn code_counts(codes: &Elements<'_>) -> Option<impl Iterator<Item = (f64, u64)> + Clone + use<>> {
    let mut counts = [0u64; 256];
    let first = match codes {
        Elements::U8(codes) => {
            codes.iter().for_each(|&code| counts[usize::from(code)] += 1);
            0.0
        }
        Elements::I8(codes) => {
            codes.iter().for_each(|&code| counts[usize::from(code.cast_unsigned() ^ 0x80)] += 1);
            -128.0
        }
        _ => return None,
    };
    Some((0u8..=255).map(move |index| first + f64::from(index)).zip(counts))
}

/// Pushes the real values of the elements `range` into `sink`, in order.
pub(crate) fn for_each_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    mut sink: impl FnMut(f64),
) -> Result<()> {
    let calibration = Calibration::load(source, id, &range)?;
    let mut block = |block: Block<'_>| {
        if calibration.is_by_columns(&block) {
            calibration.for_each_row(&block, |values| values.iter().for_each(|&value| sink(value)));
        } else {
            calibration.for_each_run(&block, |run| run.for_each(&mut sink));
        }
        ControlFlow::Continue(())
    };
    source.read(id, Part::Codes, range, &mut block).map(|_| ())
}

/// The summary of the real values of the elements `range`.
pub(crate) fn summarize_real<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
) -> Result<RangeSummary> {
    /// Runs from which on counting codes is quicker than computing values.
    const WORTH_COUNTING: usize = 1024;
    let calibration = Calibration::load(source, id, &range)?;
    let mut summary = Summing::default();
    let mut block = |block: Block<'_>| {
        if calibration.is_by_columns(&block) {
            calibration.for_each_row(&block, |values| summary.extend(values));
            return ControlFlow::Continue(());
        }
        calibration.for_each_run(&block, |run| {
            if run.codes.len() >= WORTH_COUNTING
                && let Some(counts) = run.value_counts()
            {
                summary.total.merge(&RangeSummary::of_counted(counts));
                return;
            }
            run.for_each(|value| summary.push(value));
        });
        ControlFlow::Continue(())
    };
    let _ = source.read(id, Part::Codes, range, &mut block)?;
    Ok(summary.finish())
}

/// A summary of values that come one by one and are summed up many at a time.
#[derive(Default)]
struct Summing {
    total: RangeSummary,
    values: Vec<f64>,
}

impl Summing {
    fn push(&mut self, value: f64) {
        self.values.push(value);
        self.merge_if_full();
    }

    /// Adds a row, which is no longer than what is summed up at once.
    fn extend(&mut self, row: &[f64]) {
        let (now, later) = row.split_at(row.len().min(AT_ONCE - self.values.len()));
        for values in [now, later] {
            self.values.extend_from_slice(values);
            self.merge_if_full();
        }
    }

    fn merge_if_full(&mut self) {
        if self.values.len() == AT_ONCE {
            self.total.merge(&RangeSummary::of(&self.values));
            self.values.clear();
        }
    }

    fn finish(mut self) -> RangeSummary {
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
