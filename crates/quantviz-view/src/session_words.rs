//! Times as people read them.

/// A date and a time of day, of milliseconds since 1970, in UTC.
///
/// ```
/// assert_eq!(quantviz_view::date(951_827_640_000), "2000-02-29 12:34");
/// ```
pub fn date(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (days, minute) = (minutes / 1440, minutes % 1440);
    // Howard Hinnant's civil_from_days: years begin in March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

/// How long ago something was, or how long it took: in the largest unit of which there are two or more.
///
/// ```
/// use quantviz_view::duration;
///
/// assert_eq!(duration(1500), "1 s");
/// assert_eq!(duration(119_000), "119 s");
/// assert_eq!(duration(3 * 86_400_000), "3 days");
/// ```
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7200.. => format!("{} h", seconds / 3600),
        120.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// What numbers are of, where several ranks train together: who recorded a step, and how many parameters they share out.
pub(crate) fn together(recorded: u32, ranks: u32, in_parts: u64) -> Option<String> {
    let shared = match in_parts {
        0 => String::new(),
        1 => "; 1 parameter is in parts, shown as a whole, but for kurtosis and features, which are of its first part".to_owned(),
        several => format!(
            "; {} parameters are in parts, shown as a whole, but for kurtosis and features, which are of the first part",
            quantviz_core::count(several)
        ),
    };
    (ranks > 1).then(|| format!("{recorded} of {ranks} ranks recorded this step{shared}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(1_795_000_000_000), "2026-11-18 11:06");
        assert_eq!(date(4_107_542_399_999), "2100-02-28 23:59");
        assert_eq!(date(4_107_542_400_000), "2100-03-01 00:00");
        assert!(date(u64::MAX).len() > 16);
    }
}
