//! What quantization cost a model: every pair of it, measured in parallel, and the whole in one line.

#![expect(clippy::cast_possible_truncation, reason = "indices into what is in memory")]
#![expect(clippy::cast_precision_loss, reason = "no tensor has 2^53 elements")]

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::fidelity::{Compared, ErrorSums, Grid, Levels, Piece, Simulated, Weighted, measure, simulate};
use crate::importance::weigh_all;
use crate::pair_histograms::{PairHistograms, histograms_of};
use crate::pairing::{Aligned, Gain, Pair, Unmatched, are_taken_back, fit_gain, pair, set_axes};
use crate::parallel::for_each_job;
use crate::{
    AxisRule, Claim, ComparedActivations, Error, Fidelity, Granularity, Importance, Model, Parameter,
    ParameterId, ParameterSource, Progress, QuantDescriptor, Result, SourceExt, byte_len,
};

/// What is compared of two models, and with how many threads.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    threads: Option<usize>,
    bins: Option<usize>,
    axes: Vec<AxisRule>,
    importance: Option<Arc<Importance>>,
}

/// A quantized model beside its reference.
#[derive(Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// Every pair, in the order of the quantized model.
    pub pairs: Vec<ComparedPair>,
    /// Weights of the reference that nothing was made of.
    pub unmatched_reference: Vec<Unmatched>,
    /// Quantized parameters without a reference.
    pub unmatched_quantized: Vec<Unmatched>,
    /// All weights together, each as much as it has elements.
    pub weights: Claim,
    /// The same of those whose importance is known, weighted by it, where that was given.
    pub importance: Option<Claim>,
    /// What both networks make of their inputs, where somebody has recorded and compared it.
    pub activations: Option<ComparedActivations>,
    /// The bits that a weight takes with its scales and zero-points.
    pub bits_per_weight: Option<f64>,
}

/// A pair, and what it cost.
#[derive(Debug)]
#[non_exhaustive]
pub struct ComparedPair {
    /// Who.
    pub pair: Pair,
    /// Whether what its channels were multiplied with, if anything, is taken back elsewhere in the model.
    pub is_taken_back: bool,
    /// What it cost; or why that is not known.
    pub fidelity: Result<Fidelity>,
    /// The bits that an element takes, with its scales and zero-points.
    pub bits_per_weight: f64,
    /// Every code that occurs, in ascending order, and how often. `None` for codes of more than eight bits.
    pub codes: Option<Vec<(f64, u64)>>,
    /// How both are spread, where [`Compare::bins`] asks for it and the reference has a range.
    pub histograms: Option<PairHistograms>,
}

impl Compare {
    /// With a thread for every core.
    pub fn new() -> Self {
        Compare::default()
    }

