//! Whole numbers of at most eight bits that are packed into the words of other elements, in rows or in columns.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, Elements, Result};

use crate::bit_rows::BitRows;
use crate::file::ModelFile;

/// How the codes of a matrix are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Along rows.
    Rows(BitRows),
    /// Along rows, eight codes of four bits in a word, of which the first is at the place that this begins with.
    Shuffled([u8; 8]),
    /// Down the columns of a matrix of 32-bit words that has as many: low bits first, without gaps unless `padded`.
    Columns { bits: u64, columns: u64, padded: bool },
    /// Slab by slab of so many codes: a unit of so many bytes has one of each slab, the first in the highest place.
    Slabs { bits: u64, slab: u64, unit_bytes: u64 },
}

impl Packing {
    /// Rows of `columns` codes, each of which takes `row_bytes`.
    pub(crate) fn rows(bits: u32, columns: u64, row_bytes: u64) -> Self {
        let (row, block) = (columns, columns);
        Packing::Rows(BitRows { bits: bits.into(), row, block, block_bytes: row_bytes, high_first: false })
    }

    /// Rows of `columns` codes in 32-bit words, of which no code crosses into the next.
    pub(crate) fn rows_of_words(bits: u32, columns: u64) -> Self {
        let block = u64::from(32 / bits);
        Packing::Rows(BitRows {
            bits: bits.into(),
            row: columns,
            block,
            block_bytes: WORD,
            high_first: false,
        })
    }

    /// Codes of four bits without gaps, the first in the upper half of its byte.
    pub(crate) fn high_nibbles_first() -> Self {
        Packing::Rows(BitRows { high_first: true, ..endless_nibbles() })
    }

    /// Pushes the codes `range`, in row-major order, of those that begin at `offset`.
    pub(crate) fn read(
        &self,
        file: &ModelFile,
        offset: u64,
        range: Range<u64>,
        sink: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        match *self {
            Packing::Rows(rows) => read_rows(rows, file, offset, range, sink),
            Packing::Shuffled(order) => read_shuffled(file, offset, order, range, sink),
            Packing::Columns { bits, columns, padded } => {
                let (held, codes) = Default::default();
                Columns { file, offset, bits, columns, padded, held, codes }.read(range, sink)
            }
            Packing::Slabs { bits, slab, unit_bytes } => {
                read_slabs(file, offset, (bits, slab, unit_bytes), range, sink)
            }
        }
    }
}

fn endless_nibbles() -> BitRows {
    BitRows { bits: 4, row: u64::MAX, block: u64::MAX, block_bytes: 0, high_first: false }
}

fn read_rows(
    rows: BitRows,
    file: &ModelFile,
    offset: u64,
    range: Range<u64>,
    mut sink: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let read = |place: Range<u64>, bytes: &mut Vec<u8>| {
        bytes.resize((place.end - place.start) as usize, 0);
        file.read_at(offset + place.start, bytes)
    };
    rows.read(range, read, &mut |block: Block<'_>| match block.elements {
        Elements::U8(codes) => sink(block.start, codes),
        _ => ControlFlow::Break(()),
    })
}

/// Codes that are unpacked before anything looks at them.
const AT_ONCE: u64 = 1 << 16;
const WORD: u64 = 4;

fn read_shuffled(
    file: &ModelFile,
    offset: u64,
    order: [u8; 8],
    range: Range<u64>,
    mut sink: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let shifts = order.map(|place| u32::from(place) * 4);
    let (mut words, mut codes) = (Vec::new(), Vec::new());
    let mut start = range.start;
    while start < range.end {
        let skipped = start % 8;
        let end = range.end.min(start - skipped + AT_ONCE);
        let (first, last) = (start / 8, end.div_ceil(8));
        words.resize(((last - first) * WORD) as usize, 0);
        file.read_at(offset + first * WORD, &mut words)?;
        let words = words.as_chunks::<4>().0.iter().copied().map(u32::from_le_bytes);
        codes.clear();
        codes.extend(words.flat_map(|word| shifts.map(|shift| (word >> shift) as u8 & 0xf)));
        if sink(start, &codes[skipped as usize..][..(end - start) as usize]).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        start = end;
    }
    Ok(ControlFlow::Continue(()))
}

