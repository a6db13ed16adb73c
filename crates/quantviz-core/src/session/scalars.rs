//! Numbers of a run that are no parameters: the loss, the learning rate.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
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
        deserializer.deserialize_any(NumberOrWord)
    }
}

/// A long run has millions of these, so nothing is put aside to be looked at twice.
struct NumberOrWord;

impl Visitor<'_> for NumberOrWord {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"nan\", \"inf\" or \"-inf\"")
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Scalar, E> {
        Ok(Scalar(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON does not tell whole numbers from others")]
    fn visit_u64<E>(self, value: u64) -> std::result::Result<Scalar, E> {
        Ok(Scalar(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON does not tell whole numbers from others")]
    fn visit_i64<E>(self, value: i64) -> std::result::Result<Scalar, E> {
        Ok(Scalar(value as f64))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> std::result::Result<Scalar, E> {
        match word {
            "nan" => Ok(Scalar(f64::NAN)),
            "inf" => Ok(Scalar(f64::INFINITY)),
            "-inf" => Ok(Scalar(f64::NEG_INFINITY)),
            _ => Err(E::custom(format_args!("{word:?} is no number"))),
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
        self.series().flat_map(|(name, series)| series.map(move |(step, value)| (step, name, value)))
    }

    /// The same, name by name.
    pub(super) fn series(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (u64, f64)>)> {
        let step_at = |at: usize| self.steps.get(at).copied().unwrap_or(self.from.saturating_add(at as u64));
        self.columns.iter().map(move |(name, column)| {
            let values = column.iter().enumerate();
            (name.as_str(), values.filter_map(move |(at, value)| Some((step_at(at), (*value)?.0))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_scalars_and_nothing_else_is() {
        let read = |text: &str| serde_json::from_str::<Option<Scalar>>(text).ok().map(|it| it.map(|it| it.0));
        for (text, value) in
            [("1.5", 1.5), ("7", 7.0), ("-7", -7.0), ("1e300", 1e300), ("\"inf\"", f64::INFINITY)]
        {
            assert_eq!(read(text), Some(Some(value)), "{text}");
        }
        assert_eq!(read("\"-inf\""), Some(Some(f64::NEG_INFINITY)));
        assert!(read("\"nan\"").flatten().is_some_and(f64::is_nan));
        assert_eq!(read("null"), Some(None));
        for text in ["\"1.5\"", "true", "[1]", "{}", "\"NaN\""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
