//! Whether a run still learns, told by its loss.

use quantviz_core::{Scalar, Series, number};
use serde::Serialize;

/// What the loss has done, and what it does now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Learning {
    /// The scalar that is taken for the loss.
    pub scalar: String,
    /// What it was like at first: the median of the first values.
    pub first: Scalar,
    /// What it is like now: the median of the last tenth.
    pub last: Scalar,
    /// What it does.
    pub trend: Trend,
    /// All of that in a sentence.
    pub text: String,
}

/// What a loss does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trend {
    /// There are too few values to tell.
    TooEarly,
    /// It falls.
    Falling,
    /// It falls, by less in the last fifth of the run than a twentieth of its whole way.
    FallingSlowly,
    /// It goes neither up nor down by more than it is noisy.
    Flat,
    /// It rises.
    Rising,
    /// It is not a number any more.
    NotFinite,
}

/// As few values tell nothing.
const FEW: usize = 30;

impl Learning {
    /// Of all scalars of a run; `None` where none of them is a loss.
    pub fn of<'a>(scalars: impl IntoIterator<Item = (&'a String, &'a Series)>) -> Option<Self> {
        let losses = scalars.into_iter().filter_map(|it| Some((rank_as_loss(it.0)?, it)));
        let (_, (name, series)) = losses.min_by(|a, b| (a.0, a.1.0).cmp(&(b.0, b.1.0)))?;
        Some(Learning::of_loss(name, series))
    }

    fn of_loss(name: &str, series: &Series) -> Self {
        let finite: Vec<f64> = series.iter().map(|(_, value)| *value).filter(|it| it.is_finite()).collect();
        let tenth = (finite.len() / 10).max(1);
        let first = median(&finite[..finite.len().min(tenth.min(5))]);
        let last = median(&finite[finite.len().saturating_sub(tenth)..]);
        let from = || format!("{name} went from {} to {}", number(first), number(last));
        let (trend, text) = match series.iter().rev().take_while(|(_, value)| !value.is_finite()).last() {
            Some((step, _)) => {
                let text = format!("{name} is not a number since step {}", quantviz_core::count(*step));
                (Trend::NotFinite, text)
            }
            None if finite.len() < FEW => (Trend::TooEarly, format!("{}; too early to tell", from())),
            None => {
                let trend = trend(&finite, first, last);
                let whole = match trend {
                    _ if last < first => format!("{name} fell from {} to {}", number(first), number(last)),
                    _ if last > first => format!("{name} rose from {} to {}", number(first), number(last)),
                    _ => format!("{name} is still {}", number(last)),
                };
                let now = match trend {
                    Trend::Falling => "is still falling",
                    Trend::FallingSlowly => "is still falling slowly",
                    Trend::Rising if last < first => "is rising again",
                    Trend::Rising => "is still rising",
                    _ => "has stopped moving",
                };
                (trend, format!("{whole} and {now}"))
            }
        };
        Learning { scalar: name.to_owned(), first: Scalar(first), last: Scalar(last), trend, text }
    }
}

/// Compares the two halves of the last fifth of the values. They differ when their medians do by more than medians of so
/// many values, as noisy as these are, usually do.
fn trend(values: &[f64], first: f64, last: f64) -> Trend {
    let fifth = (values.len() / 5).max(4).min(values.len());
    let tail = &values[values.len() - fifth..];
    let (before, after) = tail.split_at(tail.len() / 2);
    let fallen = median(before) - median(after);
    let jumps: Vec<f64> = tail.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    // The median of |a - b| of normal a and b is 0.954 of their deviation; that of a median of n, 1.25 / sqrt(n).
    let noise = median(&jumps) / 0.954 * 1.25 * (2.0 / before.len() as f64).sqrt();
    match fallen {
        fallen if fallen < -3.0 * noise && fallen < -1e-3 * last.abs() => Trend::Rising,
        fallen if fallen <= 3.0 * noise || fallen <= 1e-4 * last.abs() => Trend::Flat,
        // The halves are a tenth of the run apart.
        fallen if 2.0 * fallen < 0.05 * (first - last).abs() => Trend::FallingSlowly,
        _ => Trend::Falling,
    }
}

/// How likely a scalar is the loss that is trained by, the best first; `None` where it is none.
fn rank_as_loss(name: &str) -> Option<u32> {
    let name = name.to_lowercase();
    let is_of = |part: &str| name.split(['/', '_', '.', '-', ' ']).any(|it| it == part);
    Some(match &*name {
        "loss" => 0,
        "train_loss" | "train/loss" | "loss/train" | "training_loss" => 1,
        _ if is_of("loss") && is_of("train") => 2,
        _ if is_of("loss") && !is_of("val") && !is_of("eval") && !is_of("test") => 3,
        _ if is_of("loss") => 4,
        _ => return None,
    })
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: impl Fn(u64) -> f64) -> Learning {
        Learning::of_loss("loss", &(0..1000).map(|step| (step, value(step))).collect())
    }

    /// Between -0.5 and 0.5, the same every time.
    fn noise(step: u64) -> f64 {
        (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    }

    #[test]
    fn what_losses_do() {
        let falling = of(|step| 4.0 - 0.002 * step as f64 + 0.05 * noise(step));
        assert_eq!(falling.trend, Trend::Falling);
        assert_eq!(falling.text, "loss fell from 3.991 to 2.102 and is still falling");
        let slowly = of(|step| 2.0 + 2.0 * (-(step as f64) / 220.0).exp() + 1e-4 * noise(step));
        assert_eq!(slowly.trend, Trend::FallingSlowly);
        let flat = of(|step| 2.0 + 2.0 * (-(step as f64) / 10.0).exp() + 0.1 * noise(step));
        assert_eq!(flat.trend, Trend::Flat);
        assert!(flat.text.ends_with("and has stopped moving"), "{}", flat.text);
        let rising = of(|step| (step as f64 / 500.0 - 1.0).powi(2) + 0.01 * noise(step));
        assert_eq!(rising.trend, Trend::Rising);
        let broken = of(|step| if step < 700 { 1.0 } else { f64::NAN });
        assert_eq!((broken.trend, &*broken.text), (Trend::NotFinite, "loss is not a number since step 700"));
        assert_eq!(of(|_| f64::NAN).trend, Trend::NotFinite);
        assert_eq!(Learning::of_loss("loss", &vec![(0, 1.0), (1, 0.5)]).trend, Trend::TooEarly);
        assert_eq!(of(|_| 1.0).trend, Trend::Flat);
    }

    #[test]
    fn which_scalar_is_the_loss() {
        let chosen = |names: &[&str]| {
            let all: Vec<(String, Series)> =
                names.iter().map(|it| (it.to_string(), vec![(0, 1.0)])).collect();
            Learning::of(all.iter().map(|(name, series)| (name, series))).map(|it| it.scalar)
        };
        assert_eq!(chosen(&["val_loss", "train/loss", "lr"]).as_deref(), Some("train/loss"));
        assert_eq!(chosen(&["val_loss", "gloss"]).as_deref(), Some("val_loss"));
        assert_eq!(chosen(&["glossy", "lr"]), None);
    }
}