    /// Uses this many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Makes histograms of this many bins for every pair, over the range of its reference. That takes another look at the
    /// numbers.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = Some(bins);
        self
    }

    /// Says where outputs lie of parameters of the reference, in its coordinates; the first rule that fits counts. Scales
    /// for each channel and factors that were found say it themselves.
    #[must_use]
    pub fn axes(mut self, rules: impl IntoIterator<Item = AxisRule>) -> Self {
        self.axes = rules.into_iter().collect();
        self
    }

    /// Measures errors once more, weighted by how much inputs matter.
    #[must_use]
    pub fn importance(mut self, importance: impl Into<Arc<Importance>>) -> Self {
        self.importance = Some(importance.into());
        self
    }

    /// Compares `quantized` with `reference`. `progress` hears of every step and calls it off by breaking.
    ///
    /// # Errors
    /// When `progress` breaks, a rule fits nothing, or importance is not of these models. What cannot be read is told where
    /// it stands.
    pub fn run(
        &self,
        reference: &(dyn ParameterSource + Sync),
        quantized: &(dyn ParameterSource + Sync),
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Comparison> {
        let found = pair(reference, quantized)?;
        let sides = Sides { reference, quantized };
        let threads = self.threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
        let mut pairs = found.pairs;
        set_axes(reference.model(), quantized.model(), &mut pairs, &self.axes)?;
        let elements = |pair: &Pair| sides.parameter(pair).logical_shape().elements();
        // Codes are looked at twice: what occurs of them says how their ends are meant.
        let once = pairs.iter().map(elements).fold(0, u64::saturating_add);
        let all = once.saturating_mul(if self.bins.is_some() { 3 } else { 2 });
        let report = |done: u64| progress(Progress { done, total: all });
        let prepared = for_each_job(threads, &pairs, elements, &report, |pair| sides.prepare(pair))?;
        let mut ready = Vec::with_capacity(pairs.len());
        for (pair, prepared) in pairs.iter_mut().zip(prepared) {
            ready.push(prepared.map(|prepared| {
                pair.alignment.gain = prepared.gain;
                (prepared.grid, prepared.levels, prepared.codes)
            }));
        }
        let taken_back = are_taken_back(reference, quantized, &pairs);
        let compared: Vec<Result<Compared<'_>>> = pairs
            .iter()
            .zip(&ready)
            .map(|(pair, ready)| match ready {
                Ok((grid, ..)) => Ok(sides.compared(pair, grid.clone())),
                Err(error) => Err(error.clone()),
            })
            .collect();
        let jobs: Vec<(usize, Range<u64>)> = compared
            .iter()
            .enumerate()
            .filter_map(|(slot, compared)| Some((slot, compared.as_ref().ok()?)))
            .flat_map(|(slot, compared)| compared.pieces().map(move |range| (slot, range)))
            .collect();
        let later = |looks: u64, done: u64| {
            let before = once.saturating_mul(looks);
            progress(Progress { done: before.saturating_add(done).min(all), total: all })
        };
        let report = |done: u64| later(1, done);
        let pieces = for_each_job(
            threads,
            &jobs,
            |(_, range)| range.end - range.start,
            &report,
            |(slot, range)| {
                compared[*slot]
                    .as_ref()
                    .map_err(Error::clone)
                    .and_then(|compared| measure(compared, range.clone()))
            },
        )?;
        let mut sums: Vec<Result<Vec<ErrorSums>>> = compared
            .iter()
            .map(|it| match it {
                Ok(compared) => Ok(vec![ErrorSums::default(); compared.channels().count() as usize]),
                Err(error) => Err(error.clone()),
            })
            .collect();
        for ((slot, _), piece) in jobs.iter().zip(pieces) {
            add(&mut sums[*slot], piece);
        }
        let gains = sides.outlier_gains(&compared, &sums, threads)?;
        let weighted = match &self.importance {
            Some(importance) => {
                weigh_all(importance, [reference.model(), quantized.model()], &pairs, &compared, threads)?
            }
            None => vec![None; pairs.len()],
        };
        drop(compared);
        let pairs = pairs.into_iter().zip(taken_back).zip(sums).zip(ready);
        let pairs = pairs.zip(gains.into_iter().zip(weighted));
        let mut pairs: Vec<ComparedPair> = pairs
            .map(|((((pair, is_taken_back), sums), ready), (outlier_gain_db, weighted))| {
                let (levels, codes) = match ready {
                    Ok((_, levels, codes)) => (Ok(levels), codes),
                    Err(error) => (Err(error), None),
                };
                let fidelity = sums.and_then(|sums| {
                    let levels = levels?;
                    let axis = sides.channel_axis(&pair).map(|axis| match pair.alignment.transposed {
                        true => 1 - axis,
                        false => axis,
                    });
                    let weighted = weighted.transpose()?;
                    Ok(Fidelity {
                        outlier_gain_db,
                        importance_sqnr_db: weighted.and_then(Weighted::sqnr_db),
                        importance_noise_to_signal: weighted.map(Weighted::noise_to_signal),
                        ..Fidelity::of_channels(axis, &sums, levels)
                    })
                });
                let bits_per_weight = bits_per_weight(quantized.model(), pair.quantized);
                ComparedPair { pair, is_taken_back, fidelity, bits_per_weight, codes, histograms: None }
            })
            .collect();
        if let Some(bins) = self.bins {
            let range = |it: &ComparedPair| it.fidelity.as_ref().ok()?.reference_range;
            let wanted: Vec<_> = pairs.iter().map(|it| (&it.pair, range(it))).collect();
            let histograms =
                histograms_of(reference, quantized, &wanted, bins, threads, &|done| later(2, done))?;
            pairs.iter_mut().zip(histograms).for_each(|(pair, histograms)| pair.histograms = histograms);
        }
        let mut comparison = Comparison::of(quantized.model(), pairs, found.reference, found.quantized);
        if self.importance.is_some() {
            let ratio = |fidelity: &Fidelity| fidelity.importance_noise_to_signal;
            comparison.importance = Some(claim(quantized.model(), &comparison.pairs, ratio));
        }
        Ok(comparison)
    }
}

