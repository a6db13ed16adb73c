//! Whether a quantized model holds its limits, what could not be told of it, and what is worth a look all the same.

use std::cmp::Ordering;

use quantviz_core::{
    Basis, Claim, ComparedPair, ComparedTensor, Comparison, Fidelity, Gain, MatchedBy, Model, Parameter,
    Role, WarningKind, count, expected_sqnr_db, number, plain_name,
};
use serde::Serialize;

use crate::gate::{Exception, encoding_of};
use crate::{Finding, Gate, Level, Linted};

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

impl Failure {
    /// One measure says nothing of another, so limits stand in the order of how much they say.
    fn worst_first(&self, other: &Self) -> Ordering {
        const LIMITS: [&str; 4] = ["min-sqnr", "max-headroom", "max-clip-noise", "max-clipped"];
        let place = |failure: &Failure| match LIMITS.iter().position(|it| *it == failure.limit) {
            Some(place) => place + 2,
            None => usize::from(failure.limit != FINITE),
        };
        // Without a value, all of it is error. Findings have neither, and stay in their order.
        let distance = |failure: &Failure| match (failure.value, failure.bound) {
            (Some(value), Some(bound)) => (value - bound).abs(),
            _ => f64::INFINITY,
        };
        place(self).cmp(&place(other)).then_with(|| distance(other).total_cmp(&distance(self)))
    }
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
    /// Limits that are not held, worst first: what is not finite, findings, then limit by limit what is farthest from it.
    pub failures: Vec<Failure>,
    /// Why something could not be told, a line each.
    pub undecided: Vec<String>,
    /// What no limit forbids and is worth a look all the same, a line each.
    pub warnings: Vec<String>,
}

impl Judgement {
    /// Whether everything is known, and holds.
    pub fn holds(&self) -> bool {
        self.failures.is_empty() && self.undecided.is_empty()
    }
}

impl Gate {
    /// Judges a comparison and what was found beside it.
    pub fn judge(&self, from: &Model, of: &Model, comparison: &Comparison, linted: &Linted) -> Judgement {
        let (basis, claim) = judged_by(comparison);
        let mut judgement = Judgement {
            basis,
            counted: claim.counted,
            of: claim.of,
            failures: Vec::new(),
            undecided: Vec::new(),
            warnings: Vec::new(),
        };
        let denied = |finding: &&Finding| {
            finding.level == Level::Error || self.deny.contains(&finding.code.to_string())
        };
        for finding in linted.findings.iter().filter(denied) {
            judgement.failures.push(Failure {
                parameter: finding.parameter.clone(),
                limit: finding.code.to_string(),
                value: None,
                bound: None,
                message: finding.message.clone(),
            });
        }
        judgement.undecided.extend(doubts(from, of, comparison, linted));
        let is_denied = |finding: &&Finding| denied(finding) || finding.level != Level::Warning;
        let warnings = linted.findings.iter().filter(|finding| !is_denied(finding));
        judgement.warnings.extend(warnings.map(|finding| match &finding.parameter {
            Some(parameter) => format!("{} {parameter}: {}", finding.code, finding.message),
            None => format!("{} {}", finding.code, finding.message),
        }));
        judgement.warnings.extend(worth_a_look(self, from, of, comparison));
        for pair in &comparison.pairs {
            let parameter = of.parameter(pair.pair.quantized);
            let reference = &from.parameter(pair.pair.reference).name;
            let limits = self.limits_of(encoding_of(parameter), [reference, &parameter.name]);
            match &pair.fidelity {
                Ok(fidelity) => {
                    judgement.failures.extend(broken(&parameter.name, fidelity));
                    if parameter.is_weight() && comparison.activations.is_none() {
                        judgement.failures.extend(short_of_sqnr(&parameter.name, fidelity, &limits));
                    }
                    // Biases have bits to spare, and no limits of their own; but a scale may be wrong.
                    if parameter.is_weight() || fidelity.common_factor.is_some() {
                        judgement.failures.extend(failures(&parameter.name, fidelity, &limits));
                    }
                }
                Err(error) if parameter.is_weight() => {
                    judgement.undecided.push(format!("{}: {}", parameter.name, error.message()));
                }
                Err(_) => {}
            }
        }
        for tensor in comparison.activations.iter().flat_map(|it| &it.tensors) {
            let limits = self.limits_of("", [&tensor.name; 2]);
            match &tensor.fidelity {
                Ok(fidelity) => {
                    judgement.failures.extend(broken(&tensor.name, fidelity));
                    let judged = tensor.judged();
                    judgement.failures.extend(judged.and_then(|it| short_of_sqnr(&tensor.name, it, &limits)));
                }
                Err(error) if limits.min_sqnr.is_some() => {
                    let why = error.line_within(None, Some(&tensor.name));
                    judgement.undecided.push(format!("{}: {why}", tensor.name));
                }
                Err(_) => {}
            }
        }
        judgement.failures.sort_by(Failure::worst_first);
        judgement
    }
}

