//! ONNX files that cost little to write and much to read, for a reader without limits.

use quantviz_testkit::wire::Message;

/// Makes a file of about so many bytes.
type Make = fn(usize) -> Vec<u8>;

/// What each file is made of.
pub(crate) const FILES: &[(&str, Make)] = &[
    ("empty nodes", |size| model(repeat(1, b"", size))),
    ("empty tensors", |size| model(repeat(5, b"", size))),
    ("empty inputs", |size| model(repeat(11, b"", size))),
    ("empty annotations", |size| model(repeat(14, b"", size))),
    ("tensors with names", |size| model(numbered(size, |name| Message::new().message(5, &tensor(name, []))))),
    ("attributes", |size| model(Message::new().message(1, &repeat(5, b"\x15\0\0\0\0", size)))),
    ("lists in an attribute", |size| {
        let list = repeat(9, b"", size);
        model(Message::new().message(1, &Message::new().message(5, &list)))
    }),
    ("inputs of one node", |size| model(Message::new().message(1, &repeat(1, b"a", size)))),
    ("metadata", |size| {
        model(Message::new()).into_iter().chain(repeat(14, b"", size).into_bytes()).collect()
    }),
    ("versions of operators", |size| {
        model(Message::new()).into_iter().chain(repeat(8, b"", size).into_bytes()).collect()
    }),
    ("dimensions of an input", |size| {
        let shape = Message::new().message(1, &Message::new().message(2, &repeat(1, b"", size)));
        model(Message::new().message(11, &Message::new().bytes(1, "x").message(2, &shape)))
    }),
    ("dimensions of a tensor", |size| model(Message::new().message(5, &tensor("w", vec![1; size])))),
    ("lists of no values", |size| {
        model(Message::new().message(5, &tensor("w", [1]).append(&repeat(5, b"", size))))
    }),
    ("external data", |size| {
        model(Message::new().message(5, &tensor("w", [1]).append(&repeat(13, b"", size))))
    }),
    ("a long name behind short ones", |size| {
        let name = "w".repeat(size / 2);
        let carrier = Message::new().bytes(1, &name).bytes(2, "a").bytes(4, "Identity");
        let node = Message::new().bytes(1, &name).append(&repeat(1, b"a", size / 2)).bytes(4, "Add");
        model(Message::new().message(5, &tensor(&name, [0])).message(1, &carrier).message(1, &node))
    }),
    ("a chain of quantizers", |size| {
        let mut last = "x".to_owned();
        model(quantizers().append(&numbered(size, |name| {
            let input = std::mem::replace(&mut last, name.to_owned());
            Message::new().message(1, &dequantize(&input, name))
        })))
    }),
    ("a circle of quantizers", |size| {
        let node = Message::new().bytes(1, "a").bytes(2, "a").bytes(4, "QuantizeLinear");
        model(repeat(1, &node.into_bytes(), size))
    }),
    ("quantizers of one value", |size| {
        model(quantizers().append(&numbered(size, |name| Message::new().message(1, &dequantize("x", name)))))
    }),
    ("complaints about one tensor", |size| {
        let long = "w".repeat(10_000);
        let carrier = Message::new().bytes(1, &long).bytes(2, "w").bytes(4, "Identity");
        let two = Message::new().int(1, 2).int(2, 1).bytes(8, "s").bytes(9, [0; 8]);
        let fields = Message::new().message(5, &two).message(5, &tensor(&long, [0])).message(1, &carrier);
        model(fields.append(&numbered(size, |name| Message::new().message(1, &dequantize("w", name)))))
    }),
    ("tensors of a quintillion elements", |size| {
        model(numbered(size, |name| Message::new().message(5, &huge(name, 1 << 60))))
    }),
    ("tensors of a billion elements", |size| {
        model(numbered(size, |name| Message::new().message(5, &huge(name, 1 << 30))))
    }),
];

fn model(graph: Message) -> Vec<u8> {
    Message::new().int(1, 10).message(7, &graph).into_bytes()
}

fn repeat(field: u32, bytes: &[u8], size: usize) -> Message {
    let one = Message::new().bytes(field, bytes).into_bytes();
    Message::new().raw(&one.repeat(size / one.len()))
}

/// Messages with a name each, which no other has.
fn numbered(size: usize, mut each: impl FnMut(&str) -> Message) -> Message {
    let mut bytes = Vec::new();
    for number in 0.. {
        if bytes.len() >= size {
            break;
        }
        bytes.extend(each(&format!("{number:x}")).into_bytes());
    }
    Message::new().raw(&bytes)
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
    Message::new().message(5, &scale).message(11, &Message::new().bytes(1, "x"))
}

fn dequantize(input: &str, output: &str) -> Message {
    Message::new().bytes(1, input).bytes(1, "s").bytes(2, output).bytes(4, "DequantizeLinear")
}
