//! What happens on the training thread: parameters are looked at for as long as a capture may take, and what others need
//! for more is copied.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quantviz_core::{MatrixLook, ParameterSource, Part};

use crate::builder::Options;
use crate::captured::{Captured, Looked, ReadRows, Statistic};
use crate::change::{difference, rms, unmoved};
use crate::reading::{Clock, read};
use crate::rows::Rows;
use crate::selection::Selection;
use crate::watched::Watched;

/// Estimates are taken for so much more, since processors are sometimes slow.
const SPARE: f64 = 1.25;
/// What is guessed to be the time for an element, before any was looked at.
const NANOSECONDS: f64 = 1.0;

/// What is remembered from capture to capture.
pub(crate) struct Capturer {
    pub(crate) selection: Arc<Selection>,
    pub(crate) gradients: bool,
    options: Options,
    pub(crate) taken: Vec<Statistic>,
    pub(crate) taken_gradients: Vec<Statistic>,
    pub(crate) gradient_states: Vec<u16>,
    /// The sample one step before, and the step.
    before: (Option<u64>, Vec<f32>),
    /// The sample of the capture before.
    last: Vec<f32>,
    pub(crate) captures: u64,
    /// The capture at which the rank of a parameter was told.
    pub(crate) ranked: Vec<Option<u64>>,
    next_embedding: usize,
    /// What is known of the rows of each embedding.
    rows: Vec<Rows>,
    pub(crate) nanoseconds: f64,
    pub(crate) watched: Watched,
    pub(crate) look: MatrixLook,
    pub(crate) buffer: Vec<f32>,
}

impl Capturer {
    pub(crate) fn new(selection: Arc<Selection>, options: Options) -> Self {
        let count = selection.ids.len();
        Capturer {
            gradients: options.gradients,
            taken: vec![Statistic { coverage: 0.0, ..Statistic::default() }; count],
            taken_gradients: vec![Statistic::default(); count],
            gradient_states: vec![0; count],
            before: (None, Vec::new()),
            last: Vec::new(),
            captures: 0,
            ranked: vec![None; count],
            next_embedding: 0,
            rows: selection
                .embeddings
                .iter()
                .map(|it| {
                    let name = &selection.header.parameters[it.parameter].name;
                    Rows::of(options.frequencies.contains_key(name))
                })
                .collect(),
            options,
            nanoseconds: NANOSECONDS,
            watched: Watched::new(),
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
        captured.selection = self.with_frequent_rows();
        self.take_samples(step, source, &mut captured);
        self.take_rows(source, &clock, &mut captured);
        self.watch_focus(source, &clock, &mut captured);
        self.watch_changes(step, source, &clock, &mut captured);
        self.look_at_parameters(step, source, &clock, &mut captured);
        captured.weights.clone_from(&self.taken);
        captured.gradients.clone_from(&self.taken_gradients);
        captured.gradient_states.clone_from(&self.gradient_states);
        captured.took = begun.elapsed();
        captured
    }

    /// Another selection, once it is known which rows of embeddings come often.
    fn with_frequent_rows(&mut self) -> Option<Arc<Selection>> {
        let mut changed = None;
        for at in 0..self.rows.len() {
            let frequent = self.rows[at].frequent(self.selection.embeddings[at].rows.len());
            let Some(frequent) = frequent else { continue };
            self.selection = Arc::new(self.selection.with_frequent(at, &frequent, &self.options));
            changed = Some(self.selection.clone());
        }
        changed
    }

    /// What a look at an embedding tells of its rows.
    fn saw_rows(&mut self, looked: &Looked) {
        let embeddings = self.selection.embeddings.iter().zip(&mut self.rows);
        for (embedding, rows) in embeddings.filter(|(it, _)| it.parameter == looked.parameter && !it.is_whole)
        {
            match looked.is_gradient {
                true => rows.saw_gradients(&looked.row_rms, |row| embedding.shows(row)),
                false => rows.saw_weights(&looked.row_rms, |row| embedding.shows(row)),
            }
        }
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
            let guests = self.rows[at].guests();
            let mut rows = Vec::with_capacity(elements);
            let width = embedding.width as u64;
            let ranges: Vec<Range<u64>> = match embedding.is_whole {
                true => std::iter::once(0..embedding.rows.len() as u64 * width).collect(),
                false => embedding.rows.iter().map(|&(row, _)| row * width..(row + 1) * width).collect(),
            };
            let guest_ranges = guests.iter().map(|&row| row * width..(row + 1) * width);
            let read = ranges.into_iter().chain(guest_ranges).try_for_each(|range| {
                read(source, id, Part::Stored, range, None, &mut self.buffer, &mut |it| {
                    rows.extend_from_slice(it)
                })
                .map(drop)
            });
            match read {
                Ok(()) if rows.len() == elements + guests.len() * embedding.width => {
                    let guest_rows = rows.split_off(elements);
                    captured.rows.push(ReadRows { embedding: at, rows, guests, guest_rows });
                }
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
                        self.saw_rows(&looked);
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
}
