//! How like the numbers of a reference the values of codes are, with and without a factor for each channel.

use std::collections::BTreeMap;

use super::batch_norm::BatchNorms;
use super::sample::Tiles;
use super::{Alignment, Gain, Split};

/// How like they are, as they are and with the best factor for each row and for each column.
pub(super) struct Score {
    plain: f64,
    /// With the best factor for each row and for each column, and these factors.
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

impl Fit {
    /// Without factors.
    pub(super) fn plain(db: f64, transposed: bool, split: Option<Split>) -> Self {
        Fit { db, alignment: Alignment { transposed, split, ..Alignment::default() } }
    }
}

/// Decibels that factors have to gain to be more than chance: they fit a little of anything.
const WORTH_FACTORS_DB: f64 = 6.0;
/// What is as good as this without factors has none: what is left are the errors of codes, clipped ones among them.
pub(super) const GOOD_DB: f64 = 20.0;
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

/// Decibels of a reference and values, as they are.
pub(super) fn plain_db(reference: &[f64], values: &[f64]) -> f64 {
    let (mut energy, mut rest) = (0.0, 0.0);
    for (&r, &q) in reference.iter().zip(values).filter(|(r, q)| r.is_finite() && q.is_finite()) {
        energy += r * r;
        rest += (r - q) * (r - q);
    }
    db(energy, rest)
}

/// Products of a reference and values, of each with itself and of both, in one channel.
#[derive(Clone, Copy, Default)]
struct Products {
    reference: f64,
    both: f64,
    values: f64,
}

impl Score {
    pub(super) fn of(reference: &[f64], values: &[f64], tiles: &Tiles) -> Self {
        let with_factors = |channel: fn((u64, u64)) -> u64| {
            let mut all: BTreeMap<u64, Products> = BTreeMap::new();
            // Neighbours often share a channel.
            let (mut at, mut sums) = (None, Products::default());
            let mut put = |at: Option<u64>, sums: Products| {
                if let Some(at) = at {
                    let it = all.entry(at).or_default();
                    it.reference += sums.reference;
                    it.both += sums.both;
                    it.values += sums.values;
                }
            };
            for ((&r, &q), place) in reference.iter().zip(values).zip(tiles.places()) {
                if !(r.is_finite() && q.is_finite()) {
                    continue;
                }
                let here = Some(channel(place));
                if here != at {
                    put(at, std::mem::take(&mut sums));
                    at = here;
                }
                sums.reference += r * r;
                sums.both += r * q;
                sums.values += q * q;
            }
            put(at, sums);
            let factor = |it: &Products| (it.reference > 0.0).then(|| it.both / it.reference);
            let left = |it: &Products| (it.values - factor(it).unwrap_or(0.0) * it.both).max(0.0);
            let (rest, energy) = (all.values().map(left).sum(), all.values().map(|it| it.values).sum());
            (db(energy, rest), all.iter().map(|(&at, it)| (at, factor(it))).collect())
        };
        Score {
            plain: plain_db(reference, values),
            by_rows: with_factors(|(row, _)| row),
            by_columns: with_factors(|(_, column)| column),
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
