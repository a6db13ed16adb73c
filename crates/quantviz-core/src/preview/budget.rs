//! The best scheme for each weight within a budget of bits.

use super::{PreviewedScheme, PreviewedWeight, as_f64};
use crate::{Error, Result};

/// One scheme for every weight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// For each weight, the index of its scheme; `None` for one that cannot be read.
    pub schemes: Vec<Option<usize>>,
    /// The bits that each weight takes then, on average.
    pub bits_per_weight: f64,
    /// The mean noise-to-signal ratio, each weight counting with its numbers.
    pub noise_to_signal: f64,
    /// What no choice can do better than: weights would have to be parted between schemes.
    pub least_noise_to_signal: f64,
}

impl Choice {
    /// The signal-to-noise ratio; `None` where nothing is lost.
    pub fn sqnr_db(&self) -> Option<f64> {
        decibels(self.noise_to_signal)
    }

    /// What it cannot exceed.
    pub fn bound_sqnr_db(&self) -> Option<f64> {
        decibels(self.least_noise_to_signal)
    }
}

/// The signal-to-noise ratio in decibels; `None` where nothing is lost.
pub fn decibels(noise_to_signal: f64) -> Option<f64> {
    (noise_to_signal > 0.0).then(|| -10.0 * noise_to_signal.log10())
}

/// What one scheme costs a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Item {
    bits: u64,
    loss: f64,
}

/// Schemes that take little, by what they are called.
const SMALL: [&str; 2] = ["int4-block128", "int2-block32"];

/// Steps that the budget is divided into: costs are rounded up to these.
const STEPS: u64 = 50_000;

/// Chooses schemes so that all weights together take `target_bits` bits for each number at most, and lose the least. A
/// dynamic programme, which finds the best there is.
///
/// # Errors
/// Where the smallest schemes take more than that.
pub fn choose(previewed: &[PreviewedWeight], target_bits: f64) -> Result<Choice> {
    let readable = || previewed.iter().filter(|weight| !weight.schemes.is_empty());
    let numbers = as_f64(readable().map(|weight| weight.elements).sum::<u64>().max(1));
    let weights: Vec<Vec<Item>> =
        readable().map(|weight| weight.schemes.iter().map(PreviewedScheme::item).collect()).collect();
    let least: u64 = weights.iter().flat_map(|items| items.iter().map(|item| item.bits).min()).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole bits of a budget")]
    let budget = (target_bits * numbers).max(0.0) as u64;
    if least > budget {
        let least = (as_f64(least) / numbers * 1000.0).ceil() / 1000.0;
        let of_first = readable().next().into_iter().flat_map(|weight| &weight.schemes);
        let names: Vec<String> = of_first.map(|it| it.scheme.to_string()).collect();
        let smaller: Vec<&str> = SMALL.into_iter().filter(|name| names.iter().all(|it| it != name)).collect();
        let message = format!(
            "with {} it takes {least} bits per weight at least, not {target_bits}: allow as many, or add a smaller scheme such as {}",
            names.join(", "),
            smaller.join(" or ")
        );
        return Err(Error::unsupported(message));
    }
    let mut chosen = best(&weights, least, budget).into_iter();
    let schemes: Vec<Option<usize>> =
        previewed.iter().map(|weight| if weight.schemes.is_empty() { None } else { chosen.next() }).collect();
    let taken = || previewed.iter().zip(&schemes).filter_map(|(weight, &index)| weight.schemes.get(index?));
    Ok(Choice {
        bits_per_weight: as_f64(taken().map(|scheme| scheme.bits).sum()) / numbers,
        noise_to_signal: PreviewedScheme::mean_noise_to_signal(taken()),
        least_noise_to_signal: least_loss(&weights, budget) / numbers,
        schemes,
    })
}

impl PreviewedScheme {
    fn item(&self) -> Item {
        Item { bits: self.bits, loss: as_f64(self.elements) * self.noise_to_signal() }
    }
}

