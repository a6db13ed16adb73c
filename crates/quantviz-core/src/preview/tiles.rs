//! How a weight is taken apart: into groups that share a scale, and into tiles that are read at a time.

use std::ops::{ControlFlow, Range};

use super::scheme::Per;
use crate::{Block, Elements, ParameterId, ParameterSource, Part, Result, Shape};

/// A tile of so many elements is worth a turn, and there is room for some.
pub(super) const AT_ONCE: u64 = 1 << 20;
/// Columns of a tile at least, where a column is too long for one: reading single elements would take forever.
const SIDE_BY_SIDE: u64 = 64;

/// A weight as rows of channels: the axis of its outputs, what lies before it and what lies behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Matrices that share nothing but their scales per channel: those before the last two axes.
    batch: u64,
    before: u64,
    channels: u64,
    behind: u64,
}

/// Runs of elements side by side, in rows that lie apart. What is below each other is a column; columns are made of
/// groups, or are part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// The first element.
    start: u64,
    rows: u64,
    /// From one row to the next.
    stride: u64,
    columns: u64,
    /// Elements of a column that lie side by side.
    run: u64,
    /// The group of the first column, where columns are parts of groups.
    first_group: u64,
}

/// All tiles of a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tiling {
    pub(super) tiles: Vec<Tile>,
    /// Elements of a group; the last of each column has what is left.
    pub(super) group: u64,
    /// Whether groups lie within tiles. Else a column of a tile is a part of a group.
    pub(super) whole: bool,
    pub(super) groups: u64,
}

impl View {
    pub(super) fn of(shape: &Shape, axis: usize) -> Self {
        let dims = shape.dims();
        let (outer, channels, behind) = (&dims[..axis], dims[axis], dims[axis + 1..].iter().product());
        match outer.split_last() {
            // A stack of matrices, whose outputs are their columns.
            Some((&before, batch)) if axis + 1 == dims.len() => {
                View { batch: batch.iter().product(), before, channels, behind }
            }
            _ => View { batch: 1, before: outer.iter().product(), channels, behind },
        }
    }

    fn elements(&self) -> u64 {
        self.batch * self.before * self.channels * self.behind
    }

    /// Tiles of `at_once` elements at most, but for blocks that are larger.
    pub(super) fn tiles(&self, per: Per, at_once: u64) -> Tiling {
        let View { batch, before, channels, behind } = *self;
        let rows = batch * before;
        match per {
            _ if self.elements() == 0 => Tiling { tiles: Vec::new(), group: 1, whole: true, groups: 0 },
            Per::Tensor => Grid { batch: 1, rows: 1, columns: 1, run: self.elements() }.whole(at_once),
            Per::Channel => Grid { batch: 1, rows, columns: channels, run: behind }.whole(at_once),
            Per::Block(size) if rows == 1 => {
                Grid { batch: 1, rows: 1, columns: channels, run: behind }.in_blocks(size, at_once)
            }
            Per::Block(size) => {
                Grid { batch, rows: before, columns: channels * behind, run: 1 }.in_blocks(size, at_once)
            }
        }
    }
}

/// A weight as rows that lie behind each other, all cut into columns of `run` elements.
#[derive(Clone, Copy)]
struct Grid {
    batch: u64,
    rows: u64,
    columns: u64,
    run: u64,
}

impl Grid {
    fn stride(&self) -> u64 {
        self.columns * self.run
    }

    fn tile(&self, rows: Range<u64>, columns: Range<u64>, within: Range<u64>) -> Tile {
        Tile {
            start: rows.start * self.stride() + columns.start * self.run + within.start,
            rows: rows.end - rows.start,
            stride: self.stride(),
            columns: columns.end - columns.start,
            run: within.end - within.start,
            first_group: columns.start,
        }
    }

    /// Every column is a group.
    fn whole(&self, at_once: u64) -> Tiling {
        let Grid { rows, columns, run, .. } = *self;
        let group = rows * run;
        let whole = group <= at_once;
        let tiles: Vec<Tile> = if whole {
            steps(0..columns, at_once / group).map(|columns| self.tile(0..rows, columns, 0..run)).collect()
        } else {
            // Either runs are short and many columns stand side by side, or a run alone is long enough.
            let wide = (SIDE_BY_SIDE.min(at_once) / run).max(1);
            let tall = (at_once / (wide * run)).max(1);
            let cut = if tall == 1 { at_once } else { run };
            steps(0..columns, wide)
                .flat_map(|columns| steps(0..rows, tall).map(move |rows| (columns.clone(), rows)))
                .flat_map(|(columns, rows)| {
                    steps(0..run, cut).map(move |within| self.tile(rows.clone(), columns.clone(), within))
                })
                .collect()
        };
        Tiling { tiles, group, whole, groups: columns }
    }

