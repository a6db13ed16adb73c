//! Graphs that run in circles, repeat themselves or lead nowhere: they are read to the end.

use quantviz_core::Operand;
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type, tensor};

use crate::common::{Opened, scan};
use crate::open_graph;

/// A graph with a weight, a scale and these nodes: an operator, what it reads, what it makes.
fn open_nodes(nodes: &[(&str, &[&str], &[&str])]) -> Opened {
    let graph = Graph::new("g")
        .input("x", data_type::FLOAT, [2])
        .initializer("w", data_type::INT8, [2], Storage::Raw(vec![1, 2]))
        .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]));
    let opened = open_graph(nodes.iter().fold(graph, |graph, (operator, inputs, outputs)| {
        graph.node(Node::new(operator).inputs(inputs.iter().copied()).outputs(outputs.iter().copied()))
    }));
    scan(&opened.source);
    opened
}

fn inputs<'a>(opened: &'a Opened, layer: &str) -> Vec<&'a str> {
    let layer = opened.model().layers.iter().find(|it| it.name == layer).expect("this layer");
    layer.inputs.iter().map(String::as_str).collect()
}

#[test]
fn quantizers_in_a_circle() {
    let opened = open_nodes(&[
        ("QuantizeLinear", &["a", "s"], &["b"]),
        ("DequantizeLinear", &["b", "s"], &["a"]),
        ("Relu", &["a"], &["y"]),
    ]);
    assert_eq!(inputs(&opened, "Relu:y").len(), 1);
    open_nodes(&[("QuantizeLinear", &["a", "s"], &["a"]), ("Relu", &["a"], &["y"])]);
}

#[test]
fn carriers_in_a_circle() {
    let opened = open_nodes(&[
        ("Identity", &["a"], &["b"]),
        ("Identity", &["b"], &["a"]),
        ("Transpose", &["c"], &["c"]),
        ("Add", &["a", "c"], &["y"]),
    ]);
    assert_eq!(inputs(&opened, "Add:y"), ["a", "c"]);
}

#[test]
fn a_circle_that_begins_at_a_weight() {
    let opened = open_nodes(&[
        ("DequantizeLinear", &["w", "s"], &["a"]),
        ("Identity", &["a"], &["b"]),
        ("Identity", &["b"], &["a"]),
        ("Add", &["a", "b"], &["y"]),
    ]);
    assert_eq!(inputs(&opened, "Add:y"), ["w", "w"]);
    assert!(opened.parameter("w").quantization.is_some());
}

#[test]
fn a_node_that_makes_its_own_weight_and_scale() {
    let opened = open_nodes(&[("DequantizeLinear", &["w", "s", "w"], &["w"]), ("Relu", &["w"], &["y"])]);
    assert_eq!(inputs(&opened, "Relu:y"), ["w"]);
    open_nodes(&[("DequantizeLinear", &["s", "s", "s"], &["s"]), ("QLinearConv", &["w"; 9], &["w"])]);
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
    let opened = open_nodes(&[
        ("Relu", &["x"], &["a"]),
        ("Sigmoid", &["x"], &["a"]),
        ("QuantizeLinear", &["a", "s"], &["q"]),
        ("Relu", &["q"], &["y"]),
    ]);
    let quantized: Vec<&str> =
        opened.model().layers.iter().filter(|it| !it.activations.is_empty()).map(|it| &*it.name).collect();
    assert_eq!(quantized, ["Relu:a"]);
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