fn read_slabs(
    file: &ModelFile,
    offset: u64,
    (bits, slab, unit_bytes): (u64, u64, u64),
    range: Range<u64>,
    mut sink: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let (mut units, mut codes) = (Vec::new(), Vec::new());
    let (per_unit, mask) = (unit_bytes * 8 / bits, u8::MAX >> (8 - bits));
    let mut start = range.start;
    while start < range.end {
        let (number, first) = (start / slab, start % slab);
        let len = (range.end - start).min(slab - first).min(AT_ONCE);
        units.resize((len * unit_bytes) as usize, 0);
        file.read_at(offset + first * unit_bytes, &mut units)?;
        // Slabs beyond the last would be padding, which no range has.
        let shift = per_unit.saturating_sub(number + 1) * bits;
        let unit = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |unit, &byte| unit << 8 | u64::from(byte));
        codes.clear();
        codes
            .extend(units.chunks_exact(unit_bytes as usize).map(|bytes| (unit(bytes) >> shift) as u8 & mask));
        if sink(start, &codes).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        start += len;
    }
    Ok(ControlFlow::Continue(()))
}

/// Columns of words. A row of them holds rows of codes, which come one after the other.
struct Columns<'a> {
    file: &'a ModelFile,
    offset: u64,
    bits: u64,
    columns: u64,
    padded: bool,
    /// The rows of words that were read last: even ones, and odd ones.
    held: [Held; 2],
    codes: Vec<u8>,
}

/// What was last read from some place.
#[derive(Default)]
struct Held {
    place: Range<u64>,
    bytes: Vec<u8>,
}

