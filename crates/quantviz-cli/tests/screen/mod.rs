//! A terminal of some width, and what a command shows on it.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{self, Write};

use quantviz_cli::{Exit, Stream, run};

pub(crate) struct Screen {
    text: Vec<u8>,
    columns: usize,
    draws: bool,
}

impl Screen {
    pub(crate) fn of(columns: usize) -> Self {
        Screen { text: Vec::new(), columns, draws: true }
    }

    /// One that has letters only.
    pub(crate) fn without_bars(self) -> Self {
        Screen { draws: false, ..self }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.text.clone()).expect("UTF-8")
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Screen {
    fn columns(&self) -> Option<usize> {
        Some(self.columns)
    }

    fn draws(&self) -> bool {
        self.draws
    }
}

/// What a command prints in a terminal of this width, without colour.
pub(crate) fn screen(columns: usize, arguments: &[&str]) -> String {
    screen_of(Screen::of(columns), arguments)
}

/// The same on a terminal of some kind.
pub(crate) fn screen_of(mut out: Screen, arguments: &[&str]) -> String {
    let mut err = Vec::new();
    let arguments = ["quantviz", "--color", "never"].iter().chain(arguments);
    assert_eq!(run(arguments, &mut out, &mut err), Exit::Done, "{}", String::from_utf8_lossy(&err));
    out.text()
}
