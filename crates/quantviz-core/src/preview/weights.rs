//! Which parameters a quantizer would round, and along which axis their outputs lie.

use std::str::FromStr;

use crate::text::is_like;
use crate::{DType, DTypeClass, Error, LayerKind, Model, Parameter, ParameterId, Result, Role};

/// A parameter that can be rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weight {
    /// Which one.
    pub parameter: ParameterId,
    /// The axis along which the outputs of its layer lie: that of scales per channel.
    pub axis: usize,
}

/// The axis of the parameters whose names fit a pattern: `*.c_proj.weight=1`.
///
/// In a pattern, `*` stands for any text and `?` for one character; an axis below zero counts from the last.
///
/// ```
/// use quantviz_core::AxisRule;
///
/// let rule: AxisRule = "h.*.weight=-1".parse()?;
/// assert!(rule.fits("h.0.attn.weight") && !rule.fits("wte.weight"));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisRule {
    pattern: String,
    axis: i64,
}

impl FromStr for AxisRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rule = text.rsplit_once('=').and_then(|(pattern, axis)| {
            Some(AxisRule { pattern: pattern.to_owned(), axis: axis.parse().ok()? })
        });
        rule.filter(|rule| !rule.pattern.is_empty())
            .ok_or_else(|| Error::malformed(format!("{text:?} is not PATTERN=N, like '*.c_proj.weight=1'")))
    }
}

impl AxisRule {
    /// Whether it is about a parameter of this name.
    pub fn fits(&self, name: &str) -> bool {
        is_like(&self.pattern, name)
    }

    /// The axis that it gives a parameter.
    pub(crate) fn axis_of(&self, parameter: &Parameter) -> Result<usize> {
        let rank = parameter.shape.rank();
        let axis = if self.axis < 0 { self.axis.saturating_add_unsigned(rank as u64) } else { self.axis };
        usize::try_from(axis).ok().filter(|&axis| axis < rank).ok_or_else(|| {
            let message = format!("its shape {} has no axis {}", parameter.shape, self.axis);
            Error::malformed(message).in_tensor(&parameter.name)
        })
    }
}

/// What of a model can be rounded, in its order, each storage once.
///
/// Of a graph these are the float weights of its convolutions, products and embeddings; elsewhere what the names of
/// weights and embeddings have. An axis that a rule gives, the first that fits, counts more than what is known.
///
/// # Errors
/// Where a rule names an axis that is not there, or fits nothing.
pub fn quantizable(model: &Model, rules: &[AxisRule]) -> Result<Vec<Weight>> {
    let mut used = vec![false; rules.len()];
    let knows = Known::of(model);
    let mut weights = Vec::new();
    for id in model.parameter_ids() {
        let parameter = model.parameter(id);
        if !is_float_matrix(parameter) {
            continue;
        }
        let rule = rules.iter().position(|rule| rule.fits(&parameter.name));
        let axis = match rule {
            Some(index) => {
                used[index] = true;
                Some(rules[index].axis_of(parameter)?)
            }
            None => knows.axis(parameter),
        };
        weights.extend(axis.map(|axis| Weight { parameter: id, axis }));
    }
    check_used(rules, &used, "no weight that could be rounded").map(|()| weights)
}

/// A rule that fits nothing is an error, which begins with what it does not fit.
pub(crate) fn check_used(rules: &[AxisRule], used: &[bool], nothing: &str) -> Result<()> {
    let unused = rules.iter().zip(used).find(|(_, used)| !**used);
    unused.map_or(Ok(()), |(AxisRule { pattern, .. }, _)| {
        Err(Error::not_found(format!("{nothing} has a name like {pattern:?}")))
    })
}

/// The weights to preview; an error says why there are none.
pub(super) fn find_weights(model: &Model, rules: &[AxisRule]) -> Result<Vec<Weight>> {
    let weights = quantizable(model, rules)?;
    if !weights.is_empty() {
        return Ok(weights);
    }
    Err(match quantized_weights(model).len() {
        0 => Error::not_found("it has no float weights of two axes or more that a quantizer would round"),
        many => Error::unsupported(format!(
            "its {many} weights are quantized already; preview the float model that it was made from"
        )),
    })
}

