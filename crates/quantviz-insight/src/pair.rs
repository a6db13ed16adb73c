//! What a comparison measured of a parameter and its reference, as far as rules want to know it.

use crate::Finding;
use crate::lint::sort;
use crate::rules::pairs::PAIR_RULES;

/// Why codes are not those that rounding the reference to the nearest gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffGrid {
    /// Whole output channels were multiplied with a gain before they were quantized.
    OutputGain,
    /// Whole input channels were.
    InputGain,
    /// The errors of some values make up for those of others, as GPTQ chooses codes.
    Compensated,
    /// All values are multiples of the reference by one factor.
    CommonFactor,
    /// Nothing that is known here.
    Other,
}

impl OffGrid {
    /// The words for it.
    pub fn name(self) -> &'static str {
        match self {
            OffGrid::OutputGain => "gain",
            OffGrid::InputGain => "input gain",
            OffGrid::Compensated => "GPTQ-like",
            OffGrid::CommonFactor => "factor",
            OffGrid::Other => "other",
        }
    }
}

/// The measures of one quantized parameter against its aligned reference that rules judge. What was not measured is
/// `None`, or zero, and no finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairEvidence {
    /// The name of the quantized parameter.
    pub parameter: String,
    /// Ten times the logarithm of signal over noise; `None` where there is no error, or no signal.
    pub sqnr_db: Option<f64>,
    /// Whether there is no error at all.
    pub exact: bool,
    /// What all values are multiples of the reference by, where that explains most of the error.
    pub common_factor: Option<f64>,
    /// The share of the reference's energy that lies where scales are zero.
    pub silenced: f64,
    /// The share of the squared error that comes from clipped values.
    pub clip_noise: Option<f64>,
    /// The share of values that are clipped.
    pub clipped: f64,
    /// What one scale for each channel would gain, of parameters with one scale.
    pub outlier_gain_db: Option<f64>,
    /// The channel that stretches the range most, where one does.
    pub outlier_channel: Option<u64>,
    /// The smallest and the largest value of the reference.
    pub reference_range: Option<(f64, f64)>,
    /// The smallest value that the codes can stand for.
    pub smallest_code_value: Option<f64>,
    /// Elements of the reference below zero.
    pub negatives: u64,
    /// The share of values that are not clipped and farther from their code than half a step.
    pub off_grid: f64,
    /// Why, as far as it is known.
    pub off_grid_because: Option<OffGrid>,
}

/// What is worth a finding in a comparison of a file with its reference, the worst first.
///
/// ```
/// use quantviz_insight::{Code, PairEvidence, findings_of_pairs};
///
/// let pair = PairEvidence {
///     parameter: "fc.weight".to_owned(),
///     sqnr_db: Some(20.0),
///     outlier_gain_db: Some(9.5),
///     ..PairEvidence::default()
/// };
/// let findings = findings_of_pairs(&[pair]);
/// assert_eq!(findings[0].code, Code::OutlierChannel);
/// ```
pub fn findings_of_pairs(pairs: &[PairEvidence]) -> Vec<Finding> {
    let mut findings = Vec::new();
    PAIR_RULES.iter().for_each(|rule| rule(pairs, &mut findings));
    sort(&mut findings);
    findings
}
