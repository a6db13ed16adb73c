//! Compressed bytes, read from the first to the last in pieces: however many there are, little of them is in memory.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use quantviz_core::{Error, Result};

use crate::bytes::Extent;
use crate::file::ModelFile;

const READ_BYTES: u64 = 1 << 16;

/// A way through compressed bytes, forwards only.
pub(super) struct Inflater {
    state: Box<InflateState>,
    /// The next bytes that were not read yet.
    rest: Extent,
    /// What was read, and how much of it was inflated.
    packed: Vec<u8>,
    used: usize,
    position: u64,
}

impl Inflater {
    pub(super) fn new(stored: Extent) -> Self {
        let state = Box::new(InflateState::new(DataFormat::Raw));
        Inflater { state, rest: stored, packed: Vec::new(), used: 0, position: 0 }
    }

    /// How many bytes it has come.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Leaves out what comes before `position`.
    pub(super) fn skip_to(&mut self, file: &ModelFile, position: u64) -> Result<()> {
        let mut skipped = [0; 4096];
        while self.position < position {
            let left = usize::try_from(position - self.position).unwrap_or(usize::MAX);
            let len = left.min(skipped.len());
            self.fill(file, &mut skipped[..len])?;
        }
        Ok(())
    }

    /// Fills `buffer` with the next bytes.
    pub(super) fn fill(&mut self, file: &ModelFile, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            if self.used == self.packed.len() && self.rest.len > 0 {
                self.read_more(file)?;
            }
            let step =
                inflate(&mut self.state, &self.packed[self.used..], &mut buffer[done..], MZFlush::None);
            self.used += step.bytes_consumed;
            done += step.bytes_written;
            let is_stuck = step.bytes_consumed == 0 && step.bytes_written == 0;
            match step.status {
                Ok(MZStatus::Ok) if !is_stuck => {}
                Ok(MZStatus::StreamEnd) if done == buffer.len() => {}
                Err(MZError::Buf) if self.used == self.packed.len() && self.rest.len > 0 => {}
                _ => {
                    return Err(Error::malformed(
                        "it is compressed, and does not inflate to as much as is said",
                    ));
                }
            }
        }
        self.position += done as u64;
        Ok(())
    }

    fn read_more(&mut self, file: &ModelFile) -> Result<()> {
        let len = self.rest.len.min(READ_BYTES);
        self.packed.resize(usize::try_from(len).map_err(|_| Error::limit("more than memory"))?, 0);
        file.read_at(self.rest.offset, &mut self.packed)?;
        self.rest = Extent { offset: self.rest.offset + len, len: self.rest.len - len, ..self.rest };
        self.used = 0;
        Ok(())
    }
}
