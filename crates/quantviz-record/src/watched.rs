//! What is looked at for more than its statistics: one matrix after another for where it changes, and the parameter that
//! somebody wants to see more of.

use std::time::Duration;

use quantviz_core::{Focus, MatrixLook, ParameterSource, Part, Result};

use crate::capture::Capturer;
use crate::captured::Captured;
use crate::picture::Picture;
use crate::reading::{Clock, ranges, read};

/// The rows and columns of the picture of what somebody wants to see more of.
pub(crate) const FINE: usize = 64;
/// Rows, and columns, whose sizes are told of that.
const MOST_ROWS: usize = 8_192;
/// Elements of a matrix that is kept from one capture to the next.
const MOST_KEPT: u64 = 4 << 20;
/// What of its budget a capture may take for each of the two.
const PART: u32 = 4;

/// What is remembered for it.
pub(crate) struct Watched {
    /// The name of the parameter that somebody wants to see more of.
    pub(crate) focus: Option<String>,
    fine: MatrixLook,
    look: MatrixLook,
    kept: Option<Kept>,
    /// The place of the next matrix in the catalogue.
    next: usize,
}

/// A matrix as it was in the capture before.
struct Kept {
    parameter: usize,
    since: u64,
    values: Vec<f32>,
}

/// Where a matrix has changed between two captures.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) parameter: usize,
    pub(crate) since: u64,
    pub(crate) cells: (usize, usize),
    pub(crate) cell_rms: Vec<f32>,
}

/// More of one parameter.
#[derive(Debug, Default)]
pub(crate) struct Focused {
    pub(crate) parameter: usize,
    pub(crate) coverage: f32,
    pub(crate) cells: (usize, usize),
    /// The sizes of cells, their largest values, and the sizes of the gradient, if there is one.
    pub(crate) pictures: Vec<Vec<f32>>,
    pub(crate) row_rms: Vec<f32>,
    pub(crate) column_rms: Vec<f32>,
}

impl Focused {
    pub(crate) fn fine_pictures(&self) -> Vec<Picture> {
        self.pictures.iter().map(|it| Picture::with_side(FINE, it, self.cells)).collect()
    }

    /// What is said of it beside the arrays.
    pub(crate) fn header(&self) -> Focus {
        let narrow = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let scales = self.fine_pictures().iter().map(|it| it.scale).collect();
        Focus::on(narrow(self.parameter), self.coverage)
            .with_pictures(scales, [narrow(self.cells.0), narrow(self.cells.1)])
    }
}

impl Watched {
    pub(crate) fn new() -> Self {
        Watched {
            focus: None,
            fine: MatrixLook::with_cells(FINE),
            look: MatrixLook::default(),
            kept: None,
            next: 0,
        }
    }
}

impl Capturer {
    /// How the matrix that was kept has changed since; and the next one is kept.
    pub(crate) fn watch_changes(
        &mut self,
        step: u64,
        source: &dyn ParameterSource,
        clock: &Clock,
        captured: &mut Captured,
    ) {
        let mut watched = std::mem::replace(&mut self.watched, Watched::new());
        let mut memory = Vec::new();
        if let Some(kept) = watched.kept.take() {
            // What cannot be read is told where parameters are looked at.
            let changed = self.change_of(&kept, source, clock, &mut watched.look).unwrap_or(None);
            captured.changed = changed.filter(|it| it.since < step);
            memory = kept.values;
        }
        watched.kept = self.keep_next(step, source, clock, memory, &mut watched.next);
        self.watched = watched;
    }

    fn change_of(
        &mut self,
        kept: &Kept,
        source: &dyn ParameterSource,
        clock: &Clock,
        look: &mut MatrixLook,
    ) -> Result<Option<Changed>> {
        let (parameter, since, before) = (kept.parameter, kept.since, &kept.values);
        let (rows, columns) = self.selection.header.parameters[parameter].rows_and_columns();
        look.begin(usize::try_from(rows).unwrap_or(0), usize::try_from(columns).unwrap_or(0));
        let (mut at, mut moved) = (0, Vec::new());
        let is_whole = read(
            source,
            self.selection.ids[parameter],
            Part::Stored,
            0..rows * columns,
            Some(clock),
            &mut self.buffer,
            &mut |values| {
                let Some(before) = before.get(at..at + values.len()) else { return };
                at += values.len();
                moved.clear();
                moved.extend(values.iter().zip(before).map(|(now, before)| now - before));
                look.add(&moved);
            },
        )?;
        let seen = look.finish();
        let (cells, is_whole) = (seen.cells, is_whole && at == before.len());
        Ok(is_whole.then(|| Changed { parameter, since, cells, cell_rms: seen.cell_rms.clone() }))
    }

