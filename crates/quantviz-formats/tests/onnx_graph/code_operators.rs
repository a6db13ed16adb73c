//! Operators that compute on codes: their weights, and biases whose scales follow from those of what is multiplied.

use quantviz_core::{Encoding, Granularity, Operand, Part, Role, SourceExt};
use quantviz_testkit::onnx::{Attribute, Graph, data_type};

use crate::common::Opened;
use crate::{Tensors, layer, node, open_graph, parameters};

/// A graph with an input `x` of codes, and scales and zero-points of `x` and `y`.
fn graph() -> Graph {
    Graph::new("g")
        .input("x", data_type::UINT8, [1, 2, 4, 4])
        .floats("x_s", &[], &[0.5])
        .uint8s("x_z", &[], &[128])
        .floats("y_s", &[], &[0.25])
        .uint8s("y_z", &[], &[3])
}

const CONV: [&str; 9] = ["x", "x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z", "b"];
const MAT_MUL: [&str; 8] = ["x", "x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z"];
const GEMM: [&str; 9] = ["x", "x_s", "x_z", "w", "w_s", "w_z", "b", "y_s", "y_z"];

fn real(opened: &Opened, name: &str) -> Vec<f32> {
    opened.source.real_array(opened.id(name)).expect("readable").into_iter().collect()
}

/// The graph with weights of this shape, as many scales as there are, and two biases.
fn with_weights(dims: &[i64], scales: &[f32]) -> Graph {
    let elements = dims.iter().product::<i64>() as i8;
    let scale_dims: &[i64] = if scales.len() == 1 { &[] } else { &[scales.len() as i64] };
    graph()
        .int8s("w", dims, &(0..elements).collect::<Vec<_>>())
        .floats("w_s", scale_dims, scales)
        .int8s("w_z", scale_dims, &vec![0; scales.len()])
        .int32s("b", &[2], &[100, -7])
}

#[test]
fn a_convolution_with_a_scale_for_every_channel() {
    let graph =
        with_weights(&[2, 1, 1, 2], &[0.5, 0.25]).node(node("QLinearConv", &CONV, &["y"]).name("conv"));
    let opened = open_graph(graph);
    let weight = opened.quantization("w");
    assert_eq!((weight.encoding, weight.source.as_str()), (Encoding::QOperator, "QLinearConv"));
    assert_eq!(
        (&weight.granularity, &weight.scale),
        (&Granularity::Axis(0), &Operand::Parameter(opened.id("w_s")))
    );
    assert_eq!(real(&opened, "w"), [0.0, 0.5, 0.5, 0.75]);

    let bias = opened.quantization("b");
    let factors = vec![
        Operand::One { value: 0.5, parameter: Some(opened.id("x_s")) },
        Operand::Parameter(opened.id("w_s")),
    ];
    assert_eq!((&bias.granularity, &bias.scale), (&Granularity::Axis(0), &Operand::Product(factors)));
    assert_eq!((bias.zero_point.as_ref(), bias.bits), (None, 32));
    assert_eq!(opened.part("b", Part::Scales), [0.25, 0.125]);
    assert_eq!(real(&opened, "b"), [25.0, -0.875]);

    assert_eq!(parameters(&opened, "conv"), ["x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z", "b"]);
    let roles: Vec<Role> =
        layer(&opened, "conv").parameters.iter().map(|&id| opened.model().parameter(id).role).collect();
    use Role::{Bias, Scale, Weight, ZeroPoint};
    assert_eq!(roles, [Scale, ZeroPoint, Weight, Scale, ZeroPoint, Scale, ZeroPoint, Bias]);
    assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
}

#[test]
fn a_convolution_with_one_scale() {
    let graph = with_weights(&[2, 1, 1, 2], &[0.5]).node(node("QLinearConv", &CONV, &["y"]));
    let opened = open_graph(graph);
    assert_eq!(opened.quantization("w").granularity, Granularity::Tensor);
    assert_eq!(opened.quantization("b").granularity, Granularity::Tensor);
    assert_eq!(real(&opened, "b"), [25.0, -1.75]);
}

#[test]
fn a_matrix_has_a_scale_for_every_column() {
    let graph = with_weights(&[3, 2], &[1.0, 10.0]).node(node("QLinearMatMul", &MAT_MUL, &["y"]));
    let opened = open_graph(graph);
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(1));
    assert_eq!(real(&opened, "w"), [0.0, 10.0, 2.0, 30.0, 4.0, 50.0]);
    assert_eq!(opened.parameter("b").quantization, None, "nothing reads it");
}

