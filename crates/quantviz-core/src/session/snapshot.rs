//! The parameters at a step, as they were recorded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrays::{ArrayElement, ArrayWriter, Arrays, WrittenArrays};
use super::ids::Rank;
use super::plan::with_schema;
use super::quantity::Quantity;
use super::scalars::Scalar;
use crate::Result;

/// What a snapshot says beside its arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SnapshotHeader {
    /// The version of what is written.
    pub schema: u32,
    /// The session.
    pub session: String,
    /// Which of the processes that train together wrote it.
    pub rank: Rank,
    /// How often it had started or resumed.
    pub epoch: u32,
    /// The place in that epoch.
    pub seq: u64,
    /// The step.
    pub step: u64,
    /// The plan that its columns are over.
    pub plan: String,
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: u64,
    /// The loss and the like, at this step.
    #[serde(default)]
    pub scalars: BTreeMap<String, Scalar>,
    /// What taking it cost the training thread.
    #[serde(default)]
    pub cost: CaptureCost,
    /// What there was no room for, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The embeddings, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<EmbeddingState>,
    /// The parameter that somebody wants to see more of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<Focus>,
    /// The steps since which the matrices in `t.change` have changed so, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_since: Vec<u64>,
}

/// What a snapshot has more of, since somebody asked for it: `focus.picture` in finer cells, and the root mean squares of all
/// rows and columns in `focus.row_rms` and `focus.col_rms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Focus {
    /// Its place in the catalogue.
    pub parameter: u32,
    /// The share of its rows that were looked at.
    pub coverage: f32,
    /// What the largest code stands for in the pictures of sizes, of largest values, and of the gradient if there is one.
    pub scales: Vec<f32>,
    /// How many rows and columns the pictures have in use.
    pub cells: [u32; 2],
}

impl Focus {
    /// A parameter by its place, before anything was seen of it.
    pub fn on(parameter: u32, coverage: f32) -> Self {
        Focus { parameter, coverage, scales: Vec::new(), cells: [0, 0] }
    }

    /// With the scales of pictures that have so many cells.
    #[must_use]
    pub fn with_pictures(self, scales: Vec<f32>, cells: [u32; 2]) -> Self {
        Focus { scales, cells, ..self }
    }
}

/// A row of an embedding that is not always shown, and stands out now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Guest {
    /// The row.
    pub row: u64,
    /// What it is called, where somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its length.
    pub norm: f32,
}

impl Guest {
    /// A row with its length.
    pub fn new(row: u64, label: Option<String>, norm: f32) -> Self {
        Guest { row, label, norm }
    }
}

/// What a capture cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CaptureCost {
    /// Milliseconds on the training thread.
    pub ms: f32,
    /// Of the time between the captures before, the share that they took.
    pub share: f32,
    /// Milliseconds that this one was allowed.
    pub budget_ms: f32,
}

/// How well the positions of an embedding's rows speak for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmbeddingState {
    /// Of the variance of all rows, the share along each of the three directions that are shown.
    pub shares: [f32; 3],
    /// The share that the best three directions would have.
    pub best: f32,
    /// How far the mean of the rows is from where it was when the basis was taken.
    pub drift: f32,
    /// The step at which the rows were read.
    pub as_of: u64,
    /// Rows that are not always shown, and stand out now, in the order of `guest_position`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<Guest>,
}

impl SnapshotHeader {
    /// The version that is written.
    pub const SCHEMA: u32 = 1;

    /// A snapshot of a step, of which nothing else is known yet.
    pub fn new(session: impl Into<String>, rank: Rank, step: u64, plan: impl Into<String>) -> Self {
        SnapshotHeader {
            schema: SnapshotHeader::SCHEMA,
            session: session.into(),
            rank,
            epoch: 1,
            seq: 0,
            step,
            plan: plan.into(),
            time_ms: 0,
            scalars: BTreeMap::new(),
            cost: CaptureCost::default(),
            left_out: Vec::new(),
            embeddings: Vec::new(),
            focus: None,
            changed_since: Vec::new(),
        }
    }

