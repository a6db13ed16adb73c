//! Which parameter of a reference the codes of another model were made of: graphs and names propose, values confirm.

#![expect(clippy::cast_possible_truncation, reason = "indices into what is in memory")]

mod aligned;
mod batch_norm;
mod gains;
mod proposals;
mod sample;
mod score;

use std::collections::{BTreeMap, HashMap, HashSet};

pub(crate) use aligned::{Aligned, pieces};
pub use aligned::{Alignment, Gain, Split};
use batch_norm::BatchNorms;
pub(crate) use gains::fit_gain;
use proposals::{Proposal, propose};
use sample::{Tiles, sample};
use score::{Fit, GOOD_DB, Score, plain_db};

use crate::names::names;
use crate::{DTypeClass, Model, Parameter, ParameterId, ParameterSource, Result, Role};

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
    assign(from, of, found, &mut pairs);
    let used: HashSet<ParameterId> = pairs.pairs.iter().map(|pair| pair.reference).collect();
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

fn is_quantized(parameter: &Parameter) -> bool {
    parameter.quantization.as_ref().is_some_and(|it| it.computed.is_none()) && parameter.shares.is_none()
}

fn is_reference(parameter: &Parameter) -> bool {
    let is_float = parameter.dtype.class() == DTypeClass::Float && parameter.dtype.is_numeric();
    is_float
        && parameter.quantization.is_none()
        && parameter.shares.is_none()
        && parameter.shape.rank() > 0
        && !matches!(parameter.role, Role::Optimizer | Role::Scale | Role::ZeroPoint | Role::RunningStat)
}

/// A parameter of the reference that might be the one.
struct Candidate {
    reference: ParameterId,
    by: MatchedBy,
    fit: Fit,
}

/// Which parameter, where, whether transposed, and the axis and the first position of a part.
type Look = (ParameterId, Tiles, bool, Option<(usize, u64)>);

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
            for (transposed, split) in proposal.ways() {
                let place = split.as_ref().map(|it| (it.axis, it.range.start));
                let look = (proposal.reference, tiles.clone(), transposed, place);
                let numbers = self.look(&look, of.parameter(id), &split, output_axis);
                if numbers.len() == values.len() {
                    let db = plain_db(numbers, values);
                    is_plain |= db >= GOOD_DB && proposal.by != MatchedBy::Value;
                    looks.push((index, db, look, split));
                }
            }
        }
        // Where one is like it without factors, none has any.
        let is_plain = looks.iter().any(|(_, db, ..)| *db >= GOOD_DB);
        let mut best: Vec<Option<Fit>> = proposals.iter().map(|_| None).collect();
        for (index, db, look, split) in looks {
            let transposed = look.2;
            let fit = if is_plain {
                Fit::plain(db, transposed, split)
            } else {
                let score = Score::of(&self.taken[&look], values, tiles);
                score.fit(transposed, split, norms, tiles, output_axis)
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
            candidates.extend(norms.biases().filter(|(_, numbers, _)| numbers.len() == values.len()).map(
                |(reference, numbers, gain)| {
                    let score = Score::of(&numbers, values, tiles);
                    let mut fit = score.fit(false, None, norms, tiles, output_axis);
                    fit.alignment.gain = gain;
                    Candidate { reference, by: MatchedBy::Value, fit }
                },
            ));
        }
        candidates
    }

    /// The numbers of the reference at the places of a sample, which are read once.
    fn look(&mut self, look: &Look, codes: &Parameter, split: &Option<Split>, output_axis: usize) -> &[f64] {
        let (reference, tiles, transposed, _) = look;
        let source = self.reference;
        self.taken.entry(look.clone()).or_insert_with(|| {
            let alignment =
                Alignment { transposed: *transposed, split: split.clone(), ..Alignment::default() };
            let aligned = Aligned {
                source,
                id: *reference,
                alignment: &alignment,
                dims: codes.logical_shape().dims().to_vec(),
                gain_axis: output_axis,
            };
            // What cannot be read is nobody's reference; inspecting it says why.
            tiles.read(&aligned).unwrap_or_default()
        })
    }
}

/// Gives every quantized parameter its reference, those first that are surest.
fn assign(from: &Model, of: &Model, mut found: Vec<(ParameterId, Vec<Candidate>)>, pairs: &mut Pairs) {
    let best =
        |candidates: &[Candidate]| candidates.iter().map(|it| it.fit.db).fold(f64::NEG_INFINITY, f64::max);
    found.sort_by(|(_, one), (_, other)| best(other).total_cmp(&best(one)));
    let mut taken: BTreeMap<ParameterId, Vec<Option<Split>>> = BTreeMap::new();
    for (id, mut candidates) in found {
        let is_free = |candidate: &Candidate| {
            taken.get(&candidate.reference).is_none_or(|splits| {
                candidate.fit.alignment.split.is_some() && !splits.contains(&candidate.fit.alignment.split)
            })
        };
        let all = candidates.len();
        candidates.retain(is_free);
        candidates.sort_by(|one, other| other.fit.db.total_cmp(&one.fit.db));
        let why = match &candidates[..] {
            [] if all == 0 => "the reference has nothing of its size".to_owned(),
            [] => "what it could be made of belongs to others".to_owned(),
            [first, ..] if first.fit.db < LEAST_DB => format!(
                "nothing of its size is like it: at best {}, at {:.1} dB",
                from.parameter(first.reference).name,
                first.fit.db
            ),
            all => {
                let close = all
                    .iter()
                    .take_while(|it| it.fit.db > all[0].fit.db - MARGIN_DB && it.fit.db >= LEAST_DB);
                let close: Vec<&Candidate> = close.collect();
                // Where values do not tell them apart, names and graphs may.
                let chosen = match &close[..] {
                    [only] => Some(*only),
                    several => several
                        .iter()
                        .min_by_key(|it| it.by as u8)
                        .filter(|first| {
                            first.by != MatchedBy::Value
                                && several.iter().filter(|it| it.by == first.by).count() == 1
                        })
                        .copied(),
                };
                match chosen {
                    Some(chosen) => {
                        let split = chosen.fit.alignment.split.clone();
                        taken.entry(chosen.reference).or_default().push(split);
                        pairs.pairs.push(Pair {
                            reference: chosen.reference,
                            quantized: id,
                            matched_by: chosen.by,
                            alignment: chosen.fit.alignment.clone(),
                            output_axis: output_axis(of, of.parameter(id)),
                        });
                        continue;
                    }
                    None => format!(
                        "ambiguous: {} and {} are both like it",
                        from.parameter(close[0].reference).name,
                        from.parameter(close[1].reference).name
                    ),
                }
            }
        };
        pairs.quantized.push(Unmatched { parameter: id, why });
    }
    pairs.pairs.sort_by_key(|pair| pair.quantized);
}

/// The axis that the outputs of a weight lie along.
pub(crate) fn output_axis(model: &Model, parameter: &Parameter) -> usize {
    let rank = parameter.logical_shape().rank();
    let op = parameter.layer.and_then(|layer| model.layer(layer).op.as_deref());
    match op {
        Some("ConvTranspose") if rank > 1 => 1,
        Some("MatMul" | "MatMulInteger" | "QLinearMatMul") if rank > 1 => rank - 1,
        _ => 0,
    }
}
