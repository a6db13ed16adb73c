//! The formats there are: one row each, and whichever claims a file first has it.

use std::path::Path;

use quantviz_core::{Error, Format, Result};

use crate::file::ModelFile;
use crate::shards::IndexName;
use crate::{BoxedSource, Limits, foreign, stand_in};

type Open = fn(&Path, &Limits) -> Result<BoxedSource>;

/// A format: how its files are recognised and, where this build can, opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct FormatEntry {
    /// The format.
    pub format: Format,
    /// What people call it.
    pub title: &'static str,
    /// The ends of its files' names.
    pub extensions: &'static [&'static str],
    /// The feature of this crate that reads it; `None` while none does.
    pub feature: Option<&'static str>,
    /// Whether a file that begins like this can be nothing else.
    claims: fn(&Head<'_>) -> bool,
    open: Option<Open>,
}

macro_rules! opener {
    ($feature:literal, $open:path) => {{
        #[cfg(feature = $feature)]
        let open: Option<Open> = Some($open);
        #[cfg(not(feature = $feature))]
        let open: Option<Open> = None;
        open
    }};
}

/// Every format that is recognised.
pub const FORMATS: &[FormatEntry] = &[
    FormatEntry {
        format: Format::Gguf,
        title: "GGUF",
        extensions: &["gguf"],
        feature: Some("gguf"),
        claims: |head| head.bytes.starts_with(b"GGUF"),
        open: opener!("gguf", crate::gguf::open),
    },
    FormatEntry {
        format: Format::Torch,
        title: "PyTorch",
        extensions: &["pt", "pth", "ckpt", "pt2", "bin.index.json"],
        feature: Some("torch"),
        claims: |head| head.is_index_of(".bin") || is_pickle(head.bytes) || is_torch_archive(head),
        open: opener!("torch", crate::torch::open),
    },
    FormatEntry {
        format: Format::Safetensors,
        title: "safetensors",
        extensions: &["safetensors", "safetensors.index.json"],
        feature: Some("safetensors"),
        claims: |head| has_json_header(head.bytes, head.len) || head.is_index_of(".safetensors"),
        open: opener!("safetensors", crate::safetensors::open),
    },
    FormatEntry {
        format: Format::Onnx,
        title: "ONNX",
        extensions: &["onnx"],
        feature: Some("onnx"),
        claims: |head| begins_like_onnx(head.bytes),
        open: opener!("onnx", crate::onnx::open),
    },
];

impl FormatEntry {
    /// Whether a file of this name is meant to be of this format.
    pub fn has_extension_of(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let ends_like =
            |extension: &str| name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'));
        self.extensions.iter().any(|extension| ends_like(extension))
    }

    pub(crate) fn open(&self, path: &Path, limits: &Limits) -> Result<BoxedSource> {
        match (self.open, self.feature) {
            (Some(open), _) => open(path, limits),
            (None, Some(feature)) => Err(Error::unsupported(format!(
                "{} files are not read by this build: it lacks the feature `{feature}`",
                self.title
            ))),
            (None, None) => Err(Error::unsupported(format!("{} files cannot be read yet", self.title))),
        }
    }
}

/// What there is to see of a file before it is opened as a model.
pub(crate) struct Head<'a> {
    /// The first bytes.
    pub(crate) bytes: &'a [u8],
    pub(crate) name: &'a str,
    len: u64,
    /// The names in a zip archive, if it is one.
    entries: Option<Result<Vec<String>>>,
}

impl Head<'_> {
    /// Whether these bytes stand at that place.
    pub(crate) fn has(&self, at: usize, magic: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
    }

    fn is_index_of(&self, end: &str) -> bool {
        IndexName::of(self.name).is_some_and(|index| index.end == end)
    }
}

