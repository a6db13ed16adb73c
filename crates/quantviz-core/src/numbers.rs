//! Numbers as people read them: rounded, and as short as they stay true.

/// A number with four significant digits; below a million never fewer than stand before its point.
///
/// ```
/// use quantviz_core::number;
///
/// assert_eq!(number(-0.594_866), "-0.5949");
/// assert_eq!(number(127.0), "127");
/// assert_eq!(number(0.000_012_3), "1.23e-5");
/// ```
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if value.fract() == 0.0 && size < 1e6 {
        // Adding zero turns -0 into 0.
        return format!("{}", value + 0.0);
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", without_trailing_zeros(digits));
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -3 and 6")]
    let before_point = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from(4 - before_point).unwrap_or(0);
    without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A count with its thousands apart.
///
/// ```
/// assert_eq!(quantviz_core::count(124_439_808), "124,439,808");
/// ```
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|it| std::str::from_utf8(it).ok()).collect();
    groups.join(",")
}

/// A number of bytes, in powers of a thousand.
///
/// ```
/// assert_eq!(quantviz_core::bytes(97_476), "97.5 kB");
/// ```
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if value < 1000 {
        return format!("{value} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "it is rounded to four digits")]
    let mut scaled = value as f64 / 1000.0;
    let mut unit = 0;
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-128.0, "-128"),
            (999_999.0, "999999"),
            (1_234_567.0, "1.235e6"),
            (123_456.7, "123457"),
            (0.004_836_313, "0.004836"),
            (0.1, "0.1"),
            (-0.000_697_2, "-6.972e-4"),
            (12.345_6, "12.35"),
            (9999.96, "10000"),
            (0.000_099_99, "9.999e-5"),
            (-1.5e-38, "-1.5e-38"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn counts_and_bytes() {
        assert_eq!((count(0), count(999), count(1000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!(
            (bytes(999), bytes(1000), bytes(999_999)),
            ("999 B".into(), "1.0 kB".into(), "1.0 MB".into())
        );
        assert_eq!(bytes(498_000_000), "498.0 MB");
    }
}
