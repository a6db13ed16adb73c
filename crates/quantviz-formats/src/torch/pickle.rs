//! The opcodes of pickle, as a machine that builds values and can do nothing else: it imports nothing, it calls nothing.

use std::collections::HashMap;

use quantviz_core::{Error, Result};

use super::arena::{Arena, Node, NodeId, Span};
use super::bytes::Bytes;
use super::harmful::Harmful;
use super::input::Input;
use crate::Limits;
use crate::file::ModelFile;

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) arena: Arena,
    pub(super) root: NodeId,
    /// The byte of its source behind it.
    pub(super) end: u64,
}

/// What the pickles of a file may still cost, all together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    pub(super) bytes: u64,
    /// Values, and references to them.
    items: usize,
    /// How many there were at first.
    most_items: usize,
    /// What they name so far that could do harm.
    pub(super) harmful: Harmful,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        /// What an index of 32 bits can reach, whatever the limits say.
        const REACH: usize = 1 << 30;
        let most_items = limits.pickle_items.min(REACH);
        Budget {
            bytes: limits.pickle_bytes.min(REACH as u64),
            items: most_items,
            most_items,
            harmful: Harmful::default(),
        }
    }
}

/// Reads the pickle that begins at the byte `start` of `source`.
pub(super) fn read(file: &ModelFile, source: &Bytes, start: u64, budget: &mut Budget) -> Result<Pickle> {
    let mut machine = Machine {
        input: Input::new(file, source, start, budget.bytes),
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        budget: budget.clone(),
    };
    let mut at = start;
    loop {
        match machine.step() {
            Ok(None) => at = machine.input.position(),
            Ok(Some(root)) => {
                let end = machine.input.position();
                *budget = Budget { bytes: budget.bytes - (end - start), ..machine.budget };
                return Ok(Pickle { arena: machine.arena, root, end });
            }
            Err(error) => match source.place(at) {
                Some(place) => return Err(error.at_byte(place)),
                None => return Err(error),
            },
        }
    }
}

struct Machine<'a> {
    input: Input<'a>,
    arena: Arena,
    stack: Vec<NodeId>,
    /// Heights of the stack.
    marks: Vec<u32>,
    memo: HashMap<u32, NodeId>,
    budget: Budget,
}

