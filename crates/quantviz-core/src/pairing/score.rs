//! How like the numbers of a reference the values of codes are, with and without a factor for each channel.

use std::collections::BTreeMap;

use super::aligned::Way;
use super::batch_norm::{BatchNorms, Evidence, Explained, telling_db};
use super::sample::Tiles;
use super::{Alignment, Gain};

/// How like they are, as they are and with a factor for each row or for each column.
pub(super) struct Score {
    plain: f64,
    by_rows: ByChannel,
    by_columns: ByChannel,
}

/// The best that could be made of a candidate.
pub(super) struct Fit {
    pub(super) db: f64,
    pub(super) alignment: Alignment,
    /// What speaks for the ε of a normalisation that was folded in.
    pub(super) evidence: Evidence,
}

impl Fit {
    /// Without factors.
    pub(super) fn plain(db: f64, way: Way) -> Self {
        Fit { db, alignment: way.into(), evidence: Evidence::default() }
    }

    /// With a normalisation folded in.
    pub(super) fn folded(explained: Explained, way: Way) -> Self {
        let Explained { gain, db, evidence } = explained;
        Fit { db, alignment: Alignment { gain, ..way.into() }, evidence }
    }
}

/// Decibels that factors have to gain to be more than chance: they fit a little of anything.
const WORTH_FACTORS_DB: f64 = 6.0;
/// What is as good as this without factors has none: what is left are the errors of codes, clipped ones among them.
pub(super) const GOOD_DB: f64 = 20.0;
/// How far from one a factor is that makes a difference.
const ABOUT_ONE: f64 = 0.02;
/// Numbers of a channel that tell its factor from chance.
const TELLING: usize = 8;

/// Better than this is all the same: exact, in short.
const MOST_DB: f64 = 150.0;

pub(super) fn db(energy: f64, rest: f64) -> f64 {
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
pub(super) struct Products {
    reference: f64,
    both: f64,
    values: f64,
}

impl Products {
    fn add(&mut self, other: &Products) {
        self.reference += other.reference;
        self.both += other.both;
        self.values += other.values;
    }

    /// The factor that makes the reference most like the values; where nothing tells, none.
    pub(super) fn factor(&self) -> Option<f64> {
        (self.reference > 0.0).then(|| self.both / self.reference)
    }

    /// The energy that a factor leaves.
    fn rest(&self, factor: f64) -> f64 {
        (self.values - 2.0 * factor * self.both + factor * factor * self.reference).max(0.0)
    }
}

/// The products of each channel that was looked at.
pub(super) struct ByChannel(pub(super) Vec<(u64, Products)>);

impl ByChannel {
    /// Decibels with a factor for each channel.
    pub(super) fn db(&self, factor: impl Fn(u64) -> f64) -> f64 {
        self.db_of(|at, it| it.rest(factor(at)))
    }

    /// The same with the best ones.
    fn best_db(&self) -> f64 {
        self.db_of(|_, it| it.rest(it.factor().unwrap_or(0.0)))
    }

    /// Decibels with the best factor for all of them.
    fn common_db(&self) -> f64 {
        let mut all = Products::default();
        self.0.iter().for_each(|(_, it)| all.add(it));
        db(all.values, all.rest(all.factor().unwrap_or(0.0)))
    }

    /// Whether channels were multiplied, and not clipped, which makes some of them smaller: whoever multiplies makes some
    /// larger, or changes nearly all of them.
    fn are_multiplied(&self) -> bool {
        let count = |is: fn(f64) -> bool| self.0.iter().filter(|(_, it)| it.factor().is_some_and(is)).count();
        let all = self.0.len();
        let others = count(|factor| (factor - 1.0).abs() > ABOUT_ONE);
        let larger = count(|factor| factor > 1.0 + ABOUT_ONE);
        2 * others >= all && (8 * larger >= all || 20 * others >= 19 * all)
    }

    fn db_of(&self, rest: impl Fn(u64, &Products) -> f64) -> f64 {
        let rest = self.0.iter().map(|(at, it)| rest(*at, it)).sum();
        db(self.0.iter().map(|(_, it)| it.values).sum(), rest)
    }
}

impl Score {
    pub(super) fn of(reference: &[f64], values: &[f64], tiles: &Tiles) -> Self {
        let with_factors = |channel: fn((u64, u64)) -> u64| {
            let mut all: BTreeMap<u64, Products> = BTreeMap::new();
            // Neighbours often share a channel.
            let (mut at, mut sums) = (None, Products::default());
            let mut put = |at: Option<u64>, sums: Products| {
                if let Some(at) = at {
                    all.entry(at).or_default().add(&sums);
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
            ByChannel(all.into_iter().collect())
        };
        Score {
            plain: plain_db(reference, values),
            by_rows: with_factors(|(row, _)| row),
            by_columns: with_factors(|(_, column)| column),
        }
    }

    /// The best of it: without factors unless these explain much more.
    pub(super) fn fit(self, way: Way, norms: &BatchNorms, tiles: &Tiles, output_axis: usize) -> Fit {
        let outputs_are_rows = output_axis == 0;
        let (outputs, inputs) =
            if outputs_are_rows { (self.by_rows, self.by_columns) } else { (self.by_columns, self.by_rows) };
        // Factors of a normalisation are known and not fitted, so that nothing but a better result speaks for them.
        let count = tiles.places().count();
        let folded = norms.explain(&outputs, count);
        if let Some(folded) = folded.filter(|it| it.db >= self.plain + telling_db(count)) {
            return Fit::folded(folded, way);
        }
        let (of_outputs, of_inputs) = (outputs.best_db(), inputs.best_db());
        let is_told = tiles.height.min(tiles.width) >= TELLING;
        let explain_more = |db: f64| is_told && of_outputs.max(of_inputs) >= db + WORTH_FACTORS_DB;
        // One factor for all of it shows whose codes these are, but it is no gain that anybody means: a scale is wrong.
        let common = outputs.common_db();
        let plain = if common >= self.plain + WORTH_FACTORS_DB { common } else { self.plain };
        if self.plain >= GOOD_DB || !explain_more(plain) {
            return Fit::plain(plain, way);
        }
        let (db, channels, gain) = match of_outputs >= of_inputs {
            true => (of_outputs, outputs, Gain::Output(Vec::new())),
            false => (of_inputs, inputs, Gain::Input(Vec::new())),
        };
        if !channels.are_multiplied() {
            return Fit::plain(plain, way);
        }
        Fit { db, alignment: Alignment { gain, ..way.into() }, evidence: Evidence::default() }
    }
}
