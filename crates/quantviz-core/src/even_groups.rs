//! The moments of the real values of short groups that differ by their scales alone, or by what is added after scaling, as
//! most formats have them: what is the same for all of them is looked at once for a block of codes, and little is left to do
//! for a group.

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdIntWiden, f64x4, i32x8};

use crate::RangeSummary;
use crate::calibration::{Calibration, Numbers};
use crate::code_counts::CodeCounts;
use crate::dequantize::Affine;
use crate::group_sums::{Centre, Code, LEFT, LONGEST, TAME, to_f64};

/// Groups of equal length.
pub(crate) struct EvenGroups<'a> {
    /// How many codes each has.
    run: usize,
    /// The scale of each.
    scales: &'a [f64],
    /// What is added in each; nothing where there is none.
    offsets: &'a [f64],
    centre: Centre,
    zero_point: f64,
    /// No code is beyond these.
    ends: (f64, f64),
}

/// Groups have to be made of so many codes, which are looked at together.
const ROW: usize = 16;

impl<'a> EvenGroups<'a> {
    /// Those of `len` codes from `start` on, none of which is beyond `ends`; `None` where they differ by more.
    pub(crate) fn of(calibration: &'a Calibration, start: u64, len: usize, ends: (f64, f64)) -> Option<Self> {
        let run = calibration.groups.even_run()?;
        let is_whole = start.is_multiple_of(run) && (len as u64).is_multiple_of(run);
        let run =
            usize::try_from(run).ok().filter(|&run| is_whole && run.is_multiple_of(ROW) && run <= LONGEST)?;
        let (Numbers::Each { first, values }, Numbers::All(zero_point)) =
            (&calibration.scales, &calibration.zero_points)
        else {
            return None;
        };
        let skipped = usize::try_from((start / run as u64).checked_sub(*first)?).ok()?;
        let scales = values.get(skipped..)?.get(..len / run)?;
        let offsets = match &calibration.offsets {
            Numbers::All(offset) if *offset == 0.0 => &[][..],
            Numbers::All(_) => return None,
            Numbers::Each { first, values } => {
                let skipped = usize::try_from((start / run as u64).checked_sub(*first)?).ok()?;
                values.get(skipped..)?.get(..len / run)?
            }
        };
        let is_even = offsets.iter().all(|offset| offset.abs() <= *TAME.end())
            && scales.iter().all(|scale| *scale == 0.0 || TAME.contains(&scale.abs()));
        let affine = Affine { scale: 1.0, zero_point: *zero_point, offset: 0.0 };
        let centre = affine.centre(ends).filter(|_| is_even)?;
        Some(EvenGroups { run, scales, offsets, centre, zero_point: *zero_point, ends })
    }

    /// The summary of what these codes stand for; `None` where they lie so close to each other that sums do not tell how
    /// close. `known` are ends of other values, within which nobody needs to look for ends.
    #[inline(always)]
    pub(crate) fn summary<S: Simd, T: Code>(
        &self,
        simd: S,
        codes: &[T],
        counts: &CodeCounts,
        known: Option<(f64, f64)>,
    ) -> Option<RangeSummary> {
        if !self.offsets.is_empty() {
            return self.summary_with_offsets(simd, codes, known);
        }
        // A length that is known when the loop is compiled makes a shorter one.
        let sums = simd.vectorize(
            #[inline(always)]
            || match self.run {
                16 => self.sums(simd, codes, 16, known),
                32 => self.sums(simd, codes, 32, known),
                run => self.sums(simd, codes, run, known),
            },
        );
        let count = codes.len() as u64;
        let zero_codes =
            counts.values().find(|(code, _)| *code == self.zero_point).map_or(0, |(_, times)| times);
        let summary = RangeSummary::of_sums(
            count,
            0.0,
            sums.distances,
            sums.squares,
            sums.ends,
            zero_codes + sums.zeroed,
        );
        (summary.squared_distances() > LEFT * sums.largest).then_some(summary)
    }