impl Machine<'_> {
    /// Does what the next opcode says. The last one gives the value of the whole.
    fn step(&mut self) -> Result<Option<NodeId>> {
        match self.input.byte()? {
            b'.' => return self.pop().map(Some),
            // The version of the protocol, and how many bytes could be read at once.
            0x80 => self.input.byte().map(drop)?,
            0x95 => self.input.array::<8>().map(drop)?,

            b'N' => self.push_node(Node::None)?,
            0x88 => self.push_node(Node::Bool(true))?,
            0x89 => self.push_node(Node::Bool(false))?,
            b'K' => {
                let value = self.input.byte()?.into();
                self.push_node(Node::Int(value))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.input.array()?).into();
                self.push_node(Node::Int(value))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.input.array()?).into();
                self.push_node(Node::Int(value))?;
            }
            0x8a => {
                let len = self.input.byte()?.into();
                self.push_long(len)?;
            }
            0x8b => {
                let len = self.length_i32()?;
                self.push_long(len)?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.input.array()?);
                self.push_node(Node::Float(value))?;
            }
            b'I' | b'L' => self.push_decimal()?,
            b'F' => {
                let line = self.input.line()?;
                let value = std::str::from_utf8(&line).ok().and_then(|line| line.trim().parse().ok());
                self.push_node(Node::Float(value.ok_or_else(|| Error::malformed("no number"))?))?;
            }

            0x8c => self.input.byte().map(u64::from).and_then(|len| self.push_bytes(len, Node::Text))?,
            b'X' => self.length_u32().and_then(|len| self.push_bytes(len, Node::Text))?,
            0x8d => self.length_u64().and_then(|len| self.push_bytes(len, Node::Text))?,
            b'C' | b'U' => {
                self.input.byte().map(u64::from).and_then(|len| self.push_bytes(len, Node::Bytes))?
            }
            b'B' => self.length_u32().and_then(|len| self.push_bytes(len, Node::Bytes))?,
            b'T' => self.length_i32().and_then(|len| self.push_bytes(len, Node::Bytes))?,
            0x8e | 0x96 => self.length_u64().and_then(|len| self.push_bytes(len, Node::Bytes))?,
            b'V' => {
                let text = unescaped(&self.input.line()?);
                self.push_text(text.as_bytes())?;
            }
            b'S' => {
                let line = self.input.line()?;
                let quoted = line.trim_ascii();
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                self.push_text(unescaped(inner).as_bytes())?;
            }

            b'(' => self.mark()?,
            b')' => self.push_tuple(0)?,
            0x85 => self.push_tuple(1)?,
            0x86 => self.push_tuple(2)?,
            0x87 => self.push_tuple(3)?,
            b't' | 0x91 => {
                let len = self.stack.len() - self.pop_mark()?;
                self.push_tuple(len)?;
            }
            b']' | 0x8f => self.push_list(0, Node::List)?,
            b'}' => self.push_list(0, Node::Dict)?,
            b'l' => {
                let len = self.stack.len() - self.pop_mark()?;
                self.push_list(len, Node::List)?;
            }
            b'd' => {
                let len = self.stack.len() - self.pop_mark()?;
                even(len)?;
                self.push_list(len, Node::Dict)?;
            }
            b'a' => self.append(1)?,
            b'e' | 0x90 => {
                let len = self.stack.len() - self.pop_mark()?;
                self.append(len)?;
            }
            b's' => self.insert(2)?,
            b'u' => {
                let len = self.stack.len() - self.pop_mark()?;
                self.insert(len)?;
            }

            b'0' => self.discard()?,
            b'1' => {
                let height = self.pop_mark()?;
                self.stack.truncate(height);
            }
            b'2' => {
                let top = self.top()?;
                self.push(top)?;
            }
            b'q' => {
                let index = self.input.byte()?.into();
                self.remember(index)?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.input.array()?);
                self.remember(index)?;
            }
            b'p' => {
                let index = self.memo_line()?;
                self.remember(index)?;
            }
            0x94 => {
                let index = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                self.remember(index)?;
            }
            b'h' => {
                let index = self.input.byte()?.into();
                self.recall(index)?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.input.array()?);
                self.recall(index)?;
            }
            b'g' => {
                let index = self.memo_line()?;
                self.recall(index)?;
            }

            b'c' => {
                let global = self.global_lines()?;
                self.push(global)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = self.global(module, name);
                self.push_node(global)?;
            }
            b'P' => {
                let line = self.input.line()?;
                self.push_text(&line)?;
                let id = self.pop()?;
                self.push_node(Node::Persistent(id))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push_node(Node::Persistent(id))?;
            }
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.push_object(class, args)?;
            }
            // Keyword arguments are for whoever would call.
            0x92 => {
                let (_, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.push_object(class, args)?;
            }
            b'i' => {
                let class = self.global_lines()?;
                let len = self.stack.len() - self.pop_mark()?;
                self.push_tuple(len)?;
                let args = self.pop()?;
                self.push_object(class, args)?;
            }
            b'o' => {
                let len = self.stack.len() - self.pop_mark()?;
                let rest = len.checked_sub(1).ok_or_else(|| Error::malformed("an object without a class"))?;
                self.push_tuple(rest)?;
                let (args, class) = (self.pop()?, self.pop()?);
                self.push_object(class, args)?;
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.arena.set_state(object, state);
            }
            opcode => {
                let known = UNSUPPORTED.iter().find(|(code, _)| *code == opcode);
                let name = known.map_or(String::new(), |(_, name)| format!(" ({name})"));
                return Err(Error::malformed(format!(
                    "the opcode {opcode:#04x}{name} is none that torch writes"
                )));
            }
        }
        Ok(None)
    }

    /// Pays for values that the arena keeps.
    fn charge(&mut self, cost: usize) -> Result<()> {
        let left = self.budget.items.checked_sub(cost);
        self.budget.items = left.ok_or_else(|| {
            let most = self.budget.most_items;
            Error::limit(format!("pickles of more than {most} values and references"))
                .of_limit("pickle_items")
        })?;
        Ok(())
    }

    fn push(&mut self, id: NodeId) -> Result<()> {
        // The stack is not paid for, since it shrinks again, but it must not outgrow what is.
        if self.stack.len() >= self.budget.most_items {
            let message = format!("a pickle with {} values at hand", self.stack.len());
            return Err(Error::limit(message).of_limit("pickle_items"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn push_node(&mut self, node: Node) -> Result<()> {
        self.charge(1)?;
        let id = self.arena.add(node);
        self.push(id)
    }

    fn push_bytes(&mut self, len: u64, node: fn(Span) -> Node) -> Result<()> {
        let start = self.arena.bytes.len();
        self.input.take_into(len, &mut self.arena.bytes)?;
        let span = self.arena.span_from(start);
        self.push_node(node(span))
    }

    fn push_text(&mut self, text: &[u8]) -> Result<()> {
        let start = self.arena.bytes.len();
        self.arena.bytes.extend_from_slice(text);
        let span = self.arena.span_from(start);
        self.push_node(Node::Text(span))
    }

    /// A whole number in two's complement.
    fn push_long(&mut self, len: u64) -> Result<()> {
        self.push_bytes(len, Node::BigInt)?;
        let id = self.top()?;
        if let Node::BigInt(span) = self.arena.node(id)
            && let bytes = self.arena.span(span)
            && bytes.len() <= 8
        {
            let fill = if bytes.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
            let mut all = [fill; 8];
            all[..bytes.len()].copy_from_slice(bytes);
            self.arena.set(id, Node::Int(i64::from_le_bytes(all)));
        }
        Ok(())
    }

    /// A whole number in digits; `00` and `01` are truth values.
    fn push_decimal(&mut self) -> Result<()> {
        let line = self.input.line()?;
        let digits = std::str::from_utf8(&line).unwrap_or_default().trim().trim_end_matches('L');
        let node = match digits {
            "00" => Node::Bool(false),
            "01" => Node::Bool(true),
            _ => Node::Int(digits.parse().map_err(|_| Error::malformed("no whole number of 64 bits"))?),
        };
        self.push_node(node)
    }

    /// A tuple of the topmost values.
    fn push_tuple(&mut self, len: usize) -> Result<()> {
        let start = self.height_below(len)?;
        self.charge(len)?;
        let node = self.arena.tuple(&self.stack[start..]);
        self.stack.truncate(start);
        self.push_node(node)
    }

    /// A list or a dictionary of the topmost values.
    fn push_list(&mut self, len: usize, node: fn(u32) -> Node) -> Result<()> {
        let start = self.height_below(len)?;
        self.charge(1 + len)?;
        let list = self.arena.list_of(self.stack[start..].to_vec());
        self.stack.truncate(start);
        self.push_node(node(list))
    }

    fn push_object(&mut self, class: NodeId, args: NodeId) -> Result<()> {
        self.charge(2)?;
        let node = self.arena.object_of(class, args);
        self.push_node(node)
    }

    fn append(&mut self, len: usize) -> Result<()> {
        let start = self.height_below(len)?;
        self.charge(len)?;
        let target = self.below(start)?;
        let items =
            self.arena.items_mut(target).ok_or_else(|| Error::malformed("this is no list to append to"))?;
        items.extend(self.stack.drain(start..));
        Ok(())
    }

    fn insert(&mut self, len: usize) -> Result<()> {
        even(len)?;
        let start = self.height_below(len)?;
        self.charge(len)?;
        let target = self.below(start)?;
        let pairs = self.arena.pairs_mut(target);
        let pairs = pairs.ok_or_else(|| Error::malformed("this is no dictionary to insert into"))?;
        pairs.extend(self.stack.drain(start..));
        Ok(())
    }

    fn global_lines(&mut self) -> Result<NodeId> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        self.push_text(&module)?;
        self.push_text(&name)?;
        let (name, module) = (self.pop()?, self.pop()?);
        self.charge(1)?;
        let global = self.global(module, name);
        Ok(self.arena.add(global))
    }

    fn global(&mut self, module: NodeId, name: NodeId) -> Node {
        if let (Some(module), Some(name)) = (self.arena.word(module), self.arena.word(name)) {
            self.budget.harmful.note(&module, &name);
        }
        Node::Global(module, name)
    }

    fn mark(&mut self) -> Result<()> {
        if self.marks.len() >= self.budget.most_items {
            let message = format!("a pickle with {} open brackets", self.marks.len());
            return Err(Error::limit(message).of_limit("pickle_items"));
        }
        self.marks.push(u32::try_from(self.stack.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn pop_mark(&mut self) -> Result<usize> {
        let mark =
            self.marks.pop().ok_or_else(|| Error::malformed("a closing bracket that nothing opened"))?;
        Ok(mark as usize)
    }

    /// The height of the stack at the last mark, below which nothing may be taken.
    fn floor(&self) -> usize {
        self.marks.last().map_or(0, |&mark| mark as usize)
    }

    /// The height of the stack without its topmost `len` values.
    fn height_below(&self, len: usize) -> Result<usize> {
        let height = self.stack.len().checked_sub(len).filter(|&height| height >= self.floor());
        height.ok_or_else(|| Error::malformed("a value is wanted where there is none"))
    }

    /// The value right below that height.
    fn below(&self, height: usize) -> Result<NodeId> {
        let at = height.checked_sub(1).filter(|&at| at >= self.floor());
        at.map(|at| self.stack[at]).ok_or_else(|| Error::malformed("a value is wanted where there is none"))
    }

    fn top(&self) -> Result<NodeId> {
        self.below(self.stack.len())
    }

    fn pop(&mut self) -> Result<NodeId> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Drops the topmost value, or the mark that is there in its place.
    fn discard(&mut self) -> Result<()> {
        if !self.marks.is_empty() && self.stack.len() == self.floor() {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn remember(&mut self, index: u32) -> Result<()> {
        self.charge(1)?;
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<()> {
        let id = self.memo.get(&index).copied();
        self.push(id.ok_or_else(|| Error::malformed(format!("nothing was remembered as {index}")))?)
    }

    fn memo_line(&mut self) -> Result<u32> {
        let line = self.input.line()?;
        let index = std::str::from_utf8(&line).ok().and_then(|line| line.trim().parse().ok());
        index.ok_or_else(|| Error::malformed("no number"))
    }

    fn length_u32(&mut self) -> Result<u64> {
        self.input.array().map(|bytes| u32::from_le_bytes(bytes).into())
    }

    fn length_u64(&mut self) -> Result<u64> {
        self.input.array().map(u64::from_le_bytes)
    }

    /// A length that could be negative, and never is.
    fn length_i32(&mut self) -> Result<u64> {
        let len = i32::from_le_bytes(self.input.array()?);
        u64::try_from(len).map_err(|_| Error::malformed(format!("a length of {len}")))
    }
}

/// Opcodes that Python knows, but that lead out of the file.
const UNSUPPORTED: &[(u8, &str)] =
    &[(0x82, "EXT1"), (0x83, "EXT2"), (0x84, "EXT4"), (0x97, "NEXT_BUFFER"), (0x98, "READONLY_BUFFER")];

fn even(len: usize) -> Result<()> {
    if len.is_multiple_of(2) { Ok(()) } else { Err(Error::malformed("a key without a value")) }
}

/// Text of protocol 0, which has bytes of Latin-1 and escapes for all else.
fn unescaped(line: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let digits = match (byte, behind.first()) {
            (b'\\', Some(b'x')) => 2,
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        let code = behind.get(1..=digits).filter(|_| digits > 0);
        let code = code.and_then(|code| u32::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code.and_then(char::from_u32) {
            Some(char) => {
                text.push(char);
                rest = &behind[1 + digits..];
            }
            None => text.push(char::from(byte)),
        }
    }
    text
}