/// The items that lose least within the budget. What the smallest take is counted exactly, and what others take beyond
/// that in steps: so the smallest always fit, and many weights do not add up what rounding makes of each.
fn best(weights: &[Vec<Item>], least: u64, budget: u64) -> Vec<usize> {
    let steps = |bits: u64| u128::from(bits) * u128::from(STEPS);
    let whole = |steps: u128| usize::try_from(steps).unwrap_or(usize::MAX);
    let budget_bits = u128::from(budget.max(1));
    let room = whole(steps(budget - least) / budget_bits);
    let in_steps = |items: &Vec<Item>| -> Vec<Step> {
        let smallest = items.iter().map(|item| item.bits).min().unwrap_or(0);
        let cost = |item: &Item| whole(steps(item.bits - smallest).div_ceil(budget_bits));
        items.iter().map(|item| Step { cost: cost(item), loss: item.loss }).collect()
    };
    let weights: Vec<Vec<Step>> = weights.iter().map(in_steps).collect();
    let mut chosen = Vec::with_capacity(weights.len());
    choose_within(&weights, room, &mut chosen);
    chosen
}

/// An item whose cost is in steps.
#[derive(Clone, Copy)]
struct Step {
    cost: usize,
    loss: f64,
}

/// Chooses for each half what it loses least with, the room divided between them so that both together do. To remember
/// each choice for each room would take far more memory than to work twice.
fn choose_within(weights: &[Vec<Step>], room: usize, chosen: &mut Vec<usize>) {
    match weights {
        [] => {}
        [items] => {
            let fitting = items.iter().enumerate().filter(|(_, item)| item.cost <= room);
            // Of equals, the smaller.
            let best = fitting.min_by(|(_, a), (_, b)| a.loss.total_cmp(&b.loss).then(a.cost.cmp(&b.cost)));
            chosen.push(best.map_or(0, |(index, _)| index));
        }
        _ => {
            let (front, back) = weights.split_at(weights.len() / 2);
            let (front_losses, back_losses) = (least_losses(front, room), least_losses(back, room));
            let both = |front_room: &usize| front_losses[*front_room] + back_losses[room - front_room];
            let front_room = (0..=room).min_by(|a, b| both(a).total_cmp(&both(b))).unwrap_or(0);
            choose_within(front, front_room, chosen);
            choose_within(back, room - front_room, chosen);
        }
    }
}

/// What weights lose at least, for every room up to `most`.
fn least_losses(weights: &[Vec<Step>], most: usize) -> Vec<f64> {
    let mut losses = vec![0.0; most + 1];
    for items in weights {
        let mut with = vec![f64::INFINITY; most + 1];
        for item in items.iter().filter(|item| item.cost <= most) {
            for (with, before) in with[item.cost..].iter_mut().zip(&losses) {
                let loss = before + item.loss;
                *with = if loss < *with { loss } else { *with };
            }
        }
        losses = with;
    }
    losses
}

/// What would be lost if weights could be parted between schemes: the best steps first, until the budget is used up.
fn least_loss(weights: &[Vec<Item>], budget: u64) -> f64 {
    let (mut bits, mut loss, mut all_steps) = (0.0, 0.0, Vec::new());
    for items in weights {
        let hull = lower_hull(items);
        let Some(smallest) = hull.first() else { continue };
        bits += as_f64(smallest.bits);
        loss += smallest.loss;
        all_steps.extend(
            hull.windows(2).map(|pair| (as_f64(pair[1].bits - pair[0].bits), pair[0].loss - pair[1].loss)),
        );
    }
    all_steps.sort_by(|a, b| (b.1 / b.0).total_cmp(&(a.1 / a.0)));
    let mut room = as_f64(budget) - bits;
    for (cost, gain) in all_steps {
        let share = (room / cost).clamp(0.0, 1.0);
        loss -= gain * share;
        room -= cost * share;
    }
    loss.max(0.0)
}

