//! Recorded tensors: what networks made of their inputs, as numpy and safetensors write it.

mod arrays;
mod header;
#[cfg(feature = "torch")]
mod inflate;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::{Error, Recording, Result};

use crate::Limits;
use crate::file::ModelFile;
use arrays::Arrays;

/// The ends of the names of files that hold recorded tensors.
const EXTENSIONS: [&str; 3] = ["npz", "npy", "safetensors"];

/// Opens recorded tensors: a file of numpy's (`.npz`, `.npy`) or a safetensors file, or all of a folder, in the order of
/// their names. An `.npy` file holds one tensor, named like the file.
///
/// ```no_run
/// let recordings = quantviz_formats::open_recordings("activations/", &quantviz_formats::Limits::default())?;
/// println!("{} files", recordings.len());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
///
/// # Errors
/// Where there are none, or one of the files is damaged. A tensor that cannot be read is none: it says so itself.
pub fn open_recordings(path: impl AsRef<Path>, limits: &Limits) -> Result<Vec<Recording>> {
    let path = path.as_ref();
    let is_folder = path.is_dir();
    let files = if is_folder { files_in(path, limits)? } else { vec![path.to_owned()] };
    files
        .iter()
        .enumerate()
        .map(|(others, file)| {
            let open = open_file(file, others, limits);
            open.map_err(|error| if error.file().is_some() { error } else { error.in_file(file) })
        })
        .collect()
}

fn files_in(folder: &Path, limits: &Limits) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io(folder, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if extension(&path).is_some() && path.is_file() {
            files.push(path);
        }
        if files.len() > limits.files {
            let message = format!("more than {} files of tensors", limits.files);
            return Err(Error::limit(message).of_limit("files").in_file(folder));
        }
    }
    if files.is_empty() {
        let message = "no .npz, .npy or .safetensors file is in it";
        return Err(Error::not_found(message).in_file(folder));
    }
    files.sort();
    Ok(files)
}

fn extension(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?;
    EXTENSIONS.into_iter().find(|known| extension.eq_ignore_ascii_case(known))
}

fn open_file(path: &Path, others: usize, limits: &Limits) -> Result<Recording> {
    let name = path.file_stem().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
    let source = match extension(path) {
        Some("npz") => Box::new(Arrays::in_archive(ModelFile::open_beside(others, path)?, limits)?),
        Some("npy") => Box::new(Arrays::alone(ModelFile::open_beside(others, path)?, &name, limits)?),
        Some(_) => crate::open_with(path, limits)?,
        None => {
            // That it is not there is told first.
            path.metadata().map_err(|error| Error::io(path, error))?;
            return Err(Error::unsupported(
                "recorded tensors are read from .npz, .npy and .safetensors files",
            ));
        }
    };
    Ok(Recording { name, source })
}
