//! What only a comparison with a reference can find.

use quantviz_core::{count, is_rounded, number};

use crate::{Code, Evidence, Finding, Level, OffGrid, PairEvidence};

type PairRule = fn(&[PairEvidence], &mut Vec<Finding>);

pub(crate) const PAIR_RULES: &[PairRule] =
    &[silenced, outlier_channel, clipped, negatives_lost, off_grid, not_its_reference];

/// A share of the reference's energy: scales of inner blocks are zero where weights are small beside those around them.
const SILENCED: f64 = 0.01;
/// A gain of scales per channel from which on one channel is an outlier.
const OUTLIER_DB: f64 = 6.0;
/// A share of the squared error.
const CLIP_NOISE: f64 = 0.1;
/// Below this two tensors have nothing to do with each other.
const RELATED_DB: f64 = 3.0;

/// QV001, where the reference says what was lost.
fn silenced(pairs: &[PairEvidence], findings: &mut Vec<Finding>) {
    for pair in pairs.iter().filter(|pair| pair.silenced > SILENCED) {
        let share = number(pair.silenced * 100.0);
        let message = format!("scales are 0 where {share} % of the energy of the reference is");
        let evidence = Evidence::new().with("silenced", pair.silenced);
        findings.push(Finding::about(Code::BadScale, &pair.parameter, message, evidence));
    }
}

/// QV008
fn outlier_channel(pairs: &[PairEvidence], findings: &mut Vec<Finding>) {
    for pair in pairs {
        let Some(gain) = pair.outlier_gain_db.filter(|&gain| gain >= OUTLIER_DB) else { continue };
        let channel = pair.outlier_channel.map(|channel| format!(" (channel {channel})")).unwrap_or_default();
        let message = format!("scales per channel would gain {} dB{channel}", number(gain));
        let mut evidence = Evidence::new().with("outlier_gain_db", gain);
        if let Some(channel) = pair.outlier_channel {
            evidence = evidence.with("channel", channel);
        }
        findings.push(Finding::about(Code::OutlierChannel, &pair.parameter, message, evidence));
    }
}

/// QV010
fn clipped(pairs: &[PairEvidence], findings: &mut Vec<Finding>) {
    for pair in pairs {
        let Some(noise) = pair.clip_noise.filter(|&noise| noise > CLIP_NOISE) else { continue };
        let message = format!(
            "{} % of the squared error comes from {} % of values that are clipped",
            number(noise * 100.0),
            number(pair.clipped * 100.0)
        );
        let evidence = Evidence::new().with("clip_noise", noise).with("clipped", pair.clipped);
        findings.push(Finding::about(Code::Clipped, &pair.parameter, message, evidence));
    }
}

/// QV011
fn negatives_lost(pairs: &[PairEvidence], findings: &mut Vec<Finding>) {
    for pair in pairs {
        let (Some((smallest, _)), Some(least)) = (pair.reference_range, pair.smallest_code_value) else {
            continue;
        };
        if pair.negatives > 0 && smallest < 0.0 && least >= 0.0 {
            let message = format!(
                "{} values of the reference are negative, down to {}; the codes begin at {}",
                count(pair.negatives),
                number(smallest),
                number(least)
            );
            let evidence = Evidence::new()
                .with("negatives", pair.negatives)
                .with("smallest", smallest)
                .with("least", least);
            findings.push(Finding::about(Code::NegativesLost, &pair.parameter, message, evidence));
        }
    }
}

/// QV018
fn off_grid(pairs: &[PairEvidence], findings: &mut Vec<Finding>) {
    for pair in pairs.iter().filter(|pair| !is_rounded(Some(pair.off_grid))) {
        if let Some(factor) = pair.common_factor {
            let message = match factor.abs() < 1e-6 {
                true => "all its values are 0, and those of the reference are not".to_owned(),
                false => format!(
                    "every value is {} times that of the reference: its scale is wrong, unless what reads it makes up for that",
                    number(factor)
                ),
            };
            let evidence =
                Evidence::new().with("off_grid", pair.off_grid).with("because", OffGrid::CommonFactor.name());
            let evidence = evidence.with("factor", factor);
            let finding = Finding::about(Code::OffGrid, &pair.parameter, message, evidence);
            findings.push(finding.at(Level::Warning));
            continue;
        }
        let why = pair.off_grid_because.unwrap_or(OffGrid::Other).name();
        let share = number(pair.off_grid * 100.0);
        let message = format!("{share} % of values are not rounded to nearest from this reference ({why})");
        let evidence = Evidence::new().with("off_grid", pair.off_grid).with("because", why);
        findings.push(Finding::about(Code::OffGrid, &pair.parameter, message, evidence));
    }
}

/// QV019
fn not_its_reference(pairs: &[PairEvidence], findings: &mut Vec<Finding>) {
    // No error is closer than any number says, no signal farther.
    let closeness = |pair: &PairEvidence| {
        pair.sqnr_db.unwrap_or(if pair.exact { f64::INFINITY } else { f64::NEG_INFINITY })
    };
    let mut all: Vec<f64> = pairs.iter().map(closeness).collect();
    all.sort_by(f64::total_cmp);
    let Some(&median) = all.get(all.len() / 2) else { return };
    if median >= RELATED_DB {
        return;
    }
    let message = format!("the median of {} aligned parameters is {} dB", all.len(), number(median));
    let evidence = Evidence::new().with("median_sqnr_db", median).with("parameters", all.len() as u64);
    findings.push(Finding::of_model(Code::NotItsReference, message, evidence));
}
