//! The formats there are: one row each, and whichever claims a file first has it.

use std::path::Path;

use quantviz_core::{Error, Format, Result};

use crate::file::ModelFile;
use crate::{BoxedSource, Limits};

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
        extensions: &["pt", "pth", "ckpt", "pt2"],
        feature: Some("torch"),
        claims: |head| head.bytes.starts_with(b"PK\x03\x04") || is_pickle(head.bytes),
        open: opener!("torch", crate::torch::open),
    },
    FormatEntry {
        format: Format::Safetensors,
        title: "safetensors",
        extensions: &["safetensors", "safetensors.index.json"],
        feature: Some("safetensors"),
        claims: |head| has_json_header(head) || head.name.ends_with(".safetensors.index.json"),
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

/// The first bytes of a file, its name and its length.
struct Head<'a> {
    bytes: &'a [u8],
    name: &'a str,
    len: u64,
}

/// The format of a file: by what it begins with, else by the end of its name.
pub fn format_of(path: &Path) -> Result<&'static FormatEntry> {
    let file = ModelFile::open(path)?;
    if file.len() == 0 {
        return Err(Error::malformed("the file is empty").in_file(path));
    }
    let mut bytes = [0; 64];
    let head_len = usize::try_from(file.len()).map_or(bytes.len(), |len| len.min(bytes.len()));
    file.read_at(0, &mut bytes[..head_len])?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let head = Head { bytes: &bytes[..head_len], name: &name, len: file.len() };
    let claimed = FORMATS.iter().find(|entry| (entry.claims)(&head));
    claimed.or_else(|| FORMATS.iter().find(|entry| entry.has_extension_of(&name))).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|entry| entry.title).collect();
        Error::unsupported(format!("this is no model file; known are {}", known.join(", "))).in_file(path)
    })
}

/// The `PROTO` opcode of a version that torch writes, then an opcode that can follow it.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, b'}' | b']' | b'(' | b'c' | b'\x8a' | b'\x95' | b'X' | b'\x8c', ..])
}

fn has_json_header(head: &Head<'_>) -> bool {
    let Some((length, rest)) = head.bytes.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    rest.first() == Some(&b'{') && length.checked_add(8).is_some_and(|end| end <= head.len)
}

/// `ir_version`, a small number, and then another field of a model that has bytes: every exporter begins so.
fn begins_like_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=64, 0x12 | 0x1a | 0x22 | 0x32 | 0x3a | 0x42 | 0x72, ..])
}
