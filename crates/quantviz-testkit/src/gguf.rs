//! GGUF files: metadata, what tensors there are, the bytes of the tensors.
//!
//! ```
//! use quantviz_testkit::gguf::{GgufBuilder, tensor_type};
//!
//! let file = GgufBuilder::new().text("general.name", "tiny").tensor("w", tensor_type::I8, [1, 2], &[1, 2]).build();
//! assert!(file.starts_with(b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x01"));
//! assert_eq!(file.len() % 32, 0);
//!
//! let impossible = GgufBuilder::new().claim_tensors(u64::MAX).build();
//! assert_eq!(impossible.len(), 4 + 4 + 8 + 8 + 8);
//! ```

/// The numbers of types of elements.
pub mod tensor_type {
    #![expect(missing_docs, reason = "the names are those of the format")]
    pub const F32: u32 = 0;
    pub const F16: u32 = 1;
    pub const Q4_0: u32 = 2;
    pub const Q4_1: u32 = 3;
    pub const Q5_0: u32 = 6;
    pub const Q5_1: u32 = 7;
    pub const Q8_0: u32 = 8;
    pub const Q2_K: u32 = 10;
    pub const Q3_K: u32 = 11;
    pub const Q4_K: u32 = 12;
    pub const Q5_K: u32 = 13;
    pub const Q6_K: u32 = 14;
    pub const IQ2_XXS: u32 = 16;
    pub const IQ4_NL: u32 = 20;
    pub const IQ4_XS: u32 = 23;
    pub const I8: u32 = 24;
    pub const BF16: u32 = 30;
    pub const TQ1_0: u32 = 34;
    pub const TQ2_0: u32 = 35;
    pub const MXFP4: u32 = 39;
    pub const NVFP4: u32 = 40;
}

/// The numbers of types of values in the metadata.
pub mod value_type {
    #![expect(missing_docs, reason = "the names are those of the format")]
    pub const U8: u32 = 0;
    pub const I8: u32 = 1;
    pub const U16: u32 = 2;
    pub const I16: u32 = 3;
    pub const U32: u32 = 4;
    pub const I32: u32 = 5;
    pub const F32: u32 = 6;
    pub const BOOL: u32 = 7;
    pub const STRING: u32 = 8;
    pub const ARRAY: u32 = 9;
    pub const U64: u32 = 10;
    pub const I64: u32 = 11;
    pub const F64: u32 = 12;
}

/// A well-formed file, unless it is told to claim something else: tensors lie behind each other in the order in which
/// they were added, each at a multiple of the alignment.
#[derive(Clone, Debug)]
pub struct GgufBuilder {
    version: u32,
    alignment: usize,
    entries: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: Vec<u8>,
    claimed_entries: Option<u64>,
    claimed_tensors: Option<u64>,
}

impl Default for GgufBuilder {
    fn default() -> Self {
        GgufBuilder {
            version: 3,
            alignment: 32,
            entries: Vec::new(),
            tensors: Vec::new(),
            data: Vec::new(),
            claimed_entries: None,
            claimed_tensors: None,
        }
    }
}

impl GgufBuilder {
    /// A file of version 3 without metadata and tensors.
    pub fn new() -> Self {
        GgufBuilder::default()
    }

    /// Another version.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Lets tensors begin at multiples of this, and says so in the metadata; to be called before the first is added.
    #[must_use]
    pub fn alignment(mut self, alignment: u32) -> Self {
        self.alignment = alignment.max(1) as usize;
        self.value("general.alignment", value_type::U32, alignment.to_le_bytes())
    }

    /// A string in the metadata.
    #[must_use]
    pub fn text(self, key: &str, text: &str) -> Self {
        self.value(key, value_type::STRING, string(text))
    }

    /// A value in the metadata, from its bytes.
    #[must_use]
    pub fn value(mut self, key: &str, value_type: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.entries.push([&string(key), &value_type.to_le_bytes()[..], bytes.as_ref()].concat());
        self
    }

    /// A tensor: its shape outermost first, and its bytes.
    #[must_use]
    pub fn tensor(mut self, name: &str, tensor_type: u32, shape: impl AsRef<[u64]>, bytes: &[u8]) -> Self {
        let offset = self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(self.alignment), 0);
        self.tensor_at(name, tensor_type, shape, offset)
    }

    /// A tensor that claims to have its bytes at this offset into the data, and brings none.
    #[must_use]
    pub fn tensor_at(mut self, name: &str, tensor_type: u32, shape: impl AsRef<[u64]>, offset: u64) -> Self {
        let shape = shape.as_ref();
        let mut entry = string(name);
        entry.extend((shape.len() as u32).to_le_bytes());
        entry.extend(shape.iter().rev().flat_map(|dim| dim.to_le_bytes()));
        entry.extend(tensor_type.to_le_bytes());
        entry.extend(offset.to_le_bytes());
        self.tensors.push(entry);
        self
    }

    /// Claims to have this many entries of metadata.
    #[must_use]
    pub fn claim_entries(mut self, count: u64) -> Self {
        self.claimed_entries = Some(count);
        self
    }

    /// Claims to have this many tensors.
    #[must_use]
    pub fn claim_tensors(mut self, count: u64) -> Self {
        self.claimed_tensors = Some(count);
        self
    }

    /// The bytes of the file.
    pub fn build(&self) -> Vec<u8> {
        let count =
            |claimed: Option<u64>, true_count: usize| claimed.unwrap_or(true_count as u64).to_le_bytes();
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend(count(self.claimed_tensors, self.tensors.len()));
        file.extend(count(self.claimed_entries, self.entries.len()));
        file.extend(self.entries.concat());
        file.extend(self.tensors.concat());
        file.resize(file.len().next_multiple_of(self.alignment), 0);
        file.extend_from_slice(&self.data);
        file
    }
}

/// A string as it is in a file: behind its length.
pub fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// An array as it is in a file: the type of its items, how many it claims to have, and their bytes.
pub fn array(item_type: u32, count: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&item_type.to_le_bytes()[..], &count.to_le_bytes(), bytes.as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_small_file() {
        let file = GgufBuilder::new()
            .alignment(8)
            .tensor("w", tensor_type::I8, [2, 1], &[1, 2])
            .tensor("v", tensor_type::I8, [], &[3])
            .build();
        let key = [&b"\x11\0\0\0\0\0\0\0general.alignment"[..], &[4, 0, 0, 0], &[8, 0, 0, 0]].concat();
        let head = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0";
        let w =
            b"\x01\0\0\0\0\0\0\0w\x02\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0";
        let v = b"\x01\0\0\0\0\0\0\0v\0\0\0\0\x18\0\0\0\x08\0\0\0\0\0\0\0";
        let expected = [&head[..], &key, w, v, &[0; 5], &[1, 2, 0, 0, 0, 0, 0, 0], &[3, 0, 0, 0, 0, 0, 0, 0]];
        assert_eq!(file, expected.concat());
    }

    #[test]
    fn claims_change_nothing_but_the_counts() {
        let plain = GgufBuilder::new().version(2).text("a", "b").build();
        let claimed = GgufBuilder::new().version(2).text("a", "b").claim_entries(7).claim_tensors(9).build();
        assert_eq!(claimed[8..24], [[9, 0, 0, 0, 0, 0, 0, 0], [7, 0, 0, 0, 0, 0, 0, 0]].concat());
        assert_eq!((&plain[..8], &plain[24..]), (&claimed[..8], &claimed[24..]));
        assert_eq!(array(value_type::U8, 2, [5, 6]), b"\0\0\0\0\x02\0\0\0\0\0\0\0\x05\x06");
    }
}
