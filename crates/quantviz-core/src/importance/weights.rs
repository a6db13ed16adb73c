//! What each element of a quantized weight counts: as much as the input that it is multiplied with.

#![expect(clippy::cast_possible_truncation, reason = "indices into what is in memory")]

use std::ops::Range;

use super::{Entry, Listed};
use crate::pairing::{Gain, Pair};
use crate::{Error, Format, Model, Result};

/// What the elements of a weight count, in the shape of its codes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InputWeights {
    inputs: Axis,
    /// The axis along which what inputs count may change: that of outputs, or of stacked matrices.
    along: Axis,
    bands: Vec<Band>,
}

/// What the inputs count of some outputs.
#[derive(Clone, Debug, PartialEq)]
struct Band {
    /// The position behind the last of these outputs.
    end: u64,
    squares: Vec<f64>,
}

/// An axis of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    len: u64,
    /// Elements from one position to the next.
    stride: u64,
}

impl Axis {
    fn of(dims: &[u64], axis: usize) -> Self {
        Axis { len: dims[axis], stride: dims[axis + 1..].iter().product::<u64>().max(1) }
    }

    fn at(self, index: u64) -> u64 {
        index / self.stride % self.len
    }
}

/// What a run of elements counts.
pub(crate) enum Counts<'a> {
    /// All the same.
    One(f64),
    /// Each as its input does.
    Each(&'a [f64]),
}

impl InputWeights {
    /// Of a pair whose factors are known; `None` where nothing is listed for it, or it is no weight.
    pub(crate) fn of(listed: &Listed<'_>, from: &Model, of: &Model, pair: &Pair) -> Result<Option<Self>> {
        let parameter = of.parameter(pair.quantized);
        if !parameter.is_weight() || parameter.logical_shape().elements() == 0 {
            return Ok(None);
        }
        let dims = parameter.logical_shape().dims();
        let weight = Weight { of, pair, dims, name: &parameter.name };
        let mut weights = match listed.find(&parameter.name) {
            Some(entry) => weight.whole(entry, entry.squares)?,
            None => match weight.of_reference(listed, from)? {
                Some(weights) => weights,
                None => return Ok(None),
            },
        };
        if let Gain::Input(factors) = &pair.alignment.gain {
            weights.divide_inputs(factors);
        }
        Ok(Some(weights))
    }

    /// Inputs of weights that were multiplied were divided: what was recorded is of the reference.
    fn divide_inputs(&mut self, factors: &[f64]) {
        for band in &mut self.bands {
            for (square, factor) in band.squares.iter_mut().zip(factors.iter().cycle()) {
                *square = if *factor == 0.0 { 0.0 } else { *square / (factor * factor) };
            }
        }
    }

    /// What the elements from `range.start` on count, and how many of the range do so: at least one.
    pub(crate) fn run(&self, range: Range<u64>) -> (Counts<'_>, u64) {
        let place = self.along.at(range.start);
        let index = self.bands.partition_point(|band| band.end <= place).min(self.bands.len() - 1);
        let band = &self.bands[index];
        let left = (band.end - place) * self.along.stride - range.start % self.along.stride;
        let left = left.min(range.end - range.start);
        let (input, inputs) = (self.inputs.at(range.start) as usize, self.inputs.len as usize);
        if self.inputs.stride == 1 {
            let len = left.min((inputs - input) as u64);
            return (Counts::Each(&band.squares[input..input + len as usize]), len);
        }
        let len = left.min(self.inputs.stride - range.start % self.inputs.stride);
        (Counts::One(band.squares[input]), len)
    }
}

/// A quantized weight that importance is looked up for.
struct Weight<'a> {
    of: &'a Model,
    pair: &'a Pair,
    /// Of its codes.
    dims: &'a [u64],
    name: &'a str,
}

