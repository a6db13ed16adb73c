//! What came of several models: one that cannot be read hides no other, but may be trouble for the whole.

use std::io;
use std::path::Path;

use quantviz::{Error, ErrorKind};

use crate::Exit;
use crate::stream::{Label, Terminal};

#[derive(Default)]
pub(crate) struct Outcome {
    any_readable: bool,
    any_trouble: bool,
}

impl Outcome {
    /// Of one that could be read, to begin with.
    pub(crate) fn of_one() -> Self {
        Outcome { any_readable: true, any_trouble: false }
    }

    /// Notes a model that could be read.
    pub(crate) fn read(&mut self) {
        self.any_readable = true;
    }

    /// Notes one that could not. That nothing here can read it is no fault of the file, and no trouble.
    pub(crate) fn could_not_read(&mut self, error: &Error) -> Label {
        let is_trouble = error.kind() != ErrorKind::Unsupported;
        self.any_trouble |= is_trouble;
        if is_trouble { Label::Error } else { Label::Warning }
    }

    /// The same, told in a line.
    pub(crate) fn tell_unreadable(
        &mut self,
        path: &Path,
        error: &Error,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<()> {
        let label = self.could_not_read(error);
        terminal.tell(label, &path.to_string_lossy(), &error.line_within(Some(path), None))
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.any_readable && !self.any_trouble { Exit::Done } else { Exit::Trouble }
    }

    /// The exit, whose reason is told where no line before has.
    pub(crate) fn end(&self, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
        if !self.any_readable && !self.any_trouble {
            writeln!(terminal.err, "error: none of these models can be read")?;
        }
        Ok(self.exit())
    }
}
