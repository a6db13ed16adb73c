//! The header of a safetensors file: what tensors there are, checked against each other and against the file.

use std::collections::{BTreeMap, HashSet};

use quantviz_core::{DType, Error, Result, Shape, byte_len};

use super::json::parse;
use crate::Limits;
use crate::file::{ModelFile, cut_short};

/// What a file says of itself.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tensors: Vec<Entry>,
    /// Where the first tensor's bytes would be.
    pub(super) data_start: u64,
}

/// One tensor. Its offsets have been checked against its shape and the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// As the file spells it, in one line; empty where it is known.
    pub(super) dtype_name: String,
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    /// Counted from the start of the data.
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Header {
    pub(super) fn read(file: &ModelFile, limits: &Limits) -> Result<Self> {
        let (length, bytes) = header_bytes(file, limits)?;
        let limits = limits.of_model(file.len());
        let mut header = parse(&bytes, &limits).map_err(|error| error.in_file(file.path()))?;
        drop(bytes);
        header.data_start = 8 + length;
        header.check(file.len() - header.data_start).map_err(|error| error.in_file(file.path()))?;
        Ok(header)
    }

    fn check(&self, data_len: u64) -> Result<()> {
        let mut names = HashSet::with_capacity(self.tensors.len());
        for entry in &self.tensors {
            if !names.insert(entry.name.as_str()) {
                return Err(Error::malformed("two tensors have this name").in_tensor(&entry.name));
            }
            entry.check(data_len).map_err(|error| error.in_tensor(&entry.name))?;
        }
        let mut by_offset: Vec<&Entry> =
            self.tensors.iter().filter(|entry| entry.begin < entry.end).collect();
        by_offset.sort_by_key(|entry| entry.begin);
        for pair in by_offset.windows(2) {
            if pair[0].end > pair[1].begin {
                let message = format!("its bytes overlap those of {}", pair[0].name);
                let place = self.data_start + pair[1].begin;
                return Err(Error::malformed(message).in_tensor(&pair[1].name).at_byte(place));
            }
        }
        Ok(())
    }

    /// Bytes of the data that belong to no tensor.
    pub(super) fn unused_bytes(&self, file_len: u64) -> u64 {
        let used: u64 = self.tensors.iter().map(|entry| entry.end - entry.begin).sum();
        file_len - self.data_start - used
    }
}

impl Entry {
    fn check(&self, data_len: u64) -> Result<()> {
        let (begin, end) = (self.begin, self.end);
        if begin > end || end > data_len {
            let message = format!("its bytes {begin}..{end} are not within the {data_len} bytes of data");
            return Err(if begin > end { Error::malformed(message) } else { cut_short(message) });
        }
        if self.dtype == DType::Unknown {
            return Ok(());
        }
        let expected = byte_len(self.dtype, &self.shape)?;
        if end - begin != expected {
            let taken = end - begin;
            let message = format!("{} {} takes {expected} bytes, not {taken}", self.dtype, self.shape);
            return Err(Error::malformed(message));
        }
        Ok(())
    }
}

fn header_bytes(file: &ModelFile, limits: &Limits) -> Result<(u64, Vec<u8>)> {
    let mut length = [0; 8];
    if file.len() < 8 {
        let message = format!("a header needs at least 8 bytes, the file has {}", file.len());
        return Err(cut_short(message).in_file(file.path()));
    }
    file.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > file.len() - 8 {
        let message = format!("the header is said to have {length} bytes, the file has only {}", file.len());
        // No program writes a header that long: these bytes are no length.
        let is_length = length <= limits.header_bytes;
        let no_header =
            || Error::malformed(format!("{message}: this is no safetensors file, or a damaged one"));
        let error = if is_length { cut_short(&message) } else { no_header() };
        return Err(error.in_file(file.path()).at_byte(0));
    }
    if length > limits.header_bytes {
        let message = format!("a header of {length} bytes is over the limit of {}", limits.header_bytes);
        return Err(Error::limit(message).of_limit("header_bytes").in_file(file.path()).at_byte(0));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| Error::limit("more than memory"))?];
    file.read_at(8, &mut bytes)?;
    Ok((length, bytes))
}
