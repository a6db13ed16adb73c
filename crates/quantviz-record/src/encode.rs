//! A capture becomes a snapshot: what is known of every parameter, as far as there is room.

use std::collections::BTreeMap;
use std::sync::Arc;

use quantviz_core::{
    ArrayWriter, CaptureCost, Guest, Plan, Quantity, RecordKind, Result, Scalar, SnapshotHeader,
    WrittenArrays, bf16,
};

use crate::allowance::Allowance;
use crate::builder::Options;
use crate::captured::{Captured, Looked};
use crate::detail::{DETAILS, Detail};
use crate::matrix::{Matrix, Seen};
use crate::picture::{CELLS, LastSeen, Merge, Picture};
use crate::placed::Placed;
use crate::pushed::Pushed;
use crate::selection::{Selection, label};
use crate::shape::{BINS, Shape};
use crate::watched::Focused;

/// How often it is tried whether there is room for more.
const TRIED_EVERY: usize = 64;
/// Something to be kept, which has no place in its epoch yet.
pub(crate) struct Piece {
    pub(crate) kind: RecordKind,
    pub(crate) step: u64,
    pub(crate) first_step: u64,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) summary_len: u64,
}

/// What is known of all parameters so far.
pub(crate) struct Encoder {
    session: String,
    options: Options,
    selection: Arc<Selection>,
    plan: Option<String>,
    weights: Vec<Shape>,
    gradients: Vec<Shape>,
    matrices: Vec<Matrix>,
    first_sample: Vec<f32>,
    embeddings: Vec<Placed>,
    gradient_pictures: LastSeen,
    changes: LastSeen,
    changed_since: BTreeMap<u32, u64>,
    turn: usize,
    /// Which of [`DETAILS`] fitted last.
    detail: usize,
}

impl Encoder {
    pub(crate) fn new(session: String, options: Options, selection: Arc<Selection>) -> Self {
        let matrices = selection.header.parameters.iter().enumerate().filter(|(_, it)| it.matrix.is_some());
        let matrices = matrices.map(|(parameter, _)| Matrix::of(parameter));
        let nothing = Shape { kurtosis: f32::NAN, at_ends: f32::NAN, ..Shape::default() };
        Encoder {
            session,
            options,
            plan: None,
            weights: vec![nothing.clone(); selection.ids.len()],
            gradients: vec![nothing; selection.ids.len()],
            matrices: matrices.collect(),
            first_sample: Vec::new(),
            embeddings: selection.embeddings.iter().map(|_| Placed::default()).collect(),
            gradient_pictures: LastSeen::default(),
            changes: LastSeen::default(),
            changed_since: BTreeMap::new(),
            turn: 0,
            detail: 0,
            selection,
        }
    }

    /// The snapshot of a capture, and before it a plan where it needs another than the last one. What takes long goes on
    /// as long as is allowed.
    pub(crate) fn encode(
        &mut self,
        captured: &Captured,
        seq: u64,
        epoch: u32,
        allowed: Allowance,
    ) -> Result<Vec<Piece>> {
        let mut needs_plan = self.plan.is_none();
        captured.looked.iter().for_each(|looked| needs_plan |= self.take_look(looked, captured));
        let changed = captured.changed.as_ref();
        let matrix = changed.and_then(|it| self.selection.header.parameters.get(it.parameter)?.matrix);
        if let (Some(changed), Some(matrix)) = (changed, matrix) {
            self.changes.put(matrix, Picture::of(&changed.cell_rms, changed.cells));
            self.changed_since.insert(matrix, changed.since);
        }
        // Matrices and embeddings have the time first in turn.
        if self.turn.is_multiple_of(2) {
            Matrix::look_closer(&mut self.matrices, allowed);
        }
        for read in &captured.rows {
            let (Some(placed), Some(embedding)) =
                (self.embeddings.get_mut(read.embedding), self.selection.embeddings.get(read.embedding))
            else {
                continue;
            };
            needs_plan |= placed.take(embedding, read, captured.step, allowed);
        }
        Matrix::look_closer(&mut self.matrices, allowed);
        if self.first_sample.is_empty() {
            self.first_sample.clone_from(&captured.sample);
        }
        let mut pieces = Vec::new();
        if needs_plan {
            let (plan, written) = self.write_plan()?;
            self.plan = Some(plan.id().to_owned());
            pieces.push(Piece::new(RecordKind::Plan, captured.step, written));
        }
        let written = self.write_snapshot(captured, seq + pieces.len() as u64, epoch)?;
        pieces.push(Piece::new(RecordKind::Snapshot, captured.step, written));
        self.turn += 1;
        Ok(pieces)
    }

    /// The next snapshot comes with a plan.
    pub(crate) fn forget_plan(&mut self) {
        self.plan = None;
    }

