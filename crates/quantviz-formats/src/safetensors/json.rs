//! The JSON of a header, entry by entry: no duplicate is lost, and nothing is kept that is more than it may be.

use std::fmt;

use quantviz_core::{DType, Error, Result, Shape, one_line};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::header::{Entry, Header};
use crate::Limits;
use crate::bounded_json::{Refusal, Texts};

/// The names that the format has for dtypes.
const DTYPES: &[(&str, DType)] = &[
    ("F64", DType::F64),
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::Bf16),
    ("F8_E4M3", DType::F8E4M3Fn),
    ("F8_E4M3FNUZ", DType::F8E4M3FnUz),
    ("F8_E5M2", DType::F8E5M2),
    ("F8_E5M2FNUZ", DType::F8E5M2FnUz),
    ("F8_E8M0", DType::F8E8M0),
    ("F6_E2M3", DType::F6E2M3),
    ("F6_E3M2", DType::F6E3M2),
    ("F4", DType::F4E2M1),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("I16", DType::I16),
    ("I8", DType::I8),
    ("U64", DType::U64),
    ("U32", DType::U32),
    ("U16", DType::U16),
    ("U8", DType::U8),
    ("BOOL", DType::Bool),
    ("C64", DType::C64),
];

pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Header> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut header = Header::default();
    let mut refusal = Refusal::default();
    let seed = HeaderSeed { header: &mut header, limits, refusal: &mut refusal };
    match seed.deserialize(&mut json).and_then(|()| json.end()) {
        Ok(()) => Ok(header),
        Err(error) => Err(refusal.or_else(|| {
            // The reader of JSON counts lines; headers have one.
            let offset = if error.line() == 1 { 8 + error.column().saturating_sub(1) } else { 8 };
            let message = format!("the header is not what safetensors has: {error}");
            Error::malformed(message).at_byte(offset as u64)
        })),
    }
}

struct HeaderSeed<'a> {
    header: &'a mut Header,
    limits: &'a Limits,
    refusal: &'a mut Refusal,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for every tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let HeaderSeed { header, limits, refusal } = self;
        let mut metadata_seen = false;
        let mut name_bytes = 0;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if metadata_seen {
                    return Err(A::Error::custom("__metadata__ comes twice"));
                }
                metadata_seen = true;
                header.metadata = map.next_value_seed(Texts::<String>::metadata(limits, refusal))?;
                continue;
            }
            name_bytes += name.len();
            if name_bytes > limits.name_bytes {
                return Err(
                    refusal.over("name_bytes", format!("names of more than {} bytes", limits.name_bytes))
                );
            }
            if header.tensors.len() == limits.tensors {
                return Err(refusal.over("tensors", format!("more than {} tensors", limits.tensors)));
            }
            let entry = EntrySeed { limits, refusal };
            header.tensors.push(Entry { name, ..map.next_value_seed(entry)? });
        }
        Ok(())
    }
}

/// One tensor, still without its name.
struct EntrySeed<'a> {
    limits: &'a Limits,
    refusal: &'a mut Refusal,
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let EntrySeed { limits, refusal } = self;
        let (mut dtype, mut shape, mut offsets) = (None::<String>, None, None::<[u64; 2]>);
        while let Some(key) = map.next_key::<String>()? {
            let is_second = match key.as_str() {
                "dtype" => dtype.replace(map.next_value()?).is_some(),
                "shape" => shape.replace(map.next_value_seed(DimsSeed { limits, refusal })?).is_some(),
                "data_offsets" => offsets.replace(map.next_value()?).is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if is_second {
                return Err(A::Error::custom(format_args!("{key} comes twice")));
            }
        }
        let spelling = dtype.ok_or_else(|| A::Error::missing_field("dtype"))?;
        let dims = shape.ok_or_else(|| A::Error::missing_field("shape"))?;
        let [begin, end] = offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?;
        let known = DTYPES.iter().find(|(known, _)| *known == spelling).map(|(_, dtype)| *dtype);
        Ok(Entry {
            name: String::new(),
            dtype: known.unwrap_or(DType::Unknown),
            dtype_name: if known.is_some() { String::new() } else { one_line(&spelling) },
            shape: Shape::new(dims).map_err(A::Error::custom)?,
            begin,
            end,
        })
    }
}

struct DimsSeed<'a> {
    limits: &'a Limits,
    refusal: &'a mut Refusal,
}

impl<'de> DeserializeSeed<'de> for DimsSeed<'_> {
    type Value = Vec<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u64>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for DimsSeed<'_> {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
        let mut dims = Vec::new();
        while let Some(dim) = list.next_element()? {
            if dims.len() == self.limits.rank {
                return Err(self.refusal.over("rank", format!("more than {} dimensions", self.limits.rank)));
            }
            dims.push(dim);
        }
        Ok(dims)
    }
}
