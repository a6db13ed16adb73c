//! Parameters whose codes or zero-points are packed in ways that only their operator knows.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, ParameterId, Result, Sink};

use super::tensor::Tensors;
use crate::bit_rows::BitRows;

/// How to unpack one part of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    /// The parameter that holds the bytes.
    pub(super) holder: ParameterId,
    pub(super) layout: BitRows,
    /// What the bits of a code are.
    pub(super) codes: DType,
}

impl Packed {
    /// Whole numbers without a sign.
    pub(super) fn numbers(holder: ParameterId, layout: BitRows) -> Self {
        Packed { holder, layout, codes: DType::U8 }
    }

    /// Codes of one byte that are stored as bytes, one for each element.
    pub(super) fn bytes_of(holder: ParameterId, elements: u64, codes: DType) -> Self {
        Packed { holder, layout: BitRows::padded(elements, 8), codes }
    }

    /// Pushes the codes `range` into `sink`.
    pub(super) fn read(
        &self,
        tensors: &Tensors,
        stored: &quantviz_core::Parameter,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let read_bytes = |range: Range<u64>, out: &mut Vec<u8>| {
            let mut append = |block: Block<'_>| {
                // Codes are packed into bytes, or into types of a byte.
                match block.elements {
                    Elements::U8(bytes) => out.extend_from_slice(bytes),
                    elements => elements.for_each(|byte| out.push(byte as i64 as u8)),
                }
                ControlFlow::Continue(())
            };
            tensors.read(self.holder, stored.dtype, &stored.shape, range, &mut append).map(|_| ())
        };
        if self.codes == DType::U8 {
            return self.layout.read(range, read_bytes, sink);
        }
        let mut lost = false;
        let mut as_codes = |block: Block<'_>| match block.elements {
            Elements::U8(bytes) => match Elements::from_bytes(self.codes, bytes, 0, bytes.len()) {
                Some(elements) => sink.block(Block { start: block.start, elements }),
                None => {
                    lost = true;
                    ControlFlow::Break(())
                }
            },
            _ => sink.block(block),
        };
        let flow = self.layout.read(range, read_bytes, &mut as_codes)?;
        if lost { Err(Error::malformed("the bytes read are no codes")) } else { Ok(flow) }
    }
}