impl Columns<'_> {
    fn read(
        &mut self,
        range: Range<u64>,
        mut sink: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut start = range.start;
        while start < range.end {
            self.codes.clear();
            let mut end = start;
            while end < range.end && end - start < AT_ONCE {
                let (row, column) = (end / self.columns, end % self.columns);
                let len = (range.end - end).min(self.columns - column).min(AT_ONCE);
                self.unpack(row, &(column..column + len))?;
                end += len;
            }
            if sink(start, &self.codes).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Adds codes of a row.
    fn unpack(&mut self, row: u64, columns: &Range<u64>) -> Result<()> {
        let per_word = 32 / self.bits;
        let (word_row, shift) = match self.padded {
            true => (row / per_word, row % per_word * self.bits),
            false => (row * self.bits / 32, row * self.bits % 32),
        };
        let low = self.hold(word_row, columns)?;
        // A code of three bits may begin in one word and end in the one below.
        let high = if shift + self.bits > 32 { self.hold(word_row + 1, columns)? } else { low };
        let words =
            |slot: usize| self.held[slot].bytes.as_chunks::<4>().0.iter().copied().map(u32::from_le_bytes);
        let mask = u8::MAX >> (8 - self.bits);
        self.codes.extend(words(low).zip(words(high)).map(|(low, high)| {
            let both = u64::from(high) << 32 | u64::from(low);
            (both >> shift) as u8 & mask
        }));
        Ok(())
    }

    /// Reads a part of a row of words, unless it is held already, and says where it is held.
    fn hold(&mut self, word_row: u64, columns: &Range<u64>) -> Result<usize> {
        let row_start = word_row * self.columns;
        let place = (row_start + columns.start) * WORD..(row_start + columns.end) * WORD;
        let slot = (word_row % 2) as usize;
        let held = &mut self.held[slot];
        if held.place != place {
            held.bytes.resize((place.end - place.start) as usize, 0);
            self.file.read_at(self.offset + place.start, &mut held.bytes)?;
            held.place = place;
        }
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unpacked(packing: Packing, bytes: &[u8], range: Range<u64>) -> Vec<u8> {
        let mut file = tempfile::NamedTempFile::new().expect("the temporary folder is writable");
        file.write_all(bytes).expect("the temporary folder is writable");
        let file = ModelFile::open(file.path()).expect("just written");
        let mut codes = Vec::new();
        let mut sink = |start, block: &[u8]| {
            assert_eq!(start, range.start + codes.len() as u64);
            codes.extend_from_slice(block);
            ControlFlow::Continue(())
        };
        let flow = packing.read(&file, 0, range.clone(), &mut sink).expect("long enough");
        assert!(flow.is_continue());
        codes
    }

    #[test]
    fn rows_with_gaps() {
        let bytes = [0x21, 0xf3, 0, 0, 0x54, 0xf6, 0, 0];
        assert_eq!(unpacked(Packing::rows(4, 3, 4), &bytes, 1..6), [2, 3, 4, 5, 6]);
    }

    #[test]
    fn nibbles_in_other_orders() {
        assert_eq!(unpacked(Packing::high_nibbles_first(), &[0x12, 0x34], 1..4), [2, 3, 4]);
        let shuffled = Packing::Shuffled([7, 6, 5, 4, 3, 2, 1, 0]);
        let bytes = [0x67, 0x45, 0x23, 0x01, 0xef, 0xcd, 0xab, 0x89];
        assert_eq!(unpacked(shuffled, &bytes, 3..11), [3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn columns_of_words() {
        let bytes = [0x76543210_u32, 0xfedcba98].map(u32::to_le_bytes).concat();
        let columns = Packing::Columns { bits: 4, columns: 2, padded: false };
        assert_eq!(unpacked(columns, &bytes, 0..6), [0, 8, 1, 9, 2, 10]);
        assert_eq!(unpacked(columns, &bytes, 13..15), [14, 7]);
    }

    #[test]
    fn codes_across_the_words_of_a_column() {
        // Row 10 has its low two bits on top of the first word and the third below in the second.
        let bytes = [0b11_u32 << 30, 0b0101].map(u32::to_le_bytes).concat();
        let dense = Packing::Columns { bits: 3, columns: 1, padded: false };
        assert_eq!(unpacked(dense, &bytes, 9..12), [0, 7, 2]);
    }

    #[test]
    fn codes_that_stay_in_their_words() {
        // Ten codes of three bits in a word, and two bits of nothing.
        let bytes = [0b11_u32 << 30 | 0b110 << 27 | 0b001, 0b0101].map(u32::to_le_bytes).concat();
        let columns = Packing::Columns { bits: 3, columns: 1, padded: true };
        for packing in [columns, Packing::rows_of_words(3, 12)] {
            assert_eq!(unpacked(packing, &bytes, 0..1), [1]);
            assert_eq!(unpacked(packing, &bytes, 9..12), [6, 5, 0]);
        }
    }

    #[test]
    fn slabs_of_codes() {
        let nibbles = Packing::Slabs { bits: 4, slab: 3, unit_bytes: 1 };
        assert_eq!(unpacked(nibbles, &[0x14, 0x25, 0x36], 0..6), [1, 2, 3, 4, 5, 6]);
        assert_eq!(unpacked(nibbles, &[0x14, 0x25, 0x36], 2..4), [3, 4]);
        // The first code of ten has the highest three of thirty bits.
        let bytes = [7_u32 << 27 | 1 << 24 | 5, 3 << 27].map(u32::to_le_bytes).concat();
        let words = Packing::Slabs { bits: 3, slab: 2, unit_bytes: 4 };
        assert_eq!(unpacked(words, &bytes, 0..4), [7, 3, 1, 0]);
        assert_eq!(unpacked(words, &bytes, 18..20), [5, 0]);
    }
}
