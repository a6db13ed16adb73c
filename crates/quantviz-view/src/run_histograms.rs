//! How the weights of a parameter are spread, from the first snapshot to the last.

use quantviz_core::{ModelAtStep, RecordedHistogram, Result, Run, count};

use crate::axis::{Axis, Tick};

/// Histograms side by side, one for each step that is shown, all over one axis.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistogramStrip {
    /// The parameter.
    pub parameter: String,
    /// The values, from the lowest to the highest.
    pub axis: Axis,
    /// From the first step to the last.
    pub columns: Vec<StripColumn>,
    /// Some of the steps, where they stand.
    pub steps: Vec<Tick>,
    /// What to know of it: where the grid of the histograms changed.
    pub remark: Option<String>,
}

/// The histogram at a step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StripColumn {
    /// The step.
    pub step: u64,
    /// The share of weights in each bin by the largest share of all, 0 to 1, from the lowest value to the highest; empty where
    /// it was not taken.
    pub shares: Vec<f32>,
}

/// Parameters that have a strip.
const STRIPS: usize = 3;
/// Steps that are read: each is a snapshot to be read whole.
const COLUMNS: usize = 60;
/// Bins that are drawn.
const BINS: usize = 64;

/// What a snapshot says: the lower end, the width of a bin, and shares.
type Read = Option<(f64, f64, Vec<f32>)>;

impl HistogramStrip {
    /// Of the first of these parameters that have histograms.
    pub(crate) fn of(run: &Run<'_>, wanted: &[&str]) -> Result<Vec<Self>> {
        let steps: Vec<u64> = run.timeline().snapshot_steps().into_iter().collect();
        let mut all: Vec<(&str, Vec<(u64, Read)>)> =
            wanted.iter().take(STRIPS).map(|name| (*name, Vec::new())).collect();
        for step in evenly(&steps, COLUMNS) {
            let Some(model) = ModelAtStep::with_samples_near(run, Some(step))? else { continue };
            for (name, columns) in &mut all {
                let id = model.parameter_named(name);
                let read = id.and_then(|id| model.histogram(id)).and_then(usable);
                columns.push((model.step(), read));
            }
        }
        Ok(all.into_iter().filter_map(|(name, columns)| HistogramStrip::between(name, columns)).collect())
    }

    /// All histograms over one axis, as wide as what is in them.
    fn between(parameter: &str, columns: Vec<(u64, Read)>) -> Option<Self> {
        let ends = columns.iter().filter_map(|(_, read)| {
            let (low, width, shares) = read.as_ref()?;
            let first = shares.iter().position(|it| *it > 0.0)?;
            let last = shares.iter().rposition(|it| *it > 0.0)?;
            Some((low + width * first as f64, low + width * (last + 1) as f64))
        });
        let (low, high) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let axis = Axis::between(low, high);
        let grids: Vec<(u64, (f64, f64))> = columns
            .iter()
            .filter_map(|(step, read)| Some((*step, (read.as_ref()?.0, read.as_ref()?.1))))
            .collect();
        let changed: Vec<String> =
            grids.windows(2).filter(|pair| pair[0].1 != pair[1].1).map(|pair| count(pair[1].0)).collect();
        let mut columns: Vec<StripColumn> = columns
            .into_iter()
            .map(|(step, read)| StripColumn {
                step,
                shares: read
                    .map(|(low, width, shares)| rebinned(low, width, &shares, &axis))
                    .unwrap_or_default(),
            })
            .collect();
        let most = columns.iter().flat_map(|it| &it.shares).copied().fold(0.0f32, f32::max);
        columns.iter_mut().flat_map(|it| &mut it.shares).for_each(|it| *it /= most.max(f32::MIN_POSITIVE));
        let last = columns.len().saturating_sub(1).max(1);
        let marked = [0, last / 2, last].into_iter().filter_map(|at| Some((at, columns.get(at)?)));
        let steps =
            marked.map(|(at, it)| Tick { at: at as f64 / last as f64, label: count(it.step) }).collect();
        let remark = (!changed.is_empty()).then(|| {
            let more = if changed.len() > 4 { " and later" } else { "" };
            let steps = changed[..changed.len().min(4)].join(", ");
            format!("counted on a wider or finer grid since step {steps}{more}; drawn on one")
        });
        Some(HistogramStrip { parameter: parameter.to_owned(), axis, columns, steps, remark })
    }
}

