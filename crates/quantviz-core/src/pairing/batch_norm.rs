//! Batch normalisations of a reference, which exporters fold into the weights before them.

use super::Gain;
use super::score::Factors;
use crate::dequantize::read_values;
use crate::{ParameterId, ParameterSource, Part};

/// Those that a model has, as factors and shifts of the channels.
pub(super) struct BatchNorms {
    all: Vec<BatchNorm>,
}

struct BatchNorm {
    name: String,
    factors: Vec<f64>,
}

/// How far a factor may be from the one that is expected.
const CLOSE: f64 = 0.05;
/// What frameworks add to the variance.
const EPSILON: f64 = 1e-5;

impl BatchNorms {
    pub(super) fn of(source: &dyn ParameterSource) -> Self {
        let model = source.model();
        let all = model
            .parameter_ids()
            .filter_map(|variance| {
                let path = model.parameter(variance).name.strip_suffix("running_var")?;
                let gain = model.parameter_named(&format!("{path}weight"));
                let values = |id: ParameterId| {
                    let len = model.parameter(id).shape.elements();
                    read_values(source, id, Part::Stored, 0..len).ok()
                };
                let variance = values(variance)?;
                let gains = gain.map_or(Some(vec![1.0; variance.len()]), values)?;
                let factors =
                    gains.iter().zip(&variance).map(|(gain, variance)| gain / (variance + EPSILON).sqrt());
                Some(BatchNorm { name: path.trim_end_matches('.').to_owned(), factors: factors.collect() })
            })
            .collect();
        BatchNorms { all }
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
        Some(Gain::BatchNorm { name: best.name.clone(), factors: best.factors.clone() })
    }
}
