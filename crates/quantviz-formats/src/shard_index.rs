//! What an index of shards says: which file has which tensor.

use std::collections::BTreeMap;
use std::fmt;

use quantviz_core::{Error, Result};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::Limits;
use crate::bounded_json::{AnyText, Refusal, Texts};
use crate::file::ModelFile;

/// An index, read.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) metadata: BTreeMap<String, String>,
    /// The file of each tensor.
    pub(crate) weight_map: BTreeMap<String, String>,
}

impl Index {
    pub(crate) fn read(file: &ModelFile, limits: &Limits) -> Result<Self> {
        let bytes = file.read_all(limits.header_bytes)?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let mut refusal = Refusal::default();
        let seed = IndexSeed { limits, refusal: &mut refusal };
        seed.deserialize(&mut json).and_then(|index| json.end().map(|()| index)).map_err(|error| {
            let malformed =
                || Error::malformed(format!("the index does not tell where tensors are: {error}"));
            refusal.or_else(malformed).in_file(file.path())
        })
    }
}

struct IndexSeed<'a> {
    limits: &'a Limits,
    refusal: &'a mut Refusal,
}

impl<'de> DeserializeSeed<'de> for IndexSeed<'_> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed<'_> {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Index, A::Error> {
        let IndexSeed { limits, refusal } = self;
        let mut metadata = None;
        let mut weight_map = None;
        while let Some(key) = map.next_key::<String>()? {
            let is_second = match key.as_str() {
                "metadata" => {
                    let texts = Texts::<AnyText>::metadata(limits, refusal);
                    metadata.replace(map.next_value_seed(texts)?).is_some()
                }
                "weight_map" => {
                    let texts = Texts::<String>::tensors(limits, refusal);
                    weight_map.replace(map.next_value_seed(texts)?).is_some()
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if is_second {
                return Err(A::Error::custom(format_args!("{key} comes twice")));
            }
        }
        Ok(Index {
            metadata: metadata.unwrap_or_default(),
            weight_map: weight_map.ok_or_else(|| A::Error::missing_field("weight_map"))?,
        })
    }
}
