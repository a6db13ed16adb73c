//! Models that llama.cpp has split into several files: each says which of them it is.

use std::collections::BTreeMap;
use std::path::Path;

use quantviz_core::{Error, Model, Result, Warning, WarningKind};

use crate::shards::ShardName;

/// How many files there are, counted from one, and which of them this is, counted from zero.
const COUNT: &str = "split.count";
const NUMBER: &str = "split.no";
/// The tensors of all files.
const TENSORS: &str = "split.tensors.count";

/// Refuses a file of a split model that says that it is another one than its name says.
pub(super) fn check_file(path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
    let Some((number, count)) = by_name(path) else { return Ok(()) };
    let (said_number, said_count) =
        (said(metadata, NUMBER).map(|it| it.saturating_add(1)), said(metadata, COUNT));
    if (said_number, said_count) == (Some(number), Some(count)) {
        return Ok(());
    }
    let word = |number: Option<usize>| number.map_or("?".to_owned(), |number| number.to_string());
    let message = format!(
        "by its name it is file {number} of {count} of a model, by its metadata file {} of {}",
        word(said_number),
        word(said_count)
    );
    Err(Error::malformed(message))
}

/// Refuses files that have other tensors together than the first says, where none is missing.
pub(super) fn check_together(model: &Model) -> Result<()> {
    match said(&model.metadata, TENSORS) {
        Some(tensors) if tensors != model.parameters.len() => {
            let message =
                format!("its files have {} tensors together, not {tensors}", model.parameters.len());
            Err(Error::malformed(message))
        }
        _ => Ok(()),
    }
}

/// Warns of files that only the metadata tells of: nobody knows what they are called.
pub(super) fn warn_of_others(model: &mut Model, path: &Path) {
    if let Some(count) = said(&model.metadata, COUNT).filter(|&count| count > 1 && by_name(path).is_none()) {
        let message =
            format!("this is one of {count} files of a model; the tensors of the others are not shown");
        model.warnings.push(Warning::general(WarningKind::Missing, message));
    }
}

fn by_name(path: &Path) -> Option<(usize, usize)> {
    let name = path.file_name()?.to_string_lossy();
    ShardName::of(&name).map(|shard| (shard.number, shard.count))
}

fn said(metadata: &BTreeMap<String, String>, key: &str) -> Option<usize> {
    metadata.get(key)?.parse().ok()
}
