//! What quantization cost a parameter: the reference beside what its codes stand for.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "indices into what is in memory"
)]
#![expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]

mod cells;
mod channels;
mod expected;
mod grid;
mod lanes;
mod measure;
mod simulate;
mod sums;
mod weighted;

pub use channels::{ChannelFidelity, Channels};
pub use expected::expected_sqnr_db;
pub(crate) use grid::Grid;
pub(crate) use measure::{Compared, Piece, measure};
pub(crate) use simulate::{Simulated, simulate};

pub(crate) use sums::ErrorSums;
pub(crate) use weighted::{Weighted, weigh};

/// What the codes of a parameter cost, measured in f64 against the numbers they were made of.
///
/// What cannot be said is `None`: a ratio to nothing, the share of no error.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fidelity {
    /// Numbers that were compared.
    pub elements: u64,
    /// Pairs of which one number is not finite; they are in nothing else here.
    pub non_finite: u64,
    /// Those of them of which the reference is finite.
    pub broken: u64,
    /// The share of the reference's energy that lies where scales are zero.
    pub silenced: Option<f64>,
    /// The reference's energy by that of the errors, in decibels. `None` where there are no errors, or no reference.
    pub sqnr_db: Option<f64>,
    /// Whether there are no errors at all.
    pub exact: bool,
    /// What rounding each number to the nearest code would have reached with the same scales and zero-points.
    pub rtn_sqnr_db: Option<f64>,
    /// How far that is above what the codes reach.
    pub headroom_db: Option<f64>,
    /// The mean of the squares of the errors.
    pub mse: Option<f64>,
    /// The largest error.
    pub max_abs_error: Option<f64>,
    /// The mean of the errors as they are: what quantization adds to a sum.
    pub mean_error: Option<f64>,
    /// The cosine of the angle between both.
    pub cosine: Option<f64>,
    /// The largest error by the largest number.
    pub relative_error: Option<f64>,
    /// The share of numbers beyond what the codes reach.
    pub clipped: Option<f64>,
    /// Their share of the error.
    pub clip_noise: Option<f64>,
    /// The share of the error that rounding makes.
    pub rounding_share: Option<f64>,
    /// The share of codes at either end of their range.
    pub at_ends: Option<f64>,
    /// The share of numbers that were not rounded to the nearest.
    pub off_grid: Option<f64>,
    /// The use that is made of the codes; `None` for codes of more than eight bits.
    pub levels: Option<Levels>,
    /// What a scale for each channel would gain over one for all, in decibels.
    pub outlier_gain_db: Option<f64>,
    /// The same measure as `sqnr_db`, of errors weighted by importance, where that was given.
    pub importance_sqnr_db: Option<f64>,
    /// The same as `noise_to_signal`, of errors weighted by importance. `None` where none was given, infinite where
    /// there is nothing but errors where it counts.
    pub importance_noise_to_signal: Option<f64>,
    /// What all values are multiples of those of the reference by, where that explains three quarters of the error or more:
    /// a scale that is wrong, or a factor that was moved elsewhere.
    pub common_factor: Option<f64>,
    /// The smallest and the largest number of the reference.
    pub reference_range: Option<(f64, f64)>,
    /// The smallest and the largest number that the codes stand for.
    pub quantized_range: Option<(f64, f64)>,
    /// The energy of the errors by that of the reference: what a model's measure is made of.
    pub noise_to_signal: Option<f64>,
    /// Channel by channel.
    pub channels: Option<Channels>,
}

/// The use that is made of the codes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Levels {
    /// Codes that the range has.
    pub levels: u64,
    /// Those that occur.
    pub used: u64,
    /// Those that do not, between the smallest and the largest that do.
    pub dead: u64,
    /// How much of the range lies between these two.
    pub reach: f64,
}

/// Energies as decibels: `None` where there is no error, or nothing to compare it with.
pub(crate) fn sqnr_db(reference: f64, error: f64) -> Option<f64> {
    (error > 0.0 && reference > 0.0).then(|| 10.0 * (reference / error).log10())
}

