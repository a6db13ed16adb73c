//! The moments of the real values of groups, from exact sums of their codes.
//!
//! Groups of 32 codes are too short to be counted and too many to be computed value by value. But where codes are whole
//! numbers, so are their sums and those of their squares, and the moments of the real values follow from both.

use std::ops::RangeInclusive;

use fearless_simd::{
    Bytes, Simd, SimdBase, SimdCombine, SimdFloat, SimdInt, SimdIntWiden, SimdMask, SimdWiden, f32x8, f64x4,
    i8x16, i8x32, i16x16, i32x8, u8x16, u8x32,
};

use crate::dequantize::Affine;
use crate::{Element, RangeSummary};

/// What is known of the real values of some groups.
#[derive(Default)]
pub(crate) struct GroupSums {
    groups: usize,
    count: u64,
    /// A number that is roughly the mean: the sums are of distances from it.
    near: f64,
    distances: [f64; LANES],
    squares: [f64; LANES],
    /// What is the same for all codes of a group. It has a place of its own: a number that is changed within a vector
    /// delays the next look at the vector.
    common_distances: f64,
    common_squares: f64,
    /// The smallest and the largest value of all groups so far, those included that were put together before.
    ends: Option<(f64, f64)>,
    zeros: u64,
    /// The groups that were put together.
    done: RangeSummary,
    lost_digits: bool,
}

const LANES: usize = 4;

/// Groups that are put together: so few that sums lose no digits, and a better mean is soon known.
const AT_ONCE: usize = 256;

/// The most codes that a group may have: the sum of the squares of so many, in each of eight lanes, is exact in `f32`.
pub(crate) const LONGEST: usize = 2048;

/// Scales whose products with codes, and the squares of these, neither overflow nor lose digits.
pub(crate) const TAME: RangeInclusive<f64> = 1e-100..=1e100;

/// What is left of squares when the mean is taken out of them has to be more than this part of them: digits cancel.
pub(crate) const LEFT: f64 = 1e-5;

/// The furthest that codes may lie from the one that stands for about zero.
const FURTHEST: f64 = 255.0;

/// Whole numbers of eight bits.
pub(crate) trait Code: Element + Into<i16> + Ord + bytemuck::Pod {
    /// The smallest and the largest.
    const ENDS: [Self; 2];
    /// Bits to flip so that the bits of codes, read as numbers without a sign, are in the order of the codes.
    const FLIP: u8;

    fn widen_32<S: Simd>(simd: S, codes: &[Self; 32]) -> [i16x16<S>; 2];
    fn widen_16<S: Simd>(simd: S, codes: &[Self; 16]) -> i16x16<S>;
}

impl Code for i8 {
    const ENDS: [Self; 2] = [i8::MIN, i8::MAX];
    const FLIP: u8 = 0x80;

    #[inline(always)]
    fn widen_32<S: Simd>(simd: S, codes: &[Self; 32]) -> [i16x16<S>; 2] {
        i8x32::load_array_ref(simd, codes).widen().into()
    }

    #[inline(always)]
    fn widen_16<S: Simd>(simd: S, codes: &[Self; 16]) -> i16x16<S> {
        let (low, high) = i8x16::load_array_ref(simd, codes).widen();
        low.combine(high)
    }
}

impl Code for u8 {
    const ENDS: [Self; 2] = [u8::MIN, u8::MAX];
    const FLIP: u8 = 0;

    #[inline(always)]
    fn widen_32<S: Simd>(simd: S, codes: &[Self; 32]) -> [i16x16<S>; 2] {
        let (low, high) = u8x32::load_array_ref(simd, codes).widen();
        [low, high].map(|codes| codes.bitcast())
    }

    #[inline(always)]
    fn widen_16<S: Simd>(simd: S, codes: &[Self; 16]) -> i16x16<S> {
        let (low, high) = u8x16::load_array_ref(simd, codes).widen();
        low.combine(high).bitcast()
    }
}

