//! Hostile ONNX files.

use super::Outcome::{Refused, Unreadable, Warned};
use super::{Hostile, MOST_TENSORS, Outcome, bombs, name_of, numbered};
use crate::OnnxBuilder;
use crate::onnx::{Graph, Node, Storage, data_type};
use crate::wire::{Message, WireType};

const FILE: &str = "model.onnx";
/// The field of a model that holds its graph, and those of a graph that hold nodes and initializers.
const GRAPH: u32 = 7;
const NODE: u32 = 1;
const INITIALIZER: u32 = 5;

/// Every hostile ONNX file.
pub fn files() -> Vec<Hostile> {
    [bytes(), tensors(), external(), graphs(), odd(), costly()].into_iter().flatten().collect()
}

fn file(what: &str, outcome: Outcome, make: impl Fn() -> Vec<u8> + 'static) -> Hostile {
    Hostile::new(FILE, what, outcome, make)
}

/// A file of a graph with these fields.
fn fields(what: &str, outcome: Outcome, fields: Message) -> Hostile {
    file(what, outcome, move || model(fields.clone()))
}

fn model(graph: Message) -> Vec<u8> {
    Message::new().int(1, 10).message(GRAPH, &graph).into_bytes()
}

fn bytes() -> Vec<Hostile> {
    let nested = |depth| {
        (0..depth).fold(Message::new(), |graph, _| {
            let attribute = Message::new().message(6, &graph);
            Message::new().message(NODE, &Message::new().message(5, &attribute))
        })
    };
    let eleven = [&[0x80; 10][..], &[0x01]].concat();
    vec![
        file("an empty file", Refused("the file is empty"), Vec::new),
        fields(
            "a field longer than the graph",
            Refused("a field of 100 bytes"),
            Message::new().claimed(NODE, 100, b"short"),
        ),
        fields(
            "a field of 2^64 - 1 bytes",
            Refused("where only 0 are left"),
            Message::new().claimed(NODE, u64::MAX, b""),
        ),
        fields(
            "half a field",
            Refused("in the middle of a field"),
            Message::new().tag(NODE, WireType::Length),
        ),
        fields("half a number", Refused("in the middle of a field"), Message::new().raw(&[0x80])),
        fields(
            "a number of eleven bytes",
            Refused("more than ten bytes"),
            Message::new().tag(NODE, WireType::Length).raw(&eleven),
        ),
        fields("a wire type that does not exist", Refused("byte 5"), Message::new().raw(&[0x0e, 0])),
        fields("a wire type that a field cannot have", Refused("byte 4"), Message::new().varint(NODE, 1)),
        fields("a field that does not exist", Refused("byte 4"), Message::new().raw(&[0x02, 0x00])),
        fields("a group", Refused("model.onnx"), Message::new().tag(NODE, WireType::StartGroup)),
        fields(
            "a name that is no text",
            Refused("model.onnx"),
            Message::new().message(INITIALIZER, &Message::new().bytes(8, b"\xff\xfe")),
        ),
        file("no graph", Refused("it has no graph"), || {
            Message::new().int(1, 10).bytes(2, "pytorch").into_bytes()
        }),
        file("two graphs", Refused("a model with two graphs"), || {
            let graph = Message::new().bytes(2, "g");
            Message::new().int(1, 10).message(GRAPH, &graph).message(GRAPH, &graph).into_bytes()
        }),
        fields("graphs in graphs", Refused("nested more than 100 deep"), nested(40)),
        fields("graphs in graphs in graphs", Refused("nested more than 100 deep"), nested(20_000)),
    ]
}

/// A graph of the tensor `w`, beside one that there is nothing wrong with.
fn graph_with(data_type: i32, dims: &[i64], storage: Storage) -> Graph {
    Graph::new("g").initializer("w", data_type, dims, storage).initializer(
        "fine",
        data_type::INT8,
        [2],
        Storage::Raw(vec![3, 4]),
    )
}

fn graph(what: &str, outcome: Outcome, graph: Graph) -> Hostile {
    file(what, outcome, move || OnnxBuilder::new(graph.clone()).build())
}

