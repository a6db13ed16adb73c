//! Reading parts of tensors that are stored in blocks: as many blocks as a range touches, some at a time.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Part, Result, Sink};

use super::blocks::{BlockType, Meaning};
use crate::bytes::with_bytes;
use crate::file::ModelFile;

/// The blocks of a tensor.
pub(super) struct Blocks<'a> {
    pub(super) file: &'a ModelFile,
    /// Where the first one begins.
    pub(super) offset: u64,
    pub(super) block_type: &'static BlockType,
    /// How many there are.
    pub(super) blocks: u64,
}

/// Elements whose blocks are read at once: few enough to stay in a near cache until all their parts are taken.
const READ_AT_ONCE: usize = 1 << 17;
/// Elements whose blocks are unpacked at once: the numbers that come of them stay in the nearest caches.
const UNPACKED_AT_ONCE: usize = 1 << 14;

impl Blocks<'_> {
    /// Pushes the elements `range` of a part; `None` if the blocks do not have that part.
    pub(super) fn read(
        &self,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Option<Result<ControlFlow<()>>> {
        if part == Part::Codes {
            return Some(self.read_codes(range, sink));
        }
        let (per_block, numbers) = self.block_type.numbers(part)?;
        Some(self.unpack(per_block, numbers, range, |start, numbers| {
            Ok(sink.block(Block { start, elements: Elements::F64(numbers) }))
        }))
    }

    fn read_codes(&self, range: Range<u64>, sink: &mut dyn Sink) -> Result<ControlFlow<()>> {
        let mut nibbles = Vec::new();
        let BlockType { meaning, codes, .. } = self.block_type;
        self.unpack(self.block_type.elements(), *codes, range, |start, codes: &[u8]| {
            let elements = match meaning {
                Meaning::Unsigned | Meaning::Centred | Meaning::Index(_) => Elements::U8(codes),
                Meaning::Signed(..) => Elements::I8(bytemuck::cast_slice(codes)),
                Meaning::Float => {
                    nibbles.clear();
                    nibbles.extend(
                        codes.chunks(2).map(|pair| pair[0] | pair.get(1).map_or(0, |high| high << 4)),
                    );
                    Elements::from_bytes(DType::F4E2M1, &nibbles, 0, codes.len())
                        .ok_or_else(|| Error::malformed("the bytes read are no elements"))?
                }
            };
            Ok(sink.block(Block { start, elements }))
        })
    }

    /// Hands on the items `range`, of which there are `per_block` in every block, in order.
    fn unpack<T: Copy + Default>(
        &self,
        per_block: usize,
        unpack: fn(&[u8], &mut [T]),
        range: Range<u64>,
        mut deliver: impl FnMut(u64, &[T]) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let (block_bytes, elements) = (self.block_type.bytes(), self.block_type.elements());
        let (at_once, read_at_once) = (UNPACKED_AT_ONCE / elements, (READ_AT_ONCE / elements) as u64);
        let mut items = Vec::new();
        let mut block = range.start / per_block as u64;
        let end_block = if range.is_empty() { block } else { range.end.div_ceil(per_block as u64) };
        while block < end_block {
            let (mut first, mut last) = (block, end_block);
            // A few blocks are read alone; of many, all parts are taken from the same bytes, wherever a range begins.
            if last - first > at_once as u64 {
                first = block / read_at_once * read_at_once;
                last = (first + read_at_once).min(self.blocks);
            }
            let bytes = self.offset + first * block_bytes as u64..self.offset + last * block_bytes as u64;
            let flow = with_bytes(self.file, bytes, |bytes| {
                let wanted = (block - first) as usize * block_bytes
                    ..(end_block.min(last) - first) as usize * block_bytes;
                let mut first_item = block * per_block as u64;
                for some in bytes[wanted].chunks(at_once * block_bytes) {
                    items.clear();
                    items.resize(some.len() / block_bytes * per_block, T::default());
                    let pairs = some.chunks_exact(block_bytes).zip(items.chunks_exact_mut(per_block));
                    pairs.for_each(|(block, items)| unpack(block, items));
                    let end_item = first_item + items.len() as u64;
                    let (start, end) = (first_item.max(range.start), end_item.min(range.end));
                    // Both lie within what has just been unpacked.
                    let wanted = (start - first_item) as usize..(end - first_item) as usize;
                    if deliver(start, &items[wanted])?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    first_item = end_item;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if flow.is_break() {
                return Ok(flow);
            }
            block = last;
        }
        Ok(ControlFlow::Continue(()))
    }
}
