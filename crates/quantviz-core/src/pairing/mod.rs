//! Which parameter of a reference the codes of another model were made of: graphs and names propose, values confirm.

#![expect(clippy::cast_possible_truncation, reason = "indices into what is in memory")]
#![expect(clippy::cast_precision_loss, reason = "counts of what is in memory")]

mod aligned;
mod assign;
mod axes;
mod batch_norm;
mod gains;
mod gguf_names;
mod merged;
mod norms;
mod proposals;
mod sample;
mod score;
mod stacked;
mod taken_back;

use std::collections::{HashMap, HashSet};

use aligned::Way;
pub(crate) use aligned::{Aligned, pieces};
pub use aligned::{Alignment, Gain, Split};
use assign::{Candidate, assign};
pub(crate) use axes::set_axes;
use batch_norm::BatchNorms;
pub(crate) use gains::fit_gain;
pub(crate) use gguf_names::gguf_names_of;
pub use proposals::plain_name;
use proposals::{Proposal, propose};
use sample::{Tiles, sample};
use score::{Fit, GOOD_DB, Score, plain_db};
pub(crate) use taken_back::are_taken_back;

use crate::names::names;
use crate::{DTypeClass, Encoding, Model, Parameter, ParameterId, ParameterSource, Result, Role};

names! {
    /// What made two parameters a pair before their values confirmed it.
    MatchedBy {
        /// The same operation, in the same place of both graphs.
        Graph "graph";
        /// The same name, but for what quantizers add to names.
        Name "name";
        /// Nothing but their values.
        Value "value";
    }
}

/// A quantized parameter, and the one that it was made of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pair {
    /// In the reference.
    pub reference: ParameterId,
    /// In the quantized model.
    pub quantized: ParameterId,
    /// What spoke for them first.
    pub matched_by: MatchedBy,
    /// How the reference lies beside the codes.
    pub alignment: Alignment,
    /// The axis of the codes that outputs lie along.
    pub output_axis: usize,
}

/// A parameter without its counterpart.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unmatched {
    /// Which one.
    pub parameter: ParameterId,
    /// Why, in a few words.
    pub why: String,
}

/// Who belongs to whom.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Pairs {
    /// The pairs, in the order of the quantized model.
    pub pairs: Vec<Pair>,
    /// Weights of the reference that nothing was made of.
    pub reference: Vec<Unmatched>,
    /// Quantized parameters that nothing of the reference explains.
    pub quantized: Vec<Unmatched>,
}

impl Pairs {
    /// Everything of the reference that something was made of.
    fn used(&self) -> HashSet<ParameterId> {
        self.pairs
            .iter()
            .flat_map(|pair| pair.alignment.merged.iter().copied().chain([pair.reference]))
            .collect()
    }
}

/// Decibels that a pair has to reach on a sample, and by which it has to be better than any other.
const LEAST_DB: f64 = 3.0;
const MARGIN_DB: f64 = 6.0;

/// Finds the parameters of `reference` that the quantized ones of `quantized` were made of.
pub fn pair(
    reference: &(dyn ParameterSource + Sync),
    quantized: &(dyn ParameterSource + Sync),
) -> Result<Pairs> {
    let (of, from) = (quantized.model(), reference.model());
    let codes: Vec<ParameterId> = of.parameter_ids().filter(|&id| is_quantized(of.parameter(id))).collect();
    let numbers: Vec<ParameterId> =
        from.parameter_ids().filter(|&id| is_reference(from.parameter(id))).collect();
    let norms = BatchNorms::of(reference);
    let mut samples = Samples { reference, taken: HashMap::new() };
    let mut found: Vec<(ParameterId, Vec<Candidate>)> = Vec::new();
    let mut pairs = Pairs::default();
    for &id in &codes {
        let tiles = Tiles::of(of.parameter(id).logical_shape());
        match sample(quantized, id, &tiles) {
            Err(error) => {
                let why = format!("its values cannot be read: {}", error.message());
                pairs.quantized.push(Unmatched { parameter: id, why });
            }
            Ok(values) => {
                let proposals = propose(from, of, id, &numbers);
                let candidates = samples.candidates(of, id, &tiles, &values, &proposals, &norms);
                found.push((id, candidates));
            }
        }
    }
    let evidence = assign(from, of, found, &mut pairs);
    norms.settle(&mut pairs.pairs, &evidence);
    samples.find_merged(quantized, &numbers, &mut pairs);
    let used = pairs.used();
    for id in numbers {
        let parameter = from.parameter(id);
        if matches!(parameter.role, Role::Weight | Role::Embedding)
            && parameter.shares.is_none()
            && !used.contains(&id)
        {
            let why = "nothing quantized was made of it".to_owned();
            pairs.reference.push(Unmatched { parameter: id, why });
        }
    }
    pairs.quantized.sort_by_key(|unmatched| unmatched.parameter);
    Ok(pairs)
}

/// Packed zero-points have a description of their own, but were made of nothing.
fn is_quantized(parameter: &Parameter) -> bool {
    parameter.quantization.as_ref().is_some_and(|it| it.computed.is_none())
        && parameter.shares.is_none()
        && !matches!(parameter.role, Role::Scale | Role::ZeroPoint)
}