/// What most is said by, and of all that is judged by it: of recorded tensors, not of outputs alone.
fn judged_by(comparison: &Comparison) -> (Basis, Claim) {
    let (basis, claim) = comparison.basis();
    (basis, comparison.activations.as_ref().map_or(claim, |it| it.claim))
}

/// Why it cannot be told whether a model is what its reference is.
fn doubts(from: &Model, of: &Model, comparison: &Comparison, linted: &Linted) -> Vec<String> {
    let name = |pair: &ComparedPair| of.parameter(pair.pair.quantized).name.clone();
    let mut all = Vec::new();
    for unmatched in &comparison.unmatched_quantized {
        let parameter = of.parameter(unmatched.parameter);
        if parameter.is_weight() || parameter.role == Role::Bias && namesake(from, &parameter.name).is_some()
        {
            all.push(format!("{} has no counterpart: {}", parameter.name, unmatched.why));
        }
    }
    for pair in comparison.pairs.iter().filter(|pair| !pair.is_taken_back) {
        let channels = if matches!(pair.pair.alignment.gain, Gain::Input(_)) { "input" } else { "output" };
        all.push(format!(
            "{}: each {channels} is multiplied by a factor of its own, and nothing found here takes that back",
            name(pair)
        ));
    }
    for pair in comparison.pairs.iter().filter(|pair| pair.pair.matched_by == MatchedBy::Value) {
        let (name, other) = (name(pair), &from.parameter(pair.pair.reference).name);
        if namesake(from, &name).is_some_and(|own| own.name != *other) && !is_numbered(&name) {
            all.push(format!(
                "{name}: by its values it is {other}, and the reference has one of its own name"
            ));
        }
    }
    let unread = of.warnings.iter().filter(|warning| warning.kind != WarningKind::Odd);
    for warning in unread {
        if let Some(parameter) = &warning.parameter {
            all.push(format!("{parameter}: {}", warning.message));
        }
    }
    let is_told = |error: &&quantviz_core::Error| {
        of.warnings.iter().any(|warning| warning.parameter.as_deref() == error.tensor())
    };
    all.extend(
        linted.unread.iter().filter(|error| !is_told(error)).map(|error| error.line_within(None, None)),
    );
    let (basis, claim) = judged_by(comparison);
    if basis == Basis::Activations && claim.counted == 0 {
        all.push("of no recorded activation an error is known".to_owned());
    }
    all
}

/// The parameter of the reference that has this name. A bias may be new: that of a normalisation that was folded, or one
/// that was laid together of several.
fn namesake<'a>(from: &'a Model, name: &str) -> Option<&'a Parameter> {
    from.parameters.iter().find(|it| plain_name(&it.name) == plain_name(name))
}

/// Whether a name is one that exporters count up, and says nothing of what is in it.
fn is_numbered(name: &str) -> bool {
    let name = plain_name(name);
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    digits.len() < name.len() && digits.ends_with(['_', ':']) || name.starts_with("onnx::")
}

/// Decibels below what such codes keep of normally distributed weights that are much: two bits.
pub const FAR_BELOW_DB: f64 = 12.0;