/// What a file turns out to be.
pub(crate) enum Sight {
    Known(&'static FormatEntry),
    /// A model, but none that can be read, for this reason.
    Foreign(String),
    /// Something that lies in the place of a model, as this says.
    StandIn(String),
    /// No model, for all that is known.
    Other,
}

/// The format of a file: by what it begins with, else by the end of its name.
pub fn format_of(path: &Path) -> Result<&'static FormatEntry> {
    let message = match look_at(path)? {
        Sight::Known(entry) => return Ok(entry),
        Sight::Foreign(reason) => reason,
        Sight::StandIn(reason) => return Err(Error::malformed(reason).in_file(path)),
        Sight::Other => {
            let known: Vec<&str> = FORMATS.iter().map(|entry| entry.title).collect();
            format!("this is no model file; known are {}", known.join(", "))
        }
    };
    Err(Error::unsupported(message).in_file(path))
}

pub(crate) fn look_at(path: &Path) -> Result<Sight> {
    if let Some(reason) = foreign::by_folder(path) {
        return Ok(Sight::Foreign(reason));
    }
    let file = ModelFile::open(path)?;
    if file.len() == 0 {
        return Err(Error::malformed("the file is empty").in_file(path));
    }
    let bytes = &file.head()?[..];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let entries = bytes.starts_with(b"PK\x03\x04").then(|| entries_of(&file));
    let head = Head { bytes, name: &name, len: file.len(), entries };
    Ok(head.sight())
}

impl Head<'_> {
    fn sight(&self) -> Sight {
        let foreign = foreign::by_bytes(self).map(Sight::Foreign);
        let stand_in = || stand_in::by_bytes(self.bytes).map(Sight::StandIn);
        let claimed = || FORMATS.iter().find(|entry| (entry.claims)(self)).map(Sight::Known);
        let archive = || {
            let names = self.entries.as_ref()?.as_ref().ok()?;
            foreign::by_entries(names.iter().map(String::as_str)).map(Sight::Foreign)
        };
        let named = || {
            let entry = FORMATS.iter().find(|entry| entry.has_extension_of(self.name))?;
            Some(stand_in::by_text(self.bytes).map_or(Sight::Known(entry), Sight::StandIn))
        };
        let named_foreign = || foreign::by_name(self.name).map(Sight::Foreign);
        foreign
            .or_else(stand_in)
            .or_else(claimed)
            .or_else(archive)
            .or_else(named)
            .or_else(named_foreign)
            .unwrap_or(Sight::Other)
    }
}

#[cfg(feature = "torch")]
fn entries_of(file: &ModelFile) -> Result<Vec<String>> {
    crate::torch::names_in_archive(file, &Limits::default())
}

#[cfg(not(feature = "torch"))]
fn entries_of(_: &ModelFile) -> Result<Vec<String>> {
    Err(Error::unsupported("this build reads no archives"))
}

/// Whether a zip archive has what torch writes. One that is damaged is taken for torch's, which says more of it.
fn is_torch_archive(head: &Head<'_>) -> bool {
    const WRITTEN: &[&str] =
        &["data.pkl", "_weights_config.json", "_constants_config.json", "serialized_state_dict.pt"];
    let is_written = |name: &String| WRITTEN.iter().any(|end| name.ends_with(end));
    head.entries
        .as_ref()
        .is_some_and(|names| names.as_ref().map_or(true, |names| names.iter().any(is_written)))
}

/// The `PROTO` opcode of a version that torch writes, then an opcode that can follow it.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, b'}' | b']' | b'(' | b'c' | b'\x8a' | b'\x95' | b'X' | b'\x8c', ..])
}

/// Whether a file of so many bytes, which begins like this, begins with the length of a JSON object and the object.
pub(crate) fn has_json_header(head: &[u8], len: u64) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    rest.first() == Some(&b'{') && length.checked_add(8).is_some_and(|end| end <= len)
}

/// `ir_version`, a small number, and then another field of a model that has bytes: every exporter begins so.
fn begins_like_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=64, 0x12 | 0x1a | 0x22 | 0x32 | 0x3a | 0x42 | 0x72, ..])
}