fn is_reference(parameter: &Parameter) -> bool {
    let is_float = parameter.dtype.class() == DTypeClass::Float && parameter.dtype.is_numeric();
    is_float
        && parameter.quantization.is_none()
        && parameter.shares.is_none()
        && parameter.shape.rank() > 0
        && !matches!(parameter.role, Role::Optimizer | Role::Scale | Role::ZeroPoint | Role::RunningStat)
}

/// Which parameter, where, and how it lies.
type Look = (ParameterId, Tiles, Way);

/// Values of the reference, each place looked at once.
struct Samples<'a> {
    reference: &'a (dyn ParameterSource + Sync),
    taken: HashMap<Look, Vec<f64>>,
}

impl Samples<'_> {
    fn candidates(
        &mut self,
        of: &Model,
        id: ParameterId,
        tiles: &Tiles,
        values: &[f64],
        proposals: &[Proposal],
        norms: &BatchNorms,
    ) -> Vec<Candidate> {
        let output_axis = output_axis(of, of.parameter(id));
        // Every way of every proposal, as it is: that is quick. Where a graph or a name is right, others need no look.
        let mut looks = Vec::new();
        let mut is_plain = false;
        let mut by_place: Vec<(usize, &Proposal)> = proposals.iter().enumerate().collect();
        by_place.sort_by_key(|(_, proposal)| proposal.by as u8);
        for (index, proposal) in by_place {
            if is_plain && proposal.by == MatchedBy::Value {
                break;
            }
            for way in proposal.ways() {
                let look = (proposal.reference, tiles.clone(), way);
                let numbers = self.look(&look, of.parameter(id).logical_shape().dims(), output_axis);
                if numbers.len() == values.len() {
                    let db = plain_db(numbers, values);
                    is_plain |= db >= GOOD_DB && proposal.by != MatchedBy::Value;
                    looks.push((index, db, look));
                }
            }
        }
        // Where one is like it without factors, none has any that would have to be fitted.
        let outputs = of.parameter(id).logical_shape().dims().get(output_axis);
        let is_plain = looks.iter().any(|(_, db, ..)| *db >= GOOD_DB)
            && outputs.is_none_or(|&outputs| !norms.may_be_folded(outputs));
        let mut best: Vec<Option<Fit>> = proposals.iter().map(|_| None).collect();
        for (index, db, look) in looks {
            let fit = if is_plain {
                Fit::plain(db, look.2)
            } else {
                let score = Score::of(&self.taken[&look], values, tiles);
                score.fit(look.2, norms, tiles, output_axis)
            };
            if best[index].as_ref().is_none_or(|best| fit.db > best.db) {
                best[index] = Some(fit);
            }
        }
        let candidate = |(proposal, fit): (&Proposal, Option<Fit>)| {
            fit.map(|fit| Candidate { reference: proposal.reference, by: proposal.by, fit })
        };
        let mut candidates: Vec<Candidate> = proposals.iter().zip(best).filter_map(candidate).collect();
        if of.parameter(id).logical_shape().rank() == 1 {
            for (reference, explained) in norms.explain_bias(values) {
                let fit = Fit::folded(explained, Way::default());
                match candidates.iter_mut().find(|it| it.reference == reference) {
                    Some(candidate) if candidate.fit.db >= fit.db => {}
                    Some(candidate) => candidate.fit = fit,
                    None => candidates.push(Candidate { reference, by: MatchedBy::Value, fit }),
                }
            }
        }
        candidates
    }

    /// The numbers of the reference at the places of a sample, which are read once.
    fn look(&mut self, look: &Look, dims: &[u64], output_axis: usize) -> &[f64] {
        let (reference, tiles, way) = look;
        let source = self.reference;
        self.taken.entry(look.clone()).or_insert_with(|| {
            let alignment = way.clone().into();
            let aligned = Aligned {
                source,
                id: *reference,
                alignment: &alignment,
                dims: dims.to_vec(),
                gain_axis: output_axis,
            };
            // What cannot be read is nobody's reference; inspecting it says why.
            tiles.read(&aligned).unwrap_or_default()
        })
    }
}

/// The axis that the outputs of a weight lie along.
pub(crate) fn output_axis(model: &Model, parameter: &Parameter) -> usize {
    if let Some(axis) =
        parameter.output_axis.filter(|_| parameter.logical_shape().rank() == parameter.shape.rank())
    {
        return axis;
    }
    let rank = parameter.logical_shape().rank();
    let encoding = parameter.quantization.as_ref().map(|it| it.encoding);
    if rank > 1 && matches!(encoding, Some(Encoding::Gptq | Encoding::Awq)) {
        return rank - 1;
    }
    let op = parameter.layer.and_then(|layer| model.layer(layer).op.as_deref());
    match op {
        Some("ConvTranspose") if rank > 1 => 1,
        Some(
            "MatMul"
            | "MatMulInteger"
            | "QLinearMatMul"
            | "DynamicQuantizeMatMul"
            | "MatMulIntegerToFloat"
            | "Attention"
            | "QAttention",
        ) if rank > 1 => rank - 1,
        _ => 0,
    }
}
