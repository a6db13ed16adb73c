//! Numbers as text that reads back as the same number.

use quantviz_core::Quantity;

/// A number of a parameter: counts without a point, everything else with the digits that its 32 bits need.
pub(super) fn quantity(quantity: Quantity, value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "it was kept as such")]
    let narrow = value as f32;
    match quantity.is_count() || quantity == Quantity::GradientState {
        true => count(value),
        false => finite_or(value, || format!("{narrow:?}")),
    }
}

/// A scalar.
pub(super) fn scalar(value: f64) -> String {
    finite_or(value, || format!("{value:?}"))
}

fn count(value: f64) -> String {
    finite_or(value, || format!("{value}"))
}

fn finite_or(value: f64, text: impl FnOnce() -> String) -> String {
    match value {
        _ if value.is_finite() => text(),
        _ if value.is_nan() => "nan".to_owned(),
        _ if value > 0.0 => "inf".to_owned(),
        _ => "-inf".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_are_needed() {
        assert_eq!(quantity(Quantity::Std, f64::from(0.1f32)), "0.1");
        assert_eq!(quantity(Quantity::Std, f64::from(1e-7f32)), "1e-7");
        assert_eq!(quantity(Quantity::AsOf, 4_000_000_001.0), "4000000001");
        assert_eq!(quantity(Quantity::Min, f64::NEG_INFINITY), "-inf");
        assert_eq!(scalar(0.1), "0.1");
        assert_eq!(scalar(f64::NAN), "nan");
    }
}
