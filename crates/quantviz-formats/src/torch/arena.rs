//! The inert values that a pickle is read into: nodes that refer to each other by number, in cycles if they like.

use std::borrow::Cow;

use quantviz_core::{Error, Result};

/// The place of a [`Node`] in its [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// A run of the arena's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// A value of a pickle. What Python would make by calling something is only noted as an [`Object`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits: its bytes, little-endian.
    BigInt(Span),
    Float(f64),
    Text(Span),
    Bytes(Span),
    /// A run of the arena's items.
    Tuple(Span),
    /// A list or a set: one of the arena's lists.
    List(u32),
    /// One of the arena's lists, keys and values in turn.
    Dict(u32),
    /// A module and a name in it, which are never looked up.
    Global(NodeId, NodeId),
    /// What the pickle leaves to its reader: for torch, a storage.
    Persistent(NodeId),
    Object(u32),
}

/// What Python would make by calling `class` with `args`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    pub(super) class: NodeId,
    pub(super) args: NodeId,
    /// What would be set on it afterwards.
    pub(super) state: Option<NodeId>,
    /// What would be appended to it: a list.
    pub(super) items: Option<u32>,
    /// What would be inserted into it: a list of keys and values.
    pub(super) pairs: Option<u32>,
}

/// All values of one pickle.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pub(super) bytes: Vec<u8>,
    nodes: Vec<Node>,
    items: Vec<NodeId>,
    lists: Vec<Vec<NodeId>>,
    objects: Vec<Object>,
}

/// The limits on a pickle keep every index far below.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Arena {
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(index(self.nodes.len() - 1))
    }

    pub(super) fn set(&mut self, id: NodeId, node: Node) {
        self.nodes[id.0 as usize] = node;
    }

    pub(super) fn tuple(&mut self, items: &[NodeId]) -> Node {
        let start = self.items.len();
        self.items.extend_from_slice(items);
        Node::Tuple(Span { start: index(start), len: index(items.len()) })
    }

    /// Keeps a list, for a node to refer to.
    pub(super) fn list_of(&mut self, items: Vec<NodeId>) -> u32 {
        self.lists.push(items);
        index(self.lists.len() - 1)
    }

    pub(super) fn object_of(&mut self, class: NodeId, args: NodeId) -> Node {
        self.objects.push(Object { class, args, state: None, items: None, pairs: None });
        Node::Object(index(self.objects.len() - 1))
    }

    /// All bytes from there on.
    pub(super) fn span_from(&self, start: usize) -> Span {
        Span { start: index(start), len: index(self.bytes.len() - start) }
    }

    /// Sets the state of an object; of anything else, nothing keeps it.
    pub(super) fn set_state(&mut self, id: NodeId, state: NodeId) {
        if let Node::Object(object) = self.node(id) {
            self.objects[object as usize].state = Some(state);
        }
    }

    /// The list that items appended to this value go to, if they can be.
    pub(super) fn items_mut(&mut self, id: NodeId) -> Option<&mut Vec<NodeId>> {
        let list = match self.node(id) {
            Node::List(list) => list,
            Node::Object(object) => made(&mut self.objects[object as usize].items, &mut self.lists),
            _ => return None,
        };
        self.lists.get_mut(list as usize)
    }

    /// The list that keys and values inserted into this value go to, if they can be.
    pub(super) fn pairs_mut(&mut self, id: NodeId) -> Option<&mut Vec<NodeId>> {
        let list = match self.node(id) {
            Node::Dict(list) => list,
            Node::Object(object) => made(&mut self.objects[object as usize].pairs, &mut self.lists),
            _ => return None,
        };
        self.lists.get_mut(list as usize)
    }
}

/// The list of an object, which most do without.
fn made(list: &mut Option<u32>, lists: &mut Vec<Vec<NodeId>>) -> u32 {
    *list.get_or_insert_with(|| {
        lists.push(Vec::new());
        index(lists.len() - 1)
    })
}

