//! What lies behind scales that are zero: nothing, or something that they silence.

use std::collections::HashSet;
use std::ops::Range;

use quantviz_core::{
    GroupIndex, Groups, Parameter, ParameterId, ParameterSource, Part, QuantDescriptor, Result, part_len,
};

use crate::scale_facts::for_each_in;

/// Elements that are looked at together.
const PIECE: u64 = 1 << 20;

/// How many groups have a scale in `part` that is zero, and codes that stand for something else. Codes are read only
/// where there is such a scale.
pub(crate) fn silenced(
    source: &(dyn ParameterSource + Sync),
    id: ParameterId,
    part: Part,
    groups: &Groups,
) -> Result<u64> {
    let parameter = source.model().parameter(id);
    let Some(quantization) = &parameter.quantization else { return Ok(0) };
    let places = Places::of(source, parameter, quantization)?;
    let elements = parameter.logical_shape().elements();
    // Where codes are computed, the numbers before that are at hand.
    let codes = if quantization.computed.is_some() { Part::Stored } else { Part::Codes };
    let mut lost = HashSet::new();
    for start in (0..elements).step_by(PIECE as usize) {
        let range = start..elements.min(start + PIECE);
        let span = if places.is_some() { 0..groups.count() } else { groups.span(&range) };
        let scales = numbers(source, id, part, span.clone())?;
        if !scales.contains(&0.0) {
            continue;
        }
        let zeros = zeros(source, id, quantization, span.clone())?;
        let (mut index, mut group, mut left) = (start, 0, 0);
        for_each_in(source, id, codes, range, &mut |code| {
            if left == 0 {
                let (place, run) = places.as_ref().map_or((index, u64::MAX), |places| places.at(index));
                let (here, here_run) = groups.at(place);
                (group, left) = ((here - span.start) as usize, here_run.min(run));
            }
            if scales[group] == 0.0
                && value(code, quantization) != zeros.get(group).copied().unwrap_or_default()
            {
                lost.insert(span.start + group as u64);
            }
            (index, left) = (index + 1, left - 1);
        })?;
    }
    Ok(lost.len() as u64)
}

/// What a code stands for before it is scaled.
fn value(code: f64, quantization: &QuantDescriptor) -> f64 {
    match &quantization.table {
        Some(table) if quantization.computed.is_none() => {
            table.get(code as usize).map_or(f64::NAN, |&value| f64::from(value))
        }
        _ => code,
    }
}

/// The codes that stand for zero in some groups; empty where that is zero itself.
fn zeros(
    source: &(dyn ParameterSource + Sync),
    id: ParameterId,
    quantization: &QuantDescriptor,
    span: Range<u64>,
) -> Result<Vec<f64>> {
    if quantization.computed.is_some() || part_len(source.model(), id, Part::ZeroPoints)? == 0 {
        return Ok(Vec::new());
    }
    numbers(source, id, Part::ZeroPoints, span)
}

fn numbers(
    source: &(dyn ParameterSource + Sync),
    id: ParameterId,
    part: Part,
    range: Range<u64>,
) -> Result<Vec<f64>> {
    let mut numbers = Vec::new();
    for_each_in(source, id, part, range, &mut |number| numbers.push(number))?;
    Ok(numbers)
}

/// Where elements would lie if groups were runs of neighbours, although an index says otherwise.
struct Places {
    /// Elements from one position on the axis to the next.
    stride: u64,
    /// The first position of the group that each position belongs to.
    positions: Vec<u64>,
}

impl Places {
    fn of(
        source: &(dyn ParameterSource + Sync),
        parameter: &Parameter,
        quantization: &QuantDescriptor,
    ) -> Result<Option<Self>> {
        let Some(index) = quantization.group_index else { return Ok(None) };
        let (dims, axis) = (parameter.logical_shape().dims(), index.axis());
        let sizes = quantization.granularity.sizes(dims).unwrap_or_default();
        let (Some(&len), Some(&size)) = (dims.get(axis), sizes.get(axis)) else { return Ok(None) };
        let groups: Vec<u64> = match index {
            GroupIndex::Listed { parameter, .. } => {
                let listed = numbers(source, parameter, Part::Stored, 0..len)?;
                listed.into_iter().map(|group| group as u64).collect()
            }
            GroupIndex::InTurns { .. } => (0..len).map(|position| position % len.div_ceil(size)).collect(),
        };
        // One that is not there is said elsewhere to be malformed.
        let first = |group: u64| (group * size).min(len - 1);
        let positions = groups.into_iter().map(first).collect();
        Ok(Some(Places { stride: dims[axis + 1..].iter().product(), positions }))
    }

    /// The place of an element, and how many from there on have places behind each other.
    fn at(&self, index: u64) -> (u64, u64) {
        let position = index / self.stride % self.positions.len() as u64;
        let place = index - position * self.stride + self.positions[position as usize] * self.stride;
        (place, self.stride - index % self.stride)
    }
}
