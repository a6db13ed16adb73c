//! Bytes that are no protobuf messages, or not those of a model.

use std::fs::OpenOptions;

use quantviz_core::ErrorKind::{Limit, Malformed, NotFound, Unsupported};
use quantviz_core::{Error, ErrorKind};
use quantviz_formats::{Limits, open_with};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Graph, Node, Storage, data_type};
use quantviz_testkit::wire::{Message, WireType};

use crate::common::{Folder, assert_error, check_refusal, cut_short, open, refused, scan};

/// The field of a model that holds its graph, and those of a graph that hold nodes and initializers.
const GRAPH: u32 = 7;
const NODE: u32 = 1;
const INITIALIZER: u32 = 5;

/// The error of a model whose graph has these fields. The graph's first byte is byte 4 while it is short.
fn refused_fields(fields: Message) -> Error {
    refused("model.onnx", Message::new().int(1, 10).message(GRAPH, &fields).into_bytes())
}

fn small() -> Vec<u8> {
    let graph = Graph::new("small")
        .input("x", data_type::FLOAT, [1, 2])
        .initializer("w", data_type::INT8, [2, 2], Storage::Raw(vec![1, 2, 3, 4]))
        .initializer("s", data_type::FLOAT, [1], Storage::floats(&[0.5]))
        .initializer("i", data_type::INT64, [2], Storage::int64s(&[1, 1000]))
        .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["w_real"]))
        .node(Node::new("MatMul").name("mul").inputs(["x", "w_real"]).outputs(["y"]));
    OnnxBuilder::new(graph).producer("tests", "1").build()
}

#[test]
fn an_empty_file() {
    assert_error(&refused("model.onnx", []), Malformed, None, None, "the file is empty");
}

#[test]
fn a_file_cut_off_at_any_byte() {
    let whole = small();
    let folder = Folder::new();
    let mut opened = 0;
    for len in 1..whole.len() {
        let path = folder.put("model.onnx", &whole[..len]);
        match quantviz_formats::open(&path) {
            Ok(source) => {
                scan(&source);
                opened += 1;
            }
            Err(error) => {
                check_refusal(&error, &path);
                assert_eq!(error.kind(), Malformed, "{len} bytes: {error}");
            }
        }
    }
    // Behind the graph lies the version of the operators: without it, the file is well-formed.
    assert_eq!(opened, 1);
}

#[test]
fn a_field_longer_than_what_is_around_it() {
    let error = refused_fields(Message::new().claimed(NODE, 100, b"short"));
    assert_error(&error, Malformed, None, Some(6), &cut_short("a field of 100 bytes where only 5 are left"));
    let error = refused_fields(Message::new().claimed(NODE, u64::MAX, b""));
    let message = "a field of 18446744073709551615 bytes where only 0 are left";
    assert_error(&error, Malformed, None, Some(15), message);
    // Within the file, but beyond the graph.
    let graph = Message::new().claimed(INITIALIZER, 6, b"");
    let file = Message::new().int(1, 10).message(GRAPH, &graph).bytes(2, "behind").into_bytes();
    let message = "a field of 6 bytes where only 0 are left";
    assert_error(&refused("model.onnx", file), Malformed, None, Some(6), message);
}

#[test]
fn a_message_that_ends_within_a_field() {
    let message = "a message ends in the middle of a field";
    assert_error(
        &refused_fields(Message::new().tag(NODE, WireType::Length)),
        Malformed,
        None,
        Some(5),
        &cut_short(message),
    );
    assert_error(&refused_fields(Message::new().raw(&[0x80])), Malformed, None, Some(5), &cut_short(message));
}

#[test]
fn a_wire_type_that_does_not_exist() {
    for (wire_type, byte) in [(6, 0x0e), (7, 0x0f)] {
        let error = refused_fields(Message::new().raw(&[byte, 0]));
        let message = "no protobuf wire type: this is no ONNX model, or a damaged one";
        assert_error(&error, Malformed, None, Some(5), message);
        assert_eq!(byte & 7, wire_type);
    }
    // Groups do exist, in messages of long ago.
    for group in [WireType::StartGroup, WireType::EndGroup] {
        assert_eq!(refused_fields(Message::new().tag(NODE, group)).kind(), Malformed);
    }
}

#[test]
fn a_wire_type_that_the_field_cannot_have() {
    for (field, wire_type, fields) in [
        (NODE, 0, Message::new().varint(NODE, 1)),
        (2, 5, Message::new().fixed32(2, 1)),
        (INITIALIZER, 1, Message::new().fixed64(INITIALIZER, 1)),
    ] {
        let message =
            format!("field {field} with wire type {wire_type}: this is no ONNX model, or a damaged one");
        assert_error(&refused_fields(fields), Malformed, None, Some(4), &message);
    }
    let error = refused_fields(Message::new().message(INITIALIZER, &Message::new().bytes(2, "float")));
    assert_eq!((error.kind(), error.offset()), (Malformed, Some(6)));
}

