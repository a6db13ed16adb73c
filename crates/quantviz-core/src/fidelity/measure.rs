//! The errors of a piece of a parameter, as its numbers and its codes come from two files side by side.

use std::ops::{ControlFlow, Range};

use super::grid::Grid;
use super::sums::{ErrorSums, Judge};
use crate::calibration::for_each_calibration;
use crate::dequantize::{in_table, push_values};
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

/// Compares the elements `range` of the codes with the reference.
pub(crate) fn measure(compared: &Compared<'_>, range: Range<u64>) -> Result<Piece> {
    let channel_of = compared.channels();
    let span = channel_of.span(&range);
    let mut channels = vec![ErrorSums::default(); (span.end - span.start) as usize];
    let judge = Judge::by(&compared.grid);
    let (mut reference, mut values) = (Vec::new(), Vec::new());
    let mut failed = Ok(());
    let _ = for_each_calibration(compared.source, compared.id, range, &mut |calibration, range| {
        let mut sink = |block: Block<'_>| {
            let len = block.elements.len() as u64;
            failed = compared.reference.read(block.start..block.start + len, &mut reference);
            if failed.is_err() {
                return ControlFlow::Break(());
            }
            let mut at = 0;
            calibration.for_each_run(&block, |run| {
                values.clear();
                push_values(&run.codes, &mut values);
                if let Some(table) = run.table {
                    values.iter_mut().for_each(|value| *value = in_table(table, *value));
                }
                let mut done = 0;
                while done < values.len() {
                    let (channel, left) = channel_of.at(block.start + (at + done) as u64);
                    let end =
                        values.len().min(done.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)));
                    let sums = &mut channels[(channel - span.start) as usize];
                    sums.add(&reference[at + done..at + end], &values[done..end], &run.affine, &judge);
                    done = end;
                }
                at += values.len();
            });
            ControlFlow::Continue(())
        };
        compared.source.read(compared.id, Part::Codes, range, &mut sink)
    })?;
    failed?;
    Ok(Piece { first_channel: span.start, channels })
}