#[test]
fn the_weight_may_be_the_first_operand() {
    let inputs = ["w", "w_s", "w_z", "x", "x_s", "x_z", "y_s", "y_z"];
    let opened =
        open_graph(with_weights(&[2, 3], &[0.5]).node(node("QLinearMatMul", &inputs, &["y"]).name("mul")));
    assert_eq!(opened.quantization("w").granularity, Granularity::Tensor);
    assert_eq!(opened.parameter("w").role, Role::Weight);
    assert_eq!(layer(&opened, "mul").activations.len(), 1);
}

#[test]
fn a_gemm_with_alpha_and_a_transposed_weight() {
    let gemm = |transposed: i64| {
        node("QGemm", &GEMM, &["y"])
            .domain("com.microsoft")
            .attribute("transB", Attribute::Int(transposed))
            .attribute("alpha", Attribute::Float(2.0))
    };
    let opened = open_graph(with_weights(&[2, 3], &[1.0, 10.0]).node(gemm(1)));
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
    assert_eq!(real(&opened, "w"), [0.0, 1.0, 2.0, 30.0, 40.0, 50.0]);
    // 0.5 · w_scale · alpha
    assert_eq!(opened.part("b", Part::Scales), [1.0, 10.0]);
    assert_eq!(real(&opened, "b"), [100.0, -70.0]);

    let opened = open_graph(with_weights(&[3, 2], &[1.0, 10.0]).node(gemm(0)));
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(1));
    assert_eq!(real(&opened, "w"), [0.0, 10.0, 2.0, 30.0, 4.0, 50.0]);
}

#[test]
fn a_float_bias_is_no_code() {
    let graph = graph()
        .int8s("w", &[2, 2], &[1, 2, 3, 4])
        .floats("w_s", &[], &[0.5])
        .int8s("w_z", &[], &[0])
        .floats("b", &[2], &[1.0, 2.0]);
    let opened =
        open_graph(graph.node(node("QGemm", &GEMM[..7], &["y"]).domain("com.microsoft").name("gemm")));
    assert_eq!((opened.parameter("b").quantization.as_ref(), opened.parameter("b").role), (None, Role::Bias));
    assert!(layer(&opened, "gemm").activations.is_empty(), "its output is float");
}

#[test]
fn scales_that_do_not_fit_are_warnings() {
    let three = with_weights(&[2, 1, 1, 2], &[0.5, 0.25, 1.0]).node(node("QLinearConv", &CONV, &["y"]));
    let opened = open_graph(three);
    let message = |name| opened.warnings(name).iter().map(|it| it.message.clone()).collect::<Vec<_>>();
    assert_eq!(message("w"), ["its scales of shape 3 do not fit the 2 channels of axis 0"]);
    assert_eq!(message("b"), ["3 scales do not fit its shape 2"]);
    assert!(opened.parameter("w").quantization.is_none() && opened.parameter("b").quantization.is_none());
    // Both operands with many scales, of different numbers.
    let graph = with_weights(&[2, 1, 1, 2], &[0.5, 0.25]).floats("many", &[3], &[1.0; 3]);
    let mut inputs = CONV;
    inputs[1] = "many";
    let opened = open_graph(graph.node(node("QLinearConv", &inputs, &["y"])));
    assert!(opened.quantization("w").granularity == Granularity::Axis(0));
    assert_eq!(opened.warnings("b").len(), 1);
}

#[test]
fn scales_that_are_computed_are_warnings() {
    for (computed, weight, bias) in [
        ("w_s", Some("its scale is computed in the graph"), Some("its scale is computed in the graph")),
        ("x_s", None, Some("its scale is computed in the graph")),
        ("w_z", Some("its zero-point is computed in the graph"), None),
    ] {
        let inputs = CONV.map(|name| if name == computed { "computed" } else { name });
        let graph = with_weights(&[2, 1, 1, 2], &[0.5]).node(node("Exp", &["x"], &["computed"]));
        let opened = open_graph(graph.node(node("QLinearConv", &inputs, &["y"])));
        for (name, expected) in [("w", weight), ("b", bias)] {
            let found: Vec<&str> = opened.warnings(name).iter().map(|it| it.message.as_str()).collect();
            assert_eq!(found, Vec::from_iter(expected), "{name} where {computed} is computed");
            assert_eq!(opened.parameter(name).quantization.is_none(), expected.is_some());
        }
    }
}
