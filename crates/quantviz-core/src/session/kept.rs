//! What the snapshots of a step have beside statistics, where they were kept whole: histograms and samples.

use super::at_step::ModelAtStep;
use super::plan::Plan;
use super::quantity::Quantity;
use super::reading::RankSnapshot;
use super::statistics::Statistics;
use super::together::{PartsRecorded, Side};
use crate::{Error, ParameterId, Result, bf16};

/// How the values of a parameter are spread, on the grid of the plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedHistogram {
    /// The left edge of the first bin; it has smaller values too.
    pub low: f64,
    /// The right edge of the last bin; it has larger values too.
    pub high: f64,
    /// The share of values in each bin, to three digits.
    pub shares: Vec<f64>,
    /// How many elements were counted, where the plan says it.
    pub elements: Option<u64>,
    /// Elements that there are.
    pub of: u64,
    /// The step at which they were looked at.
    pub as_of: u64,
    /// The parts that it is of, where ranks share the parameter out. It is of the first of them alone where they were not counted on
    /// grids that fit each other.
    pub parts: Option<PartsRecorded>,
}

impl RecordedHistogram {
    /// The same in fewer bins, each of which has as many of those that were recorded.
    ///
    /// # Errors
    /// Where those that were recorded do not come together into so many.
    pub fn in_bins(self, bins: usize) -> Result<Self> {
        let recorded = self.shares.len();
        let each = recorded.checked_div(bins).filter(|each| each * bins == recorded && *each > 0);
        let Some(each) = each else {
            let possible = (1..=recorded).rev().filter(|it| recorded.is_multiple_of(*it));
            let possible: Vec<String> = possible.map(|it| it.to_string()).collect();
            let message = format!(
                "{recorded} bins were recorded, which cannot be made into {bins}; ask for {}",
                possible.join(", ")
            );
            return Err(Error::unsupported(message));
        };
        let shares = self.shares.chunks(each).map(|some| some.iter().sum()).collect();
        Ok(RecordedHistogram { shares, ..self })
    }
}

/// Some elements of a parameter, the same ones in every snapshot.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedSample {
    /// Which ones, in row-major order.
    pub at: Vec<u64>,
    /// Their values, rounded to [`bf16`] when they were recorded; not a number where they could not be read.
    pub values: Vec<f32>,
    /// Elements that there are.
    pub of: u64,
}

/// The histogram of a parameter, or of a part of one.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    low: f64,
    width: f64,
    shares: Vec<f64>,
    elements: u64,
    counted: Option<u64>,
    as_of: u64,
}

impl ModelAtStep {
    /// How the values of a parameter are spread; `None` where that was not recorded, or thinned since.
    pub fn histogram(&self, id: ParameterId) -> Option<RecordedHistogram> {
        let parts = self.reading().places(id.index());
        let mut counted =
            parts.iter().filter_map(|part| part.iter().find_map(|&(side, at)| Counted::known(side, at)));
        let first = counted.next()?;
        let (mut merged, mut count) = (first.clone(), 1);
        for part in counted {
            match merged.with(&part) {
                Some(both) => (merged, count) = (both, count + 1),
                None => {
                    (merged, count) = (first, 1);
                    break;
                }
            }
        }
        let planned = self.reading().catalogue().parameters.get(id.index())?;
        #[expect(clippy::cast_precision_loss, reason = "a few bins")]
        let high = merged.low + merged.width * merged.shares.len() as f64;
        Some(RecordedHistogram {
            low: merged.low,
            high,
            shares: merged.shares,
            elements: merged.counted,
            of: planned.elements(),
            as_of: merged.as_of,
            parts: self.parts(id).map(|parts| PartsRecorded::new(count, parts.of)),
        })
    }

    /// The elements of a parameter that were sampled at this step; `None` where none were, or they were thinned since, or
    /// nobody has said where in the whole the parts are that they were sampled of: only the others are there.
    pub fn sample(&self, id: ParameterId) -> Option<RecordedSample> {
        let planned = self.reading().catalogue().parameters.get(id.index())?;
        let of = planned.elements();
        let parts = self.reading().places(id.index());
        if self.parts(id).is_none() {
            let part = parts.first()?;
            return sample_of(part.iter().find_map(|&(side, at)| sampled(&side.taken, at))?, of);
        }
        let mut all = Vec::new();
        for part in &parts {
            let found = part.iter().find_map(|&(side, at)| Some((side, at, sampled(&side.taken, at)?)));
            let Some((side, at, sampled)) = found else { continue };
            let Some(within) = Within::of(&side.taken.plan, at, &planned.shape, &parts) else { continue };
            all.extend(sampled.into_iter().map(|(at, value)| (within.place(at), value)));
        }
        all.sort_by_key(|it| it.0);
        sample_of(all, of)
    }
}

