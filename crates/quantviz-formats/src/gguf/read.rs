//! Reading parts of tensors that are stored in blocks: as many blocks as a range touches, some at a time.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Part, Result, Sink};

use super::blocks::{BlockType, Meaning};
use crate::bytes::with_buffer;
use crate::file::ModelFile;

/// The blocks of a tensor.
pub(super) struct Blocks<'a> {
    pub(super) file: &'a ModelFile,
    /// Where the first one begins.
    pub(super) offset: u64,
    pub(super) block_type: &'static BlockType,
}

/// Bytes that are unpacked at once: the numbers that come of them stay in the nearest caches.
const BYTES_AT_ONCE: usize = 32 << 10;

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
        let block_bytes = self.block_type.bytes();
        let at_once = (BYTES_AT_ONCE / block_bytes) as u64;
        let mut items = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let first_block = start / per_block as u64;
            let first_item = first_block * per_block as u64;
            let blocks = (range.end.div_ceil(per_block as u64) - first_block).min(at_once);
            with_buffer(blocks * block_bytes as u64, |bytes| {
                self.file.read_at(self.offset + first_block * block_bytes as u64, bytes)?;
                items.clear();
                items.resize(bytes.len() / block_bytes * per_block, T::default());
                let pairs = bytes.chunks_exact(block_bytes).zip(items.chunks_exact_mut(per_block));
                pairs.for_each(|(block, items)| unpack(block, items));
                Ok(())
            })?;
            let end = range.end.min(first_item + items.len() as u64);
            // Both lie within what has just been unpacked.
            let wanted = (start - first_item) as usize..(end - first_item) as usize;
            let flow = deliver(start, &items[wanted])?;
            if flow.is_break() {
                return Ok(flow);
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }
}
