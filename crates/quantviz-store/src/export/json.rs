//! One document of JSON: what is known of the session, and all rows.

use std::io::{BufWriter, Write};

use quantviz_core::Quantity;

use super::rows::{Head, Of, Row, Table};
use super::{Result, text};

pub(super) struct Json<'a> {
    out: BufWriter<&'a mut dyn Write>,
    ranks: bool,
    /// The names of all quantities and of all scalars, as JSON.
    quantities: Vec<String>,
    scalars: Vec<String>,
    is_first: bool,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        let out = BufWriter::with_capacity(1 << 16, out);
        let quantities = Quantity::ALL.iter().map(|it| quoted(&it.field())).collect();
        Json { out, ranks: false, quantities, scalars: Vec::new(), is_first: true }
    }
}

impl Table for Json<'_> {
    fn begin(&mut self, head: &Head) -> Result<()> {
        self.ranks = head.ranks;
        self.scalars = head.scalars.iter().map(|name| quoted(name)).collect();
        // It is an object, and rows are one more of its fields.
        let about = head.about.strip_suffix('}').unwrap_or(&head.about);
        write!(self.out, "{about},\"rows\":[")?;
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        let before = if std::mem::take(&mut self.is_first) { "\n" } else { ",\n" };
        write!(self.out, "{before}{{\"step\":{}", row.step)?;
        match &row.of {
            Of::Scalars(values) => {
                let rank = if self.ranks { ",\"rank\":null" } else { "" };
                write!(self.out, "{rank},\"parameter\":\"\",\"values\":{{")?;
                let texts = values.iter().map(|value| value.map(text::scalar));
                fields(&mut self.out, &self.scalars, texts)?;
            }
            Of::Parameter { rank, name, values } => {
                if self.ranks {
                    write!(self.out, ",\"rank\":{rank}")?;
                }
                write!(self.out, ",\"parameter\":{},\"values\":{{", quoted(name))?;
                let texts = Quantity::ALL.iter().zip(*values);
                let texts = texts.map(|(&quantity, value)| value.map(|it| text::quantity(quantity, it)));
                fields(&mut self.out, &self.quantities, texts)?;
            }
        }
        self.out.write_all(b"}}")?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        Ok(())
    }
}

fn fields(
    out: &mut dyn Write,
    names: &[String],
    values: impl Iterator<Item = Option<String>>,
) -> std::io::Result<()> {
    for (at, (name, value)) in names.iter().zip(values).enumerate() {
        let before = if at == 0 { "" } else { "," };
        match value.as_deref() {
            None => write!(out, "{before}{name}:null")?,
            // JSON has no word for those.
            Some(text @ ("nan" | "inf" | "-inf")) => write!(out, "{before}{name}:\"{text}\"")?,
            Some(text) => write!(out, "{before}{name}:{text}")?,
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}
