//! What quantization cost each channel, and what of that is worth telling.

use super::sums::ErrorSums;
use super::{rank, sqnr_db};

/// Channel by channel: how the measure spreads, and the channels that suffer most.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Channels {
    /// The axis, in the shape of the reference.
    pub axis: usize,
    /// The least, a twentieth, the median and the greatest of all channels' decibels; channels without errors count as
    /// better than any.
    pub min: Option<f64>,
    /// What a twentieth of all channels does not reach.
    pub p5: Option<f64>,
    /// What half of all channels do not reach.
    pub median: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// All channels, in order.
    pub all: Vec<ChannelFidelity>,
}

/// What quantization cost one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChannelFidelity {
    /// Which one.
    pub index: u64,
    /// Its energy by that of its errors, in decibels. `None` where there are no errors, or nothing but errors.
    pub sqnr_db: Option<f64>,
    /// Whether there are no errors.
    pub exact: bool,
    /// The mean of the squares of its errors.
    pub mse: f64,
    /// Its largest error.
    pub max_abs_error: f64,
    /// The mean of its errors as they are.
    pub mean_error: f64,
    /// The smallest and the largest number of the reference.
    pub reference_range: Option<(f64, f64)>,
}

/// Channels that are worth telling of.
const WORST: usize = 16;

impl Channels {
    pub(crate) fn of(axis: usize, sums: &[ErrorSums]) -> Self {
        let all: Vec<ChannelFidelity> = (0..).zip(sums).map(|(index, sums)| of_one(index, sums)).collect();
        let mut ranks: Vec<f64> = all.iter().map(ChannelFidelity::rank).collect();
        ranks.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * (ranks.len().saturating_sub(1)) as f64).round() as usize;
            ranks.get(place).copied().filter(|rank| rank.is_finite())
        };
        Channels { axis, min: at(0.0), p5: at(0.05), median: at(0.5), max: at(1.0), all }
    }

    /// Those that suffer most, worst first.
    pub fn worst(&self) -> Vec<ChannelFidelity> {
        let mut worst = self.all.clone();
        worst.sort_by(|one, other| one.rank().total_cmp(&other.rank()));
        worst.truncate(WORST);
        worst
    }
}

fn of_one(index: u64, sums: &ErrorSums) -> ChannelFidelity {
    let count = (sums.finite() as f64).max(1.0);
    ChannelFidelity {
        index,
        sqnr_db: sqnr_db(sums.reference, sums.error),
        exact: sums.error == 0.0,
        mse: sums.error / count,
        max_abs_error: sums.max_error,
        mean_error: sums.signed_error / count,
        reference_range: sums.reference_range,
    }
}

impl ChannelFidelity {
    fn rank(&self) -> f64 {
        rank(self.sqnr_db, self.exact)
    }
}