fn tensors() -> Vec<Hostile> {
    let one = |what, outcome, data_type, dims: &[i64], storage| {
        graph(what, outcome, graph_with(data_type, dims, storage))
    };
    let (float, int32, int64) = (data_type::FLOAT, data_type::INT32, data_type::INT64);
    let raw = |len| Storage::Raw(vec![0; len]);
    let unreadable = |why| Unreadable { parameter: "w", why };
    vec![
        one("raw data too short", Refused("w: "), float, &[2, 3], raw(23)),
        one("raw data of a tensor without elements", Refused("takes 0 bytes"), data_type::INT8, &[0], raw(1)),
        one(
            "packed floats too few",
            Refused("takes 12 bytes, its data has 8"),
            float,
            &[3],
            Storage::floats(&[1.0, 2.0]),
        ),
        one(
            "numbers too few",
            unreadable("3 elements, its data 2"),
            int32,
            &[3],
            Storage::int32s(&[1000, 2000]),
        ),
        one(
            "numbers too many",
            unreadable("1 elements, its data more"),
            int64,
            &[1],
            Storage::int64s(&[1, 2]),
        ),
        one("no data", unreadable("has no data"), int32, &[2], Storage::None),
        one("data of another type", unreadable("has no data"), int32, &[2], Storage::doubles(&[1.0, 2.0])),
        one(
            "a billion elements, three numbers",
            unreadable("has no data"),
            int32,
            &[1 << 30],
            Storage::int32s(&[1, 2, 3]),
        ),
        one(
            "a negative dimension",
            Refused("w: its shape has a negative dimension"),
            float,
            &[2, -1],
            raw(8),
        ),
        one("a shape that overflows", Refused("2^64 elements"), float, &[i64::MAX, 4], raw(8)),
        one(
            "a shape that overflows behind a zero",
            Refused("2^64 elements"),
            float,
            &[1 << 40, 0, 1 << 40],
            Storage::None,
        ),
        one("bytes that overflow", Refused("2^64 bytes"), data_type::DOUBLE, &[i64::MAX], Storage::None),
        one(
            "more data than any model has",
            Refused("take more than"),
            data_type::UINT8,
            &[1 << 60],
            Storage::None,
        ),
        one("too many dimensions", Refused("more than 64"), data_type::INT8, &[1; 65], raw(1)),
        one("a type that is not known", unreadable("99"), 99, &[2], raw(3)),
        graph(
            "two tensors of one name",
            Refused("w: two tensors have this name"),
            graph_with(data_type::INT8, &[1], raw(1)).initializer("w", data_type::INT8, [1], raw(1)),
        ),
    ]
}

