//! The scales, zero-points and offsets that a range of codes is computed with.

use std::ops::{ControlFlow, Range};

use crate::dequantize::{add_values, read_values};
use crate::{Error, GroupIndex, Groups, Operand, ParameterId, ParameterSource, Part, RangeSummary, Result};

/// What every group that a range of a parameter touches is computed with.
pub(crate) struct Calibration {
    pub(crate) groups: Groups,
    /// Those of both levels multiplied, where each group lies in one of the outer level.
    pub(crate) scales: Numbers,
    pub(crate) zero_points: Numbers,
    pub(crate) offsets: Numbers,
    /// Both levels, the inner and the outer one, before they were multiplied.
    pub(crate) levels: Option<(Numbers, Numbers)>,
    /// The outer level, where it is not in the scales.
    pub(crate) outer: Option<(Groups, Numbers)>,
    pub(crate) table: Option<Vec<f32>>,
}

/// The numbers of some groups.
pub(crate) enum Numbers {
    /// The same for all.
    All(f64),
    /// One for each group from the first on.
    Each { first: u64, values: Vec<f64> },
}

impl Numbers {
    pub(crate) fn of(&self, group: u64) -> f64 {
        match self {
            Numbers::All(value) => *value,
            Numbers::Each { first, values } => {
                let index = group.checked_sub(*first).and_then(|index| usize::try_from(index).ok());
                index.and_then(|index| values.get(index).copied()).unwrap_or(f64::NAN)
            }
        }
    }
}

impl Numbers {
    /// Whether they are all this one.
    pub(crate) fn are_all(&self, number: f64) -> bool {
        match self {
            Numbers::All(value) => *value == number,
            Numbers::Each { values, .. } => values.iter().all(|&value| value == number),
        }
    }

    /// The summary of those of so many groups.
    pub(crate) fn summary(&self, groups: u64) -> RangeSummary {
        match self {
            Numbers::All(value) => RangeSummary::of_counted([(*value, groups)].into_iter()),
            Numbers::Each { values, .. } => RangeSummary::of(values),
        }
    }

    /// Computes with the number of each group from `first` on, one group for each value.
    #[inline(always)]
    pub(crate) fn apply(&self, first: u64, values: &mut [f64], compute: impl Fn(f64, f64) -> f64) {
        match self {
            Numbers::All(number) => values.iter_mut().for_each(|value| *value = compute(*value, *number)),
            Numbers::Each { first: start, values: numbers } => {
                let skipped = first.checked_sub(*start).and_then(|skipped| usize::try_from(skipped).ok());
                let numbers = skipped.and_then(|skipped| numbers.get(skipped..)).unwrap_or_default();
                values.iter_mut().zip(numbers).for_each(|(value, number)| *value = compute(*value, *number));
                if let Some(without) = values.get_mut(numbers.len()..) {
                    without.fill(f64::NAN);
                }
            }
        }
    }
}

/// What is done with a part of a range.
pub(crate) type Each<'a> = dyn FnMut(&Calibration, Range<u64>) -> Result<ControlFlow<()>> + 'a;

/// Elements whose bytes stay in a near cache, where scales lie between codes: then only the first of the reads that take
/// them apart has to fetch them from afar.
pub(crate) const NEAR: u64 = 1 << 17;

/// Memory for numbers, kept from one part of a range to the next: what is given back and asked for again, the system takes
/// away and fills with zeros in between.
#[derive(Default)]
struct Spare(Vec<Vec<f64>>);

impl Spare {
    fn take(&mut self) -> Vec<f64> {
        self.0.pop().unwrap_or_default()
    }

    fn put(&mut self, numbers: Numbers) {
        if let Numbers::Each { mut values, .. } = numbers {
            values.clear();
            self.0.push(values);
        }
    }

    fn put_all(&mut self, calibration: Calibration) {
        let Calibration { scales, zero_points, offsets, levels, outer, .. } = calibration;
        let (inner, of_inner) = levels.unzip();
        let others = [inner, of_inner, outer.map(|(_, numbers)| numbers)];
        [scales, zero_points, offsets]
            .into_iter()
            .chain(others.into_iter().flatten())
            .for_each(|it| self.put(it));
    }
}

/// Parts `range` until each part touches no more groups than it has elements, and calls `each` with every part and
/// what it is computed with. So neither memory nor time grows with the groups of the whole.
pub(crate) fn for_each_calibration<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    each: &mut Each<'_>,
) -> Result<ControlFlow<()>> {
    let quantization = source.model().parameter(id).quantization.as_ref();
    let is_between_codes = quantization.is_some_and(|it| it.scale == Operand::Packed);
    let step = if is_between_codes { NEAR } else { u64::MAX };
    let (mut start, mut spare) = (range.start, Spare::default());
    loop {
        let end = range.end.min(start.saturating_add(step));
        let flow = for_each_part(source, id, start..end, &mut spare, each)?;
        if flow.is_break() || end == range.end {
            return Ok(flow);
        }
        start = end;
    }
}

fn for_each_part<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    range: Range<u64>,
    spare: &mut Spare,
    each: &mut Each<'_>,
) -> Result<ControlFlow<()>> {
    match Calibration::load(source, id, &range, spare)? {
        Loaded::Calibration(calibration) => {
            let flow = each(&calibration, range);
            spare.put_all(*calibration);
            flow
        }
        Loaded::TooMuch { middle } => match for_each_part(source, id, range.start..middle, spare, each)? {
            ControlFlow::Continue(()) => for_each_part(source, id, middle..range.end, spare, each),
            broken => Ok(broken),
        },
    }
}

