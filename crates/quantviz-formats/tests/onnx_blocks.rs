//! com.microsoft's operators on blocks of few bits, against values worked out by hand.
#![cfg(feature = "onnx")]

use std::fs;

use quantviz_core::{Encoding, Granularity, ParameterSource, Part, Role, SourceExt};
use quantviz_formats::BoxedSource;
use quantviz_testkit::check_sync_source;
use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type};

fn open(graph: Graph) -> BoxedSource {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    fs::write(&path, OnnxBuilder::new(graph).opset("com.microsoft", 1).build()).expect("a file");
    let source = quantviz_formats::open(&path).expect("a model");
    check_sync_source(&*source);
    source
}

fn real(source: &BoxedSource, name: &str) -> (Vec<usize>, Vec<f32>) {
    let array = source.real_array(source.model().parameter_named(name).expect("is there")).expect("readable");
    (array.shape().to_vec(), array.iter().copied().collect())
}

fn matmul_nbits(bits: i64, block: i64) -> Node {
    Node::new("MatMulNBits")
        .domain("com.microsoft")
        .attribute("N", Attribute::Int(2))
        .attribute("K", Attribute::Int(6))
        .attribute("bits", Attribute::Int(bits))
        .attribute("block_size", Attribute::Int(block))
}

/// Two rows of six nibbles in blocks of four: the second block of a row is half empty.
fn nibbles(graph: Graph) -> Graph {
    graph
        .input("a", data_type::FLOAT, [1, 6])
        .initializer(
            "b",
            data_type::UINT8,
            [2, 2, 2],
            Storage::Raw(vec![0x10, 0x32, 0x54, 0, 0x76, 0x98, 0xba, 0]),
        )
        .initializer("s", data_type::FLOAT, [4], Storage::floats(&[1.0, 2.0, 0.5, 10.0]))
}

#[test]
fn nibbles_without_zero_points_are_about_eight() {
    let node = matmul_nbits(4, 4).inputs(["a", "b", "s"]).outputs(["y"]);
    let source = open(nibbles(Graph::new("main")).node(node));
    let expected = [-8.0, -7.0, -6.0, -5.0, -8.0, -6.0, -1.0, -0.5, 0.0, 0.5, 20.0, 30.0];
    assert_eq!(real(&source, "b"), (vec![2, 6], expected.to_vec()));
    let weight = source.model().parameter(source.model().parameter_named("b").expect("is there"));
    let quantization = weight.quantization.as_ref().expect("is described");
    assert_eq!(
        (weight.role, quantization.encoding, quantization.bits),
        (Role::Weight, Encoding::MatMulNBits, 4)
    );
    assert_eq!(quantization.granularity, Granularity::Block(vec![1, 4]));
    assert_eq!(source.model().parameter_count(), 12);
}

