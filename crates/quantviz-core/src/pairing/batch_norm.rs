//! Batch normalisations of a reference, which exporters fold into the weights before them.

use super::Gain;
use super::score::Factors;
use crate::dequantize::read_values;
use crate::{ParameterId, ParameterSource, Part};

/// Those that a model has, as factors and shifts of the channels.
pub(super) struct BatchNorms {
    all: Vec<BatchNorm>,
}

/// One of them. What comes out of it is `factor · x + shift`.
pub(super) struct BatchNorm {
    name: String,
    factors: Vec<f64>,
    /// Its own bias, and what is added to that: the rest of the shift.
    bias: Option<(ParameterId, Vec<f64>, Vec<f64>)>,
}

/// How far a factor may be from the one that is expected.
const CLOSE: f64 = 0.05;
/// What frameworks add to the variance.
const EPSILON: f64 = 1e-5;

impl BatchNorms {
    pub(super) fn of(source: &dyn ParameterSource) -> Self {
        let model = source.model();
        let values = |id: ParameterId| {
            let len = model.parameter(id).shape.elements();
            read_values(source, id, Part::Stored, 0..len).ok()
        };
        let variances = model.parameter_ids().filter(|&id| model.parameter(id).shares.is_none());
        let all = variances.filter_map(|id| {
            let path = model.parameter(id).name.strip_suffix("running_var")?;
            let named = |name: &str| model.parameter_named(&format!("{path}{name}"));
            let variance = values(id)?;
            let gains = named("weight").map_or_else(|| Some(vec![1.0; variance.len()]), values)?;
            let factors: Vec<f64> =
                gains.iter().zip(&variance).map(|(gain, it)| gain / (it + EPSILON).sqrt()).collect();
            let mean = named("running_mean").and_then(values);
            let bias = named("bias").zip(mean).and_then(|(bias, mean)| {
                let rest = mean.iter().zip(&factors).map(|(mean, factor)| -mean * factor).collect();
                Some((bias, values(bias)?, rest))
            });
            Some(BatchNorm { name: path.trim_end_matches('.').to_owned(), factors, bias })
        });
        BatchNorms { all: all.collect() }
    }

    /// The biases that folding makes of layers without one: whose they are, their values, and how they come about.
    pub(super) fn biases(&self) -> impl Iterator<Item = (ParameterId, Vec<f64>, Gain)> + use<'_> {
        self.all.iter().filter_map(|norm| {
            let (id, bias, rest) = norm.bias.as_ref()?;
            let values = bias.iter().zip(rest).map(|(bias, rest)| bias + rest).collect();
            let factors = vec![1.0; rest.len()];
            Some((*id, values, Gain::BatchNorm { name: norm.name.clone(), factors, shifts: rest.clone() }))
        })
    }

    /// The normalisation whose factors these are.
    pub(super) fn explain(&self, factors: &Factors) -> Option<Gain> {
        let distance = |norm: &BatchNorm| {
            let mut off = Vec::new();
            for (channel, factor) in factors {
                let expected = norm.factors.get(*channel as usize)?;
                if let Some(factor) = factor {
                    off.push((factor - expected).abs() / expected.abs().max(f64::MIN_POSITIVE));
                }
            }
            off.sort_by(f64::total_cmp);
            // Channels that hardly differ from zero are quantized to anything.
            off.get(off.len() * 9 / 10).copied().filter(|&off| off <= CLOSE)
        };
        let ranked = self.all.iter().filter_map(|norm| Some((distance(norm)?, norm)));
        let best = ranked.min_by(|(one, _), (other, _)| one.total_cmp(other))?.1;
        Some(Gain::BatchNorm { name: best.name.clone(), factors: best.factors.clone(), shifts: Vec::new() })
    }
}
