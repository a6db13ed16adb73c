//! Who holds which part of which parameter, of several ranks that train one model together.
//!
//! A parameter of one name may be whole in several ranks (they train on different data), it may be shared out among them, or only
//! one of them may have it. Which of these it is:
//!
//! 1. Where plans say which [`Shard`] each rank has, the same shard in two ranks is the same part, and another one another part.
//! 2. Where they do not, parameters of different shapes are different parts.
//! 3. Of one shape, what was recorded tells: where both have looked at all elements of the same step, or moved by the same step,
//!    and do not say the same, they are different parts.
//! 4. What nothing tells apart is the same thing twice, and counts once.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::plan::{PlanHeader, PlannedParameter};
use super::quantity::Quantity;
use super::statistics::Statistics;
use crate::{Error, Result};

/// Which part of a parameter a rank has, where several share it out: along an axis, in the order of the parts.
///
/// ```
/// use quantviz_core::Shard;
///
/// let columns = Shard::new(1, 4)?.along(1);
/// assert_eq!((columns.index(), columns.of(), columns.axis()), (1, 4, 1));
/// assert!(Shard::new(4, 4).is_err());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shard {
    index: u32,
    of: u32,
    #[serde(default)]
    axis: u32,
}

impl Shard {
    /// As many ranks as there may be.
    const MOST: u32 = 1 << 16;

    /// The part with an index, counted from zero, of so many, along the first axis.
    ///
    /// # Errors
    /// Where there is no such part.
    pub fn new(index: u32, of: u32) -> Result<Self> {
        if index < of && of <= Self::MOST {
            return Ok(Shard { index, of, axis: 0 });
        }
        let message = format!("there is no part {index} of {of}, counted from 0 to {}", Self::MOST - 1);
        Err(Error::malformed(message))
    }

    /// The parts lie side by side along this axis.
    #[must_use]
    pub fn along(self, axis: u32) -> Self {
        Shard { axis, ..self }
    }

    /// Which part, counted from zero.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// The axis along which they lie side by side.
    pub fn axis(self) -> u32 {
        self.axis
    }
}

/// A parameter in one of the plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which plan.
    pub(super) side: usize,
    /// Where in it.
    pub(super) at: usize,
}

/// What a rank knows of its parameters.
pub(super) struct Known<'a> {
    pub(super) plan: &'a PlanHeader,
    pub(super) statistics: &'a Statistics,
    /// The step that they are of.
    pub(super) step: u64,
}

/// Who holds a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The parts that there are, each with those who hold it.
    pub(super) parts: Vec<Vec<Place>>,
    /// How many parts there would have to be.
    pub(super) of: u32,
    /// By which part it is said to be, the place among `parts`.
    said: HashMap<u32, usize>,
}

