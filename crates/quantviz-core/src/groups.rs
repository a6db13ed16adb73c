//! Which elements of a tensor share a scale.

use std::ops::Range;

use crate::Shape;

/// Which elements share a scale and a zero-point.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Granularity {
    /// All of them.
    Tensor,
    /// Those with the same index along one axis, often a channel.
    Axis(usize),
    /// Those in the same block; one size per axis, the last block along each may be ragged.
    Block(Vec<u64>),
}

impl Granularity {
    /// How much of each axis a group spans; `None` if the axis or the block does not fit these dimensions.
    pub fn sizes(&self, dims: &[u64]) -> Option<Vec<u64>> {
        let mut sizes = dims.to_vec();
        match self {
            Granularity::Tensor => {}
            Granularity::Axis(axis) => *sizes.get_mut(*axis)? = 1,
            Granularity::Block(block) if block.len() == dims.len() && !block.contains(&0) => {
                sizes.clone_from(block)
            }
            Granularity::Block(_) => return None,
        }
        Some(sizes)
    }

    /// The groups that a tensor of this shape falls into; `None` if the axis or the block does not fit the shape.
    pub fn groups(&self, shape: &Shape) -> Option<Groups> {
        let dims = shape.dims();
        let sizes = self.sizes(dims)?;
        let split_axes =
            dims.iter().zip(&sizes).rposition(|(dim, size)| size != dim).map_or(0, |axis| axis + 1);
        let axes: Vec<Axis> =
            dims.iter().zip(sizes).take(split_axes).map(|(&len, size)| Axis { len, size }).collect();
        let inner = dims[split_axes..].iter().product();
        Some(Groups { even: even_run(&axes, inner), axes, inner, index: None })
    }
}

/// The groups of elements that share a scale, numbered row-major as files store their scales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The last one is the innermost that groups divide.
    axes: Vec<Axis>,
    /// Elements behind the innermost divided axis.
    inner: u64,
    /// An axis whose indices say themselves to which group they belong.
    index: Option<Index>,
    /// The length of all groups, where each is one run of elements: most are so, and need no walk over the axes.
    even: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    len: u64,
    /// How much of it a group spans.
    size: u64,
}

