//! Activations whose quantization the file fixes: under their float names, with the layer that makes them.

use quantviz_core::{DType, Role};
use quantviz_testkit::onnx::{Attribute, Graph, data_type};

use crate::common::{Opened, number};
use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

/// The activations of a layer: name, type, scale, zero-point.
fn activations(opened: &Opened, layer_name: &str) -> Vec<(String, DType, Option<f64>, Option<f64>)> {
    let activations = layer(opened, layer_name).activations.iter();
    let zero_point = |it: &quantviz_core::Activation| it.zero_point.as_ref().and_then(number);
    activations.map(|it| (it.tensor.clone(), it.dtype, number(&it.scale), zero_point(it))).collect()
}

fn activation(
    name: &str,
    dtype: DType,
    scale: f64,
    zero_point: Option<f64>,
) -> (String, DType, Option<f64>, Option<f64>) {
    (name.to_owned(), dtype, Some(scale), zero_point)
}

fn scales(graph: Graph) -> Graph {
    graph
        .floats("s", &[], &[0.5])
        .uint8s("z", &[], &[128])
        .floats("t", &[1], &[0.25])
        .int8s("n", &[], &[-3])
        .int8s("w", &[4, 4], &[1; 16])
}

#[test]
fn pairs_of_quantizers_belong_to_the_layer_before_them() {
    let opened = open_graph(
        scales(graph())
            .node(node("QuantizeLinear", &["x", "s", "z"], &["x_q"]))
            .node(node("DequantizeLinear", &["x_q", "s", "z"], &["x_dq"]))
            .node(node("Relu", &["x_dq"], &["h"]).name("relu"))
            .node(node("QuantizeLinear", &["h", "t", "n"], &["h_q"]))
            .node(node("DequantizeLinear", &["h_q", "t", "n"], &["h_dq"]))
            .node(node("Sigmoid", &["h_dq"], &["y"]).name("sigmoid")),
    );
    assert_eq!(activations(&opened, "x"), [activation("x", DType::U8, 0.5, Some(128.0))]);
    assert_eq!(activations(&opened, "relu"), [activation("h", DType::I8, 0.25, Some(-3.0))]);
    assert_eq!(activations(&opened, "sigmoid"), []);
    assert_eq!((parameters(&opened, "x"), parameters(&opened, "relu")), (vec!["s", "z"], vec!["t", "n"]));
    assert_eq!((opened.parameter("t").role, opened.parameter("n").role), (Role::Scale, Role::ZeroPoint));
}

#[test]
fn a_pair_for_every_consumer_is_one_activation() {
    let opened = open_graph(
        scales(graph())
            .node(node("QuantizeLinear", &["x", "s", "z"], &["q1"]))
            .node(node("DequantizeLinear", &["q1", "s", "z"], &["d1"]))
            .node(node("QuantizeLinear", &["x", "s", "z"], &["q2"]))
            .node(node("DequantizeLinear", &["q2", "s", "z"], &["d2"]))
            .node(node("DequantizeLinear", &["q2", "s", "z"], &["d3"]))
            .node(node("Sum", &["d1", "d2", "d3"], &["y"]).name("sum")),
    );
    assert_eq!(activations(&opened, "x"), [activation("x", DType::U8, 0.5, Some(128.0))]);
    assert_eq!(layer(&opened, "sum").inputs, ["x", "x", "x"]);
}

#[test]
fn the_type_of_codes_is_that_of_the_zero_point_or_what_the_quantizer_says() {
    for (inputs, output_dtype, expected) in [
        (&["x", "s"][..], None, DType::U8),
        (&["x", "s", "n"], None, DType::I8),
        (&["x", "s"], Some(data_type::INT16), DType::I16),
        (&["x", "s"], Some(data_type::UNDEFINED), DType::U8),
        (&["x", "s"], Some(data_type::FLOAT8E4M3FN), DType::F8E4M3Fn),
    ] {
        let quantize = node("QuantizeLinear", inputs, &["q"]);
        let quantize = match output_dtype {
            Some(code) => quantize.attribute("output_dtype", Attribute::Int(code.into())),
            None => quantize,
        };
        let opened = open_graph(scales(graph()).node(quantize).node(node("Relu", &["q"], &["y"])));
        assert_eq!(activations(&opened, "x")[0].1, expected, "{inputs:?} {output_dtype:?}");
    }
}

#[test]
fn an_input_of_codes_goes_by_the_name_of_what_they_stand_for() {
    let graph = Graph::new("g").input("pixels", data_type::UINT8, [1, 4]);
    let opened = open_graph(
        scales(graph)
            .node(node("DequantizeLinear", &["pixels", "s", "z"], &["image"]))
            .node(node("Relu", &["image"], &["y"]).name("relu")),
    );
    assert_eq!(activations(&opened, "pixels"), [activation("image", DType::U8, 0.5, Some(128.0))]);
}

