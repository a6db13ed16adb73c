//! The one error of the libraries: what went wrong, in which file and tensor, at which byte.

use std::io;
use std::path::{Path, PathBuf};

use crate::text::one_line;

/// What sort of trouble an [`Error`] tells of, for callers that act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, or a part of one, that was asked for is not there.
    NotFound,
    /// No parameter or layer of the model has the name that was asked for.
    UnknownName,
    /// Well-formed, but nothing here can read it, or this build cannot.
    Unsupported,
    /// The bytes contradict their format or themselves.
    Malformed,
    /// Larger, deeper or more than the limits allow.
    Limit,
    /// The operating system refused.
    Io,
    /// Somebody else has what was asked for.
    Refused,
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
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Details>);

/// Boxed, so that every `Result` stays small.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.line(None, None))]
struct Details {
    kind: ErrorKind,
    message: String,
    file: Option<PathBuf>,
    tensor: Option<String>,
    offset: Option<u64>,
    limit: Option<&'static str>,
}

/// The result of everything in quantviz's libraries that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind; `message` says what is wrong and, where that helps, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Error(Box::new(Details { kind, message, file: None, tensor: None, offset: None, limit: None }))
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

    /// Somebody else has what was asked for.
    pub fn refused(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Refused, message)
    }

    /// The work was called off.
    pub fn cancelled() -> Self {
        Error::new(ErrorKind::Cancelled, "cancelled")
    }

    /// The operating system refused something with `file`; its reason is in the message.
    pub fn io(file: &Path, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let message = match kind {
            ErrorKind::NotFound => "no such file or folder".to_owned(),
            _ => error.to_string(),
        };
        Error::new(kind, message).in_file(file)
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

    /// The line without a file and a tensor that its reader knows already. Others are named.
    ///
    /// ```
    /// use std::path::Path;
    /// use quantviz_core::Error;
    ///
    /// let error = Error::malformed("odd").in_file("shard").in_tensor("w");
    /// assert_eq!(error.line_within(Some(Path::new("shard")), None), "w: odd");
    /// assert_eq!(error.line_within(Some(Path::new("index")), Some("w")), "shard: odd");
    /// ```
    pub fn line_within(&self, file: Option<&Path>, tensor: Option<&str>) -> String {
        self.0.line(file, tensor)
    }
}

impl Details {
    fn line(&self, known_file: Option<&Path>, known_tensor: Option<&str>) -> String {
        let file = self.file.as_deref().filter(|file| Some(*file) != known_file);
        let file = file.map(|file| file.to_string_lossy().into_owned());
        let tensor = self.tensor.clone().filter(|tensor| Some(tensor.as_str()) != known_tensor);
        let offset = self.offset.map(|offset| format!("byte {offset}"));
        let places = [file, tensor, offset, Some(self.message.clone())];
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
    fn what_the_system_says_is_told_once() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::io(Path::new("a"), refused);
        assert_eq!((error.to_string().as_str(), error.kind()), ("a: permission denied", ErrorKind::Io));
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn names_from_files_stay_on_one_line() {
        let error = Error::malformed("odd").in_tensor("a\nb\u{1b}[31m");
        assert_eq!(error.to_string(), "a\\nb\\u{1b}[31m: odd");
    }
}