impl Axis {
    fn slabs(self) -> u64 {
        if self.len == self.size { 1 } else { self.len.div_ceil(self.size) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Index {
    axis: usize,
    /// The position that the first of `slabs` is of.
    first: u64,
    slabs: Vec<u64>,
}

/// The length of all groups, where each of them is a run of elements.
fn even_run(axes: &[Axis], inner: u64) -> Option<u64> {
    let (last, others) = axes.split_last()?;
    let even = last.len.is_multiple_of(last.size) && others.iter().all(|axis| axis.size == 1);
    last.size.checked_mul(inner).filter(|&run| even && run > 0)
}

impl Groups {
    /// The same groups, but those along `axis` are what `slabs` says of the positions from `first` on, instead of runs
    /// of neighbours. `None` where the groups do not divide that axis, or `slabs` has others than there are.
    pub(crate) fn with_index(mut self, axis: usize, first: u64, slabs: Vec<u64>) -> Option<Self> {
        let there_are = self.axes.get(axis)?.slabs();
        let fits = slabs.iter().all(|&slab| slab < there_are);
        self.index = Some(Index { axis, first, slabs });
        self.even = None;
        fits.then_some(self)
    }

    /// Which slab of an axis each position lies in, where slabs take turns. The groups have to divide the axis.
    pub(crate) fn turns(&self, axis: usize, positions: Range<u64>) -> Vec<u64> {
        let slabs = self.axes[axis].slabs();
        positions.map(|position| position % slabs).collect()
    }

    /// Which slab of an axis a position lies in.
    fn slab(&self, axis: usize, position: u64) -> u64 {
        match &self.index {
            #[expect(clippy::cast_possible_truncation, reason = "the index is in memory")]
            Some(index) if index.axis == axis => index.slabs[(position - index.first) as usize],
            _ => position / self.axes[axis].size,
        }
    }

    fn is_indexed(&self, axis: usize) -> bool {
        self.index.as_ref().is_some_and(|index| index.axis == axis)
    }

    /// How many there are: one scale for each.
    pub fn count(&self) -> u64 {
        self.groups_behind(0)
    }

    /// The groups in one slab of the axis before this one.
    fn groups_behind(&self, axis: usize) -> u64 {
        self.axes[axis..].iter().map(|axis| axis.slabs()).product()
    }

    /// The elements from one position on an axis to the next.
    fn stride(&self, axis: usize) -> u64 {
        self.axes[axis + 1..].iter().map(|axis| axis.len).product::<u64>() * self.inner
    }

    /// The group of the element at `index`, and how many elements from there on lie in the same group.
    ///
    /// # Panics
    /// Where the tensor has no such element.
    pub fn at(&self, index: u64) -> (u64, u64) {
        if let Some(run) = self.even {
            return (index / run, run - index % run);
        }
        let (mut rest, offset) = (index / self.inner, index % self.inner);
        let (mut group, mut groups_behind) = (0, 1);
        for (axis, Axis { len, .. }) in self.axes.iter().enumerate().rev() {
            group += self.slab(axis, rest % len) * groups_behind;
            groups_behind *= self.axes[axis].slabs();
            rest /= len;
        }
        let rows = match self.axes.last() {
            Some(Axis { len, size }) if !self.is_indexed(self.axes.len() - 1) => {
                let position = index / self.inner % len;
                (size - position % size).min(len - position)
            }
            _ => 1,
        };
        (group, rows * self.inner - offset)
    }

    /// The length of all groups, where each of them is a run of elements and no index says otherwise.
    pub(crate) fn even_run(&self) -> Option<u64> {
        self.even
    }

    /// A walk along the elements from `start` on.
    pub(crate) fn walk(&self, start: u64) -> Walk<'_> {
        Walk { groups: self, position: start, group: 0, left: 0 }
    }

    /// Where every element along the innermost axis has a group of its own: the group of the element at `index`, and how
    /// many elements from there on lie in that group and those after it, one each.
    pub(crate) fn neighbours_at(&self, index: u64) -> Option<(u64, u64)> {
        let columns = self.columns()?;
        Some((self.at(index).0, columns - index % columns))
    }

    /// The length of the innermost axis, where every element along it has a group of its own.
    pub(crate) fn columns(&self) -> Option<u64> {
        let Axis { len, size } = self.axes.last()?;
        let one_each = self.inner == 1 && *size == 1 && !self.is_indexed(self.axes.len() - 1);
        one_each.then_some(*len)
    }

    /// The first element of a group, had no index scattered them.
    pub(crate) fn start(&self, group: u64) -> u64 {
        let (mut rest, mut start) = (group, 0);
        for (axis, it) in self.axes.iter().enumerate().rev() {
            start += rest % it.slabs() * it.size * self.stride(axis);
            rest /= it.slabs();
        }
        start
    }

    /// The groups of `outer`, which divides the same tensor, that these lie in: those in a row that lie in the same, and
    /// that one.
    pub(crate) fn outer_runs<'a>(
        &'a self,
        outer: &'a Groups,
        groups: Range<u64>,
    ) -> impl Iterator<Item = (Range<u64>, u64)> + 'a {
        let each = match (self.even, outer.even) {
            _ if outer.count() == 1 => u64::MAX,
            (Some(run), Some(outer_run)) if outer_run.is_multiple_of(run) => outer_run / run,
            _ => 1,
        };
        let mut rest = groups;
        std::iter::from_fn(move || {
            let start = rest.start;
            rest.start = rest.end.min((start / each).saturating_add(1).saturating_mul(each));
            (start < rest.end).then(|| (start..rest.start, outer.at(self.start(start)).0))
        })
    }

    /// Whether each of these groups lies in one of `outer`, which divides the same tensor.
    pub(crate) fn lie_within(&self, outer: &Groups) -> bool {
        let pairs = outer.axes.iter().enumerate().map(|(axis, outer)| (self.axes.get(axis), outer));
        pairs.into_iter().all(|(own, outer)| match own {
            Some(own) => outer.slabs() == 1 || outer.size.is_multiple_of(own.size),
            None => outer.slabs() == 1,
        })
    }

    /// The groups from the first to the last that the elements of `range` lie in. Others may be between them.
    ///
    /// # Panics
    /// Where the tensor is empty and the range is not.
    pub fn span(&self, range: &Range<u64>) -> Range<u64> {
        if range.is_empty() {
            return 0..0;
        }
        let (first, last) = self.ends(0, range.start, range.end - 1);
        first..last + 1
    }

    /// The first and the last group of some elements, both counted within one position of the axis before this one.
    fn ends(&self, axis: usize, first: u64, last: u64) -> (u64, u64) {
        if axis == self.axes.len() {
            return (0, 0);
        }
        let (stride, behind, size) = (self.stride(axis), self.groups_behind(axis + 1), self.axes[axis].size);
        let (start, end) = (first / stride, last / stride);
        let slab = |position| self.slab(axis, position) * behind;
        if start == end {
            let (low, high) = self.ends(axis + 1, first % stride, last % stride);
            return (slab(start) + low, slab(start) + high);
        }
        if self.is_indexed(axis) {
            let slabs = || (start..=end).map(slab);
            return (slabs().min().unwrap_or(0), slabs().max().unwrap_or(0) + behind - 1);
        }
        // A slab of which only one position is touched may be touched in part.
        let leaves_at_once = (start + 1).is_multiple_of(size);
        let low = if leaves_at_once { self.ends(axis + 1, first % stride, stride - 1).0 } else { 0 };
        let enters_at_last = end.is_multiple_of(size);
        let high = if enters_at_last { self.ends(axis + 1, 0, last % stride).1 } else { behind - 1 };
        (slab(start) + low, slab(end) + high)
    }

