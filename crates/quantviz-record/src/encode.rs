//! A capture becomes a snapshot: what is known of every parameter, as far as there is room.

use std::sync::Arc;

use quantviz_core::{
    ArrayElement, ArrayWriter, CaptureCost, MatrixFeatures, Peaks, Plan, Quantity, RecordKind, Result,
    Scalar, SnapshotHeader, THUMBNAIL, Track, WrittenArrays, bf16, histogram_grid, index_name, tail_weight,
};

use crate::builder::Options;
use crate::capture::{Captured, Looked, Statistic};
use crate::placed::{NEIGHBOURS, Placed};
use crate::selection::Selection;

const BINS: usize = 64;
/// The cells of a small picture.
const CELLS: usize = THUMBNAIL * THUMBNAIL;
/// Octaves below the largest cell that a small picture tells apart.
const OCTAVES: f32 = 16.0;
/// The most extreme rows and columns that are told.
const EXTREMES: usize = 8;
/// Small pictures of gradients in one snapshot.
const GRADIENT_PICTURES: usize = 13;
/// A histogram with more than this share of its numbers in one of its end bins needs another grid.
const OUTSIDE: f32 = 0.02;
/// How often it is tried whether there is room for more.
const TRIED_EVERY: usize = 64;
/// Weights within this share of the largest are at its ends.
const AT_ENDS: f32 = 1e-3;

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
    gradient_pictures: Vec<(u32, Picture)>,
    turn: usize,
    /// Which of [`DETAILS`] fitted last.
    detail: usize,
}

/// How the values of a parameter are spread.
#[derive(Clone, Default)]
struct Shape {
    grid: Option<(f32, f32)>,
    counts: Vec<bf16>,
    kurtosis: f32,
    at_ends: f32,
}

#[derive(Clone, Default)]
struct Picture {
    scale: f32,
    cells: Vec<u8>,
}

#[derive(Clone)]
struct Matrix {
    parameter: usize,
    rms: Picture,
    peak: Picture,
    rows: Peaks,
    columns: Peaks,
    extreme_rows: Vec<(usize, f32)>,
    extreme_columns: Vec<(usize, f32)>,
    features: Option<MatrixFeatures>,
    as_of: u32,
}

/// How much of everything goes into a snapshot.
#[derive(Clone, Copy)]
struct Detail {
    gradient_pictures: bool,
    /// Every so manieth element of the sample.
    sample: usize,
    peaks: bool,
    /// Every so manieth row of embeddings.
    rows: usize,
    gradient_histograms: bool,
    /// Whether groups take turns, each in a part of the budget.
    in_turns: bool,
}

/// What goes first where there is no room, with what is said of it.
const DETAILS: &[(Detail, &str)] = &[
    (
        Detail {
            gradient_pictures: true,
            sample: 1,
            peaks: true,
            rows: 1,
            gradient_histograms: true,
            in_turns: false,
        },
        "",
    ),
    (
        Detail {
            gradient_pictures: false,
            sample: 1,
            peaks: true,
            rows: 1,
            gradient_histograms: true,
            in_turns: false,
        },
        "pictures of gradients",
    ),
    (
        Detail {
            gradient_pictures: false,
            sample: 2,
            peaks: true,
            rows: 1,
            gradient_histograms: true,
            in_turns: false,
        },
        "half of the sample",
    ),
    (
        Detail {
            gradient_pictures: false,
            sample: 2,
            peaks: false,
            rows: 1,
            gradient_histograms: true,
            in_turns: false,
        },
        "pictures of the largest values",
    ),
    (
        Detail {
            gradient_pictures: false,
            sample: 2,
            peaks: false,
            rows: 2,
            gradient_histograms: true,
            in_turns: false,
        },
        "half of the rows of embeddings",
    ),
    (
        Detail {
            gradient_pictures: false,
            sample: 2,
            peaks: false,
            rows: 2,
            gradient_histograms: false,
            in_turns: false,
        },
        "histograms of gradients",
    ),
    (
        Detail {
            gradient_pictures: false,
            sample: 4,
            peaks: false,
            rows: 4,
            gradient_histograms: false,
            in_turns: true,
        },
        "statistics of some parameters, which take turns",
    ),
];

