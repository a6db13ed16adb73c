//! The names of sessions, of those who write them, and of what they write.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of a session: letters, digits, `.`, `_` and `-`, so that it can be a folder, a part of an address, and typed.
///
/// ```
/// use quantviz_core::SessionId;
///
/// let id: SessionId = "shakespeare-2026.11".parse()?;
/// assert_eq!(id.as_str(), "shakespeare-2026.11");
/// assert!("../etc".parse::<SessionId>().is_err());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// The longest name of a session.
const LONGEST: usize = 100;

impl SessionId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let is_allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
        let reason = match name.len() {
            0 => "it is empty".to_owned(),
            len if len > LONGEST => format!("it is longer than {LONGEST} characters"),
            // Hidden files and folders, and those that mean other folders.
            _ if name.starts_with('.') => "it begins with a dot".to_owned(),
            _ => match name.chars().find(|&it| !is_allowed(it)) {
                Some(odd) => format!("{odd:?} is none of letters, digits, '.', '_' and '-'"),
                None => return Ok(SessionId(name.to_owned())),
            },
        };
        Err(Error::malformed(format!("{name:?} cannot name a session: {reason}")))
    }
}

impl TryFrom<String> for SessionId {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of several processes that train one model together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank {
    index: u32,
    of: u32,
}

impl Rank {
    /// The only one.
    pub const ONLY: Rank = Rank { index: 0, of: 1 };
    /// The most that train together.
    const MOST: u32 = 1 << 16;

    /// The one with an index, counted from zero, of so many.
    pub fn new(index: u32, of: u32) -> Result<Self> {
        if index < of && of <= Self::MOST {
            Ok(Rank { index, of })
        } else {
            Err(Error::malformed(format!(
                "there is no rank {index} of {of}, counted from 0 to {}",
                Self::MOST - 1
            )))
        }
    }

    /// Which one, counted from zero.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of
    }
}

/// Where a record stands in its session. Those of one rank are in the order in which they were written.
///
/// ```
/// use quantviz_core::RecordId;
///
/// let id = RecordId { rank: 0, epoch: 2, seq: 17 };
/// assert_eq!(id.to_string(), "0-2-17");
/// assert_eq!("0-2-17".parse::<RecordId>()?, id);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The index of the rank that wrote it.
    pub rank: u32,
    /// How often that rank had started or resumed by then, the first time included.
    pub epoch: u32,
    /// The place within the epoch; some may be missing.
    pub seq: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.rank, self.epoch, self.seq)
    }
}

impl FromStr for RecordId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.split('-');
            let id = RecordId {
                rank: parts.next()?.parse().ok()?,
                epoch: parts.next()?.parse().ok()?,
                seq: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(id)
        };
        parse().ok_or_else(|| Error::malformed(format!("{text:?} names no record; 0-1-17 would")))
    }
}

/// How far somebody has read a session: up to which record of each rank. Ranks write without asking each other, and their
/// clocks differ, so there is no order among records of different ranks.
///
/// ```
/// use quantviz_core::{Cursor, RecordId};
///
/// let mut cursor = Cursor::default();
/// cursor.pass(RecordId { rank: 1, epoch: 1, seq: 3 });
/// assert!(cursor.is_behind(RecordId { rank: 1, epoch: 1, seq: 4 }));
/// assert!(cursor.is_behind(RecordId { rank: 0, epoch: 1, seq: 0 }));
/// assert!(!cursor.is_behind(RecordId { rank: 1, epoch: 1, seq: 3 }));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(BTreeMap<u32, (u32, u64)>);

impl Cursor {
    /// Whether a record is still to be read.
    pub fn is_behind(&self, id: RecordId) -> bool {
        self.0.get(&id.rank).is_none_or(|&read| read < (id.epoch, id.seq))
    }

    /// Notes that a record, and all before it of its rank, were read.
    pub fn pass(&mut self, id: RecordId) {
        if self.is_behind(id) {
            self.0.insert(id.rank, (id.epoch, id.seq));
        }
    }

    /// The last record of a rank that was read.
    pub fn of(&self, rank: u32) -> Option<RecordId> {
        self.0.get(&rank).map(|&(epoch, seq)| RecordId { rank, epoch, seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_refused() {
        for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\0", &"x".repeat(101)] {
            let error = name.parse::<SessionId>().expect_err(name).to_string();
            assert!(error.contains("cannot name a session") && !error.contains('\n'), "{error}");
        }
        for name in ["a", "2026-11-27_13.05", "CON", "-", &"x".repeat(100)] {
            assert_eq!(name.parse::<SessionId>().expect(name).to_string(), name);
        }
    }

    #[test]
    fn ranks_that_are_none() {
        assert!(Rank::new(0, 0).is_err() && Rank::new(2, 2).is_err() && Rank::new(0, u32::MAX).is_err());
        assert_eq!(Rank::new(0, 1).expect("the only one"), Rank::ONLY);
    }

    #[test]
    fn texts_that_name_no_record() {
        for text in ["", "1", "1-2", "1-2-3-4", "a-b-c", "1-2-", "-1-2-3", "1-2-99999999999999999999"] {
            assert!(text.parse::<RecordId>().is_err(), "{text}");
        }
    }
}