fn external() -> Vec<Hostile> {
    let one = |what, why, storage| {
        graph(what, Unreadable { parameter: "w", why }, graph_with(data_type::INT8, &[4], storage))
            .beside("weights.bin", *b"0123456789")
    };
    let pairs = |pairs: &[(&str, &str)]| {
        Storage::External(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    };
    vec![
        one(
            "an external file that is missing",
            "no such file",
            Storage::external("missing.bin", Some(0), Some(4)),
        ),
        one(
            "an external file above the folder",
            "not inside the model's folder",
            Storage::external("../weights.bin", None, None),
        ),
        one(
            "an external file anywhere",
            "not inside the model's folder",
            Storage::external("/etc/passwd", None, None),
        ),
        one(
            "external data beyond the end",
            "beyond the end",
            Storage::external("weights.bin", Some(7), Some(4)),
        ),
        one(
            "external data far beyond the end",
            "beyond the end",
            Storage::external("weights.bin", Some(u64::MAX), Some(4)),
        ),
        one(
            "external data of another length",
            "takes 4 bytes",
            Storage::external("weights.bin", Some(0), Some(3)),
        ),
        one(
            "external data at no number",
            "its offset is",
            pairs(&[("location", "weights.bin"), ("offset", "-1")]),
        ),
        one("external data nowhere", "without a location", pairs(&[("offset", "0"), ("length", "4")])),
        one(
            "external data with a name of two lines",
            "no such file",
            Storage::external("a\nb\u{1b}[31m.bin", None, None),
        ),
    ]
}

fn graphs() -> Vec<Hostile> {
    let nodes = |what, outcome, nodes: &[(&str, &[&str], &[&str])]| {
        let start = graph_with(data_type::INT8, &[2], Storage::Raw(vec![1, 2])).initializer(
            "s",
            data_type::FLOAT,
            [],
            Storage::floats(&[0.5]),
        );
        let add = |graph: Graph, (operator, inputs, outputs): &(&str, &[&str], &[&str])| {
            graph.node(Node::new(operator).inputs(inputs.iter().copied()).outputs(outputs.iter().copied()))
        };
        graph(what, outcome, nodes.iter().fold(start, add))
    };
    vec![
        nodes(
            "quantizers in a circle",
            Refused("depends on itself"),
            &[
                ("QuantizeLinear", &["a", "s"], &["b"]),
                ("DequantizeLinear", &["b", "s"], &["a"]),
                ("Relu", &["a"], &["y"]),
            ],
        ),
        nodes(
            "a quantizer of itself",
            Refused("depends on itself"),
            &[("QuantizeLinear", &["a", "s"], &["a"]), ("Relu", &["a"], &["y"])],
        ),
        nodes(
            "values carried in a circle",
            Refused("depends on itself"),
            &[
                ("Identity", &["a"], &["b"]),
                ("Identity", &["b"], &["a"]),
                ("Transpose", &["c"], &["c"]),
                ("Add", &["a", "c"], &["y"]),
            ],
        ),
        nodes(
            "a scale that scales itself",
            Outcome::Bounded,
            &[("DequantizeLinear", &["s", "s", "s"], &["s"]), ("QLinearConv", &["w"; 9], &["w"])],
        ),
        nodes(
            "nodes without anything",
            Outcome::Bounded,
            &[
                ("", &[], &[]),
                ("QuantizeLinear", &[], &[]),
                ("DequantizeLinear", &["", ""], &[""]),
                ("Constant", &[], &[]),
            ],
        ),
    ]
}

/// A weight `w` with one scale.
fn quantized(scale: f32) -> Graph {
    graph_with(data_type::INT8, &[2], Storage::Raw(vec![1, 2]))
        .initializer("s", data_type::FLOAT, [], Storage::floats(&[scale]))
        .input("x", data_type::FLOAT, [1, 2])
        .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["real"]))
        .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]))
}

fn odd() -> Vec<Hostile> {
    let raw = |bytes: &[u8]| Storage::Raw(bytes.to_vec());
    vec![
        graph(
            "no initializers",
            Warned("no parameters"),
            Graph::new("g").node(Node::new("Relu").inputs(["x"]).outputs(["y"])),
        ),
        graph(
            "not a number",
            Warned("w: 1 of its 1 values"),
            graph_with(data_type::FLOAT, &[1], raw(&[0, 0, 0xc0, 0x7f])),
        ),
        graph(
            "infinity",
            Warned("w: 1 of its 2 values"),
            graph_with(data_type::FLOAT16, &[2], raw(&[0, 0x7c, 0, 0])),
        ),
        graph(
            "a tensor without elements",
            Warned("w: it has no elements"),
            graph_with(data_type::FLOAT, &[0], raw(&[])),
        ),
        graph(
            "an operator whose name is two lines",
            Warned("packed: what its codes mean to com.microsoft Mat\\n' is not known here"),
            Graph::new("g")
                .initializer("packed", data_type::UINT8, [4, 1, 16], raw(&[0x5a; 64]))
                .initializer("scales", data_type::FLOAT, [4], Storage::floats(&[1.0; 4]))
                .node(
                    Node::new("Mat\n'")
                        .domain("com.microsoft")
                        .inputs(["y", "packed", "scales"])
                        .outputs(["v"]),
                ),
        ),
        graph("a scale of zero", Warned("w: 1 of its 1 scales"), quantized(0.0)),
        graph("a scale that is not a number", Warned("w: 1 of its 1 scales"), quantized(f32::NAN)),
    ]
}

fn repeat(field: u32, bytes: &[u8], size: usize) -> Message {
    let one = Message::new().bytes(field, bytes).into_bytes();
    Message::new().raw(&one.repeat(size / one.len()))
}