    /// Whether more than one group lies along an axis, or could.
    pub(crate) fn divide(&self, axis: usize) -> bool {
        axis < self.axes.len()
    }

    /// The positions on an axis that elements of `range` have. `None` where groups do not divide the axis.
    pub(crate) fn positions(&self, axis: usize, range: &Range<u64>) -> Option<Range<u64>> {
        let &Axis { len, .. } = self.axes.get(axis)?;
        if range.is_empty() {
            return Some(0..0);
        }
        let stride = self.stride(axis);
        let (first, last) = (range.start / stride, (range.end - 1) / stride);
        let in_order = first / len == last / len;
        Some(if in_order { first % len..last % len + 1 } else { 0..len })
    }

    /// An element of `range` at which to part it, so that the halves touch fewer groups than the whole. `None` where
    /// all lie in one.
    pub(crate) fn middle(&self, range: &Range<u64>) -> Option<u64> {
        let last = range.end.checked_sub(1)?;
        (0..self.axes.len()).map(|axis| self.stride(axis)).find_map(|stride| {
            let (first, last) = (range.start / stride, last / stride);
            (first < last).then(|| (first + (last - first).div_ceil(2)) * stride)
        })
    }
}

/// From one group to the next, as elements come.
pub(crate) struct Walk<'a> {
    groups: &'a Groups,
    position: u64,
    group: u64,
    /// Elements of the group from here on; zero where that is not known yet.
    left: u64,
}

