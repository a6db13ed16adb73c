//! Which nodes are layers, what they are called, what they read and make, and which parameters are theirs.

use quantviz_core::{LayerKind, Role};
use quantviz_testkit::onnx::{Attribute, Node, Storage, data_type, tensor};

use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

#[test]
fn inputs_and_nodes_are_layers_in_order() {
    let opened = open_graph(
        graph()
            .input("mask", data_type::BOOL, [4])
            .floats("w", &[4, 2], &[0.0; 8])
            .node(node("MatMul", &["x", "w"], &["h"]).name("/fc/MatMul"))
            .node(node("Split", &["h"], &["a", "b"]))
            .node(node("Where", &["mask", "a", "b"], &["y"]).name("choose")),
    );
    assert_eq!(layer_names(&opened), ["x", "mask", "/fc/MatMul", "Split:a", "choose"]);
    let operators: Vec<_> = opened.model().layers.iter().map(|layer| layer.op.as_deref()).collect();
    assert_eq!(operators, ["Input", "Input", "MatMul", "Split", "Where"].map(Some));
    assert!(opened.model().layers.iter().all(|layer| layer.kind == LayerKind::Operation));
    assert_eq!(layer(&opened, "x").outputs, ["x"]);
    assert_eq!(layer(&opened, "/fc/MatMul").inputs, ["x", "w"]);
    assert_eq!(layer(&opened, "Split:a").outputs, ["a", "b"]);
    assert_eq!(layer(&opened, "choose").inputs, ["mask", "a", "b"]);
    assert_eq!(parameters(&opened, "/fc/MatMul"), ["w"]);
}

#[test]
fn an_initializer_that_is_an_input_too_is_no_input() {
    let opened =
        open_graph(graph().input("w", data_type::FLOAT, [4, 2]).floats("w", &[4, 2], &[0.0; 8]).node(node(
            "MatMul",
            &["x", "w"],
            &["y"],
        )));
    assert_eq!(layer_names(&opened), ["x", "MatMul:y"]);
}

#[test]
fn optional_inputs_that_are_left_out_stay_empty() {
    let opened = open_graph(
        graph().floats("most", &[], &[6.0]).node(node("Clip", &["x", "", "most"], &["y"]).name("relu6")),
    );
    assert_eq!(layer(&opened, "relu6").inputs, ["x", "", "most"]);
}

#[test]
fn a_node_of_no_outputs_has_a_name_still() {
    assert_eq!(layer_names(&open_graph(graph().node(node("Print", &["x"], &[])))), ["x", "Print:"]);
}

#[test]
fn what_lies_between_a_weight_and_its_layer_is_no_layer() {
    let opened = open_graph(
        graph()
            .int8s("w", &[2, 4], &[1; 8])
            .floats("w_scale", &[], &[0.5])
            .int8s("w_zero", &[], &[1])
            .int64s("shape", &[4, 2])
            .int64s("axes", &[0])
            .floats("low", &[], &[-1.0])
            .node(node("DequantizeLinear", &["w", "w_scale", "w_zero"], &["1"]))
            .node(node("Cast", &["1"], &["2"]))
            .node(node("Identity", &["2"], &["3"]))
            .node(node("Transpose", &["3"], &["4"]))
            .node(node("Reshape", &["4", "shape"], &["5"]))
            .node(node("Unsqueeze", &["5", "axes"], &["6"]))
            .node(node("Squeeze", &["6", "axes"], &["7"]))
            .node(node("Flatten", &["7"], &["8"]))
            .node(node("Clip", &["8", "low"], &["9"]))
            .node(node("MatMul", &["x", "9"], &["y"]).name("fc")),
    );
    assert_eq!(layer_names(&opened), ["x", "fc"]);
    assert_eq!(layer(&opened, "fc").inputs, ["x", "w"]);
    assert_eq!(parameters(&opened, "fc"), ["w", "w_scale", "w_zero", "shape", "axes", "low"]);
    let roles = [
        ("w", Role::Weight),
        ("w_scale", Role::Scale),
        ("w_zero", Role::ZeroPoint),
        ("shape", Role::Constant),
    ];
    for (name, role) in roles {
        assert_eq!(opened.parameter(name).role, role, "{name}");
    }
    assert!(opened.parameter("w").quantization.is_some());
}

#[test]
fn the_same_operators_on_activations_are_layers() {
    let opened = open_graph(
        graph()
            .int64s("shape", &[2, 2])
            .node(node("Reshape", &["x", "shape"], &["a"]))
            .node(node("Transpose", &["a"], &["b"]))
            .node(node("Identity", &["b"], &["y"])),
    );
    assert_eq!(layer_names(&opened), ["x", "Reshape:a", "Transpose:b", "Identity:y"]);
    assert_eq!(parameters(&opened, "Reshape:a"), ["shape"]);
    assert_eq!(opened.parameter("shape").role, Role::Constant);
}

