//! Whether what channels were multiplied with before they were quantized is taken back elsewhere in the model: by the
//! normalisation before them, as AWQ and SmoothQuant do it, by another weight, or because a normalisation behind them was
//! folded in. What nothing takes back changes what a network computes.

use std::collections::HashMap;

use super::gguf_names::same_tensor;
use super::proposals::plain_name;
use super::{Gain, Pair};
use crate::dequantize::read_values;
use crate::{DTypeClass, Model, Parameter, ParameterId, ParameterSource, Part};

/// How far factors may be from those that take them back, and for what share of channels. Coarse codes tell factors of
/// channels that were made small with an error of many percent.
const CLOSE: [(f64, f64); 2] = [(0.05, 0.5), (0.25, 0.9)];
/// What is added to variances.
const EPSILONS: [f64; 2] = [1e-5, 1e-3];

/// Of every pair, whether nothing was multiplied that is not taken back.
pub(crate) fn are_taken_back(
    reference: &dyn ParameterSource,
    quantized: &dyn ParameterSource,
    pairs: &[Pair],
) -> Vec<bool> {
    let mut vectors = Vectors { reference, quantized, known: HashMap::new() };
    pairs
        .iter()
        .map(|pair| match &pair.alignment.gain {
            Gain::None | Gain::BatchNorm { .. } => true,
            gain if pairs.iter().any(|other| are_inverse(gain, &other.alignment.gain)) => true,
            Gain::Input(factors) => vectors.of(factors.len()).are_divided_by(factors),
            Gain::Output(factors) => vectors.of(factors.len()).normalise_by(factors),
        })
        .collect()
}

/// Whether outputs of one weight are the inputs of another, and multiplied by what these are divided by. Where several query
/// heads share a value head, each output is as many inputs.
fn are_inverse(one: &Gain, other: &Gain) -> bool {
    let ((Gain::Input(inputs), Gain::Output(outputs)) | (Gain::Output(outputs), Gain::Input(inputs))) =
        (one, other)
    else {
        return false;
    };
    if outputs.is_empty() || !inputs.len().is_multiple_of(outputs.len()) {
        return false;
    }
    let sharing = inputs.len() / outputs.len();
    let by_heads_of = |dim: usize| {
        let products = inputs.iter().enumerate().map(|(index, input)| {
            let head = index / dim / sharing;
            input * outputs[head * dim + index % dim]
        });
        are_close(products, |_| 1.0)
    };
    match sharing {
        1 => by_heads_of(outputs.len()),
        _ => head_dims(outputs.len()).any(by_heads_of),
    }
}

/// Numbers of values that a head may have, where all heads together have so many: no file of weights says it.
fn head_dims(outputs: usize) -> impl Iterator<Item = usize> {
    const LARGEST: usize = 1024;
    (LEAST_HEAD..=outputs.min(LARGEST)).filter(move |&dim| outputs.is_multiple_of(dim))
}

/// Heads of fewer values are in no model.
const LEAST_HEAD: usize = 8;

/// Whether most are as expected.
#[expect(clippy::cast_precision_loss, reason = "counts of channels")]
fn are_close(found: impl ExactSizeIterator<Item = f64>, expected: impl Fn(usize) -> f64) -> bool {
    let all = found.len() as f64;
    let mut counts = CLOSE.map(|_| 0.0);
    let [.., (_, most)] = CLOSE;
    for (index, value) in found.enumerate() {
        let wanted = expected(index);
        let off = (value - wanted).abs();
        for (count, (close, _)) in counts.iter_mut().zip(CLOSE) {
            *count += f64::from(u8::from(off <= close * wanted.abs()));
        }
        // Most vectors are nothing like it, and soon found out.
        let is_far = counts[CLOSE.len() - 1] + (1.0 - most) * all < index as f64;
        if is_far {
            return false;
        }
    }
    counts.iter().zip(CLOSE).all(|(count, (_, share))| *count >= share * all)
}

/// Vectors of both models, read once for each length.
struct Vectors<'a> {
    reference: &'a dyn ParameterSource,
    quantized: &'a dyn ParameterSource,
    known: HashMap<usize, OfLength>,
}

/// All float vectors of a length.
struct OfLength {
    /// Those of the reference.
    all: Vec<Vec<f64>>,
    /// Those that both models have by the same name, of the reference first.
    shared: Vec<[Vec<f64>; 2]>,
}

