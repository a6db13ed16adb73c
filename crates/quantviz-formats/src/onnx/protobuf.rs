//! The bytes of protobuf messages: numbers, tags and what is behind them, read forward through a file.

use quantviz_core::{Error, Result};

use crate::file::{ModelFile, cut_short};

/// The value behind a tag.
#[derive(Clone, Copy)]
pub(super) enum Wire {
    Varint,
    Fixed(u64),
    Bytes(u64),
}

/// Bytes of the largest numbers.
pub(super) const LONGEST_VARINT: u64 = 10;

/// No program writes more: these bytes are no length.
const LONGEST_MESSAGE: u64 = 1 << 31;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads forward through a file in windows that grow while nothing is skipped.
pub(super) struct Cursor<'a> {
    file: &'a ModelFile,
    pub(super) position: u64,
    window: Vec<u8>,
    window_start: u64,
    next_window: usize,
}

const SMALLEST_WINDOW: usize = 1 << 13;
const LARGEST_WINDOW: usize = 1 << 18;

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a ModelFile) -> Self {
        Cursor { file, position: 0, window: Vec::new(), window_start: 0, next_window: SMALLEST_WINDOW }
    }

    /// What is left of the window from the position on; never empty before the end of the file.
    fn ahead(&mut self) -> Result<&[u8]> {
        let window_end = self.window_start + self.window.len() as u64;
        if !(self.window_start..window_end).contains(&self.position) {
            let sequential = self.position == window_end;
            self.next_window =
                if sequential { (self.next_window * 2).min(LARGEST_WINDOW) } else { SMALLEST_WINDOW };
            let left = self.file.len().saturating_sub(self.position);
            let len = usize::try_from(left).map_or(self.next_window, |left| left.min(self.next_window));
            self.window.resize(len, 0);
            self.window_start = self.position;
            self.file.read_at(self.position, &mut self.window)?;
        }
        // The window begins at or before the position.
        Ok(&self.window[(self.position - self.window_start) as usize..])
    }

    fn byte(&mut self, end: u64) -> Result<u8> {
        if self.position >= end {
            return Err(self.ends_at(end, "a message ends in the middle of a field"));
        }
        let byte = self.ahead()?[0];
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self, end: u64) -> Result<u64> {
        let start = self.position;
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte(end)?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.position = start;
        Err(self.malformed("a number of more than ten bytes"))
    }

    /// A little-endian number of `N` bytes.
    pub(super) fn fixed<const N: usize>(&mut self, end: u64) -> Result<u64> {
        let mut value = [0; 8];
        for byte in &mut value[..N] {
            *byte = self.byte(end)?;
        }
        Ok(u64::from_le_bytes(value))
    }

    /// The number of a field and its wire type.
    pub(super) fn tag(&mut self, end: u64) -> Result<(u32, u8)> {
        let start = self.position;
        let tag = self.varint(end)?;
        match u32::try_from(tag >> 3) {
            Ok(field @ 1..=0x1fff_ffff) => Ok((field, (tag & 7) as u8)),
            _ => {
                self.position = start;
                Err(self
                    .malformed("no protobuf field has this number: this is no ONNX model, or a damaged one"))
            }
        }
    }

    pub(super) fn wire(&mut self, wire_type: u8, end: u64) -> Result<Wire> {
        let left = |cursor: &Self| end - cursor.position;
        let wire = match wire_type {
            0 => {
                self.varint(end)?;
                Wire::Varint
            }
            1 => Wire::Fixed(8),
            2 => Wire::Bytes(self.varint(end)?),
            5 => Wire::Fixed(4),
            _ => return Err(self.malformed("no protobuf wire type: this is no ONNX model, or a damaged one")),
        };
        match wire {
            Wire::Bytes(len) | Wire::Fixed(len) if len > left(self) => {
                let message = format!("a field of {len} bytes where only {} are left", left(self));
                Err(if len <= LONGEST_MESSAGE {
                    self.ends_at(end, &message)
                } else {
                    self.malformed(&message)
                })
            }
            wire => Ok(wire),
        }
    }

    pub(super) fn pass(&mut self, wire: Wire) {
        if let Wire::Bytes(len) | Wire::Fixed(len) = wire {
            self.position += len;
        }
    }

    pub(super) fn append(&mut self, len: u64, out: &mut Vec<u8>) -> Result<()> {
        let end = self.position + len;
        while self.position < end {
            let left = end - self.position;
            let ahead = self.ahead()?;
            let taken = usize::try_from(left).map_or(ahead.len(), |left| left.min(ahead.len()));
            out.extend_from_slice(&ahead[..taken]);
            self.position += taken as u64;
        }
        Ok(())
    }

    /// What is announced ends behind this byte: where that is the end of the file, more of it was there once.
    fn ends_at(&self, end: u64, message: &str) -> Error {
        let is_cut_short = end == self.file.len();
        if is_cut_short { cut_short(message).at_byte(self.position) } else { self.malformed(message) }
    }

    pub(super) fn malformed(&self, message: &str) -> Error {
        Error::malformed(message).at_byte(self.position)
    }
}