/// The items that mixtures of others do not beat, from the smallest up.
fn lower_hull(items: &[Item]) -> Vec<Item> {
    let mut sorted = items.to_vec();
    sorted.sort_by(|a, b| a.bits.cmp(&b.bits).then(a.loss.total_cmp(&b.loss)));
    let mut hull: Vec<Item> = Vec::new();
    for item in sorted {
        if hull.last().is_some_and(|last| item.bits == last.bits || item.loss >= last.loss) {
            continue;
        }
        while let [.., before, last] = hull[..]
            && (before.loss - last.loss) * as_f64(item.bits - before.bits)
                <= (before.loss - item.loss) * as_f64(last.bits - before.bits)
        {
            hull.pop();
        }
        hull.push(item);
    }
    hull
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn totals(weights: &[Vec<Item>], chosen: &[usize]) -> (u64, f64) {
        let items = || weights.iter().zip(chosen).map(|(items, &index)| items[index]);
        (items().map(|item| item.bits).sum(), items().map(|item| item.loss).sum())
    }

    fn least_bits(weights: &[Vec<Item>]) -> u64 {
        weights.iter().flat_map(|items| items.iter().map(|item| item.bits).min()).sum()
    }

    /// Every choice there is.
    fn by_trying(weights: &[Vec<Item>], budget: u64) -> f64 {
        let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
        for items in weights {
            let longer = |choice: Vec<usize>| {
                (0..items.len()).map(move |index| choice.iter().copied().chain([index]).collect())
            };
            choices = choices.into_iter().flat_map(longer).collect();
        }
        let within = choices.iter().map(|choice| totals(weights, choice)).filter(|(bits, _)| *bits <= budget);
        within.map(|(_, loss)| loss).fold(f64::INFINITY, f64::min)
    }

    fn weights(most_bits: u64) -> impl Strategy<Value = Vec<Vec<Item>>> {
        let item = (1..most_bits, 0.0..10.0f64).prop_map(|(bits, loss)| Item { bits, loss });
        vec(vec(item, 1..5), 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// A budget of as many bits as there are steps: nothing is rounded.
        #[test]
        fn no_choice_is_better(weights in weights(25_000)) {
            let (budget, least) = (STEPS, least_bits(&weights));
            prop_assume!(least <= budget);
            let (bits, loss) = totals(&weights, &best(&weights, least, budget));
            prop_assert!(bits <= budget);
            let expected = by_trying(&weights, budget);
            prop_assert!((loss - expected).abs() < 1e-9, "{loss} instead of {expected}");
            prop_assert!(least_loss(&weights, budget) <= expected + 1e-9);
        }

        /// Of any other, what is chosen fits, and the bound holds; with all the room there is, it is reached.
        #[test]
        fn what_is_chosen_fits(weights in weights(1 << 40), share in 0.0..1.5f64) {
            let least = least_bits(&weights);
            let most: u64 = weights.iter().flat_map(|items| items.iter().map(|item| item.bits).max()).sum();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
            let budget = least + (as_f64(most - least) * share) as u64;
            let (bits, loss) = totals(&weights, &best(&weights, least, budget));
            let (bound, expected) = (least_loss(&weights, budget), by_trying(&weights, budget));
            prop_assert!(bits <= budget);
            prop_assert!(bound <= expected + 1e-9 && expected <= loss + 1e-9, "{bound} {expected} {loss}");
            if share > 1.01 {
                prop_assert!(loss - bound < 1e-9, "{loss} {bound}");
            }
        }
    }

    #[test]
    fn the_smallest_fit_however_tight_the_budget() {
        // A third of a step too much for each would be too much for all.
        let items = vec![Item { bits: 100_001, loss: 1.0 }, Item { bits: 900_000, loss: 0.0 }];
        let weights = vec![items; 1000];
        let least = least_bits(&weights);
        assert_eq!(best(&weights, least, least), vec![0; 1000]);
    }
}
