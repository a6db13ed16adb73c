//! The errors of all pairs that importance is listed for.

use std::ops::ControlFlow;

use super::{Importance, InputWeights, Listed};
use crate::fidelity::{Compared, Weighted, weigh};
use crate::pairing::Pair;
use crate::parallel::for_each_job;
use crate::{Error, Model, Result};

/// Errors once more, of the pairs that importance is listed for.
pub(crate) fn weigh_all(
    importance: &Importance,
    [from, of]: [&Model; 2],
    pairs: &[Pair],
    compared: &[Result<Compared<'_>>],
    threads: usize,
) -> Result<Vec<Option<Result<Weighted>>>> {
    let listed = Listed::of(importance);
    let weights: Vec<Option<InputWeights>> =
        pairs.iter().map(|pair| InputWeights::of(&listed, from, of, pair)).collect::<Result<_>>()?;
    if weights.iter().all(Option::is_none) && !pairs.is_empty() {
        let message =
            format!("none of the {} names that importance is listed for is a weight of it", importance.len());
        return Err(Error::not_found(message));
    }
    let jobs: Vec<_> = (0..)
        .zip(compared.iter().zip(&weights))
        .filter_map(|(slot, (compared, weights))| Some((slot, compared.as_ref().ok()?, weights.as_ref()?)))
        .flat_map(|(slot, compared, weights)| {
            compared.pieces().map(move |range| (slot, compared, weights, range))
        })
        .collect();
    let goes_on = |_| ControlFlow::Continue(());
    let pieces = for_each_job(
        threads,
        &jobs,
        |_| 0,
        &goes_on,
        |(_, compared, weights, range)| weigh(compared, weights, range.clone()),
    )?;
    let mut all: Vec<Option<Result<Weighted>>> = vec![None; compared.len()];
    for ((slot, ..), piece) in jobs.iter().zip(pieces) {
        let slot: &mut Option<Result<Weighted>> = &mut all[*slot];
        match (slot.get_or_insert_with(|| Ok(Weighted::default())), piece) {
            (Ok(sum), Ok(piece)) => sum.merge(piece),
            (Err(_), _) => {}
            (_, Err(error)) => *slot = Some(Err(error)),
        }
    }
    Ok(all)
}
