//! Weights that were laid behind each other before they were quantized, such as those of queries, keys and values.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::aligned::{Aligned, Alignment, Way};
use super::sample::{Tiles, sample};
use super::score::plain_db;
use super::{LEAST_DB, MARGIN_DB, MatchedBy, Pair, Pairs, Samples, output_axis};
use crate::{ParameterId, ParameterSource, Result, Shape};

/// A quantized matrix that may have been laid together.
struct Whole<'a> {
    source: &'a (dyn ParameterSource + Sync),
    id: ParameterId,
    dims: [u64; 2],
    output_axis: usize,
}

/// A parameter of the reference, how much of the outputs it has, and how like them it is.
struct Part {
    reference: ParameterId,
    transposed: bool,
    outputs: u64,
    db: f64,
}

impl Samples<'_> {
    /// Finds out what the unmatched ones were laid together of.
    pub(super) fn find_merged(
        &mut self,
        quantized: &(dyn ParameterSource + Sync),
        numbers: &[ParameterId],
        pairs: &mut Pairs,
    ) {
        let used = pairs.used();
        let free: Vec<ParameterId> = numbers.iter().copied().filter(|id| !used.contains(id)).collect();
        for unmatched in std::mem::take(&mut pairs.quantized) {
            let parameter = quantized.model().parameter(unmatched.parameter);
            let found = <[u64; 2]>::try_from(parameter.logical_shape().dims()).ok().and_then(|dims| {
                let output_axis = output_axis(quantized.model(), parameter);
                self.pair_of(&Whole { source: quantized, id: unmatched.parameter, dims, output_axis }, &free)
            });
            match found.or_else(|| self.stack_of(quantized, unmatched.parameter, &free)) {
                Some(pair) => pairs.pairs.push(pair),
                None => pairs.quantized.push(unmatched),
            }
        }
        pairs.pairs.sort_by_key(|pair| pair.quantized);
    }

    fn pair_of(&mut self, whole: &Whole<'_>, free: &[ParameterId]) -> Option<Pair> {
        let mut parts: Vec<Part> = Vec::new();
        let mut before = 0;
        while before < whole.dims[whole.output_axis] {
            let part = self.next_part(whole, before, free)?;
            before += part.outputs;
            parts.push(part);
        }
        let (first, others) = parts.split_first()?;
        let is_one_way = others.iter().all(|part| part.transposed == first.transposed);
        let alignment = Alignment {
            transposed: first.transposed,
            merged: others.iter().map(|part| part.reference).collect(),
            ..Alignment::default()
        };
        is_one_way.then_some(Pair {
            reference: first.reference,
            quantized: whole.id,
            matched_by: MatchedBy::Value,
            alignment,
            output_axis: whole.output_axis,
        })
    }

    /// The one whose outputs come behind the first so many.
    fn next_part(&mut self, whole: &Whole<'_>, before: u64, free: &[ParameterId]) -> Option<Part> {
        let mut parts = Vec::new();
        let mut samples: HashMap<u64, Vec<f64>> = HashMap::new();
        for &reference in free {
            let &[height, width] = self.reference.model().parameter(reference).shape.dims() else { continue };
            for (transposed, dims) in [(false, [height, width]), (true, [width, height])] {
                let outputs = dims[whole.output_axis];
                let inputs = 1 - whole.output_axis;
                let is_part = before + outputs <= whole.dims[whole.output_axis]
                    && outputs < whole.dims[whole.output_axis]
                    && dims[inputs] == whole.dims[inputs];
                let shape = Shape::new(dims).ok().filter(|shape| is_part && shape.elements() > 0);
                let Some(tiles) = shape.map(|shape| Tiles::of(&shape)) else { continue };
                // What is asked for many is read once.
                if let Entry::Vacant(place) = samples.entry(outputs) {
                    place.insert(whole.sample(&tiles, before).ok()?);
                }
                let values = &samples[&outputs];
                let look = (reference, tiles, Way { transposed, ..Way::default() });
                let numbers = self.look(&look, &dims, whole.output_axis);
                if numbers.len() == values.len() {
                    parts.push(Part { reference, transposed, outputs, db: plain_db(numbers, values) });
                }
            }
        }
        parts.sort_by(|one, other| other.db.total_cmp(&one.db));
        let second = parts.get(1).map_or(f64::NEG_INFINITY, |part| part.db);
        let best = parts.into_iter().next()?;
        (best.db >= LEAST_DB && best.db - second >= MARGIN_DB).then_some(best)
    }
}

impl Whole<'_> {
    /// What the codes behind the first so many outputs stand for.
    fn sample(&self, tiles: &Tiles, before: u64) -> Result<Vec<f64>> {
        let (row, column) = if self.output_axis == 0 { (before, 0) } else { (0, before) };
        sample(self.source, self.id, &tiles.moved(row, column, self.dims[1]))
    }
}

impl Aligned<'_> {
    /// Whole rows of all parts, one beside or behind the other, and of these what is asked for. Those of a stack lie behind
    /// each other, as if it were one matrix.
    pub(super) fn read_merged(&self, range: &Range<u64>, values: &mut Vec<f64>) -> Result<()> {
        let width = self.dims.last().copied().unwrap_or(1);
        let rows = range.start / width..range.end.div_ceil(width);
        let alone = Alignment { transposed: self.alignment.transposed, ..Alignment::default() };
        let mut all = vec![0.0; ((rows.end - rows.start) * width) as usize];
        let (mut before, mut numbers) = (0, Vec::new());
        for &id in [self.id].iter().chain(&self.alignment.merged) {
            let mut dims = self.source.model().parameter(id).shape.dims().to_vec();
            if alone.transposed {
                dims.reverse();
            }
            let (height, columns) = (dims[0], dims[1]);
            let (above, left) = if self.gain_axis == 0 { (before, 0) } else { (0, before) };
            before += dims[self.gain_axis];
            let own = rows.start.max(above)..rows.end.min(above + height);
            if own.is_empty() {
                continue;
            }
            let part = Aligned { id, alignment: &alone, dims, ..*self };
            part.read((own.start - above) * columns..(own.end - above) * columns, &mut numbers)?;
            for (row, numbers) in own.zip(numbers.chunks(columns as usize)) {
                let at = ((row - rows.start) * width + left) as usize;
                all[at..at + numbers.len()].copy_from_slice(numbers);
            }
        }
        let skipped = (range.start - rows.start * width) as usize;
        values.extend_from_slice(&all[skipped..skipped + (range.end - range.start) as usize]);
        Ok(())
    }
}
