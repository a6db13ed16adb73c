//! Named arrays in one piece of bytes: a safetensors file, so that every reader of those opens what was recorded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use half::bf16;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{DType, Error, Result};

/// The key of the metadata that holds everything that is no array, as JSON.
const KEY: &str = "quantviz";
/// Data begins at a multiple of this, and arrays come by the width of their elements, so that views are aligned.
const ALIGNMENT: usize = 8;

/// A type of which there are arrays here.
pub trait ArrayElement: bytemuck::Pod {
    /// What safetensors calls it.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty: $dtype:ident),*) => {$(
        impl ArrayElement for $type {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}

elements!(f32: F32, u32: U32, u64: U64, bf16: Bf16, u16: U16, i16: I16, u8: U8);

/// Whether an array is worth keeping when the rest of a snapshot is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Track {
    /// It is: statistics.
    Light,
    /// It is not: samples, thumbnails, positions.
    Heavy,
}

/// Arrays on their way into bytes.
#[derive(Debug, Default)]
pub struct ArrayWriter {
    arrays: Vec<NewArray>,
}

#[derive(Debug)]
struct NewArray {
    name: String,
    dtype: DType,
    width: usize,
    shape: Vec<usize>,
    track: Track,
    bytes: Vec<u8>,
}

/// Arrays in bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WrittenArrays {
    /// All of it.
    pub bytes: Vec<u8>,
    /// How many bytes at the beginning hold the header and all arrays of the light track.
    pub summary_len: u64,
    /// The bytes before the first array.
    pub header_len: u64,
}

impl ArrayWriter {
    /// Adds an array.
    ///
    /// # Panics
    /// Where the shape does not have as many elements.
    pub fn push<T: ArrayElement>(
        &mut self,
        track: Track,
        name: impl Into<String>,
        shape: &[usize],
        values: &[T],
    ) {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "as many elements as its shape says");
        self.arrays.push(NewArray {
            name: name.into(),
            dtype: T::DTYPE,
            width: size_of::<T>(),
            shape: shape.to_vec(),
            track,
            bytes: bytemuck::cast_slice(values).to_vec(),
        });
    }

    /// How many arrays there are.
    pub fn len(&self) -> usize {
        self.arrays.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.arrays.is_empty()
    }

    /// The bytes that the arrays take.
    pub fn data_len(&self) -> usize {
        self.arrays.iter().map(|array| array.bytes.len()).sum()
    }

    /// Everything in bytes: the widest elements first, and among equals those of the light track.
    pub fn finish(mut self, metadata: &impl Serialize) -> Result<WrittenArrays> {
        self.arrays.sort_by_key(|array| (std::cmp::Reverse(array.width), array.track));
        let unwritable = |error: serde_json::Error| Error::malformed(format!("cannot be written: {error}"));
        let mut header = serde_json::Map::new();
        let metadata = serde_json::to_string(metadata).map_err(unwritable)?;
        header.insert("__metadata__".into(), serde_json::json!({ KEY: metadata }));
        let mut end = 0;
        let mut light_end = 0;
        for array in &self.arrays {
            let begin = end;
            end += array.bytes.len();
            if array.track == Track::Light {
                light_end = end;
            }
            let slot = serde_json::json!({
                "dtype": safetensors_name(array.dtype), "shape": array.shape, "data_offsets": [begin, end]
            });
            header.insert(array.name.clone(), slot);
        }
        let mut header = serde_json::to_vec(&header).map_err(unwritable)?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        let mut bytes = Vec::with_capacity(ALIGNMENT + header.len() + end);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.append(&mut header);
        let header_len = bytes.len();
        self.arrays.iter().for_each(|array| bytes.extend_from_slice(&array.bytes));
        Ok(WrittenArrays {
            bytes,
            summary_len: (header_len + light_end) as u64,
            header_len: header_len as u64,
        })
    }
}

fn safetensors_name(dtype: DType) -> &'static str {
    match dtype {
        DType::U64 => "U64",
        DType::U32 => "U32",
        DType::Bf16 => "BF16",
        DType::U16 => "U16",
        DType::I16 => "I16",
        DType::U8 => "U8",
        _ => "F32",
    }
}

/// Arrays that were read. Of bytes that end early, as those of a summary do, the arrays that are there whole are there.
#[derive(Clone, Debug)]
pub struct Arrays {
    bytes: Arc<[u8]>,
    slots: BTreeMap<String, ArraySlot>,
    metadata: String,
}

/// Where in the bytes an array is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArraySlot {
    /// What safetensors calls its elements.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its place.
    pub bytes: Range<usize>,
}

/// What the header says. A history is made of thousands of these, so nothing of it is looked at twice.
#[derive(Default)]
struct RawHeader {
    slots: Vec<(String, RawSlot)>,
    metadata: serde_json::Value,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RawHeader::default())
    }
}

impl<'de> Visitor<'de> for RawHeader {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arrays by name")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut header: M) -> std::result::Result<RawHeader, M::Error> {
        while let Some(name) = header.next_key::<String>()? {
            match name.as_str() {
                "__metadata__" => self.metadata = header.next_value()?,
                _ => self.slots.push((name, header.next_value()?)),
            }
        }
        Ok(self)
    }
}

