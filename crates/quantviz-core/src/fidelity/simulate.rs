//! What a scale for each channel would have made of the numbers that one scale for all was made for.

use std::ops::Range;

use super::measure::{ChannelOf, Compared};
use crate::Result;

/// The energies of the errors that symmetric rounding to the nearest makes.
pub(crate) struct Simulated {
    pub(crate) by_tensor: f64,
    pub(crate) by_channel: f64,
}

pub(crate) fn simulate(compared: &Compared<'_>, bits: u32) -> Result<Simulated> {
    let channel_of = compared.channels();
    let mut largest = vec![0.0f64; channel_of.count() as usize];
    for_each(compared, channel_of, |channel, value| {
        largest[channel] = largest[channel].max(value.abs());
    })?;
    let most = 2f64.powi(bits.cast_signed() - 1) - 1.0;
    let of_all = largest.iter().copied().fold(0.0, f64::max);
    let error = |value: f64, largest: f64| {
        let scale = largest / most;
        if scale > 0.0 {
            (value - scale * (value / scale).round_ties_even().clamp(-most, most)).powi(2)
        } else {
            0.0
        }
    };
    let mut simulated = Simulated { by_tensor: 0.0, by_channel: 0.0 };
    for_each(compared, channel_of, |channel, value| {
        simulated.by_tensor += error(value, of_all);
        simulated.by_channel += error(value, largest[channel]);
    })?;
    Ok(simulated)
}

fn for_each(compared: &Compared<'_>, channel_of: ChannelOf, mut f: impl FnMut(usize, f64)) -> Result<()> {
    let mut values = Vec::new();
    for range in compared.pieces() {
        let Range { start, .. } = range;
        compared.reference.read(range, &mut values)?;
        for (index, &value) in (start..).zip(&values).filter(|(_, value)| value.is_finite()) {
            f(channel_of.at(index).0 as usize, value);
        }
    }
    Ok(())
}
