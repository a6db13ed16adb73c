//! Parameters whose codes or zero-points are packed in ways that only their operator knows.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, ParameterId, Result, Sink};

use super::tensor::Tensors;
use crate::bit_rows::BitRows;

/// How to unpack one part of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    /// The parameter that holds the bytes.
    pub(super) holder: ParameterId,
    pub(super) layout: BitRows,
}

impl Packed {
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
                block.elements.for_each(|byte| out.push(byte as i64 as u8));
                ControlFlow::Continue(())
            };
            tensors.read(self.holder, stored.dtype, &stored.shape, range, &mut append).map(|_| ())
        };
        self.layout.read(range, read_bytes, sink)
    }
}
