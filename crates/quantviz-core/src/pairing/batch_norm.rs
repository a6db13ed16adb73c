//! Batch normalisations of a reference, which exporters fold into the weights before them.

use super::norms::norms;
use super::score::ByChannel;
use super::{Gain, Pair};
use crate::dequantize::read_values;
use crate::{ParameterId, ParameterSource, Part, Role};

/// Those that a model has.
pub(super) struct BatchNorms {
    all: Vec<BatchNorm>,
    /// Biases of other layers, some of which may lie before a normalisation.
    biases: Vec<(ParameterId, Vec<f64>)>,
}

/// One of them. What comes out of it is `(x - mean) · gain / √(variance + ε) + bias`.
struct BatchNorm {
    name: String,
    gains: Vec<f64>,
    variances: Vec<f64>,
    means: Vec<f64>,
    /// Its own bias, and where that is.
    bias: Option<(ParameterId, Vec<f64>)>,
}

/// How far a factor may be from the one that is expected.
const CLOSE: f64 = 0.05;
/// What frameworks and models add to the variance, the usual one first. Files of weights do not say it.
const EPSILONS: [f64; 4] = [1e-5, 1e-3, 1e-4, 1e-6];
/// What has to speak for something unusual, as the logarithm of a likelihood: more than the noise of codes does.
const TELLING: f64 = 10.0;

/// Decibels that are as telling, of so many errors.
pub(super) fn telling_db(count: usize) -> f64 {
    10.0 * (2.0 * TELLING / count as f64) * std::f64::consts::LOG10_E
}

/// The logarithms of how likely each of [`EPSILONS`] is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence([f64; EPSILONS.len()]);

impl Evidence {
    /// Of so many errors with such an energy for each.
    fn of(count: usize, rests: impl Fn(f64) -> f64) -> Self {
        Evidence(EPSILONS.map(|epsilon| -0.5 * count as f64 * rests(epsilon).max(f64::MIN_POSITIVE).ln()))
    }

    pub(super) fn add(&mut self, other: &Evidence) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// The likeliest, which is the usual one unless something speaks for another.
    fn best(&self) -> f64 {
        let (best, likely) = EPSILONS
            .iter()
            .zip(self.0)
            .reduce(|one, other| if other.1 > one.1 { other } else { one })
            .unzip();
        let is_telling = likely.is_some_and(|likely| likely > self.0[0] + TELLING);
        best.copied().filter(|_| is_telling).unwrap_or(EPSILONS[0])
    }
}

/// What a normalisation explains: the gain, the decibels that are reached with it, and what speaks for which ε.
pub(super) struct Explained {
    pub(super) gain: Gain,
    pub(super) db: f64,
    pub(super) evidence: Evidence,
}

impl BatchNorms {
    pub(super) fn of(source: &dyn ParameterSource) -> Self {
        let model = source.model();
        let values = |id: ParameterId| {
            let len = model.parameter(id).shape.elements();
            read_values(source, id, Part::Stored, 0..len).ok()
        };
        let all = norms(model).into_iter().filter_map(|norm| {
            let variances = values(norm.variance)?;
            let or_all = |id: Option<ParameterId>, all: f64| {
                id.map_or_else(|| Some(vec![all; variances.len()]), values)
            };
            Some(BatchNorm {
                gains: or_all(norm.gain, 1.0)?,
                means: or_all(norm.mean, 0.0)?,
                bias: norm.bias.and_then(|bias| Some((bias, values(bias)?))),
                name: norm.name,
                variances,
            })
        });
        let all: Vec<BatchNorm> = all.collect();
        let own: Vec<ParameterId> = all.iter().filter_map(|norm| Some(norm.bias.as_ref()?.0)).collect();
        let is_before = |id: &ParameterId| {
            let parameter = model.parameter(*id);
            let is_bias = parameter.role == Role::Bias && parameter.shape.rank() == 1;
            !all.is_empty() && is_bias && parameter.shares.is_none() && !own.contains(id)
        };
        let biases =
            model.parameter_ids().filter(is_before).filter_map(|id| Some((id, values(id)?))).collect();
        BatchNorms { all, biases }
    }

