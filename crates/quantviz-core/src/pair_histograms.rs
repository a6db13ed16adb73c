//! How the numbers of a pair are spread: those of the reference, and what its codes stand for, over the same bins.

use std::ops::{ControlFlow, Range};

use crate::dequantize::for_each_real_slice;
use crate::histogram::Outside;
use crate::pairing::{Aligned, Alignment, Gain, Pair, pieces};
use crate::parallel::for_each_job;
use crate::{Bins, Block, Elements, Histogram, ParameterSource, Part, Result};

/// A reference and what was made of it, over the same bins, which reach from the smallest to the largest number of the
/// reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PairHistograms {
    /// The numbers of the reference, with whatever was folded into them before they were quantized.
    pub reference: BinnedValues,
    /// What the codes stand for.
    pub quantized: BinnedValues,
}

/// Numbers in bins, and those that are in none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BinnedValues {
    /// Those within the edges.
    pub histogram: Histogram,
    /// How many are below the first edge.
    pub below: u64,
    /// How many are above the last one.
    pub above: u64,
    /// How many are not a number.
    pub nan: u64,
}

impl PairHistograms {
    /// Those of one pair, as [`Compare`](crate::Compare) found it, over this range of numbers; it reads both models once.
    /// `None` where the range cannot be divided into so many bins.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use ndarray::{arr1, arr2};
    /// use quantviz_core::{
    ///     Compare, DType, Encoding, Granularity, MemorySource, Operand, PairHistograms, ParameterId,
    ///     ParameterSource, QuantDescriptor, Role,
    /// };
    ///
    /// let mut reference = MemorySource::new().with("w", arr2(&[[-1.0f32, 0.26], [0.51, 1.0]]));
    /// let scale = Operand::One { value: 0.5, parameter: None };
    /// let descriptor =
    ///     QuantDescriptor::of_stored(Encoding::Qdq, "example", DType::I8, Granularity::Tensor, scale, None);
    /// let mut quantized = MemorySource::new()
    ///     .with("w", arr2(&[[-2i8, 1], [1, 2]]))
    ///     .quantized(descriptor.expect("codes"))?;
    /// for source in [&mut reference, &mut quantized] {
    ///     source.model_mut().parameters[0].role = Role::Weight;
    /// }
    /// let comparison = Compare::new().run(&reference, &quantized, &|_| ControlFlow::Continue(()))?;
    /// let pair = &comparison.pairs[0].pair;
    /// let histograms = PairHistograms::of(&reference, &quantized, pair, (-1.0, 1.0), 4)?.expect("a range");
    /// assert_eq!(histograms.reference.histogram.counts, [1, 0, 1, 2]);
    /// assert_eq!(histograms.quantized.histogram.counts, [1, 0, 0, 3]);
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn of(
        reference: &(dyn ParameterSource + Sync),
        quantized: &(dyn ParameterSource + Sync),
        pair: &Pair,
        range: (f64, f64),
        bins: usize,
    ) -> Result<Option<Self>> {
        let Some(bins) = Bins::between(range.0, range.1, bins) else { return Ok(None) };
        let sides = PairSides::of(reference, quantized, pair);
        let mut all = sides.nothing(&bins);
        for piece in sides.pieces() {
            all.merge(&sides.count(&bins, piece)?);
        }
        Ok(Some(all))
    }

    pub(crate) fn merge(&mut self, other: &PairHistograms) {
        self.reference.merge(&other.reference);
        self.quantized.merge(&other.quantized);
    }
}

impl BinnedValues {
    /// All numbers that were looked at.
    pub fn count(&self) -> u64 {
        self.histogram.counts.iter().sum::<u64>() + self.below + self.above + self.nan
    }

    fn of(bins: Bins) -> Self {
        let (histogram, Outside { below, above, nan }) = bins.finish();
        BinnedValues { histogram, below, above, nan }
    }

    fn merge(&mut self, other: &BinnedValues) {
        // Both were made with the same edges.
        let _ = self.histogram.merge(&other.histogram);
        self.below += other.below;
        self.above += other.above;
        self.nan += other.nan;
    }
}

