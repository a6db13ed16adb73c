//! llama.cpp's importance matrices from before they were GGUF: a list of names, counts and sums, without a magic.

use quantviz_core::{Error, Importance, Result};

use crate::file::{ModelFile, cut_short};

/// The longest name of a tensor that ggml has is much shorter.
const LONGEST_NAME: u64 = 1024;
/// Bytes that an entry has at least: three numbers, one byte of a name, and one value.
const LEAST_BYTES: u64 = 17;

/// Reads entries one after the other. What follows them (how many chunks there were, and of what) says nothing of weights.
pub(super) fn read(file: &ModelFile) -> Result<Importance> {
    let mut reader = Reader { file, at: 0 };
    let entries = reader.int().ok().filter(|&entries| entries <= file.len() / LEAST_BYTES && entries > 0);
    let entries = entries.ok_or_else(no_importance)?;
    let mut importance = Importance::new();
    for index in 0..entries {
        let name = reader.name().map_err(|error| if index == 0 { no_importance() } else { error })?;
        let in_tensor = |error: Error| error.in_tensor(&name);
        let calls = reader.int().map_err(in_tensor)?;
        let squares = reader.squares(calls.max(1)).map_err(in_tensor)?;
        importance.add(name, squares)?;
    }
    Ok(importance)
}

fn no_importance() -> Error {
    Error::unsupported("this is neither an importance matrix of llama.cpp nor a safetensors file")
}

struct Reader<'a> {
    file: &'a ModelFile,
    at: u64,
}

impl Reader<'_> {
    fn bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        let rest = self.file.len() - self.at;
        if len > rest {
            return Err(
                cut_short(format!("{len} bytes are announced, but only {rest} follow")).at_byte(self.at)
            );
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| Error::limit("more than memory"))?];
        self.file.read_at(self.at, &mut bytes)?;
        self.at += len;
        Ok(bytes)
    }

    /// A count, which is never below zero.
    fn int(&mut self) -> Result<u64> {
        let at = self.at;
        let bytes = self.bytes(4)?;
        let number = bytes.first_chunk().map_or(-1, |bytes| i32::from_le_bytes(*bytes));
        u64::try_from(number).map_err(|_| Error::malformed(format!("{number} is no count")).at_byte(at))
    }

    fn name(&mut self) -> Result<String> {
        let at = self.at;
        let len = self.int()?;
        if !(1..=LONGEST_NAME).contains(&len) {
            return Err(Error::malformed(format!("a name of {len} bytes")).at_byte(at));
        }
        let name = String::from_utf8(self.bytes(len)?).ok().filter(|name| !name.contains(char::is_control));
        name.ok_or_else(|| Error::malformed("a name that is no text").at_byte(at))
    }

    fn squares(&mut self, calls: u64) -> Result<Vec<f32>> {
        let count = self.int()?;
        #[expect(clippy::cast_precision_loss, reason = "a factor of all, which cancels out")]
        let calls = calls as f32;
        let bytes = self.bytes(count * 4)?;
        let (sums, _) = bytes.as_chunks();
        Ok(sums.iter().map(|sum| f32::from_le_bytes(*sum) / calls).collect())
    }
}
