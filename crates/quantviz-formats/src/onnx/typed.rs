//! Tensors whose elements are in `float_data`, `int32_data` and their kin: numbers of varying length, one by one.

use std::fmt::Display;
use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use quantviz_core::{Block, DType, Elements, Error, Result, Sink};

use super::protobuf::Cursor;
use super::wire::{FLOAT_DATA, INT64_DATA, Payload, TypedSpan};
use crate::bytes::with_buffer;
use crate::file::ModelFile;

/// The elements of one tensor, as values of a typed field.
#[derive(Debug)]
pub(super) struct TypedValues {
    dtype: DType,
    elements: u64,
    spans: Vec<TypedSpan>,
    /// Where every [`STEP`]th value is; found at the first read.
    landmarks: OnceLock<Vec<Landmark>>,
}

#[derive(Clone, Copy, Debug)]
struct Landmark {
    span: usize,
    offset: u64,
}

/// Values between landmarks.
const STEP: u64 = 1 << 16;

/// `int32_data`, `double_data`, `uint64_data`.
const INT32: u32 = 5;
const DOUBLE: u32 = 10;
const UINT64: u32 = 11;

fn field_of(dtype: DType) -> u32 {
    match dtype {
        DType::F32 | DType::C64 => FLOAT_DATA,
        DType::F64 | DType::C128 => DOUBLE,
        DType::I64 => INT64_DATA,
        DType::U32 | DType::U64 => UINT64,
        _ => INT32,
    }
}

impl TypedValues {
    /// `None` where the field that such a tensor would use has fewer bytes than there must be values.
    pub(super) fn new(dtype: DType, elements: u64, payload: Payload) -> Option<Self> {
        let field = field_of(dtype);
        let spans: Vec<TypedSpan> = payload.typed.into_iter().filter(|span| span.field == field).collect();
        let bytes: u64 = spans.iter().map(|span| span.span.len).sum();
        let values = TypedValues { dtype, elements, spans, landmarks: OnceLock::new() };
        (values.expected() <= bytes).then_some(values)
    }

    /// All values that there are of the field that holds elements of this type.
    pub(super) fn of_all(dtype: DType, payload: Payload, file: &ModelFile) -> Result<Self> {
        let spans = payload.typed;
        let mut values = TypedValues { dtype, elements: 0, spans, landmarks: OnceLock::new() };
        let mut walk = ValueWalk::from(&values, file, Landmark { span: 0, offset: values.start_of(0) });
        let mut count = 0;
        while walk.next()?.is_some() {
            count += 1;
        }
        values.elements = count;
        Ok(values)
    }

    pub(super) fn elements(&self) -> u64 {
        self.elements
    }

    /// The one run of bytes that holds all elements just as memory does, if there is one.
    pub(super) fn as_plain_bytes(&self) -> Option<super::wire::Span> {
        match self.spans[..] {
            [TypedSpan { field: FLOAT_DATA | DOUBLE, span, packed: true }] => Some(span),
            _ => None,
        }
    }

    /// Elements that one value of the field holds.
    fn elements_per_value(&self) -> u64 {
        match self.dtype.bits() {
            Some(bits @ (2 | 4)) => u64::from(8 / bits),
            _ => 1,
        }
    }

    /// Values that the field has to have.
    fn expected(&self) -> u64 {
        self.elements.div_ceil(self.elements_per_value())
    }

