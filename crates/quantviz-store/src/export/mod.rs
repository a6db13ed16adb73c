//! A session as a file that other programs read: rows for tables, or arrays stacked over steps.

mod about;
mod arrays;
mod csv;
mod json;
mod kept;
mod npz;
mod parquet;
mod pieces;
mod rows;
mod safetensors;
mod stacked;
mod text;
mod thrift;
mod told;

use std::io::{self, Seek, Write};
use std::ops::{ControlFlow, RangeInclusive};
use std::str::FromStr;

use quantviz_core::{Error, Progress, Run, is_like};

use pieces::Pieces;

/// What a session is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// Arrays `PARAMETER/QUANTITY` stacked over `steps`, with the plan.
    Safetensors,
    /// The same for numpy.
    Npz,
    /// A row for each step and parameter.
    Parquet,
    /// The same as text.
    Csv,
    /// The same as one document, `quantviz.session_export/1`.
    Json,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: &[ExportFormat] = &[
        ExportFormat::Safetensors,
        ExportFormat::Npz,
        ExportFormat::Parquet,
        ExportFormat::Csv,
        ExportFormat::Json,
    ];

    /// The name, which is what such files end in.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Safetensors => "safetensors",
            ExportFormat::Npz => "npz",
            ExportFormat::Parquet => "parquet",
            ExportFormat::Csv => "csv",
            ExportFormat::Json => "json",
        }
    }

    /// Whether it can be written from the beginning to the end, to a pipe.
    pub fn is_text(self) -> bool {
        matches!(self, ExportFormat::Csv | ExportFormat::Json)
    }
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = ExportFormat::ALL.iter().find(|it| it.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = ExportFormat::ALL.iter().map(|it| it.name()).collect();
            Error::unsupported(format!("there is no format {name:?}; there are {}", names.join(", ")))
        })
    }
}

/// Why nothing was exported.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// The session cannot be read, or has nothing of what is wanted.
    Session(Error),
    /// It cannot be written.
    Output(io::Error),
}

impl From<Error> for ExportError {
    fn from(error: Error) -> Self {
        ExportError::Session(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        ExportError::Output(error)
    }
}

type Result<T, E = ExportError> = std::result::Result<T, E>;

/// Where a file is written in any order.
pub trait WriteSeek: Write + Seek {}

impl<T: Write + Seek> WriteSeek for T {}

/// What of a session is exported, and as what. However long the run, it is gone through in pieces of some megabytes.
///
/// ```
/// use std::ops::ControlFlow;
/// use quantviz_core::{Entry, Opening, Rank, RecordKind, Run, ScalarBatch, SnapshotStore};
/// use quantviz_store::{Export, ExportFormat, MemoryStore};
///
/// let store = MemoryStore::new();
/// let session = "shakespeare".parse()?;
/// let writer = store.open(&session, Rank::ONLY, Opening::New)?;
/// let scalars = ScalarBatch::of(&[(0, vec![("loss".into(), 4.2)]), (1, vec![("loss".into(), f64::NAN)])]);
/// store.append(&writer, &Entry::new(RecordKind::Scalars, 1, 1, scalars.to_bytes()?).from_step(0))?;
///
/// let mut csv = Vec::new();
/// let export = Export::new(ExportFormat::Csv);
/// let run = Run::open(&store, &session)?;
/// export.stream(&run, &mut csv, &|_| ControlFlow::Continue(())).expect("memory can be written");
/// let csv = String::from_utf8(csv).expect("UTF-8");
/// assert!(csv.starts_with("step,parameter,min,max,") && csv.contains("\n1,,"));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Export {
    format: ExportFormat,
    steps: RangeInclusive<u64>,
    parameters: String,
    each_rank: bool,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// How many steps there are snapshots of.
    pub snapshots: u64,
    /// How many parameters there are, at all steps together.
    pub parameters: u64,
    /// How many scalars there are.
    pub scalars: u64,
    /// How many rows there are, of a table.
    pub rows: u64,
    /// How many arrays there are, of stacked ones.
    pub arrays: u64,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Hears how far it is, and may end it.
type Hear<'a> = &'a dyn Fn(Progress) -> ControlFlow<()>;

impl Export {
    /// All of it.
    pub fn new(format: ExportFormat) -> Self {
        Export { format, steps: 0..=u64::MAX, parameters: "*".to_owned(), each_rank: false }
    }

