//! ONNX: every type of numbers, and every operator whose codes are read or named.

use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type};

use crate::samples::{Sample, bytes, dtype};

/// The codes of `TensorProto.DataType`.
const TYPES: &[(&str, i32)] = &[
    ("f32", 1),
    ("u8", 2),
    ("i8", 3),
    ("u16", 4),
    ("i16", 5),
    ("i32", 6),
    ("i64", 7),
    ("string", 8),
    ("bool", 9),
    ("f16", 10),
    ("f64", 11),
    ("u32", 12),
    ("u64", 13),
    ("c64", 14),
    ("c128", 15),
    ("bf16", 16),
    ("f8_e4m3fn", 17),
    ("f8_e4m3fnuz", 18),
    ("f8_e5m2", 19),
    ("f8_e5m2fnuz", 20),
    ("u4", 21),
    ("i4", 22),
    ("f4_e2m1", 23),
    ("f8_e8m0", 24),
    ("u2", 25),
    ("i2", 26),
    ("f6_e2m3", 27),
    ("f6_e3m2", 28),
];

const CODES: &[&str] = &["i8", "u8", "i16", "u16", "i32", "i4", "u4", "i2", "u2"];
const FLOAT_CODES: &[&str] =
    &["f8_e4m3fn", "f8_e4m3fnuz", "f8_e5m2", "f8_e5m2fnuz", "f4_e2m1", "f6_e2m3", "f6_e3m2"];

const FILE: &str = "model.onnx";

/// A tensor: its name, its type and its shape.
type Tensor<'a> = (&'static str, &'static str, &'a [u64]);

pub(crate) fn samples() -> Vec<Sample> {
    let plain = TYPES.iter().map(|(name, _)| sample(&[("w", name, &[4])], node("Identity", "w", "y")));
    plain.chain(linear()).chain(blocks()).chain(operators()).chain(others()).chain(unread()).collect()
}

fn code(name: &str) -> i32 {
    TYPES.iter().find(|(known, _)| *known == name).expect("a type of the format").1
}