/// Who holds what, in the order of the first plan, and behind that what only later ones have.
pub(super) fn held(sides: &[Known<'_>]) -> Vec<Held> {
    let mut all: Vec<Held> = Vec::new();
    // A plan may have a name twice: the second of it is not the first.
    let mut by_name: HashMap<(&str, usize), usize> = HashMap::new();
    for (side, known) in sides.iter().enumerate() {
        let mut occurred: HashMap<&str, usize> = HashMap::new();
        for (at, parameter) in known.plan.parameters.iter().enumerate() {
            let occurrence = occurred.entry(&parameter.name).or_default();
            let held = *by_name.entry((&parameter.name, *occurrence)).or_insert_with(|| {
                all.push(Held { parts: Vec::new(), of: 1, said: HashMap::new() });
                all.len() - 1
            });
            *occurrence += 1;
            all[held].add(sides, Place { side, at });
        }
    }
    all
}

impl Held {
    fn add(&mut self, sides: &[Known<'_>], place: Place) {
        let shard = planned(sides, place).and_then(|it| it.shard);
        let part = match shard {
            Some(shard) => self.said.get(&shard.index).copied(),
            // Whoever is like the first of a part is like all of them.
            None => {
                self.parts.iter().position(|part| part.first().is_some_and(|&it| !differ(sides, it, place)))
            }
        };
        match part {
            Some(part) => self.parts[part].push(place),
            None => {
                shard.map(|it| self.said.insert(it.index, self.parts.len()));
                self.parts.push(vec![place]);
            }
        }
        self.of =
            self.of.max(shard.map_or(1, Shard::of)).max(u32::try_from(self.parts.len()).unwrap_or(u32::MAX));
    }

    /// Whether it is shared out.
    pub(super) fn is_in_parts(&self) -> bool {
        self.of > 1
    }

    /// The shape of the whole. A part that nobody has recorded counts as the first one does; where parts do not fit together
    /// along an axis, all elements stand in a row.
    pub(super) fn shape(&self, sides: &[Known<'_>]) -> Vec<u64> {
        let all: Vec<&PlannedParameter> =
            self.parts.iter().filter_map(|part| planned(sides, *part.first()?)).collect();
        let Some(first) = all.first() else { return Vec::new() };
        if !self.is_in_parts() {
            return first.shape.clone();
        }
        let missing = u64::from(self.of).saturating_sub(all.len() as u64);
        let sum = |of: &dyn Fn(&PlannedParameter) -> u64| {
            let known = all.iter().map(|it| of(it)).fold(0, u64::saturating_add);
            known.saturating_add(of(first).saturating_mul(missing))
        };
        let differs = |axis: &usize| all.iter().any(|it| it.shape.get(*axis) != first.shape.get(*axis));
        let axis = match first.shard {
            Some(shard) => shard.axis as usize,
            None => (0..first.shape.len()).find(differs).unwrap_or(0),
        };
        let fits = all.iter().all(|it| it.shape.len() == first.shape.len())
            && axis < first.shape.len()
            && (0..first.shape.len()).filter(|it| *it != axis).all(|it| !differs(&it));
        if !fits {
            return vec![sum(&|it| it.elements())];
        }
        let mut shape = first.shape.clone();
        shape[axis] = sum(&|it| it.shape[axis]);
        shape
    }
}

fn planned<'a>(sides: &[Known<'a>], place: Place) -> Option<&'a PlannedParameter> {
    sides.get(place.side)?.plan.parameters.get(place.at)
}

/// Whether two ranks have different parts of a parameter, of which nobody said which part it is. See the top of this file.
fn differ(sides: &[Known<'_>], one: Place, two: Place) -> bool {
    let (Some(a), Some(b)) = (planned(sides, one), planned(sides, two)) else { return false };
    if a.shape != b.shape {
        return true;
    }
    let (a, b) = (&sides[one.side], &sides[two.side]);
    if a.step != b.step {
        return false;
    }
    let value = |quantity| {
        let both = a.statistics.value(quantity, one.at).zip(b.statistics.value(quantity, two.at));
        both.filter(|(a, b)| a.is_finite() && b.is_finite())
    };
    let is_whole = value(Quantity::Coverage).is_some_and(|(a, b)| a >= 1.0 && b >= 1.0)
        && value(Quantity::AsOf).is_some_and(|(a, b)| a == b);
    let of_weights = [Quantity::Min, Quantity::Max, Quantity::Mean, Quantity::Std];
    let size = of_weights[..2]
        .iter()
        .filter_map(|&it| value(it))
        .fold(0.0f64, |size, (a, b)| size.max(a.abs()).max(b.abs()));
    let is_other = |quantity: &Quantity, size: f64| {
        value(*quantity).is_some_and(|(a, b)| (a - b).abs() > SAME * size.max(a.abs()).max(b.abs()))
    };
    is_whole && of_weights.iter().any(|it| is_other(it, size)) || is_other(&Quantity::UpdateRatio, 0.0)
}

/// Ranks that add up in another order come to the same within this share.
const SAME: f64 = 1e-5;
