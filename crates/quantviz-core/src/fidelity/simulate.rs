//! What a scale for each channel would have made of the numbers that one scale for all was made for.

use std::ops::Range;

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch, f64x8};

use super::lanes::LANES;
use super::measure::Compared;
use super::sqnr_db;
use crate::Result;

/// The energies of the errors that symmetric rounding to the nearest makes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Simulated {
    pub(crate) by_tensor: f64,
    pub(crate) by_channel: f64,
}

impl Simulated {
    pub(crate) fn merge(&mut self, other: Simulated) {
        self.by_tensor += other.by_tensor;
        self.by_channel += other.by_channel;
    }

    /// What channels gain, in decibels.
    pub(crate) fn gain_db(self) -> Option<f64> {
        sqnr_db(self.by_tensor, self.by_channel)
    }
}

/// Of the elements `range`, with codes of so many bits. `largest` has the largest number of each channel.
pub(crate) fn simulate(
    compared: &Compared<'_>,
    bits: u32,
    largest: &[f64],
    range: Range<u64>,
) -> Result<Simulated> {
    /// Elements that are looked at together: what is known of them stays in a near cache.
    const AT_ONCE: u64 = 1 << 14;
    let most = 2f64.powi(bits.cast_signed() - 1) - 1.0;
    let scale = |&largest: &f64| (largest / most).max(f64::MIN_POSITIVE);
    let steps = Steps::of(largest.iter().map(scale).collect());
    let of_all = Steps::of(vec![scale(&largest.iter().copied().fold(0.0, f64::max))]);
    let channel_of = compared.channels();
    let are_neighbours = channel_of.are_neighbours();
    let mut simulated = Simulated::default();
    let mut values = Vec::new();
    for start in range.clone().step_by(AT_ONCE as usize) {
        let end = range.end.min(start + AT_ONCE);
        compared.reference.read(start..end, &mut values)?;
        dispatch!(Level::new(), simd => simd.vectorize(
            #[inline(always)]
            || {
                let of_all = of_all.one(simd, 0);
                let mut at = 0;
                while at < values.len() {
                    let (channel, left) = channel_of.at(start + at as u64);
                    let run = if are_neighbours { channel_of.count() - channel } else { left };
                    let len = usize::try_from(run).map_or(values.len() - at, |run| run.min(values.len() - at));
                    let some = &mut values[at..at + len];
                    let add = |some: &[f64]| {
                        energies(simd, some, of_all, &steps, channel as usize, are_neighbours)
                    };
                    let mut added = add(some);
                    if !added.by_tensor.is_finite() {
                        some.iter_mut().filter(|it| !it.is_finite()).for_each(|it| *it = 0.0);
                        added = add(some);
                    }
                    simulated.merge(added);
                    at += len;
                }
            },
        ));
    }
    Ok(simulated)
}

/// Scales, and one by each: multiplying is much quicker than dividing.
struct Steps {
    scales: Vec<f64>,
    inverses: Vec<f64>,
}

impl Steps {
    fn of(scales: Vec<f64>) -> Self {
        Steps { inverses: scales.iter().map(|scale| scale.recip()).collect(), scales }
    }

    /// Those of eight channels from one on.
    #[inline(always)]
    fn eight<S: Simd>(&self, simd: S, channel: usize) -> Option<Step<S>> {
        let load = |all: &[f64]| Some(f64x8::load_array_ref(simd, all.get(channel..)?.first_chunk()?));
        Some(Step { scale: load(&self.scales)?, inverse: load(&self.inverses)? })
    }

    /// That of one, eight times.
    #[inline(always)]
    fn one<S: Simd>(&self, simd: S, channel: usize) -> Step<S> {
        let splat = |all: &[f64]| f64x8::splat(simd, all.get(channel).copied().unwrap_or(0.0));
        Step { scale: splat(&self.scales), inverse: splat(&self.inverses) }
    }
}

#[derive(Clone, Copy)]
struct Step<S: Simd> {
    scale: f64x8<S>,
    inverse: f64x8<S>,
}

impl<S: Simd> Step<S> {
    /// Adds the energies of what rounding to multiples of the scales leaves.
    #[inline(always)]
    fn add(self, values: f64x8<S>, energies: &mut f64x8<S>) {
        let error = (values * self.inverse).round_ties_even().mul_add(-self.scale, values);
        *energies = error.mul_add(error, *energies);
    }
}

/// The energies of values, the first of which lies in this channel: all of them do, or each in the next.
#[inline(always)]
fn energies<S: Simd>(
    simd: S,
    values: &[f64],
    of_all: Step<S>,
    steps: &Steps,
    channel: usize,
    are_neighbours: bool,
) -> Simulated {
    let none = f64x8::splat(simd, 0.0);
    let (mut by_tensor, mut by_channel) = (none, none);
    let one = steps.one(simd, channel);
    let (rows, rest) = values.as_chunks::<LANES>();
    for (row, channel) in rows.iter().zip((channel..).step_by(LANES)) {
        let row = f64x8::load_array_ref(simd, row);
        of_all.add(row, &mut by_tensor);
        let step = if are_neighbours { steps.eight(simd, channel) } else { Some(one) };
        step.unwrap_or(one).add(row, &mut by_channel);
    }
    for (&value, channel) in rest.iter().zip(channel + rows.len() * LANES..) {
        // Zeros leave nothing.
        let mut row = [0.0; LANES];
        row[0] = value;
        let row = f64x8::load_array(simd, row);
        of_all.add(row, &mut by_tensor);
        let step = if are_neighbours { steps.one(simd, channel) } else { one };
        step.add(row, &mut by_channel);
    }
    Simulated { by_tensor: by_tensor.reduce_sum(), by_channel: by_channel.reduce_sum() }
}