enum Loaded {
    Calibration(Box<Calibration>),
    /// The range is to be parted here.
    TooMuch {
        middle: u64,
    },
}

impl Calibration {
    fn load<S: ParameterSource + ?Sized>(
        source: &S,
        id: ParameterId,
        range: &Range<u64>,
        spare: &mut Spare,
    ) -> Result<Loaded> {
        /// Groups that are read for however few elements.
        const FEW: u64 = 1 << 16;
        let parameter = source.model().parameter(id);
        let misfit = || Error::malformed("its scales do not fit its shape").in_tensor(&parameter.name);
        let descriptor = parameter.quantization.as_ref().ok_or_else(misfit)?;
        let affordable = (range.end - range.start).max(FEW);
        let mut groups = descriptor.groups(&parameter.shape).ok_or_else(misfit)?;
        let too_much = |groups: &Groups, span: &Range<u64>| {
            let middle = groups.middle(range).filter(|_| span.end - span.start > affordable);
            middle.map(|middle| Loaded::TooMuch { middle })
        };
        if let Some(index) = descriptor.group_index {
            let axis = index.axis();
            let positions = groups.positions(axis, range).ok_or_else(misfit)?;
            if let Some(too_much) = too_much(&groups, &positions) {
                return Ok(too_much);
            }
            let slabs = match index {
                GroupIndex::Listed { parameter, .. } => read_index(source, parameter, positions.clone())?,
                GroupIndex::InTurns { .. } => groups.turns(axis, positions.clone()),
            };
            groups = groups.with_index(axis, positions.start, slabs).ok_or_else(misfit)?;
        }
        let outer_groups = descriptor.outer_groups(&parameter.shape);
        if descriptor.outer_scale.is_some() && outer_groups.is_none() {
            return Err(misfit());
        }
        for groups in [Some(&groups), outer_groups.as_ref()].into_iter().flatten() {
            if let Some(too_much) = too_much(groups, &groups.span(range)) {
                return Ok(too_much);
            }
        }
        let read = |part, operand: Option<&Operand>, groups: &Groups, none: f64, spare: &mut Spare| {
            let Some(operand) = operand else { return Ok(Numbers::All(none)) };
            let Range { start, end } = groups.span(range);
            if operand.is_single(source.model()) && start < end {
                let values = read_values(source, id, part, start..start + 1)?;
                return Ok(Numbers::All(values.first().copied().unwrap_or(f64::NAN)));
            }
            let mut values = spare.take();
            add_values(source, id, part, start..end, &mut values)?;
            Ok::<_, Error>(Numbers::Each { first: start, values })
        };
        let outer_scale = descriptor.outer_scale.as_ref().map(|outer| &outer.scale);
        let mut scales = read(Part::Scales, Some(&descriptor.scale), &groups, 1.0, spare)?;
        let (mut outer, mut levels) = (None, None);
        if let Some(outer_groups) = outer_groups {
            let outer_scales = read(Part::OuterScales, outer_scale, &outer_groups, 1.0, spare)?;
            let is_even = descriptor.group_index.is_none() && groups.lie_within(&outer_groups);
            match &mut scales {
                Numbers::Each { first, values } if is_even => {
                    let mut inner = spare.take();
                    inner.extend_from_slice(values);
                    let inner = Numbers::Each { first: *first, values: inner };
                    multiply(values, *first, &groups, &outer_scales, &outer_groups);
                    levels = Some((inner, outer_scales));
                }
                _ => outer = Some((outer_groups, outer_scales)),
            }
        }
        Ok(Loaded::Calibration(Box::new(Calibration {
            scales,
            zero_points: read(Part::ZeroPoints, descriptor.zero_point.as_ref(), &groups, 0.0, spare)?,
            // Adding minus zero changes nothing, not even the sign of a zero.
            offsets: read(Part::Offsets, descriptor.offset.as_ref(), &groups, -0.0, spare)?,
            levels,
            outer,
            groups,
            table: descriptor.table.clone(),
        })))
    }
}

/// Multiplies the scales of the groups from `first` on with those of the outer groups that they lie in.
#[expect(clippy::cast_possible_truncation, reason = "runs of what is in memory")]
pub(crate) fn multiply(
    scales: &mut [f64],
    first: u64,
    groups: &Groups,
    outer_scales: &Numbers,
    outer: &Groups,
) {
    let mut rest = scales;
    for (run, group) in groups.outer_runs(outer, first..first + rest.len() as u64) {
        let (here, behind) = rest.split_at_mut((run.end - run.start) as usize);
        let outer_scale = outer_scales.of(group);
        here.iter_mut().for_each(|scale| *scale *= outer_scale);
        rest = behind;
    }
}

fn read_index<S: ParameterSource + ?Sized>(
    source: &S,
    id: ParameterId,
    positions: Range<u64>,
) -> Result<Vec<u64>> {
    let index = read_values(source, id, Part::Stored, positions)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    let group = |value: f64| if value >= 0.0 && value < 2f64.powi(53) { value as u64 } else { u64::MAX };
    Ok(index.into_iter().map(group).collect())
}
