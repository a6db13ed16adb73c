//! Files that are read at positions, by any number of threads, and that may shrink while they are.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use quantviz_core::{Error, Result};

/// A file of a known length.
#[derive(Debug)]
pub(crate) struct ModelFile {
    /// `None` where it is opened anew for every read.
    file: Option<fs::File>,
    path: PathBuf,
    len: u64,
    id: FileId,
}

/// Tells apart whatever was ever opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64);

impl FileId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        FileId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Enough of a file to tell what it is.
const HEAD_BYTES: usize = 512;

/// Files of one model that stay open: processes may have a thousand or so, and some models have a file for every tensor.
const MOST_OPEN: usize = 64;

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let len = file.metadata().map_err(|error| Error::io(path, error))?.len();
        Ok(ModelFile { file: Some(file), path: path.to_owned(), len, id: FileId::next() })
    }

    /// One more file of a model that has so many already.
    pub(crate) fn open_beside(others: usize, path: &Path) -> Result<Self> {
        let file = ModelFile::open(path)?;
        Ok(if others < MOST_OPEN { file } else { ModelFile { file: None, ..file } })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Fills `buffer` from the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = match &self.file {
            Some(file) => read_exact_at(file, offset, buffer),
            None => read_exact_at(&open(&self.path)?, offset, buffer),
        };
        read.map_err(|error| {
            let error = match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Error::malformed("the file ends here: it shrank while it was read")
                }
                _ => Error::io(&self.path, error),
            };
            error.in_file(&self.path).at_byte(offset)
        })
    }

    /// What it begins with.
    pub(crate) fn head(&self) -> Result<Vec<u8>> {
        let mut head = vec![0; usize::try_from(self.len).map_or(HEAD_BYTES, |len| len.min(HEAD_BYTES))];
        self.read_at(0, &mut head)?;
        Ok(head)
    }

    /// All bytes of a file that is known to be small.
    pub(crate) fn read_all(&self, at_most: u64) -> Result<Vec<u8>> {
        if self.len > at_most {
            let message = format!("{} bytes are more than the limit of {at_most}", self.len);
            return Err(Error::limit(message).of_limit("header_bytes").in_file(&self.path));
        }
        let len = usize::try_from(self.len).map_err(|_| Error::limit("more than this machine's memory"))?;
        let mut bytes = vec![0; len];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

fn open(path: &Path) -> Result<fs::File> {
    // Asked for first: to open a pipe waits for whoever writes into it.
    let metadata = fs::metadata(path).map_err(|error| Error::io(path, error))?;
    if metadata.is_dir() {
        return Err(Error::unsupported("this is a folder, not a model file").in_file(path));
    }
    if !metadata.is_file() {
        return Err(Error::unsupported("this is not a regular file").in_file(path));
    }
    fs::File::open(path).map_err(|error| Error::io(path, error))
}

/// The error of a file that ends before what it announces, as a download does that broke off.
#[cfg_attr(
    not(any(feature = "gguf", feature = "onnx", feature = "safetensors", feature = "torch")),
    allow(dead_code, reason = "readers need it")
)]
pub(crate) fn cut_short(fact: impl Display) -> Error {
    Error::malformed(format!("{fact}; the file is cut short: download or copy it again"))
}

#[cfg(unix)]
fn read_exact_at(file: &fs::File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &fs::File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
