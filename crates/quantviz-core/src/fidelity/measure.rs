//! The errors of a piece of a parameter, as its numbers and its codes come from two files side by side.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use super::grid::Grid;
use super::lanes::{LANES, Lanes, Scales, is_even};
use super::sums::{ErrorSums, Judge};
use crate::calibration::{Calibration, for_each_calibration};
use crate::dequantize::{Affine, in_table, push_values};
use crate::pairing::{Aligned, pieces};
use crate::{Block, ParameterId, ParameterSource, Part, Result, Shape};

/// A parameter whose numbers are known beside its codes.
pub(crate) struct Compared<'a> {
    /// The reference, in the order of the codes.
    pub(crate) reference: Aligned<'a>,
    pub(crate) source: &'a (dyn ParameterSource + Sync),
    pub(crate) id: ParameterId,
    pub(crate) grid: Grid,
    /// The axis that channels lie along, in the shape of the codes.
    pub(crate) channel_axis: Option<usize>,
}

impl Compared<'_> {
    /// The channels, along their axis.
    pub(crate) fn channels(&self) -> ChannelOf {
        ChannelOf::axis(self.source.model().parameter(self.id).logical_shape(), self.channel_axis)
    }

    /// The elements in pieces that do not depend on the number of threads.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        pieces(&self.reference.dims)
    }
}

/// Channels that one piece has touched, from the first on.
pub(crate) struct Piece {
    pub(crate) first_channel: u64,
    pub(crate) channels: Vec<ErrorSums>,
}

/// Which channel an element lies in.
#[derive(Clone, Copy)]
pub(crate) struct ChannelOf {
    inner: u64,
    len: u64,
}

impl ChannelOf {
    /// Channels along an axis; one for all where there is none.
    pub(crate) fn axis(shape: &Shape, axis: Option<usize>) -> Self {
        match axis.and_then(|axis| Some((axis, *shape.dims().get(axis)?))) {
            Some((axis, len)) if len > 0 => {
                ChannelOf { inner: shape.dims()[axis + 1..].iter().product::<u64>().max(1), len }
            }
            _ => ChannelOf { inner: u64::MAX, len: 1 },
        }
    }

    pub(crate) fn count(self) -> u64 {
        self.len
    }

    /// Whether elements side by side lie in channels side by side.
    fn are_neighbours(self) -> bool {
        self.inner == 1 && self.len > 1
    }

    /// The channel of an element, and how many from there on lie in it without a gap.
    #[inline]
    pub(super) fn at(self, index: u64) -> (u64, u64) {
        (index / self.inner % self.len, self.inner - index % self.inner)
    }

    /// The channels from the first to the last that elements of `range` lie in.
    fn span(self, range: &Range<u64>) -> Range<u64> {
        let (first, last) = (range.start / self.inner, range.end.saturating_sub(1) / self.inner);
        if last - first >= self.len || first % self.len > last % self.len {
            0..self.len
        } else {
            first % self.len..last % self.len + 1
        }
    }
}

/// Elements that are compared at a time: what is known of them stays in a near cache.
const AT_ONCE: usize = 1 << 14;

/// Compares the elements `range` of the codes with the reference.
pub(crate) fn measure(compared: &Compared<'_>, range: Range<u64>) -> Result<Piece> {
    let span = compared.channels().span(&range);
    let mut errors = Errors::of(compared, &span);
    let mut failed = Ok(());
    let _ = for_each_calibration(compared.source, compared.id, range, &mut |calibration, range| {
        let mut sink = |block: Block<'_>| {
            for start in (0..block.elements.len()).step_by(AT_ONCE) {
                let end = block.elements.len().min(start + AT_ONCE);
                let some =
                    Block { start: block.start + start as u64, elements: block.elements.slice(start..end) };
                failed = errors.add(calibration, &some);
                if failed.is_err() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        compared.source.read(compared.id, Part::Codes, range, &mut sink)
    })?;
    failed?;
    Ok(Piece { first_channel: span.start, channels: errors.finish() })
}

/// The errors of the channels of a piece.
struct Errors<'a> {
    compared: &'a Compared<'a>,
    channel_of: ChannelOf,
    first_channel: u64,
    judge: Judge<'a>,
    is_even: bool,
    /// For channels side by side, a lane each; else eight lanes each.
    lanes: Vec<Lanes>,
    channels: usize,
    reference: Vec<f64>,
    values: Vec<f64>,
}

