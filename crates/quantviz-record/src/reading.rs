//! Elements of a source, for as long as there is time.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use quantviz_core::{Block, Elements, Error, ParameterId, ParameterSource, Part, Result};

/// Elements between two looks at the clock.
const PIECE: usize = 1 << 14;
/// Where a capture has taken so much of its budget, it ends at once.
const AT_MOST: f64 = 1.2;

/// When a capture began, and how long it may take.
pub(crate) struct Clock {
    pub(crate) begun: Instant,
    pub(crate) budget: Option<Duration>,
}

impl Clock {
    pub(crate) fn left(&self) -> Duration {
        self.budget.map_or(Duration::MAX, |budget| budget.saturating_sub(self.begun.elapsed()))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.budget.is_some_and(|budget| self.begun.elapsed() > budget.mul_f64(AT_MOST))
    }
}

/// Reads elements as `f32`, in pieces; `false` where the time was over before the end.
pub(crate) fn read(
    source: &dyn ParameterSource,
    id: ParameterId,
    part: Part,
    range: Range<u64>,
    clock: Option<&Clock>,
    buffer: &mut Vec<f32>,
    take: &mut dyn FnMut(&[f32]),
) -> Result<bool> {
    let mut left = range.end.saturating_sub(range.start);
    let mut sink = |block: Block<'_>| {
        let len = block.elements.len();
        if len as u64 > left {
            left = u64::MAX;
            return ControlFlow::Break(());
        }
        left -= len as u64;
        let mut begin = 0;
        while begin < len {
            let end = len.min(begin + PIECE);
            match block.elements {
                Elements::F32(values) => take(&values[begin..end]),
                elements => {
                    buffer.clear();
                    elements.slice(begin..end).for_each(|value| buffer.push(value as f32));
                    take(buffer);
                }
            }
            begin = end;
            if clock.is_some_and(Clock::is_over) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    let is_whole = source.read(id, part, range, &mut sink)?.is_continue();
    if left == u64::MAX {
        let name = source.model().parameter(id).name.clone();
        return Err(Error::malformed("more elements came than were asked for").in_tensor(name));
    }
    Ok(is_whole)
}

/// Rows to look at, with the first of each range: all at once, or some that are spread over all.
pub(crate) fn ranges(rows: u64, columns: u64, share: f64) -> Vec<(u64, Range<u64>)> {
    if share >= 1.0 || rows < 2 {
        return vec![(0, 0..rows * columns)];
    }
    let wanted = ((rows as f64 * share) as u64).clamp(1, rows);
    (0..wanted)
        .map(|at| {
            let row = at * rows / wanted;
            (row, row * columns..(row + 1) * columns)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_part_are_spread() {
        assert_eq!(ranges(10, 4, 1.0), [(0, 0..40)]);
        assert_eq!(ranges(10, 4, 0.3), [(0, 0..4), (3, 12..16), (6, 24..28)]);
    }
}