impl Walk<'_> {
    /// The group of the element here, and how many elements from here on lie in the same.
    #[inline]
    pub(crate) fn here(&mut self) -> (u64, u64) {
        if self.left == 0 {
            (self.group, self.left) = self.groups.at(self.position);
        }
        (self.group, self.left)
    }

    /// So many elements on, at most to the next group.
    #[inline]
    pub(crate) fn go(&mut self, elements: u64) {
        self.position += elements;
        self.left = self.left.saturating_sub(elements);
        if let (0, Some(run)) = (self.left, self.groups.even) {
            (self.group, self.left) = (self.group + 1, run);
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;

    fn groups(dims: &[u64], granularity: &Granularity) -> Groups {
        granularity.groups(&Shape::new(dims).expect("small")).expect("fits")
    }

    /// The definition, coordinate by coordinate.
    fn group_by_definition(dims: &[u64], sizes: &[u64], index: u64) -> u64 {
        let mut rest = index;
        let coordinates: Vec<u64> = dims.iter().rev().map(|dim| (rest % dim, rest /= dim).0).collect();
        let axes = dims.iter().zip(sizes).zip(coordinates.iter().rev());
        axes.fold(0, |group, ((dim, size), position)| group * dim.div_ceil(*size) + position / size)
    }

    #[test]
    fn groups_and_runs_agree_with_the_definition() {
        let cases: &[(&[u64], &[u64])] = &[
            (&[], &[]),
            (&[7], &[7]),
            (&[7], &[3]),
            (&[4, 6], &[4, 6]),
            (&[4, 6], &[1, 6]),
            (&[4, 6], &[4, 1]),
            (&[4, 7], &[1, 3]),
            (&[5, 7], &[2, 3]),
            (&[5, 7], &[2, 7]),
            (&[2, 3, 4, 5], &[2, 1, 4, 5]),
            (&[2, 3, 4, 5], &[1, 1, 4, 5]),
            (&[1, 6, 4], &[1, 4, 4]),
        ];
        for (dims, sizes) in cases {
            let groups = groups(dims, &Granularity::Block(sizes.to_vec()));
            let elements: u64 = dims.iter().product();
            let expected: Vec<u64> =
                (0..elements).map(|index| group_by_definition(dims, sizes, index)).collect();
            assert_eq!(groups.count(), expected.iter().max().map_or(0, |last| last + 1));
            for group in 0..groups.count() {
                let start = expected.iter().position(|&other| other == group).expect("no group is empty");
                assert_eq!(groups.start(group), start as u64, "start of {group} in {dims:?} by {sizes:?}");
            }
            for index in 0..elements {
                let (group, run) = groups.at(index);
                let same =
                    expected[index as usize..].iter().take_while(|&&other| other == group).count() as u64;
                assert_eq!(group, expected[index as usize], "group of {index} in {dims:?} by {sizes:?}");
                assert!(run > 0 && run <= same, "run of {run} from {index} in {dims:?} by {sizes:?}");
                for end in index + 1..=elements {
                    let span = groups.span(&(index..end));
                    assert!(expected[index as usize..end as usize].iter().all(|group| span.contains(group)));
                }
            }
        }
    }

    #[test]
    fn an_index_sends_rows_to_any_group() {
        let blocks = |sizes: &[u64]| groups(&[4, 3], &Granularity::Block(sizes.to_vec()));
        let of_all = |groups: &Groups| (0..12).map(|index| groups.at(index).0).collect::<Vec<_>>();
        let rows = blocks(&[2, 1]).with_index(0, 0, vec![1, 0, 0, 1]).expect("two groups of rows");
        assert_eq!(of_all(&rows), [3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5]);
        let columns = blocks(&[1, 2]).with_index(1, 0, vec![1, 0, 1]).expect("two groups of columns");
        assert_eq!(of_all(&columns), [1, 0, 1, 3, 2, 3, 5, 4, 5, 7, 6, 7]);
        assert_eq!((columns.span(&(0..1)), columns.span(&(0..2)), columns.span(&(0..4))), (1..2, 0..2, 0..4));
        assert_eq!(blocks(&[2, 1]).with_index(0, 0, vec![0, 1, 2, 0]), None);
        let later = blocks(&[2, 1]).with_index(0, 2, vec![0, 1]).expect("of the last two rows");
        assert_eq!((later.at(6).0, later.at(11).0, later.span(&(6..12))), (0, 5, 0..6));
    }

    #[test]
    fn an_axis_is_a_block_of_one() {
        assert_eq!(groups(&[4, 6], &Granularity::Axis(1)), groups(&[4, 6], &Granularity::Block(vec![4, 1])));
        assert_eq!(groups(&[3, 0], &Granularity::Axis(0)).count(), 3);
        assert_eq!(groups(&[3, 0], &Granularity::Tensor).count(), 1);
        assert_eq!(Granularity::Axis(2).groups(&Shape::new([4, 6]).expect("small")), None);
        assert_eq!(Granularity::Block(vec![2]).groups(&Shape::new([4, 6]).expect("small")), None);
    }

    #[test]
    fn spans_are_as_tight_as_one_run_of_groups_can_be() {
        assert_eq!(groups(&[100, 64], &Granularity::Block(vec![1, 32])).span(&(64..96)), 2..3);
        assert_eq!(groups(&[100, 64], &Granularity::Axis(0)).span(&(64..193)), 1..4);
        assert_eq!(groups(&[100, 64], &Granularity::Axis(1)).span(&(64..96)), 0..32);
        // Rows of blocks come round again, but only those that are touched.
        let down = groups(&[100, 64], &Granularity::Block(vec![10, 1]));
        assert_eq!(down.span(&(64 * 25..64 * 35)), 64 * 2..64 * 4);
        assert_eq!(down.span(&(64 * 29 + 3..64 * 30 + 2)), 64 * 2 + 3..64 * 3 + 2);
        assert_eq!(down.span(&(5..5)), 0..0);
    }

    #[test]
    fn parts_of_a_range_touch_fewer_groups() {
        let columns = groups(&[3, 1000], &Granularity::Axis(1));
        assert_eq!((columns.span(&(990..1010)), columns.middle(&(990..1010))), (0..1000, Some(1000)));
        assert_eq!((columns.middle(&(0..1000)), columns.middle(&(7..8))), (Some(500), None));
        assert_eq!(groups(&[3, 4], &Granularity::Tensor).middle(&(0..12)), None);
    }

    #[test]
    fn groups_within_groups() {
        let blocks = |sizes: &[u64]| groups(&[4, 12], &Granularity::Block(sizes.to_vec()));
        assert!(blocks(&[1, 2]).lie_within(&blocks(&[1, 4])));
        assert!(blocks(&[1, 2]).lie_within(&blocks(&[4, 12])));
        assert!(blocks(&[1, 12]).lie_within(&blocks(&[2, 12])));
        assert!(!blocks(&[1, 4]).lie_within(&blocks(&[1, 6])));
        assert!(!blocks(&[1, 12]).lie_within(&blocks(&[1, 6])));
    }

    #[test]
    fn positions_on_an_axis() {
        let both = groups(&[2, 3, 4], &Granularity::Block(vec![1, 1, 2]));
        assert_eq!(both.positions(1, &(4..9)), Some(1..3));
        assert_eq!(both.positions(1, &(11..13)), Some(0..3));
        assert_eq!(both.positions(0, &(11..13)), Some(0..2));
        assert_eq!(groups(&[2, 3], &Granularity::Axis(0)).positions(1, &(0..6)), None);
    }
}
