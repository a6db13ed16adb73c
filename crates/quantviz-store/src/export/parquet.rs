//! Parquet: as many rows together as are in memory at once, each column of them one page of plain values.
//!
//! What is not there is null. What is known of the session is the key `quantviz` of the file's metadata. It is written here, and
//! not by a library, because tables of numbers need so little of the format.

use std::io::{BufWriter, Write};

use quantviz_core::Quantity;

use super::Result;
use super::rows::{Head, Of, Row, Table, columns};
use super::thrift::{Struct, varint};

const MAGIC: &[u8] = b"PAR1";
/// So many bytes of rows are together at most, but for one row more.
const GROUP: usize = 64 << 20;

/// What Parquet calls its types.
#[derive(Clone, Copy)]
enum Physical {
    Int64 = 2,
    Float = 4,
    Double = 5,
    Bytes = 6,
}

struct Column {
    name: String,
    of: Physical,
    /// What the numbers or bytes mean, where that is not all there is to them: UTF-8, or numbers without a sign.
    meaning: Option<i32>,
    is_optional: bool,
    bytes: Vec<u8>,
    is_there: Vec<bool>,
}

const UTF8: i32 = 0;
const UNSIGNED: i32 = 14;

pub(super) struct Parquet<'a> {
    out: BufWriter<&'a mut dyn Write>,
    place: u64,
    columns: Vec<Column>,
    ranks: bool,
    about: String,
    /// Rows that wait, and their bytes.
    waiting: u64,
    bytes: usize,
    rows: u64,
    groups: Vec<Struct>,
}

impl<'a> Parquet<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Parquet {
            out: BufWriter::with_capacity(1 << 16, out),
            place: 0,
            columns: Vec::new(),
            ranks: false,
            about: String::new(),
            waiting: 0,
            bytes: 0,
            rows: 0,
            groups: Vec::new(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.place += bytes.len() as u64;
        Ok(())
    }

    /// Writes the rows that wait.
    fn group(&mut self) -> Result<()> {
        if self.waiting == 0 {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.waiting);
        let begin = self.place;
        let mut chunks = Vec::new();
        for mut column in std::mem::take(&mut self.columns) {
            let page = column.page();
            let place = self.place;
            let header = page_header(rows, page.len());
            self.write(&header)?;
            self.write(&page)?;
            chunks.push(column.chunk(place, rows, self.place - place));
            column.bytes.clear();
            column.is_there.clear();
            self.columns.push(column);
        }
        let len = self.place - begin;
        self.groups.push(Struct::default().structs(1, chunks).i64(2, len).i64(3, rows));
        (self.rows, self.bytes) = (self.rows + rows, 0);
        Ok(())
    }
}

