//! No bytes make a reader panic: neither noise, nor noise behind the head of a real file, nor files that are well-formed
//! and mean nothing.
#![cfg(all(feature = "onnx", feature = "safetensors"))]

mod common;

use std::fs;

use common::{Folder, check_model, check_refusal, scan};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::ParameterSource;
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type};
use quantviz_testkit::safetensors::raw;
use quantviz_testkit::wire::{Message, WireType, varint};
use quantviz_testkit::{OnnxBuilder, check_source};

thread_local! {
    static FOLDER: Folder = Folder::in_memory();
}

/// Whatever is in the file: opening and measuring end, and errors are lines that name it.
fn survives(name: &str, bytes: &[u8]) {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("the temporary folder is writable");
        match quantviz_formats::open(&path) {
            Ok(source) => {
                check_model(source.model());
                // Where something cannot be read, much else cannot.
                if scan(&source).iter().all(|measured| measured.error.is_none()) {
                    check_source(&*source);
                }
            }
            Err(error) => check_refusal(&error, &path),
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise_is_read_or_refused(name in names(), bytes in vec(any::<u8>(), 0..600)) {
        survives(name, &bytes);
    }

    #[test]
    fn noise_behind_an_ir_version_is_read_or_refused(
        version in 1..=64u8,
        field in select(vec![0x12u8, 0x1a, 0x22, 0x32, 0x3a, 0x42, 0x72]),
        bytes in vec(any::<u8>(), 0..600),
    ) {
        survives("noise", &[&[0x08, version, field][..], &bytes].concat());
    }

    #[test]
    fn noise_in_a_safetensors_header_is_read_or_refused(header in vec(any::<u8>(), 0..300), data in bytes()) {
        survives("noise", &raw([b"{", &header[..]].concat(), &data));
    }

    #[test]
    fn any_json_as_a_header_is_read_or_refused(header in json(), data in bytes()) {
        survives("noise.safetensors", &raw(&header, &data));
    }

    #[test]
    fn any_entries_in_a_header_are_read_or_refused(
        entries in vec((name(), dtype(), shape(), 0..4u8, 0..9u8), 0..4),
        data in bytes(),
    ) {
        let entry = |(name, dtype, shape, begin, end): (String, &str, String, u8, u8)| {
            format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
        };
        let entries: Vec<String> = entries.into_iter().map(entry).collect();
        survives("noise", &raw(format!("{{{}}}", entries.join(",")), &data));
    }

    #[test]
    fn any_json_as_an_index_is_read_or_refused(map in json()) {
        survives("noise.safetensors.index.json", format!(r#"{{"weight_map":{map}}}"#).as_bytes());
    }

    #[test]
    fn any_graph_is_a_model_that_keeps_its_promises(graph in graph()) {
        survives("noise.onnx", &OnnxBuilder::new(graph).build());
    }

    #[test]
    fn any_messages_as_a_model_are_read_or_refused(fields in vec(field(), 0..4), graph in vec(field(), 0..12)) {
        let graph = Message::new().message(7, &concat(&graph));
        survives("noise.onnx", &concat(&fields).append(&graph).into_bytes());
    }
}

fn names() -> impl Strategy<Value = &'static str> {
    select(vec!["noise", "noise.onnx", "noise.safetensors", "noise.safetensors.index.json", "noise.gguf"])
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..260)
}

fn name() -> impl Strategy<Value = String> {
    "[ab]{0,2}|__metadata__|\\\\n|\u{202e}"
}

fn shape() -> impl Strategy<Value = String> {
    prop_oneof![4 => vec(0..3u8, 0..3).prop_map(|dims| format!("{dims:?}")), 1 => json()]
}

fn dtype() -> impl Strategy<Value = &'static str> {
    select(vec!["F32", "F16", "I8", "U64", "BOOL", "F4", "F6_E2M3", "C64", "I4", ""])
}

/// Small documents; most of the numbers are small, some do not fit any integer.
fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![4 => (0..9u64).prop_map(|it| it.to_string()), 1 => "-?[0-9]{1,21}([.][0-9])?(e[0-9]{1,3})?"];
    let key =
        select(vec!["dtype", "shape", "data_offsets", "__metadata__", "a", "noise.safetensors", "../a"]);
    let leaf = prop_oneof![3 => number, 2 => key.clone().prop_map(|it| format!("{it:?}")), 1 => Just("null".to_owned())];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let list = vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(",")));
        let pair = (key.clone(), inner).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![list, vec(pair, 0..4).prop_map(|pairs| format!("{{{}}}", pairs.join(",")))]
    })
}

fn concat(fields: &[Message]) -> Message {
    fields.iter().fold(Message::new(), |message, field| message.append(field))
}

/// A field with a number that ONNX's messages use, and anything in it; lengths are mostly true.
fn field() -> impl Strategy<Value = Message> {
    let words =
        select(vec!["", "a", "b", "DequantizeLinear", "QLinearConv", "Constant", "value", "axis", "Gemm"]);
    let leaf = (1..26u32).prop_flat_map(move |field| {
        let message = move || Message::new();
        prop_oneof![
            4 => words.clone().prop_map(move |word| message().bytes(field, word)),
            4 => (0..30u64).prop_map(move |value| message().varint(field, value)),
            1 => any::<u64>().prop_map(move |value| message().varint(field, value)),
            1 => any::<u32>().prop_map(move |bits| message().fixed32(field, bits)),
            2 => vec(any::<u8>(), 0..12).prop_map(move |bytes| message().bytes(field, bytes)),
            1 => (0..40u64).prop_map(move |length| message().tag(field, WireType::Length).raw(&varint(length))),
        ]
    });
    leaf.prop_recursive(5, 40, 8, |inner| {
        let nesting = select(vec![1u32, 1, 5, 5, 6, 11, 13, 14, 15]);
        (nesting, vec(inner, 0..8))
            .prop_map(|(field, fields)| Message::new().message(field, &concat(&fields)))
    })
}

