//! What layers get as codes.

use quantviz_core::{DType, Operand};
use quantviz_testkit::onnx::{Attribute, Graph, data_type};

use crate::common::{Opened, number};
use crate::{Tensors, graph, layer, node, open_graph};

/// The inputs of a layer that come as codes: slot, type, scale and zero-point where they are one number.
fn inputs(opened: &Opened, name: &str) -> Vec<(usize, DType, Option<f64>, Option<f64>)> {
    let number = |operand: &Option<Operand>| operand.as_ref().and_then(number);
    let inputs = layer(opened, name).quantized_inputs.iter();
    inputs.map(|it| (it.slot, it.dtype, number(&it.scale), number(&it.zero_point))).collect()
}

fn tensors() -> Graph {
    graph()
        .floats("s", &[], &[0.5])
        .uint8s("z", &[], &[128])
        .floats("t", &[1], &[0.25])
        .int8s("n", &[], &[-3])
        .int8s("w", &[4, 4], &[1; 16])
}

#[test]
fn each_layer_gets_the_codes_that_it_reads() {
    let opened = open_graph(
        tensors()
            .node(node("QuantizeLinear", &["x", "s", "z"], &["x_q"]))
            .node(node("DequantizeLinear", &["x_q", "s", "z"], &["x_dq"]))
            .node(node("QuantizeLinear", &["x", "t", "n"], &["x_other_q"]))
            .node(node("DequantizeLinear", &["x_other_q", "t", "n"], &["x_other"]))
            .node(node("DequantizeLinear", &["w", "t"], &["w_dq"]))
            .node(node("MatMul", &["x_dq", "w_dq"], &["y"]).name("fc"))
            .node(node("Relu", &["x_other"], &["h"]).name("relu"))
            .node(node("Sigmoid", &["h"], &["g"]).name("sigmoid")),
    );
    let weight = (1, DType::I8, Some(0.25), None);
    assert_eq!(inputs(&opened, "fc"), [(0, DType::U8, Some(0.5), Some(128.0)), weight]);
    assert_eq!(inputs(&opened, "relu"), [(0, DType::I8, Some(0.25), Some(-3.0))]);
    assert_eq!(inputs(&opened, "sigmoid"), []);
}

#[test]
fn operators_that_compute_on_codes() {
    let opened = open_graph(
        tensors()
            .node(node("QuantizeLinear", &["x", "s", "z"], &["x_q"]))
            .node(node("QLinearMatMul", &["x_q", "s", "z", "w", "t", "n", "s", "z"], &["y"]).name("fc")),
    );
    let weight = (3, DType::I8, Some(0.25), Some(-3.0));
    assert_eq!(inputs(&opened, "fc"), [(0, DType::U8, Some(0.5), Some(128.0)), weight]);
}

#[test]
fn scales_that_are_computed_while_it_runs() {
    let cast = node("Cast", &["sums"], &["real"]).attribute("to", Attribute::Int(data_type::FLOAT.into()));
    let opened = open_graph(
        tensors()
            .node(node("DynamicQuantizeLinear", &["x"], &["x_q", "x_s", "x_z"]))
            .node(node("MatMulInteger", &["x_q", "w", "x_z", "n"], &["sums"]).name("fc"))
            .node(cast)
            .node(node("Mul", &["x_s", "s"], &["both"]))
            .node(node("Mul", &["real", "both"], &["y"])),
    );
    assert_eq!(inputs(&opened, "fc"), [(0, DType::U8, None, None), (1, DType::I8, None, Some(-3.0))]);
}

/// A damaged graph may give the name of its input to what a node makes.
#[test]
fn a_name_that_two_have() {
    let opened = open_graph(
        tensors()
            .node(node("DequantizeLinear", &["w", "t"], &["w_dq"]))
            .node(node("Relu", &["w_dq"], &["x"]).name("relu")),
    );
    assert_eq!(inputs(&opened, "x"), []);
    assert_eq!(inputs(&opened, "relu"), [(0, DType::I8, Some(0.25), None)]);
}
