//! Where the bytes of pickles and storages are: in the file, or in memory if they were compressed.

use std::fmt::Display;
use std::sync::Arc;

use quantviz_core::{Error, Result};

use crate::bytes::Extent;
use crate::file::{ModelFile, cut_short};

/// A run of bytes of a PyTorch file.
#[derive(Clone, Debug)]
pub(super) enum Bytes {
    Stored(Extent),
    Held(Arc<Held>),
}

/// Bytes in memory, aligned for every element.
#[derive(Debug)]
pub(super) struct Held {
    words: Vec<u64>,
    len: usize,
}

impl Bytes {
    /// A copy of bytes that are in no file as they stand.
    pub(super) fn hold(bytes: &[u8]) -> Result<Self> {
        let mut held = Held::zeros(bytes.len() as u64)?;
        held.as_mut_slice().copy_from_slice(bytes);
        Ok(Bytes::Held(Arc::new(held)))
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Bytes::Stored(extent) => extent.len,
            Bytes::Held(held) => held.len as u64,
        }
    }

    /// What tells these bytes from others of the same file.
    pub(super) fn identity(&self) -> u64 {
        match self {
            Bytes::Stored(extent) => extent.offset,
            // No file is as long as the address with this bit.
            Bytes::Held(held) => Arc::as_ptr(held).addr() as u64 | 1 << 63,
        }
    }

    /// Where in the file the byte at `offset` is, if it is there as it stands.
    pub(super) fn place(&self, offset: u64) -> Option<u64> {
        match self {
            Bytes::Stored(extent) => extent.offset.checked_add(offset),
            Bytes::Held(_) => None,
        }
    }

    /// The error of something that goes on behind these bytes. Where they are the last of the file, more were there once.
    pub(super) fn early_end(&self, file: &ModelFile, message: impl Display) -> Error {
        let are_last = self.place(self.len()) == Some(file.len());
        if are_last { cut_short(message) } else { Error::malformed(message.to_string()) }
    }

    /// Fills `buffer` from the bytes at `offset`.
    pub(super) fn read_at(&self, file: &ModelFile, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(self.early_end(file, "a storage ends early"));
        }
        match self {
            Bytes::Stored(extent) => file.read_at(extent.offset + offset, buffer),
            Bytes::Held(held) => {
                let start = usize::try_from(offset).map_err(|_| Error::limit("more than memory"))?;
                buffer.copy_from_slice(&held.as_slice()[start..start + buffer.len()]);
                Ok(())
            }
        }
    }
}

impl Held {
    pub(super) fn zeros(len: u64) -> Result<Self> {
        let len = usize::try_from(len).map_err(|_| Error::limit("more than this machine's memory"))?;
        Ok(Held { words: vec![0; len.div_ceil(8)], len })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}