/// What can be drawn: a grid that is one, and shares of which some are there.
fn usable(histogram: RecordedHistogram) -> Read {
    let RecordedHistogram { low, high, shares, .. } = histogram;
    let width = (high - low) / shares.len() as f64;
    grid(low, width, shares)
}

fn grid(low: f64, width: f64, shares: Vec<f64>) -> Read {
    let sum: f64 = shares.iter().sum();
    let is_one = low.is_finite() && width.is_finite() && width > 0.0 && sum.is_finite() && sum > 0.0;
    let is_fair = shares.iter().all(|it| *it >= 0.0);
    #[expect(clippy::cast_possible_truncation, reason = "a share")]
    let share = |it: f64| (it / sum) as f32;
    (is_one && is_fair).then(|| (low, width, shares.into_iter().map(share).collect()))
}

/// The shares on the bins of an axis: a bin that lies over several gives each its part.
fn rebinned(low: f64, width: f64, shares: &[f32], axis: &Axis) -> Vec<f32> {
    let mut all = vec![0.0f32; BINS];
    let each = (axis.high - axis.low) / BINS as f64;
    for (at, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let (from, to) = (low + width * at as f64, low + width * (at + 1) as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bins")]
        let bin = |value: f64| (((value - axis.low) / each).floor().max(0.0) as usize).min(BINS - 1);
        for (other, sum) in all.iter_mut().enumerate().take(bin(to) + 1).skip(bin(from)) {
            let (begin, end) = (axis.low + each * other as f64, axis.low + each * (other + 1) as f64);
            let part = (to.min(end) - from.max(begin)).max(0.0) / width;
            #[expect(clippy::cast_possible_truncation, reason = "a share")]
            let part = part as f32;
            *sum += share * part;
        }
    }
    all
}

/// At most so many of these, the first and the last among them.
fn evenly(all: &[u64], most: usize) -> impl Iterator<Item = u64> {
    let shown = all.len().min(most);
    let gaps = shown.saturating_sub(1).max(1);
    let last = all.len().saturating_sub(1);
    (0..shown).map(move |at| all[at * last / gaps])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By sums: what lies below any border of the axis is the same before and after.
    #[test]
    fn histograms_on_different_grids_come_onto_one_axis() {
        let coarse = grid(-1.0, 0.25, vec![0.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0, 4.0]);
        let fine = grid(-0.25, 0.03125, vec![3.0; 8]);
        let strip = HistogramStrip::between("w", vec![(0, fine.clone()), (10, None), (20, coarse.clone())]);
        let strip = strip.expect("there are some");
        assert_eq!((strip.axis.low, strip.axis.high), (-0.75, 1.0));
        assert!(strip.columns[1].shares.is_empty());
        assert!(strip.remark.is_some_and(|it| it.contains("step 20")));
        for (low, width, shares) in [coarse.expect("usable"), fine.expect("usable")] {
            let all = rebinned(low, width, &shares, &strip.axis);
            let sum: f32 = all.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            // The middle of the axis is a border of bins, too.
            let half: f64 = shares
                .iter()
                .enumerate()
                .map(|(at, it)| ((0.125 - low - width * at as f64) / width).clamp(0.0, 1.0) * f64::from(*it))
                .sum();
            let below: f32 = all[..BINS / 2].iter().sum();
            assert!((f64::from(below) - half).abs() < 1e-5, "{below} {half}");
        }
    }

    #[test]
    fn what_is_no_histogram_is_left_out() {
        assert!(grid(f64::NAN, 1.0, vec![1.0]).is_none());
        assert!(grid(0.0, 0.0, vec![1.0]).is_none());
        assert!(grid(0.0, 1.0, vec![f64::NAN, 1.0]).is_none());
        assert!(grid(0.0, 1.0, vec![-1.0, 3.0]).is_none());
        assert!(grid(0.0, 1.0, vec![0.0; 64]).is_none());
        assert!(HistogramStrip::between("w", vec![(0, None)]).is_none());
        assert_eq!(evenly(&[], 3).count(), 0);
        assert_eq!(evenly(&[1, 2, 3, 4, 5], 3).collect::<Vec<_>>(), [1, 3, 5]);
    }
}
