//! Graphs inside graphs, and functions: what is in them has the path to it in its name.

use quantviz_core::{Error, ErrorKind, SourceExt};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type, tensor};

use crate::common::{Opened, assert_error, open, refused};
use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

fn real(opened: &Opened, name: &str) -> Vec<f32> {
    opened.source.real_array(opened.id(name)).expect("readable").into_iter().collect()
}

fn branch(name: &str) -> Graph {
    Graph::new(name)
        .int8s("w", &[2], &[1, 2])
        .node(node("DequantizeLinear", &["w", "s"], &["r"]))
        .node(node("MatMul", &["x", "r"], &["m"]).name("fc"))
        .node(node("Add", &["m", "outer"], &["out"]))
}

fn choice() -> Graph {
    graph()
        .floats("s", &[], &[0.5])
        .floats("outer", &[1], &[7.0])
        .node(
            node("If", &["x"], &["y"])
                .name("choose")
                .attribute("then_branch", Attribute::Graph(branch("a")))
                .attribute("else_branch", Attribute::Graph(branch("b"))),
        )
        .node(node("Relu", &["y"], &["z"]))
}

#[test]
fn branches_have_tensors_and_layers_of_their_own() {
    let opened = open_graph(choice());
    assert_eq!(
        layer_names(&opened),
        [
            "x",
            "choose",
            "choose/then_branch/fc",
            "Add:choose/then_branch/out",
            "choose/else_branch/fc",
            "Add:choose/else_branch/out",
            "Relu:z",
        ]
    );
    for name in ["choose/then_branch/w", "choose/else_branch/w"] {
        assert_eq!(real(&opened, name), [0.5, 1.0]);
    }
    // What is not defined inside comes from outside, and belongs to the first that reads it.
    assert_eq!(layer(&opened, "choose/then_branch/fc").inputs, ["x", "choose/then_branch/w"]);
    assert_eq!(parameters(&opened, "choose/then_branch/fc"), ["choose/then_branch/w", "s"]);
    assert_eq!(parameters(&opened, "Add:choose/then_branch/out"), ["outer"]);
    assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
}

#[test]
fn a_name_inside_hides_the_one_outside() {
    let body = Graph::new("body")
        .input("i", data_type::INT64, [])
        .floats("w", &[1], &[2.0])
        .node(node("Mul", &["state", "w"], &["next"]).name("mul"));
    let opened = open_graph(
        graph()
            .floats("w", &[1], &[1.0])
            .node(node("Loop", &["", "", "x"], &["y"]).attribute("body", Attribute::Graph(body)))
            .node(node("Mul", &["y", "w"], &["z"]).name("mul")),
    );
    assert_eq!(layer_names(&opened), ["x", "Loop:y", "Loop:y/body/mul", "mul"]);
    assert_eq!((opened.values("w"), opened.values("Loop:y/body/w")), (vec![1.0], vec![2.0]));
    assert_eq!(layer(&opened, "Loop:y/body/mul").inputs, ["state", "Loop:y/body/w"]);
    assert_eq!(layer(&opened, "mul").inputs, ["y", "w"]);
}

#[test]
fn nodes_of_the_same_name_have_paths_of_their_own() {
    let scan = |output: &str| {
        let body = Graph::new("body").floats("w", &[1], &[1.0]).node(node("Add", &["x", "w"], &["a"]));
        node("Scan", &["x"], &[output]).name("scan").attribute("body", Attribute::Graph(body))
    };
    let opened = open_graph(graph().node(scan("a")).node(scan("b")));
    let names: Vec<&str> = opened.model().parameters.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["scan/body/w", "scan/body#2/w"]);
}

fn with_function(calls: impl IntoIterator<Item = Node>, body: impl IntoIterator<Item = Node>) -> Vec<u8> {
    let graph = graph().int8s("w", &[2, 2], &[1, 2, 3, 4]).floats("s", &[2], &[0.5, 10.0]);
    OnnxBuilder::new(calls.into_iter().fold(graph, Graph::node))
        .opset("", 21)
        .opset("local", 1)
        .function("local", "QuantLinear", &["in", "codes", "scale", "bias"], &["out"], body)
        .build()
}