    /// Columns are made of groups of `size` elements.
    fn in_blocks(&self, size: u64, at_once: u64) -> Tiling {
        let Grid { batch, rows, columns, run } = *self;
        let length = rows * run;
        let size = size.min(length);
        let blocks_at_once = (at_once / size).max(1);
        let tiles: Vec<Tile> = (0..batch)
            .flat_map(|matrix| {
                let rows = matrix * rows..(matrix + 1) * rows;
                let wide = (blocks_at_once / length.div_ceil(size)).max(1);
                steps(0..columns, if run == 1 { blocks_at_once } else { wide }).flat_map(move |columns| {
                    let high = (blocks_at_once / (columns.end - columns.start)).max(1) * size;
                    let rows = rows.clone();
                    let (tall, cut) = if run == 1 { (high, 1) } else { (1, high) };
                    steps(rows, tall).flat_map(move |rows| {
                        let columns = columns.clone();
                        steps(0..run, cut).map(move |within| self.tile(rows.clone(), columns.clone(), within))
                    })
                })
            })
            .collect();
        Tiling { tiles, group: size, whole: true, groups: batch * columns * length.div_ceil(size) }
    }
}

/// A range in steps, the last of which may be shorter.
pub(super) fn steps(range: Range<u64>, step: u64) -> impl Iterator<Item = Range<u64>> {
    let step = step.max(1);
    let count = (range.end - range.start).div_ceil(step);
    (0..count).map(move |index| {
        let start = range.start + index * step;
        start..range.end.min(start.saturating_add(step))
    })
}

impl Tile {
    pub(super) fn elements(&self) -> u64 {
        self.rows * self.columns * self.run
    }

    /// Elements of each column.
    pub(super) fn column(&self) -> usize {
        in_memory(self.rows * self.run)
    }

    /// The group of the first column, where columns are parts of groups.
    pub(super) fn first_group(&self) -> usize {
        in_memory(self.first_group)
    }

    /// The place among all elements of what is at `index` in a column.
    pub(super) fn place(&self, column: usize, index: usize) -> usize {
        let run = in_memory(self.run);
        in_memory(self.start) + (index / run) * in_memory(self.stride) + column * run + index % run
    }

    /// The values, column behind column. What is not finite becomes zero, which every scheme leaves as it is.
    pub(super) fn read<S: ParameterSource + ?Sized>(&self, source: &S, id: ParameterId) -> Result<Vec<f32>> {
        let width = self.columns * self.run;
        let mut stored = Vec::with_capacity(in_memory(self.elements()));
        let together = self.rows == 1 || width == self.stride;
        let (reads, length) = if together { (1, self.elements()) } else { (self.rows, width) };
        for row in 0..reads {
            let start = self.start + row * self.stride;
            let mut sink = |block: Block<'_>| {
                push_finite(&block.elements, &mut stored);
                ControlFlow::Continue(())
            };
            let _ = source.read(id, Part::Stored, start..start + length, &mut sink)?;
        }
        if self.rows == 1 || self.columns == 1 {
            return Ok(stored);
        }
        Ok(self.by_columns(&stored))
    }

    /// Rows behind each other, as columns behind each other.
    fn by_columns(&self, by_rows: &[f32]) -> Vec<f32> {
        let (rows, columns, run) = (in_memory(self.rows), in_memory(self.columns), in_memory(self.run));
        let mut by_columns = vec![0.0; by_rows.len()];
        // Squares that stay in the cache.
        const SIDE: usize = 32;
        for first_row in (0..rows).step_by(SIDE) {
            for first_column in (0..columns).step_by(SIDE) {
                for column in first_column..columns.min(first_column + SIDE) {
                    for row in first_row..rows.min(first_row + SIDE) {
                        let (from, to) = ((row * columns + column) * run, (column * rows + row) * run);
                        by_columns[to..to + run].copy_from_slice(&by_rows[from..from + run]);
                    }
                }
            }
        }
        by_columns
    }
}

pub(super) fn push_finite(elements: &Elements<'_>, values: &mut Vec<f32>) {
    let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
    match elements {
        Elements::F32(slice) => values.extend(slice.iter().map(|&value| finite(value))),
        #[expect(clippy::cast_possible_truncation, reason = "weights are rounded to f32, as quantizers do")]
        other => other.for_each(|value| values.push(finite(value as f32))),
    }
}

/// A number of things that are in memory together.
#[expect(clippy::cast_possible_truncation, reason = "a tile is small, and groups are fewer than weights")]
pub(super) fn in_memory(elements: u64) -> usize {
    elements as usize
}
