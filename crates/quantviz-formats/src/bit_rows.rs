//! Codes of a few bits, packed into rows of blocks, as many formats lay out quantized matrices.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, Elements, Result, Sink};

/// Where the codes of a matrix are: rows of blocks, each of which begins with a byte and may end in padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitRows {
    /// Bits of a code; within a byte, the first code has the low bits unless `high_first`.
    pub(crate) bits: u64,
    /// Codes in a row.
    pub(crate) row: u64,
    /// Codes in a block; the last one of a row may have fewer.
    pub(crate) block: u64,
    /// Bytes from one block to the next.
    pub(crate) block_bytes: u64,
    /// Whether the first code of a byte has its high bits.
    pub(crate) high_first: bool,
}

/// Codes that are unpacked at a time.
const AT_ONCE: u64 = 1 << 16;
/// Bytes that are read at a time, where padding makes them more than the codes.
const BYTES_AT_ONCE: u64 = 1 << 20;

impl BitRows {
    /// Rows of codes without blocks, each padded to whole bytes.
    pub(crate) fn padded(row: u64, bits: u64) -> Self {
        // No tensor is as long as where this saturates.
        let block_bytes = row.saturating_mul(bits).div_ceil(8);
        BitRows { bits, row, block: row.max(1), block_bytes, high_first: false }
    }

    /// The bytes of `rows` rows.
    pub(crate) fn byte_len(&self, rows: u64) -> Option<u64> {
        rows.checked_mul(self.row.div_ceil(self.block))?.checked_mul(self.block_bytes)
    }

    /// Pushes the codes `range`, counted row by row, as bytes into `sink`. `read` appends the bytes of a range of the
    /// packed tensor.
    pub(crate) fn read(
        &self,
        range: Range<u64>,
        mut read: impl FnMut(Range<u64>, &mut Vec<u8>) -> Result<()>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let (mut packed, mut codes) = (Vec::new(), Vec::new());
        let mut start = range.start;
        while start < range.end {
            let first_byte = self.bit_of(start) / 8;
            let most = range.end.min(start + AT_ONCE);
            let mut end = start + self.run_at(start).min(most - start);
            while end < most && self.bit_of(end) / 8 - first_byte < BYTES_AT_ONCE {
                end += self.run_at(end).min(most - end);
            }
            let last_byte = (self.bit_of(end - 1) + self.bits).div_ceil(8);
            packed.clear();
            codes.clear();
            read(first_byte..last_byte, &mut packed)?;
            let mut at = start;
            while at < end {
                let run = self.run_at(at).min(end - at);
                let bit = self.bit_of(at) - first_byte * 8;
                self.unpack(&packed, bit, run as usize, &mut codes);
                at += run;
            }
            if sink.block(Block { start, elements: Elements::U8(&codes) }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether no block and no row ends in padding.
    fn is_dense(&self) -> bool {
        self.row.is_multiple_of(self.block)
            && self.block.checked_mul(self.bits) == self.block_bytes.checked_mul(8)
    }

    /// Where a code begins.
    fn bit_of(&self, code: u64) -> u64 {
        if self.is_dense() {
            return code * self.bits;
        }
        let (row, position) = (code / self.row, code % self.row);
        let block = row * self.row.div_ceil(self.block) + position / self.block;
        block * self.block_bytes * 8 + position % self.block * self.bits
    }

    /// Codes from this one on that follow each other without padding.
    fn run_at(&self, code: u64) -> u64 {
        if self.is_dense() {
            return u64::MAX;
        }
        let position = code % self.row;
        (self.block - position % self.block).min(self.row - position)
    }

    /// Adds a run of codes, the first of which begins at `bit`.
    fn unpack(&self, packed: &[u8], bit: u64, run: usize, codes: &mut Vec<u8>) {
        let start = codes.len();
        let whole_bytes = &packed[(bit / 8) as usize..];
        match (self.bits, bit % 8) {
            (8, 0) => codes.extend_from_slice(&whole_bytes[..run]),
            // By far the most codes are like this, and vectors take them apart.
            (4, 0) => {
                codes.resize(start + run, 0);
                let (low, high) = if self.high_first { (4, 0) } else { (0, 4) };
                let (pairs, last) = codes[start..].as_chunks_mut::<2>();
                for (pair, byte) in pairs.iter_mut().zip(whole_bytes) {
                    *pair = [byte >> low & 0xf, byte >> high & 0xf];
                }
                if let [last] = last {
                    *last = whole_bytes[run / 2] >> low & 0xf;
                }
            }
            _ => {
                codes.extend((0..run as u64).map(|index| self.code(packed, bit + index * self.bits)));
            }
        }
    }

    fn code(&self, packed: &[u8], bit: u64) -> u8 {
        let (byte, shift) = ((bit / 8) as usize, bit % 8);
        let mask = u8::MAX >> (8 - self.bits);
        if self.high_first {
            // Codes of one, two, four or eight bits never cross bytes.
            return packed[byte] >> (8 - self.bits - shift) & mask;
        }
        let next = packed.get(byte + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([packed[byte], next]) >> shift) as u8 & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(layout: BitRows, bytes: &[u8], range: Range<u64>) -> Vec<u8> {
        let mut codes = Vec::new();
        let read = |range: Range<u64>, out: &mut Vec<u8>| {
            out.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
            Ok(())
        };
        let mut sink = |block: Block<'_>| {
            block.elements.for_each(|code| codes.push(code as u8));
            ControlFlow::Continue(())
        };
        layout
            .read(range, read, &mut sink)
            .expect("readable")
            .is_continue()
            .then_some(codes)
            .expect("no break")
    }

    #[test]
    fn nibbles_with_padding_behind_every_block() {
        let layout = BitRows { bits: 4, row: 5, block: 3, block_bytes: 2, high_first: false };
        let bytes = [0x21, 0x03, 0x54, 0x00, 0x76, 0x08, 0xa9, 0x00];
        assert_eq!(layout.byte_len(2), Some(8));
        assert_eq!(codes(layout, &bytes, 0..10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(codes(layout, &bytes, 4..8), [5, 6, 7, 8]);
    }

    #[test]
    fn padding_is_not_read_all_at_once() {
        let layout = BitRows { bits: 4, row: 1, block: 1 << 40, block_bytes: 1 << 39, high_first: false };
        let mut longest = 0;
        let read = |range: Range<u64>, out: &mut Vec<u8>| {
            longest = longest.max(range.end - range.start);
            out.resize((range.end - range.start) as usize, 0x17);
            Ok(())
        };
        let mut codes = Vec::new();
        let mut sink = |block: Block<'_>| {
            codes.extend(block.elements.to_vec());
            ControlFlow::Continue(())
        };
        assert!(layout.read(0..9, read, &mut sink).is_ok());
        assert_eq!((codes, longest), (vec![7.0; 9], 1));
    }

    #[test]
    fn three_bits_cross_bytes_and_high_nibbles_can_come_first() {
        // 1, 2, 3, 4, 5 in three bits each, low bits first.
        let packed = 1u32 | 2 << 3 | 3 << 6 | 4 << 9 | 5 << 12;
        assert_eq!(codes(BitRows::padded(5, 3), &packed.to_le_bytes(), 0..5), [1, 2, 3, 4, 5]);
        let high = BitRows { high_first: true, ..BitRows::padded(4, 4) };
        assert_eq!(codes(high, &[0x12, 0x34], 1..4), [2, 3, 4]);
    }
}
