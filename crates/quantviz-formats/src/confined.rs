//! Names of files inside other files, kept from leading anywhere but into the model's own folder.

use std::path::{Component, Path, PathBuf};

use quantviz_core::{Error, Result};

/// The path of the file `name` beside `model`, if the name stays below the model's folder as it is written.
pub(crate) fn beside(model: &Path, name: &str) -> Result<PathBuf> {
    let relative = Path::new(name);
    let stays = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if name.is_empty() || name.contains(['\\', '\0']) || !stays {
        return Err(Error::malformed(format!("the data file {name:?} is not inside the model's folder")));
    }
    Ok(model.parent().unwrap_or(Path::new("")).join(relative))
}

/// Like [`beside`], and the file must not be a link that leads out of the folder either.
#[cfg(feature = "onnx")]
pub(crate) fn beside_without_links(model: &Path, name: &str) -> Result<PathBuf> {
    let path = beside(model, name)?;
    let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|error| Error::io(folder, error))?;
    let real = path.canonicalize().map_err(|error| Error::io(&path, error))?;
    if real.starts_with(&folder) {
        return Ok(path);
    }
    Err(Error::malformed(format!(
        "the data file {name:?} is a link out of the model's folder; put the file itself there"
    )))
}
