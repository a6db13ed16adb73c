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
    // Each with one by it: multiplying is much quicker than dividing.
    let scales: Vec<[f64; 2]> =
        largest.iter().map(|&largest| [scale(largest), 1.0 / scale(largest)]).collect();
    let of_all = scale(largest.iter().copied().fold(0.0, f64::max));
    let channel_of = compared.channels();
    let mut simulated = Simulated::default();
    let mut values = Vec::new();
    for start in range.clone().step_by(AT_ONCE as usize) {
        let end = range.end.min(start + AT_ONCE);
        compared.reference.read(start..end, &mut values)?;
        dispatch!(Level::new(), simd => {
            simd.vectorize(
                #[inline(always)]
                || values.iter_mut().for_each(|value| *value = if value.is_finite() { *value } else { 0.0 }),
            );
            simulated.by_tensor += energy(simd, &values, &[[of_all, 1.0 / of_all]]);
            let mut at = 0;
            while at < values.len() {
                let (channel, left) = channel_of.at(start + at as u64);
                let channel = channel as usize;
                // Channels side by side have scales side by side.
                let (len, scales) = if left == 1 {
                    let len = (scales.len() - channel).min(values.len() - at);
                    (len, &scales[channel..channel + len])
                } else {
                    let len = usize::try_from(left).map_or(values.len() - at, |left| left.min(values.len() - at));
                    (len, &scales[channel..=channel])
                };
                simulated.by_channel += energy(simd, &values[at..at + len], scales);
                at += len;
            }
        });
    }
    Ok(simulated)
}

/// The energy of what rounding to multiples of a scale leaves: one scale for each value, or one for all.
#[inline(always)]
fn energy<S: Simd>(simd: S, values: &[f64], scales: &[[f64; 2]]) -> f64 {
    simd.vectorize(
        #[inline(always)]
        || {
            let error = |value: f64, [scale, inverse]: [f64; 2]| {
                let error = value - scale * (value * inverse).round_ties_even();
                error * error
            };
            let mut sums = [0.0; LANES];
            let (rows, rest) = values.as_chunks::<LANES>();
            if let [scale] = *scales {
                for row in rows {
                    for (sum, &value) in sums.iter_mut().zip(row) {
                        *sum += error(value, scale);
                    }
                }
                return sums.iter().sum::<f64>() + rest.iter().map(|&value| error(value, scale)).sum::<f64>();
            }
            let (scale_rows, scale_rest) = scales.as_chunks::<LANES>();
            for (row, scales) in rows.iter().zip(scale_rows) {
                for ((sum, &value), &scale) in sums.iter_mut().zip(row).zip(scales) {
                    *sum += error(value, scale);
                }
            }
            let rest = rest.iter().zip(scale_rest).map(|(&value, &scale)| error(value, scale));
            sums.iter().sum::<f64>() + rest.sum::<f64>()
        },
    )
}
