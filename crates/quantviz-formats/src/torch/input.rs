//! Bytes of a pickle one after the other, read in windows: a pickle may be followed by gigabytes of weights.

use quantviz_core::{Error, Result};

use super::bytes::Bytes;
use crate::file::ModelFile;

const WINDOW: u64 = 1 << 16;
/// Longer than any line that torch writes.
const LINE: usize = 1 << 20;

pub(super) struct Input<'a> {
    file: &'a ModelFile,
    source: &'a Bytes,
    /// The next byte that is not in the window yet.
    next: u64,
    window: Vec<u8>,
    /// How much of the window has been taken.
    taken: usize,
    /// Where reading began, and how much may be read.
    start: u64,
    most: u64,
}

impl<'a> Input<'a> {
    pub(super) fn new(file: &'a ModelFile, source: &'a Bytes, start: u64, most: u64) -> Self {
        Input { file, source, next: start, window: Vec::new(), taken: 0, start, most }
    }

    /// Where the next byte is.
    pub(super) fn position(&self) -> u64 {
        self.next - (self.window.len() - self.taken) as u64
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        if self.window.len() - self.taken < N {
            self.refill(N)?;
        }
        let bytes = self.window[self.taken..].first_chunk().copied();
        self.taken += N;
        bytes.ok_or_else(|| self.early_end())
    }

    /// Everything before the next line break.
    pub(super) fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(line),
                _ if line.len() == LINE => {
                    return Err(Error::limit(format!("a line of more than {LINE} bytes")));
                }
                byte => line.push(byte),
            }
        }
    }

    /// Appends the next `len` bytes to `target`.
    pub(super) fn take_into(&mut self, len: u64, target: &mut Vec<u8>) -> Result<()> {
        self.check(len)?;
        let len = usize::try_from(len).map_err(|_| Error::limit("more than memory"))?;
        let at_hand = len.min(self.window.len() - self.taken);
        target.reserve(len);
        target.extend_from_slice(&self.window[self.taken..self.taken + at_hand]);
        self.taken += at_hand;
        let rest = target.len();
        target.resize(rest + len - at_hand, 0);
        self.source.read_at(self.file, self.next, &mut target[rest..])?;
        self.next += (len - at_hand) as u64;
        Ok(())
    }

    fn refill(&mut self, needed: usize) -> Result<()> {
        self.check(needed as u64)?;
        self.window.drain(..self.taken);
        self.taken = 0;
        let kept = self.window.len();
        let more = WINDOW.min(self.source.len() - self.next);
        self.window.resize(kept + usize::try_from(more).unwrap_or_default(), 0);
        self.source.read_at(self.file, self.next, &mut self.window[kept..])?;
        self.next += more;
        Ok(())
    }

    /// Refuses to read beyond the end, and beyond the limit.
    fn check(&self, len: u64) -> Result<()> {
        let position = self.position();
        if len > self.source.len().saturating_sub(position) {
            return Err(self.early_end());
        }
        if len > self.most.saturating_sub(position - self.start) {
            return Err(
                Error::limit(format!("a pickle of more than {} bytes", self.most)).of_limit("pickle_bytes")
            );
        }
        Ok(())
    }

    fn early_end(&self) -> Error {
        self.source.early_end(self.file, "the pickle ends early")
    }
}
