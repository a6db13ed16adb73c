//! Whether what two programs computed is the same.

use serde_json::Value;

/// Decibels that two computations may differ by, and by how much of itself anything else.
pub(crate) const DECIBELS: f64 = 0.01;
const RELATIVE: f64 = 1e-6;

/// Whether two values of a measure are the same but for how they were computed.
pub(crate) fn agrees(measure: &str, expected: &Value, found: &Value) -> bool {
    if let (Some(expected), Some(found)) = (expected.as_array(), found.as_array()) {
        return expected.len() == found.len()
            && expected.iter().zip(found).all(|(one, other)| agrees(measure, one, other));
    }
    match (expected.as_f64(), found.as_f64()) {
        (Some(one), Some(other)) if measure.ends_with("_db") => (one - other).abs() <= DECIBELS,
        (Some(one), Some(other)) => (one - other).abs() <= RELATIVE * one.abs(),
        _ => expected == found,
    }
}
