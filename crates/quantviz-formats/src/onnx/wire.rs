//! A walk over the protobuf bytes of an ONNX file that notes where the weights are and copies everything else.
//!
//! The copy is small and bounded, so the protobuf library can parse it whole: a hostile file of a few megabytes would
//! otherwise take hundreds. In the copy, a tensor's `raw_data` is a ticket: the index of its [`Payload`].

use quantviz_core::{Error, Result};

use super::protobuf::{Cursor, LONGEST_VARINT, Wire, put_varint};
use crate::Limits;
use crate::file::ModelFile;

/// Where the elements of a tensor are, as noted by the walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Payload {
    pub(super) raw: Option<Span>,
    pub(super) typed: Vec<TypedSpan>,
}

/// Bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A run of values of one of the fields `float_data`, `int32_data` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypedSpan {
    pub(super) field: u32,
    pub(super) span: Span,
    /// Whether the values follow each other, or each comes with its own tag.
    pub(super) packed: bool,
}

/// The copy without weights, and where the weights are.
#[derive(Debug)]
pub(super) struct Skeleton {
    pub(super) bytes: Vec<u8>,
    pub(super) payloads: Vec<Payload>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Segment,
    ValueInfo,
    Annotation,
    OperatorSet,
    /// A key and a value.
    Entry,
}

/// What the walk does with a field.
pub(super) enum Action {
    /// Copies text.
    Text,
    /// Copies a number.
    Number,
    /// Copies dimensions, packed or not.
    Dims,
    /// Walks over the message inside.
    Enter(Message),
    /// Notes where the values of a tensor are.
    Note,
    /// A list or a text of an attribute: most are skipped, because no rule of ours reads them, and tree ensembles keep
    /// millions of numbers there.
    Value,
    Skip,
}

/// What becomes of the lists of an attribute, as its name tells.
#[derive(Clone, Copy, PartialEq)]
enum Lists {
    Skip,
    Copy,
    /// They are a tensor.
    Note,
}

impl Lists {
    fn of(attribute: &str) -> Self {
        match attribute {
            "perm" | "axes" | "shape" | "rounding_mode" => Lists::Copy,
            "value_ints" | "value_floats" => Lists::Note,
            _ => Lists::Skip,
        }
    }
}

/// Where the copy of an attribute has its ticket, as the copy of a tensor has in its raw data: its text.
const TEXT: u32 = 4;

const RAW_DATA: u32 = 9;
/// The fields of a tensor that the lists of an attribute are like.
pub(super) const FLOAT_DATA: u32 = 4;
pub(super) const INT64_DATA: u32 = 7;

/// Memory that a number takes once it is parsed.
const NUMBER_MEMORY: u64 = 64;
/// Memory that a text takes, and its copy in the layer or the parameter that comes of it, beside their bytes.
const TEXT_MEMORY: u64 = 128;
/// How many times the bytes of a text are in memory at once: here, parsed, and as names.
const TEXT_COPIES: u64 = 4;

impl Message {
    /// Memory that it takes once it is parsed, and the layer or the parameter that it becomes.
    fn memory(self) -> u64 {
        match self {
            Message::Node | Message::Tensor => 1024,
            Message::Entry => 128,
            _ => 512,
        }
    }

    /// The fields of onnx.proto (IR version 14) that matter here; what is not named is skipped.
    pub(super) fn action(self, field: u32) -> Action {
        use Action::{Dims, Enter, Note, Number, Text, Value};
        match (self, field) {
            (Message::Model, 1 | 5) => Number,
            (Message::Model, 2..=4) => Text,
            (Message::Model, 7) => Enter(Message::Graph),
            (Message::Model, 8) => Enter(Message::OperatorSet),
            (Message::Model, 14) => Enter(Message::Entry),
            (Message::Model, 25) => Enter(Message::Function),
            (Message::Function, 1 | 4 | 5 | 10 | 13) => Text,
            (Message::Function, 7) => Enter(Message::Node),
            (Message::Function, 11) => Enter(Message::Attribute),
            (Message::Graph, 1) => Enter(Message::Node),
            (Message::Graph, 2) => Text,
            (Message::Graph, 5) => Enter(Message::Tensor),
            (Message::Graph, 11 | 12) => Enter(Message::ValueInfo),
            (Message::Graph, 14) => Enter(Message::Annotation),
            (Message::Graph, 15) => Enter(Message::SparseTensor),
            (Message::Node, 1..=4 | 7 | 8) => Text,
            (Message::Node, 5) => Enter(Message::Attribute),
            (Message::Attribute, 1 | 21) => Text,
            (Message::Attribute, 2 | 3 | 20) => Number,
            (Message::Attribute, TEXT | 7 | 8) => Value,
            (Message::Attribute, 5 | 10) => Enter(Message::Tensor),
            (Message::Attribute, 6 | 11) => Enter(Message::Graph),
            (Message::Attribute, 22 | 23) => Enter(Message::SparseTensor),
            (Message::Tensor, 1) => Dims,
            (Message::Tensor, 2 | 14) => Number,
            (Message::Tensor, 3) => Enter(Message::Segment),
            (Message::Tensor, 4 | 5 | 7 | RAW_DATA | 10 | 11) => Note,
            (Message::Tensor, 8) => Text,
            (Message::Tensor, 13) => Enter(Message::Entry),
            (Message::SparseTensor, 1 | 2) => Enter(Message::Tensor),
            (Message::SparseTensor, 3) => Dims,
            (Message::ValueInfo, 1) => Text,
            (Message::Annotation, 1) => Text,
            (Message::Annotation, 2) => Enter(Message::Entry),
            (Message::OperatorSet, 1) => Text,
            (Message::OperatorSet, 2) => Number,
            (Message::Entry, 1 | 2) => Text,
            _ => Action::Skip,
        }
    }
}

