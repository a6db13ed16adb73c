//! Factors of channels that nothing in the file explains, as well as they can be told.

use super::aligned::pieces;
use super::{Aligned, Gain, Pair};
use crate::dequantize::for_each_real;
use crate::{ParameterSource, Result};

/// The gain of a pair, with factors where a sample said that there are such.
pub(crate) fn fit_gain(
    aligned: &Aligned<'_>,
    quantized: &(dyn ParameterSource + Sync),
    pair: &Pair,
) -> Result<Gain> {
    let axis = match &pair.alignment.gain {
        Gain::Output(_) => aligned.gain_axis,
        Gain::Input(_) => aligned.input_axis(),
        known => return Ok(known.clone()),
    };
    let inner: u64 = aligned.dims[axis + 1..].iter().product::<u64>().max(1);
    let len = aligned.dims[axis];
    let mut sums = vec![(0.0, 0.0); len as usize];
    let mut numbers = Vec::new();
    for range in pieces(&aligned.dims) {
        aligned.read(range.clone(), &mut numbers)?;
        let start = range.start;
        let mut at = 0;
        for_each_real(quantized, pair.quantized, range, |value| {
            let channel = ((start + at as u64) / inner % len) as usize;
            let number = numbers[at];
            if number.is_finite() && value.is_finite() {
                sums[channel] = (sums[channel].0 + number * value, sums[channel].1 + number * number);
            }
            at += 1;
        })?;
    }
    let factors = sums.into_iter().map(|(both, own)| if own > 0.0 { both / own } else { 1.0 }).collect();
    Ok(match &pair.alignment.gain {
        Gain::Input(_) => Gain::Input(factors),
        _ => Gain::Output(factors),
    })
}
