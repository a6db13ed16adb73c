//! The one error of the libraries: what went wrong, in which file and tensor, at which byte.

use std::io;
use std::path::{Path, PathBuf};

use crate::text::one_line;

/// What sort of trouble an [`Error`] tells of, for callers that act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, parameter or layer that was asked for is not there.
    NotFound,
    /// Well-formed, but nothing here can read it, or this build cannot.
    Unsupported,
    /// The bytes contradict their format or themselves.
    Malformed,
    /// Larger, deeper or more than the limits allow.
    Limit,
    /// The operating system refused.
    Io,
    /// Whoever asked for the work called it off.
    Cancelled,
}

/// An error that names its place in one line.
///
/// ```
/// use quantviz_core::Error;
///
/// let error = Error::malformed("the header is longer than the file").in_file("model.safetensors").at_byte(0);
/// assert_eq!(error.to_string(), "model.safetensors: byte 0: the header is longer than the file");
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Details>);

/// Boxed, so that every `Result` stays small.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.line())]
struct Details {
    kind: ErrorKind,
    message: String,
    file: Option<PathBuf>,
    tensor: Option<String>,
    offset: Option<u64>,
    limit: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in quantviz's libraries that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind; `message` says what is wrong and, where that helps, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        let (file, tensor, offset, limit, source) = (None, None, None, None, None);
        Error(Box::new(Details { kind, message, file, tensor, offset, limit, source }))
    }

    /// Something that was asked for is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::NotFound, message)
    }

    /// Well-formed, but not readable here.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// The bytes contradict their format.
    pub fn malformed(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Malformed, message)
    }

    /// More than the limits allow.
    pub fn limit(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Limit, message)
    }

    /// The work was called off.
    pub fn cancelled() -> Self {
        Error::new(ErrorKind::Cancelled, "cancelled")
    }

    /// The operating system refused something with `file`.
    pub fn io(file: &Path, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let message = match kind {
            ErrorKind::NotFound => "no such file or folder".to_owned(),
            _ => error.to_string(),
        };
        let mut told = Error::new(kind, message).in_file(file);
        told.0.source = Some(Box::new(error));
        told
    }

    /// Names the file, unless a place nearer to the trouble already did.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.0.file.get_or_insert_with(|| file.into());
        self
    }

    /// Names the tensor, unless a place nearer to the trouble already did.
    #[must_use]
    pub fn in_tensor(mut self, tensor: impl Into<String>) -> Self {
        self.0.tensor.get_or_insert_with(|| tensor.into());
        self
    }

    /// Names the byte, counted from the start of the file, unless a place nearer to the trouble already did.
    #[must_use]
    pub fn at_byte(mut self, offset: u64) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Names the limit that was met, so that whoever shows the error can say how to raise it.
    #[must_use]
    pub fn of_limit(mut self, limit: &'static str) -> Self {
        self.0.limit.get_or_insert(limit);
        self
    }

    /// What sort of trouble this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file, where it is known.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The tensor, where it is known.
    pub fn tensor(&self) -> Option<&str> {
        self.0.tensor.as_deref()
    }

    /// The byte of the file, where it is known.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The limit that was met, where it has a name.
    pub fn limit_met(&self) -> Option<&'static str> {
        self.0.limit
    }

    /// What is wrong, without its place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl Details {
    fn line(&self) -> String {
        let file = self.file.as_ref().map(|file| file.to_string_lossy().into_owned());
        let offset = self.offset.map(|offset| format!("byte {offset}"));
        let places = [file, self.tensor.clone(), offset, Some(self.message.clone())];
        places.into_iter().flatten().map(|place| one_line(&place)).collect::<Vec<_>>().join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_place_wins() {
        let error = Error::malformed("odd").in_tensor("weight").in_tensor("outer").in_file("a").in_file("b");
        assert_eq!(error.to_string(), "a: weight: odd");
    }

    #[test]
    fn names_from_files_stay_on_one_line() {
        let error = Error::malformed("odd").in_tensor("a\nb\u{1b}[31m");
        assert_eq!(error.to_string(), "a\\nb\\u{1b}[31m: odd");
    }
}