fn sample_of(all: Vec<(u64, f32)>, of: u64) -> Option<RecordedSample> {
    let (at, values) = all.into_iter().filter(|(at, _)| *at < of).unzip();
    let sample = RecordedSample { at, values, of };
    (!sample.at.is_empty()).then_some(sample)
}

impl Counted {
    /// Of the step, or of an earlier one where it was another's turn.
    fn known(side: &Side, at: usize) -> Option<Self> {
        // Of whose statistics it was not the turn, this snapshot does not say when they were taken.
        let unknown = Statistics::nothing(0);
        let statistics = if side.filled.contains(&at) { &unknown } else { &side.statistics };
        Counted::of(&side.taken, statistics, at).or_else(|| side.earlier.get(&at).cloned())
    }

    /// What a snapshot has of a parameter of its plan.
    pub(super) fn of(taken: &RankSnapshot, statistics: &Statistics, at: usize) -> Option<Self> {
        let RankSnapshot { snapshot, plan, record, .. } = taken;
        let (low, width) = plan.grid(at)?;
        let shares: Vec<bf16> = snapshot.row("w.hist", at)?;
        let shares: Vec<f64> = shares.into_iter().map(|it| f64::from(it.to_f32())).collect();
        let is_usable = low.is_finite() && width.is_finite() && width > 0.0 && !shares.is_empty();
        let is_known = statistics.value(Quantity::Coverage, at) != Some(0.0);
        if !is_usable || !is_known || !shares.iter().all(|it| it.is_finite()) {
            return None;
        }
        let elements = plan.header().parameters.get(at)?.elements();
        let as_of = statistics.value(Quantity::AsOf, at);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a step")]
        let as_of = as_of.map_or(record.step, |it| it as u64);
        let (low, width) = (f64::from(low), f64::from(width));
        let counted = plan.header().counted.map(|it| it.min(elements));
        Some(Counted { low, width, shares, elements, counted, as_of })
    }

    /// The histogram of both, on the coarser grid; `None` where the bins of one do not lie in those of the other.
    fn with(&self, other: &Counted) -> Option<Counted> {
        if other.width > self.width {
            return other.with(self);
        }
        let finer = other.onto(self)?;
        #[expect(clippy::cast_precision_loss, reason = "a weight")]
        let [one, two] =
            [self, other].map(|it| it.elements as f64 / (self.elements as f64 + other.elements as f64));
        let both = self.shares.iter().zip(finer).map(|(a, b)| a * one + b * two);
        Some(Counted {
            shares: both.collect(),
            elements: self.elements.saturating_add(other.elements),
            counted: self.counted.zip(other.counted).map(|(a, b)| a.saturating_add(b)),
            as_of: self.as_of.min(other.as_of),
            ..*self
        })
    }

    /// The shares on a grid that is as fine or coarser. What lies beyond the ends of a finer one is in none of the bins of the
    /// other for certain.
    fn onto(&self, grid: &Counted) -> Option<Vec<f64>> {
        let (bins, ratio) = (self.shares.len(), grid.width / self.width);
        if (self.low, self.width, bins) == (grid.low, grid.width, grid.shares.len()) {
            return Some(self.shares.clone());
        }
        let offset = (self.low - grid.low) / self.width;
        let ends = [self.shares.first(), self.shares.last()];
        let fits = ratio.fract() == 0.0 && offset.fract() == 0.0 && offset >= 0.0;
        if !fits || ends.into_iter().flatten().any(|it| *it != 0.0) {
            return None;
        }
        let mut shares = vec![0.0; grid.shares.len()];
        for (at, share) in self.shares.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few bins")]
            let bin = ((offset + at as f64) / ratio).floor();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not below zero; what is beyond is none"
            )]
            let bin = bin as usize;
            *shares.get_mut(bin)? += share;
        }
        Some(shares)
    }
}

/// The elements of a parameter of a plan that were sampled, with their values.
fn sampled(taken: &RankSnapshot, parameter: usize) -> Option<Vec<(u64, f32)>> {
    let arrays = taken.plan.arrays();
    let of = taken.plan.header().parameters.get(parameter)?.elements();
    let (index, starts) = (arrays.get::<u64>("s.index")?, arrays.get::<u32>("s.start")?);
    let begin = *starts.get(parameter)? as usize;
    let end = *starts.get(parameter.checked_add(1)?)? as usize;
    let planned = index.get(begin..end)?;
    let values = taken.snapshot.arrays().get::<bf16>("s.value")?;
    let every = every(index.len(), values.len())?;
    let kept = (begin..end).zip(planned).filter(|(place, _)| place.is_multiple_of(every));
    let kept = kept.filter(|&(_, &at)| at < of);
    kept.map(|(place, &at)| Some((at, values.get(place / every)?.to_f32()))).collect()
}

