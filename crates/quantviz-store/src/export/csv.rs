//! Comma-separated values, as RFC 4180 has them, with lines that end as on Unix.
//!
//! What is not there is an empty cell; what is not finite is `NaN`, `inf` or `-inf`. Names that a spreadsheet would take for a
//! formula get an apostrophe before them, which it then shows as text; names that begin with one get another, so that
//! taking one away gives the name. No number is touched.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use quantviz_core::Quantity;

use super::rows::{Head, Of, Row, Table};
use super::{Result, text};

pub(super) struct Csv<'a> {
    out: BufWriter<&'a mut dyn Write>,
    ranks: bool,
    scalars: usize,
}

impl<'a> Csv<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Csv { out: BufWriter::with_capacity(1 << 16, out), ranks: false, scalars: 0 }
    }
}

impl Table for Csv<'_> {
    fn begin(&mut self, head: &Head) -> Result<()> {
        (self.ranks, self.scalars) = (head.ranks, head.scalars.len());
        let columns = super::rows::columns(head);
        let names: Vec<String> = columns.iter().map(|name| cell(name).into_owned()).collect();
        writeln!(self.out, "{}", names.join(","))?;
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        write!(self.out, "{}", row.step)?;
        match &row.of {
            Of::Scalars(values) => {
                self.out.write_all(if self.ranks { b",," } else { b"," })?;
                self.out.write_all(&vec![b','; Quantity::ALL.len()])?;
                for value in *values {
                    let text = value.map(|value| known_as(text::scalar(value))).unwrap_or_default();
                    write!(self.out, ",{text}")?;
                }
            }
            Of::Parameter { rank, name, values } => {
                if self.ranks {
                    write!(self.out, ",{rank}")?;
                }
                write!(self.out, ",{}", cell(name))?;
                for (&quantity, value) in Quantity::ALL.iter().zip(*values) {
                    let text =
                        value.map(|value| known_as(text::quantity(quantity, value))).unwrap_or_default();
                    write!(self.out, ",{text}")?;
                }
                self.out.write_all(&vec![b','; self.scalars])?;
            }
        }
        self.out.write_all(b"\n")?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.out.flush()?;
        Ok(())
    }
}

/// As those who read tables know it.
fn known_as(text: String) -> String {
    if text == "nan" { "NaN".to_owned() } else { text }
}

/// A name in a cell.
fn cell(name: &str) -> Cow<'_, str> {
    let is_formula = name.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']);
    let is_quoted = is_formula || name.contains(['"', ',', '\n', '\r']);
    match is_quoted {
        false => Cow::Borrowed(name),
        true => {
            let guard = if is_formula { "'" } else { "" };
            Cow::Owned(format!("\"{guard}{}\"", name.replace('"', "\"\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_cell() {
        assert_eq!(cell("h.0.weight"), "h.0.weight");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("a\"b\nc"), "\"a\"\"b\nc\"");
        assert_eq!(cell("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        for name in ["+1", "-1", "@sum", "\tx", "'quoted"] {
            assert_eq!(cell(name), format!("\"'{name}\""));
        }
    }
}
