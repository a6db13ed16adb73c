//! The moments of the real values of short groups, from exact sums of their codes.
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
    /// Adds the codes of a group, none of which is beyond `ends`; false, and nothing added, where sums of codes do not
    /// tell what the values add up to.
    #[inline(always)]
    pub(crate) fn add<S: Simd, T: Code>(
        &mut self,
        simd: S,
        codes: &[T],
        ends: (f64, f64),
        affine: &Affine,
        total: &mut RangeSummary,
    ) -> bool {
        let Some(centre) = affine.centre(ends).filter(|_| codes.len() <= LONGEST) else { return false };
        let distance = self.begin(codes.len() as u64, &centre, total);
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
        true
    }

    /// Adds a group of which the sums are known, of the distances of its codes from `centre`. What the group reaches is to
    /// be told of apart.
    pub(crate) fn add_sums(
        &mut self,
        sums: &KnownSums,
        affine: &Affine,
        centre: &Centre,
        total: &mut RangeSummary,
    ) {
        let distance = self.begin(sums.count, centre, total);
        let (scale, sum) = (affine.scale, sums.sum);
        self.common_distances += scale * sum;
        self.common_squares += scale * scale * sums.squares + 2.0 * scale * distance * sum;
        self.zeros += if centre.is_zero { sums.zeros } else { 0 };
    }

    /// Begins a group of `count` codes, the centre of which is the distance that is returned from what is near. So a value
    /// is `distance + scale · (code − centre)` away from that.
    #[inline(always)]
    fn begin(&mut self, count: u64, centre: &Centre, total: &mut RangeSummary) -> f64 {
        if self.groups >= AT_ONCE {
            self.empty_into(total);
            self.near = total.mean().unwrap_or(0.0);
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

    /// Whether a value is beyond what has been reached.
    #[inline(always)]
    pub(crate) fn is_beyond(&self, value: f64) -> bool {
        self.ends.is_none_or(|(low, high)| value < low || value > high)
    }

    /// Takes note of a value.
    #[inline(always)]
    pub(crate) fn reach(&mut self, value: f64) {
        let (low, high) = self.ends.unwrap_or((value, value));
        self.ends = Some((low.min(value), high.max(value)));
    }

    /// Adds everything to `total`.
    pub(crate) fn empty_into(&mut self, total: &mut RangeSummary) {
        if let Some(ends) = self.ends.filter(|_| self.count > 0) {
            let distances = self.distances.iter().sum::<f64>() + self.common_distances;
            let squares = self.squares.iter().sum::<f64>() + self.common_squares;
            total.merge(&RangeSummary::of_sums(self.count, self.near, distances, squares, ends, self.zeros));
        }
        *self = GroupSums { near: self.near, ends: self.ends, ..GroupSums::default() };
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