impl Encoder {
    pub(crate) fn new(session: String, options: Options, selection: Arc<Selection>) -> Self {
        let matrices = selection.header.parameters.iter().enumerate().filter(|(_, it)| it.matrix.is_some());
        let matrices = matrices.map(|(parameter, _)| Matrix {
            parameter,
            rms: Picture::default(),
            peak: Picture::default(),
            rows: Peaks::default(),
            columns: Peaks::default(),
            extreme_rows: Vec::new(),
            extreme_columns: Vec::new(),
            features: None,
            as_of: 0,
        });
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
            gradient_pictures: Vec::new(),
            turn: 0,
            detail: 0,
            selection,
        }
    }

    /// The snapshot of a capture, and before it a plan where it needs another than the last one. `may_look` says whether
    /// there is time for what takes long.
    pub(crate) fn encode(
        &mut self,
        captured: &Captured,
        seq: u64,
        epoch: u32,
        may_look: bool,
    ) -> Result<Vec<Piece>> {
        let mut needs_plan = self.plan.is_none();
        captured.looked.iter().for_each(|looked| needs_plan |= self.take_look(looked, captured));
        for (at, rows) in &captured.rows {
            let (Some(placed), Some(embedding)) =
                (self.embeddings.get_mut(*at), self.selection.embeddings.get(*at))
            else {
                continue;
            };
            needs_plan |= placed.take(embedding, rows, captured.step, may_look);
        }
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

    fn take_look(&mut self, looked: &Looked, captured: &Captured) -> bool {
        let statistics = if looked.is_gradient { &captured.gradients } else { &captured.weights };
        let taken = statistics.get(looked.parameter).copied().unwrap_or_default();
        let largest = taken.min.abs().max(taken.max.abs());
        let shapes = if looked.is_gradient { &mut self.gradients } else { &mut self.weights };
        let has_changed = shapes[looked.parameter].take(&looked.counted, largest);
        let matrix = self.selection.header.parameters[looked.parameter].matrix;
        let Some(matrix) = matrix.and_then(|it| self.matrices.get_mut(it as usize)) else {
            return has_changed;
        };
        if looked.is_gradient {
            let at = u32::try_from(looked.parameter).unwrap_or(u32::MAX);
            self.gradient_pictures.retain(|(it, _)| *it != at);
            self.gradient_pictures.insert(0, (at, Picture::of(&looked.cell_rms, looked.cells)));
            self.gradient_pictures.truncate(GRADIENT_PICTURES);
            return has_changed;
        }
        matrix.rms = Picture::of(&looked.cell_rms, looked.cells);
        matrix.peak = Picture::of(&looked.cell_peak, looked.cells);
        matrix.rows = Peaks::of(&looked.row_rms);
        matrix.columns = Peaks::of(&looked.column_rms);
        matrix.extreme_rows = Peaks::largest(&looked.row_rms, EXTREMES);
        matrix.extreme_columns = Peaks::largest(&looked.column_rms, EXTREMES);
        matrix.as_of = taken.as_of;
        if !looked.rows.is_empty() {
            matrix.features = MatrixFeatures::of(&looked.rows, looked.column_rms.len(), largest);
        }
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
        header.embeddings = self.embeddings.iter().map(|it| it.state).collect();
        // Whether there is room for more than last time is tried now and then only: a snapshot is made anew for that.
        let first = if self.turn.is_multiple_of(TRIED_EVERY) { 0 } else { self.detail };
        let left_out = header.left_out.len();
        let mut written = None;
        for (at, (detail, _)) in DETAILS.iter().enumerate().skip(first) {
            header.left_out.truncate(left_out);
            header.left_out.extend(DETAILS[1..=at].iter().map(|(_, gone)| (*gone).to_owned()));
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
        self.push_features(captured, features.as_deref(), push);
        push.index("f", features.as_deref());
        let pictures = turns(self.matrices.len(), CELLS + 8);
        push.pictures("t.rms", self.matrices.iter().map(|it| &it.rms), pictures.as_deref());
        if detail.peaks {
            push.pictures("t.peak", self.matrices.iter().map(|it| &it.peak), pictures.as_deref());
        }
        if detail.gradient_pictures && !self.gradient_pictures.is_empty() {
            let of: Vec<u32> = self
                .gradient_pictures
                .iter()
                .filter_map(|it| self.selection.header.parameters[it.0 as usize].matrix)
                .collect();
            push.pictures("t.grad", self.gradient_pictures.iter().map(|it| &it.1), None);
            push.light(index_name("t.grad"), &[of.len()], &of);
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

    fn push_features(&self, captured: &Captured, of: Option<&[u32]>, push: &mut Pushed<'_>) {
        let each = |value: fn(&Matrix) -> f32| self.matrices.iter().map(value);
        push.column(Quantity::RowPeak, of, each(|it| it.rows.peak));
        push.column(Quantity::ColumnPeak, of, each(|it| it.columns.peak));
        push.column(Quantity::DeadRows, of, each(|it| it.rows.dead as f32));
        push.column(Quantity::DeadColumns, of, each(|it| it.columns.dead as f32));
        push.column(Quantity::StableRank, of, each(|it| it.features.map_or(f32::NAN, |it| it.stable_rank)));
        push.column(
            Quantity::EffectiveRank,
            of,
            each(|it| it.features.map_or(f32::NAN, |it| it.effective_rank)),
        );
        push.column(Quantity::SqnrInt8, of, each(|it| it.features.map_or(f32::NAN, |it| it.sqnr_int8)));
        push.column(
            Quantity::SqnrInt8Channel,
            of,
            each(|it| it.features.map_or(f32::NAN, |it| it.sqnr_int8_channel)),
        );
        push.column(
            Quantity::ShareAtEnds,
            of,
            self.matrices.iter().map(|it| self.weights[it.parameter].at_ends),
        );
        let of_parameter =
            |values: &[f32], it: &Matrix| values.get(it.parameter).copied().unwrap_or(f32::NAN);
        push.column(
            Quantity::ShareBelowHalfUlp,
            of,
            self.matrices.iter().map(|it| of_parameter(&captured.unmoved, it)),
        );
        let starts: Vec<usize> = self
            .selection
            .sample
            .iter()
            .scan(0, |end, it| {
                let begin = *end;
                *end += it.len();
                Some(begin)
            })
            .collect();
        let from_start = self.matrices.iter().map(|it| {
            let range =
                starts[it.parameter]..starts[it.parameter] + self.selection.sample[it.parameter].len();
            match (captured.sample.get(range.clone()), self.first_sample.get(range)) {
                (Some(now), Some(first)) => relative_distance(now, first),
                _ => f32::NAN,
            }
        });
        push.column(Quantity::DistanceFromStart, of, from_start);
        push.counts(Quantity::FeaturesAsOf.name(), of, self.matrices.iter().map(|it| it.as_of));
        for (name, extremes) in [
            ("f.row_extreme", (|it: &Matrix| &it.extreme_rows) as fn(&Matrix) -> &Vec<(usize, f32)>),
            ("f.col_extreme", |it| &it.extreme_columns),
        ] {
            let chosen: Vec<&Matrix> = rows_of(of, &self.matrices);
            let padded = |it: &Matrix| {
                let mut all = extremes(it).clone();
                all.resize(EXTREMES, (u32::MAX as usize, f32::NAN));
                all
            };
            let all: Vec<(usize, f32)> = chosen.iter().flat_map(|it| padded(it)).collect();
            let at: Vec<u32> = all.iter().map(|it| u32::try_from(it.0).unwrap_or(u32::MAX)).collect();
            let sizes: Vec<bf16> = all.iter().map(|it| bf16::from_f32(it.1)).collect();
            push.light(name, &[chosen.len(), EXTREMES], &at);
            push.light(format!("{name}_rms"), &[chosen.len(), EXTREMES], &sizes);
        }
    }
}

fn relative_distance(now: &[f32], first: &[f32]) -> f32 {
    let sum = |values: &mut dyn Iterator<Item = f32>| values.map(|it| f64::from(it).powi(2)).sum::<f64>();
    let moved = sum(&mut now.iter().zip(first).map(|(now, first)| now - first));
    (moved / sum(&mut first.iter().copied())).sqrt() as f32
}

impl Shape {
    /// Takes numbers as they are now; `true` where they are counted on another grid from here on.
    fn take(&mut self, values: &[f32], largest: f32) -> bool {
        self.kurtosis = tail_weight(values);
        let at_ends = values.iter().filter(|it| it.abs() >= largest * (1.0 - AT_ENDS)).count();
        self.at_ends = at_ends as f32 / values.len().max(1) as f32;
        let mut has_changed = false;
        if self.grid.is_none() {
            (self.grid, has_changed) = (Some(histogram_grid(largest)), true);
        }
        let mut counts = self.count(values);
        let ends = counts[0].max(counts[BINS - 1]);
        let middle: f32 = counts[BINS / 2 - 2..BINS / 2 + 2].iter().sum();
        // Numbers that have outgrown their grid, or shrunk within it until it tells nothing.
        let is_lost = largest > 0.0 && (ends > OUTSIDE || middle >= 1.0 - 1e-6);
        if is_lost && self.grid != Some(histogram_grid(largest)) {
            (self.grid, has_changed) = (Some(histogram_grid(largest)), true);
            counts = self.count(values);
        }
        self.counts = counts.iter().map(|&it| bf16::from_f32(it)).collect();
        has_changed
    }

    /// The share of numbers in each bin; what lies beyond the ends is in the end bins.
    fn count(&self, values: &[f32]) -> [f32; BINS] {
        let mut counts = [0u32; BINS];
        let Some((low, width)) = self.grid else { return [0.0; BINS] };
        for value in values.iter().filter(|it| !it.is_nan()) {
            counts[((value - low) / width).clamp(0.0, (BINS - 1) as f32) as usize] += 1;
        }
        counts.map(|it| it as f32 / values.len().max(1) as f32)
    }
}

impl Picture {
    /// On a logarithmic scale: 255 is the largest cell, 0 is zero or nothing.
    fn of(cells: &[f32], (rows, columns): (usize, usize)) -> Self {
        let scale = cells.iter().copied().filter(|it| it.is_finite()).fold(0.0f32, f32::max);
        let mut picture = vec![0; CELLS];
        for (at, &cell) in cells.iter().enumerate().take(rows * columns) {
            let code = 255.0 + (cell / scale).log2() / OCTAVES * 254.0;
            // A cell that is no number, of numbers that are none, is as empty as zero.
            picture[at / columns * THUMBNAIL + at % columns] =
                if cell > 0.0 { code.clamp(1.0, 255.0).round() as u8 } else { 0 };
        }
        Picture { scale, cells: picture }
    }
}

impl Piece {
    fn new(kind: RecordKind, step: u64, written: WrittenArrays) -> Self {
        Piece { kind, step, first_step: step, bytes: written.bytes.into(), summary_len: written.summary_len }
    }
}

/// Arrays on their way into a snapshot.
struct Pushed<'a>(&'a mut ArrayWriter);

/// The rows of those whose turn it is, or all.
fn rows_of<'a, T>(of: Option<&[u32]>, all: &'a [T]) -> Vec<&'a T> {
    match of {
        Some(of) => of.iter().filter_map(|&it| all.get(it as usize)).collect(),
        None => all.iter().collect(),
    }
}