    /// The next matrix that can be read within the part of a capture that there is for it.
    fn keep_next(
        &mut self,
        step: u64,
        source: &dyn ParameterSource,
        clock: &Clock,
        mut values: Vec<f32>,
        next: &mut usize,
    ) -> Option<Kept> {
        let count = self.selection.header.parameters.len();
        let parameter = (*next..count).chain(0..*next).find(|&it| {
            let planned = &self.selection.header.parameters[it];
            let elements = planned.elements();
            let needed = self.time_for(elements).mul_f64(2.0);
            planned.matrix.is_some()
                && elements <= MOST_KEPT
                && clock.budget.is_none_or(|budget| needed <= budget / PART)
                && needed <= clock.left()
        })?;
        *next = (parameter + 1) % count;
        values.clear();
        let elements = self.selection.header.parameters[parameter].elements();
        let id = self.selection.ids[parameter];
        let is_whole =
            read(source, id, Part::Stored, 0..elements, Some(clock), &mut self.buffer, &mut |it| {
                values.extend_from_slice(it);
            });
        (is_whole.ok()? && values.len() as u64 == elements).then_some(Kept { parameter, since: step, values })
    }

    fn time_for(&self, elements: u64) -> Duration {
        Duration::from_secs_f64(elements as f64 * self.nanoseconds * 1e-9)
    }

    /// More of the parameter that somebody has chosen: of some of its rows, where there is no time for all.
    pub(crate) fn watch_focus(
        &mut self,
        source: &dyn ParameterSource,
        clock: &Clock,
        captured: &mut Captured,
    ) {
        let Some(name) = self.watched.focus.clone() else { return };
        let Some(parameter) = self.selection.header.parameter_named(&name) else {
            captured.trouble.push(format!("{name}: there is no such parameter to see more of"));
            return;
        };
        let planned = &self.selection.header.parameters[parameter];
        let (rows, columns) =
            if planned.matrix.is_some() { planned.rows_and_columns() } else { (1, planned.elements()) };
        let looks = if self.gradients { 2.0 } else { 1.0 };
        let needed = self.time_for(planned.elements()).mul_f64(looks).as_secs_f64();
        let allowed = clock.budget.map_or(f64::INFINITY, |budget| (budget / PART).as_secs_f64());
        let share = (allowed / needed.max(1e-9)).min(1.0);
        let mut look = std::mem::replace(&mut self.watched.fine, MatrixLook::with_cells(FINE));
        let mut focused = Focused { parameter, ..Focused::default() };
        for part in [Part::Stored, Part::Gradient] {
            look.begin(usize::try_from(rows).unwrap_or(0), usize::try_from(columns).unwrap_or(0));
            let mut seen_rows = 0;
            for (row, range) in ranges(rows, columns, share) {
                look.skip_to(usize::try_from(row).unwrap_or(0));
                seen_rows += (range.end - range.start).checked_div(columns).unwrap_or(0);
                let id = self.selection.ids[parameter];
                let add = &mut |values: &[f32]| look.add(values);
                // A gradient that is not there is no picture; weights that cannot be read are told elsewhere.
                if !matches!(read(source, id, part, range, Some(clock), &mut self.buffer, add), Ok(true)) {
                    seen_rows = 0;
                    break;
                }
            }
            if seen_rows == 0 {
                break;
            }
            let seen = look.finish();
            match part {
                Part::Stored => {
                    focused.coverage = seen_rows as f32 / rows.max(1) as f32;
                    focused.cells = seen.cells;
                    focused.pictures = vec![seen.cell_rms.clone(), seen.cell_peak.clone()];
                    let told =
                        |sizes: &[f32]| if sizes.len() <= MOST_ROWS { sizes.to_vec() } else { Vec::new() };
                    (focused.row_rms, focused.column_rms) = (told(&seen.row_rms), told(&seen.column_rms));
                }
                _ => focused.pictures.push(seen.cell_rms.clone()),
            }
            if !self.gradients {
                break;
            }
        }
        self.watched.fine = look;
        match focused.pictures.is_empty() {
            true => captured.left_out.push(format!("more of {name}: there was no time for it")),
            false => captured.focus = Some(focused),
        }
    }
}