impl Table for Parquet<'_> {
    fn begin(&mut self, head: &Head) -> Result<()> {
        self.ranks = head.ranks;
        self.about.clone_from(&head.about);
        let is_count = |it: &Quantity| it.is_count() || *it == Quantity::GradientState;
        let mut kinds = vec![(Physical::Int64, Some(UNSIGNED), false)];
        kinds.extend(head.ranks.then_some((Physical::Int64, None, true)));
        kinds.push((Physical::Bytes, Some(UTF8), false));
        kinds.extend(Quantity::ALL.iter().map(|it| match is_count(it) {
            true => (Physical::Int64, None, true),
            false => (Physical::Float, None, true),
        }));
        kinds.extend(head.scalars.iter().map(|_| (Physical::Double, None, true)));
        let named = columns(head).into_iter().zip(kinds);
        self.columns = named
            .map(|(name, (of, meaning, is_optional))| Column {
                name,
                of,
                meaning,
                is_optional,
                bytes: Vec::new(),
                is_there: Vec::new(),
            })
            .collect();
        self.write(MAGIC)
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        let (rank, name, quantities, scalars): (_, &str, &[_], &[_]) = match row.of {
            Of::Scalars(values) => (None, "", &[], values),
            Of::Parameter { rank, name, values } => (Some(f64::from(rank)), name, values, &[]),
        };
        self.bytes += 8 * self.columns.len();
        let mut columns = self.columns.iter_mut();
        let mut next = || columns.next();
        if let Some(step) = next() {
            step.bytes.extend(row.step.to_le_bytes());
        }
        if let Some(column) = self.ranks.then(&mut next).flatten() {
            column.number(rank);
        }
        if let Some(column) = next() {
            column.bytes.extend((name.len() as u32).to_le_bytes());
            column.bytes.extend(name.bytes());
        }
        let numbers = |of: &[Option<f64>], at: usize| of.get(at).copied().flatten();
        for (at, column) in columns.enumerate() {
            column.number(match at.checked_sub(Quantity::ALL.len()) {
                None => numbers(quantities, at),
                Some(at) => numbers(scalars, at),
            });
        }
        self.bytes += name.len();
        self.waiting += 1;
        if self.bytes >= GROUP { self.group() } else { Ok(()) }
    }

    fn end_piece(&mut self) -> Result<()> {
        self.group()
    }

    fn end(&mut self) -> Result<()> {
        self.group()?;
        let root = Struct::default().text(4, "session").i32(5, self.columns.len() as i32);
        let schema = std::iter::once(root).chain(self.columns.iter().map(Column::schema)).collect();
        let about = Struct::default().text(1, "quantviz").text(2, &self.about);
        let footer = Struct::default()
            .i32(1, 1)
            .structs(2, schema)
            .i64(3, self.rows)
            .structs(4, std::mem::take(&mut self.groups))
            .structs(5, vec![about])
            .text(6, concat!("quantviz ", env!("CARGO_PKG_VERSION")))
            .end();
        self.write(&footer)?;
        self.write(&(footer.len() as u32).to_le_bytes())?;
        self.write(MAGIC)?;
        Ok(self.out.flush()?)
    }
}

impl Column {
    fn number(&mut self, value: Option<f64>) {
        // A count that is no number is none.
        let value = value.filter(|it| it.is_finite() || !matches!(self.of, Physical::Int64));
        self.is_there.push(value.is_some());
        let Some(value) = value else { return };
        match self.of {
            Physical::Int64 => self.bytes.extend((value as i64).to_le_bytes()),
            Physical::Float => self.bytes.extend((value as f32).to_le_bytes()),
            Physical::Double | Physical::Bytes => self.bytes.extend(value.to_le_bytes()),
        }
    }

    /// Which rows have something, a bit for each, and what they have.
    fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        if self.is_optional {
            let mut levels = Vec::new();
            const PACKED: u64 = 1;
            varint(&mut levels, (self.is_there.len().div_ceil(8) as u64) << 1 | PACKED);
            for eight in self.is_there.chunks(8) {
                levels.push(eight.iter().rev().fold(0u8, |byte, &is_there| byte << 1 | u8::from(is_there)));
            }
            page.extend((levels.len() as u32).to_le_bytes());
            page.extend(levels);
        }
        page.extend(&self.bytes);
        page
    }

    fn schema(&self) -> Struct {
        let schema =
            Struct::default().i32(1, self.of as i32).i32(3, self.is_optional.into()).text(4, &self.name);
        match self.meaning {
            Some(meaning) => schema.i32(6, meaning),
            None => schema,
        }
    }

    fn chunk(&self, place: u64, rows: u64, len: u64) -> Struct {
        const UNCOMPRESSED: i32 = 0;
        let about = Struct::default()
            .i32(1, self.of as i32)
            .i32s(2, &[PLAIN, RLE])
            .texts(3, &[&self.name])
            .i32(4, UNCOMPRESSED)
            .i64(5, rows)
            .i64(6, len)
            .i64(7, len)
            .i64(9, place);
        Struct::default().i64(2, place).inner(3, about)
    }
}

const PLAIN: i32 = 0;
const RLE: i32 = 3;

fn page_header(rows: u64, len: usize) -> Vec<u8> {
    const DATA_PAGE: i32 = 0;
    // Groups are far smaller than what 31 bits count.
    let (rows, len) = (rows as i32, len as i32);
    let data = Struct::default().i32(1, rows).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
    Struct::default().i32(1, DATA_PAGE).i32(2, len).i32(3, len).inner(5, data).end()
}
