//! ONNX models, written from the field numbers of `onnx.proto`.
//!
//! ```
//! use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type};
//!
//! let graph = Graph::new("main")
//!     .input("x", data_type::FLOAT, [1, 2])
//!     .initializer("w", data_type::INT8, [2, 2], Storage::Raw(vec![1, 2, 3, 4]))
//!     .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]))
//!     .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["w_real"]))
//!     .node(Node::new("Gemm").inputs(["x", "w_real"]).outputs(["y"]).attribute("transB", Attribute::Int(1)))
//!     .output("y", data_type::FLOAT, [1, 2]);
//! let bytes = OnnxBuilder::new(graph).metadata("author", "a test").build();
//! assert!(!bytes.is_empty());
//! ```

use crate::wire::{Message, varint};

/// The codes of `TensorProto.DataType`.
#[expect(missing_docs, reason = "the names of the specification")]
pub mod data_type {
    pub const UNDEFINED: i32 = 0;
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const UINT16: i32 = 4;
    pub const INT16: i32 = 5;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const STRING: i32 = 8;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
    pub const UINT32: i32 = 12;
    pub const UINT64: i32 = 13;
    pub const COMPLEX64: i32 = 14;
    pub const COMPLEX128: i32 = 15;
    pub const BFLOAT16: i32 = 16;
    pub const FLOAT8E4M3FN: i32 = 17;
    pub const FLOAT8E4M3FNUZ: i32 = 18;
    pub const FLOAT8E5M2: i32 = 19;
    pub const FLOAT8E5M2FNUZ: i32 = 20;
    pub const UINT4: i32 = 21;
    pub const INT4: i32 = 22;
    pub const FLOAT4E2M1: i32 = 23;
    pub const FLOAT8E8M0: i32 = 24;
    pub const UINT2: i32 = 25;
    pub const INT2: i32 = 26;
}

/// Where the values of a tensor are.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In `raw_data`, little-endian.
    Raw(Vec<u8>),
    /// In whichever fields this message has: `float_data`, `int32_data` and so on, packed or not.
    Fields(Message),
    /// In another file: the key-value pairs of `external_data`.
    External(Vec<(String, String)>),
    /// Nowhere.
    None,
}

impl Storage {
    /// Packed `float_data`.
    pub fn floats(values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Storage::Fields(Message::new().bytes(4, bytes))
    }

    /// `float_data`, a tag for every element.
    pub fn unpacked_floats(values: &[f32]) -> Self {
        let add = |message: Message, value: &f32| message.fixed32(4, value.to_bits());
        Storage::Fields(values.iter().fold(Message::new(), add))
    }

    /// Packed `int32_data`: also 8- and 16-bit types, booleans, the bits of half floats, and packed sub-byte codes.
    pub fn int32s(values: &[i32]) -> Self {
        Storage::Fields(Message::new().packed(5, values.iter().map(|&value| value.into())))
    }

    /// `int32_data`, a tag for every element.
    pub fn unpacked_int32s(values: &[i32]) -> Self {
        let add = |message: Message, &value: &i32| message.int(5, value.into());
        Storage::Fields(values.iter().fold(Message::new(), add))
    }

    /// `string_data`.
    pub fn strings(values: &[&str]) -> Self {
        let add = |message: Message, value: &&str| message.bytes(6, value);
        Storage::Fields(values.iter().fold(Message::new(), add))
    }

    /// Packed `int64_data`.
    pub fn int64s(values: &[i64]) -> Self {
        Storage::Fields(Message::new().packed(7, values.iter().copied()))
    }