impl<'a> Errors<'a> {
    fn of(compared: &'a Compared<'a>, span: &Range<u64>) -> Self {
        let channel_of = compared.channels();
        let channels = (span.end - span.start) as usize;
        let lanes = if channel_of.are_neighbours() { channels.div_ceil(LANES) } else { channels };
        Errors {
            compared,
            channel_of,
            first_channel: span.start,
            judge: Judge::by(&compared.grid),
            is_even: is_even(&compared.grid),
            lanes: vec![Lanes::default(); lanes],
            channels,
            reference: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Adds a block of codes.
    fn add(&mut self, calibration: &Calibration, block: &Block<'_>) -> Result<()> {
        let len = block.elements.len() as u64;
        self.compared.reference.read(block.start..block.start + len, &mut self.reference)?;
        dispatch!(Level::new(), simd => simd.vectorize(
            #[inline(always)]
            || {
                self.values.clear();
                push_values(&block.elements, &mut self.values);
                if let Some(table) = &calibration.table {
                    self.values.iter_mut().for_each(|value| *value = in_table(table, *value));
                }
                if self.channel_of.are_neighbours() {
                    self.add_columns(simd, calibration, block);
                } else {
                    self.add_runs(simd, calibration, block);
                }
            },
        ));
        Ok(())
    }

    /// Runs of one channel each, in parts that have one scale each.
    #[inline(always)]
    fn add_runs<S: Simd>(&mut self, simd: S, calibration: &Calibration, block: &Block<'_>) {
        let mut at = 0;
        calibration.for_each_run(
            block,
            #[inline(always)]
            |run| {
                let end = at + run.codes.len();
                let scales = Scales::all(simd, &run.affine).filter(|_| self.is_even);
                while at < end {
                    let (channel, left) = self.channel_of.at(block.start + at as u64);
                    let stop = end.min(at.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)));
                    let lanes = &mut self.lanes[(channel - self.first_channel) as usize];
                    let (reference, values) = (&self.reference[at..stop], &self.values[at..stop]);
                    let rows = reference.as_chunks::<LANES>().0.iter().zip(values.as_chunks::<LANES>().0);
                    let mut done = 0;
                    for (reference, values) in rows {
                        let added = scales
                            .as_ref()
                            .is_some_and(|scales| lanes.add(simd, reference, values, scales, &self.judge));
                        if !added {
                            for (lane, (&r, &value)) in reference.iter().zip(values).enumerate() {
                                lanes.add_one(lane, r, value, &run.affine, &self.judge);
                            }
                        }
                        done += LANES;
                    }
                    for (lane, (&r, &value)) in reference[done..].iter().zip(&values[done..]).enumerate() {
                        lanes.add_one(lane, r, value, &run.affine, &self.judge);
                    }
                    at = stop;
                }
            },
        );
    }

    /// Rows of which each number is in a channel of its own.
    #[inline(always)]
    fn add_columns<S: Simd>(&mut self, simd: S, calibration: &Calibration, block: &Block<'_>) {
        let mut walk = Affines::of(calibration, block.start);
        let all = self.values.len();
        let mut at = 0;
        while at < all {
            let (channel, _) = self.channel_of.at(block.start + at as u64);
            let place = (channel - self.first_channel) as usize;
            let lanes = &mut self.lanes[place / LANES];
            let room = (self.channel_of.len - channel).min((all - at) as u64);
            if place.is_multiple_of(LANES) && room >= LANES as u64 && self.is_even {
                let affine = walk.next_eight(at as u64);
                let scales = match &affine {
                    Eight::Same(affine) => Scales::all(simd, affine),
                    Eight::Each(affine) => Scales::each(simd, *affine),
                };
                let (reference, values) = (&self.reference[at..at + LANES], &self.values[at..at + LANES]);
                if let (Some(scales), Ok(reference), Ok(values)) =
                    (scales, reference.try_into(), values.try_into())
                    && lanes.add(simd, reference, values, &scales, &self.judge)
                {
                    at += LANES;
                    continue;
                }
            }
            let affine = walk.at(at as u64);
            lanes.add_one(place % LANES, self.reference[at], self.values[at], &affine, &self.judge);
            at += 1;
        }
    }

    fn finish(self) -> Vec<ErrorSums> {
        if self.channel_of.are_neighbours() {
            let each = |channel: usize| self.lanes[channel / LANES].sums(channel % LANES);
            return (0..self.channels).map(each).collect();
        }
        self.lanes.iter().map(Lanes::total).collect()
    }
}

/// What codes are computed with, from one to the next.
struct Affines<'a> {
    calibration: &'a Calibration,
    start: u64,
    /// The numbers of all, where there are no others.
    only: Option<Affine>,
}

enum Eight {
    Same(Affine),
    Each([Affine; LANES]),
}

impl<'a> Affines<'a> {
    fn of(calibration: &'a Calibration, start: u64) -> Self {
        let is_one = calibration.groups.count() == 1 && calibration.outer.is_none();
        Affines { calibration, start, only: is_one.then(|| calibration.affine(0)) }
    }

    #[inline(always)]
    fn at(&self, index: u64) -> Affine {
        self.only.unwrap_or_else(|| self.calibration.affine_at(self.start + index))
    }

    /// Those of eight neighbours.
    #[inline(always)]
    fn next_eight(&mut self, index: u64) -> Eight {
        if let Some(only) = self.only {
            return Eight::Same(only);
        }
        // Neighbours have neighbouring groups, unless an outer level or an index says otherwise.
        if self.calibration.outer.is_none()
            && let Some((group, row)) = self.calibration.groups.neighbours_at(self.start + index)
            && row >= LANES as u64
        {
            return Eight::Each(std::array::from_fn(|lane| self.calibration.affine(group + lane as u64)));
        }
        Eight::Each(std::array::from_fn(|lane| self.at(index + lane as u64)))
    }
}
