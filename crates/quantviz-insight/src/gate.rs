//! Whether a quantized model may ship: limits that it has to hold.

use quantviz_core::{Comparison, Model, Parameter};
use serde::{Deserialize, Serialize};

use crate::limit;

/// Other limits for some weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Exception {
    /// Of this encoding, as `compare --json` names it.
    #[serde(deserialize_with = "limit::encoding")]
    pub encoding: Option<String>,
    /// Whose name in the reference or in the quantized model is like this; `*` stands for anything.
    #[serde(deserialize_with = "limit::text")]
    pub layer: Option<String>,
    /// The least decibels.
    #[serde(deserialize_with = "limit::decibels")]
    pub min_sqnr: Option<f64>,
    /// The largest share of clipped numbers.
    #[serde(deserialize_with = "limit::share")]
    pub max_clipped: Option<f64>,
    /// The most decibels of headroom.
    #[serde(deserialize_with = "limit::decibels")]
    pub max_headroom: Option<f64>,
    /// The largest share of the error that clipping may make.
    #[serde(deserialize_with = "limit::share")]
    pub max_clip_noise: Option<f64>,
}

/// The limits of a model: those of every weight, without a number nothing, and of some weights others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Gate {
    /// The least decibels: of every recorded activation where there are such; else of every weight, by importance where
    /// that is known.
    #[serde(deserialize_with = "limit::decibels")]
    pub min_sqnr: Option<f64>,
    /// The largest share of clipped numbers.
    #[serde(deserialize_with = "limit::share")]
    pub max_clipped: Option<f64>,
    /// The most decibels that rounding to the nearest may keep beyond what the codes do, of weights that were rounded so.
    #[serde(deserialize_with = "limit::decibels")]
    pub max_headroom: Option<f64>,
    /// The largest share of the error that clipping may make.
    #[serde(deserialize_with = "limit::share")]
    pub max_clip_noise: Option<f64>,
    /// Findings that are not allowed, beside errors: `QV003`.
    #[serde(deserialize_with = "limit::codes")]
    pub deny: Vec<String>,
    /// The limits of some weights; the last that fits counts most.
    #[serde(rename = "rule", deserialize_with = "limit::rules")]
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
    /// Of each rule, whether it fits a weight that was compared, or a recorded activation.
    pub fn rules_that_fit(&self, from: &Model, of: &Model, comparison: &Comparison) -> Vec<bool> {
        let weights = comparison.pairs.iter().map(|it| &it.pair);
        let weights = weights.filter(|it| of.parameter(it.quantized).is_weight());
        let weights: Vec<(&str, [&str; 2])> = weights
            .map(|it| {
                let parameter = of.parameter(it.quantized);
                (encoding_of(parameter), [&*from.parameter(it.reference).name, &*parameter.name])
            })
            .collect();
        let recorded = comparison.activations.iter().flat_map(|it| &it.tensors);
        let recorded: Vec<_> = recorded.map(|it| ("", [it.name.as_str(); 2])).collect();
        let all = || weights.iter().chain(&recorded);
        self.exceptions
            .iter()
            .map(|rule| all().any(|&(encoding, names)| rule.fits(encoding, names)))
            .collect()
    }

    /// The limits of a weight by its names in both models, or of what was recorded.
    pub(crate) fn limits_of(&self, encoding: &str, names: [&str; 2]) -> Exception {
        let of_all = Exception {
            min_sqnr: self.min_sqnr,
            max_clipped: self.max_clipped,
            max_headroom: self.max_headroom,
            max_clip_noise: self.max_clip_noise,
            ..Exception::default()
        };
        self.exceptions.iter().filter(|it| it.fits(encoding, names)).fold(of_all, |limits, rule| Exception {
            min_sqnr: rule.min_sqnr.or(limits.min_sqnr),
            max_clipped: rule.max_clipped.or(limits.max_clipped),
            max_headroom: rule.max_headroom.or(limits.max_headroom),
            max_clip_noise: rule.max_clip_noise.or(limits.max_clip_noise),
            ..limits
        })
    }
}

impl Exception {
    /// Whether it limits anything: a rule without does nothing.
    pub fn limits_something(&self) -> bool {
        [self.min_sqnr, self.max_clipped, self.max_headroom, self.max_clip_noise].iter().any(Option::is_some)
    }

    fn fits(&self, encoding: &str, names: [&str; 2]) -> bool {
        self.encoding.as_deref().is_none_or(|it| it == encoding)
            && self.layer.as_deref().is_none_or(|pattern| names.iter().any(|name| is_like(pattern, name)))
    }
}

pub(crate) fn encoding_of(parameter: &Parameter) -> &'static str {
    parameter.quantization.as_ref().map_or("", |it| it.encoding.name())
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
        let least = |encoding, layer| gate.limits_of(encoding, [layer, "quantized"]).min_sqnr;
        assert_eq!(least("qdq", "fc.weight"), Some(30.0));
        assert_eq!(least("gguf", "fc.weight"), Some(20.0));
        assert_eq!(least("gguf", "lm_head.weight"), Some(40.0));
        assert_eq!(gate.limits_of("gguf", ["x", "y"]).max_headroom, Some(1.0));
        assert_eq!(gate.limits_of("qdq", ["x", "lm_head_quantized"]).min_sqnr, Some(40.0));
    }
}
