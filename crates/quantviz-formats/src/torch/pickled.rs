//! Storages inside a pickle. Python's own pickle knows of no place beside it, so it has each storage as bytes that are a
//! file of torch's first kind.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use quantviz_core::{DType, Error, ErrorKind, Result};

use super::archive::{is_magic, read_behind_magic};
use super::arena::{Arena, NodeId};
use super::bytes::Bytes;
use super::catalogue::Catalogue;
use super::pickle::{self, Budget};
use super::storages::Storages;
use super::tensor::{Storage, Tensor, Values};
use crate::file::ModelFile;

/// The storages in one pickle that have been read, and the types of their elements; or why they cannot be read.
#[derive(Default)]
pub(super) struct PickledStorages(HashMap<NodeId, std::result::Result<Found, (ErrorKind, String)>>);

type Found = (Option<DType>, Bytes);

impl PickledStorages {
    /// Reads the storage of a tensor, if it is in the pickle. Where it is damaged, only its tensors are.
    pub(super) fn find(
        &mut self,
        tensor: &mut Tensor,
        arena: &Arena,
        catalogue: &mut Catalogue<'_>,
    ) -> Result<()> {
        let Values::Pickled(id) = tensor.values else { return Ok(()) };
        let storage = match self.0.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let bytes = arena.raw_bytes(id)?;
                catalogue.pay_for_held(bytes.len())?;
                match read(catalogue.file, &bytes, &mut catalogue.pickles) {
                    Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
                    read => new.insert(read.map_err(|error| (error.kind(), error.message().to_owned()))),
                }
            }
        };
        tensor.values = match storage {
            Ok((dtype, bytes)) => {
                if tensor.dtype == DType::Unknown {
                    tensor.dtype = dtype.unwrap_or(DType::Unknown);
                }
                Values::Found(bytes.clone())
            }
            Err((kind, message)) => Values::Unreadable(*kind, message.clone()),
        };
        Ok(())
    }
}

/// The storage that is all there is in these bytes, with the type of its elements where they say it.
fn read(file: &ModelFile, bytes: &[u8], budget: &mut Budget) -> Result<(Option<DType>, Bytes)> {
    let whole = Bytes::hold(bytes)?;
    let first = pickle::read(file, &whole, 0, budget)?;
    if !is_magic(&first) {
        return Err(Error::unsupported("its storage is in the pickle in a form that is not known here"));
    }
    let (object, keys) = read_behind_magic(file, &whole, &first, budget)?;
    let storage = Storage::at(&object.arena, object.root);
    let storage = storage.ok_or_else(|| Error::malformed("the bytes that should be its storage are none"))?;
    let Storages::Table(table) = Storages::behind(file, &whole, &keys, &object.arena)? else {
        return Err(Error::malformed("its storage is nowhere"));
    };
    let extent = table.get(&storage.key).ok_or_else(|| Error::malformed("its storage is nowhere"))?;
    let [start, len] = [extent.offset, extent.len].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    let data = bytes.get(start..).and_then(|rest| rest.get(..len));
    let data = data.ok_or_else(|| Error::malformed("its storage ends early"))?;
    Ok((storage.dtype, Bytes::hold(data)?))
}