    /// The same where something is added: sums are of distances from the middle of what is added.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a block has not so many")]
    fn summary_with_offsets<S: Simd, T: Code>(
        &self,
        simd: S,
        codes: &[T],
        known: Option<(f64, f64)>,
    ) -> Option<RangeSummary> {
        let near = self.offsets.iter().sum::<f64>() / self.offsets.len().max(1) as f64;
        let sums = simd.vectorize(
            #[inline(always)]
            || match self.run {
                32 => self.sums_about(simd, codes, 32, near, known),
                run => self.sums_about(simd, codes, run, near, known),
            },
        );
        let count = codes.len() as u64;
        let summary =
            RangeSummary::of_sums(count, near, sums.distances, sums.squares, sums.ends, sums.zeroed);
        (summary.squared_distances() > LEFT * sums.largest).then_some(summary)
    }

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "a group has few codes")]
    fn sums_about<S: Simd, T: Code>(
        &self,
        simd: S,
        codes: &[T],
        run: usize,
        near: f64,
        known: Option<(f64, f64)>,
    ) -> Sums {
        let none = f64x4::splat(simd, 0.0);
        let (mut distances, mut squares) = (none, none);
        let (mut of_offsets, mut squares_of_offsets, mut zeroed) = (0.0, 0.0, 0);
        let (mut low, mut high) = known.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        let (first, last) = (self.ends.0 - self.zero_point, self.ends.1 - self.zero_point);
        for ((codes, &scale), &offset) in codes.chunks_exact(run).zip(self.scales).zip(self.offsets) {
            let (sum, square) = moments(simd, codes, self.centre.code);
            let (sum, square, distance) = (to_f64(sum), to_f64(square), offset - near);
            distances = sum.mul_add(scale, distances);
            squares = square.mul_add(scale * scale, sum.mul_add(2.0 * scale * distance, squares));
            of_offsets += distance;
            squares_of_offsets += distance * distance;
            let real = |code: f64| scale * (code - self.zero_point) + offset;
            let zero = (self.zero_point - offset / scale).round_ties_even();
            if scale == 0.0 || real(zero) == 0.0 {
                zeroed += codes.iter().filter(|code| real(code.to_f64()) == 0.0).count() as u64;
            }
            let (first, last) = (scale * first + offset, scale * last + offset);
            if first.min(last) < low || first.max(last) > high {
                let ends = [codes.iter().min(), codes.iter().max()];
                for code in ends.into_iter().flatten() {
                    (low, high) = (low.min(real(code.to_f64())), high.max(real(code.to_f64())));
                }
            }
        }
        let (run, of_codes) = (run as f64, squares.reduce_sum());
        Sums {
            distances: distances.reduce_sum() + run * of_offsets,
            squares: of_codes + run * squares_of_offsets,
            largest: of_codes.abs().max(run * squares_of_offsets),
            ends: (low, high),
            zeroed,
        }
    }

    #[inline(always)]
    fn sums<S: Simd, T: Code>(&self, simd: S, codes: &[T], run: usize, known: Option<(f64, f64)>) -> Sums {
        let none = f64x4::splat(simd, 0.0);
        let (mut distances, mut squares) = (none, none);
        let (mut low, mut high) = known.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        let (first, last) = (self.ends.0 - self.zero_point, self.ends.1 - self.zero_point);
        let mut zeroed = 0;
        for (codes, &scale) in codes.chunks_exact(run).zip(self.scales) {
            if scale == 0.0 {
                zeroed += codes.iter().filter(|code| code.to_f64() != self.zero_point).count() as u64;
            }
            let (sum, square) = moments(simd, codes, self.centre.code);
            distances = to_f64(sum).mul_add(scale, distances);
            squares = to_f64(square).mul_add(scale * scale, squares);
            // Few groups reach further than all before them: only those are looked at again.
            let (first, last) = (scale * first, scale * last);
            if first.min(last) < low || first.max(last) > high {
                let ends = [codes.iter().min(), codes.iter().max()];
                for code in ends.into_iter().flatten() {
                    let value = scale * (code.to_f64() - self.zero_point);
                    (low, high) = (low.min(value), high.max(value));
                }
            }
        }
        let squares = squares.reduce_sum();
        Sums { distances: distances.reduce_sum(), squares, largest: squares, ends: (low, high), zeroed }
    }
}

/// What is known of all groups.
struct Sums {
    distances: f64,
    squares: f64,
    /// The largest of what the squares were put together of.
    largest: f64,
    ends: (f64, f64),
    /// How many codes are zero by their scale alone.
    zeroed: u64,
}

/// The sums of the distances of codes from one of them, and of their squares, a part of each in every lane.
#[inline(always)]
fn moments<S: Simd, T: Code>(simd: S, codes: &[T], centre: i16) -> (i32x8<S>, i32x8<S>) {
    let (mut sum, mut square) = (i32x8::splat(simd, 0), i32x8::splat(simd, 0));
    let (rows, rest) = codes.as_chunks::<32>();
    for row in rows {
        let [low, high] = T::widen_32(simd, row).map(|codes| codes - centre);
        sum += (low + high).pairwise_widening_add();
        square += low.pairwise_dot_product(low) + high.pairwise_dot_product(high);
    }
    for row in rest.as_chunks::<16>().0 {
        let codes = T::widen_16(simd, row) - centre;
        sum += codes.pairwise_widening_add();
        square += codes.pairwise_dot_product(codes);
    }
    (sum, square)
}
