//! How large the files are that a graph keeps its weights in, found without keeping anything of the graph.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use quantviz_core::{Error, Result};

use super::protobuf::{Cursor, Wire};
use super::wire::{Action, Message};
use crate::Limits;
use crate::confined::{beside, refuse_link_out};
use crate::file::ModelFile;

/// Names that are looked for: a file may hold millions, and each costs a question to the system.
const MOST_NAMES: usize = 1 << 16;
/// Bytes of a name that a file can have, with the folders it is in.
const LONGEST_NAME: u64 = 4096;

/// The bytes of all files beside a model that its tensors name.
pub(super) fn bytes(model: &ModelFile, limits: &Limits) -> Result<u64> {
    let seen = HashSet::from([model.path().to_owned()]);
    let mut search =
        Search { model, limits, cursor: Cursor::new(model), names: HashSet::new(), seen, bytes: 0 };
    search.message(Message::Model, model.len(), 0)?;
    Ok(search.bytes)
}

struct Search<'a> {
    model: &'a ModelFile,
    limits: &'a Limits,
    cursor: Cursor<'a>,
    names: HashSet<Vec<u8>>,
    seen: HashSet<PathBuf>,
    bytes: u64,
}

impl Search<'_> {
    fn message(&mut self, message: Message, end: u64, depth: usize) -> Result<()> {
        if depth > self.limits.depth {
            return Err(Error::limit("messages are nested too deep").of_limit("depth"));
        }
        while self.cursor.position < end {
            let (field, wire_type) = self.cursor.tag(end)?;
            let wire = self.cursor.wire(wire_type, end)?;
            match (message.action(field), wire) {
                (Action::Enter(Message::Entry), Wire::Bytes(len)) if message == Message::Tensor => {
                    self.entry(self.cursor.position + len)?;
                }
                (Action::Enter(inner), Wire::Bytes(len)) => {
                    self.message(inner, self.cursor.position + len, depth + 1)?;
                }
                _ => self.cursor.pass(wire),
            }
        }
        Ok(())
    }

    /// A key and a value of `external_data`.
    fn entry(&mut self, end: u64) -> Result<()> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while self.cursor.position < end {
            let (field, wire_type) = self.cursor.tag(end)?;
            match (field, self.cursor.wire(wire_type, end)?) {
                (1, Wire::Bytes(len @ ..=LONGEST_NAME)) => self.cursor.append(len, &mut key)?,
                (2, Wire::Bytes(len @ ..=LONGEST_NAME)) => self.cursor.append(len, &mut value)?,
                (_, wire) => self.cursor.pass(wire),
            }
        }
        if key == b"location" && self.names.len() < MOST_NAMES && !self.names.contains(&value) {
            self.look_for(&value);
            self.names.insert(value);
        }
        Ok(())
    }

    fn look_for(&mut self, name: &[u8]) {
        let path = std::str::from_utf8(name).ok().and_then(|name| beside(self.model.path(), name).ok());
        let Some(path) = path.filter(|path| !self.seen.contains(path)) else { return };
        let is_inside = || refuse_link_out(self.model.path(), &path).is_ok();
        if let Some(file) = fs::metadata(&path).ok().filter(|it| it.is_file() && is_inside()) {
            self.bytes = self.bytes.saturating_add(file.len());
            self.seen.insert(path);
        }
    }
}
