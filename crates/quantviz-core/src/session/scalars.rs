//! Numbers of a run that are no parameters: the loss, the learning rate.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A number that may be none: JSON has no word for those, so they travel as `"nan"`, `"inf"` and `"-inf"`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Scalar(pub f64);

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("nan"),
            value if value > 0.0 => serializer.serialize_str("inf"),
            _ => serializer.serialize_str("-inf"),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(f64),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(value) => Ok(Scalar(value)),
            Raw::Word(word) => match word.as_str() {
                "nan" => Ok(Scalar(f64::NAN)),
                "inf" => Ok(Scalar(f64::INFINITY)),
                "-inf" => Ok(Scalar(f64::NEG_INFINITY)),
                _ => Err(serde::de::Error::custom(format_args!("{word:?} is no number"))),
            },
        }
    }
}

/// Scalars of consecutive calls: what a record of [`RecordKind::Scalars`](super::RecordKind::Scalars) holds, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScalarBatch {
    /// The first step.
    pub from: u64,
    /// All steps, where they do not follow each other one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<u64>,
    /// By name, a value for each step; null where there was none.
    pub columns: BTreeMap<String, Vec<Option<Scalar>>>,
}

impl ScalarBatch {
    /// A batch of what was said at each of these steps, which ascend.
    pub fn of(rows: &[(u64, Vec<(String, f64)>)]) -> Self {
        let from = rows.first().map_or(0, |(step, _)| *step);
        let mut batch = ScalarBatch { from, ..ScalarBatch::default() };
        for (at, (step, scalars)) in rows.iter().enumerate() {
            batch.steps.push(*step);
            for (name, value) in scalars {
                let column = batch.columns.entry(name.clone()).or_insert_with(|| vec![None; rows.len()]);
                column[at] = Some(Scalar(*value));
            }
        }
        if batch.steps.iter().zip(from..).all(|(&step, expected)| step == expected) {
            batch.steps.clear();
        }
        batch
    }

    /// What a record says.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::malformed(format!("scalars: {error}")))
    }

    /// As a record.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Message<'a> {
            r#type: &'static str,
            #[serde(flatten)]
            batch: &'a ScalarBatch,
        }
        let message = Message { r#type: "scalars", batch: self };
        serde_json::to_vec(&message).map_err(|error| Error::malformed(format!("scalars: {error}")))
    }

    /// Every value with its step and its name.
    pub fn values(&self) -> impl Iterator<Item = (u64, &str, f64)> {
        self.columns.iter().flat_map(move |(name, column)| {
            column.iter().enumerate().filter_map(move |(at, value)| {
                let step = self.steps.get(at).copied().unwrap_or(self.from.saturating_add(at as u64));
                value.map(|value| (step, name.as_str(), value.0))
            })
        })
    }
}