/// Where there was no room for the whole sample, every second or fourth element of it is there. Which, their number tells:
/// where two answers are possible, only the first element is there, and both say so.
fn every(planned: usize, kept: usize) -> Option<usize> {
    [1, 2, 4, 8].into_iter().find(|&every| planned.div_ceil(every) == kept)
}

/// Where in a whole the elements of a part are.
struct Within {
    /// Elements of the part along the axis, of the whole, and of the whole before the part.
    part: u64,
    whole: u64,
    before: u64,
    /// Elements from one to the next along the axis.
    inner: u64,
}

impl Within {
    /// Of a part whose plan says which it is. Of parts before it that nobody has recorded it is not known how long they are.
    fn of(plan: &Plan, at: usize, whole: &[u64], parts: &[Vec<(&Side, usize)>]) -> Option<Self> {
        let planned = plan.header().parameters.get(at)?;
        let shard = planned.shard?;
        let axis = shard.axis() as usize;
        let len = |index: u32| {
            parts.iter().flatten().find_map(|&(side, at)| {
                let other = side.taken.plan.header().parameters.get(at)?;
                other.shard.filter(|it| it.index() == index && it.axis() == shard.axis())?;
                other.shape.get(axis).copied()
            })
        };
        let before = (0..shard.index()).map(len).try_fold(0u64, |sum, len| sum.checked_add(len?))?;
        let inner = whole.get(axis.checked_add(1)?..)?.iter().fold(1, |all: u64, &it| all.saturating_mul(it));
        let within = Within { part: *planned.shape.get(axis)?, whole: *whole.get(axis)?, before, inner };
        (within.part > 0 && inner > 0).then_some(within)
    }

    fn place(&self, at: u64) -> u64 {
        let (outer, rest) = (at / self.inner / self.part, at % self.inner);
        let along = at / self.inner % self.part + self.before;
        outer.saturating_mul(self.whole).saturating_add(along).saturating_mul(self.inner).saturating_add(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_had_no_room() {
        assert_eq!((every(100, 100), every(101, 51), every(101, 26)), (Some(1), Some(2), Some(4)));
        assert_eq!((every(5, 2), every(100, 33), every(0, 0)), (Some(4), None, Some(1)));
    }

    /// Of an array of two axes, of which the second is shared out in 3 and 5: by numbers that say where they are.
    #[test]
    fn elements_of_parts_are_somewhere_in_the_whole() {
        let whole = ndarray::Array3::from_shape_fn((2, 8, 3), |(a, b, c)| (a * 24 + b * 3 + c) as u64);
        for (before, part) in [(0usize, 3usize), (3, 5)] {
            let within = Within { part: part as u64, whole: 8, before: before as u64, inner: 3 };
            let there = whole.slice(ndarray::s![.., before..before + part, ..]);
            for (at, place) in there.iter().enumerate() {
                assert_eq!(within.place(at as u64), *place);
            }
        }
    }

    #[test]
    fn fewer_bins() {
        let histogram = |shares: &[f64]| RecordedHistogram {
            low: -1.0,
            high: 1.0,
            shares: shares.to_vec(),
            elements: None,
            of: 8,
            as_of: 0,
            parts: None,
        };
        let recorded = histogram(&[0.125, 0.25, 0.5, 0.0625, 0.0625, 0.0]);
        assert_eq!(recorded.clone().in_bins(3).expect("two each"), histogram(&[0.375, 0.5625, 0.0625]));
        assert_eq!(recorded.clone().in_bins(6).expect("one each"), recorded);
        let line = recorded.clone().in_bins(4).expect_err("one and a half").to_string();
        assert_eq!(line, "6 bins were recorded, which cannot be made into 4; ask for 6, 3, 2, 1");
        assert!(recorded.clone().in_bins(12).is_err() && recorded.in_bins(0).is_err());
    }

    fn counted(low: f64, width: f64, shares: &[f64], elements: u64) -> Counted {
        Counted { low, width, shares: shares.to_vec(), elements, counted: Some(elements), as_of: 7 }
    }

    #[test]
    fn histograms_come_onto_the_coarser_grid() {
        let coarse = counted(-2.0, 1.0, &[0.25, 0.25, 0.5, 0.0], 4);
        let fine = counted(-1.0, 0.5, &[0.0, 0.5, 0.5, 0.0], 12);
        for both in [coarse.with(&fine), fine.with(&coarse)] {
            let both = both.expect("each bin lies in one");
            assert_eq!((both.low, both.width, both.elements), (-2.0, 1.0, 16));
            assert_eq!(both.shares, [0.0625, 0.4375, 0.5, 0.0]);
        }
        let beyond = counted(-1.0, 0.5, &[0.5, 0.5, 0.0, 0.0], 12);
        assert!(coarse.with(&beyond).is_none(), "its first bin has what is smaller, too");
        let odd = counted(-1.25, 0.5, &[0.0, 0.5, 0.5, 0.0], 12);
        assert!(coarse.with(&odd).is_none());
    }
}
