//! Elements that lie in a file just as they are stored in memory: one after the other, little-endian.

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Result, Sink};

use crate::file::ModelFile;

/// A run of bytes in one of a model's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    /// The index of the file.
    pub(crate) file: usize,
    /// The first byte.
    pub(crate) offset: u64,
    /// The number of bytes.
    pub(crate) len: u64,
}

/// Bytes that one read takes: they fit the second-level cache of the core that looks at them next.
const READ_BYTES: u64 = 1 << 20;
/// What is read at once although it does not: a histogram looks at it twice, and the last-level cache, which has room for
/// it, costs less than a second read.
const WHOLE_BYTES: u64 = 12 << 20;

/// Pushes the elements `range` of a tensor whose first element is at `offset`.
pub(crate) fn read_elements(
    file: &ModelFile,
    offset: u64,
    dtype: DType,
    range: Range<u64>,
    sink: &mut dyn Sink,
) -> Result<ControlFlow<()>> {
    if cfg!(target_endian = "big") {
        return Err(Error::unsupported("big-endian machines are not supported"));
    }
    let bits = dtype.bits().filter(|_| dtype.is_numeric()).map(u64::from);
    let bits = bits.ok_or_else(|| Error::unsupported(format!("{dtype} values cannot be read one by one")))?;
    // Packed elements may begin inside a byte; every so many of them, one begins with a byte.
    let stride = if bits < 8 { 8 } else { 1 };
    let elements_of = |bytes: u64| bytes * 8 / bits / stride * stride;
    let is_small = range.end.saturating_sub(range.start) <= elements_of(WHOLE_BYTES);
    let step = elements_of(if is_small { WHOLE_BYTES } else { READ_BYTES });
    let mut start = range.start;
    while start < range.end {
        let skipped = start % stride;
        let end = range.end.min(start - skipped + step);
        let (first_byte, last_byte) = ((start - skipped) * bits / 8, (end * bits).div_ceil(8));
        let flow = with_buffer(last_byte - first_byte, |buffer| {
            file.read_at(offset + first_byte, buffer)?;
            let elements = in_memory(skipped)
                .zip(in_memory(end - start))
                .and_then(|(skipped, len)| Elements::from_bytes(dtype, buffer, skipped, len));
            let elements = elements.ok_or_else(|| Error::malformed("the bytes read are no elements"))?;
            Ok(sink.block(Block { start, elements }))
        })?;
        if flow.is_break() {
            return Ok(flow);
        }
        start = end;
    }
    Ok(ControlFlow::Continue(()))
}

/// Runs `work` with a buffer of `len` bytes that is aligned for every element, and that the thread keeps.
pub(crate) fn with_buffer<R>(len: u64, work: impl FnOnce(&mut [u8]) -> Result<R>) -> Result<R> {
    thread_local! {
        static BUFFER: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }
    let len = in_memory(len).ok_or_else(|| Error::limit("more than this machine's memory"))?;
    // Taken out, not borrowed: a sink may well read from another source.
    let mut words = BUFFER.take();
    if words.len() < len.div_ceil(8) {
        words.resize(len.div_ceil(8), 0);
    }
    let result = work(&mut bytemuck::cast_slice_mut(&mut words)[..len]);
    BUFFER.set(words);
    result
}

fn in_memory(count: u64) -> Option<usize> {
    usize::try_from(count).ok()
}