    /// The biases that folding makes, of layers with a bias and without one: whose they are and how they come about, if
    /// they are like these values.
    pub(super) fn explain_bias(&self, values: &[f64]) -> Vec<(ParameterId, Explained)> {
        let mut all = Vec::new();
        for norm in self.all.iter().filter(|norm| norm.gains.len() == values.len()) {
            let own = norm.bias.iter();
            let before = self.biases.iter().filter(|(_, before)| before.len() == values.len());
            for (id, numbers) in own.chain(before) {
                let rest = |epsilon: f64| {
                    let (factors, shifts) = norm.of_bias(*id, epsilon);
                    let folded = numbers.iter().zip(factors).zip(shifts);
                    let errors =
                        folded.zip(values).map(|(((it, factor), shift), value)| it * factor + shift - value);
                    errors.map(|error| error * error).sum::<f64>()
                };
                let least = EPSILONS.map(rest).into_iter().fold(f64::INFINITY, f64::min);
                let db = super::score::db(values.iter().map(|it| it * it).sum(), least);
                let gain = norm.gain(norm.of_bias(*id, EPSILONS[0]));
                let evidence = Evidence::of(values.len(), rest);
                all.push((*id, Explained { gain, db, evidence }));
            }
        }
        all
    }

    /// Whether any of them could be folded into so many outputs.
    pub(super) fn may_be_folded(&self, outputs: u64) -> bool {
        self.all.iter().any(|norm| norm.gains.len() as u64 == outputs)
    }

    /// The normalisation whose factors are those of the channels.
    pub(super) fn explain(&self, channels: &ByChannel, count: usize) -> Option<Explained> {
        let of_all = self.all.iter().filter_map(|norm| {
            let close = EPSILONS.iter().filter(|&&epsilon| norm.is_close(channels, epsilon));
            let db = |epsilon: f64| {
                let factors = norm.factors(epsilon);
                channels.db(|channel| factors.get(channel as usize).copied().unwrap_or(1.0))
            };
            let best = close.map(|&epsilon| db(epsilon)).reduce(f64::max)?;
            Some((norm, best, Evidence::of(count, |epsilon| 10f64.powf(-db(epsilon) / 10.0))))
        });
        let (norm, db, evidence) = of_all.reduce(|one, other| if other.1 > one.1 { other } else { one })?;
        Some(Explained { gain: norm.gain((norm.factors(EPSILONS[0]), Vec::new())), db, evidence })
    }

    /// Folds all of them in with the ε that most speaks for: models have one.
    pub(super) fn settle(&self, pairs: &mut [Pair], evidence: &Evidence) {
        let epsilon = evidence.best();
        for pair in pairs {
            let Gain::BatchNorm { name, shifts, .. } = &pair.alignment.gain else { continue };
            let Some(norm) = self.all.iter().find(|norm| norm.name == *name) else { continue };
            pair.alignment.gain = norm.gain(match shifts[..] {
                [] => (norm.factors(epsilon), Vec::new()),
                _ => norm.of_bias(pair.reference, epsilon),
            });
        }
    }
}

impl BatchNorm {
    fn factors(&self, epsilon: f64) -> Vec<f64> {
        self.gains.iter().zip(&self.variances).map(|(gain, it)| gain / (it + epsilon).sqrt()).collect()
    }

    /// The factors and the shifts that make the bias of a folded layer: of its own bias, or of one that lies before it.
    fn of_bias(&self, id: ParameterId, epsilon: f64) -> (Vec<f64>, Vec<f64>) {
        let factors = self.factors(epsilon);
        let rest = self.means.iter().zip(&factors).map(|(mean, factor)| -mean * factor);
        match &self.bias {
            Some((own, _)) if *own == id => (vec![1.0; factors.len()], rest.collect()),
            Some((_, bias)) => {
                let shifts = rest.zip(bias).map(|(rest, bias)| rest + bias).collect();
                (factors, shifts)
            }
            None => {
                let shifts = rest.collect();
                (factors, shifts)
            }
        }
    }

    fn gain(&self, (factors, shifts): (Vec<f64>, Vec<f64>)) -> Gain {
        Gain::BatchNorm { name: self.name.clone(), factors, shifts }
    }

    /// Whether its factors are those of the channels, but for noise.
    fn is_close(&self, channels: &ByChannel, epsilon: f64) -> bool {
        let factors = self.factors(epsilon);
        let mut off = Vec::new();
        for (channel, products) in &channels.0 {
            let Some(expected) = factors.get(*channel as usize) else { return false };
            if let Some(factor) = products.factor() {
                off.push((factor - expected).abs() / expected.abs().max(f64::MIN_POSITIVE));
            }
        }
        off.sort_by(f64::total_cmp);
        // Channels that hardly differ from zero are quantized to anything.
        off.get(off.len() * 9 / 10).is_some_and(|&off| off <= CLOSE)
    }
}
