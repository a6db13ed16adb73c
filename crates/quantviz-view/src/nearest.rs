//! The name that somebody probably meant.

use quantviz_core::Error;

/// An error for a name that is not there, with the nearest one that is.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let nearest = known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min_by_key(|(distance, candidate)| (!candidate.contains(name), *distance));
    match nearest {
        Some((_, nearest)) => {
            Error::not_found(format!("no {what} is named {name:?}; the nearest is {nearest:?}"))
        }
        None => Error::not_found(format!("no {what} is named {name:?}: there are none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_what_was_typed_come_first() {
        let names = ["fc.bias", "layer3.conv2.weight_quantized", "conv1.weight"];
        let message = |name| unknown("parameter", name, names.into_iter()).to_string();
        assert_eq!(message("fc.bais"), r#"no parameter is named "fc.bais"; the nearest is "fc.bias""#);
        assert!(message("layer3.conv2.weight").ends_with(r#""layer3.conv2.weight_quantized""#));
    }
}