fn call(inputs: &[&str], output: &str) -> Node {
    node("QuantLinear", inputs, &[output]).domain("local").attribute("rows", Attribute::Int(0))
}

#[test]
fn a_function_is_taken_apart_where_it_is_called() {
    let value = tensor("", data_type::FLOAT, [2], Storage::floats(&[1.0, 2.0]));
    let body = [
        node("DequantizeLinear", &["codes", "scale"], &["weight"]).attribute_of_call("axis", "rows"),
        Node::new("Constant").outputs(["shift"]).attribute("value", Attribute::Tensor(value)),
        node("MatMul", &["in", "weight"], &["product"]).name("mul"),
        node("Sum", &["product", "shift", "bias"], &["out"]),
    ];
    let calls = [call(&["x", "w", "s"], "h").name("first"), call(&["h", "w", "s"], "y")];
    let opened = open("model.onnx", with_function(calls, body));
    assert_eq!(layer_names(&opened), ["x", "first/mul", "Sum:h", "QuantLinear:y/mul", "Sum:y"]);
    assert_eq!(real(&opened, "w"), [0.5, 1.0, 30.0, 40.0], "by rows, as the call says");
    assert_eq!(layer(&opened, "first/mul").inputs, ["x", "w"]);
    assert_eq!(layer(&opened, "Sum:h").inputs, ["first/product", "first/shift", ""]);
    assert_eq!(layer(&opened, "QuantLinear:y/mul").inputs, ["h", "w"]);
    // The constant of the function is there once for every call, and stored once.
    for name in ["first/shift", "QuantLinear:y/shift"] {
        assert_eq!(opened.values(name), [1.0, 2.0]);
    }
    assert_eq!(opened.parameter("QuantLinear:y/shift").shares, Some(opened.id("first/shift")));
    assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
}

#[test]
fn functions_that_call_themselves_or_each_other_too_often() {
    let refused = |bytes: Vec<u8>| -> Error { refused("model.onnx", bytes) };
    let inner = node("QuantLinear", &["in"], &["out"]).domain("local");
    let error = refused(with_function([call(&["x"], "y")], [inner]));
    assert_error(&error, ErrorKind::Malformed, None, None, "the function \"QuantLinear\" calls itself");

    // Thirty functions, each of which calls the next one twice.
    let base = OnnxBuilder::new(graph().node(node("f0", &["x"], &["y"]).domain("d"))).opset("d", 1);
    let builder = (0..30).fold(base, |builder, index| {
        let next = format!("f{}", index + 1);
        let calls = ["a", "out"].map(|output| node(&next, &["in"], &[output]).domain("d"));
        builder.function("d", &format!("f{index}"), &["in"], &["out"], calls)
    });
    assert_eq!(refused(builder.build()).kind(), ErrorKind::Limit);
}

#[test]
fn attributes_of_a_call_reach_into_the_branches_of_its_function() {
    let branch = |name: &str| {
        let weight = node("DequantizeLinear", &["codes", "scale"], &["weight"]);
        Graph::new(name).node(weight.attribute_of_call("axis", "rows")).node(node(
            "MatMul",
            &["in", "weight"],
            &["result"],
        ))
    };
    let choice = node("If", &["in"], &["out"])
        .attribute("then_branch", Attribute::Graph(branch("a")))
        .attribute("else_branch", Attribute::Graph(branch("b")));
    let call =
        node("QuantLinear", &["x", "w", "s"], &["y"]).domain("local").attribute("rows", Attribute::Int(1));
    let opened = open("model.onnx", with_function([call], [choice]));
    assert_eq!(real(&opened, "w"), [0.5, 20.0, 1.5, 40.0]);
}
