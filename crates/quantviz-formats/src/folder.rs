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
    let indexed: Vec<&str> =
        names.iter().filter_map(|name| name.to_str()?.strip_suffix(".safetensors.index.json")).collect();
    let is_shard = |name: &str| shard_stem(name).is_some_and(|stem| indexed.contains(&stem));
    let is_named_like_one = |name: &str| FORMATS.iter().any(|entry| entry.has_extension_of(name));
    let paths = names.iter().filter(|name| !is_shard(&name.to_string_lossy())).map(|name| folder.join(name));
    Ok(paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            is_named_like_one(&name) || format_of(path).is_ok()
        })
        .collect())
}

/// `model` of `model-00001-of-00002.safetensors`.
fn shard_stem(name: &str) -> Option<&str> {
    let (rest, count) = name.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(number) && is_number(count)).then_some(stem)
}
