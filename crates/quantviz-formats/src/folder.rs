//! The models in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::{Error, Result};

use crate::{FORMATS, format_of};

/// The files of a folder that are models, by their first bytes or by their names, sorted by path. Where an index of
/// shards stands for them, they are left out.
pub fn models_in(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Error::io(folder, error))? {
        let entry = entry.map_err(|error| Error::io(folder, error))?;
        if entry.path().is_file() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    let indexed: Vec<String> = names
        .iter()
        .filter_map(|name| name.to_str()?.strip_suffix(".safetensors.index.json"))
        .map(|stem| format!("{stem}-"))
        .collect();
    let is_shard = |name: &str| name.contains("-of-") && indexed.iter().any(|stem| name.starts_with(stem));
    let is_named_like_one = |name: &str| FORMATS.iter().any(|entry| entry.has_extension_of(name));
    let paths = names.iter().filter(|name| !is_shard(&name.to_string_lossy())).map(|name| folder.join(name));
    Ok(paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            is_named_like_one(&name) || format_of(path).is_ok()
        })
        .collect())
}