/// The histograms of many pairs, each over a range of numbers; `None` where that is none, or where something cannot be
/// read.
pub(crate) fn histograms_of(
    reference: &(dyn ParameterSource + Sync),
    quantized: &(dyn ParameterSource + Sync),
    pairs: &[(&Pair, Option<(f64, f64)>)],
    bins: usize,
    threads: usize,
    report: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
) -> Result<Vec<Option<PairHistograms>>> {
    let sides: Vec<Option<(PairSides<'_>, Bins)>> = pairs
        .iter()
        .map(|(pair, range)| {
            let (low, high) = (*range)?;
            Some((PairSides::of(reference, quantized, pair), Bins::between(low, high, bins)?))
        })
        .collect();
    let jobs: Vec<(usize, Range<u64>)> = (0..)
        .zip(&sides)
        .filter_map(|(slot, sides)| Some((slot, sides.as_ref()?)))
        .flat_map(|(slot, (sides, _))| sides.pieces().map(move |piece| (slot, piece)))
        .collect();
    let elements = |(_, piece): &(usize, Range<u64>)| piece.end - piece.start;
    let counted = for_each_job(threads, &jobs, elements, report, |(slot, piece)| {
        sides[*slot].as_ref().and_then(|(sides, bins)| sides.count(bins, piece.clone()).ok())
    })?;
    let mut all: Vec<Option<PairHistograms>> =
        sides.iter().map(|it| it.as_ref().map(|(sides, bins)| sides.nothing(bins))).collect();
    for ((slot, _), counted) in jobs.iter().zip(counted) {
        all[*slot] = all[*slot].take().zip(counted).map(|(mut all, counted)| {
            all.merge(&counted);
            all
        });
    }
    Ok(all)
}

/// Both sides of a pair, to be counted piece by piece.
pub(crate) struct PairSides<'a> {
    reference: &'a (dyn ParameterSource + Sync),
    quantized: &'a (dyn ParameterSource + Sync),
    pair: &'a Pair,
    /// The reference as it lies beside the codes, where that says which of its numbers there are, or what they are
    /// multiplied with. Where they lie is all the same to a histogram.
    dims: Vec<u64>,
    is_plain: bool,
}

impl<'a> PairSides<'a> {
    pub(crate) fn of(
        reference: &'a (dyn ParameterSource + Sync),
        quantized: &'a (dyn ParameterSource + Sync),
        pair: &'a Pair,
    ) -> Self {
        let Alignment { gain, split, merged, .. } = &pair.alignment;
        PairSides {
            reference,
            quantized,
            pair,
            dims: quantized.model().parameter(pair.quantized).logical_shape().dims().to_vec(),
            is_plain: *gain == Gain::None && split.is_none() && merged.is_empty(),
        }
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        pieces(&self.dims)
    }

    /// What no number is counted in yet.
    pub(crate) fn nothing(&self, bins: &Bins) -> PairHistograms {
        let none = || BinnedValues::of(bins.clone());
        PairHistograms { reference: none(), quantized: none() }
    }

    /// Counts a piece of both.
    pub(crate) fn count(&self, bins: &Bins, piece: Range<u64>) -> Result<PairHistograms> {
        let reference = self.count_reference(bins, piece.clone())?;
        let mut quantized = bins.clone();
        for_each_real_slice(self.quantized, self.pair.quantized, piece, &mut |values| {
            quantized.add(&Elements::F64(values));
        })?;
        Ok(PairHistograms { reference, quantized: BinnedValues::of(quantized) })
    }

    fn count_reference(&self, bins: &Bins, piece: Range<u64>) -> Result<BinnedValues> {
        let mut bins = bins.clone();
        if self.is_plain {
            let mut sink = |block: Block<'_>| {
                bins.add(&block.elements);
                ControlFlow::Continue(())
            };
            let _ = self.reference.read(self.pair.reference, Part::Stored, piece, &mut sink)?;
            return Ok(BinnedValues::of(bins));
        }
        let aligned = Aligned {
            source: self.reference,
            id: self.pair.reference,
            alignment: &self.pair.alignment,
            dims: self.dims.clone(),
            gain_axis: self.pair.output_axis,
        };
        let mut values = Vec::new();
        let mut start = piece.start;
        while start < piece.end {
            let end = piece.end.min(start + AT_ONCE);
            aligned.read(start..end, &mut values)?;
            bins.add(&Elements::F64(&values));
            start = end;
        }
        Ok(BinnedValues::of(bins))
    }
}

/// Numbers of a reference that are aligned at a time.
const AT_ONCE: u64 = 1 << 14;
