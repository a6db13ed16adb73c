//! What a capture has seen, on its way from the training thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quantviz_core::RangeSummary;

use crate::selection::Selection;
use crate::watched::{Changed, Focused};

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

impl Statistic {
    pub(crate) fn of(summary: &RangeSummary, as_of: u32) -> Self {
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

/// The rows of an embedding.
#[derive(Debug, Default)]
pub(crate) struct ReadRows {
    /// Its place in the selection.
    pub(crate) embedding: usize,
    pub(crate) rows: Vec<f32>,
    /// Rows that stand out now, beside those that are always shown.
    pub(crate) guests: Vec<u64>,
    pub(crate) guest_rows: Vec<f32>,
}

/// A capture, on its way to the thread that makes a snapshot of it.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) step: u64,
    /// Another selection than before, which this capture is of.
    pub(crate) selection: Option<Arc<Selection>>,
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
    pub(crate) changed: Option<Changed>,
    pub(crate) focus: Option<Focused>,
    pub(crate) rows: Vec<ReadRows>,
    pub(crate) left_out: Vec<String>,
    /// What went wrong, one line for each parameter that it went wrong with.
    pub(crate) trouble: Vec<String>,
}

/// Where a gradient is: see [`Quantity::GradientState`](quantviz_core::Quantity::GradientState).
pub(crate) const FROZEN: u16 = 1;
pub(crate) const WITHOUT: u16 = 2;
pub(crate) const PRESENT: u16 = 3;