#[test]
fn values_have_the_names_they_had_before_quantization() {
    let opened = open_graph(
        graph()
            .floats("s", &[], &[0.5])
            .uint8s("z", &[], &[128])
            .int8s("w", &[4, 4], &[1; 16])
            .node(node("QuantizeLinear", &["x", "s", "z"], &["x_q"]))
            .node(node("DequantizeLinear", &["x_q", "s", "z"], &["x_dq"]))
            .node(node("DequantizeLinear", &["w", "s"], &["w_dq"]))
            .node(node("MatMul", &["x_dq", "w_dq"], &["h"]).name("fc"))
            .node(node("QuantizeLinear", &["h", "s", "z"], &["h_q"]))
            .node(node("DequantizeLinear", &["h_q", "s", "z"], &["h_dq"]))
            .node(node("Relu", &["h_dq"], &["y"]).name("relu")),
    );
    assert_eq!(layer_names(&opened), ["x", "fc", "relu"]);
    assert_eq!(
        (&layer(&opened, "fc").inputs, &layer(&opened, "fc").outputs),
        (&vec!["x".into(), "w".into()], &vec!["h".into()])
    );
    assert_eq!(layer(&opened, "relu").inputs, ["h"]);
}

#[test]
fn a_weight_of_two_nodes_belongs_to_the_first() {
    let opened = open_graph(
        graph()
            .floats("tied", &[4, 4], &[0.0; 16])
            .node(node("Gather", &["tied", "x"], &["h"]).name("embed"))
            .node(node("Transpose", &["tied"], &["t"]))
            .node(node("MatMul", &["h", "t"], &["y"]).name("head")),
    );
    assert_eq!((parameters(&opened, "embed"), parameters(&opened, "head")), (vec!["tied"], vec![]));
    assert_eq!(layer(&opened, "head").inputs, ["h", "tied"]);
    assert_eq!(opened.parameter("tied").role, Role::Embedding);
}

#[test]
fn what_no_node_reads_is_a_layer_of_its_module() {
    let opened = open_graph(
        graph()
            .floats("h.0.attn.weight", &[2, 2], &[0.0; 4])
            .floats("h.0.attn.bias", &[2], &[0.0; 2])
            .floats("stray", &[2], &[0.0; 2])
            .node(node("Relu", &["x"], &["y"])),
    );
    assert_eq!(layer_names(&opened), ["x", "Relu:y", "h.0.attn", "stray"]);
    assert_eq!(layer(&opened, "stray").kind, LayerKind::Parameter);
    assert_eq!((layer(&opened, "stray").op.as_deref(), opened.parameter("stray").role), (None, Role::Other));
    assert_eq!(parameters(&opened, "h.0.attn"), ["h.0.attn.weight", "h.0.attn.bias"]);
    assert_eq!(opened.parameter("h.0.attn.weight").role, Role::Weight);
}

#[test]
fn tensors_of_constant_nodes_are_parameters() {
    let value = tensor("its own name", data_type::FLOAT, [4], Storage::floats(&[1.0, 2.0, 3.0, 4.0]));
    let opened = open_graph(
        graph()
            .node(Node::new("Constant").outputs(["c"]).attribute("value", Attribute::Tensor(value)))
            .node(node("Add", &["x", "c"], &["y"]).name("add")),
    );
    assert_eq!(layer_names(&opened), ["x", "add"]);
    assert_eq!(parameters(&opened, "add"), ["c"]);
    assert_eq!((opened.values("c"), opened.parameter("c").role), (vec![1.0, 2.0, 3.0, 4.0], Role::Bias));
}

#[test]
fn a_product_of_constants_is_a_form_of_its_largest() {
    let opened = open_graph(
        graph()
            .floats("gain", &[2], &[0.5; 2])
            .floats("w", &[4, 2], &[0.0; 8])
            .node(node("Mul", &["gain", "w"], &["scaled"]))
            .node(node("MatMul", &["x", "scaled"], &["y"]).name("fc")),
    );
    assert_eq!((layer_names(&opened), &*layer(&opened, "fc").inputs[1]), (vec!["x", "fc"], "w"));
    assert_eq!((opened.parameter("w").role, opened.parameter("gain").role), (Role::Weight, Role::Constant));
    assert_eq!(parameters(&opened, "fc"), ["w", "gain"]);
}