    pub(super) fn read(
        &self,
        file: &ModelFile,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        if range.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if !self.dtype.is_numeric() {
            return Err(Error::unsupported(format!("{} values cannot be read one by one", self.dtype)));
        }
        let landmarks = self.landmarks(file)?;
        let per_step = STEP * self.elements_per_value();
        let mut start = range.start;
        while start < range.end {
            let step = start / per_step;
            let end = range.end.min((step + 1) * per_step);
            let landmark = landmarks.get(usize::try_from(step).unwrap_or(usize::MAX)).copied();
            let landmark = landmark.ok_or_else(|| self.wrong_number(landmarks.len() as u64 * STEP))?;
            let flow = self.read_step(file, landmark, step * per_step, start..end, sink)?;
            if flow.is_break() {
                return Ok(flow);
            }
            start = end;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Decodes from a landmark on, whose first element is `first`, and pushes the elements `range`.
    fn read_step(
        &self,
        file: &ModelFile,
        landmark: Landmark,
        first: u64,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let bits = u64::from(self.dtype.bits().unwrap_or(8));
        let values = (range.end - first).div_ceil(self.elements_per_value());
        let bytes = ((range.end - first) * bits).div_ceil(8);
        with_buffer(bytes, |buffer| {
            let mut walk = ValueWalk::from(self, file, landmark);
            for index in 0..values {
                let value = walk.next()?.ok_or_else(|| self.wrong_number(first + index))?;
                put(buffer, self.dtype, index as usize, value);
            }
            let (skipped, len) = ((range.start - first) as usize, (range.end - range.start) as usize);
            let elements = Elements::from_bytes(self.dtype, buffer, skipped, len);
            let elements = elements.ok_or_else(|| Error::malformed("the values read are no elements"))?;
            Ok(sink.block(Block { start: range.start, elements }))
        })
    }

    /// Walks over all values once, counts them, and notes where every step begins.
    fn landmarks(&self, file: &ModelFile) -> Result<&[Landmark]> {
        if let Some(landmarks) = self.landmarks.get() {
            return Ok(landmarks);
        }
        let expected = self.expected();
        let mut walk = ValueWalk::from(self, file, Landmark { span: 0, offset: self.start_of(0) });
        let mut landmarks = Vec::new();
        let mut count = 0;
        loop {
            let here = walk.here();
            if walk.next()?.is_none() {
                break;
            }
            // One too many says it all: a scalar must not cost a walk over the whole file.
            if count == expected {
                return Err(self.wrong_number("more"));
            }
            if count % STEP == 0 {
                landmarks.push(here);
            }
            count += 1;
        }
        if count < expected {
            return Err(self.wrong_number(count * self.elements_per_value()));
        }
        Ok(self.landmarks.get_or_init(|| landmarks))
    }

    fn start_of(&self, span: usize) -> u64 {
        self.spans.get(span).map_or(0, |span| span.span.offset)
    }

    fn wrong_number(&self, found: impl Display) -> Error {
        let offset = self.start_of(0);
        Error::malformed(format!("its shape has {} elements, its data {found}", self.elements))
            .at_byte(offset)
    }
}

/// Writes value number `index` the way memory holds elements.
fn put(buffer: &mut [u8], dtype: DType, index: usize, value: u64) {
    let value = value.to_le_bytes();
    match dtype.bits() {
        // Values of six bits come one by one and lie packed in memory.
        Some(6) => {
            let (byte, shift) = (index * 6 / 8, index * 6 % 8);
            let code = u16::from(value[0] & 0x3f) << shift;
            let [low, high] = code.to_le_bytes();
            buffer[byte] = if shift == 0 { low } else { buffer[byte] | low };
            if shift > 2 {
                buffer[byte + 1] = high;
            }
        }
        Some(bits) => {
            let width = (bits as usize).div_ceil(8);
            buffer[index * width..][..width].copy_from_slice(&value[..width]);
        }
        None => {}
    }
}

/// One value after the other, across the spans of a field.
struct ValueWalk<'a> {
    values: &'a TypedValues,
    cursor: Cursor<'a>,
    span: usize,
}

impl<'a> ValueWalk<'a> {
    fn from(values: &'a TypedValues, file: &'a ModelFile, landmark: Landmark) -> Self {
        let mut cursor = Cursor::new(file);
        cursor.position = landmark.offset;
        ValueWalk { values, cursor, span: landmark.span }
    }

    fn here(&self) -> Landmark {
        Landmark { span: self.span, offset: self.cursor.position }
    }

    fn next(&mut self) -> Result<Option<u64>> {
        while let Some(TypedSpan { field, span, packed }) = self.values.spans.get(self.span).copied() {
            if self.cursor.position < span.end() {
                if !packed {
                    self.cursor.tag(span.end())?;
                }
                return match field {
                    FLOAT_DATA => self.cursor.fixed::<4>(span.end()).map(Some),
                    DOUBLE => self.cursor.fixed::<8>(span.end()).map(Some),
                    _ => self.cursor.varint(span.end()).map(Some),
                };
            }
            self.span += 1;
            self.cursor.position = self.values.start_of(self.span);
        }
        Ok(None)
    }
}