/// A graph of a node that makes `r` of the tensors, the first of which it is about.
fn sample(tensors: &[Tensor<'_>], node: Node) -> Sample {
    graph_sample(tensors, [node])
}

fn graph_sample(tensors: &[Tensor<'_>], nodes: impl IntoIterator<Item = Node>) -> Sample {
    let graph = Graph::new("sample").input("x", data_type::FLOAT, [1, 4]);
    let add = |graph: Graph, (name, of, dims): &Tensor<'_>| {
        let storage = match *of {
            "string" => Storage::strings(&["a", "b", "c", "d"]),
            _ => Storage::Raw(bytes(dtype(of), dims)),
        };
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        graph.initializer(name, code(of), dims, storage)
    };
    let graph = nodes.into_iter().fold(tensors.iter().fold(graph, add), Graph::node);
    let graph = graph.node(node("Mul", "x r", "out"));
    let bytes = OnnxBuilder::new(graph).opset("", 24).opset("com.microsoft", 1).build();
    Sample::new(FILE, bytes, tensors[0].0)
}

/// A node; `-` skips a slot.
fn node(op: &str, inputs: &str, output: &str) -> Node {
    let slots = inputs.split(' ').map(|slot| if slot == "-" { "" } else { slot });
    Node::new(op).inputs(slots).outputs([output])
}

fn int(node: Node, name: &str, value: i64) -> Node {
    node.attribute(name, Attribute::Int(value))
}

fn microsoft(op: &str, inputs: &str, attributes: &[(&str, i64)]) -> Node {
    let node = node(op, inputs, "r").domain("com.microsoft");
    attributes.iter().fold(node, |node, (name, value)| int(node, name, *value))
}

/// QuantizeLinear and DequantizeLinear, in every granularity.
fn linear() -> Vec<Sample> {
    let mut samples = Vec::new();
    for of in CODES.iter().chain(FLOAT_CODES) {
        for (scales, axis, block) in
            [(&[][..], None, None), (&[4], Some(0), None), (&[4, 2], Some(1), Some(8))]
        {
            let attributes = |mut node: Node| {
                node = axis.into_iter().fold(node, |node, axis| int(node, "axis", axis));
                block.into_iter().fold(node, |node, block| int(node, "block_size", block))
            };
            let dequantize = |codes: &str| attributes(node("DequantizeLinear", codes, "r"));
            samples.push(sample(&[("w", of, &[4, 16]), ("s", "f32", scales)], dequantize("w s")));
            let quantize =
                int(attributes(node("QuantizeLinear", "w s", "q")), "output_dtype", code(of).into());
            let tensors = [("w", "f32", &[4, 16][..]), ("s", "f32", scales)];
            // The operator has no such output.
            if *of != "i32" {
                samples.push(graph_sample(&tensors, [quantize, dequantize("q s")]));
            }
        }
    }
    // Scales that are codes themselves.
    for of in ["i4", "f4_e2m1"] {
        let tensors = [("w", of, &[4, 64][..]), ("c", "f8_e4m3fn", &[4, 4]), ("t", "f32", &[])];
        let outer = node("DequantizeLinear", "c t", "s");
        let inner = int(int(node("DequantizeLinear", "w s", "r"), "axis", 1), "block_size", 16);
        samples.push(graph_sample(&tensors, [outer, inner]));
    }
    samples
}

/// com.microsoft's operators on blocks.
fn blocks() -> Vec<Sample> {
    let mut samples = Vec::new();
    for bits in [2, 4, 8] {
        let attributes = [("N", 4), ("K", 64), ("bits", bits as i64), ("block_size", 32)];
        let codes = [4, 2, 4 * bits];
        let tensors = [("w", "u8", &codes[..]), ("s", "f32", &[4, 2]), ("g", "i32", &[64])];
        samples.push(sample(&tensors, microsoft("MatMulNBits", "x w s", &attributes)));
        if bits == 4 {
            // An index of zeros.
            let graph = Graph::new("sample")
                .input("x", data_type::FLOAT, [1, 64])
                .initializer("w", code("u8"), [4, 2, 16], Storage::Raw(bytes(dtype("u8"), &[128])))
                .initializer("s", code("f32"), [4, 2], Storage::Raw(bytes(dtype("f32"), &[8])))
                .initializer("g", code("i32"), [64], Storage::Raw(vec![0; 256]))
                .node(microsoft("MatMulNBits", "x w s - g", &attributes));
            let file = OnnxBuilder::new(graph).opset("com.microsoft", 1).build();
            samples.push(Sample::new(FILE, file, "w"));
        }
    }
    for (of, bits, columns) in [("u8", 2, 16), ("u8", 4, 32), ("u8", 8, 64), ("i4", 4, 64), ("u4", 4, 64)] {
        let node = microsoft("GatherBlockQuantized", "w x s", &[("bits", bits), ("block_size", 32)]);
        samples.push(sample(&[("w", of, &[4, columns]), ("s", "f32", &[4, 2])], node));
    }
    let bnb4 =
        microsoft("MatMulBnb4", "x w s", &[("N", 4), ("K", 64), ("block_size", 32), ("quant_type", 1)]);
    samples.push(sample(&[("w", "u8", &[128]), ("s", "f32", &[8])], bnb4));
    samples
}

/// Operators that compute on codes: their inputs, and the axis of many scales of `w`.
fn operators() -> Vec<Sample> {
    const EIGHT_BITS: &[&str] = &["i8", "u8"];
    const MATRICES: &[(&str, &str, Option<u64>)] = &[
        ("QLinearConv", "a as az w s z ys yz b", Some(0)),
        ("QLinearMatMul", "a as az w s z ys yz", Some(1)),
        ("QGemm", "a as az w s z b ys yz", Some(1)),
        ("QLinearAdd", "a as az w s z ys yz", None),
        ("QLinearMul", "a as az w s z ys yz", None),
        ("QLinearConcat", "ys yz a as az w s z", None),
        ("QLinearWhere", "x a as az w s z ys yz", None),
        ("MatMulIntegerToFloat", "a w as s az z", Some(1)),
        ("DynamicQuantizeMatMul", "x w s z", Some(1)),
        ("QAttention", "a w b as s - az z", Some(1)),
        ("DynamicQuantizeLSTM", "x w v - - - - - s z t u", Some(0)),
    ];
    let mut samples = Vec::new();
    for (op, inputs, axis) in MATRICES {
        for of in EIGHT_BITS {
            for channels in [None, axis.map(|_| 4)] {
                let scales = channels.map(|channels| vec![channels]).unwrap_or_default();
                let shape: &[u64] = match *op {
                    "QLinearConv" => &[4, 4, 1, 1],
                    "DynamicQuantizeLSTM" => &[2, 4, 4],
                    _ => &[4, 4],
                };
                let scales = match (*op, channels) {
                    ("DynamicQuantizeLSTM", None) => vec![2],
                    ("DynamicQuantizeLSTM", Some(_)) => vec![2, 4],
                    _ => scales,
                };
                let tensors: [Tensor<'_>; 11] = [
                    ("w", of, shape),
                    ("s", "f32", &scales),
                    ("z", of, &scales),
                    ("v", of, shape),
                    ("t", "f32", &scales),
                    ("u", of, &scales),
                    ("as", "f32", &[]),
                    ("az", "u8", &[]),
                    ("ys", "f32", &[]),
                    ("yz", "u8", &[]),
                    ("b", "i32", &[4]),
                ];
                let used: Vec<&str> = inputs.split(' ').collect();
                let tensors: Vec<Tensor<'_>> =
                    tensors.into_iter().filter(|(name, ..)| used.contains(name)).collect();
                let domain = if ["QLinearConv", "QLinearMatMul"].contains(op) { "" } else { "com.microsoft" };
                let nodes = || [node("QuantizeLinear", "x as az", "a"), node(op, inputs, "r").domain(domain)];
                samples.push(graph_sample(&tensors, nodes()));
                // Their biases have no scale of their own.
                if matches!(*op, "QLinearConv" | "QGemm") {
                    let mut bias = graph_sample(&tensors, nodes());
                    bias.tensor = "b";
                    samples.push(bias);
                }
            }
        }
    }
    for op in ["MatMulInteger", "ConvInteger"] {
        for of in EIGHT_BITS {
            for scales in [&[][..], &[4]] {
                if op == "ConvInteger" && !scales.is_empty() {
                    continue;
                }
                let shape: &[u64] = if op == "ConvInteger" { &[4, 4, 1, 1] } else { &[4, 4] };
                let tensors = [("w", *of, shape), ("s", "f32", scales), ("z", *of, scales)];
                samples.push(graph_sample(&tensors, integer_product(op)));
            }
        }
    }
    samples
}

fn integer_product(op: &str) -> [Node; 5] {
    [
        Node::new("DynamicQuantizeLinear").inputs(["x"]).outputs(["a", "as", "az"]),
        node(op, "a w az z", "p"),
        int(node("Cast", "p", "f"), "to", 1),
        node("Mul", "as s", "both"),
        node("Mul", "f both", "r"),
    ]
}

/// QONNX, TensorRT, plain arithmetic and annotations.
fn others() -> Vec<Sample> {
    let mut samples = Vec::new();
    for scales in [&[][..], &[4, 1]] {
        let tensors = [("w", "f32", &[4, 4][..]), ("s", "f32", scales), ("z", "f32", &[]), ("n", "f32", &[])];
        let graph = Graph::new("sample").input("x", data_type::FLOAT, [1, 4]);
        let graph = tensors.iter().fold(graph, |graph, (name, of, dims)| {
            let content = match *name {
                "n" => 4f32.to_le_bytes().to_vec(),
                "z" => 0f32.to_le_bytes().to_vec(),
                _ => bytes(dtype(of), dims),
            };
            let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
            graph.initializer(name, code(of), dims, Storage::Raw(content))
        });
        let graph = graph.node(node("Quant", "w s z n", "r").domain("qonnx.custom_op.general"));
        let graph = graph.node(node("MatMul", "x r", "y"));
        samples.push(Sample::new(FILE, OnnxBuilder::new(graph).build(), "w"));
    }
    for scales in [&[][..], &[4, 1]] {
        let signs = node("BipolarQuant", "w s", "r").domain("qonnx.custom_op.general");
        samples.push(sample(&[("w", "f32", &[4, 4]), ("s", "f32", scales)], signs));
        let bytes_of_floats = int(node("TRT_FP8DequantizeLinear", "w s", "r").domain("trt"), "axis", 0);
        let scales_by_axis = if scales.is_empty() { scales } else { &[4] };
        samples.push(sample(&[("w", "u8", &[4, 4]), ("s", "f32", scales_by_axis)], bytes_of_floats));
        for codes in ["i8", "u8", "i4", "u4"] {
            let cast = || int(node("Cast", "w", "f"), "to", code("f32").into());
            let tensors = [("w", codes, &[4, 4][..]), ("s", "f32", scales)];
            samples.push(graph_sample(&tensors, [cast(), node("Mul", "f s", "r")]));
        }
    }
    let divided = [int(node("Cast", "w", "f"), "to", code("f32").into()), node("Div", "f s", "r")];
    samples.push(graph_sample(&[("w", "i8", &[4, 4]), ("s", "f32", &[])], divided));
    let annotated = |scales: u64| {
        let graph = Graph::new("sample")
            .input("x", data_type::FLOAT, [1, 4])
            .initializer("w", code("i8"), [4, 3], Storage::Raw(bytes(dtype("i8"), &[12])))
            .initializer("s", code("f32"), [scales as i64], Storage::Raw(bytes(dtype("f32"), &[scales])))
            .annotation("w", &[("SCALE_TENSOR", "s")])
            .node(node("MatMul", "x w", "y"));
        Sample::new(FILE, OnnxBuilder::new(graph).build(), "w")
    };
    samples.extend([annotated(1), annotated(4)]);
    samples
}

/// Operators whose codes are named, and not read.
fn unread() -> Vec<Sample> {
    let prepacked = [("N", 4), ("K", 64), ("bits", 4), ("block_size", 32), ("weight_prepacked", 1)];
    let codes: &[Tensor<'_>] = &[("w", "u8", &[4, 2, 16]), ("s", "f32", &[4, 2])];
    let cases = [
        ("MatMulNBits, prepacked", sample(codes, microsoft("MatMulNBits", "x w s", &prepacked))),
        ("QOrderedMatMul", sample(&[("w", "i8", &[4, 4])], microsoft("QOrderedMatMul", "x s w s s", &[]))),
        (
            "QMoE",
            sample(&[("w", "u8", &[2, 4, 4]), ("s", "f32", &[2, 4])], microsoft("QMoE", "x x w s", &[])),
        ),
        (
            "MatMulFpQ4",
            sample(&[("w", "u8", &[128, 1]), ("n", "i64", &[2])], microsoft("MatMulFpQ4", "x w n", &[])),
        ),
        (
            "operators of vendors",
            sample(&[("w", "i8", &[4, 4])], node("Dense", "x w", "r").domain("com.example")),
        ),
    ];
    cases.map(|(title, sample)| Sample { unread: Some(title), ..sample }).into()
}
