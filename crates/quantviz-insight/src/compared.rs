//! What rules want to know of a pair, out of a comparison.

use quantviz_core::{ComparedPair, Comparison, Encoding, Gain, Model, Scheme};

use crate::{Finding, OffGrid, PairEvidence, findings_of_pairs};

/// What is worth a finding in a comparison, the worst first.
pub fn findings_of_comparison(model: &Model, comparison: &Comparison) -> Vec<Finding> {
    let pairs: Vec<PairEvidence> =
        comparison.pairs.iter().filter_map(|pair| PairEvidence::of(model, pair)).collect();
    findings_of_pairs(&pairs)
}

impl PairEvidence {
    /// What was measured of a pair; `None` where nothing was.
    pub fn of(model: &Model, compared: &ComparedPair) -> Option<Self> {
        let fidelity = compared.fidelity.as_ref().ok()?;
        let parameter = model.parameter(compared.pair.quantized);
        let descriptor = parameter.quantization.as_ref()?;
        let worst = fidelity.channels.as_ref().and_then(|channels| {
            let size = |range: Option<(f64, f64)>| range.map_or(0.0, |(low, high)| low.abs().max(high.abs()));
            channels
                .all
                .iter()
                .max_by(|one, other| size(one.reference_range).total_cmp(&size(other.reference_range)))
        });
        let clipped = fidelity.clipped.unwrap_or(0.0);
        // Without zero-points, codes from zero on stand for nothing below it.
        let is_unsigned = descriptor.scheme == Scheme::Affine
            && descriptor.code_range.0 == 0.0
            && descriptor.zero_point.is_none()
            && descriptor.offset.is_none();
        let is_below = fidelity.reference_range.is_some_and(|(low, _)| low < 0.0);
        let off_grid_because = match (&compared.pair.alignment.gain, descriptor.encoding) {
            _ if fidelity.common_factor.is_some() => OffGrid::CommonFactor,
            (Gain::Output(_), _) => OffGrid::OutputGain,
            (Gain::Input(_), _) => OffGrid::InputGain,
            (_, Encoding::Gptq | Encoding::Awq | Encoding::Hqq) => OffGrid::Compensated,
            _ => OffGrid::Other,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count"
        )]
        let clipped_elements = (clipped * fidelity.elements as f64).round() as u64;
        Some(PairEvidence {
            parameter: parameter.name.clone(),
            sqnr_db: fidelity.sqnr_db,
            exact: fidelity.exact,
            common_factor: fidelity.common_factor,
            silenced: fidelity.silenced.unwrap_or(0.0),
            clip_noise: fidelity.clip_noise,
            clipped,
            outlier_gain_db: fidelity.outlier_gain_db,
            outlier_channel: worst.map(|channel| channel.index),
            reference_range: fidelity.reference_range,
            smallest_code_value: is_unsigned.then_some(0.0),
            negatives: if is_below { clipped_elements } else { 0 },
            off_grid: fidelity.off_grid.unwrap_or(0.0),
            off_grid_because: Some(off_grid_because),
        })
    }
}
