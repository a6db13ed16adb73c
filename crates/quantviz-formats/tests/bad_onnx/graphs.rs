//! Graphs that run in circles or repeat themselves are refused; those that lead nowhere are read to the end.

use quantviz_core::{ErrorKind, Operand};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type, tensor};

use crate::common::{Opened, assert_error, refused, scan};
use crate::open_graph;

/// A graph with a weight, a scale and these nodes: an operator, what it reads, what it makes.
fn graph_of(nodes: &[(&str, &[&str], &[&str])]) -> Graph {
    let graph = Graph::new("g")
        .input("x", data_type::FLOAT, [2])
        .initializer("w", data_type::INT8, [2], Storage::Raw(vec![1, 2]))
        .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]));
    nodes.iter().fold(graph, |graph, (operator, inputs, outputs)| {
        graph.node(Node::new(operator).inputs(inputs.iter().copied()).outputs(outputs.iter().copied()))
    })
}

fn open_nodes(nodes: &[(&str, &[&str], &[&str])]) -> Opened {
    let opened = open_graph(graph_of(nodes));
    scan(&opened.source);
    opened
}

fn inputs<'a>(opened: &'a Opened, layer: &str) -> Vec<&'a str> {
    let layer = opened.model().layers.iter().find(|it| it.name == layer).expect("this layer");
    layer.inputs.iter().map(String::as_str).collect()
}

/// The graph with these nodes is refused, naming a value.
#[track_caller]
fn assert_refused(nodes: &[(&str, &[&str], &[&str])], value: &str, message: &str) {
    let error = refused("model.onnx", OnnxBuilder::new(graph_of(nodes)).build());
    assert_error(&error, ErrorKind::Malformed, Some(value), None, message);
}

const CYCLE: &str = "this value depends on itself: the graph has a cycle";

#[test]
fn quantizers_in_a_circle() {
    let circle: &[(&str, &[&str], &[&str])] = &[
        ("QuantizeLinear", &["a", "s"], &["b"]),
        ("DequantizeLinear", &["b", "s"], &["a"]),
        ("Relu", &["a"], &["y"]),
    ];
    assert_refused(circle, "b", CYCLE);
    assert_refused(&[("QuantizeLinear", &["a", "s"], &["a"]), ("Relu", &["a"], &["y"])], "a", CYCLE);
}

#[test]
fn carriers_in_a_circle() {
    assert_refused(&[("Identity", &["a"], &["b"]), ("Identity", &["b"], &["a"])], "b", CYCLE);
    assert_refused(&[("Relu", &["x"], &["y"]), ("Transpose", &["c"], &["c"])], "c", CYCLE);
}

#[test]
fn a_node_that_makes_its_own_weight_and_scale() {
    let message = "a node makes a value that has the name of a tensor";
    assert_refused(&[("DequantizeLinear", &["x", "s", "x"], &["w"]), ("Relu", &["w"], &["y"])], "w", message);
}

#[test]
fn nodes_in_the_wrong_order() {
    let opened = open_nodes(&[
        ("Relu", &["a"], &["y"]),
        ("DequantizeLinear", &["w", "s"], &["a"]),
        ("Add", &["a"], &["z"]),
    ]);
    assert_eq!(inputs(&opened, "Relu:y"), ["w"]);
    assert_eq!(inputs(&opened, "Add:z"), ["w"]);
}

#[test]
fn nodes_without_anything() {
    let opened = open_nodes(&[
        ("", &[], &[]),
        ("QuantizeLinear", &[], &[]),
        ("DequantizeLinear", &["", ""], &[""]),
        ("DequantizeLinear", &["w"], &["a"]),
        ("QLinearConv", &[], &[]),
        ("QGemm", &["", "", "", "w"], &["b"]),
        ("Constant", &[], &[]),
    ]);
    assert!(opened.parameter("w").quantization.is_none());
    assert_eq!(opened.warnings("w").len(), 1, "one of two reasons");
}

#[test]
fn a_value_that_is_made_twice() {
    let message = "two nodes make a value of this name";
    assert_refused(&[("Relu", &["x"], &["a"]), ("Sigmoid", &["x"], &["a"])], "a", message);
    assert_refused(&[("Split", &["x"], &["a", "a"])], "a", message);
}

#[test]
fn tensors_and_values_without_a_name() {
    let unnamed = tensor("", data_type::INT8, [1], Storage::Raw(vec![7]));
    let graph = Graph::new("g")
        .field(5, &unnamed)
        .node(Node::new("Constant").outputs([""]).attribute("value", Attribute::Tensor(unnamed)))
        .node(Node::new("Clip").name("clip").inputs(["x", "", ""]).outputs(["y"]));
    let opened = open_graph(graph);
    assert_eq!(inputs(&opened, "clip"), ["x", "", ""]);
    assert_eq!(opened.values(""), [7.0]);
}

#[test]
fn attributes_of_the_wrong_type() {
    let graph = Graph::new("g")
        .initializer("w", data_type::INT8, [2, 2], Storage::Raw(vec![1, 2, 3, 4]))
        .initializer("s", data_type::FLOAT, [2], Storage::floats(&[0.5, 0.25]))
        .node(
            Node::new("DequantizeLinear")
                .inputs(["w", "s"])
                .outputs(["a"])
                .attribute("axis", Attribute::String("first".into()))
                .attribute("block_size", Attribute::Float(2.0)),
        )
        .node(Node::new("Constant").outputs(["c"]).attribute("value", Attribute::Int(1)));
    scan(&open_graph(graph).source);
}

#[test]
fn scales_of_other_types_than_numbers() {
    for (data_type, storage) in [
        (data_type::STRING, Storage::strings(&["half"])),
        (99, Storage::Raw(vec![0; 4])),
        (data_type::COMPLEX64, Storage::Raw(vec![0; 8])),
        (data_type::FLOAT, Storage::None),
    ] {
        let graph = Graph::new("g")
            .initializer("w", data_type::INT8, [2], Storage::Raw(vec![1, 2]))
            .initializer("s", data_type, [], storage)
            .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["a"]));
        let opened = open_graph(graph);
        assert_eq!(opened.values("w"), [1.0, 2.0]);
        assert!(matches!(opened.quantization("w").scale, Operand::Parameter(_)));
        let measured = scan(&opened.source);
        let error = measured[opened.id("w").index()].error.as_ref().expect("no scale can be read");
        assert_eq!(error.tensor(), Some("s"), "{error}");
    }
}
