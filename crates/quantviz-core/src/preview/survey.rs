//! What is to be known of a weight before it is rounded.

use std::ops::{ControlFlow, Range};

use fearless_simd::{Level, Simd, dispatch};

use super::fit::Extent;
use super::rounding::sum_of_squares;
use super::tiles::push_finite;
use crate::{Block, ParameterId, ParameterSource, Part, Result};

/// What is known of a weight whatever it is rounded to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    pub(super) squares: f64,
    pub(super) non_finite: u64,
    pub(super) extent: Extent,
}

impl Survey {
    pub(super) fn of<S: ParameterSource + ?Sized>(
        source: &S,
        id: ParameterId,
        range: Range<u64>,
    ) -> Result<Self> {
        let mut values = Vec::new();
        let mut non_finite = 0;
        let mut sink = |block: Block<'_>| {
            block.elements.for_each(|value| non_finite += u64::from(!value.is_finite()));
            push_finite(&block.elements, &mut values);
            ControlFlow::Continue(())
        };
        let _ = source.read(id, Part::Stored, range, &mut sink)?;
        let (squares, extent) = dispatch!(Level::new(), simd => squares_and_extent(simd, &values));
        Ok(Survey { squares, non_finite, extent })
    }

    pub(super) fn merge(&mut self, other: &Survey) {
        self.squares += other.squares;
        self.non_finite += other.non_finite;
        self.extent = self.extent.with(other.extent);
    }
}

#[inline(always)]
fn squares_and_extent<S: Simd>(simd: S, values: &[f32]) -> (f64, Extent) {
    simd.vectorize(
        #[inline(always)]
        || (sum_of_squares(values, f64::from), Extent::of(values)),
    )
}
