//! What a scale for each channel would have made of the numbers that one scale for all was made for.

use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

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
    let scale = |largest: f64| (largest / most).max(f64::MIN_POSITIVE);
    let step = |largest: f64| [scale(largest), 1.0 / scale(largest)];
    let scales: Vec<Step> = largest.iter().map(|&largest| step(largest)).collect();
    let of_all = step(largest.iter().copied().fold(0.0, f64::max));
    let channel_of = compared.channels();
    let mut simulated = Simulated::default();
    let mut values = Vec::new();
    for start in range.clone().step_by(AT_ONCE as usize) {
        let end = range.end.min(start + AT_ONCE);
        compared.reference.read(start..end, &mut values)?;
        dispatch!(Level::new(), simd => {
            let mut at = 0;
            while at < values.len() {
                let (channel, left) = channel_of.at(start + at as u64);
                let (channel, rest) = (channel as usize, values.len() - at);
                // Channels side by side have scales side by side.
                let (len, scales) = if left == 1 {
                    let len = (scales.len() - channel).min(rest);
                    (len, &scales[channel..channel + len])
                } else {
                    (usize::try_from(left).map_or(rest, |left| left.min(rest)), &scales[channel..=channel])
                };
                simulated.merge(energies(simd, &values[at..at + len], of_all, scales));
                at += len;
            }
        });
    }
    Ok(simulated)
}

/// A scale, and one by it: multiplying is much quicker than dividing.
type Step = [f64; 2];

/// The energies of what rounding to multiples of a scale leaves, of one for all and of one for each channel: there is one
/// for each value, or one for all of these.
#[inline(always)]
fn energies<S: Simd>(simd: S, values: &[f64], of_all: Step, scales: &[Step]) -> Simulated {
    simd.vectorize(
        #[inline(always)]
        || {
            let mut sums = [[0.0; LANES]; 2];
            let mut add = |lane: usize, value: f64, scale: Step| {
                let value = if value.is_finite() { value } else { 0.0 };
                let error = |[scale, inverse]: Step| value - scale * (value * inverse).round_ties_even();
                let (by_tensor, by_channel) = (error(of_all), error(scale));
                sums[0][lane] += by_tensor * by_tensor;
                sums[1][lane] += by_channel * by_channel;
            };
            let (rows, rest) = values.as_chunks::<LANES>();
            if let [scale] = *scales {
                for row in rows {
                    (0..LANES).for_each(|lane| add(lane, row[lane], scale));
                }
                (0..).zip(rest).for_each(|(lane, &value)| add(lane, value, scale));
            } else {
                let (scale_rows, scale_rest) = scales.as_chunks::<LANES>();
                for (row, scales) in rows.iter().zip(scale_rows) {
                    (0..LANES).for_each(|lane| add(lane, row[lane], scales[lane]));
                }
                (0..)
                    .zip(rest.iter().zip(scale_rest))
                    .for_each(|(lane, (&value, &scale))| add(lane, value, scale));
            }
            let [by_tensor, by_channel] = sums.map(|lanes| lanes.iter().sum());
            Simulated { by_tensor, by_channel }
        },
    )
}
