//! Errors weighted by how much the inputs matter that they are multiplied with.

#![expect(clippy::cast_possible_truncation, reason = "indices into what is in memory")]

use std::ops::Range;

use super::measure::Compared;
use super::sqnr_db;
use crate::Result;
use crate::dequantize::for_each_real;
use crate::importance::{Counts, InputWeights};

/// Energies, each number's as much as it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weighted {
    reference: f64,
    error: f64,
}

impl Weighted {
    pub(crate) fn merge(&mut self, other: Weighted) {
        self.reference += other.reference;
        self.error += other.error;
    }

    pub(crate) fn sqnr_db(self) -> Option<f64> {
        sqnr_db(self.reference, self.error)
    }

    /// Infinite where there is nothing but errors.
    pub(crate) fn noise_to_signal(self) -> f64 {
        match (self.reference > 0.0, self.error > 0.0) {
            (true, _) => self.error / self.reference,
            (false, false) => 0.0,
            (false, true) => f64::INFINITY,
        }
    }

    fn add(&mut self, counts: &Counts<'_>, reference: &[f64], real: &[f64]) {
        let mut add = |count: f64, r: f64, q: f64| {
            if r.is_finite() && q.is_finite() {
                let e = r - q;
                self.reference += count * (r * r);
                self.error += count * (e * e);
            }
        };
        let both = reference.iter().zip(real);
        match counts {
            Counts::One(count) => both.for_each(|(&r, &q)| add(*count, r, q)),
            Counts::Each(counts) => both.zip(*counts).for_each(|((&r, &q), &count)| add(count, r, q)),
        }
    }
}

/// Of the elements `range`.
pub(crate) fn weigh(compared: &Compared<'_>, weights: &InputWeights, range: Range<u64>) -> Result<Weighted> {
    /// Elements that are looked at together: what is known of them stays in a near cache.
    const AT_ONCE: usize = 1 << 14;
    let mut weighted = Weighted::default();
    let (mut reference, mut real) = (Vec::new(), Vec::with_capacity(AT_ONCE));
    let (mut start, mut failed) = (range.start, Ok(()));
    let mut flush = |real: &mut Vec<f64>| -> Result<()> {
        let end = start + real.len() as u64;
        compared.reference.read(start..end, &mut reference)?;
        let mut at = 0;
        while at < real.len() {
            let (counts, len) = weights.run(start + at as u64..end);
            let some = at..at + len as usize;
            weighted.add(&counts, &reference[some.clone()], &real[some.clone()]);
            at = some.end;
        }
        start = end;
        real.clear();
        Ok(())
    };
    for_each_real(compared.source, compared.id, range, |value| {
        real.push(value);
        if real.len() == AT_ONCE && failed.is_ok() {
            failed = flush(&mut real);
            real.clear();
        }
    })?;
    failed?;
    flush(&mut real)?;
    Ok(weighted)
}