#[test]
fn zero_points_are_packed_in_padded_rows_or_are_floats() {
    let node = || matmul_nbits(4, 4).inputs(["a", "b", "s", "z"]).outputs(["y"]);
    let packed =
        nibbles(Graph::new("main")).initializer("z", data_type::UINT8, [2], Storage::Raw(vec![0x21, 0x43]));
    let source = open(packed.node(node()));
    let id = source.model().parameter_named("b").expect("is there");
    assert_eq!(source.values(id, Part::ZeroPoints).expect("readable"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(real(&source, "b").1[..6], [-1.0, 0.0, 1.0, 2.0, 4.0, 6.0]);

    let floats = Storage::floats(&[0.5, 0.0, 0.0, 0.0]);
    let source =
        open(nibbles(Graph::new("main")).initializer("z", data_type::FLOAT, [2, 2], floats).node(node()));
    assert_eq!(real(&source, "b").1[..2], [-0.5, 0.5]);
}

#[test]
fn an_index_sends_columns_to_any_block() {
    let node = matmul_nbits(4, 4).inputs(["a", "b", "s", "", "g"]).outputs(["y"]);
    let index = Storage::int32s(&[1, 1, 0, 0, 0, 0]);
    let source = open(nibbles(Graph::new("main")).initializer("g", data_type::INT32, [6], index).node(node));
    assert_eq!(real(&source, "b").1[..6], [-16.0, -14.0, -6.0, -5.0, -4.0, -3.0]);
}

#[test]
fn two_and_eight_bits() {
    let two = Graph::new("main")
        .input("a", data_type::FLOAT, [1, 6])
        .initializer("b", data_type::UINT8, [2, 1, 2], Storage::Raw(vec![0b11_10_01_00, 0b01_00, 0xff, 0x0f]))
        .initializer("s", data_type::FLOAT, [2, 1], Storage::floats(&[1.0, 2.0]))
        .node(matmul_nbits(2, 8).inputs(["a", "b", "s"]).outputs(["y"]));
    let expected = [-2.0, -1.0, 0.0, 1.0, -2.0, -1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0];
    assert_eq!(real(&open(two), "b").1, expected);
    let bytes: Vec<u8> = (126..142).collect();
    let eight = Graph::new("main")
        .input("a", data_type::FLOAT, [1, 6])
        .initializer("b", data_type::UINT8, [2, 1, 8], Storage::Raw(bytes))
        .initializer("s", data_type::FLOAT, [2], Storage::floats(&[1.0, 1.0]))
        .node(matmul_nbits(8, 8).inputs(["a", "b", "s"]).outputs(["y"]));
    assert_eq!(real(&open(eight), "b").1[..7], [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 6.0]);
}

#[test]
fn what_does_not_fit_is_a_warning() {
    let node = matmul_nbits(4, 2).inputs(["a", "b", "s"]).outputs(["y"]);
    let source = open(nibbles(Graph::new("main")).node(node));
    let warning = &source.model().warnings[0];
    assert_eq!(warning.parameter.as_deref(), Some("b"));
    assert!(warning.message.contains("not packed as its operator says"), "{}", warning.message);
}

#[test]
fn gathered_blocks_as_nibbles_and_as_bytes() {
    let gather = |bits: i64| {
        Node::new("GatherBlockQuantized")
            .domain("com.microsoft")
            .attribute("bits", Attribute::Int(bits))
            .attribute("block_size", Attribute::Int(2))
            .attribute("quantize_axis", Attribute::Int(1))
            .inputs(["d", "i", "s"])
            .outputs(["y"])
    };
    let graph = |data: i32, dims: [i64; 2]| {
        Graph::new("main")
            .input("i", data_type::INT64, [1])
            .initializer("d", data, dims, Storage::Raw(vec![0x98, 0x7f, 0x10, 0x32]))
            .initializer("s", data_type::FLOAT, [2, 2], Storage::floats(&[1.0, 2.0, 3.0, 4.0]))
    };
    let signed = open(graph(data_type::INT4, [2, 4]).node(gather(4)));
    assert_eq!(real(&signed, "d").1, [-8.0, -7.0, -2.0, 14.0, 0.0, 3.0, 8.0, 12.0]);
    let bytes = open(graph(data_type::UINT8, [2, 2]).node(gather(4)));
    assert_eq!(real(&bytes, "d"), (vec![2, 4], vec![0.0, 1.0, 14.0, -2.0, -24.0, -21.0, -24.0, -20.0]));
    assert_eq!(bytes.model().parameter_count(), 8);
}

#[test]
fn bitsandbytes_blocks_run_across_rows() {
    let graph = |row: i64| {
        Graph::new("main")
            .input("a", data_type::FLOAT, [1, row])
            .initializer("b", data_type::UINT8, [3], Storage::Raw(vec![0x0f, 0x7f, 0xf0]))
            .initializer("s", data_type::FLOAT, [2], Storage::floats(&[1.0, 10.0]))
            .node(
                Node::new("MatMulBnb4")
                    .domain("com.microsoft")
                    .attribute("N", Attribute::Int(6 / row))
                    .attribute("K", Attribute::Int(row))
                    .attribute("block_size", Attribute::Int(4))
                    .attribute("quant_type", Attribute::Int(1))
                    .inputs(["a", "b", "s"])
                    .outputs(["y"]),
            )
    };
    assert_eq!(real(&open(graph(3)), "b"), (vec![6], vec![-1.0, 1.0, 0.0, 1.0, 10.0, -10.0]));
}
