//! What happens on the training thread: parameters are looked at for as long as a capture may take, and what others need
//! for more is copied.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quantviz_core::{
    Block, Elements, Error, ErrorKind, MatrixLook, ParameterId, ParameterSource, Part, RangeSummary, Result,
};

use crate::selection::Selection;

/// Rows of a matrix that its rank is told from.
const ROWS_FOR_RANK: u64 = 128;
/// So many captures pass before the rank of a matrix is told again.
const CAPTURES_BETWEEN_RANKS: u64 = 10;
/// Estimates are taken for so much more, since processors are sometimes slow.
const SPARE: f64 = 1.25;
/// Elements between two looks at the clock.
const PIECE: usize = 1 << 14;
/// What is guessed to be the time for an element, before any was looked at.
const NANOSECONDS: f64 = 1.0;
/// Where a capture has taken so much of its budget, it ends at once.
const AT_MOST: f64 = 1.2;

/// Counts, range and moments of a parameter or of its gradient, and when they were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Statistic {
    pub(crate) min: f32,
    pub(crate) max: f32,
    pub(crate) mean: f32,
    pub(crate) std: f32,
    pub(crate) zeros: f32,
    pub(crate) non_finite: u32,
    pub(crate) coverage: f32,
    pub(crate) as_of: u32,
}

/// What was seen of one parameter, or of its gradient, in this capture.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) parameter: usize,
    pub(crate) is_gradient: bool,
    pub(crate) cells: (usize, usize),
    pub(crate) cell_rms: Vec<f32>,
    pub(crate) cell_peak: Vec<f32>,
    pub(crate) row_rms: Vec<f32>,
    pub(crate) column_rms: Vec<f32>,
    /// Elements to be counted for a histogram.
    pub(crate) counted: Vec<f32>,
    /// Some whole rows, where the rank is due.
    pub(crate) rows: Vec<f32>,
}

/// A capture, on its way to the thread that makes a snapshot of it.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) step: u64,
    pub(crate) time_ms: u64,
    pub(crate) scalars: BTreeMap<String, f64>,
    pub(crate) took: Duration,
    pub(crate) budget: Duration,
    /// Of all time so far, the share that recording took on the training thread.
    pub(crate) share: f32,
    pub(crate) weights: Vec<Statistic>,
    pub(crate) gradients: Vec<Statistic>,
    pub(crate) gradient_states: Vec<u16>,
    pub(crate) sample: Vec<f32>,
    pub(crate) sample_gradients: Vec<f32>,
    /// Of each parameter the root mean square of one step's change, by that of the sample.
    pub(crate) update: Vec<f32>,
    pub(crate) change: Vec<f32>,
    /// Of each parameter, the share of sampled elements that one step has changed by less than half of what their type
    /// can tell apart.
    pub(crate) unmoved: Vec<f32>,
    pub(crate) looked: Vec<Looked>,
    /// The rows of embeddings, by their place in the selection.
    pub(crate) rows: Vec<(usize, Vec<f32>)>,
    pub(crate) left_out: Vec<String>,
    /// What went wrong, one line for each parameter that it went wrong with.
    pub(crate) trouble: Vec<String>,
}

/// Where a gradient is: see [`Quantity::GradientState`](quantviz_core::Quantity::GradientState).
pub(crate) const FROZEN: u16 = 1;
pub(crate) const WITHOUT: u16 = 2;
pub(crate) const PRESENT: u16 = 3;

/// What is remembered from capture to capture.
pub(crate) struct Capturer {
    pub(crate) selection: Arc<Selection>,
    gradients: bool,
    taken: Vec<Statistic>,
    taken_gradients: Vec<Statistic>,
    gradient_states: Vec<u16>,
    /// The sample one step before, and the step.
    before: (Option<u64>, Vec<f32>),
    /// The sample of the capture before.
    last: Vec<f32>,
    captures: u64,
    /// The capture at which the rank of a parameter was told.
    ranked: Vec<Option<u64>>,
    next_embedding: usize,
    nanoseconds: f64,
    look: MatrixLook,
    buffer: Vec<f32>,
}