impl Weight<'_> {
    fn op(&self) -> Option<&str> {
        let layer = self.of.parameter(self.pair.quantized).layer?;
        self.of.layer(layer).op.as_deref()
    }

    /// Whether matrices of outputs by inputs are stacked, as those of experts are.
    fn is_stacked(&self, numbers: usize) -> bool {
        let &[count, outputs, inputs] = self.dims else { return false };
        let fits = numbers as u64 == count * inputs;
        let is_conv = self.op().is_some_and(|op| op.contains("Conv"));
        self.of.format == Format::Gguf || (fits && numbers as u64 != outputs && !is_conv)
    }

    /// The axis of inputs, and that along which they may count differently.
    fn axes(&self, numbers: usize) -> (usize, usize) {
        let (rank, outputs) = (self.dims.len(), self.pair.output_axis);
        match (rank, outputs) {
            (2, _) => (1 - outputs.min(1), outputs.min(1)),
            // Matrices of inputs by outputs.
            (_, outputs) if outputs == rank - 1 => (rank - 2, 0),
            _ if self.is_stacked(numbers) => (2, 0),
            (_, 0) => (1, 0),
            _ => (0, outputs),
        }
    }

    /// What the parameter of the reference is listed with, or each of those that were laid together.
    fn of_reference(&self, listed: &Listed<'_>, from: &Model) -> Result<Option<InputWeights>> {
        let (pair, alignment) = (self.pair, &self.pair.alignment);
        let name = |id| &*from.parameter(id).name;
        let Some(entry) = listed.find(name(pair.reference)) else { return Ok(None) };
        if alignment.merged.is_empty() {
            let squares = self.part_of_inputs(entry.squares, from);
            return self.whole(entry, squares).map(Some);
        }
        // Of a stack, each is one.
        let is_stack = from.parameter(pair.reference).shape.rank() < self.dims.len();
        let (inputs, outputs) = if is_stack { (2, 0) } else { self.axes(entry.squares.len()) };
        let mut weights = InputWeights {
            inputs: Axis::of(self.dims, inputs),
            along: Axis::of(self.dims, outputs),
            bands: Vec::new(),
        };
        let mut end = 0;
        for id in [pair.reference].into_iter().chain(alignment.merged.iter().copied()) {
            let Some(entry) = listed.find(name(id)) else { return Ok(None) };
            if entry.squares.len() as u64 != weights.inputs.len {
                return Err(self.misfit(entry, weights.inputs.len));
            }
            let axis = if alignment.transposed { 1 - outputs } else { outputs };
            let of_part = from.parameter(id).shape.dims().get(axis).copied().unwrap_or(0);
            end += if is_stack { 1 } else { of_part };
            weights.bands.push(Band { end, squares: in_f64(entry.squares) });
        }
        Ok(Some(weights))
    }

    /// Of all inputs of the reference, those that its part has.
    fn part_of_inputs<'s>(&self, squares: &'s [f32], from: &Model) -> &'s [f32] {
        let Some(split) = &self.pair.alignment.split else { return squares };
        let (inputs, _) = self.axes(squares.len());
        let axis = if self.pair.alignment.transposed { 1 - inputs.min(1) } else { inputs };
        let whole = from.parameter(self.pair.reference).shape.dims().get(axis).copied();
        if split.axis != axis || whole != Some(squares.len() as u64) {
            return squares;
        }
        squares.get(split.range.start as usize..split.range.end as usize).unwrap_or(squares)
    }

    /// Of all outputs alike, or of groups of them, or of stacked matrices.
    fn whole(&self, entry: Entry<'_>, squares: &[f32]) -> Result<InputWeights> {
        let (inputs, along) = self.axes(squares.len());
        let (inputs, along) = (Axis::of(self.dims, inputs), Axis::of(self.dims, along));
        let groups = squares.len() as u64 / inputs.len;
        let may_differ = groups == 1 || self.dims.len() > 2;
        let fits = groups > 0
            && may_differ
            && (squares.len() as u64).is_multiple_of(inputs.len)
            && along.len.is_multiple_of(groups);
        if !fits {
            return Err(self.misfit(entry, inputs.len));
        }
        let bands = squares.chunks(inputs.len as usize).zip(1..);
        let band = |(squares, group)| Band { end: along.len / groups * group, squares: in_f64(squares) };
        Ok(InputWeights { inputs, along, bands: bands.map(band).collect() })
    }

    fn misfit(&self, entry: Entry<'_>, inputs: u64) -> Error {
        let listed = entry.squares.len();
        let outputs = self.dims.get(self.pair.output_axis);
        let advice = if outputs == Some(&(listed as u64)) && self.dims.len() == 2 {
            "; that many are its outputs: --axis says where they lie, if they are told wrongly"
        } else {
            "; is it of this model?"
        };
        let what = format!(
            "its importance, listed as {}, has {listed} numbers, but it has {inputs} inputs{advice}",
            entry.name
        );
        Error::malformed(what).in_tensor(self.name)
    }
}

fn in_f64(squares: &[f32]) -> Vec<f64> {
    squares.iter().copied().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each element counts, run by run.
    fn spread(weights: &InputWeights, elements: u64) -> Vec<f64> {
        let (mut all, mut at) = (Vec::new(), 0);
        while at < elements {
            let (counts, len) = weights.run(at..elements);
            assert!(len > 0);
            match counts {
                Counts::One(count) => all.extend((0..len).map(|_| count)),
                Counts::Each(counts) => all.extend_from_slice(counts),
            }
            at += len;
        }
        all
    }

    fn weights(dims: &[u64], inputs: usize, along: usize, bands: &[(u64, &[f64])]) -> Vec<f64> {
        let bands =
            bands.iter().map(|(end, squares)| Band { end: *end, squares: squares.to_vec() }).collect();
        let weights = InputWeights { inputs: Axis::of(dims, inputs), along: Axis::of(dims, along), bands };
        spread(&weights, dims.iter().product())
    }

    #[test]
    fn every_element_counts_as_its_input() {
        let (one, other): (&[f64], &[f64]) = (&[1.0, 2.0], &[3.0, 4.0]);
        assert_eq!(weights(&[2, 2], 1, 0, &[(2, one)]), [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(weights(&[2, 2], 0, 1, &[(2, one)]), [1.0, 1.0, 2.0, 2.0]);
        // Two outputs each.
        assert_eq!(weights(&[3, 2], 1, 0, &[(2, one), (3, other)]), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(weights(&[2, 3], 0, 1, &[(2, one), (3, other)]), [1.0, 1.0, 3.0, 2.0, 2.0, 4.0]);
        // Kernels of two taps.
        assert_eq!(weights(&[1, 2, 2], 1, 0, &[(1, one)]), [1.0, 1.0, 2.0, 2.0]);
        // A stack of two matrices of one output.
        assert_eq!(weights(&[2, 1, 2], 2, 0, &[(1, one), (2, other)]), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_run_begins_anywhere() {
        let bands = vec![Band { end: 2, squares: vec![1.0, 2.0, 3.0] }];
        let weights = InputWeights { inputs: Axis::of(&[2, 3], 1), along: Axis::of(&[2, 3], 0), bands };
        let (counts, len) = weights.run(4..6);
        assert!(matches!(counts, Counts::Each([2.0, 3.0])) && len == 2);
        let (counts, len) = weights.run(1..2);
        assert!(matches!(counts, Counts::Each([2.0])) && len == 1);
    }
}