    /// The snapshot with its arrays, in bytes.
    pub fn write(&self, arrays: ArrayWriter) -> Result<WrittenArrays> {
        arrays.finish(self)
    }
}

impl CaptureCost {
    /// So many milliseconds of those that were allowed, and the share of all time so far.
    pub fn new(ms: f32, budget_ms: f32, share: f32) -> Self {
        CaptureCost { ms, share, budget_ms }
    }
}

impl EmbeddingState {
    /// The shares of the three directions and of the best three, and how far the mean has gone.
    pub fn new(shares: [f32; 3], best: f32, drift: f32, as_of: u64) -> Self {
        EmbeddingState { shares, best, drift, as_of, guests: Vec::new() }
    }

    /// With rows that stand out.
    #[must_use]
    pub fn with_guests(self, guests: Vec<Guest>) -> Self {
        EmbeddingState { guests, ..self }
    }
}

/// A snapshot that was read, or its summary.
#[derive(Clone, Debug)]
pub struct Snapshot {
    header: SnapshotHeader,
    arrays: Arrays,
}

impl Snapshot {
    /// Reads a snapshot, or the summary of one.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let arrays = Arrays::parse(bytes)?;
        let header = with_schema(&arrays, SnapshotHeader::SCHEMA)?;
        Ok(Snapshot { header, arrays })
    }

    /// What it says beside its arrays.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Its arrays.
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }

    /// The step.
    pub fn step(&self) -> u64 {
        self.header.step
    }

    /// A quantity, by the place of its parameter (or matrix) in the plan; `None` where it was not taken.
    pub fn quantity(&self, quantity: Quantity, at: usize) -> Option<f32> {
        // A change needs two looks, and the first snapshot has only one.
        let is_change = matches!(quantity, Quantity::UpdateRatio | Quantity::Change);
        self.element(quantity.name(), at).filter(|value| !(is_change && value.is_nan()))
    }

    /// A quantity that is a whole number, with all its digits: steps may have more than an `f32` has.
    pub fn whole(&self, quantity: Quantity, at: usize) -> Option<u64> {
        let name = quantity.name();
        self.arrays.get::<u32>(name)?.get(self.covered(name, at)?).map(|&value| u64::from(value))
    }

    /// The element of an array that belongs to a place in the plan.
    pub(super) fn element(&self, name: &str, at: usize) -> Option<f32> {
        self.arrays.number(name, self.covered(name, at)?)
    }

    /// Where in an array something is that has this place in the plan.
    fn covered(&self, name: &str, at: usize) -> Option<usize> {
        let of_group =
            || name.split_once('.').and_then(|(group, _)| self.arrays.get::<u32>(&index_name(group)));
        let is_own = name.ends_with(".hist");
        match self.arrays.get::<u32>(&index_name(name)).or_else(|| if is_own { None } else { of_group() }) {
            Some(covered) => covered.iter().position(|&it| it as usize == at),
            None => Some(at),
        }
    }

    /// The elements of a group that has a row of so many for each parameter or matrix: the row of one of these.
    pub fn row<T: ArrayElement>(&self, name: &str, at: usize) -> Option<Vec<T>> {
        let slot = self.arrays.slot(name)?;
        let len: usize = slot.shape.get(1..)?.iter().product();
        let at = self.covered(name, at)?;
        let all: Cow<'_, [T]> = self.arrays.get(name)?;
        all.get(at.checked_mul(len)?..).and_then(|rest| rest.get(..len)).map(<[T]>::to_vec)
    }
}

/// The name of the array that says which parameters another covers, or all arrays of a group such as `w`, where they do not
/// cover all.
pub fn index_name(array: &str) -> String {
    format!("{array}.of")
}