/// Walks the whole file, which is that of a model of so many bytes.
pub(super) fn skeleton(file: &ModelFile, model_bytes: u64, limits: &Limits) -> Result<Skeleton> {
    let mut walk = Walk {
        cursor: Cursor::new(file),
        limits,
        items: 0,
        memory: 0,
        room: limits.graph_memory.saturating_add(model_bytes),
        skeleton: Skeleton { bytes: Vec::new(), payloads: Vec::new() },
    };
    walk.message(Message::Model, file.len(), 0)?;
    Ok(walk.skeleton)
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    items: usize,
    /// What the copy will take in memory once it is parsed, as far as it goes.
    memory: u64,
    /// What it may take.
    room: u64,
    skeleton: Skeleton,
}

impl Walk<'_> {
    fn message(&mut self, message: Message, end: u64, depth: usize) -> Result<()> {
        if depth > self.limits.depth {
            let message = format!("messages are nested more than {} deep", self.limits.depth);
            return Err(self.limit(message).of_limit("depth"));
        }
        let mut payload = Payload::default();
        let mut lists = Lists::Skip;
        let mut graphs = 0;
        while self.cursor.position < end {
            let tag_at = self.cursor.position;
            let (field, wire_type) = self.cursor.tag(end)?;
            let wire = self.cursor.wire(wire_type, end)?;
            let value_at = self.cursor.position;
            match (message.action(field), wire) {
                (Action::Enter(inner), Wire::Bytes(len)) => {
                    self.charge(inner.memory())?;
                    graphs += usize::from(inner == Message::Graph);
                    // Protobuf would merge them; no exporter writes such a thing, and half a graph would mislead.
                    if message == Message::Model && graphs > 1 {
                        return Err(Error::malformed("a model with two graphs").at_byte(tag_at));
                    }
                    let place = self.begin_message(field);
                    self.message(inner, value_at + len, depth + 1)?;
                    self.end_message(place)?;
                }
                (Action::Note, wire) => self.note(&mut payload, field, tag_at, wire)?,
                (Action::Value, wire) => match lists {
                    Lists::Copy => self.copy(tag_at, wire)?,
                    Lists::Note if field == 7 => self.note(&mut payload, FLOAT_DATA, tag_at, wire)?,
                    Lists::Note if field == 8 => self.note(&mut payload, INT64_DATA, tag_at, wire)?,
                    _ => self.cursor.pass(wire),
                },
                (Action::Dims, Wire::Bytes(len)) if len > self.limits.rank as u64 * LONGEST_VARINT => {
                    let message = format!("a tensor of more than {} dimensions", self.limits.rank);
                    return Err(self.limit(message).of_limit("rank"));
                }
                (Action::Text, Wire::Bytes(_)) => {
                    let text = self.copy_text(tag_at, wire)?;
                    if (message, field) == (Message::Attribute, 1) {
                        lists = Lists::of(text);
                    }
                }
                (Action::Number, Wire::Varint | Wire::Fixed(_))
                | (Action::Dims, Wire::Varint | Wire::Bytes(_)) => self.copy(tag_at, wire)?,
                (Action::Skip, wire) => self.cursor.pass(wire),
                _ => {
                    let message = format!(
                        "field {field} with wire type {wire_type}: this is no ONNX model, or a damaged one"
                    );
                    return Err(Error::malformed(message).at_byte(tag_at));
                }
            }
        }
        if payload != Payload::default() {
            let field = if message == Message::Tensor { RAW_DATA } else { TEXT };
            self.put_ticket(field, payload)?;
        }
        Ok(())
    }

    fn note(&mut self, payload: &mut Payload, field: u32, tag_at: u64, wire: Wire) -> Result<()> {
        if payload.note(field, tag_at, self.cursor.position, wire) {
            self.charge(NUMBER_MEMORY)?;
        }
        self.cursor.pass(wire);
        Ok(())
    }

    /// Copies a field, tag included.
    fn copy(&mut self, tag_at: u64, wire: Wire) -> Result<()> {
        let (value_len, memory) = match wire {
            Wire::Bytes(len) => (len, len.saturating_mul(TEXT_COPIES).saturating_add(TEXT_MEMORY)),
            Wire::Fixed(len) => (len, NUMBER_MEMORY),
            Wire::Varint => (0, NUMBER_MEMORY),
        };
        self.charge(memory)?;
        let start = self.skeleton.bytes.len();
        let tag_len = self.cursor.position - tag_at;
        let room = self.limits.graph_bytes.saturating_sub(start) as u64;
        if tag_len + value_len > room {
            return Err(self.too_long());
        }
        self.cursor.position = tag_at;
        self.cursor.append(tag_len + value_len, &mut self.skeleton.bytes)
    }

    /// Copies a field of text, and lends the text.
    fn copy_text(&mut self, tag_at: u64, wire: Wire) -> Result<&str> {
        let (start, value_at) = (self.skeleton.bytes.len(), self.cursor.position);
        self.copy(tag_at, wire)?;
        let tag_len = (value_at - tag_at) as usize;
        std::str::from_utf8(&self.skeleton.bytes[start + tag_len..]).map_err(|error| {
            Error::malformed("a name that is not UTF-8").at_byte(value_at + error.valid_up_to() as u64)
        })
    }

    fn begin_message(&mut self, field: u32) -> usize {
        put_varint(&mut self.skeleton.bytes, u64::from(field) << 3 | 2);
        let place = self.skeleton.bytes.len();
        self.skeleton.bytes.extend([0x80, 0x80, 0x80, 0x80, 0x00]);
        place
    }

    /// Fills in the length of the copy, as a varint of always five bytes.
    fn end_message(&mut self, place: usize) -> Result<()> {
        let len = self.skeleton.bytes.len() - place - 5;
        if self.skeleton.bytes.len() > self.limits.graph_bytes {
            return Err(self.too_long());
        }
        for (index, byte) in self.skeleton.bytes[place..place + 4].iter_mut().enumerate() {
            *byte |= (len >> (7 * index) & 0x7f) as u8;
        }
        self.skeleton.bytes[place + 4] = (len >> 28) as u8;
        Ok(())
    }

    fn put_ticket(&mut self, field: u32, payload: Payload) -> Result<()> {
        let ticket = u32::try_from(self.skeleton.payloads.len())
            .map_err(|_| self.limit("more tensors than can be numbered".to_owned()))?;
        self.skeleton.payloads.push(payload);
        put_varint(&mut self.skeleton.bytes, u64::from(field) << 3 | 2);
        self.skeleton.bytes.push(4);
        self.skeleton.bytes.extend(ticket.to_le_bytes());
        Ok(())
    }

    /// Counts an entry of the graph, and what it takes in memory.
    fn charge(&mut self, memory: u64) -> Result<()> {
        self.items += 1;
        self.memory = self.memory.saturating_add(memory);
        if self.items > self.limits.graph_items {
            let message = format!("more than {} entries in the graph", self.limits.graph_items);
            return Err(self.limit(message).of_limit("graph_items"));
        }
        if self.memory > self.room {
            let message = "far more entries in the graph than a model of this size has".to_owned();
            return Err(self.limit(message).of_limit("graph_memory"));
        }
        Ok(())
    }

    fn too_long(&self) -> Error {
        self.limit(format!("a graph of more than {} bytes", self.limits.graph_bytes)).of_limit("graph_bytes")
    }

    fn limit(&self, message: String) -> Error {
        Error::limit(message).at_byte(self.cursor.position)
    }
}

impl Payload {
    /// Whether the note is a new one, and not part of the last.
    fn note(&mut self, field: u32, tag_at: u64, value_at: u64, wire: Wire) -> bool {
        let (span, packed) = match wire {
            Wire::Bytes(len) => (Span { offset: value_at, len }, true),
            Wire::Fixed(len) => (Span { offset: tag_at, len: value_at + len - tag_at }, false),
            Wire::Varint => (Span { offset: tag_at, len: value_at - tag_at }, false),
        };
        if field == RAW_DATA {
            self.raw = packed.then_some(span).or(self.raw);
            return false;
        }
        // Values with tags of their own follow each other: one span for all, or a million of them would take a
        // hundred times their bytes.
        match self.typed.last_mut() {
            Some(last)
                if !packed && !last.packed && last.field == field && last.span.end() == span.offset =>
            {
                last.span.len += span.len;
                false
            }
            _ => {
                self.typed.push(TypedSpan { field, span, packed });
                true
            }
        }
    }
}

impl Span {
    pub(super) fn end(self) -> u64 {
        self.offset + self.len
    }
}
