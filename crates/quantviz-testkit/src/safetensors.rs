//! safetensors files: a length, a JSON header, the bytes of the tensors.
//!
//! ```
//! use quantviz_testkit::safetensors::{SafetensorsBuilder, raw};
//!
//! let file = SafetensorsBuilder::new().tensor("w", "I8", [2], &[1, 2]);
//! assert_eq!(file.header(), r#"{"w":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}"#);
//! assert!(file.build().ends_with(b"}   \x01\x02"));
//!
//! let too_short = raw(r#"{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}"#, &[0; 4]);
//! assert_eq!(too_short.len(), 8 + 55 + 4);
//! ```

use serde_json::Value;

/// A well-formed file: tensors lie behind each other in the order in which they were added, and the header is padded
/// with spaces so that the first begins at a multiple of eight.
#[derive(Clone, Debug, Default)]
pub struct SafetensorsBuilder {
    metadata: Vec<(String, String)>,
    entries: Vec<String>,
    payload: Vec<u8>,
}

impl SafetensorsBuilder {
    /// A file without tensors.
    pub fn new() -> Self {
        SafetensorsBuilder::default()
    }

    /// An entry of `__metadata__`.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A tensor: its type as the header writes it (`F32`, `BF16`, `I8`…), its shape, its bytes.
    #[must_use]
    pub fn tensor(mut self, name: &str, dtype: &str, shape: impl AsRef<[u64]>, bytes: &[u8]) -> Self {
        let start = self.payload.len();
        self.payload.extend_from_slice(bytes);
        let (name, dtype, end) = (Value::from(name), Value::from(dtype), self.payload.len());
        let shape = shape.as_ref();
        self.entries
            .push(format!(r#"{name}:{{"dtype":{dtype},"shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
        self
    }

    /// The JSON header, before it is padded.
    pub fn header(&self) -> String {
        let pair = |(key, value): &(String, String)| {
            format!("{}:{}", Value::from(key.as_str()), Value::from(value.as_str()))
        };
        let pairs: Vec<String> = self.metadata.iter().map(pair).collect();
        let metadata = (!pairs.is_empty()).then(|| format!(r#""__metadata__":{{{}}}"#, pairs.join(",")));
        let entries: Vec<String> = metadata.into_iter().chain(self.entries.iter().cloned()).collect();
        format!("{{{}}}", entries.join(","))
    }

    /// The bytes of the file.
    pub fn build(&self) -> Vec<u8> {
        let mut header = self.header().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        raw(header, &self.payload)
    }
}

/// A file with just this header and payload, whatever they say.
pub fn raw(header: impl AsRef<[u8]>, payload: &[u8]) -> Vec<u8> {
    let header = header.as_ref();
    raw_claimed(header.len() as u64, header, payload)
}

/// A file whose header claims to be this long.
pub fn raw_claimed(length: u64, header: impl AsRef<[u8]>, payload: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], header.as_ref(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_json_with_offsets_that_follow_each_other() {
        let builder = SafetensorsBuilder::new()
            .metadata("quoted \"key\"", "line\nbreak")
            .tensor("a\\b", "F32", [2], &[1; 8])
            .tensor("scalar", "I8", [], &[2])
            .tensor("empty", "F16", [0, 3], &[]);
        let header: Value = serde_json::from_str(&builder.header()).expect("valid JSON");
        assert_eq!(header["__metadata__"]["quoted \"key\""], "line\nbreak");
        assert_eq!(header["a\\b"]["data_offsets"], serde_json::json!([0, 8]));
        assert_eq!(header["scalar"]["shape"], serde_json::json!([]));
        assert_eq!(
            header["empty"],
            serde_json::json!({"dtype": "F16", "shape": [0, 3], "data_offsets": [9, 9]})
        );
        let bytes = builder.build();
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        assert_eq!((length % 8, bytes.len()), (0, 8 + length + 9));
    }

    #[test]
    fn without_tensors() {
        assert_eq!(SafetensorsBuilder::new().build(), raw("{}      ", &[]));
    }
}