    /// Only these steps.
    #[must_use]
    pub fn steps(self, steps: RangeInclusive<u64>) -> Self {
        Export { steps, ..self }
    }

    /// Only parameters whose name is like a pattern; scalars stay.
    #[must_use]
    pub fn parameters(self, pattern: impl Into<String>) -> Self {
        Export { parameters: pattern.into(), ..self }
    }

    /// Tables have a row for each rank that recorded a parameter, instead of one for what all of them know together. Arrays are those
    /// of each rank in any case.
    #[must_use]
    pub fn each_rank(self) -> Self {
        Export { each_rank: true, ..self }
    }

    /// Writes a table from its beginning to its end.
    ///
    /// # Errors
    /// Where the session cannot be read or has nothing of what is wanted, where it cannot be written, and where the format
    /// is none of [those that are text](ExportFormat::is_text).
    pub fn stream(&self, run: &Run<'_>, out: &mut dyn Write, hear: Hear<'_>) -> Result<Exported> {
        let pieces = self.pieces(run, false)?;
        match self.format {
            ExportFormat::Csv => rows::write(self, &pieces, &mut csv::Csv::new(out), hear),
            ExportFormat::Json => rows::write(self, &pieces, &mut json::Json::new(out), hear),
            other => {
                let message = format!("{} cannot be written to a pipe", other.name());
                Err(Error::unsupported(message).into())
            }
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// Where the session cannot be read or has nothing of what is wanted, and where it cannot be written.
    pub fn write(&self, run: &Run<'_>, out: &mut dyn WriteSeek, hear: Hear<'_>) -> Result<Exported> {
        if self.format.is_text() {
            return self.stream(run, out, hear);
        }
        if self.format == ExportFormat::Parquet {
            return rows::write(self, &self.pieces(run, false)?, &mut parquet::Parquet::new(out), hear);
        }
        let pieces = self.pieces(run, true)?;
        let mut safetensors = safetensors::Safetensors::default();
        let mut npz = npz::Npz::default();
        let container: &mut dyn arrays::Container = match self.format {
            ExportFormat::Npz => &mut npz,
            _ => &mut safetensors,
        };
        stacked::write(self, &pieces, container, out, hear)
    }

    fn wants(&self, parameter: &str) -> bool {
        self.parameters == "*" || is_like(&self.parameters, parameter)
    }

    /// What there is, gone through piece by piece.
    fn pieces<'a>(&self, run: &'a Run<'a>, whole: bool) -> Result<Pieces<'a>> {
        let pieces = Pieces::of(run, self.steps.clone(), whole);
        if pieces.is_empty() {
            return Err(self.nothing(run).into());
        }
        let plans = pieces.plans();
        let known = || plans.iter().flat_map(|it| &it.plan.header().parameters).map(|it| &it.name);
        if self.parameters != "*" && !known().any(|name| self.wants(name)) {
            let first = known().next().map(|name| format!("; the first is {name:?}")).unwrap_or_default();
            let message = format!("no parameter has a name like {:?}{first}", self.parameters);
            return Err(Error::new(quantviz_core::ErrorKind::NotFound, message).into());
        }
        Ok(pieces)
    }

    fn nothing(&self, run: &Run<'_>) -> Error {
        let (first, last) = (self.steps.start(), self.steps.end());
        let of = match last {
            &u64::MAX => format!("from step {first} on"),
            last if first == last => format!("at step {first}"),
            last => format!("from step {first} to {last}"),
        };
        let there = Pieces::of(run, 0..=u64::MAX, false).ends();
        let there = match there {
            Some((first, last)) => format!("; there are steps {first} to {last}"),
            None => String::new(),
        };
        Error::not_found(format!("session {}: nothing was recorded {of}{there}", run.id()))
    }
}