impl Vectors<'_> {
    fn of(&mut self, len: usize) -> &OfLength {
        self.known.entry(len).or_insert_with(|| {
            let (from, of) = (self.reference.model(), self.quantized.model());
            let (mut all, mut shared) = (Vec::new(), Vec::new());
            let others: Vec<ParameterId> = vectors(of, len).collect();
            for id in vectors(from, len) {
                let Some(values) = read(self.reference, id, len) else { continue };
                let name = &from.parameter(id).name;
                let is_same = |other: &&ParameterId| {
                    let other = &of.parameter(**other).name;
                    plain_name(name) == plain_name(other) || same_tensor(name, other)
                };
                let other = others.iter().find(is_same).and_then(|&other| read(self.quantized, other, len));
                shared.extend(other.map(|other| [values.clone(), other]));
                all.push(values);
            }
            OfLength { all, shared }
        })
    }
}

fn vectors(model: &Model, len: usize) -> impl Iterator<Item = ParameterId> + '_ {
    let is_vector = move |parameter: &Parameter| {
        let is_float = parameter.dtype.class() == DTypeClass::Float && parameter.quantization.is_none();
        is_float && parameter.shape.rank() == 1 && parameter.shape.elements() == len as u64
    };
    model.parameter_ids().filter(move |&id| is_vector(model.parameter(id)))
}

fn read(source: &dyn ParameterSource, id: ParameterId, len: usize) -> Option<Vec<f64>> {
    read_values(source, id, Part::Stored, 0..len as u64).ok()
}

impl OfLength {
    /// Whether what comes before the inputs was divided by their factors.
    fn are_divided_by(&self, factors: &[f64]) -> bool {
        self.shared.iter().any(|[before, after]| {
            are_close(after.iter().zip(factors).map(|(it, by)| it * by), |at| before[at])
        })
    }

    /// Whether factors are those of a normalisation of the reference.
    fn normalise_by(&self, factors: &[f64]) -> bool {
        self.all.iter().any(|variances| {
            EPSILONS.iter().any(|epsilon| {
                let by = |at: usize| 1.0 / (variances[at] + epsilon).sqrt();
                let are_variances = variances.iter().all(|&it| it >= 0.0);
                are_variances
                    && (are_close(factors.iter().copied(), by)
                        || self
                            .all
                            .iter()
                            .any(|gains| are_close(factors.iter().copied(), |at| gains[at] * by(at))))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Factors as methods choose them: around one, none like its neighbours.
    fn factors(count: usize) -> Vec<f64> {
        (0..count).map(|index| ((index * 37 % 101) as f64 / 40.0 - 1.2).exp()).collect()
    }

    /// What the inputs of query heads are multiplied with where value heads of `dim` outputs are shared, and `head` says by whom.
    fn inputs(outputs: &[f64], heads: usize, dim: usize, head: impl Fn(usize) -> usize) -> Gain {
        Gain::Input(
            (0..heads * dim).map(|index| 1.0 / outputs[head(index / dim) * dim + index % dim]).collect(),
        )
    }

    #[test]
    fn heads_that_share_values() {
        // Four value heads, each for three query heads.
        for dim in [8, 16, 24] {
            let values = factors(4 * dim);
            let output = Gain::Output(values.clone());
            let shared = inputs(&values, 12, dim, |head| head / 3);
            assert!(are_inverse(&output, &shared) && are_inverse(&shared, &output), "{dim}");
            // By the order of another model; by one head for all; by as many heads as there are values.
            assert!(!are_inverse(&output, &inputs(&values, 12, dim, |head| 3 - head / 3)), "{dim}");
            assert!(!are_inverse(&output, &inputs(&values, 12, dim, |_| 1)), "{dim}");
            assert!(!are_inverse(&output, &Gain::Input(factors(12 * dim))), "{dim}");
            assert!(are_inverse(&output, &inputs(&values, 4, dim, |head| head)), "{dim}");
        }
        // All query heads share one.
        let values = factors(64);
        assert!(are_inverse(&Gain::Output(values.clone()), &inputs(&values, 6, 64, |_| 0)));
        // Inputs that are no multiple of outputs.
        assert!(!are_inverse(&Gain::Output(values), &Gain::Input(factors(100))));
        assert!(!are_inverse(&Gain::Output(Vec::new()), &Gain::Input(factors(100))));
    }
}
