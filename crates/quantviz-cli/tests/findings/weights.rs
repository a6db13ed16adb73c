//! QV015 and QV020.

use quantviz::insight::{Code, Level, Target};
use quantviz_testkit::onnx::{Graph, Node, OnnxBuilder, Storage, data_type};

use crate::Sample;
use crate::samples::{I8, U8, Weight, graph};

fn onnx(graph: Graph) -> Sample {
    let file = OnnxBuilder::new(graph).opset("", 21).opset("com.microsoft", 1);
    Sample::new("ONNX", "model.onnx", file.build())
}

/// An input with codes of this type, as `xr`.
fn quantized_input(graph: Graph, kind: i32) -> Graph {
    let bytes = if matches!(kind, data_type::INT16 | data_type::UINT16) { 2 } else { 1 };
    graph
        .initializer("xs", data_type::FLOAT, [], Storage::floats(&[0.05]))
        .initializer("xz", kind, [], Storage::Raw(vec![0; bytes]))
        .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
        .node(Node::new("DequantizeLinear").inputs(["xq", "xs", "xz"]).outputs(["xr"]))
}

fn float_weight(name: &str, rows: i64, graph: Graph) -> Graph {
    let values = vec![0.25; (rows * 64) as usize];
    graph.initializer(name, data_type::FLOAT, [rows, 64], Storage::floats(&values))
}

#[test]
fn float_weights_behind_codes() {
    let with = |op: &str, name: &str, rows: i64, kind: i32| {
        let graph = float_weight(name, rows, quantized_input(graph(), kind));
        onnx(graph.node(Node::new(op).name("fc").inputs(["xr", name]).outputs(["y"])))
    };
    for op in ["MatMul", "Gemm", "Conv"] {
        for kind in [I8, U8, data_type::UINT16, data_type::FLOAT8E4M3FN] {
            with(op, "fc.weight", 16, kind).has(Code::FloatWeight, Level::Warning, "fc.weight");
        }
    }
    with("MatMul", "lm_head.weight", 16, I8).has(Code::FloatWeight, Level::Info, "lm_head.weight");
    with("MatMul", "fc.weight", 15, I8).has(Code::FloatWeight, Level::Info, "fc.weight");
    // What has no kernel for codes is left in float on purpose.
    with("Einsum", "fc.weight", 16, I8).lacks(Code::FloatWeight);
    let tied = float_weight("wte", 16, quantized_input(graph(), I8))
        .node(Node::new("MatMul").inputs(["xr", "wte"]).outputs(["h"]))
        .node(Node::new("MatMul").inputs(["h", "wte"]).outputs(["y"]));
    onnx(tied).has(Code::FloatWeight, Level::Info, "wte");
    let float = float_weight("fc.weight", 16, graph());
    onnx(float.node(Node::new("MatMul").inputs(["x", "fc.weight"]).outputs(["y"]))).lacks(Code::FloatWeight);
    for sample in [Weight::spread(-127, 127).qoperator(I8), Weight::spread(-127, 127).integer(I8)] {
        sample.lacks(Code::FloatWeight);
    }
}

#[test]
fn products_that_may_saturate() {
    let target = Some(Target::OrtX86Avx2);
    let qdq = |weight: &Weight, input: i32, codes: i32| {
        let graph = quantized_input(weight.tensors(graph(), codes), input)
            .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["real"]))
            .node(Node::new("MatMul").name("fc").inputs(["xr", "real"]).outputs(["y"]));
        onnx(graph)
    };
    let (wide, narrow) = (Weight::spread(-65, 65), Weight::spread(-64, 64));
    for sample in [qdq(&wide, U8, I8), wide.qoperator(I8), wide.integer(I8)] {
        sample.has_for(target, Code::Saturating, Level::Warning, "w");
        sample.lacks(Code::Saturating);
        sample.lacks_for(Some(Target::TensorRt), Code::Saturating);
    }
    let wide_below = wide.clone().codes(|_, code| if code == 65 { 64 } else { code });
    qdq(&wide_below, U8, I8).has_for(target, Code::Saturating, Level::Warning, "w");
    for sample in [qdq(&narrow, U8, I8), narrow.qoperator(I8), narrow.integer(I8), qdq(&wide, I8, I8)] {
        sample.lacks_for(target, Code::Saturating);
    }
    let unsigned = Weight::spread(0, 255).zero_point(128);
    for sample in [qdq(&unsigned, U8, U8), unsigned.qoperator(U8), unsigned.integer(U8)] {
        sample.lacks_for(target, Code::Saturating);
    }
}
