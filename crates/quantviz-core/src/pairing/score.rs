//! How like the numbers of a reference the values of codes are, with and without a factor for each channel.

use super::batch_norm::BatchNorms;
use super::sample::Tiles;
use super::{Alignment, Gain, Split};

/// Energies of a sample: of both, and of what is left when one is taken from the other.
pub(super) struct Score {
    plain: f64,
    /// With the best factor for each row and for each column, and these factors by row and by column.
    by_rows: (f64, Factors),
    by_columns: (f64, Factors),
}

/// The best factor of each row or column that was looked at, and where nothing tells, none.
pub(super) type Factors = Vec<(u64, Option<f64>)>;

/// The best that could be made of a candidate.
pub(super) struct Fit {
    pub(super) db: f64,
    pub(super) alignment: Alignment,
}

/// Decibels that factors have to gain to be more than chance: they fit a little of anything.
const WORTH_FACTORS_DB: f64 = 6.0;
/// What is as good as this without factors has none: what is left are the errors of codes, clipped ones among them.
const GOOD_DB: f64 = 20.0;
/// Numbers of a channel that tell its factor from chance.
const TELLING: usize = 8;

/// Better than this is all the same: exact, in short.
const MOST_DB: f64 = 150.0;

fn db(energy: f64, rest: f64) -> f64 {
    if energy <= 0.0 {
        // Nothing is like nothing, and unlike everything else.
        return if rest <= 0.0 { MOST_DB } else { f64::NEG_INFINITY };
    }
    (10.0 * (energy / rest).log10()).min(MOST_DB)
}

impl Score {
    pub(super) fn of(reference: &[f64], values: &[f64], tiles: &Tiles) -> Self {
        let finite: Vec<(f64, f64, u64, u64)> = reference
            .iter()
            .zip(values)
            .zip(tiles.places())
            .filter(|((r, q), _)| r.is_finite() && q.is_finite())
            .map(|((&r, &q), (row, column))| (r, q, row, column))
            .collect();
        let energy: f64 = finite.iter().map(|(r, ..)| r * r).sum();
        let rest: f64 = finite.iter().map(|(r, q, ..)| (r - q).powi(2)).sum();
        let with_factors = |channel: fn(&(f64, f64, u64, u64)) -> u64| {
            let mut sums: std::collections::BTreeMap<u64, (f64, f64, f64)> = Default::default();
            for it in &finite {
                let (rr, rq, qq) = sums.entry(channel(it)).or_default();
                (*rr, *rq, *qq) = (*rr + it.0 * it.0, *rq + it.0 * it.1, *qq + it.1 * it.1);
            }
            let left =
                |&(rr, rq, qq): &(f64, f64, f64)| if rr > 0.0 { (qq - rq * rq / rr).max(0.0) } else { qq };
            let rest: f64 = sums.values().map(left).sum();
            let energy: f64 = sums.values().map(|(_, _, qq)| qq).sum();
            let factors = sums.into_iter().map(|(at, (rr, rq, _))| (at, (rr > 0.0).then(|| rq / rr)));
            (db(energy, rest), factors.collect())
        };
        Score {
            plain: db(energy, rest),
            by_rows: with_factors(|it| it.2),
            by_columns: with_factors(|it| it.3),
        }
    }

    /// The best of it: without factors unless these explain much more.
    pub(super) fn fit(
        self,
        transposed: bool,
        split: Option<Split>,
        norms: &BatchNorms,
        tiles: &Tiles,
        output_axis: usize,
    ) -> Fit {
        let mut alignment = Alignment { transposed, split, ..Alignment::default() };
        let outputs_are_rows = output_axis == 0;
        let (outputs, inputs) =
            if outputs_are_rows { (self.by_rows, self.by_columns) } else { (self.by_columns, self.by_rows) };
        let best = outputs.0.max(inputs.0);
        let is_told = tiles.height.min(tiles.width) >= TELLING;
        if self.plain >= GOOD_DB || best < self.plain + WORTH_FACTORS_DB || !is_told {
            return Fit { db: self.plain, alignment };
        }
        if outputs.0 >= inputs.0 {
            alignment.gain = norms.explain(&outputs.1).unwrap_or(Gain::Output(Vec::new()));
            Fit { db: outputs.0, alignment }
        } else {
            alignment.gain = Gain::Input(Vec::new());
            Fit { db: inputs.0, alignment }
        }
    }
}