    /// Some embeddings are shown in other rows, where these come more often.
    pub(crate) fn show_other_rows(&mut self, selection: Arc<Selection>) {
        let pairs = self.selection.embeddings.iter().zip(&selection.embeddings).zip(&mut self.embeddings);
        pairs.filter(|((old, new), _)| old.rows != new.rows).for_each(|(_, placed)| placed.forget_rows());
        self.selection = selection;
        self.forget_plan();
    }

    fn take_look(&mut self, looked: &Looked, captured: &Captured) -> bool {
        let statistics = if looked.is_gradient { &captured.gradients } else { &captured.weights };
        let taken = statistics.get(looked.parameter).copied().unwrap_or_default();
        let largest = taken.min.abs().max(taken.max.abs());
        let shapes = if looked.is_gradient { &mut self.gradients } else { &mut self.weights };
        let has_changed = shapes[looked.parameter].take(&looked.counted, largest);
        let at = self.selection.header.parameters[looked.parameter].matrix;
        let Some((at, matrix)) = at.and_then(|it| Some((it, self.matrices.get_mut(it as usize)?))) else {
            return has_changed;
        };
        if looked.is_gradient {
            let embeddings = self.selection.embeddings.iter().zip(&mut self.embeddings);
            embeddings
                .filter(|(it, _)| it.parameter == looked.parameter)
                .for_each(|(it, placed)| placed.take_gradients(it, &looked.row_rms));
            self.gradient_pictures.put(at, Picture::of(&looked.cell_rms, looked.cells));
            return has_changed;
        }
        matrix.take(looked, taken.as_of, largest);
        has_changed
    }

    fn write_plan(&self) -> Result<(Plan, WrittenArrays)> {
        let mut header = self.selection.header.clone();
        let mut arrays = ArrayWriter::default();
        let mut push = Pushed(&mut arrays);
        let mut starts = vec![0u32];
        for at in &self.selection.sample {
            starts.push(starts.last().copied().unwrap_or(0) + u32::try_from(at.len()).unwrap_or(0));
        }
        push.light(
            "s.index",
            &[self.selection.sample.iter().map(Vec::len).sum()],
            &self.selection.sample.concat(),
        );
        push.light("s.start", &[starts.len()], &starts);
        for (name, shapes) in [("w", &self.weights), ("g", &self.gradients)] {
            let grid = |of: fn((f32, f32)) -> f32| -> Vec<f32> {
                shapes.iter().map(|shape| shape.grid.map_or(f32::NAN, of)).collect()
            };
            push.light(format!("{name}.hist_low"), &[shapes.len()], &grid(|it| it.0));
            push.light(format!("{name}.hist_width"), &[shapes.len()], &grid(|it| it.1));
        }
        for (at, (embedding, placed)) in self.selection.embeddings.iter().zip(&self.embeddings).enumerate() {
            header.embeddings.push(placed.planned(self.selection.planned(at)));
            let count = embedding.rows.len();
            let rows: Vec<u32> =
                embedding.rows.iter().map(|&(row, _)| u32::try_from(row).unwrap_or(u32::MAX)).collect();
            let strata: Vec<u8> = embedding.rows.iter().map(|&(_, stratum)| stratum).collect();
            push.light(format!("e.{at}.row"), &[count], &rows);
            push.light(format!("e.{at}.stratum"), &[count], &strata);
            if let Some(frame) = placed.frame() {
                push.light(format!("e.{at}.basis"), &[3, embedding.width], &frame.directions.concat());
                push.light(format!("e.{at}.center"), &[embedding.width], &frame.center);
            }
        }
        Plan::write(header, arrays)
    }

    fn write_snapshot(&mut self, captured: &Captured, seq: u64, epoch: u32) -> Result<WrittenArrays> {
        let plan = self.plan.as_deref().unwrap_or_default();
        let mut header = SnapshotHeader::new(&self.session, self.options.rank, captured.step, plan);
        header.epoch = epoch;
        header.seq = seq;
        header.time_ms = captured.time_ms;
        header.scalars =
            captured.scalars.iter().map(|(name, value)| (name.clone(), Scalar(*value))).collect();
        let ms = |it: std::time::Duration| it.as_secs_f32() * 1e3;
        header.cost = CaptureCost::new(ms(captured.took), ms(captured.budget), captured.share);
        header.left_out.clone_from(&captured.left_out);
        header.embeddings = (0..)
            .zip(&self.embeddings)
            .map(|(at, it)| it.state.clone().with_guests(self.guests_of(at)))
            .collect();
        // Whether there is room for more than last time is tried now and then only: a snapshot is made anew for that.
        let first = if self.turn.is_multiple_of(TRIED_EVERY) { 0 } else { self.detail };
        let left_out = header.left_out.len();
        let mut written = None;
        for (at, (detail, _)) in DETAILS.iter().enumerate().skip(first) {
            header.left_out.truncate(left_out);
            header.left_out.extend(DETAILS[1..=at].iter().map(|(_, gone)| (*gone).to_owned()));
            header.changed_since = match detail.some_pictures {
                true => self.changes.matrices().iter().map(|it| self.changed_since[it]).collect(),
                false => Vec::new(),
            };
            header.focus = captured.focus.as_ref().filter(|_| detail.focus).map(Focused::header);
            let mut arrays = ArrayWriter::default();
            self.push_all(captured, *detail, &mut Pushed(&mut arrays));
            let here = header.write(arrays)?;
            let fits = here.bytes.len() <= self.options.bytes;
            (written, self.detail) = (Some(here), at);
            if fits {
                break;
            }
        }
        written.ok_or_else(|| quantviz_core::Error::limit("a snapshot without any detail"))
    }

