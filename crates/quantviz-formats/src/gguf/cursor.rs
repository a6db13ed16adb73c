//! A way through the head of a file: forwards only, reading what is asked for and skipping the rest.

use quantviz_core::{Error, Result};

use crate::Limits;
use crate::file::{ModelFile, cut_short};

/// Where the next read begins. No position ever lies beyond the file, or beyond the bytes that a header may have.
pub(super) struct Cursor<'a> {
    file: &'a ModelFile,
    position: u64,
    header_bytes: u64,
    buffer: Vec<u8>,
    buffer_start: u64,
}

/// Bytes that one read takes: vocabularies are many short strings.
const READ_BYTES: u64 = 1 << 16;

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a ModelFile, limits: &Limits) -> Self {
        let header_bytes = limits.header_bytes;
        Cursor { file, position: 0, header_bytes, buffer: Vec::new(), buffer_start: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// An error at this place of the file.
    pub(super) fn malformed(&self, message: impl Into<String>) -> Error {
        Error::malformed(message).at_byte(self.position)
    }

    /// An error of something that is more than the limits allow, at this place of the file.
    pub(super) fn beyond_limit(&self, message: impl Into<String>) -> Error {
        Error::limit(message).at_byte(self.position)
    }

    /// Refuses a count of things that could not all be in the rest of the file.
    pub(super) fn expect(&self, count: u64, least_bytes: u64, what: &str) -> Result<()> {
        let rest = self.file.len() - self.position;
        if count.checked_mul(least_bytes).is_some_and(|bytes| bytes <= rest) {
            return Ok(());
        }
        let message = format!("{count} {what} are announced, but only {rest} bytes follow");
        // No header is that long: these bytes are no count.
        let is_count = count.checked_mul(least_bytes).is_some_and(|bytes| bytes <= self.header_bytes);
        Err(if is_count { cut_short(message).at_byte(self.position) } else { self.malformed(message) })
    }

    pub(super) fn skip(&mut self, bytes: u64) -> Result<()> {
        self.expect(bytes, 1, "bytes")?;
        if self.position + bytes > self.header_bytes {
            let message = format!("the header is over the limit of {} bytes", self.header_bytes);
            return Err(self.beyond_limit(message).of_limit("header_bytes"));
        }
        self.position += bytes;
        Ok(())
    }

    pub(super) fn take(&mut self, len: u64) -> Result<&[u8]> {
        let start = self.position;
        self.skip(len)?;
        if self.position > self.buffer_start + self.buffer.len() as u64 {
            let len = len.max(READ_BYTES).min(self.file.len() - start);
            self.buffer.resize(in_memory(len)?, 0);
            self.buffer_start = start;
            self.file.read_at(start, &mut self.buffer)?;
        }
        let (first, len) = (in_memory(start - self.buffer_start)?, in_memory(len)?);
        Ok(&self.buffer[first..first + len])
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.number(4).map(|number| number as u32)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.number(8)
    }

    /// A little-endian number of at most eight bytes.
    pub(super) fn number(&mut self, len: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(self.take(len as u64)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// The bytes of a string, which its length precedes.
    pub(super) fn string(&mut self) -> Result<Vec<u8>> {
        let len = self.u64()?;
        self.take(len).map(<[u8]>::to_vec)
    }

    pub(super) fn skip_string(&mut self) -> Result<()> {
        let len = self.u64()?;
        self.skip(len)
    }
}

fn in_memory(len: u64) -> Result<usize> {
    usize::try_from(len).map_err(|_| Error::limit("more than this machine's memory"))
}