#[test]
fn a_number_of_eleven_bytes() {
    let eleven = [&[0x80; 10][..], &[0x01]].concat();
    let error = refused_fields(Message::new().tag(NODE, WireType::Length).raw(&eleven));
    assert_error(&error, Malformed, None, Some(5), "a number of more than ten bytes");
}

#[test]
fn a_field_number_that_does_not_exist() {
    let message = "no protobuf field has this number: this is no ONNX model, or a damaged one";
    assert_error(&refused_fields(Message::new().raw(&[0x02, 0x00])), Malformed, None, Some(4), message);
    let error = refused_fields(Message::new().tag(u32::MAX, WireType::Varint));
    assert_error(&error, Malformed, None, Some(4), message);
}

#[test]
fn names_that_are_no_text() {
    let error = refused_fields(Message::new().message(INITIALIZER, &Message::new().bytes(8, b"\xff\xfe")));
    assert_error(&error, Malformed, None, Some(8), "a name that is not UTF-8");
}

#[test]
fn no_graph() {
    let error = refused("model.onnx", Message::new().int(1, 10).bytes(2, "pytorch").into_bytes());
    assert_error(&error, Malformed, None, None, "this is no ONNX model: it has no graph");
}

#[test]
fn two_graphs() {
    let graph = Message::new().bytes(2, "g");
    let bytes = Message::new().int(1, 10).message(GRAPH, &graph).message(GRAPH, &graph).into_bytes();
    assert_error(&refused("model.onnx", bytes), Malformed, None, Some(7), "a model with two graphs");
}

#[test]
fn graphs_in_graphs_beyond_the_limit() {
    // A graph in an attribute of a node of a graph: three messages each.
    let nest = |graph: &Message, _| {
        let attribute = Message::new().message(6, graph);
        Message::new().message(NODE, &Message::new().message(5, &attribute))
    };
    for depth in [40, 1000, 20_000] {
        let error = refused_fields((0..depth).fold(Message::new(), |graph, at| nest(&graph, at)));
        assert_eq!(
            (error.kind(), error.message()),
            (Limit, "messages are nested more than 100 deep"),
            "{depth}"
        );
    }
    let shallow = (0..30).fold(Message::new(), |graph, at| nest(&graph, at));
    open("model.onnx", Message::new().int(1, 10).message(GRAPH, &shallow).into_bytes());

    let mut limits = Limits::default();
    limits.depth = 2;
    let folder = Folder::new();
    let graph = Message::new().message(NODE, &Message::new().message(5, &Message::new()));
    let path = folder.put("model.onnx", Message::new().int(1, 10).message(GRAPH, &graph).into_bytes());
    let error = open_with(&path, &limits).err().expect("an attribute is message number three");
    assert_eq!((error.kind(), error.message()), (Limit, "messages are nested more than 2 deep"));
    limits.depth = 3;
    assert!(open_with(&path, &limits).is_ok());
}

#[test]
fn a_graph_over_the_limits() {
    let folder = Folder::new();
    let path = folder.put("model.onnx", small());
    let refused = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        let error = open_with(&path, &limits).err().expect("more than the limit");
        check_refusal(&error, &path);
        (error.kind(), error.message().to_owned())
    };
    let limit = |message: &str| (ErrorKind::Limit, message.to_owned());
    assert_eq!(refused(|it| it.graph_bytes = 100), limit("a graph of more than 100 bytes"));
    assert_eq!(refused(|it| it.graph_items = 9), limit("more than 9 entries in the graph"));
    assert_eq!(refused(|it| it.tensors = 2), limit("more than 2 tensors"));
    assert_eq!(refused(|it| it.rank = 1), limit("it has 2 dimensions, more than 1"));
    assert_eq!(refused(|it| it.data_bytes = 7), limit("the tensors up to here take more than 7 bytes"));
}

#[test]
fn a_file_that_shrinks_after_it_was_opened() {
    let bytes = small();
    let opened = open("model.onnx", &bytes);
    let path = opened.folder.path().join("model.onnx");
    let place = bytes.windows(4).position(|window| window == [1, 2, 3, 4]).expect("the raw data");
    let shrunk = OpenOptions::new().write(true).open(&path).and_then(|it| it.set_len(place as u64 + 2));
    shrunk.expect("the temporary folder is writable");
    let message = "the file ends here: it shrank while it was read";
    let error = opened.unreadable("w");
    assert_error(&error, Malformed, Some("w"), Some(place as u64), message);
    assert_eq!(error.file(), Some(&*path));
    // The values of a typed field, too.
    let error = opened.unreadable("i");
    assert_eq!((error.kind(), error.message(), error.file()), (Malformed, message, Some(&*path)));
}

#[test]
fn a_folder_in_place_of_a_file() {
    let folder = Folder::new();
    folder.put("model.onnx/inside", []);
    assert_error(
        &folder.refused("model.onnx"),
        Unsupported,
        None,
        None,
        "this is a folder, not a model file",
    );
}

#[test]
fn a_file_that_is_not_there() {
    assert_error(&Folder::new().refused("model.onnx"), NotFound, None, None, "no such file or folder");
}