impl Capturer {
    pub(crate) fn new(selection: Arc<Selection>, gradients: bool) -> Self {
        let count = selection.ids.len();
        Capturer {
            gradients,
            taken: vec![Statistic { coverage: 0.0, ..Statistic::default() }; count],
            taken_gradients: vec![Statistic::default(); count],
            gradient_states: vec![0; count],
            before: (None, Vec::new()),
            last: Vec::new(),
            captures: 0,
            ranked: vec![None; count],
            next_embedding: 0,
            nanoseconds: NANOSECONDS,
            look: MatrixLook::default(),
            buffer: Vec::new(),
            selection,
        }
    }

    /// Remembers the sample, so that the next capture can tell what one step changes.
    pub(crate) fn remember(&mut self, step: u64, source: &dyn ParameterSource) {
        let mut sample = std::mem::take(&mut self.before.1);
        let is_whole = self.gather(source, Part::Stored, &mut sample, &mut Vec::new());
        self.before = (is_whole.then_some(step), sample);
    }

    /// Remembers a sample that was taken.
    pub(crate) fn keep(&mut self, step: u64, sample: &[f32]) {
        self.before.0 = Some(step);
        self.before.1.clear();
        self.before.1.extend_from_slice(sample);
    }

    /// The elements of the sample; those that cannot be read are not numbers.
    fn gather(
        &self,
        source: &dyn ParameterSource,
        part: Part,
        out: &mut Vec<f32>,
        trouble: &mut Vec<String>,
    ) -> bool {
        let total = self.selection.sample.iter().map(Vec::len).sum();
        out.clear();
        out.resize(total, f32::NAN);
        let (mut rest, mut is_whole) = (&mut out[..], true);
        for (id, at) in self.selection.ids.iter().zip(&self.selection.sample) {
            let (here, others) = rest.split_at_mut(at.len());
            rest = others;
            if let Err(error) = source.gather(*id, part, at, here) {
                here.fill(f32::NAN);
                is_whole = false;
                if part == Part::Stored {
                    trouble.push(error.to_string());
                }
            }
        }
        is_whole
    }

    /// Looks at as much as there is time for; without a budget, at everything.
    pub(crate) fn capture(
        &mut self,
        step: u64,
        source: &dyn ParameterSource,
        budget: Option<Duration>,
    ) -> Captured {
        let begun = Instant::now();
        let mut captured = Captured { step, budget: budget.unwrap_or_default(), ..Captured::default() };
        let clock = Clock { begun, budget };
        self.captures += 1;
        self.take_samples(step, source, &mut captured);
        self.take_rows(source, &clock, &mut captured);
        self.look_at_parameters(step, source, &clock, &mut captured);
        captured.weights.clone_from(&self.taken);
        captured.gradients.clone_from(&self.taken_gradients);
        captured.gradient_states.clone_from(&self.gradient_states);
        captured.took = begun.elapsed();
        captured
    }

    fn take_samples(&mut self, step: u64, source: &dyn ParameterSource, captured: &mut Captured) {
        let mut sample = Vec::new();
        self.gather(source, Part::Stored, &mut sample, &mut captured.trouble);
        if self.gradients {
            let mut gradients = Vec::new();
            self.gather(source, Part::Gradient, &mut gradients, &mut Vec::new());
            captured.sample_gradients = gradients;
        }
        let before = match self.before.0 {
            Some(before) if before.checked_add(1) == Some(step) => self.before.1.as_slice(),
            _ => &[],
        };
        let mut begin = 0;
        for (at, planned) in self.selection.sample.iter().zip(&self.selection.header.parameters) {
            let range = begin..begin + at.len();
            begin = range.end;
            let now = &sample[range.clone()];
            let size = rms(now.iter().copied());
            let moved = before.get(range.clone()).map(|before| difference(now, before));
            captured.update.push(moved.map_or(f32::NAN, |moved| moved / size));
            captured.change.push(self.last.get(range.clone()).map_or(f32::NAN, |last| difference(now, last)));
            let digits = match planned.dtype {
                quantviz_core::DType::Bf16 => 8,
                quantviz_core::DType::F16 => 11,
                quantviz_core::DType::F64 => 53,
                _ => 24,
            };
            captured.unmoved.push(before.get(range).map_or(f32::NAN, |before| unmoved(now, before, digits)));
        }
        self.last.clone_from(&sample);
        captured.sample = sample;
    }