    /// Packed `double_data`.
    pub fn doubles(values: &[f64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Storage::Fields(Message::new().bytes(10, bytes))
    }

    /// Packed `uint64_data`, which `uint32` uses too.
    pub fn uint64s(values: &[u64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|&value| varint(value)).collect();
        Storage::Fields(Message::new().bytes(11, bytes))
    }

    /// So many bytes of the file `location`.
    pub fn external(location: &str, offset: Option<u64>, length: Option<u64>) -> Self {
        let offset = offset.map(|offset| ("offset", offset.to_string()));
        let length = length.map(|length| ("length", length.to_string()));
        let pairs = [("location", location.to_owned())].into_iter().chain(offset).chain(length);
        Storage::External(pairs.map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// A `TensorProto`.
pub fn tensor(name: &str, data_type: i32, dims: impl AsRef<[i64]>, storage: Storage) -> Message {
    let dims = dims.as_ref().iter().fold(Message::new(), |message, &dim| message.int(1, dim));
    let head = dims.int(2, data_type.into()).bytes(8, name);
    match storage {
        Storage::Raw(bytes) => head.bytes(9, bytes),
        Storage::Fields(fields) => head.append(&fields),
        Storage::External(pairs) => {
            pairs.iter().fold(head, |head, (key, value)| head.message(13, &entry(key, value))).varint(14, 1)
        }
        Storage::None => head,
    }
}

/// The value of an attribute of a node.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A float.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A string.
    String(String),
    /// A tensor; [`tensor`] makes one.
    Tensor(Message),
    /// A subgraph.
    Graph(Graph),
    /// Floats, unpacked as Python writes them.
    Floats(Vec<f32>),
    /// Integers, unpacked as Python writes them.
    Ints(Vec<i64>),
    /// Strings.
    Strings(Vec<String>),
    /// A tensor of which only some elements are there: values, indices, dimensions.
    SparseTensor(Message, Message, Vec<i64>),
}

impl Attribute {
    fn message(self, name: &str) -> Message {
        let head = Message::new().bytes(1, name);
        match self {
            Attribute::Float(value) => head.fixed32(2, value.to_bits()).varint(20, 1),
            Attribute::Int(value) => head.int(3, value).varint(20, 2),
            Attribute::String(value) => head.bytes(4, value).varint(20, 3),
            Attribute::Tensor(tensor) => head.message(5, &tensor).varint(20, 4),
            Attribute::Graph(graph) => head.message(6, &graph.0).varint(20, 5),
            Attribute::Floats(values) => {
                values.iter().fold(head, |head, value| head.fixed32(7, value.to_bits())).varint(20, 6)
            }
            Attribute::Ints(values) => {
                values.iter().fold(head, |head, &value| head.int(8, value)).varint(20, 7)
            }
            Attribute::SparseTensor(values, indices, dims) => {
                head.message(22, &sparse(&values, &indices, &dims)).varint(20, 11)
            }
            Attribute::Strings(values) => {
                values.iter().fold(head, |head, value| head.bytes(9, value)).varint(20, 8)
            }
        }
    }
}

/// A `NodeProto`.
#[derive(Clone, Debug)]
pub struct Node(Message);

impl Node {
    /// A node without a name.
    pub fn new(op_type: &str) -> Self {
        Node(Message::new().bytes(4, op_type))
    }

    /// Its name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Node(self.0.bytes(3, name))
    }

    /// The operator set that its type is of, where that is not ONNX's own.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        Node(self.0.bytes(7, domain))
    }

    /// The values it reads; an empty name skips a slot.
    #[must_use]
    pub fn inputs<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        Node(names.into_iter().fold(self.0, |message, name| message.bytes(1, name)))
    }

    /// The values it makes.
    #[must_use]
    pub fn outputs<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        Node(names.into_iter().fold(self.0, |message, name| message.bytes(2, name)))
    }

    /// One of its attributes.
    #[must_use]
    pub fn attribute(self, name: &str, value: Attribute) -> Self {
        Node(self.0.message(5, &value.message(name)))
    }
}

impl Node {
    /// An attribute of a function's node that has the value of another one of the call.
    #[must_use]
    pub fn attribute_of_call(self, name: &str, of_call: &str) -> Self {
        Node(self.0.message(5, &Message::new().bytes(1, name).bytes(21, of_call)))
    }
}

/// A `GraphProto`.
#[derive(Clone, Debug)]
pub struct Graph(Message);

impl Graph {
    /// A graph without nodes.
    pub fn new(name: &str) -> Self {
        Graph(Message::new().bytes(2, name))
    }

    /// A node.
    #[must_use]
    pub fn node(self, node: Node) -> Self {
        self.field(1, &node.0)
    }

    /// A tensor that the file holds.
    #[must_use]
    pub fn initializer(self, name: &str, data_type: i32, dims: impl AsRef<[i64]>, storage: Storage) -> Self {
        self.field(5, &tensor(name, data_type, dims, storage))
    }

    /// A tensor of which the file holds the elements that are not zero; `values` and `indices` are [`tensor`]s, and
    /// the name of the first is that of the whole.
    #[must_use]
    pub fn sparse_initializer(self, values: &Message, indices: &Message, dims: &[i64]) -> Self {
        self.field(15, &sparse(values, indices, dims))
    }

    /// A value that the graph is given.
    #[must_use]
    pub fn input(self, name: &str, data_type: i32, dims: impl AsRef<[i64]>) -> Self {
        self.field(11, &value_info(name, data_type, dims.as_ref()))
    }

