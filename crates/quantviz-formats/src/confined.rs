//! Names of files inside other files, kept from leading anywhere but into the model's own folder.

use std::path::{Component, Path, PathBuf};

use quantviz_core::{Error, Result};

/// The path of the file `name` beside `model`, if the name stays below the model's folder as it is written. Different
/// spellings of a name, such as `./a` and `a`, give one path.
pub(crate) fn beside(model: &Path, name: &str) -> Result<PathBuf> {
    let outside = || Error::malformed(format!("the data file {name:?} is not inside the model's folder"));
    if name.contains(['\\', '\0']) || Path::new(name).file_name().is_none() {
        return Err(outside());
    }
    let mut path = model.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    Ok(path)
}

/// Refuses a file [`beside`] `model` that is a link out of the model's folder.
#[cfg(feature = "onnx")]
pub(crate) fn refuse_link_out(model: &Path, path: &Path) -> Result<()> {
    let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|error| Error::io(folder, error))?;
    let real = path.canonicalize().map_err(|error| Error::io(path, error))?;
    if real.starts_with(&folder) {
        return Ok(());
    }
    let message = "this is a link out of the model's folder; put the file itself there";
    Err(Error::malformed(message).in_file(path))
}
