//! Whether a quantized model may ship: limits that it has to hold.

use serde::{Deserialize, Serialize};

/// Other limits for some weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Exception {
    /// Of this encoding, as `compare --json` names it.
    pub encoding: Option<String>,
    /// Whose name in the reference is like this; `*` stands for anything.
    pub layer: Option<String>,
    /// The least decibels.
    pub min_sqnr: Option<f64>,
    /// The largest share of clipped numbers.
    pub max_clipped: Option<f64>,
    /// The most decibels of headroom.
    pub max_headroom: Option<f64>,
    /// The largest share of the error that clipping may make.
    pub max_clip_noise: Option<f64>,
}

/// The limits of a model: those of every weight, without a number nothing, and of some weights others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Gate {
    /// The least decibels: of every recorded activation where there are such; else of every weight, by importance where
    /// that is known.
    pub min_sqnr: Option<f64>,
    /// The largest share of clipped numbers.
    pub max_clipped: Option<f64>,
    /// The most decibels that rounding to the nearest may keep beyond what the codes do, of weights that were rounded so.
    pub max_headroom: Option<f64>,
    /// The largest share of the error that clipping may make.
    pub max_clip_noise: Option<f64>,
    /// Findings that are not allowed, beside errors: `QV003`.
    pub deny: Vec<String>,
    /// The limits of some weights; the last that fits counts most.
    #[serde(rename = "rule")]
    pub exceptions: Vec<Exception>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            min_sqnr: None,
            max_clipped: None,
            max_headroom: Some(1.0),
            max_clip_noise: Some(0.1),
            deny: Vec::new(),
            exceptions: Vec::new(),
        }
    }
}

impl Gate {
    /// The limits of a weight, or of what was recorded.
    pub(crate) fn limits_of(&self, encoding: &str, reference: &str) -> Exception {
        let fits = |rule: &&Exception| {
            rule.encoding.as_deref().is_none_or(|it| it == encoding)
                && rule.layer.as_deref().is_none_or(|pattern| is_like(pattern, reference))
        };
        let of_all = Exception {
            min_sqnr: self.min_sqnr,
            max_clipped: self.max_clipped,
            max_headroom: self.max_headroom,
            max_clip_noise: self.max_clip_noise,
            ..Exception::default()
        };
        self.exceptions.iter().filter(fits).fold(of_all, |limits, rule| Exception {
            min_sqnr: rule.min_sqnr.or(limits.min_sqnr),
            max_clipped: rule.max_clipped.or(limits.max_clipped),
            max_headroom: rule.max_headroom.or(limits.max_headroom),
            max_clip_noise: rule.max_clip_noise.or(limits.max_clip_noise),
            ..limits
        })
    }
}

/// Whether a name is like a pattern in which `*` stands for anything.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name) in
            [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c", "abc"), ("a*b*", "aXbY"), ("ab", "ab")]
        {
            assert!(is_like(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("b*", "abc"), ("a*b", "abc"), ("ab*ba", "aba"), ("ab", "abc")] {
            assert!(!is_like(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let rule = |encoding: Option<&str>, layer: Option<&str>, min_sqnr| Exception {
            encoding: encoding.map(str::to_owned),
            layer: layer.map(str::to_owned),
            min_sqnr,
            ..Exception::default()
        };
        let gate = Gate {
            min_sqnr: Some(30.0),
            exceptions: vec![rule(Some("gguf"), None, Some(20.0)), rule(None, Some("lm_head*"), Some(40.0))],
            ..Gate::default()
        };
        let least = |encoding, layer| gate.limits_of(encoding, layer).min_sqnr;
        assert_eq!(least("qdq", "fc.weight"), Some(30.0));
        assert_eq!(least("gguf", "fc.weight"), Some(20.0));
        assert_eq!(least("gguf", "lm_head.weight"), Some(40.0));
        assert_eq!(gate.limits_of("gguf", "x").max_headroom, Some(1.0));
    }
}
