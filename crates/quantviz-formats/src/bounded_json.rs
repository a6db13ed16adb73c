//! Objects of JSON that may hold so much and no more, and no key twice.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use quantviz_core::Error;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::Limits;

/// What an object was refused for: readers of JSON have no errors but their own, which know of no limits.
#[derive(Debug, Default)]
pub(crate) struct Refusal(Option<(String, &'static str)>);

impl Refusal {
    /// The error that ends the reading, for a limit of this name.
    pub(crate) fn over<E: serde::de::Error>(&mut self, limit: &'static str, message: impl Into<String>) -> E {
        let message = message.into();
        let error = E::custom(&message);
        self.0 = Some((message, limit));
        error
    }

    /// What ended the reading: a limit, or else what the reader of JSON says.
    pub(crate) fn or_else(self, malformed: impl FnOnce() -> Error) -> Error {
        self.0.map_or_else(malformed, |(message, limit)| Error::limit(message).of_limit(limit))
    }
}

/// An object of texts.
pub(crate) struct Texts<'a, V> {
    /// What it is, for errors.
    what: &'static str,
    /// How many there may be, and the name of that limit.
    entries: (usize, &'static str),
    /// Of keys and values, likewise.
    bytes: (usize, &'static str),
    refusal: &'a mut Refusal,
    values: PhantomData<V>,
}

impl<'a, V> Texts<'a, V> {
    /// What a model says of itself.
    pub(crate) fn metadata(limits: &Limits, refusal: &'a mut Refusal) -> Self {
        let (entries, bytes) = ((limits.metadata, "metadata"), (limits.metadata_bytes, "metadata_bytes"));
        Texts { what: "the metadata", entries, bytes, refusal, values: PhantomData }
    }

    /// Which file has which tensor. Models that have such an index are large, and it does not tell how large.
    pub(crate) fn tensors(limits: &Limits, refusal: &'a mut Refusal) -> Self {
        let entries = (limits.tensors.saturating_mul(4), "tensors");
        let bytes = (limits.name_bytes.saturating_mul(8), "name_bytes");
        Texts { what: "the index", entries, bytes, refusal, values: PhantomData }
    }
}

impl<'de, V: Deserialize<'de> + Into<String>> DeserializeSeed<'de> for Texts<'_, V> {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, V: Deserialize<'de> + Into<String>> Visitor<'de> for Texts<'_, V> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object: {}", self.what)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Texts { what, entries, bytes, refusal, .. } = self;
        let mut texts = BTreeMap::new();
        let mut taken = 0;
        while let Some(key) = map.next_key::<String>()? {
            let value: String = map.next_value::<V>()?.into();
            taken += key.len() + value.len();
            if texts.len() == entries.0 {
                return Err(refusal.over(entries.1, format!("{what} has more than {} entries", entries.0)));
            }
            if taken > bytes.0 {
                return Err(refusal.over(bytes.1, format!("{what} has more than {} bytes", bytes.0)));
            }
            if texts.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key:?} comes twice")));
            }
            texts.insert(key, value);
        }
        Ok(texts)
    }
}

/// Any value as text: strings as they are, and of lists and objects that they are there.
pub(crate) struct AnyText(String);

impl From<AnyText> for String {
    fn from(text: AnyText) -> String {
        text.0
    }
}

impl<'de> Deserialize<'de> for AnyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTextVisitor).map(AnyText)
    }
}

struct AnyTextVisitor;

impl<'de> Visitor<'de> for AnyTextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok("[…]".to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok("{…}".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<V: for<'de> Deserialize<'de> + Into<String>>(json: &str) -> Result<Vec<String>, String> {
        let mut refusal = Refusal::default();
        let limits = Limits { metadata: 2, metadata_bytes: 12, ..Limits::default() };
        let seed = Texts::<V>::metadata(&limits, &mut refusal);
        let texts = seed.deserialize(&mut serde_json::Deserializer::from_str(json));
        let texts =
            texts.map_err(|error| refusal.or_else(|| Error::malformed(error.to_string())).to_string())?;
        Ok(texts.into_iter().map(|(key, value)| format!("{key}={value}")).collect())
    }

    #[test]
    fn values_of_any_kind() {
        assert_eq!(read::<String>(r#"{"a":"b","c":"d"}"#).expect("two texts"), ["a=b", "c=d"]);
        assert_eq!(read::<AnyText>(r#"{"a":-1,"c":[[7]]}"#).expect("two values"), ["a=-1", "c=[…]"]);
        assert_eq!(read::<AnyText>(r#"{"a":true,"c":{"d":1}}"#).expect("two values"), ["a=true", "c={…}"]);
        assert_eq!(read::<AnyText>(r#"{"a":null,"c":0.5}"#).expect("two values"), ["a=null", "c=0.5"]);
    }

    #[test]
    fn too_much() {
        let refused = |json| read::<String>(json).expect_err("it is too much");
        assert_eq!(refused(r#"{"a":"","b":"","c":""}"#), "the metadata has more than 2 entries");
        assert_eq!(refused(r#"{"a":"0123456789ab"}"#), "the metadata has more than 12 bytes");
        assert!(refused(r#"{"a":"","a":""}"#).contains("\"a\" comes twice"));
        assert!(refused(r#"{"a":1}"#).contains("expected a string"));
        assert!(refused("[]").contains("expected an object: the metadata"));
    }
}
