//! The JSON header of a safetensors file, read as a stream of entries so that no duplicate is lost.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use quantviz_core::{DType, Error, Result, Shape, byte_len};
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Limits;
use crate::file::ModelFile;

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
    /// As the file spells it.
    pub(super) dtype_name: String,
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    /// Counted from the start of the data.
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// The names that the format has for dtypes.
const DTYPES: &[(&str, DType)] = &[
    ("F64", DType::F64),
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::Bf16),
    ("F8_E4M3", DType::F8E4M3Fn),
    ("F8_E4M3FNUZ", DType::F8E4M3FnUz),
    ("F8_E5M2", DType::F8E5M2),
    ("F8_E5M2FNUZ", DType::F8E5M2FnUz),
    ("F8_E8M0", DType::F8E8M0),
    ("F6_E2M3", DType::F6E2M3),
    ("F6_E3M2", DType::F6E3M2),
    ("F4", DType::F4E2M1),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("I16", DType::I16),
    ("I8", DType::I8),
    ("U64", DType::U64),
    ("U32", DType::U32),
    ("U16", DType::U16),
    ("U8", DType::U8),
    ("BOOL", DType::Bool),
    ("C64", DType::C64),
];

impl Header {
    pub(super) fn read(file: &ModelFile, limits: &Limits) -> Result<Self> {
        let (length, bytes) = header_bytes(file, limits)?;
        let mut header = parse(&bytes, limits).map_err(|error| error.in_file(file.path()))?;
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
            return Err(Error::malformed(message));
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
        return Err(Error::malformed(message).in_file(file.path()));
    }
    file.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > file.len() - 8 {
        let message = format!("the header is said to have {length} bytes, the file has only {}", file.len());
        return Err(Error::malformed(message).in_file(file.path()).at_byte(0));
    }
    if length > limits.header_bytes {
        let message = format!("a header of {length} bytes is over the limit of {}", limits.header_bytes);
        return Err(Error::limit(message).in_file(file.path()).at_byte(0));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| Error::limit("more than memory"))?];
    file.read_at(8, &mut bytes)?;
    Ok((length, bytes))
}

pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Header> {
    let mut header = Header::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let seed = HeaderSeed { header: &mut header, limits };
    let outcome = seed.deserialize(&mut json).and_then(|()| json.end());
    if header.tensors.len() > limits.tensors {
        return Err(Error::limit(format!("more than {} tensors", limits.tensors)));
    }
    outcome.map_err(|error| {
        // The reader of JSON counts lines; headers have one.
        let offset = if error.line() == 1 { 8 + error.column().saturating_sub(1) } else { 8 };
        Error::malformed(format!("the header is not what safetensors has: {error}")).at_byte(offset as u64)
    })?;
    Ok(header)
}

struct HeaderSeed<'a> {
    header: &'a mut Header,
    limits: &'a Limits,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for every tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut metadata_seen = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if metadata_seen {
                    return Err(A::Error::custom("__metadata__ comes twice"));
                }
                metadata_seen = true;
                self.header.metadata = map.next_value()?;
                continue;
            }
            let RawEntry { dtype, shape, data_offsets: [begin, end] } = map.next_value()?;
            if shape.len() > self.limits.rank {
                return Err(A::Error::custom(format_args!("more than {} dimensions", self.limits.rank)));
            }
            let known = DTYPES.iter().find(|(spelling, _)| *spelling == dtype).map(|(_, dtype)| *dtype);
            self.header.tensors.push(Entry {
                name,
                dtype: known.unwrap_or(DType::Unknown),
                dtype_name: dtype,
                shape: Shape::new(shape).map_err(A::Error::custom)?,
                begin,
                end,
            });
            if self.header.tensors.len() > self.limits.tensors {
                return Err(A::Error::custom("too many tensors"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}
