//! Products of codes that are scaled afterwards, as dynamic quantization writes them.

use quantviz_core::{Encoding, Granularity, Role, SourceExt};
use quantviz_testkit::onnx::{Attribute, Graph, Storage, data_type};

use crate::common::Opened;
use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

fn real(opened: &Opened, name: &str) -> Vec<f32> {
    opened.source.real_array(opened.id(name)).expect("readable").into_iter().collect()
}

/// What quantize_dynamic makes of `y = x · w + b`.
fn dynamic(scale_dims: &[i64], scales: &[f32]) -> Graph {
    let zero_points = vec![1; scales.len()];
    let cast =
        node("Cast", &["acc"], &["acc_float"]).attribute("to", Attribute::Int(data_type::FLOAT.into()));
    graph()
        .int8s("w", &[2, 3], &[1, 2, 3, 4, 5, 6])
        .floats("w_scale", scale_dims, scales)
        .int8s("w_zero", scale_dims, &zero_points)
        .floats("b", &[3], &[0.5; 3])
        .node(node("DynamicQuantizeLinear", &["x"], &["x_q", "x_scale", "x_zero"]))
        .node(node("Mul", &["x_scale", "w_scale"], &["scales"]))
        .node(node("MatMulInteger", &["x_q", "w", "x_zero", "w_zero"], &["acc"]).name("fc"))
        .node(cast)
        .node(node("Mul", &["acc_float", "scales"], &["product"]))
        .node(node("Add", &["product", "b"], &["y"]).name("add"))
}

#[test]
fn the_scale_is_the_constant_that_the_product_is_multiplied_with() {
    let opened = open_graph(dynamic(&[], &[0.5]));
    let quantization = opened.quantization("w");
    assert_eq!((quantization.encoding, &*quantization.source), (Encoding::Integer, "MatMulInteger"));
    assert_eq!(
        (&quantization.granularity, real(&opened, "w")),
        (&Granularity::Tensor, vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    );
    assert_eq!(layer_names(&opened), ["x", "fc", "add"]);
    assert_eq!(
        (&layer(&opened, "fc").outputs[..], &layer(&opened, "add").inputs[0]),
        (&["product".to_owned()][..], &"product".to_owned())
    );
    assert_eq!(layer(&opened, "fc").inputs[..2], ["x", "w"]);
    assert_eq!(parameters(&opened, "fc"), ["w", "w_zero", "w_scale"]);
    assert_eq!(
        (opened.parameter("w_scale").role, opened.parameter("w_zero").role),
        (Role::Scale, Role::ZeroPoint)
    );
    assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
}

#[test]
fn a_scale_for_every_column() {
    let opened = open_graph(dynamic(&[3], &[1.0, 10.0, 100.0]));
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(1));
    assert_eq!(real(&opened, "w"), [0.0, 10.0, 200.0, 3.0, 40.0, 500.0]);
    let opened = open_graph(dynamic(&[2], &[1.0, 10.0]));
    let message = "its scales of shape 2 do not fit the 3 channels of axis -1";
    assert_eq!(opened.warnings("w")[0].message, message);
}

#[test]
fn a_convolution_with_scales_shaped_for_its_product() {
    let graph = graph()
        .uint8s("w", &[2, 1, 1, 2], &[1, 2, 3, 4])
        .floats("w_scale", &[1, 2, 1, 1], &[0.5, 2.0])
        .floats("x_scale", &[], &[0.25])
        .uint8s("x_zero", &[], &[3])
        .node(node("QuantizeLinear", &["x", "x_scale", "x_zero"], &["x_q"]))
        .node(node("ConvInteger", &["x_q", "w", "x_zero"], &["acc"]).name("conv"))
        .node(node("Cast", &["acc"], &["float"]))
        .node(node("Mul", &["float", "x_scale"], &["once"]))
        .node(node("Mul", &["w_scale", "once"], &["y"]));
    let opened = open_graph(graph);
    // The first constant is the scale of the activation, so the first Mul is not enough.
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
    assert_eq!(real(&opened, "w"), [0.5, 1.0, 6.0, 8.0]);
    assert_eq!((layer_names(&opened), &*layer(&opened, "conv").outputs[0]), (vec!["x", "conv"], "y"));
    assert_eq!(layer(&opened, "x").activations.len(), 1);
}