    /// The rows of embeddings: each in turn, as far as a third of the budget goes, and at least one.
    fn take_rows(&mut self, source: &dyn ParameterSource, clock: &Clock, captured: &mut Captured) {
        let count = self.selection.embeddings.len();
        for turn in 0..count {
            let at = (self.next_embedding + turn) % count;
            let embedding = &self.selection.embeddings[at];
            let elements = embedding.rows.len() * embedding.width;
            let third = clock.budget.map_or(Duration::MAX, |budget| budget / 3);
            let needed =
                clock.begun.elapsed() + Duration::from_secs_f64(elements as f64 * self.nanoseconds * 1e-9);
            // One that would take more than a third is copied at times, when there is room for it as a whole.
            let limit = if turn == 0 { clock.budget.unwrap_or(Duration::MAX) } else { third };
            if needed > limit {
                captured.left_out.push(format!(
                    "positions of {}: {elements} elements need more than this capture may take",
                    self.selection.header.parameters[embedding.parameter].name
                ));
                self.next_embedding = (at + usize::from(turn == 0)) % count;
                return;
            }
            let id = self.selection.ids[embedding.parameter];
            let mut rows = Vec::with_capacity(elements);
            let width = embedding.width as u64;
            let ranges: Vec<Range<u64>> = match embedding.is_whole {
                true => std::iter::once(0..embedding.rows.len() as u64 * width).collect(),
                false => embedding.rows.iter().map(|&(row, _)| row * width..(row + 1) * width).collect(),
            };
            let read = ranges.into_iter().try_for_each(|range| {
                read(source, id, Part::Stored, range, None, &mut self.buffer, &mut |it| {
                    rows.extend_from_slice(it)
                })
                .map(drop)
            });
            match read {
                Ok(()) if rows.len() == elements => captured.rows.push((at, rows)),
                Ok(()) => captured.trouble.push(format!(
                    "{}: {} elements came where its shape says {elements}",
                    self.selection.header.parameters[embedding.parameter].name,
                    rows.len()
                )),
                Err(error) => captured.trouble.push(error.to_string()),
            }
        }
    }

    /// Those come first that were not looked at for the longest time.
    fn look_at_parameters(
        &mut self,
        step: u64,
        source: &dyn ParameterSource,
        clock: &Clock,
        captured: &mut Captured,
    ) {
        let as_of = u32::try_from(step).unwrap_or(u32::MAX);
        let mut order: Vec<usize> = (0..self.selection.ids.len()).collect();
        // Of those that were never looked at, small ones first: then the most is known soonest.
        order.sort_by_key(|&it| {
            let taken = &self.taken[it];
            (taken.coverage > 0.0, taken.as_of, self.selection.header.parameters[it].elements())
        });
        let mut is_first = true;
        for parameter in order {
            let elements = self.selection.header.parameters[parameter].elements();
            let looks = if self.gradients { 2.0 } else { 1.0 };
            let needed = Duration::from_secs_f64(elements as f64 * looks * self.nanoseconds * 1e-9 * SPARE);
            let left = clock.left();
            let share = match clock.budget {
                Some(_) if needed <= left => 1.0,
                // What never fits a capture as a whole is looked at in part.
                Some(budget) if is_first && needed > budget / 2 && !left.is_zero() => {
                    left.as_secs_f64() / needed.as_secs_f64()
                }
                Some(_) => break,
                None => 1.0,
            };
            is_first = false;
            let begun = Instant::now();
            let parts = [Part::Stored, Part::Gradient];
            let mut looked_at = 0.0;
            for part in &parts[..if self.gradients { 2 } else { 1 }] {
                match self.look_at(parameter, *part, source, share, as_of, clock) {
                    Ok(Some(looked)) => {
                        looked_at += elements as f64 * share;
                        captured.looked.push(looked);
                    }
                    Ok(None) => {}
                    Err(error) => captured.trouble.push(error.to_string()),
                }
            }
            let took = begun.elapsed().as_secs_f64() * 1e9;
            if looked_at > 10_000.0 {
                self.nanoseconds = 0.7 * self.nanoseconds + 0.3 * (took / looked_at).clamp(0.05, 50.0);
            } else if looked_at == 0.0 && clock.is_over() {
                // It took longer than was thought, and will be thought to.
                self.nanoseconds *= 1.5;
            }
        }
    }