impl GroupSums {
    /// Nothing yet, beside other values.
    pub(crate) fn beside(others: &RangeSummary) -> Self {
        let (near, ends) = (others.mean().unwrap_or(0.0), others.min().zip(others.max()));
        GroupSums { near, ends, ..GroupSums::default() }
    }

    /// The centre of a group of so many codes, none of which is beyond `ends`; `None` where sums of codes do not tell what
    /// the values add up to.
    #[inline(always)]
    pub(crate) fn centre(affine: &Affine, ends: (f64, f64), len: usize) -> Option<Centre> {
        affine.centre(ends).filter(|_| len <= LONGEST)
    }

    /// Adds the codes of a group.
    #[inline(always)]
    pub(crate) fn add<S: Simd, T: Code>(
        &mut self,
        simd: S,
        codes: &[T],
        ends: (f64, f64),
        affine: &Affine,
        centre: &Centre,
    ) {
        let distance = self.begin(codes.len() as u64, centre);
        let sums = Sums::of(simd, codes, centre.code, centre.is_zero);
        self.zeros += sums.zeros;
        let scale = affine.scale;
        let (sums, squares) = (to_f64(sums.sums), to_f64(sums.squares));
        let distances = f64x4::load_array_ref(simd, &self.distances);
        self.distances = sums.mul_add(scale, distances).into();
        let all = f64x4::load_array_ref(simd, &self.squares);
        let all = sums.mul_add(2.0 * scale * distance, squares.mul_add(scale * scale, all));
        self.squares = all.into();
        // Few groups reach further than all before them: only those are looked at again.
        if self.is_beyond(affine.real(ends.0)) || self.is_beyond(affine.real(ends.1)) {
            simd.vectorize(
                #[inline(always)]
                || {
                    let ends = [codes.iter().min(), codes.iter().max()];
                    ends.into_iter().flatten().for_each(|&code| self.reach(affine.real(code.to_f64())));
                },
            );
        }
    }

    /// Begins a group of `count` codes, the centre of which is the distance that is returned from what is near. So a value
    /// is `distance + scale · (code − centre)` away from that.
    #[inline(always)]
    fn begin(&mut self, count: u64, centre: &Centre) -> f64 {
        if self.groups >= AT_ONCE {
            self.put_together();
        }
        self.groups += 1;
        self.count += count;
        let distance = centre.value - self.near;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let count = count as f64;
        self.common_distances += count * distance;
        self.common_squares += count * distance * distance;
        distance
    }

    #[inline(always)]
    fn is_beyond(&self, value: f64) -> bool {
        self.ends.is_none_or(|(low, high)| value < low || value > high)
    }

    #[inline(always)]
    fn reach(&mut self, value: f64) {
        let (low, high) = self.ends.unwrap_or((value, value));
        self.ends = Some((low.min(value), high.max(value)));
    }

    /// Everything; `None` where values lie so close to each other that sums do not tell how close.
    pub(crate) fn summary(mut self) -> Option<RangeSummary> {
        self.put_together();
        (!self.lost_digits).then_some(self.done)
    }

    fn put_together(&mut self) {
        if let Some(ends) = self.ends.filter(|_| self.count > 0) {
            let of_groups = self.squares.iter().sum::<f64>();
            let distances = self.distances.iter().sum::<f64>() + self.common_distances;
            let more = RangeSummary::of_sums(
                self.count,
                self.near,
                distances,
                of_groups + self.common_squares,
                ends,
                self.zeros,
            );
            self.lost_digits |= more.squared_distances() <= LEFT * of_groups.max(self.common_squares);
            self.done.merge(&more);
        }
        let (done, lost_digits) = (self.done, self.lost_digits);
        let near = done.mean().unwrap_or(self.near);
        *self = GroupSums { near, ends: self.ends, done, lost_digits, ..GroupSums::default() };
    }
}

