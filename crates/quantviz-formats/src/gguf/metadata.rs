//! The keys and values at the beginning of a file: scalars and strings as text, arrays as how much there is of what.

use std::collections::BTreeMap;

use quantviz_core::{Error, Result};

use super::cursor::Cursor;
use crate::Limits;

/// What a file says of itself, and what it says to its readers.
pub(super) struct Metadata {
    pub(super) texts: BTreeMap<String, String>,
    /// The data begins at a multiple of this, and so does every tensor in it.
    pub(super) alignment: u64,
}

const ALIGNMENT: &str = "general.alignment";
const USUAL_ALIGNMENT: u64 = 32;

/// A key without a letter, the type of the value, and a value of one byte.
const LEAST_ENTRY_BYTES: u64 = 8 + 4 + 1;

const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A type of values that all take the same number of bytes.
struct Scalar {
    id: u32,
    name: &'static str,
    bytes: usize,
    /// What the little-endian bytes say.
    text: fn(u64) -> String,
}

const SCALARS: &[Scalar] = &[
    Scalar { id: 0, name: "u8", bytes: 1, text: |bits| (bits as u8).to_string() },
    Scalar { id: 1, name: "i8", bytes: 1, text: |bits| (bits as i8).to_string() },
    Scalar { id: 2, name: "u16", bytes: 2, text: |bits| (bits as u16).to_string() },
    Scalar { id: 3, name: "i16", bytes: 2, text: |bits| (bits as i16).to_string() },
    Scalar { id: U32, name: "u32", bytes: 4, text: |bits| (bits as u32).to_string() },
    Scalar { id: 5, name: "i32", bytes: 4, text: |bits| (bits as i32).to_string() },
    Scalar { id: 6, name: "f32", bytes: 4, text: |bits| f32::from_bits(bits as u32).to_string() },
    Scalar { id: 7, name: "bool", bytes: 1, text: |bits| (bits != 0).to_string() },
    Scalar { id: 10, name: "u64", bytes: 8, text: |bits| bits.to_string() },
    Scalar { id: 11, name: "i64", bytes: 8, text: |bits| (bits as i64).to_string() },
    Scalar { id: 12, name: "f64", bytes: 8, text: |bits| f64::from_bits(bits).to_string() },
];

impl Metadata {
    pub(super) fn read(cursor: &mut Cursor<'_>, count: u64, limits: &Limits) -> Result<Self> {
        if count > limits.metadata as u64 {
            let message = format!("{count} entries of metadata are over the limit of {}", limits.metadata);
            return Err(cursor.beyond_limit(message).of_limit("metadata"));
        }
        cursor.expect(count, LEAST_ENTRY_BYTES, "entries of metadata")?;
        let mut metadata = Metadata { texts: BTreeMap::new(), alignment: USUAL_ALIGNMENT };
        let mut bytes = 0;
        for _ in 0..count {
            bytes += metadata.read_entry(cursor, limits)?;
            if bytes > limits.metadata_bytes {
                let message = format!("the metadata has more than {} bytes", limits.metadata_bytes);
                return Err(cursor.beyond_limit(message).of_limit("metadata_bytes"));
            }
        }
        Ok(metadata)
    }

    /// Returns how many bytes there are to keep.
    fn read_entry(&mut self, cursor: &mut Cursor<'_>, limits: &Limits) -> Result<usize> {
        let start = cursor.position();
        let key = String::from_utf8(cursor.string()?);
        let key = key.map_err(|_| Error::malformed("a key is not UTF-8").at_byte(start))?;
        if self.texts.contains_key(&key) {
            return Err(Error::malformed(format!("the metadata has the key {key:?} twice")).at_byte(start));
        }
        let value_type = cursor.u32()?;
        let value = if key == ALIGNMENT {
            self.alignment = read_alignment(cursor, value_type)?;
            self.alignment.to_string()
        } else {
            read_value(cursor, value_type, limits)?
        };
        let bytes = key.len() + value.len();
        self.texts.insert(key, value);
        Ok(bytes)
    }
}

fn read_alignment(cursor: &mut Cursor<'_>, value_type: u32) -> Result<u64> {
    let alignment = if value_type == U32 { cursor.u32()? } else { 0 };
    if !alignment.is_power_of_two() {
        return Err(cursor.malformed(format!("{ALIGNMENT} is not a u32 that is a power of two")));
    }
    Ok(alignment.into())
}

fn read_value(cursor: &mut Cursor<'_>, value_type: u32, limits: &Limits) -> Result<String> {
    match value_type {
        STRING => {
            let text = String::from_utf8(cursor.string()?);
            Ok(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
        }
        ARRAY => skip_array(cursor, limits.depth),
        _ => {
            let scalar = scalar(cursor, value_type)?;
            cursor.number(scalar.bytes).map(scalar.text)
        }
    }
}

/// Passes over an array, and says what it holds.
fn skip_array(cursor: &mut Cursor<'_>, depth: usize) -> Result<String> {
    let deeper = depth
        .checked_sub(1)
        .ok_or_else(|| cursor.beyond_limit("arrays are nested too deep").of_limit("depth"))?;
    let (item_type, count) = (cursor.u32()?, cursor.u64()?);
    let items = match item_type {
        STRING => {
            cursor.expect(count, 8, "strings")?;
            (0..count).try_for_each(|_| cursor.skip_string())?;
            "strings"
        }
        ARRAY => {
            cursor.expect(count, 4 + 8, "arrays")?;
            (0..count).try_for_each(|_| skip_array(cursor, deeper).map(drop))?;
            "arrays"
        }
        _ => {
            let scalar = scalar(cursor, item_type)?;
            cursor.expect(count, scalar.bytes as u64, scalar.name)?;
            cursor.skip(count * scalar.bytes as u64)?;
            scalar.name
        }
    };
    Ok(format!("[{count} {items}]"))
}

fn scalar(cursor: &Cursor<'_>, value_type: u32) -> Result<&'static Scalar> {
    let unknown = || cursor.malformed(format!("a value has the unknown type {value_type}"));
    SCALARS.iter().find(|scalar| scalar.id == value_type).ok_or_else(unknown)
}