#[test]
fn a_clip_behind_the_quantizer_narrows_the_codes() {
    let opened = open_graph(
        scales(graph())
            .int8s("low", &[], &[-127])
            .int8s("high", &[], &[100])
            .node(node("Relu", &["x"], &["h"]).name("relu"))
            .node(node("QuantizeLinear", &["h", "t", "n"], &["h_q"]))
            .node(node("Clip", &["h_q", "low"], &["h_low"]))
            .node(node("Clip", &["h_low", "", "high"], &["h_c"]))
            .node(node("DequantizeLinear", &["h_c", "t", "n"], &["h_dq"]))
            // A Clip of real numbers is a layer like any other.
            .node(node("Clip", &["h_dq", "s"], &["y"]).name("bounds"))
            .node(node("QuantizeLinear", &["y", "t", "n"], &["y_q"]))
            .node(node("DequantizeLinear", &["y_q", "t", "n"], &["y_dq"])),
    );
    assert_eq!(layer_names(&opened)[..4], ["x", "relu", "bounds", "z"]);
    assert_eq!(activations(&opened, "relu"), [activation("h", DType::I8, 0.25, Some(-3.0))]);
    assert_eq!(layer(&opened, "relu").activations[0].code_range, Some((-127.0, 100.0)));
    assert_eq!(layer(&opened, "bounds").activations[0].code_range, Some((-128.0, 127.0)));
    assert_eq!(parameters(&opened, "relu"), ["t", "n", "low", "high"]);
    assert_eq!(layer(&opened, "bounds").inputs[0], "h");
}

#[test]
fn bounds_that_are_computed_are_not_looked_through() {
    let opened = open_graph(
        scales(graph())
            .node(node("QuantizeLinear", &["x", "t", "n"], &["q"]))
            .node(node("ReduceMin", &["q"], &["low"]).name("least"))
            .node(node("Clip", &["q", "low"], &["c"]).name("bounds"))
            .node(node("DequantizeLinear", &["c", "t", "n"], &["y"])),
    );
    assert_eq!(layer_names(&opened)[..3], ["x", "least", "bounds"]);
    assert_eq!(layer(&opened, "x").activations[0].code_range, Some((-128.0, 127.0)));
}

#[test]
fn scales_that_are_computed_are_not_listed() {
    let opened = open_graph(
        scales(graph())
            .node(node("DynamicQuantizeLinear", &["x"], &["q", "q_s", "q_z"]).name("dynamic"))
            .node(node("DequantizeLinear", &["q", "q_s", "q_z"], &["d"]))
            .node(node("QuantizeLinear", &["d", "s", "q_z"], &["e"]))
            .node(node("Relu", &["e"], &["y"])),
    );
    assert!(opened.model().layers.iter().all(|layer| layer.activations.is_empty()));
    assert_eq!(layer(&opened, "Relu:y").inputs, ["x"]);
}

#[test]
fn operators_on_codes_have_quantized_inputs_and_outputs() {
    let opened = open_graph(
        scales(graph())
            .node(node("QuantizeLinear", &["x", "s", "z"], &["x_q"]))
            .node(node("QLinearMatMul", &["x_q", "s", "z", "w", "t", "n", "t", "n"], &["h_q"]).name("first"))
            .node(node("QLinearMatMul", &["h_q", "t", "n", "w", "t", "n", "s", "z"], &["y_q"]).name("second"))
            .node(node("DequantizeLinear", &["y_q", "s", "z"], &["y"])),
    );
    assert_eq!(activations(&opened, "x"), [activation("x", DType::U8, 0.5, Some(128.0))]);
    // Nothing gives this value a name as a float.
    assert_eq!(activations(&opened, "first"), [activation("h_q", DType::I8, 0.25, Some(-3.0))]);
    assert_eq!(activations(&opened, "second"), [activation("y", DType::U8, 0.5, Some(128.0))]);
    assert_eq!(layer(&opened, "first").inputs[0], "x");
}

#[test]
fn weights_are_no_activations() {
    let opened = open_graph(
        scales(graph())
            .floats("v", &[4, 4], &[1.0; 16])
            .node(node("DequantizeLinear", &["w", "t", "n"], &["w_real"]))
            .node(node("QuantizeLinear", &["v", "s", "z"], &["v_q"]))
            .node(node("DequantizeLinear", &["v_q", "s", "z"], &["v_real"]))
            .node(node("Sum", &["x", "w_real", "v_real"], &["y"])),
    );
    assert!(opened.model().layers.iter().all(|layer| layer.activations.is_empty()));
}

#[test]
fn the_type_of_codes_is_what_the_operator_says() {
    let graph = || scales(graph()).floats("none", &[], &[0.0]).floats("bits", &[], &[4.0]);
    let quant = node("Quant", &["x", "s", "none", "bits"], &["q"])
        .domain("qonnx.custom_op.general")
        .attribute("signed", Attribute::Int(0));
    let fp8 = node("TRT_FP8QuantizeLinear", &["x", "s"], &["q"]).domain("trt");
    let bipolar = node("BipolarQuant", &["x", "s"], &["q"]).domain("qonnx.custom_op.general");
    for (quantize, dtype, range) in [
        (quant, DType::U8, (0.0, 15.0)),
        (fp8, DType::F8E4M3Fn, (-448.0, 448.0)),
        (bipolar, DType::I8, (-1.0, 1.0)),
    ] {
        let opened = open_graph(graph().node(quantize).node(node("Relu", &["q"], &["y"])));
        let [activation] = &layer(&opened, "x").activations[..] else { panic!("one activation") };
        assert_eq!((activation.dtype, number(&activation.scale)), (dtype, Some(0.5)));
        assert_eq!(activation.code_range, Some(range));
    }
}

#[test]
fn what_only_carries_constants_quantizes_nothing() {
    let opened = open_graph(
        scales(graph())
            .node(node("ReduceMax", &["x"], &["largest"]).name("largest"))
            .node(node("Mul", &["s", "t"], &["both"]))
            .node(node("Mul", &["largest", "both"], &["y"]).name("product")),
    );
    assert!(opened.model().layers.iter().all(|layer| layer.activations.is_empty()));
}
