//! The errors of a piece of a parameter, as its numbers and its codes come from two files side by side.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use super::cells::Cells;
use super::grid::Grid;
use super::lanes::{Columns, LANES, Lanes, Numbers, Scales};
use super::sums::{ErrorSums, Judge};
use crate::calibration::{Calibration, for_each_calibration};
use crate::dequantize::{Affine, in_table, push_values};
use crate::pairing::{Aligned, pieces};
use crate::{Block, Elements, ParameterId, ParameterSource, Part, Result, Shape};

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
    pub(super) fn are_neighbours(self) -> bool {
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
    /// What rounds to each code, where these are not whole numbers.
    cells: Option<Cells>,
    /// For channels side by side, a lane each; else eight lanes each.
    lanes: Vec<Lanes>,
    channels: usize,
    reference: Vec<f64>,
    values: Vec<f64>,
    lows: Vec<f64>,
    highs: Vec<f64>,
    unpacked: Vec<u8>,
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
            cells: None,
            lanes: vec![Lanes::default(); lanes],
            channels,
            reference: Vec::new(),
            values: Vec::new(),
            lows: Vec::new(),
            highs: Vec::new(),
            unpacked: Vec::new(),
        }
    }

    /// Adds a block of codes.
    fn add(&mut self, calibration: &Calibration, affines: &Affines, block: &Block<'_>) -> Result<()> {
        let len = block.elements.len() as u64;
        self.compared.reference.read(block.start..block.start + len, &mut self.reference)?;
        let table = calibration.table.as_deref();
        if self.cells.is_none() {
            self.cells = Cells::of(self.judge.grid, block.elements.dtype(), table);
        }
        dispatch!(Level::new(), simd => simd.vectorize(
            #[inline(always)]
            || {
                let has_cells = self.read_values(&block.elements, table);
                let rows = Rows {
                    numbers: Numbers {
                        reference: &self.reference,
                        values: &self.values,
                        cells: has_cells.then_some((&self.lows, &self.highs)),
                    },
                    judge: &self.judge,
                    channel_of: self.channel_of,
                    first_channel: self.first_channel,
                    lanes: &mut self.lanes,
                };
                match self.channel_of.are_neighbours() {
                    true => rows.add_columns(simd, calibration, affines, block),
                    false => rows.add_runs(simd, calibration, block),
                }
            },
        ));
        Ok(())
    }

    /// Replaces the values by those of codes, and says whether their cells are known, too.
    #[inline(always)]
    fn read_values(&mut self, codes: &Elements<'_>, table: Option<&[f32]>) -> bool {
        let Errors { values, lows, highs, unpacked, .. } = self;
        values.clear();
        lows.clear();
        highs.clear();
        if let Some(cells) = &self.cells
            && cells.push(codes, unpacked, [&mut *values, lows, highs])
        {
            return true;
        }
        push_values(codes, values);
        if let Some(table) = table {
            values.iter_mut().for_each(|value| *value = in_table(table, *value));
        }
        false
    }

    fn finish(self) -> Vec<ErrorSums> {
        if self.channel_of.are_neighbours() {
            let each = |channel: usize| self.lanes[channel / LANES].sums(channel % LANES);
            return (0..self.channels).map(each).collect();
        }
        self.lanes.iter().map(Lanes::total).collect()
    }
}

/// Numbers beside codes, and where their errors are summed up.
struct Rows<'a> {
    numbers: Numbers<'a>,
    judge: &'a Judge<'a>,
    channel_of: ChannelOf,
    first_channel: u64,
    lanes: &'a mut [Lanes],
}

