//! One reference for every quantized parameter, those first that are surest.

use std::collections::BTreeMap;

use super::batch_norm::Evidence;
use super::score::Fit;
use super::{LEAST_DB, MARGIN_DB, MatchedBy, Pair, Pairs, Split, Unmatched, output_axis};
use crate::{Model, ParameterId};

/// A parameter of the reference that might be the one.
pub(super) struct Candidate {
    pub(super) reference: ParameterId,
    pub(super) by: MatchedBy,
    pub(super) fit: Fit,
}

/// Gives every quantized parameter its reference, those first that are surest, and tells what speaks for which ε.
pub(super) fn assign(
    from: &Model,
    of: &Model,
    mut found: Vec<(ParameterId, Vec<Candidate>)>,
    pairs: &mut Pairs,
) -> Evidence {
    let mut evidence = Evidence::default();
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
        // A matrix may have been quantized twice, as that of a vocabulary is for both ends of a model.
        let is_matrix = of.parameter(id).logical_shape().rank() > 1;
        candidates.retain(|candidate| is_matrix || is_free(candidate));
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
                let mut close: Vec<&Candidate> = close.collect();
                if close.iter().any(|it| is_free(it)) {
                    close.retain(|it| is_free(it));
                }
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
                        evidence.add(&chosen.fit.evidence);
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
    evidence
}