    /// `None` where there was no time, or no gradient.
    fn look_at(
        &mut self,
        parameter: usize,
        part: Part,
        source: &dyn ParameterSource,
        share: f64,
        as_of: u32,
        clock: &Clock,
    ) -> Result<Option<Looked>> {
        let selection = self.selection.clone();
        let (id, planned) = (selection.ids[parameter], &selection.header.parameters[parameter]);
        let is_gradient = part == Part::Gradient;
        let elements = planned.elements();
        let (rows, columns) =
            if planned.matrix.is_some() { planned.rows_and_columns() } else { (1, elements) };
        let mut look = std::mem::take(&mut self.look);
        let mut summary = RangeSummary::default();
        look.begin(usize::try_from(rows).unwrap_or(0), usize::try_from(columns).unwrap_or(0));
        let is_matrix = planned.matrix.is_some();
        let mut count = 0u64;
        let ranges = ranges(rows, columns, share);
        let mut result = Ok(true);
        for (row, range) in ranges {
            look.skip_to(usize::try_from(row).unwrap_or(0));
            result = read(source, id, part, range, Some(clock), &mut self.buffer, &mut |values| {
                count += values.len() as u64;
                match is_matrix {
                    true => look.add(values),
                    false => summary.merge(&RangeSummary::of(values)),
                }
            });
            if !matches!(result, Ok(true)) {
                break;
            }
        }
        let seen = look.finish();
        let mut looked = Looked {
            parameter,
            is_gradient,
            cells: seen.cells,
            cell_rms: seen.cell_rms.clone(),
            cell_peak: seen.cell_peak.clone(),
            row_rms: seen.row_rms.clone(),
            column_rms: seen.column_rms.clone(),
            ..Looked::default()
        };
        let plain = if is_matrix { seen.summary } else { Some(summary.sampled_from(elements)) };
        self.look = look;
        match result {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                if is_gradient {
                    self.gradient_states[parameter] = match error.kind() {
                        ErrorKind::Refused => FROZEN,
                        ErrorKind::NotFound => WITHOUT,
                        _ => return Err(error),
                    };
                    return Ok(None);
                }
                return Err(error);
            }
        }
        if count == 0 || (share >= 1.0 && count != elements) {
            return Err(Error::malformed(format!("{count} elements came where its shape says {elements}"))
                .in_tensor(&planned.name));
        }
        let summary = match plain {
            Some(summary) => summary,
            // Numbers that are none, or a mean far larger than the spread: a slower look tells.
            None => {
                let mut summary = RangeSummary::default();
                let is_whole =
                    read(source, id, part, 0..elements, Some(clock), &mut self.buffer, &mut |values| {
                        summary.merge(&RangeSummary::of(values));
                    })?;
                if !is_whole {
                    return Ok(None);
                }
                summary
            }
        };
        for &(begin, len) in &selection.runs[parameter] {
            let counted = &mut looked.counted;
            read(source, id, part, begin..begin + len, None, &mut self.buffer, &mut |it| {
                counted.extend_from_slice(it)
            })?;
        }
        if is_gradient {
            self.gradient_states[parameter] = PRESENT;
            self.taken_gradients[parameter] = Statistic::of(&summary, as_of);
        } else {
            self.taken[parameter] = Statistic::of(&summary, as_of);
            if is_matrix
                && self.ranked[parameter].is_none_or(|it| self.captures - it >= CAPTURES_BETWEEN_RANKS)
            {
                self.ranked[parameter] = Some(self.captures);
                for row in 0..rows.min(ROWS_FOR_RANK) {
                    let row = row * rows / rows.min(ROWS_FOR_RANK);
                    let out = &mut looked.rows;
                    read(
                        source,
                        id,
                        part,
                        row * columns..(row + 1) * columns,
                        None,
                        &mut self.buffer,
                        &mut |it| {
                            out.extend_from_slice(it);
                        },
                    )?;
                }
            }
        }
        Ok(Some(looked))
    }
}