    /// A value that the graph gives.
    #[must_use]
    pub fn output(self, name: &str, data_type: i32, dims: impl AsRef<[i64]>) -> Self {
        self.field(12, &value_info(name, data_type, dims.as_ref()))
    }

    /// The type of a value in between.
    #[must_use]
    pub fn value_info(self, name: &str, data_type: i32, dims: impl AsRef<[i64]>) -> Self {
        self.field(13, &value_info(name, data_type, dims.as_ref()))
    }

    /// A `quantization_annotation`: keys such as `SCALE_TENSOR`, and the tensors that they name.
    #[must_use]
    pub fn annotation(self, tensor: &str, pairs: &[(&str, &str)]) -> Self {
        let head = Message::new().bytes(1, tensor);
        self.field(14, &pairs.iter().fold(head, |head, (key, value)| head.message(2, &entry(key, value))))
    }

    /// Any field, for what this builder has no word for.
    #[must_use]
    pub fn field(self, field: u32, message: &Message) -> Self {
        Graph(self.0.message(field, message))
    }
}

/// A `ModelProto`. Without a call of [`ir_version`](Self::ir_version) or [`opset`](Self::opset) it says IR version 10
/// and version 21 of ONNX's own operators.
#[derive(Clone, Debug)]
pub struct OnnxBuilder {
    ir_version: i64,
    opsets: Vec<(String, i64)>,
    rest: Message,
    graph: Message,
}

impl OnnxBuilder {
    /// A model of this graph.
    pub fn new(graph: Graph) -> Self {
        OnnxBuilder { ir_version: 10, opsets: Vec::new(), rest: Message::new(), graph: graph.0 }
    }

    /// The version of the format.
    #[must_use]
    pub fn ir_version(mut self, version: i64) -> Self {
        self.ir_version = version;
        self
    }

    /// The program that wrote it.
    #[must_use]
    pub fn producer(self, name: &str, version: &str) -> Self {
        self.field(2, name).field(3, version)
    }

    /// The domain of the model itself.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        self.field(4, domain)
    }

    /// A set of operators that nodes use; ONNX's own has an empty domain.
    #[must_use]
    pub fn opset(mut self, domain: &str, version: i64) -> Self {
        self.opsets.push((domain.to_owned(), version));
        self
    }

    /// An entry of `metadata_props`.
    #[must_use]
    pub fn metadata(self, key: &str, value: &str) -> Self {
        let pair = entry(key, value).into_bytes();
        self.field(14, pair)
    }

    /// A function: an operator of `domain` that is made of nodes.
    #[must_use]
    pub fn function(
        self,
        domain: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        nodes: impl IntoIterator<Item = Node>,
    ) -> Self {
        let head = Message::new().bytes(1, name).bytes(10, domain);
        let inputs = inputs.iter().fold(head, |message, input| message.bytes(4, input));
        let outputs = outputs.iter().fold(inputs, |message, output| message.bytes(5, output));
        let function = nodes.into_iter().fold(outputs, |message, node| message.message(7, &node.0));
        self.field(25, function.into_bytes())
    }

    /// Any field of bytes, for what this builder has no word for.
    #[must_use]
    pub fn field(mut self, field: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.rest = self.rest.bytes(field, bytes);
        self
    }

    /// The bytes of the file.
    pub fn build(mut self) -> Vec<u8> {
        if self.opsets.is_empty() {
            self.opsets.push((String::new(), 21));
        }
        let head = Message::new().int(1, self.ir_version).append(&self.rest).message(7, &self.graph);
        let opset = |(domain, version): &(String, i64)| Message::new().bytes(1, domain).int(2, *version);
        self.opsets.iter().fold(head, |head, it| head.message(8, &opset(it))).into_bytes()
    }
}

/// A `SparseTensorProto`.
fn sparse(values: &Message, indices: &Message, dims: &[i64]) -> Message {
    let sparse = Message::new().message(1, values).message(2, indices);
    dims.iter().fold(sparse, |sparse, &dim| sparse.int(3, dim))
}

/// A `StringStringEntryProto`.
fn entry(key: &str, value: &str) -> Message {
    Message::new().bytes(1, key).bytes(2, value)
}

/// A `ValueInfoProto` of a dense tensor.
fn value_info(name: &str, data_type: i32, dims: &[i64]) -> Message {
    let dim = |dim: i64| Message::new().int(1, dim);
    let shape = dims.iter().fold(Message::new(), |shape, &it| shape.message(1, &dim(it)));
    let tensor = Message::new().int(1, data_type.into()).message(2, &shape);
    Message::new().bytes(1, name).message(2, &Message::new().message(1, &tensor))
}