fn add(sums: &mut Result<Vec<ErrorSums>>, piece: Result<Piece>) {
    match (&mut *sums, piece) {
        (Ok(sums), Ok(piece)) => {
            let there = &mut sums[piece.first_channel as usize..];
            there.iter_mut().zip(&piece.channels).for_each(|(here, more)| here.merge(more));
        }
        (Ok(_), Err(error)) => *sums = Err(error),
        _ => {}
    }
}

/// What is known of a pair before its numbers are compared.
struct Prepared {
    gain: Gain,
    grid: Grid,
    levels: Option<Levels>,
    /// How often each code occurs, where there are few.
    codes: Option<Vec<(f64, u64)>>,
}

struct Sides<'a> {
    reference: &'a (dyn ParameterSource + Sync),
    quantized: &'a (dyn ParameterSource + Sync),
}

impl<'a> Sides<'a> {
    fn parameter(&self, pair: &Pair) -> &'a Parameter {
        self.quantized.model().parameter(pair.quantized)
    }

    fn aligned(&self, pair: &'a Pair) -> Aligned<'a> {
        Aligned {
            source: self.reference,
            id: pair.reference,
            alignment: &pair.alignment,
            dims: self.parameter(pair).logical_shape().dims().to_vec(),
            gain_axis: pair.output_axis,
        }
    }

    fn compared(&self, pair: &'a Pair, grid: Grid) -> Compared<'a> {
        Compared {
            reference: self.aligned(pair),
            source: self.quantized,
            id: pair.quantized,
            grid,
            channel_axis: self.channel_axis(pair),
        }
    }

    /// The axis of the scale where that has one; that of the outputs else.
    fn channel_axis(&self, pair: &Pair) -> Option<usize> {
        let parameter = self.parameter(pair);
        let rank = parameter.logical_shape().rank();
        match parameter.quantization.as_ref().map(|it| &it.granularity) {
            Some(Granularity::Axis(axis)) if rank > 1 => Some(*axis),
            _ => Some(pair.output_axis).filter(|_| rank > 1),
        }
    }

    fn prepare(&self, pair: &Pair) -> Result<Prepared> {
        let parameter = self.parameter(pair);
        let descriptor =
            parameter.quantization.as_ref().ok_or_else(|| Error::malformed("it has no codes"))?;
        let counts = self.quantized.code_counts(pair.quantized)?;
        let mut grid = Grid::of(descriptor, parameter.dtype);
        if grid != grid.clone().narrowed() && self.is_symmetric(pair, descriptor)? {
            let least = match &counts {
                Some(counts) => counts.first().map(|(code, _)| *code),
                None => self.quantized.summary(pair.quantized)?.min(),
            };
            if least.is_some_and(|code| code > grid.ends().0) {
                grid = grid.narrowed();
            }
        }
        let levels = counts.as_ref().and_then(|counts| Levels::of(counts, &grid));
        let gain = fit_gain(&self.aligned(pair), self.quantized, pair)?;
        Ok(Prepared { gain, grid, levels, codes: counts })
    }

    /// Whether all zero-points are zero, where there are any.
    fn is_symmetric(&self, pair: &Pair, descriptor: &QuantDescriptor) -> Result<bool> {
        if descriptor.offset.is_some() {
            return Ok(false);
        }
        if descriptor.zero_point.is_none() {
            return Ok(true);
        }
        Ok(self.quantized.values(pair.quantized, crate::Part::ZeroPoints)?.iter().all(|&zero| zero == 0.0))
    }

    /// What a scale for each channel would gain, where there is one for all of a matrix.
    fn outlier_gains(
        &self,
        compared: &[Result<Compared<'_>>],
        sums: &[Result<Vec<ErrorSums>>],
        threads: usize,
    ) -> Result<Vec<Option<f64>>> {
        let largest: Vec<Option<(u32, Vec<f64>)>> = compared
            .iter()
            .zip(sums)
            .map(|(compared, sums)| {
                let (compared, sums) = (compared.as_ref().ok()?, sums.as_ref().ok()?);
                let descriptor = self.quantized.model().parameter(compared.id).quantization.as_ref()?;
                let is_whole =
                    descriptor.granularity == Granularity::Tensor && compared.channel_axis.is_some();
                let is_even = matches!(compared.grid, Grid::Even { .. });
                (is_whole && is_even)
                    .then(|| (descriptor.bits, sums.iter().map(ErrorSums::max_reference).collect()))
            })
            .collect();
        let jobs: Vec<(usize, Range<u64>)> = (0..)
            .zip(compared.iter().zip(&largest))
            .filter_map(|(slot, (compared, largest))| {
                Some((slot, compared.as_ref().ok()?, largest.as_ref()?))
            })
            .flat_map(|(slot, compared, _)| compared.pieces().map(move |range| (slot, range)))
            .collect();
        let goes_on = |_| ControlFlow::Continue(());
        let pieces = for_each_job(
            threads,
            &jobs,
            |_| 0,
            &goes_on,
            |(slot, range)| {
                let (bits, largest) = largest[*slot].as_ref()?;
                simulate(compared[*slot].as_ref().ok()?, *bits, largest, range.clone()).ok()
            },
        )?;
        let mut all = vec![None; compared.len()];
        for ((slot, _), piece) in jobs.iter().zip(pieces) {
            all[*slot].get_or_insert_with(Simulated::default).merge(piece.unwrap_or_default());
        }
        Ok(all.into_iter().map(|simulated| simulated.and_then(Simulated::gain_db)).collect())
    }
}

/// The bits of an element, with what its codes are scaled by.
fn bits_per_weight(model: &Model, id: ParameterId) -> f64 {
    let parameter = model.parameter(id);
    let own = byte_len(parameter.dtype, &parameter.shape).unwrap_or(0);
    let others = parameter.quantization.as_ref().map(QuantDescriptor::parameters).unwrap_or_default();
    let others = others.into_iter().filter(|&other| other != id).map(|other| model.parameter(other));
    let bytes = others.filter_map(|it| byte_len(it.dtype, &it.shape).ok()).fold(own, u64::saturating_add);
    8.0 * bytes as f64 / (parameter.logical_shape().elements() as f64).max(1.0)
}

impl Comparison {
    fn of(
        model: &Model,
        pairs: Vec<ComparedPair>,
        unmatched_reference: Vec<Unmatched>,
        unmatched_quantized: Vec<Unmatched>,
    ) -> Self {
        let (mut elements, mut bits) = (0.0, 0.0);
        for (count, it) in weights(model, &pairs) {
            if it.fidelity.as_ref().is_ok_and(|fidelity| fidelity.noise_to_signal.is_some()) {
                (elements, bits) = (elements + count, bits + count * it.bits_per_weight);
            }
        }
        Comparison {
            weights: claim(model, &pairs, |fidelity| fidelity.noise_to_signal),
            importance: None,
            activations: None,
            bits_per_weight: (elements > 0.0).then(|| bits / elements),
            pairs,
            unmatched_reference,
            unmatched_quantized,
        }
    }
}

/// Every weight, and how many elements it has.
fn weights<'a>(model: &'a Model, pairs: &'a [ComparedPair]) -> impl Iterator<Item = (f64, &'a ComparedPair)> {
    let weights = pairs.iter().map(|it| (model.parameter(it.pair.quantized), it));
    let weights = weights.filter(|(parameter, _)| parameter.is_weight());
    weights.map(|(parameter, it)| (parameter.logical_shape().elements() as f64, it))
}

fn claim(model: &Model, pairs: &[ComparedPair], ratio: impl Fn(&Fidelity) -> Option<f64>) -> Claim {
    Claim::of(weights(model, pairs).map(|(count, it)| (count, it.fidelity.as_ref().ok().and_then(&ratio))))
}
