//! One scheme for one weight: which scales are tried, and what they lose.

use fearless_simd::{Level, Simd, dispatch};

use super::fit::Extent;
use super::rounding::Fitted;
use super::scheme::{Per, PreviewScheme};
use super::tiles::{Tile, Tiling, View, in_memory};
use super::{Clip, Preview};

impl Clip {
    /// The hundredths of the extent that are tried, best without loss first: of equals, the first is taken.
    pub(super) fn candidates(self) -> Vec<u8> {
        match self {
            Clip::Nothing => vec![100],
            Clip::Mse => (30..=100).rev().collect(),
        }
    }
}

/// A scheme for one weight: its tiles, and how far clipping goes.
pub(super) struct Plan {
    pub(super) scheme: PreviewScheme,
    pub(super) tiling: Tiling,
    pub(super) candidates: Vec<u8>,
    /// The extent of the whole weight.
    pub(super) tensor: Extent,
}

impl Plan {
    pub(super) fn of(preview: &Preview, view: &View, scheme: PreviewScheme, tensor: Extent) -> Self {
        let tiling = view.tiles(scheme.per, preview.at_once);
        Plan { scheme, tiling, candidates: preview.clip.candidates(), tensor }
    }

    /// Whether the extents of groups are to be found before any of their tiles is rounded.
    pub(super) fn needs_extents(&self) -> bool {
        !self.tiling.whole && self.scheme.per != Per::Tensor
    }

    /// The extents of groups that lie in several tiles, as far as they are known.
    pub(super) fn no_extents(&self) -> Vec<Extent> {
        match self.needs_extents() {
            true => vec![Extent::default(); in_memory(self.tiling.groups)],
            false => vec![self.tensor],
        }
    }

    /// What [`losses`](Self::losses) are added to: one sum where groups lie within tiles, else one for each group and
    /// candidate.
    pub(super) fn no_losses(&self) -> Vec<f64> {
        let sums = if self.tiling.whole { 1 } else { in_memory(self.tiling.groups) * self.candidates.len() };
        vec![0.0; sums]
    }

    /// Where among these the losses of a tile begin.
    pub(super) fn first_loss(&self, tile: &Tile) -> usize {
        if self.tiling.whole { 0 } else { tile.first_group() * self.candidates.len() }
    }

    /// The best candidates, and what they lose.
    pub(super) fn least(&self, losses: &[f64]) -> impl Iterator<Item = (u8, f64)> {
        let shares = if self.tiling.whole { 1 } else { self.candidates.len() };
        losses.chunks(shares).map(|losses| {
            let all = self.candidates.iter().copied().zip(losses.iter().copied());
            all.reduce(|best, other| if other.1 < best.1 { other } else { best }).unwrap_or((100, 0.0))
        })
    }

    /// The loss of each candidate: summed up over groups that chose theirs, or for each column, which is a part of a group.
    pub(super) fn losses(&self, tile: &Tile, values: &[f32], extents: &[Extent]) -> Vec<f64> {
        dispatch!(Level::new(), simd => self.losses_with(simd, tile, values, extents))
    }

    #[inline(always)]
    fn losses_with<S: Simd>(&self, simd: S, tile: &Tile, values: &[f32], extents: &[Extent]) -> Vec<f64> {
        let family = self.scheme.family;
        let columns = values.chunks(tile.column());
        if !self.tiling.whole {
            let first = tile.first_group();
            let columns = columns.zip(extents.iter().skip(first));
            let losses = columns.flat_map(|(column, &extent)| {
                self.candidates.iter().map(move |&share| {
                    let fitted = family.fit(extent.clipped(share), self.tensor);
                    simd.vectorize(
                        #[inline(always)]
                        || family.codes.squared_error(column, &fitted),
                    )
                })
            });
            return losses.collect();
        }
        let group = in_memory(self.tiling.group);
        let of_column = |column: &[f32]| {
            simd.vectorize(
                #[inline(always)]
                || column.chunks(group).map(|group| self.best(group).1).sum::<f64>(),
            )
        };
        vec![columns.map(of_column).sum()]
    }

    /// The best of the candidates for a whole group, and what it loses.
    #[inline(always)]
    pub(super) fn best(&self, group: &[f32]) -> (Fitted, f64) {
        let family = self.scheme.family;
        let extent = Extent::of(group);
        let mut best: Option<(Fitted, f64)> = None;
        for &share in &self.candidates {
            let fitted = family.fit(extent.clipped(share), self.tensor);
            let loss = family.codes.squared_error(group, &fitted);
            if best.is_none_or(|(_, least)| loss < least) {
                best = Some((fitted, loss));
            }
        }
        best.unwrap_or((Fitted::new(&family.codes, 0.0, 0.0), 0.0))
    }
}