impl Rows<'_> {
    /// Runs of one channel each, in parts that have one scale each.
    #[inline(always)]
    fn add_runs<S: Simd>(mut self, simd: S, calibration: &Calibration, block: &Block<'_>) {
        let mut at = 0;
        calibration.for_each_run(
            block,
            #[inline(always)]
            |run| {
                let end = at + run.codes.len();
                let scales = Scales::all(simd, &run.affine);
                while at < end {
                    let (channel, left) = self.channel_of.at(block.start + at as u64);
                    let stop = end.min(at.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)));
                    let place = (channel - self.first_channel) as usize;
                    let rest = stop - (stop - at) % LANES;
                    self.add_rows(simd, place, (at..rest).step_by(LANES), scales.as_ref(), |_| run.affine);
                    for at in rest..stop {
                        self.add_one(place, at % LANES, at, &run.affine);
                    }
                    at = stop;
                }
            },
        );
    }

    /// Adds rows of eight numbers from these places on, each in a lane of its own.
    #[inline(always)]
    fn add_rows<S: Simd>(
        &mut self,
        simd: S,
        lanes: usize,
        mut places: impl Iterator<Item = usize>,
        scales: Option<&Scales<S>>,
        affine: impl Fn(usize) -> Affine,
    ) {
        let Some(scales) = scales else {
            places.for_each(|at| self.add_eight(lanes, at, &affine));
            return;
        };
        while let Some(at) = self.lanes[lanes].add_plain(simd, &self.numbers, &mut places, scales, self.judge)
        {
            let added = self.numbers.cells.is_none()
                && self.lanes[lanes].add(simd, &self.numbers, at, scales, self.judge);
            if !added {
                self.add_eight(lanes, at, &affine);
            }
        }
    }

    /// Adds eight numbers from a place on, each in a lane of its own.
    fn add_eight(&mut self, lanes: usize, at: usize, affine: &impl Fn(usize) -> Affine) {
        for lane in 0..LANES {
            self.add_one(lanes, lane, at + lane, &affine(at + lane));
        }
    }

    #[inline(always)]
    fn add_one(&mut self, lanes: usize, lane: usize, at: usize, affine: &Affine) {
        let Numbers { reference, values, .. } = self.numbers;
        let (pair, cell) = ((reference[at], values[at]), self.numbers.cell(at));
        self.lanes[lanes].add_one(lane, pair, cell, affine, self.judge);
    }

    /// Rows of which each number is in a channel of its own. Eight columns are looked at down all whole rows of the block,
    /// so that their sums stay near: those of all columns take more than the nearest cache holds.
    #[inline(always)]
    fn add_columns<S: Simd>(
        mut self,
        simd: S,
        calibration: &Calibration,
        affines: &Affines,
        block: &Block<'_>,
    ) {
        let (all, columns) = (self.numbers.values.len(), self.channel_of.len as usize);
        let before = (block.start % self.channel_of.len) as usize;
        let first = ((columns - before) % columns).min(all);
        let end = first + (all - first) / columns * columns;
        let mut each = Neighbours { rows: &mut self, calibration, affines, start: block.start };
        each.add_row(simd, 0..first);
        // Pieces that have whole rows have all channels.
        for column in (0..columns).step_by(LANES).take_while(|_| end > first) {
            if columns - column < LANES {
                (first..end).step_by(columns).for_each(|row| each.add_row(simd, row + column..row + columns));
            } else {
                each.add_channels(simd, column, (first + column..end).step_by(columns));
            }
        }
        each.add_row(simd, end..all);
    }
}

/// Numbers each of which is in the channel after that of the one before it.
struct Neighbours<'a, 'b> {
    rows: &'a mut Rows<'b>,
    calibration: &'a Calibration,
    affines: &'a Affines,
    /// The place of the first number in its tensor.
    start: u64,
}

impl Neighbours<'_, '_> {
    /// Adds a row, or what there is of it.
    #[inline(always)]
    fn add_row<S: Simd>(&mut self, simd: S, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let index = self.start + at as u64;
            let channel = self.rows.channel_of.at(index).0;
            let place = (channel - self.rows.first_channel) as usize;
            let is_eight = place.is_multiple_of(LANES) && channel.is_multiple_of(LANES as u64);
            if is_eight && range.end - at >= LANES {
                self.add_channels(simd, channel as usize, std::iter::once(at));
                at += LANES;
            } else {
                let affine = self.affines.one(self.calibration, index);
                self.rows.add_one(place / LANES, place % LANES, at, &affine);
                at += 1;
            }
        }
    }

    /// Adds numbers in the eight channels from one on, from these places on.
    #[inline(always)]
    fn add_channels<S: Simd>(&mut self, simd: S, channel: usize, places: impl Iterator<Item = usize>) {
        let (calibration, start) = (self.calibration, self.start);
        let lanes = (channel - self.rows.first_channel as usize) / LANES;
        let affine = |at: usize| self.affines.one(calibration, start + at as u64);
        if let Affines::Other = self.affines {
            for at in places {
                let scales = Affines::of_neighbours(simd, calibration, start + at as u64);
                self.rows.add_rows(simd, lanes, std::iter::once(at), scales.as_ref(), affine);
            }
        } else {
            let scales = self.affines.of_columns(simd, channel);
            self.rows.add_rows(simd, lanes, places, scales.as_ref(), affine);
        }
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

    /// Those of eight columns, the first of which eight divides, where they are the same in all rows.
    #[inline(always)]
    fn of_columns<S: Simd>(&self, simd: S, column: usize) -> Option<Scales<S>> {
        match self {
            Affines::One(affine) => Scales::all(simd, affine),
            Affines::Columns(all) => {
                all.get(column / LANES)?.as_ref().map(|columns| Scales::each(simd, columns))
            }
            Affines::Other => None,
        }
    }

    /// Those of eight neighbours.
    #[inline(always)]
    fn of_neighbours<S: Simd>(simd: S, calibration: &Calibration, index: u64) -> Option<Scales<S>> {
        let each = std::array::from_fn(|lane| calibration.affine_at(index + lane as u64));
        Columns::of(each).map(|columns| Scales::each(simd, &columns))
    }
}
