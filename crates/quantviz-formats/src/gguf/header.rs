//! What comes before the data: version, metadata, and which tensors there are where.

use std::collections::HashSet;

use quantviz_core::{DType, Error, Result, Shape, byte_len};

use super::cursor::Cursor;
use super::metadata::Metadata;
use crate::Limits;
use crate::file::{ModelFile, cut_short};

/// What a file says of itself.
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<Entry>,
    /// Where the data begins.
    pub(super) data_start: u64,
}

/// One tensor. Its place has been checked against its shape and the file.
pub(super) struct Entry {
    pub(super) name: String,
    /// As the file has it.
    pub(super) type_id: u32,
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    /// Counted from the start of the data.
    pub(super) begin: u64,
    /// As far as is known: elements of unknown types take no bytes.
    pub(super) bytes: u64,
}

/// The numbers that the format has for dtypes.
const DTYPES: &[(u32, DType)] = &[
    (0, DType::F32),
    (1, DType::F16),
    (2, DType::Q4_0),
    (3, DType::Q4_1),
    (6, DType::Q5_0),
    (7, DType::Q5_1),
    (8, DType::Q8_0),
    (9, DType::Q8_1),
    (10, DType::Q2K),
    (11, DType::Q3K),
    (12, DType::Q4K),
    (13, DType::Q5K),
    (14, DType::Q6K),
    (15, DType::Q8K),
    (16, DType::Iq2Xxs),
    (17, DType::Iq2Xs),
    (18, DType::Iq3Xxs),
    (19, DType::Iq1S),
    (20, DType::Iq4Nl),
    (21, DType::Iq3S),
    (22, DType::Iq2S),
    (23, DType::Iq4Xs),
    (24, DType::I8),
    (25, DType::I16),
    (26, DType::I32),
    (27, DType::I64),
    (28, DType::F64),
    (29, DType::Iq1M),
    (30, DType::Bf16),
    (34, DType::Tq1_0),
    (35, DType::Tq2_0),
    (39, DType::Mxfp4),
    (40, DType::Nvfp4),
    (41, DType::Q1_0),
];

/// A name without a letter, no dimension, a type, an offset.
const LEAST_ENTRY_BYTES: u64 = 8 + 4 + 4 + 8;

impl Header {
    pub(super) fn read(file: &ModelFile, limits: &Limits) -> Result<Self> {
        let limits = &limits.of_model(file.len());
        let mut cursor = Cursor::new(file, limits);
        check_version(&mut cursor)?;
        let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
        let metadata = Metadata::read(&mut cursor, entries, limits)?;
        let tensors = read_entries(&mut cursor, tensors, limits)?;
        let data_start = cursor.position().next_multiple_of(metadata.alignment);
        let header = Header { metadata, tensors, data_start };
        // Without tensors, a file may end before its data would begin.
        header.check(file.len().saturating_sub(data_start))?;
        Ok(header)
    }

    fn check(&self, data_len: u64) -> Result<()> {
        let mut names = HashSet::with_capacity(self.tensors.len());
        for entry in &self.tensors {
            if !names.insert(entry.name.as_str()) {
                return Err(Error::malformed("two tensors have this name").in_tensor(&entry.name));
            }
            entry.check(data_len, self.metadata.alignment).map_err(|error| error.in_tensor(&entry.name))?;
        }
        let mut by_place: Vec<&Entry> = self.tensors.iter().filter(|entry| entry.bytes > 0).collect();
        by_place.sort_by_key(|entry| entry.begin);
        for pair in by_place.windows(2) {
            if pair[0].begin + pair[0].bytes > pair[1].begin {
                let message = format!("its bytes overlap those of {}", pair[0].name);
                let place = self.data_start + pair[1].begin;
                return Err(Error::malformed(message).in_tensor(&pair[1].name).at_byte(place));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn read(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Self> {
        let start = cursor.position();
        let name = String::from_utf8(cursor.string()?);
        let name = name.map_err(|_| Error::malformed("the name of a tensor is not UTF-8").at_byte(start))?;
        match Entry::read_nameless(cursor, limits) {
            Ok(entry) => Ok(Entry { name, ..entry }),
            Err(error) => Err(error.in_tensor(name)),
        }
    }

    fn read_nameless(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Self> {
        let rank = cursor.u32()?;
        if rank as usize > limits.rank {
            return Err(cursor
                .beyond_limit(format!("more than {} dimensions", limits.rank))
                .of_limit("rank"));
        }
        let mut dims = (0..rank).map(|_| cursor.u64()).collect::<Result<Vec<u64>>>()?;
        // The file has the innermost first.
        dims.reverse();
        let shape = Shape::new(dims)?;
        let (type_id, begin) = (cursor.u32()?, cursor.u64()?);
        let known = DTYPES.iter().find(|(id, _)| *id == type_id).map(|(_, dtype)| *dtype);
        let bytes = known.map_or(Ok(0), |dtype| byte_len(dtype, &shape))?;
        let dtype = known.unwrap_or(DType::Unknown);
        Ok(Entry { name: String::new(), type_id, dtype, shape, begin, bytes })
    }

    fn check(&self, data_len: u64, alignment: u64) -> Result<()> {
        let Entry { begin, bytes, .. } = *self;
        if begin % alignment != 0 {
            return Err(Error::malformed(format!("its offset {begin} is no multiple of {alignment}")));
        }
        let end = begin.checked_add(bytes);
        if end.is_none_or(|end| end > data_len) {
            let message = format!("its {bytes} bytes from {begin} on are not within the {data_len} of data");
            return Err(if end.is_some() { cut_short(message) } else { Error::malformed(message) });
        }
        Ok(())
    }
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<()> {
    if cursor.take(4)? != b"GGUF" {
        return Err(Error::malformed("the file does not begin with \"GGUF\"").at_byte(0));
    }
    let message = match cursor.u32()? {
        2 | 3 => return Ok(()),
        // No version is this high; version 3 is, with its bytes the other way round.
        version if version > 0 && version.trailing_zeros() >= 16 => {
            "big-endian GGUF files are not supported".to_owned()
        }
        version => format!("GGUF version {version} is not supported, only 2 and 3 are"),
    };
    Err(Error::unsupported(message).at_byte(4))
}

fn read_entries(cursor: &mut Cursor<'_>, count: u64, limits: &Limits) -> Result<Vec<Entry>> {
    if count > limits.tensors as u64 {
        return Err(cursor
            .beyond_limit(format!("{count} tensors are over the limit of {}", limits.tensors))
            .of_limit("tensors"));
    }
    cursor.expect(count, LEAST_ENTRY_BYTES, "tensors")?;
    let mut name_bytes = 0;
    let mut entries = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let entry = Entry::read(cursor, limits)?;
        name_bytes += entry.name.len();
        if name_bytes > limits.name_bytes {
            return Err(cursor
                .beyond_limit(format!("names of more than {} bytes", limits.name_bytes))
                .of_limit("name_bytes"));
        }
        entries.push(entry);
    }
    Ok(entries)
}
