//! The errors of a piece of a parameter, as its numbers and its codes come from two files side by side.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use super::grid::Grid;
use super::lanes::{Columns, LANES, Lanes, Scales, is_even};
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
        let affines = if errors.channel_of.are_neighbours() {
            Affines::of(calibration, &range)
        } else {
            Affines::Other
        };
        let mut sink = |block: Block<'_>| {
            for start in (0..block.elements.len()).step_by(AT_ONCE) {
                let end = block.elements.len().min(start + AT_ONCE);
                let some =
                    Block { start: block.start + start as u64, elements: block.elements.slice(start..end) };
                failed = errors.add(calibration, &affines, &some);
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
    fn add(&mut self, calibration: &Calibration, affines: &Affines, block: &Block<'_>) -> Result<()> {
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
                    self.add_columns(simd, calibration, affines, block);
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

    /// Rows of which each number is in a channel of its own. Eight columns are looked at down all whole rows of the block,
    /// so that their sums stay near: those of all columns take more than the nearest cache holds.
    #[inline(always)]
    fn add_columns<S: Simd>(
        &mut self,
        simd: S,
        calibration: &Calibration,
        affines: &Affines,
        block: &Block<'_>,
    ) {
        let (all, columns) = (self.values.len(), self.channel_of.len as usize);
        let before = (block.start % self.channel_of.len) as usize;
        let first = ((columns - before) % columns).min(all);
        let end = first + (all - first) / columns * columns;
        let in_eights = columns / LANES * LANES;
        self.add_in_order(simd, calibration, affines, block.start, 0..first);
        for column in (0..in_eights).step_by(LANES) {
            for row in (first..end).step_by(columns) {
                let at = row + column;
                self.add_in_order(simd, calibration, affines, block.start, at..at + LANES);
            }
        }
        for row in (first..end).step_by(columns) {
            self.add_in_order(simd, calibration, affines, block.start, row + in_eights..row + columns);
        }
        self.add_in_order(simd, calibration, affines, block.start, end..all);
    }

    /// Adds numbers as they lie side by side, eight at once where eight columns that belong together are all there.
    #[inline(always)]
    fn add_in_order<S: Simd>(
        &mut self,
        simd: S,
        calibration: &Calibration,
        affines: &Affines,
        start: u64,
        range: Range<usize>,
    ) {
        let Range { start: mut at, end } = range;
        while at < end {
            let index = start + at as u64;
            let channel = self.channel_of.at(index).0;
            let place = (channel - self.first_channel) as usize;
            let lanes = &mut self.lanes[place / LANES];
            let room = (self.channel_of.len - channel).min((end - at) as u64);
            if self.is_even
                && place.is_multiple_of(LANES)
                && channel.is_multiple_of(LANES as u64)
                && room >= LANES as u64
                && let (Some(reference), Some(values)) =
                    (self.reference[at..].first_chunk(), self.values[at..].first_chunk())
                && let Some(scales) = affines.eight(simd, calibration, index, channel as usize)
                && lanes.add(simd, reference, values, &scales, &self.judge)
            {
                at += LANES;
                continue;
            }
            let affine = affines.one(calibration, index);
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

/// What codes are computed with, where channels lie side by side.
enum Affines {
    /// The same for all.
    One(Affine),
    /// A scale for each column: eight at a time.
    Columns(Vec<Option<Columns>>),
    /// Whatever it may be.
    Other,
}

impl Affines {
    fn of(calibration: &Calibration, range: &Range<u64>) -> Self {
        if calibration.outer.is_some() {
            return Affines::Other;
        }
        if calibration.groups.count() == 1 {
            return Affines::One(calibration.affine(0));
        }
        let span = calibration.groups.span(range);
        match calibration.groups.columns() {
            Some(columns) if span.end - span.start == columns => {
                let eights = (0..columns / LANES as u64).map(|eight| {
                    let first = span.start + eight * LANES as u64;
                    Columns::of(std::array::from_fn(|lane| calibration.affine(first + lane as u64)))
                });
                Affines::Columns(eights.collect())
            }
            _ => Affines::Other,
        }
    }

    #[inline(always)]
    fn one(&self, calibration: &Calibration, index: u64) -> Affine {
        match self {
            Affines::One(affine) => *affine,
            _ => calibration.affine_at(index),
        }
    }

    /// Those of eight neighbours, the first of which is in a column that eight divides.
    #[inline(always)]
    fn eight<S: Simd>(
        &self,
        simd: S,
        calibration: &Calibration,
        index: u64,
        column: usize,
    ) -> Option<Scales<S>> {
        match self {
            Affines::One(affine) => Scales::all(simd, affine),
            Affines::Columns(all) => {
                all.get(column / LANES)?.as_ref().map(|columns| Scales::each(simd, columns))
            }
            Affines::Other => {
                let each = std::array::from_fn(|lane| calibration.affine_at(index + lane as u64));
                Columns::of(each).map(|columns| Scales::each(simd, &columns))
            }
        }
    }
}