/// Nodes that read and make whatever they like, among them loops and values that are made twice; most of the tensors
/// are as long as they should be, and most quantizers find scales and zero-points.
fn graph() -> impl Strategy<Value = Graph> {
    let tensors = btree_map(select(vec!["a", "b", "c", "d", "s", "z"]), tensor(), 0..5);
    let scales = vec(0.1f32..9.0, 1..4);
    (tensors, scales, vec(prop_oneof![node(), quantizer()], 0..8)).prop_map(|(tensors, scales, nodes)| {
        let mut graph = Graph::new("any").input("x", data_type::FLOAT, [1, 2]);
        if !tensors.contains_key("s") {
            graph = graph.initializer("s", data_type::FLOAT, [scales.len() as i64], Storage::floats(&scales));
        }
        if !tensors.contains_key("z") {
            graph = graph.initializer("z", data_type::INT8, [], Storage::Raw(vec![7]));
        }
        for (name, (data_type, dims, storage)) in tensors {
            graph = graph.initializer(name, data_type, dims, storage);
        }
        nodes.into_iter().fold(graph, Graph::node)
    })
}

fn tensor() -> impl Strategy<Value = (i32, Vec<i64>, Storage)> {
    use data_type::{BOOL, FLOAT, FLOAT8E4M3FN, INT2, INT8, INT32, STRING, UINT4, UINT8};
    let bits = [
        (FLOAT, 32),
        (INT8, 8),
        (UINT8, 8),
        (INT32, 32),
        (UINT4, 4),
        (INT2, 2),
        (FLOAT8E4M3FN, 8),
        (BOOL, 8),
    ];
    let dims = prop_oneof![3 => vec(1..4i64, 0..3), 1 => vec(0..3i64, 0..4)];
    let right = (select(bits.to_vec()), dims, vec(any::<u8>(), 256)).prop_map(
        |((data_type, bits), dims, mut bytes)| {
            bytes.truncate((dims.iter().product::<i64>().unsigned_abs() * bits).div_ceil(8) as usize);
            (data_type, dims, Storage::Raw(bytes))
        },
    );
    let storage = prop_oneof![
        Just(Storage::None),
        Just(Storage::external("missing.bin", None, None)),
        Just(Storage::strings(&["text"])),
        vec(any::<i32>(), 0..4).prop_map(|values| Storage::int32s(&values)),
        vec(any::<f32>(), 0..4).prop_map(|values| Storage::unpacked_floats(&values)),
    ];
    let wrong = (select(vec![FLOAT, INT8, UINT4, STRING, 27, 99]), vec(-1..3i64, 0..3), storage);
    prop_oneof![20 => right, 1 => wrong]
}

fn value() -> impl Strategy<Value = &'static str> {
    select(vec!["", "a", "b", "c", "d", "e", "f", "g", "s", "x"])
}

fn node() -> impl Strategy<Value = Node> {
    let operators =
        ["DequantizeLinear", "Identity", "Transpose", "Cast", "Conv", "Gather", "Constant", "Custom"];
    (select(operators.to_vec()), vec(value(), 0..10), vec(value(), 0..3), any::<i64>()).prop_map(
        |(operator, inputs, outputs, axis)| {
            Node::new(operator).inputs(inputs).outputs(outputs).attribute("axis", Attribute::Int(axis))
        },
    )
}

/// Question marks are places where any value goes.
const QUANTIZERS: &[(&str, &str)] = &[
    ("QuantizeLinear", "? s z"),
    ("DequantizeLinear", "? s z"),
    ("DequantizeLinear", "? s"),
    ("DequantizeLinear", "? ? ?"),
    ("QLinearConv", "? s z ? s z s z ?"),
    ("QLinearMatMul", "? s z ? s z s z"),
    ("QGemm", "? s z ? s z ? s z"),
    ("MatMulNBits", "x ? s ? ?"),
    ("MatMulNBits", "x ? s"),
    ("MatMulBnb4", "x ? s"),
    ("GatherBlockQuantized", "? x s ?"),
];

fn quantizer() -> impl Strategy<Value = Node> {
    let (axis, block) = (
        option::of(-2..3i64),
        option::weighted(0.5, prop_oneof![20 => -1..4i64, 1 => Just(i64::MAX), 1 => Just(1 << 62)]),
    );
    let size = prop_oneof![9 => 1..5i64, 1 => any::<u32>().prop_map(|bits| 1 << (bits % 64))];
    let sizes = vec(prop_oneof![4 => size.prop_map(Some), 1 => Just(None)], 3);
    (select(QUANTIZERS), vec(value(), 3), value(), axis, block, sizes).prop_map(
        |((operator, inputs), values, output, axis, block, sizes)| {
            let mut values = values.into_iter();
            let inputs = inputs
                .split(' ')
                .map(|name| if name == "?" { values.next().unwrap_or_default() } else { name });
            let node = Node::new(operator).inputs(inputs).outputs([output]);
            let attributes =
                [("axis", axis), ("block_size", block), ("transB", axis), ("quantize_axis", axis)];
            let sizes = ["N", "K", "bits"].into_iter().zip(sizes);
            attributes.into_iter().chain(sizes).fold(node, |node, (name, value)| match value {
                Some(value) => node.attribute(name, Attribute::Int(value)),
                None => node,
            })
        },
    )
}