/// The weights that are quantized already: what they stand for is no reference.
pub fn quantized_weights(model: &Model) -> Vec<ParameterId> {
    let is_one = |id: &ParameterId| {
        let parameter = model.parameter(*id);
        parameter.quantization.is_some()
            && parameter.shares.is_none()
            && matches!(parameter.role, Role::Weight | Role::Embedding)
    };
    model.parameter_ids().filter(is_one).collect()
}

fn is_float_matrix(parameter: &Parameter) -> bool {
    let is_learnt = matches!(parameter.role, Role::Weight | Role::Embedding);
    let is_wide = parameter.dtype.class() == DTypeClass::Float && parameter.dtype.bits() >= DType::F16.bits();
    is_learnt
        && is_wide
        && parameter.shape.rank() >= 2
        && parameter.shape.elements() > 0
        && parameter.quantization.is_none()
        && parameter.shares.is_none()
}

/// What tells axes.
struct Known {
    has_graph: bool,
    /// Whether GPT-2's modules hold matrices of inputs by outputs, as Hugging Face's do and nanoGPT's do not.
    inputs_first: bool,
}

impl Known {
    fn of(model: &Model) -> Self {
        // Both have more outputs than inputs.
        let is_wide = |it: &Parameter| match it.shape.dims() {
            [inputs, outputs] => outputs > inputs && ["c_attn", "c_fc"].contains(&module(&it.name)),
            _ => false,
        };
        Known {
            has_graph: model.layers.iter().any(|layer| layer.kind == LayerKind::Operation),
            inputs_first: model.parameters.iter().any(is_wide),
        }
    }

    fn axis(&self, parameter: &Parameter) -> Option<usize> {
        if self.has_graph {
            return parameter.output_axis;
        }
        let is_conv1d = || ["c_attn", "c_fc", "c_proj", "q_attn"].contains(&module(&parameter.name));
        Some(usize::from(self.inputs_first && parameter.shape.rank() == 2 && is_conv1d()))
    }
}

/// `c_attn` of `h.0.attn.c_attn.weight`.
fn module(name: &str) -> &str {
    name.rsplit('.').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::{MemorySource, ParameterSource};

    fn axes(shapes: &[(&str, [usize; 2])], rules: &[&str]) -> Result<Vec<usize>> {
        let add = |source: MemorySource, (name, shape): &(&str, [usize; 2])| {
            source.with(*name, Array2::<f32>::zeros((shape[0], shape[1])))
        };
        let source = shapes.iter().fold(MemorySource::new(), add);
        let rules: Vec<AxisRule> = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
        Ok(quantizable(source.model(), &rules)?.into_iter().map(|weight| weight.axis).collect())
    }

    const HUGGING_FACE: &[(&str, [usize; 2])] = &[
        ("wte.weight", [50, 4]),
        ("h.0.attn.c_attn.weight", [4, 12]),
        ("h.0.attn.c_proj.weight", [4, 4]),
        ("h.0.mlp.c_proj.weight", [16, 4]),
    ];

    #[test]
    fn matrices_of_inputs_by_outputs_are_known() {
        assert_eq!(axes(HUGGING_FACE, &[]).expect("no rules"), [0, 1, 1, 1]);
        let nano = [
            ("wte.weight", [50, 4]),
            ("h.0.attn.c_attn.weight", [12, 4]),
            ("h.0.attn.c_proj.weight", [4, 4]),
        ];
        assert_eq!(axes(&nano, &[]).expect("no rules"), [0, 0, 0]);
    }

    #[test]
    fn rules_say_it_otherwise() {
        assert_eq!(axes(HUGGING_FACE, &["wte.*=-1", "*c_proj.weight=0"]).expect("they fit"), [1, 1, 0, 0]);
        let error = |rule| axes(HUGGING_FACE, &[rule]).expect_err("it does not fit").to_string();
        assert_eq!(error("h.*=2"), "h.0.attn.c_attn.weight: its shape 4×12 has no axis 2");
        assert_eq!(error("x*=0"), "no weight that could be rounded has a name like \"x*\"");
    }

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name| AxisRule { pattern: pattern.to_owned(), axis: 0 }.fits(name);
        for (pattern, name) in [("*", ""), ("a*c", "abcbc"), ("a?c*", "abc"), ("**b", "aab"), ("ab", "ab")] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*c", "abcd"), ("?", ""), ("a?", "a"), ("", "a")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        for text in ["", "a", "a=", "=1", "a=x"] {
            assert!(text.parse::<AxisRule>().is_err(), "{text}");
        }
    }
}
