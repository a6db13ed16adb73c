//! How parts of quantized parameters are read that are not the stored elements of some tensor.

use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Result, Sink};

use super::bitsandbytes::NestedScales;
use crate::bytes::{Extent, read_elements};
use crate::file::ModelFile;
use crate::unpack::Packing;

#[derive(Debug)]
pub(crate) enum Reading {
    /// The bytes are elements of another type than the file says.
    As(Extent, DType),
    /// The bytes are packed whole numbers.
    Packed(Extent, Packing, Stored),
    /// Scales that are codes themselves.
    Nested(NestedScales),
    /// The words mean nothing by themselves.
    Refused(String),
}

/// What a packed code is stored as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    /// Itself.
    Plain,
    /// More by so much, so that none is below zero.
    Raised(u8),
    /// Less by one.
    LessOne,
}

impl Reading {
    /// Whether codes are one more than what is stored.
    pub(super) fn is_raised_by_one(&self) -> bool {
        matches!(self, Reading::Packed(_, _, Stored::LessOne))
    }

    pub(crate) fn read(
        &self,
        files: &[ModelFile],
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match self {
            Reading::As(extent, dtype) => {
                read_elements(&files[extent.file], extent.offset, *dtype, range, sink)
            }
            Reading::Packed(extent, packing, stored) => {
                let mut converted = Converted::default();
                packing.read(&files[extent.file], extent.offset, range, |start, codes| {
                    sink.block(Block { start, elements: converted.elements(codes, *stored) })
                })
            }
            Reading::Nested(scales) => scales.read(files, range, sink),
            Reading::Refused(reason) => Err(Error::unsupported(reason)),
        }
    }
}

/// Room for codes that are not stored as themselves.
#[derive(Default)]
struct Converted {
    signed: Vec<i8>,
    wide: Vec<u16>,
}

impl Converted {
    fn elements<'a>(&'a mut self, codes: &'a [u8], stored: Stored) -> Elements<'a> {
        match stored {
            Stored::Plain => Elements::U8(codes),
            Stored::Raised(by) => {
                self.signed.clear();
                self.signed.extend(codes.iter().map(|code| code.wrapping_sub(by).cast_signed()));
                Elements::I8(&self.signed)
            }
            Stored::LessOne => {
                self.wide.clear();
                self.wide.extend(codes.iter().map(|&code| u16::from(code) + 1));
                Elements::U16(&self.wide)
            }
        }
    }
}
