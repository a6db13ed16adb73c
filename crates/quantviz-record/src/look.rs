//! One parameter, or its gradient, is looked at.

use quantviz_core::{Error, ErrorKind, ParameterSource, Part, RangeSummary, Result};

use crate::capture::Capturer;
use crate::captured::{FROZEN, Looked, PRESENT, Statistic, WITHOUT};
use crate::reading::{Clock, ranges, read};

/// Rows of a matrix that its rank is told from.
const ROWS_FOR_RANK: u64 = 128;
/// So many captures pass before the rank of a matrix is told again.
const CAPTURES_BETWEEN_RANKS: u64 = 10;

impl Capturer {
    /// `None` where there was no time, or no gradient.
    pub(crate) fn look_at(
        &mut self,
        parameter: usize,
        part: Part,
        source: &dyn ParameterSource,
        share: f64,
        as_of: u32,
        clock: &Clock,
    ) -> Result<Option<Looked>> {
        let selection = self.selection.clone();
        let (id, planned) = (selection.ids[parameter], &selection.header.parameters[parameter]);
        let is_gradient = part == Part::Gradient;
        let elements = planned.elements();
        let (rows, columns) =
            if planned.matrix.is_some() { planned.rows_and_columns() } else { (1, elements) };
        let mut look = std::mem::take(&mut self.look);
        let mut summary = RangeSummary::default();
        look.begin(usize::try_from(rows).unwrap_or(0), usize::try_from(columns).unwrap_or(0));
        let is_matrix = planned.matrix.is_some();
        let mut count = 0u64;
        let ranges = ranges(rows, columns, share);
        let mut result = Ok(true);
        for (row, range) in ranges {
            look.skip_to(usize::try_from(row).unwrap_or(0));
            result = read(source, id, part, range, Some(clock), &mut self.buffer, &mut |values| {
                count += values.len() as u64;
                match is_matrix {
                    true => look.add(values),
                    false => summary.merge(&RangeSummary::of(values)),
                }
            });
            if !matches!(result, Ok(true)) {
                break;
            }
        }
        let seen = look.finish();
        let mut looked = Looked {
            parameter,
            is_gradient,
            cells: seen.cells,
            cell_rms: seen.cell_rms.clone(),
            cell_peak: seen.cell_peak.clone(),
            row_rms: seen.row_rms.clone(),
            column_rms: seen.column_rms.clone(),
            ..Looked::default()
        };
        let plain = if is_matrix { seen.summary } else { Some(summary.sampled_from(elements)) };
        self.look = look;
        match result {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                if is_gradient {
                    self.gradient_states[parameter] = match error.kind() {
                        ErrorKind::Refused => FROZEN,
                        ErrorKind::NotFound => WITHOUT,
                        _ => return Err(error),
                    };
                    return Ok(None);
                }
                return Err(error);
            }
        }
        if count == 0 || (share >= 1.0 && count != elements) {
            return Err(Error::malformed(format!("{count} elements came where its shape says {elements}"))
                .in_tensor(&planned.name));
        }
        let summary = match plain {
            Some(summary) => summary,
            // Numbers that are none, or a mean far larger than the spread: a slower look tells.
            None => {
                let mut summary = RangeSummary::default();
                let is_whole =
                    read(source, id, part, 0..elements, Some(clock), &mut self.buffer, &mut |values| {
                        summary.merge(&RangeSummary::of(values));
                    })?;
                if !is_whole {
                    return Ok(None);
                }
                summary
            }
        };
        for &(begin, len) in &selection.runs[parameter] {
            let counted = &mut looked.counted;
            read(source, id, part, begin..begin + len, None, &mut self.buffer, &mut |it| {
                counted.extend_from_slice(it)
            })?;
        }
        if is_gradient {
            self.gradient_states[parameter] = PRESENT;
            self.taken_gradients[parameter] = Statistic::of(&summary, as_of);
        } else {
            self.taken[parameter] = Statistic::of(&summary, as_of);
            if is_matrix
                && self.ranked[parameter].is_none_or(|it| self.captures - it >= CAPTURES_BETWEEN_RANKS)
            {
                self.ranked[parameter] = Some(self.captures);
                for row in 0..rows.min(ROWS_FOR_RANK) {
                    let row = row * rows / rows.min(ROWS_FOR_RANK);
                    let out = &mut looked.rows;
                    read(
                        source,
                        id,
                        part,
                        row * columns..(row + 1) * columns,
                        None,
                        &mut self.buffer,
                        &mut |it| {
                            out.extend_from_slice(it);
                        },
                    )?;
                }
            }
        }
        Ok(Some(looked))
    }
}
