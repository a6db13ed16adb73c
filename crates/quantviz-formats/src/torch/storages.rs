//! Where the storages of one pickle are.

use std::collections::HashMap;
use std::rc::Rc;

use quantviz_core::{Error, Result};

use super::arena::{Arena, Node};
use super::bytes::Bytes;
use super::pickle::Pickle;
use super::tensor::Storage;
use super::zip::Archive;
use crate::bytes::Extent;
use crate::file::ModelFile;

pub(super) enum Storages {
    /// In no place: a pickle by itself.
    Nowhere,
    /// One entry of the archive each, named by this prefix and the key.
    Entries { archive: Rc<Archive>, prefix: String, inflated: HashMap<String, Bytes> },
    /// One after the other behind the pickle.
    Table(HashMap<String, Extent>),
}

impl Storages {
    pub(super) fn of_archive(archive: &Rc<Archive>, prefix: String) -> Self {
        Storages::Entries { archive: Rc::clone(archive), prefix, inflated: HashMap::new() }
    }

    pub(super) fn find(
        &mut self,
        key: &str,
        file: &ModelFile,
        inflatable: &mut u64,
    ) -> Result<Option<Bytes>> {
        match self {
            Storages::Nowhere => Ok(None),
            Storages::Table(table) => Ok(table.get(key).copied().map(Bytes::Stored)),
            Storages::Entries { archive, prefix, inflated } => {
                if let Some(bytes) = inflated.get(key) {
                    return Ok(Some(bytes.clone()));
                }
                let bytes = archive.bytes(file, &format!("{prefix}{key}"), inflatable)?;
                if let Some(bytes @ Bytes::Held(_)) = &bytes {
                    inflated.insert(key.to_owned(), bytes.clone());
                }
                Ok(bytes)
            }
        }
    }

    /// The table at the end of a file of torch's first format: for each of these keys a number of elements, and the
    /// elements. How long one is, only the tensors say.
    pub(super) fn behind(file: &ModelFile, whole: &Bytes, keys: &Pickle, arena: &Arena) -> Result<Self> {
        let units: HashMap<String, u64> = arena
            .ids()
            .filter(|&id| matches!(arena.node(id), Node::Persistent(_)))
            .filter_map(|id| Storage::at(arena, id))
            .map(|storage| (storage.key, storage.unit))
            .collect();
        let mut table = HashMap::new();
        let mut at = keys.end;
        for &key in keys.arena.items(keys.root).unwrap_or_default() {
            let key = keys.arena.text(key).ok_or_else(|| Error::malformed("a storage without a key"))?;
            let unit = units.get(&*key).copied().ok_or_else(|| {
                Error::malformed(format!("no tensor says how long the storage {key:?} is")).at_byte(at)
            })?;
            let mut count = [0; 8];
            whole.read_at(file, at, &mut count).map_err(|error| error.at_byte(at))?;
            let count = i64::from_le_bytes(count);
            let len = u64::try_from(count).ok().and_then(|count| count.checked_mul(unit));
            let end = len.and_then(|len| (at + 8).checked_add(len)).filter(|&end| end <= whole.len());
            let (Some(len), Some(end)) = (len, end) else {
                let message =
                    format!("the storage {key:?} is said to have {count} elements, which are not there");
                let error =
                    if len.is_some() { whole.early_end(file, message) } else { Error::malformed(message) };
                return Err(error.at_byte(at));
            };
            if table.insert(key.to_string(), Extent { file: 0, offset: at + 8, len }).is_some() {
                return Err(Error::malformed(format!("two storages have the key {key:?}")).at_byte(at));
            }
            at = end;
        }
        Ok(Storages::Table(table))
    }
}