/// Messages with a name each, which no other has.
fn named(size: usize, mut each: impl FnMut(&str) -> Message) -> Message {
    Message::new().raw(&numbered(size, |number| each(&format!("{number:x}")).into_bytes()))
}

fn tensor(name: &str, dims: impl AsRef<[u8]>) -> Message {
    Message::new().bytes(1, dims).int(2, 3).bytes(8, name)
}

/// A tensor in another file, which is not there.
fn huge(name: &str, elements: i64) -> Message {
    Message::new().int(1, elements).int(2, 3).int(14, 1).bytes(8, name)
}

/// The input `x` and the scale `s` of [`dequantize`].
fn quantizers() -> Message {
    let scale = Message::new().int(2, 1).bytes(8, "s").bytes(9, 0.5f32.to_le_bytes());
    Message::new().message(INITIALIZER, &scale).message(11, &Message::new().bytes(1, "x"))
}

fn dequantize(input: &str, output: &str) -> Message {
    Message::new().bytes(1, input).bytes(1, "s").bytes(2, output).bytes(4, "DequantizeLinear")
}

/// Makes a file of about so many bytes.
type Make = fn(usize) -> Vec<u8>;

const COSTLY: &[(&str, Make)] = &[
    ("empty nodes", |size| model(repeat(NODE, b"", size))),
    ("empty tensors", |size| model(repeat(INITIALIZER, b"", size))),
    ("empty inputs", |size| model(repeat(11, b"", size))),
    ("empty annotations", |size| model(repeat(14, b"", size))),
    ("tensors with names", |size| {
        model(named(size, |name| Message::new().message(INITIALIZER, &tensor(name, []))))
    }),
    ("tensors of one byte", |size| {
        model(named(size, |name| Message::new().message(INITIALIZER, &tensor(name, [1]).bytes(9, [7]))))
    }),
    ("attributes", |size| model(Message::new().message(NODE, &repeat(5, b"\x15\0\0\0\0", size)))),
    ("lists in an attribute", |size| {
        let list = repeat(9, b"", size);
        model(Message::new().message(NODE, &Message::new().message(5, &list)))
    }),
    ("inputs of one node", |size| model(Message::new().message(NODE, &repeat(1, b"a", size)))),
    ("metadata", |size| {
        model(Message::new()).into_iter().chain(repeat(14, b"", size).into_bytes()).collect()
    }),
    ("metadata with keys", |size| {
        let metadata = named(size, |key| Message::new().message(14, &Message::new().bytes(1, key)));
        model(Message::new()).into_iter().chain(metadata.into_bytes()).collect()
    }),
    ("a long text", |size| {
        Message::new().int(1, 10).bytes(2, "\u{1}".repeat(size)).message(GRAPH, &Message::new()).into_bytes()
    }),
    ("versions of operators", |size| {
        model(Message::new()).into_iter().chain(repeat(8, b"", size).into_bytes()).collect()
    }),
    ("dimensions of an input", |size| {
        let shape = Message::new().message(1, &Message::new().message(2, &repeat(1, b"", size)));
        model(Message::new().message(11, &Message::new().bytes(1, "x").message(2, &shape)))
    }),
    ("dimensions of a tensor", |size| {
        model(Message::new().message(INITIALIZER, &tensor("w", vec![1; size])))
    }),
    ("lists of no values", |size| {
        model(Message::new().message(INITIALIZER, &tensor("w", [1]).append(&repeat(5, b"", size))))
    }),
    ("external data", |size| {
        model(Message::new().message(INITIALIZER, &tensor("w", [1]).append(&repeat(13, b"", size))))
    }),
    ("a long name behind short ones", |size| {
        let name = "w".repeat(size / 2);
        let carrier = Message::new().bytes(1, &name).bytes(2, "a").bytes(4, "Identity");
        let node = Message::new().bytes(1, &name).append(&repeat(1, b"a", size / 2)).bytes(4, "Add");
        model(
            Message::new()
                .message(INITIALIZER, &tensor(&name, [0]))
                .message(NODE, &carrier)
                .message(NODE, &node),
        )
    }),
    ("a chain of quantizers", |size| {
        let mut last = "x".to_owned();
        model(quantizers().append(&named(size, |name| {
            let input = std::mem::replace(&mut last, name.to_owned());
            Message::new().message(NODE, &dequantize(&input, name))
        })))
    }),
    ("a circle of quantizers", |size| {
        let node = Message::new().bytes(1, "a").bytes(2, "a").bytes(4, "QuantizeLinear");
        model(repeat(NODE, &node.into_bytes(), size))
    }),
    ("branches of one name", |size| {
        let graph = Message::new().message(NODE, &Message::new().bytes(1, "x").bytes(4, "Relu"));
        let branch = Message::new().bytes(1, "then_branch").message(6, &graph);
        let node = Message::new().bytes(3, "if").bytes(4, "If").message(5, &branch);
        model(repeat(NODE, &node.into_bytes(), size))
    }),
    ("a function with a large branch, called often", |size| {
        let nodes = repeat(NODE, &Message::new().bytes(4, "Relu").into_bytes(), size / 2);
        let branch = Message::new().bytes(1, "then_branch").message(6, &nodes);
        let function = Message::new()
            .bytes(1, "f")
            .bytes(10, "d")
            .message(7, &Message::new().bytes(4, "If").message(5, &branch));
        let call = Message::new().bytes(4, "f").bytes(7, "d").into_bytes();
        let graph = repeat(NODE, &call, size / 2);
        Message::new().int(1, 10).message(25, &function).message(GRAPH, &graph).into_bytes()
    }),
    ("products in one chain of scales", |size| {
        let mut last = "x".to_owned();
        model(named(size, |name| {
            let product = format!("p{name}");
            let multiply = Message::new().bytes(1, &last).bytes(1, &product).bytes(2, name).bytes(4, "Mul");
            last = name.to_owned();
            Message::new()
                .message(NODE, &Message::new().bytes(1, "x").bytes(2, &product).bytes(4, "MatMulInteger"))
                .message(NODE, &multiply)
        }))
    }),
    ("quantizers at the end of one long way", |size| {
        let mut last = "w".to_owned();
        let casts = named(size / 2, |name| {
            let name = format!("c{name}");
            let cast = Message::new().bytes(1, &last).bytes(2, &name).bytes(4, "Cast");
            last = name;
            Message::new().message(NODE, &cast)
        });
        let weight = Message::new().message(INITIALIZER, &tensor("w", [0]));
        let ends = named(size / 2, |name| Message::new().message(NODE, &dequantize(&last, name)));
        model(quantizers().append(&weight).append(&casts).append(&ends))
    }),
    ("quantizers of one value", |size| {
        model(quantizers().append(&named(size, |name| Message::new().message(NODE, &dequantize("x", name)))))
    }),
    ("complaints about one tensor", |size| {
        let long = "w".repeat(10_000);
        let carrier = Message::new().bytes(1, &long).bytes(2, "w").bytes(4, "Identity");
        let two = Message::new().int(1, 2).int(2, 1).bytes(8, "s").bytes(9, [0; 8]);
        let fields = Message::new()
            .message(INITIALIZER, &two)
            .message(INITIALIZER, &tensor(&long, [0]))
            .message(NODE, &carrier);
        model(fields.append(&named(size, |name| Message::new().message(NODE, &dequantize("w", name)))))
    }),
    ("tensors of a quintillion elements", |size| {
        model(named(size, |name| Message::new().message(INITIALIZER, &huge(name, 1 << 60))))
    }),
    ("tensors of a billion elements", |size| {
        model(named(size, |name| Message::new().message(INITIALIZER, &huge(name, 1 << 30))))
    }),
];

fn costly() -> Vec<Hostile> {
    let most = file("as many tensors as are let through", Outcome::Sound, || {
        let tensor = |at| Message::new().message(INITIALIZER, &tensor(&name_of(at), [2]).bytes(9, [1, 2]));
        model(
            Message::new()
                .raw(&(0..MOST_TENSORS).flat_map(|at| tensor(at).into_bytes()).collect::<Vec<u8>>()),
        )
    });
    COSTLY.iter().flat_map(|&(what, make)| bombs(FILE, what, make)).chain([most]).collect()
}