#[derive(Deserialize)]
struct RawSlot {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Arrays {
    /// What is in the bytes of a safetensors file, or in their beginning.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let len = bytes.first_chunk().map(|len| u64::from_le_bytes(*len));
        let len = len.and_then(|len| usize::try_from(len).ok()).and_then(|len| len.checked_add(ALIGNMENT));
        let data = len.filter(|&len| len <= bytes.len());
        let data = data.ok_or_else(|| Error::malformed("it ends within its header").at_byte(0))?;
        let odd = |error: serde_json::Error| {
            Error::malformed(format!("its header is no JSON: {error}")).at_byte(ALIGNMENT as u64)
        };
        let header: RawHeader = serde_json::from_slice(&bytes[ALIGNMENT..data]).map_err(odd)?;
        let mut slots = BTreeMap::new();
        for (name, raw) in header.slots {
            let slot = raw.checked(data).ok_or_else(|| {
                Error::malformed("its shape, its type and its place contradict each other").in_tensor(&name)
            })?;
            slots.insert(name, slot);
        }
        let metadata = header.metadata.get(KEY).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
        Ok(Arrays { bytes, slots, metadata })
    }

    /// What is said beside the arrays.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<T> {
        if self.metadata.is_empty() {
            return Err(Error::malformed(format!(
                "its metadata has no {KEY:?}: quantviz has not written it"
            )));
        }
        let odd = |error| Error::malformed(format!("its metadata {KEY:?}: {error}"));
        serde_json::from_str(&self.metadata).map_err(odd)
    }

    /// The names of all arrays, those beyond the end of the bytes included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Where an array is.
    pub fn slot(&self, name: &str) -> Option<&ArraySlot> {
        self.slots.get(name)
    }

    /// The elements of an array; `None` where there is none of this name and type.
    pub fn get<T: ArrayElement>(&self, name: &str) -> Option<Cow<'_, [T]>> {
        let slot = self.slots.get(name).filter(|slot| slot.dtype == safetensors_name(T::DTYPE))?;
        let bytes = self.bytes.get(slot.bytes.clone())?;
        Some(match bytemuck::try_cast_slice(bytes) {
            Ok(slice) => Cow::Borrowed(slice),
            Err(_) => {
                Cow::Owned(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
            }
        })
    }

    /// The elements of an array of any type, as numbers.
    pub fn numbers(&self, name: &str) -> Option<Vec<f32>> {
        let slot = self.slots.get(name)?;
        match slot.dtype.as_str() {
            "F32" => self.get::<f32>(name).map(Cow::into_owned),
            "BF16" => self.get::<bf16>(name).map(|it| it.iter().map(|value| value.to_f32()).collect()),
            #[expect(clippy::cast_precision_loss, reason = "counts and steps, to be shown")]
            "U32" => self.get::<u32>(name).map(|it| it.iter().map(|&value| value as f32).collect()),
            "U16" => self.get::<u16>(name).map(|it| it.iter().map(|&value| f32::from(value)).collect()),
            "I16" => self.get::<i16>(name).map(|it| it.iter().map(|&value| f32::from(value)).collect()),
            "U8" => self.get::<u8>(name).map(|it| it.iter().map(|&value| f32::from(value)).collect()),
            _ => None,
        }
    }

    /// The same with all digits, which the steps of a long run need.
    pub fn wide_numbers(&self, name: &str) -> Option<Vec<f64>> {
        let widened = |numbers: Vec<f32>| numbers.into_iter().map(f64::from).collect();
        match self.slots.get(name)?.dtype.as_str() {
            "U32" => self.get::<u32>(name).map(|it| it.iter().map(|&value| f64::from(value)).collect()),
            #[expect(clippy::cast_precision_loss, reason = "nothing has as many steps")]
            "U64" => self.get::<u64>(name).map(|it| it.iter().map(|&value| value as f64).collect()),
            _ => self.numbers(name).map(widened),
        }
    }

    /// One element of an array of any type, as a number.
    pub fn number(&self, name: &str, at: usize) -> Option<f32> {
        let slot = self.slots.get(name)?;
        let width = width_of(&slot.dtype)?;
        let begin = slot.bytes.start.checked_add(at.checked_mul(width)?)?;
        let bytes = self.bytes.get(begin..begin + width).filter(|_| begin + width <= slot.bytes.end)?;
        number_of(&slot.dtype, bytes)
    }
}

/// The number that the bytes of one element stand for.
pub(super) fn number_of(dtype: &str, bytes: &[u8]) -> Option<f32> {
    Some(match (dtype, bytes) {
        ("F32", &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        #[expect(clippy::cast_precision_loss, reason = "counts and steps, to be shown")]
        ("U32", &[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as f32,
        ("BF16", &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
        ("U16", &[a, b]) => f32::from(u16::from_le_bytes([a, b])),
        ("I16", &[a, b]) => f32::from(i16::from_le_bytes([a, b])),
        ("U8", &[a]) => f32::from(a),
        _ => return None,
    })
}

/// The bytes of an element.
pub(super) fn width_of(dtype: &str) -> Option<usize> {
    Some(match dtype {
        "U64" => 8,
        "F32" | "U32" => 4,
        "BF16" | "U16" | "I16" => 2,
        "U8" => 1,
        _ => return None,
    })
}

impl RawSlot {
    fn checked(self, data: usize) -> Option<ArraySlot> {
        let elements = self.shape.iter().try_fold(1usize, |product, &len| product.checked_mul(len))?;
        let (begin, end) = self.data_offsets;
        let is_right = match width_of(&self.dtype) {
            Some(width) => begin.checked_add(elements.checked_mul(width)?)? == end,
            // A later version may have more types; they are simply not read.
            None => begin <= end,
        };
        let bytes = data.checked_add(begin)?..data.checked_add(end)?;
        is_right.then_some(ArraySlot { dtype: self.dtype, shape: self.shape, bytes })
    }
}
