//! Elements that lie in a file just as they are stored in memory: one after the other, little-endian.

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};

use quantviz_core::{Block, DType, Elements, Error, Result, Sink};

use crate::file::{FileId, ModelFile};

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
const READ_BYTES: u64 = 1 << 18;
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
    // Numbers of more than 16 bits are looked at twice.
    let is_whole = bits > 16 && range.end.saturating_sub(range.start) <= elements_of(WHOLE_BYTES);
    let step = elements_of(if is_whole { WHOLE_BYTES } else { READ_BYTES });
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
    let mut kept = KEPT.take();
    kept.of = None;
    let result = kept.bytes(len).and_then(work);
    KEPT.set(kept);
    result
}

/// Runs `work` with the bytes of a file, which are read unless the thread still keeps them: what lies between one another
/// is read once for all parts of a tensor.
pub(crate) fn with_bytes<R>(
    file: &ModelFile,
    range: Range<u64>,
    work: impl FnOnce(&[u8]) -> Result<R>,
) -> Result<R> {
    let mut kept = KEPT.take();
    let asked = (file.id(), range.clone());
    let is_there = kept.of.take() == Some(asked.clone());
    let result = kept.bytes(range.end - range.start).and_then(|bytes| {
        if !is_there {
            file.read_at(range.start, bytes)?;
        }
        work(bytes)
    });
    kept.of = result.is_ok().then_some(asked);
    KEPT.set(kept);
    result
}

thread_local! {
    /// Taken out, not borrowed, by whoever works with it: a sink may well read from another source.
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { words: Vec::new(), of: None }) };
}

/// The buffer that a thread keeps.
#[derive(Default)]
struct Kept {
    words: Vec<u64>,
    /// What part of which file is in it, if that is known.
    of: Option<(FileId, Range<u64>)>,
}

impl Kept {
    fn bytes(&mut self, len: u64) -> Result<&mut [u8]> {
        let len = in_memory(len).ok_or_else(|| Error::limit("more than this machine's memory"))?;
        if self.words.len() < len.div_ceil(8) {
            self.words.resize(len.div_ceil(8), 0);
        }
        Ok(&mut bytemuck::cast_slice_mut(&mut self.words)[..len])
    }
}

fn in_memory(count: u64) -> Option<usize> {
    usize::try_from(count).ok()
}
