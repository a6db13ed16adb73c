//! Whether a quantized model may ship: limits that it has to hold.

use quantviz_core::{Basis, Comparison, Fidelity, Model, Parameter, number};
use serde::{Deserialize, Serialize};

use crate::{Finding, Level, limit};

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

/// A limit that is not held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// The parameter, by its name in the quantized model, or the recorded activation; `None` where it is the model.
    pub parameter: Option<String>,
    /// The limit: `min-sqnr`, or the code of a finding.
    pub limit: String,
    /// What was found.
    pub value: Option<f64>,
    /// What is allowed.
    pub bound: Option<f64>,
    /// Both in a line.
    pub message: String,
}

/// Whether a model holds its limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Judgement {
    /// What decibels are said by.
    pub basis: Basis,
    /// Of how many weights or activations that is known.
    pub counted: usize,
    /// How many of these there are.
    pub of: usize,
    /// Limits that are not held.
    pub failures: Vec<Failure>,
    /// Why something could not be told, a line each.
    pub undecided: Vec<String>,
}

impl Judgement {
    /// Whether everything is known, and holds.
    pub fn holds(&self) -> bool {
        self.failures.is_empty() && self.undecided.is_empty()
    }
}

impl Gate {
    /// Judges a comparison and what was found in the quantized model.
    pub fn judge(
        &self,
        from: &Model,
        of: &Model,
        comparison: &Comparison,
        findings: &[Finding],
    ) -> Judgement {
        let (basis, claim) = comparison.basis();
        let mut judgement = Judgement {
            basis,
            counted: claim.counted,
            of: claim.of,
            failures: Vec::new(),
            undecided: Vec::new(),
        };
        let denied = |finding: &&Finding| {
            finding.level == Level::Error || self.deny.contains(&finding.code.to_string())
        };
        for finding in findings.iter().filter(denied) {
            judgement.failures.push(Failure {
                parameter: finding.parameter.clone(),
                limit: finding.code.to_string(),
                value: None,
                bound: None,
                message: finding.message.clone(),
            });
        }
        for unmatched in
            comparison.unmatched_quantized.iter().filter(|it| of.parameter(it.parameter).is_weight())
        {
            let name = &of.parameter(unmatched.parameter).name;
            judgement.undecided.push(format!("{name} has no counterpart: {}", unmatched.why));
        }
        for pair in comparison.pairs.iter().filter(|it| of.parameter(it.pair.quantized).is_weight()) {
            let parameter = of.parameter(pair.pair.quantized);
            let reference = &from.parameter(pair.pair.reference).name;
            let encoding = encoding_of(parameter);
            match &pair.fidelity {
                Ok(fidelity) => {
                    let limits = self.limits_of(encoding, [reference, &parameter.name]);
                    if comparison.activations.is_none() {
                        judgement.failures.extend(short_of_sqnr(&parameter.name, fidelity, &limits));
                    }
                    judgement.failures.extend(failures(&parameter.name, fidelity, &limits));
                }
                Err(error) => judgement.undecided.push(format!("{}: {}", parameter.name, error.message())),
            }
        }
        for tensor in comparison.activations.iter().flat_map(|it| &it.tensors) {
            let limits = self.limits_of("", [&tensor.name; 2]);
            match &tensor.fidelity {
                Ok(fidelity) => judgement.failures.extend(short_of_sqnr(&tensor.name, fidelity, &limits)),
                Err(error) if limits.min_sqnr.is_some() => {
                    let why = error.line_within(None, Some(&tensor.name));
                    judgement.undecided.push(format!("{}: {why}", tensor.name));
                }
                Err(_) => {}
            }
        }
        judgement
    }

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
    fn limits_of(&self, encoding: &str, names: [&str; 2]) -> Exception {
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

fn encoding_of(parameter: &Parameter) -> &'static str {
    parameter.quantization.as_ref().map_or("", |it| it.encoding.name())
}

/// Of so many that are off the grid, codes were not meant to be the nearest.
const OFF_GRID: f64 = 0.001;

/// Whether less is kept than has to be, as well as is known.
fn short_of_sqnr(name: &str, fidelity: &Fidelity, limits: &Exception) -> Option<Failure> {
    let bound = limits.min_sqnr?;
    let (value, is_exact, by) = match fidelity.importance_noise_to_signal {
        Some(noise) => (fidelity.importance_sqnr_db, noise == 0.0, " by importance"),
        None => (fidelity.sqnr_db, fidelity.exact, ""),
    };
    let message = match value {
        Some(db) if db < bound => format!("{db:.1} dB{by}, at least {} are asked for", number(bound)),
        None if !is_exact => format!("all of it is error{by}: the reference is zero"),
        _ => return None,
    };
    let (parameter, limit) = (Some(name.to_owned()), "min-sqnr".to_owned());
    Some(Failure { parameter, limit, value, bound: Some(bound), message })
}

fn failures(name: &str, fidelity: &Fidelity, limits: &Exception) -> Vec<Failure> {
    let mut all = Vec::new();
    let mut fail = |limit: &str, value: Option<f64>, bound: f64, message: String| {
        let parameter = Some(name.to_owned());
        all.push(Failure { parameter, limit: limit.to_owned(), value, bound: Some(bound), message });
    };
    // A wrong scale is no method of choosing codes.
    let is_rounded =
        fidelity.off_grid.is_none_or(|share| share <= OFF_GRID) || fidelity.common_factor.is_some();
    let shares = [
        ("max-clipped", fidelity.clipped, limits.max_clipped, "of its numbers are clipped"),
        ("max-clip-noise", fidelity.clip_noise, limits.max_clip_noise, "of its error is of clipped numbers"),
    ];
    for (limit, value, bound, what) in shares {
        if let (Some(value), Some(bound)) = (value, bound)
            && value > bound
        {
            let percent = |share: f64| number(share * 100.0);
            let message = format!("{} % {what}, at most {} % may be", percent(value), percent(bound));
            fail(limit, Some(value), bound, message);
        }
    }
    if let (Some(headroom), Some(bound), true) = (fidelity.headroom_db, limits.max_headroom, is_rounded)
        && headroom > bound
    {
        let message = format!(
            "rounding to the nearest keeps {headroom:.1} dB more with the same scales, at most {} may be missing",
            number(bound)
        );
        fail("max-headroom", Some(headroom), bound, message);
    }
    all
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