/// Looking at values.
impl Arena {
    pub(super) fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize]
    }

    /// Every value, used or not.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..index(self.nodes.len())).map(NodeId)
    }

    pub(super) fn object(&self, id: NodeId) -> Option<Object> {
        match self.node(id) {
            Node::Object(object) => Some(self.objects[object as usize]),
            _ => None,
        }
    }

    pub(super) fn list(&self, list: u32) -> &[NodeId] {
        &self.lists[list as usize]
    }

    pub(super) fn span(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..][..span.len as usize]
    }

    pub(super) fn int(&self, id: NodeId) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(value),
            Node::Bool(value) => Some(value.into()),
            _ => None,
        }
    }

    pub(super) fn float(&self, id: NodeId) -> Option<f64> {
        match self.node(id) {
            Node::Float(value) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "Python's float() rounds too")]
            _ => self.int(id).map(|value| value as f64),
        }
    }

    pub(super) fn is_text(&self, id: NodeId, text: &str) -> bool {
        matches!(self.node(id), Node::Text(span) | Node::Bytes(span) if self.span(span) == text.as_bytes())
    }

    /// A text that is no longer than what torch and Python call things. Longer ones would cost their length again
    /// every time that something refers to them.
    pub(super) fn word(&self, id: NodeId) -> Option<Cow<'_, str>> {
        const LONGEST: u32 = 1024;
        match self.node(id) {
            Node::Text(span) | Node::Bytes(span) if span.len <= LONGEST => self.text(id),
            _ => None,
        }
    }

    /// The text; what Python can hold and UTF-8 cannot is replaced.
    pub(super) fn text(&self, id: NodeId) -> Option<Cow<'_, str>> {
        match self.node(id) {
            Node::Text(span) | Node::Bytes(span) => Some(String::from_utf8_lossy(self.span(span))),
            _ => None,
        }
    }

    /// The bytes; also those that old protocols could only write as the text that they are in Latin-1.
    pub(super) fn raw_bytes(&self, id: NodeId) -> Result<Cow<'_, [u8]>> {
        if let Node::Bytes(span) = self.node(id) {
            return Ok(Cow::Borrowed(self.span(span)));
        }
        let call = self.object(id).filter(|object| self.is_global(object.class, "_codecs", "encode"));
        let text = call.and_then(|call| match *self.items(call.args)? {
            [text, encoding] if self.is_text(encoding, "latin1") => self.text(text),
            _ => None,
        });
        let bytes = text.and_then(|text| text.chars().map(|char| u8::try_from(char).ok()).collect());
        bytes.map(Cow::Owned).ok_or_else(|| Error::malformed("its values are no bytes"))
    }

    /// The items of a tuple, a list, or a `torch.Size`.
    pub(super) fn items(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::Tuple(span) => Some(&self.items[span.start as usize..][..span.len as usize]),
            Node::List(list) => Some(self.list(list)),
            Node::Object(_) => {
                let object = self.object(id).filter(|it| self.is_global(it.class, "torch", "Size"))?;
                match self.node(object.args) {
                    Node::Tuple(_) => match *self.items(object.args)? {
                        [size] if self.object(size).is_none() => self.items(size),
                        _ => None,
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The keys and values of a dictionary or of an object like one.
    pub(super) fn pairs(&self, id: NodeId) -> Option<impl Iterator<Item = (NodeId, NodeId)> + Clone + '_> {
        let list = match self.node(id) {
            Node::Dict(list) => Some(list),
            Node::Object(object) => self.objects[object as usize].pairs,
            _ => None,
        };
        Some(self.list(list?).chunks_exact(2).map(|pair| (pair[0], pair[1])))
    }

    /// The last value that a dictionary has for a key.
    pub(super) fn value(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.pairs(id)?.filter(|(name, _)| self.is_text(*name, key)).last().map(|pair| pair.1)
    }

    /// Module and name of a class or a function.
    pub(super) fn global(&self, id: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        let class = match self.node(id) {
            // Old files keep the source of a module's class beside the class.
            Node::Persistent(of) => match (self.node(of), self.items(of)?) {
                (Node::Tuple(_), &[kind, class, ..]) if self.is_text(kind, "module") => class,
                _ => return None,
            },
            _ => id,
        };
        match self.node(class) {
            Node::Global(module, name) => Some((self.word(module)?, self.word(name)?)),
            _ => None,
        }
    }

    pub(super) fn is_global(&self, id: NodeId, module: &str, name: &str) -> bool {
        match self.node(id) {
            Node::Global(in_module, named) => self.is_text(in_module, module) && self.is_text(named, name),
            _ => false,
        }
    }
}