    fn guests_of(&self, embedding: usize) -> Vec<Guest> {
        let planned = &self.selection.header.parameters[self.selection.embeddings[embedding].parameter];
        let labels = self.options.labels_of(&planned.name, planned.part);
        let placed = &self.embeddings[embedding];
        let guests = placed.guests.iter().zip(&placed.guest_norms);
        guests.map(|(&row, &norm)| Guest::new(row, labels.map(|it| label(it, row)), norm)).collect()
    }

    fn push_all(&self, captured: &Captured, detail: Detail, push: &mut Pushed<'_>) {
        let count = self.selection.ids.len();
        // Each of the groups that take turns may have this much.
        let part = self.options.bytes / 6;
        let turns = |all: usize, row: usize| -> Option<Vec<u32>> {
            let room = (part / row).max(1);
            (detail.in_turns && room < all).then(|| {
                let first = self.turn.wrapping_mul(room);
                let mut these: Vec<u32> = (0..room).map(|it| ((first + it) % all) as u32).collect();
                these.sort_unstable();
                these
            })
        };
        let weights = turns(count, 44);
        push.statistics("w", &captured.weights, weights.as_deref());
        push.column(Quantity::Kurtosis, weights.as_deref(), self.weights.iter().map(|it| it.kurtosis));
        push.column(Quantity::UpdateRatio, weights.as_deref(), captured.update.iter().copied());
        push.column(Quantity::Change, weights.as_deref(), captured.change.iter().copied());
        push.index("w", weights.as_deref());
        if self.options.gradients {
            let gradients = turns(count, 36);
            push.statistics("g", &captured.gradients, gradients.as_deref());
            push.counts(
                Quantity::GradientState.name(),
                gradients.as_deref(),
                captured.gradient_states.iter().copied(),
            );
            push.index("g", gradients.as_deref());
        }
        let features = turns(self.matrices.len(), 160);
        let seen = Seen {
            selection: &self.selection,
            captured,
            first_sample: &self.first_sample,
            weights: &self.weights,
        };
        seen.push_features(&self.matrices, features.as_deref(), push);
        push.index("f", features.as_deref());
        let pictures = turns(self.matrices.len(), CELLS + 8);
        let coarse = |merge| detail.coarse_pictures.then_some(merge);
        let each = |of: fn(&Matrix) -> &Picture| self.matrices.iter().map(of);
        push.pictures("t.rms", each(|it| &it.rms), pictures.as_deref(), coarse(Merge::Size));
        push.pictures("t.peak", each(|it| &it.peak), pictures.as_deref(), coarse(Merge::Largest));
        if detail.some_pictures {
            push.some_pictures("t.grad", &self.gradient_pictures);
            push.some_pictures("t.change", &self.changes);
        }
        if let Some(focus) = captured.focus.as_ref().filter(|_| detail.focus) {
            push.focus(focus);
        }
        let histograms = turns(count, 2 * BINS + 4);
        push.histograms("w.hist", &self.weights, histograms.as_deref());
        if self.options.gradients && detail.gradient_histograms {
            push.histograms("g.hist", &self.gradients, histograms.as_deref());
        }
        let of_sample = |values: &[f32]| -> Vec<bf16> {
            values.iter().step_by(detail.sample).map(|&it| bf16::from_f32(it)).collect()
        };
        if !detail.in_turns || 4 * captured.sample.len() / detail.sample < part {
            let sample = of_sample(&captured.sample);
            push.heavy("s.value", &[sample.len()], &sample);
            if self.options.gradients {
                let sample = of_sample(&captured.sample_gradients);
                push.heavy("s.grad", &[sample.len()], &sample);
            }
        }
        for (at, placed) in self.embeddings.iter().enumerate() {
            push.embedding(at, placed, detail.rows);
        }
    }
}

impl Piece {
    fn new(kind: RecordKind, step: u64, written: WrittenArrays) -> Self {
        Piece { kind, step, first_step: step, bytes: written.bytes.into(), summary_len: written.summary_len }
    }
}