/// Rows to look at, with the first of each range: all at once, or some that are spread over all.
fn ranges(rows: u64, columns: u64, share: f64) -> Vec<(u64, Range<u64>)> {
    if share >= 1.0 || rows < 2 {
        return vec![(0, 0..rows * columns)];
    }
    let wanted = ((rows as f64 * share) as u64).clamp(1, rows);
    (0..wanted)
        .map(|at| {
            let row = at * rows / wanted;
            (row, row * columns..(row + 1) * columns)
        })
        .collect()
}

struct Clock {
    begun: Instant,
    budget: Option<Duration>,
}

impl Clock {
    fn left(&self) -> Duration {
        self.budget.map_or(Duration::MAX, |budget| budget.saturating_sub(self.begun.elapsed()))
    }

    fn is_over(&self) -> bool {
        self.budget.is_some_and(|budget| self.begun.elapsed() > budget.mul_f64(AT_MOST))
    }
}

/// Reads elements as `f32`, in pieces; `false` where the time was over before the end.
fn read(
    source: &dyn ParameterSource,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
    clock: Option<&Clock>,
    buffer: &mut Vec<f32>,
    take: &mut dyn FnMut(&[f32]),
) -> Result<bool> {
    let mut left = range.end.saturating_sub(range.start);
    let mut sink = |block: Block<'_>| {
        let len = block.elements.len();
        if len as u64 > left {
            left = u64::MAX;
            return ControlFlow::Break(());
        }
        left -= len as u64;
        let mut begin = 0;
        while begin < len {
            let end = len.min(begin + PIECE);
            match block.elements {
                Elements::F32(values) => take(&values[begin..end]),
                elements => {
                    buffer.clear();
                    elements.slice(begin..end).for_each(|value| buffer.push(value as f32));
                    take(buffer);
                }
            }
            begin = end;
            if clock.is_some_and(Clock::is_over) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    let is_whole = source.read(id, part, range, &mut sink)?.is_continue();
    if left == u64::MAX {
        let name = source.model().parameter(id).name.clone();
        return Err(Error::malformed("more elements came than were asked for").in_tensor(name));
    }
    Ok(is_whole)
}

impl Statistic {
    fn of(summary: &RangeSummary, as_of: u32) -> Self {
        let narrow = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
        let count = summary.count().max(1) as f64;
        Statistic {
            min: narrow(summary.min()),
            max: narrow(summary.max()),
            mean: narrow(summary.mean()),
            std: narrow(summary.std()),
            zeros: (summary.zeros() as f64 / count) as f32,
            non_finite: u32::try_from(summary.count() - summary.finite()).unwrap_or(u32::MAX),
            coverage: (summary.count() as f64 / summary.population().max(1) as f64) as f32,
            as_of,
        }
    }
}

fn rms(values: impl Iterator<Item = f32>) -> f32 {
    let (count, squares) = values
        .fold((0u32, 0.0f64), |(count, squares), it| (count + 1, squares + f64::from(it) * f64::from(it)));
    (squares / f64::from(count.max(1))).sqrt() as f32
}

fn difference(now: &[f32], before: &[f32]) -> f32 {
    rms(now.iter().zip(before).map(|(now, before)| now - before))
}

/// The share of values that moved by less than half of the distance to the next number with so many binary digits.
fn unmoved(now: &[f32], before: &[f32], digits: i32) -> f32 {
    let is_unmoved = |(now, before): (&f32, &f32)| {
        let next =
            f64::from(before.abs().max(f32::MIN_POSITIVE)).log2().floor().exp2() * f64::from(-digits).exp2();
        (f64::from(*now) - f64::from(*before)).abs() < next
    };
    let unmoved = now.iter().zip(before).filter(|&pair| is_unmoved(pair)).count();
    unmoved as f32 / now.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_too_small_for_their_type() {
        // Around 1 the next number of eight digits is 1/128 away.
        assert_eq!(unmoved(&[1.003, 1.005, 1.0], &[1.0, 1.0, 1.0], 8), 2.0 / 3.0);
    }

    #[test]
    fn rows_in_part_are_spread() {
        assert_eq!(ranges(10, 4, 1.0), [(0, 0..40)]);
        assert_eq!(ranges(10, 4, 0.3), [(0, 0..4), (3, 12..16), (6, 24..28)]);
    }
}