#[inline(always)]
pub(crate) fn to_f64<S: Simd>(sums: i32x8<S>) -> f64x4<S> {
    let (low, high) = sums.to_float::<f32x8<S>>().widen();
    low + high
}

/// Exact sums over the codes of a group, of their distances from one of them.
pub(crate) struct KnownSums {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) squares: f64,
    /// How often that one occurs.
    pub(crate) zeros: u64,
}

impl KnownSums {
    /// The summary of what the codes stand for, the least and the largest of which are given.
    #[expect(clippy::cast_precision_loss, reason = "no group has so many")]
    pub(crate) fn summary(&self, affine: &Affine, centre: &Centre, ends: (f64, f64)) -> RangeSummary {
        let (count, scale) = (self.count as f64, affine.scale);
        let mean = centre.value + scale * self.sum / count;
        // Whole numbers but for the last step: no digits cancel.
        let spread = ((self.squares * count - self.sum * self.sum) / count).max(0.0);
        let zeros = if centre.is_zero { self.zeros } else { 0 };
        RangeSummary::of_sums(self.count, mean, 0.0, scale * scale * spread, ends, zeros)
    }
}

/// The code that stands for about zero.
pub(crate) struct Centre {
    pub(crate) code: i16,
    /// What it stands for.
    value: f64,
    is_zero: bool,
}

impl Centre {
    /// Where distances are values.
    pub(crate) const ZERO: Self = Centre { code: 0, value: 0.0, is_zero: true };
}

impl Affine {
    /// The code that stands for about zero; `None` where numbers are so large, so small or so uneven that sums of what
    /// they make of codes round in another way than sums of codes do.
    #[inline(always)]
    pub(crate) fn centre(&self, ends: (f64, f64)) -> Option<Centre> {
        let size = self.scale.abs();
        let mut code = self.zero_point;
        if self.offset != 0.0 {
            code -= self.offset / self.scale;
        }
        let rounded = code.round_ties_even();
        let reaches = rounded - ends.0 <= FURTHEST && ends.1 - rounded <= FURTHEST;
        let is_tame = TAME.contains(&size) && reaches && self.zero_point.trunc() == self.zero_point;
        #[expect(clippy::cast_possible_truncation, reason = "near the codes")]
        let centre = || {
            let value = self.real(rounded);
            Centre { code: rounded as i16, value, is_zero: value == 0.0 }
        };
        is_tame.then(centre)
    }
}

/// The same, a part of each in every lane.
struct Sums<S: Simd> {
    sums: i32x8<S>,
    squares: i32x8<S>,
    /// How often that one occurs, if that is asked for.
    zeros: u64,
}

impl<S: Simd> Sums<S> {
    #[inline(always)]
    fn of<T: Code>(simd: S, codes: &[T], centre: i16, count: bool) -> Self {
        let mut sums = Sums { sums: i32x8::splat(simd, 0), squares: i32x8::splat(simd, 0), zeros: 0 };
        let (rows, rest) = codes.as_chunks::<32>();
        for row in rows {
            let [low, high] = T::widen_32(simd, row);
            sums.add(low, centre, count);
            sums.add(high, centre, count);
        }
        let (rows, rest) = rest.as_chunks::<16>();
        for row in rows {
            sums.add(T::widen_16(simd, row), centre, count);
        }
        if !rest.is_empty() {
            let mut row = [centre; 16];
            for (place, &code) in row.iter_mut().zip(rest) {
                *place = code.into();
            }
            sums.add(i16x16::load_array(simd, row), centre, count);
            sums.zeros -= if count { 16 - rest.len() as u64 } else { 0 };
        }
        sums
    }

    #[inline(always)]
    fn add(&mut self, codes: i16x16<S>, centre: i16, count: bool) {
        let distances = codes - centre;
        self.sums += distances.pairwise_widening_add();
        self.squares += distances.pairwise_dot_product(distances);
        if count {
            self.zeros += u64::from(distances.simd_eq(0).to_bitmask().count_ones());
        }
    }
}
