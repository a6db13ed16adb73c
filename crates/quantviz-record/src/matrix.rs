//! What is known of a matrix as a whole, beside its statistics.

use quantviz_core::{MatrixFeatures, Peaks, Quantity, bf16};

use crate::allowance::Allowance;
use crate::captured::{Captured, Looked};
use crate::picture::Picture;
use crate::pushed::{Pushed, rows_of};
use crate::selection::Selection;
use crate::shape::Shape;

/// The most extreme rows and columns that are told.
const EXTREMES: usize = 8;
/// Elements that wait for a closer look, of all matrices together.
const MOST_WAITING: usize = 4 << 20;

#[derive(Clone, Default)]
pub(crate) struct Matrix {
    parameter: usize,
    pub(crate) rms: Picture,
    pub(crate) peak: Picture,
    rows: Peaks,
    columns: Peaks,
    extreme_rows: Vec<(usize, f32)>,
    extreme_columns: Vec<(usize, f32)>,
    features: Option<MatrixFeatures>,
    /// How often there was a closer look.
    closer_looks: u64,
    waiting: Option<Waiting>,
    as_of: u32,
}

/// Rows that a closer look is to be taken at.
#[derive(Clone)]
struct Waiting {
    rows: Vec<f32>,
    columns: usize,
    largest: f32,
}

impl Matrix {
    pub(crate) fn of(parameter: usize) -> Self {
        Matrix { parameter, ..Matrix::default() }
    }

    pub(crate) fn take(&mut self, looked: &Looked, as_of: u32, largest: f32) {
        self.rms = Picture::of(&looked.cell_rms, looked.cells);
        self.peak = Picture::of(&looked.cell_peak, looked.cells);
        self.rows = Peaks::of(&looked.row_rms);
        self.columns = Peaks::of(&looked.column_rms);
        self.extreme_rows = Peaks::largest(&looked.row_rms, EXTREMES);
        self.extreme_columns = Peaks::largest(&looked.column_rms, EXTREMES);
        self.as_of = as_of;
        if !looked.rows.is_empty() {
            let (rows, columns) = (looked.rows.clone(), looked.column_rms.len());
            self.waiting = Some(Waiting { rows, columns, largest });
        }
    }

    /// Looks closer at those that wait, as long as is allowed: first at those that were looked at least often.
    pub(crate) fn look_closer(all: &mut [Matrix], allowed: Allowance) {
        let mut waiting: Vec<usize> = (0..all.len()).filter(|&at| all[at].waiting.is_some()).collect();
        waiting.sort_by_key(|&at| all[at].closer_looks);
        let mut elements = 0;
        for at in waiting {
            let Matrix { waiting, features, closer_looks, .. } = &mut all[at];
            if allowed.is_left() {
                let Some(Waiting { rows, columns, largest }) = waiting.take() else { continue };
                *features = MatrixFeatures::of(&rows, columns, largest);
                *closer_looks += 1;
                continue;
            }
            elements += waiting.as_ref().map_or(0, |it| it.rows.len());
            if elements > MOST_WAITING {
                // Its rows come again.
                *waiting = None;
            }
        }
    }
}

/// All that features of matrices are told from.
pub(crate) struct Seen<'a> {
    pub(crate) selection: &'a Selection,
    pub(crate) captured: &'a Captured,
    pub(crate) first_sample: &'a [f32],
    pub(crate) weights: &'a [Shape],
}

impl Seen<'_> {
    pub(crate) fn push_features(&self, matrices: &[Matrix], of: Option<&[u32]>, push: &mut Pushed<'_>) {
        let each = |value: fn(&Matrix) -> f32| matrices.iter().map(value);
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
        push.column(Quantity::ShareAtEnds, of, matrices.iter().map(|it| self.weights[it.parameter].at_ends));
        let of_parameter =
            |values: &[f32], it: &Matrix| values.get(it.parameter).copied().unwrap_or(f32::NAN);
        push.column(
            Quantity::ShareBelowHalfUlp,
            of,
            matrices.iter().map(|it| of_parameter(&self.captured.unmoved, it)),
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
        let from_start = matrices.iter().map(|it| {
            let range =
                starts[it.parameter]..starts[it.parameter] + self.selection.sample[it.parameter].len();
            match (self.captured.sample.get(range.clone()), self.first_sample.get(range)) {
                (Some(now), Some(first)) => relative_distance(now, first),
                _ => f32::NAN,
            }
        });
        push.column(Quantity::DistanceFromStart, of, from_start);
        push.counts(Quantity::FeaturesAsOf.name(), of, matrices.iter().map(|it| it.as_of));
        for (name, extremes) in [
            ("f.row_extreme", (|it: &Matrix| &it.extreme_rows) as fn(&Matrix) -> &Vec<(usize, f32)>),
            ("f.col_extreme", |it| &it.extreme_columns),
        ] {
            let chosen: Vec<&Matrix> = rows_of(of, matrices);
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