#[test]
fn a_product_that_nothing_scales() {
    let graph = graph()
        .int8s("w", &[2, 2], &[1, 2, 3, 4])
        .node(node("DynamicQuantizeLinear", &["x"], &["x_q", "x_scale", "x_zero"]))
        .node(node("MatMulInteger", &["x_q", "w", "x_zero"], &["acc"]))
        .node(node("Relu", &["acc"], &["y"]));
    let opened = open_graph(graph);
    assert_eq!(opened.warnings("w")[0].message, "no constant scale follows its product");
}

#[test]
fn fused_operators_name_their_scales() {
    let weights = || {
        graph()
            .int8s("w", &[2, 3], &[1, 2, 3, 4, 5, 6])
            .floats("s", &[3], &[1.0, 10.0, 100.0])
            .int8s("z", &[3], &[1, 1, 1])
            .floats("b", &[3], &[0.0; 3])
    };
    let dynamic = node("DynamicQuantizeMatMul", &["x", "w", "s", "z", "b"], &["y"]).domain("com.microsoft");
    let to_float = node("MatMulIntegerToFloat", &["x_q", "w", "x_s", "s", "x_z", "z", "b"], &["y"]);
    let attention = node("QAttention", &["x", "w", "b", "one", "s", "", "", "z"], &["y"]);
    let one = |graph: Graph| graph.floats("one", &[], &[1.0]);
    for graph in [
        weights().node(dynamic),
        weights()
            .node(node("DynamicQuantizeLinear", &["x"], &["x_q", "x_s", "x_z"]))
            .node(to_float.domain("com.microsoft")),
        one(weights()).node(attention.domain("com.microsoft")),
    ] {
        let opened = open_graph(graph);
        assert_eq!(opened.quantization("w").granularity, Granularity::Axis(1));
        assert_eq!(real(&opened, "w"), [0.0, 10.0, 200.0, 3.0, 40.0, 500.0]);
        assert_eq!(opened.quantization("w").encoding, Encoding::Integer);
    }
}

#[test]
fn both_matrices_of_a_recurrent_layer() {
    // One direction, two inputs, four gates of one unit.
    let inputs = ["x", "w", "r", "", "", "", "", "", "w_s", "w_z", "r_s", "r_z"];
    let graph = graph()
        .int8s("w", &[1, 2, 4], &[1, 2, 3, 4, 5, 6, 7, 8])
        .int8s("r", &[1, 1, 4], &[1, 2, 3, 4])
        .floats("w_s", &[1, 4], &[1.0, 10.0, 100.0, 1000.0])
        .int8s("w_z", &[1, 4], &[0; 4])
        .floats("r_s", &[1], &[0.5])
        .int8s("r_z", &[1], &[1]);
    let opened = open_graph(graph.node(node("DynamicQuantizeLSTM", &inputs, &["y"]).domain("com.microsoft")));
    assert_eq!(real(&opened, "w"), [1.0, 20.0, 300.0, 4000.0, 5.0, 60.0, 700.0, 8000.0]);
    assert_eq!(real(&opened, "r"), [0.0, 0.5, 1.0, 1.5]);
}

/// An embedding whose rows stay codes until they are multiplied, as quantize_dynamic leaves them.
fn gathered(scale_of_embedding: &str) -> Graph {
    graph()
        .initializer("wte_quantized", data_type::UINT8, [2, 2], Storage::Raw(vec![1, 2, 3, 4]))
        .floats(scale_of_embedding, &[], &[0.5])
        .uint8s("wte_zero", &[], &[1])
        .int8s("w_quantized", &[2, 2], &[1, 2, 3, 4])
        .floats("w_scale", &[], &[10.0])
        .int8s("w_zero", &[], &[1])
        .node(node("Gather", &["wte_quantized", "x"], &["rows"]).name("embed"))
        .node(node("Mul", &[scale_of_embedding, "w_scale"], &["scales"]))
        .node(node("MatMulInteger", &["rows", "w_quantized", "wte_zero", "w_zero"], &["acc"]).name("fc"))
        .node(node("Cast", &["acc"], &["acc_float"]).attribute("to", Attribute::Int(1)))
        .node(node("Mul", &["acc_float", "scales"], &["y"]))
}

#[test]
fn names_say_which_scale_is_whose_where_both_operands_are_constants() {
    let opened = open_graph(gathered("wte_scale"));
    assert_eq!(real(&opened, "wte_quantized"), [0.0, 0.5, 1.0, 1.5]);
    assert_eq!(real(&opened, "w_quantized"), [0.0, 10.0, 20.0, 30.0]);
    assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
    // Other names say nothing, and nothing is guessed.
    let opened = open_graph(gathered("s"));
    assert_eq!(opened.warnings("wte_quantized")[0].message, "2 constants scale its product, not one");
}
