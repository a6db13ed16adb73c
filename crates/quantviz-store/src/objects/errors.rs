//! What the library below complains of, in one line.

use std::error::Error as _;
use std::io;

use object_store::path::Path;
use quantviz_core::{Error, ErrorKind, one_line};

/// An error about an object; `place` is where the store is.
pub(super) fn error_at(place: &str, key: &Path, error: &object_store::Error) -> Error {
    let told = match error {
        object_store::Error::NotFound { .. } => Error::not_found("there is no such object"),
        _ => match innermost_io(error) {
            Some(io) => Error::new(ErrorKind::Io, of_system(io)),
            None => Error::new(ErrorKind::Io, of_service(error)),
        },
    };
    told.in_file(format!("{place}/{key}"))
}

/// The same of what the system says of a file.
pub(super) fn io_at(place: &str, key: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, of_system(error)).in_file(format!("{place}/{key}"))
}

fn of_system(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{error}: make room, or prune a session")
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            format!("{error}: choose a folder that may be written")
        }
        _ => error.to_string(),
    }
}

/// The last cause says what is wrong; those around it say how long it took and how often it was tried, each time otherwise.
fn of_service(error: &object_store::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    let why = one_line(&last.to_string());
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            format!(
                "the service refused it; are the credentials in the environment those of this place? {why}"
            )
        }
        _ => format!("the service did not do it: {why}"),
    }
}

fn innermost_io(error: &object_store::Error) -> Option<&io::Error> {
    let mut next = error.source();
    let mut found = None;
    while let Some(cause) = next {
        found = cause.downcast_ref::<io::Error>().or(found);
        next = cause.source();
    }
    found
}