/// What no limit forbids, and is worth a look all the same.
fn worth_a_look(gate: &Gate, from: &Model, of: &Model, comparison: &Comparison) -> Vec<String> {
    let mut all = Vec::new();
    for pair in &comparison.pairs {
        let parameter = of.parameter(pair.pair.quantized);
        let name = &parameter.name;
        let Ok(fidelity) = &pair.fidelity else { continue };
        let below = expected_sqnr_db(parameter).zip(fidelity.sqnr_db).map(|(expected, db)| expected - db);
        if let Some(below) = below.filter(|below| *below >= FAR_BELOW_DB) {
            all.push(format!(
                "{name}: {below:.1} dB less than such codes keep of normally distributed weights"
            ));
        }
        let left_out = fidelity.non_finite - fidelity.broken;
        if left_out > 0 {
            all.push(format!(
                "{name}: left out, as not finite in the reference: {} of its numbers",
                count(left_out)
            ));
        }
    }
    for unmatched in &comparison.unmatched_quantized {
        let parameter = of.parameter(unmatched.parameter);
        if parameter.role == Role::Bias && namesake(from, &parameter.name).is_none() {
            all.push(format!("{} has no counterpart: {}", parameter.name, unmatched.why));
        }
    }
    for tensor in comparison.activations.iter().flat_map(|it| &it.tensors) {
        all.extend(tensor.earlier.as_ref().map(|it| format!("{}: {}", tensor.name, it.why(&tensor.name))));
    }
    if let (Some(recorded), None) = (&comparison.activations, gate.min_sqnr) {
        let outputs = || recorded.tensors.iter().filter(|it| it.is_output);
        if let Some((db, name)) = worst(outputs()).or_else(|| worst(&recorded.tensors)) {
            let what = if outputs().next().is_some() { "outputs" } else { "recorded activations" };
            all.push(format!("no limit is set for {what}, of which {name} is the worst, at {db:.1} dB"));
        }
    }
    all
}

/// The recorded tensor that suffers most, and what it keeps.
fn worst<'a>(tensors: impl IntoIterator<Item = &'a ComparedTensor>) -> Option<(f64, &'a str)> {
    let ranked = tensors.into_iter().filter_map(|it| Some((it.judged()?.rank(), &*it.name)));
    ranked.min_by(|(one, _), (other, _)| one.total_cmp(other))
}

/// Whether less is kept than has to be, as well as is known.
fn short_of_sqnr(name: &str, fidelity: &Fidelity, limits: &Exception) -> Option<Failure> {
    let bound = limits.min_sqnr.filter(|_| fidelity.elements > fidelity.non_finite)?;
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

/// The limit of numbers that are none.
const FINITE: &str = "finite";

/// What is not finite any more.
fn broken(name: &str, fidelity: &Fidelity) -> Option<Failure> {
    #[expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]
    let value = fidelity.broken as f64;
    (fidelity.broken > 0).then(|| Failure {
        parameter: Some(name.to_owned()),
        limit: FINITE.to_owned(),
        value: Some(value),
        bound: Some(0.0),
        message: format!("not finite where the reference is: {} of its numbers", count(fidelity.broken)),
    })
}

fn failures(name: &str, fidelity: &Fidelity, limits: &Exception) -> Vec<Failure> {
    let mut all = Vec::new();
    let mut fail = |limit: &str, value: Option<f64>, bound: f64, message: String| {
        let parameter = Some(name.to_owned());
        all.push(Failure { parameter, limit: limit.to_owned(), value, bound: Some(bound), message });
    };
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
    if let (Some(headroom), Some(bound)) = (fidelity.wasted_db(), limits.max_headroom)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first() {
        let failure = |limit: &str, value: Option<f64>, bound: f64| Failure {
            parameter: None,
            limit: limit.to_owned(),
            value,
            bound: Some(bound),
            message: String::new(),
        };
        let finding = |code: &str| Failure { bound: None, ..failure(code, None, 0.0) };
        let sorted = [
            failure("finite", Some(7.0), 0.0),
            failure("finite", Some(1.0), 0.0),
            finding("QV013"),
            finding("QV001"),
            failure("min-sqnr", None, 30.0),
            failure("min-sqnr", Some(2.0), 30.0),
            // Nearer to its own limit, and not more decibels.
            failure("min-sqnr", Some(1.0), 20.0),
            failure("max-headroom", Some(9.0), 1.0),
            failure("max-clip-noise", Some(0.9), 0.1),
            failure("max-clip-noise", Some(0.2), 0.1),
            failure("max-clipped", Some(0.9), 0.1),
        ];
        let mut failures = sorted.to_vec();
        failures.reverse();
        // Findings stay in the order that they were found in.
        let findings = |it: &Failure| it.bound.is_none();
        let first = failures.iter().position(findings).expect("there are two");
        failures.swap(first, first + 1);
        failures.sort_by(Failure::worst_first);
        assert_eq!(failures, sorted);
    }
}
