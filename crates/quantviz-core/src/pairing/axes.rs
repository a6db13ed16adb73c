//! Where outputs lie, as somebody says who knows it.

use super::{Gain, Pair};
use crate::preview::check_used;
use crate::{AxisRule, Model, Result};

/// Gives pairs the axes that rules have for their references, whose coordinates they are in.
///
/// # Errors
/// Where a rule names an axis that is not there, or fits nothing.
pub(crate) fn set_axes(from: &Model, of: &Model, pairs: &mut [Pair], rules: &[AxisRule]) -> Result<()> {
    let mut used = vec![false; rules.len()];
    for pair in pairs {
        let reference = from.parameter(pair.reference);
        let rank = of.parameter(pair.quantized).logical_shape().rank();
        // Of a bias, all are outputs.
        let fits: Vec<bool> = rules.iter().map(|rule| rank > 1 && rule.fits(&reference.name)).collect();
        used.iter_mut().zip(&fits).for_each(|(used, fits)| *used |= fits);
        let Some(rule) = rules.iter().zip(&fits).find_map(|(rule, &fits)| fits.then_some(rule)) else {
            continue;
        };
        let axis = rule.axis_of(reference)?;
        pair.turn(if pair.alignment.transposed { 1 - axis.min(1) } else { axis.min(rank - 1) });
    }
    check_used(rules, &used, "no weight that something quantized was made of")
}

impl Pair {
    /// Takes this axis of the codes for that of outputs, unless values have shown where they are.
    fn turn(&mut self, axis: usize) {
        let is_shown =
            matches!(self.alignment.gain, Gain::BatchNorm { .. }) || !self.alignment.merged.is_empty();
        if axis == self.output_axis || is_shown {
            return;
        }
        self.output_axis = axis;
        // Factors stay along the axis that they were found on, whatever that is called; they are fitted later.
        self.alignment.gain = match std::mem::take(&mut self.alignment.gain) {
            Gain::Output(factors) => Gain::Input(factors),
            Gain::Input(factors) => Gain::Output(factors),
            other => other,
        };
    }
}
