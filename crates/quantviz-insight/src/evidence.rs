//! The numbers behind a finding.

use serde::{Serialize, Serializer};

/// A number or a word.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Fact {
    /// How many.
    Count(u64),
    /// How much; JSON has no word for what is not finite and says `null`.
    Number(f64),
    /// What.
    Text(String),
}

impl From<u64> for Fact {
    fn from(count: u64) -> Self {
        Fact::Count(count)
    }
}

impl From<f64> for Fact {
    fn from(number: f64) -> Self {
        Fact::Number(number)
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Fact::Text(text)
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Fact::Text(text.to_owned())
    }
}

/// A few named facts, in the order in which they are best read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence(Vec<(&'static str, Fact)>);

impl Evidence {
    pub(crate) fn new() -> Self {
        Evidence::default()
    }

    pub(crate) fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        self.0.push((name, fact.into()));
        self
    }

    /// The fact of this name.
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Fact)> {
        self.0.iter().map(|(name, fact)| (*name, fact))
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
