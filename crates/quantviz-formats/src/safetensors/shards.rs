//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use quantviz_core::{Error, ErrorKind, Result, Warning, WarningKind};
use serde::Deserialize;

use super::SafetensorsSource;
use crate::Limits;
use crate::confined::beside;
use crate::file::ModelFile;

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
    weight_map: BTreeMap<String, String>,
}

/// Adds the tensors of every shard that an index names. A shard that is not there is a warning, so that a model can be
/// looked at before its download ends.
pub(super) fn open(source: &mut SafetensorsSource, path: &Path, limits: &Limits) -> Result<()> {
    let file = ModelFile::open(path)?;
    let bytes = file.read_all(limits.header_bytes)?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|error| Error::malformed(format!("the index is not what safetensors has: {error}")))?;
    source.model.file_bytes += file.len();
    for (key, value) in index.metadata {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        source.model.metadata.insert(key, text);
    }

    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, shard) in &index.weight_map {
        expected.entry(shard).or_default().push(tensor);
    }
    let mut missing = None;
    for (shard, tensors) in expected {
        match ModelFile::open(&beside(path, shard)?) {
            Ok(file) => add_shard(source, file, shard, &tensors, limits)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("the shard {shard:?} with {} tensors is not there", tensors.len());
                source.model.warnings.push(Warning::general(WarningKind::Missing, message));
                missing = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if source.files.is_empty() => Err(error),
        _ => check_names(source),
    }
}

fn add_shard(
    source: &mut SafetensorsSource,
    file: ModelFile,
    shard: &str,
    tensors: &[&str],
    limits: &Limits,
) -> Result<()> {
    let before = source.model.parameters.len();
    source.add_file(file, limits)?;
    let present: HashSet<&str> =
        source.model.parameters[before..].iter().map(|it| it.name.as_str()).collect();
    let absent = tensors.iter().filter(|tensor| !present.contains(*tensor)).map(|tensor| {
        Warning::about(
            *tensor,
            WarningKind::Missing,
            format!("the index says it is in {shard:?}, which lacks it"),
        )
    });
    source.model.warnings.extend(absent.collect::<Vec<_>>());
    Ok(())
}

fn check_names(source: &SafetensorsSource) -> Result<()> {
    let mut names = HashSet::new();
    match source.model.parameters.iter().find(|parameter| !names.insert(&parameter.name)) {
        Some(twice) => Err(Error::malformed("two shards have a tensor of this name").in_tensor(&twice.name)),
        None => Ok(()),
    }
}
