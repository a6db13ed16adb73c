//! What the Python side noted of a pair of models.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct Truth {
    pub(crate) reference: String,
    pub(crate) quantized: String,
    /// What says how much inputs matter, where there is such a file.
    pub(crate) importance: Option<String>,
    /// Whether graphs or names tell who belongs to whom.
    pub(crate) proposed: bool,
    /// Matrices and more of the reference that nothing was made of.
    pub(crate) left: BTreeSet<String>,
    pub(crate) pairs: Vec<PairTruth>,
}

#[derive(Deserialize)]
pub(crate) struct PairTruth {
    pub(crate) quantized: String,
    pub(crate) reference: String,
    /// Further parameters of the reference, behind that one.
    pub(crate) merged: Vec<String>,
    pub(crate) transposed: bool,
    pub(crate) gain: String,
    pub(crate) split: Option<Value>,
    pub(crate) permuted: bool,
    /// By their names in the JSON.
    pub(crate) measures: BTreeMap<String, Value>,
    pub(crate) channel_axis: Option<u64>,
    /// The decibels of every channel.
    pub(crate) channels: Option<Vec<Option<f64>>>,
}
