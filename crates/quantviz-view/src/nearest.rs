//! The name that somebody probably meant.

use quantviz_core::{Error, ErrorKind};

/// An error for a name that is not there, with the nearest one that is, if one is near.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let message = match nearest(name, known) {
        Some(nearest) => format!("no {what} is named {name:?}; the nearest is {nearest:?}"),
        None => format!("no {what} is named {name:?}, nor anything near it"),
    };
    Error::new(ErrorKind::UnknownName, message)
}

/// Of known names the one that was probably meant, if one is near: of those that are equally near, the first.
///
/// ```
/// use quantviz_view::nearest;
///
/// assert_eq!(nearest("fc.bais", ["fc.weight", "fc.bias"].into_iter()), Some("fc.bias"));
/// assert_eq!(nearest("nothing", ["fc.weight", "fc.bias"].into_iter()), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| Some((distance(&wanted, &candidate.to_lowercase())?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, nearest)| nearest)
}

/// Nobody means a name of more bytes than this.
const LONGEST: usize = 4000;

/// How far a name is from what was typed: that it begins with it, then that it holds it, then slips of the keyboard.
/// `None` if it is too far to be meant.
fn distance(wanted: &str, candidate: &str) -> Option<(u8, usize)> {
    if candidate.starts_with(wanted) {
        return Some((0, 0));
    }
    if candidate.contains(wanted) {
        return Some((1, 0));
    }
    let len = wanted.chars().count();
    let most = len.div_ceil(3);
    // Each slip makes a name one longer or shorter at most; to compare them costs far more than to count.
    if candidate.chars().count().abs_diff(len) > most {
        return None;
    }
    let slips = strsim::damerau_levenshtein(wanted, candidate);
    (slips <= most).then_some((2, slips))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_with_what_was_typed_come_first() {
        let names = ["fc.bias", "layer3.conv2.weight_quantized", "conv1.weight", "conv2.weight"];
        let message = |name| unknown("parameter", name, names.into_iter()).to_string();
        assert_eq!(message("fc.bais"), r#"no parameter is named "fc.bais"; the nearest is "fc.bias""#);
        assert!(message("layer3.conv2.weight").ends_with(r#""layer3.conv2.weight_quantized""#));
        assert!(message("CONV2").ends_with(r#""conv2.weight""#));
        assert_eq!(
            message("nothinglikeit"),
            r#"no parameter is named "nothinglikeit", nor anything near it"#
        );
    }

    #[test]
    fn long_names_cost_nothing() {
        let (long, typed) = ("weights".repeat(1_000_000), "weighty".repeat(400));
        let started = std::time::Instant::now();
        let error = unknown("parameter", &typed, [long.as_str(), "weight"].into_iter());
        assert!(error.message().ends_with("nor anything near it"));
        assert!(started.elapsed().as_secs() < 1, "{:?}", started.elapsed());
    }
}