impl Pushed<'_> {
    fn light<T: ArrayElement>(&mut self, name: impl Into<String>, shape: &[usize], values: &[T]) {
        self.0.push(Track::Light, name, shape, values);
    }

    fn heavy<T: ArrayElement>(&mut self, name: impl Into<String>, shape: &[usize], values: &[T]) {
        self.0.push(Track::Heavy, name, shape, values);
    }

    /// Which are in the arrays of a group, where not all are.
    fn index(&mut self, group: &str, of: Option<&[u32]>) {
        if let Some(of) = of {
            self.light(index_name(group), &[of.len()], of);
        }
    }

    fn column(&mut self, quantity: Quantity, of: Option<&[u32]>, values: impl Iterator<Item = f32>) {
        self.counts(quantity.name(), of, values);
    }

    fn counts<T: ArrayElement>(&mut self, name: &str, of: Option<&[u32]>, values: impl Iterator<Item = T>) {
        let all: Vec<T> = values.collect();
        let chosen: Vec<T> = rows_of(of, &all).into_iter().copied().collect();
        self.light(name, &[chosen.len()], &chosen);
    }

    fn statistics(&mut self, group: &str, statistics: &[Statistic], of: Option<&[u32]>) {
        let each = |value: fn(&Statistic) -> f32| statistics.iter().map(value);
        self.counts(&format!("{group}.min"), of, each(|it| it.min));
        self.counts(&format!("{group}.max"), of, each(|it| it.max));
        self.counts(&format!("{group}.mean"), of, each(|it| it.mean));
        self.counts(&format!("{group}.std"), of, each(|it| it.std));
        self.counts(&format!("{group}.zeros"), of, each(|it| it.zeros));
        self.counts(&format!("{group}.coverage"), of, each(|it| it.coverage));
        self.counts(&format!("{group}.non_finite"), of, statistics.iter().map(|it| it.non_finite));
        self.counts(&format!("{group}.as_of"), of, statistics.iter().map(|it| it.as_of));
    }

    fn pictures<'a>(&mut self, name: &str, pictures: impl Iterator<Item = &'a Picture>, of: Option<&[u32]>) {
        let all: Vec<&Picture> = pictures.collect();
        let chosen = rows_of(of, &all);
        let scales: Vec<f32> = chosen.iter().map(|it| it.scale).collect();
        let nothing = vec![0; CELLS];
        let cells = |it: &&&'a Picture| if it.cells.is_empty() { nothing.clone() } else { it.cells.clone() };
        let cells: Vec<u8> = chosen.iter().flat_map(cells).collect();
        self.light(format!("{name}_scale"), &[scales.len()], &scales);
        self.heavy(name, &[scales.len(), THUMBNAIL, THUMBNAIL], &cells);
        if let Some(of) = of {
            self.light(index_name(name), &[of.len()], of);
            self.light(index_name(&format!("{name}_scale")), &[of.len()], of);
        }
    }

    fn histograms(&mut self, name: &str, shapes: &[Shape], of: Option<&[u32]>) {
        let chosen = rows_of(of, shapes);
        let counts =
            |it: &&Shape| if it.counts.is_empty() { vec![bf16::NAN; BINS] } else { it.counts.clone() };
        let counts: Vec<bf16> = chosen.iter().flat_map(counts).collect();
        self.heavy(name, &[chosen.len(), BINS], &counts);
        if let Some(of) = of {
            self.light(index_name(name), &[of.len()], of);
        }
    }

    fn embedding(&mut self, at: usize, placed: &Placed, every: usize) {
        if placed.positions.is_empty() {
            return;
        }
        let name = |what: &str| format!("e.{at}.{what}");
        let positions: Vec<[i16; 3]> = placed.positions.iter().step_by(every).copied().collect();
        let some = |it: &[bf16]| -> Vec<bf16> { it.iter().step_by(every).copied().collect() };
        let count = positions.len();
        self.heavy(name("position"), &[count, 3], &positions.concat());
        self.heavy(name("norm"), &[count], &some(&placed.norms));
        self.heavy(name("change"), &[count], &some(&placed.changes));
        self.heavy(
            name("neighbours"),
            &[placed.neighbours.len() / NEIGHBOURS, NEIGHBOURS],
            &placed.neighbours,
        );
        if every > 1 {
            let of: Vec<u32> = (0..placed.positions.len() as u32).step_by(every).collect();
            for what in ["position", "norm", "change"] {
                self.light(index_name(&name(what)), &[count], &of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_left_when_numbers_outgrow_them() {
        let mut shape = Shape::default();
        assert!(shape.take(&[0.5, -0.5, 0.25], 0.5));
        assert!(!shape.take(&[0.9, -0.5, 0.25], 0.9), "there is room to grow");
        assert!(shape.take(&[9.0, -0.5, 0.25], 9.0) && !shape.take(&[9.0, -0.5, 0.25], 9.0));
        assert!(shape.take(&[1e-4, -2e-4], 2e-4), "and to shrink there is not");
        let sum: f32 = shape.counts.iter().map(|it| it.to_f32()).sum();
        assert_eq!(sum, 1.0);
    }

    #[test]
    fn pictures_tell_sixteen_octaves_apart() {
        let picture = Picture::of(&[1.0, 0.5, 0.0, f32::NAN, 1e-9, 2.0], (2, 3));
        assert_eq!(picture.scale, 2.0);
        assert_eq!(
            (picture.cells[0], picture.cells[2], picture.cells[24], picture.cells[25], picture.cells[26]),
            (239, 0, 0, 1, 255)
        );
    }
}
