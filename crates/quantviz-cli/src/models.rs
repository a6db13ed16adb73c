//! The models that a path on the command line means.

use std::path::{Path, PathBuf};

use quantviz::{Error, ErrorKind, models_in};

use crate::Exit;
use crate::trouble::Trouble;

/// The model itself, or those in a folder.
pub(crate) fn paths(path: &Path) -> Result<Vec<PathBuf>, Trouble> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let paths = models_in(path).map_err(|error| Trouble::with(path, error))?;
    if paths.is_empty() {
        return Err(Trouble::with(
            path,
            Error::not_found("there is no model in this folder (folders inside it are not searched)"),
        ));
    }
    Ok(paths)
}

/// What a model in a folder that cannot be read means for the whole. That it cannot be read yet is no fault of the
/// file.
pub(crate) fn exit_after(error: &Error) -> Exit {
    if error.kind() == ErrorKind::Unsupported { Exit::Done } else { Exit::Trouble }
}
