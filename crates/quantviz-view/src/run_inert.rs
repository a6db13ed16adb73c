//! The texts of a run's page, made safe to show: names of parameters, notes and the like come from whoever trained.

use quantviz_core::one_line;

use crate::run_page::RunPage;

/// Of notes so many lines are shown.
const LINES: usize = 100;

impl RunPage {
    /// The same with nothing in it that turns text around, breaks lines or is not seen. Notes keep their lines.
    pub(crate) fn inert(mut self) -> Self {
        let each = |text: &mut String| *text = one_line(text);
        each(&mut self.title);
        self.reason.iter_mut().for_each(each);
        self.sentences.iter_mut().chain(&mut self.facts).chain(&mut self.caveats).for_each(each);
        self.curves.iter_mut().for_each(|curve| each(&mut curve.name));
        if let Some(shown) = &mut self.grid {
            let cells = shown.grid.rows.iter_mut().flat_map(|row| &mut row.cells);
            cells.flat_map(|cell| &mut cell.parameters).for_each(each);
        }
        self.moved.iter_mut().for_each(|row| each(&mut row.parameter));
        self.strips.iter_mut().for_each(|strip| each(&mut strip.parameter));
        for embedding in &mut self.embeddings {
            each(&mut embedding.parameter);
            embedding.turned.iter_mut().for_each(each);
            embedding.moments.iter_mut().flat_map(|it| &mut it.rows).for_each(|row| each(&mut row.name));
        }
        for note in &mut self.notes {
            each(&mut note.name);
            note.text = note.text.lines().take(LINES).map(one_line).collect::<Vec<_>>().join("\n");
        }
        self
    }
}