impl Fidelity {
    pub(crate) fn of(sums: &ErrorSums, levels: Option<Levels>, channels: Option<Channels>) -> Self {
        let count = (sums.finite() > 0).then_some(sums.finite() as f64);
        let mean = |sum: f64| count.map(|count| sum / count);
        let ratio = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let share = |part: u64| mean(part as f64);
        let sqnr = sqnr_db(sums.reference, sums.error);
        let rtn = sqnr_db(sums.reference, sums.rounded_error);
        let rounding = sums.error - sums.clipped_error - sums.off_grid_error;
        Fidelity {
            elements: sums.count,
            non_finite: sums.non_finite,
            broken: sums.broken,
            silenced: ratio(sums.silenced, sums.reference),
            sqnr_db: sqnr,
            exact: sums.error == 0.0 && sums.broken == 0,
            rtn_sqnr_db: rtn,
            headroom_db: rtn.zip(sqnr).map(|(rtn, sqnr)| rtn - sqnr),
            mse: mean(sums.error),
            max_abs_error: count.map(|_| sums.max_error),
            mean_error: mean(sums.signed_error),
            cosine: ratio(sums.product(), (sums.reference * sums.quantized).sqrt()),
            relative_error: ratio(sums.max_error, sums.max_reference()),
            clipped: share(sums.clipped),
            clip_noise: ratio(sums.clipped_error, sums.error),
            rounding_share: ratio(rounding.max(0.0), sums.error),
            at_ends: share(sums.at_ends),
            off_grid: ratio(sums.off_grid as f64, (sums.finite() - sums.clipped) as f64),
            levels,
            outlier_gain_db: None,
            importance_sqnr_db: None,
            importance_noise_to_signal: None,
            common_factor: sums.common_factor(),
            reference_range: sums.reference_range,
            quantized_range: sums.quantized_range,
            noise_to_signal: ratio(sums.error, sums.reference),
            channels,
        }
    }

    /// Of numbers beside others that are not codes: nothing is said of rounding, of clipping and of levels.
    pub(crate) fn of_values(sums: &ErrorSums) -> Self {
        Fidelity {
            clipped: None,
            clip_noise: None,
            rounding_share: None,
            at_ends: None,
            off_grid: None,
            ..Fidelity::of(sums, None, None)
        }
    }

    /// Of all channels along an axis of the reference, or of all there is.
    pub(crate) fn of_channels(axis: Option<usize>, sums: &[ErrorSums], levels: Option<Levels>) -> Self {
        let mut all = ErrorSums::default();
        sums.iter().for_each(|sums| all.merge(sums));
        Fidelity::of(&all, levels, axis.map(|axis| Channels::of(axis, sums)))
    }

    /// The decibels that rounding to the nearest would keep beyond what the codes do, where that tells of anything wrong.
    pub fn wasted_db(&self) -> Option<f64> {
        self.headroom_db.filter(|&headroom| is_wasted(headroom, self.off_grid, self.common_factor))
    }

    /// Worst first: no reference but errors, then by decibels, then what is exact.
    pub fn rank(&self) -> f64 {
        rank(self.sqnr_db, self.exact)
    }
}

/// A share of numbers: where more were not rounded to the nearest, another method chose the codes.
const OFF_GRID: f64 = 0.001;
/// Whether codes are the nearest, by the share of numbers that are not.
pub fn is_rounded(off_grid: Option<f64>) -> bool {
    off_grid.is_none_or(|share| share <= OFF_GRID)
}

/// Decibels that methods such as GPTQ give away, at most, so that errors make up for each other.
const COMPENSATED_DB: f64 = 6.0;

/// Whether headroom tells of anything wrong: it does unless another method chose the codes, which a scale that is wrong is
/// not, nor anything that costs more than such methods do.
pub fn is_wasted(headroom_db: f64, off_grid: Option<f64>, common_factor: Option<f64>) -> bool {
    is_rounded(off_grid) || common_factor.is_some() || headroom_db > COMPENSATED_DB
}

/// What is exact comes last, and what is nothing but error first.
fn rank(sqnr_db: Option<f64>, exact: bool) -> f64 {
    sqnr_db.unwrap_or(if exact { f64::INFINITY } else { f64::NEG_INFINITY })
}

impl Levels {
    /// Of codes that occur so often each, in ascending order.
    pub(crate) fn of(counts: &[(f64, u64)], grid: &Grid) -> Option<Self> {
        let used: Vec<f64> = counts.iter().map(|(code, _)| *code).filter(|code| code.is_finite()).collect();
        let (first, last) = (used.first()?, used.last()?);
        let (low, high) = grid.ends();
        let between = match grid {
            Grid::Even { .. } => last - first + 1.0,
            Grid::Uneven(values) => values.iter().filter(|it| (first..=last).contains(it)).count() as f64,
        };
        Some(Levels {
            levels: grid.levels() as u64,
            used: used.len() as u64,
            dead: (between as u64).saturating_sub(used.len() as u64),
            reach: (last - first) / (high - low),
        })
    }
}
