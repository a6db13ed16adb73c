//! QV005 and QV006.

use quantviz::insight::{Code, Level, Target};
use quantviz_testkit::onnx::{Attribute, Node, OnnxBuilder, Storage, data_type};

use crate::samples::{I8, U8, Weight, activation, graph};
use crate::{Sample, findings};

fn int8() -> Weight {
    Weight::spread(-127, 127)
}

fn onnx(graph: quantviz_testkit::onnx::Graph) -> Sample {
    Sample::new("ONNX", "model.onnx", OnnxBuilder::new(graph).build())
}

/// Codes of one type with a zero-point of another, in DequantizeLinear, QLinearMatMul and MatMulInteger.
fn typed(codes: i32, zero_point: i32) -> [Sample; 3] {
    let tensors = || int8().tensors(graph(), codes).initializer("z", zero_point, [], Storage::int32s(&[0]));
    let qdq = tensors()
        .node(Node::new("DequantizeLinear").inputs(["w", "s", "z"]).outputs(["real"]))
        .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
    let qoperator = activation(tensors(), 0.05)
        .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
        .node(
            Node::new("QLinearMatMul").inputs(["xq", "xs", "xz", "w", "s", "z", "xs", "xz"]).outputs(["y"]),
        );
    let integer = tensors()
        .node(Node::new("DynamicQuantizeLinear").inputs(["x"]).outputs(["xq", "xs", "xz"]))
        .node(Node::new("MatMulInteger").inputs(["xq", "w", "xz", "z"]).outputs(["y"]));
    [onnx(qdq), onnx(qoperator), onnx(integer)]
}

#[test]
fn types_that_differ() {
    for (codes, zero_point) in [(I8, U8), (U8, I8), (I8, data_type::INT32)] {
        for sample in typed(codes, zero_point) {
            sample.has(Code::BadZeroPoint, Level::Error, "w");
        }
    }
    for sample in typed(I8, I8).into_iter().chain(typed(U8, U8)) {
        sample.lacks(Code::BadZeroPoint);
    }
}

#[test]
fn activations_whose_types_differ() {
    let with = |zero_point: i32| {
        let graph = activation(graph(), 0.05)
            .initializer("other", zero_point, [], Storage::Raw(vec![128]))
            .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
            .node(Node::new("DequantizeLinear").inputs(["xq", "xs", "other"]).outputs(["xr"]))
            .node(Node::new("Relu").inputs(["xr"]).outputs(["y"]));
        onnx(graph)
    };
    with(I8).has(Code::BadZeroPoint, Level::Error, "x");
    with(U8).lacks(Code::BadZeroPoint);
}

/// `Mul(Sub(Cast(codes), zero_point), scale)`.
fn arithmetic(zero_point: i32) -> Sample {
    let cast = |from: &'static str, to: &'static str| {
        let float = Attribute::Int(data_type::FLOAT.into());
        Node::new("Cast").inputs([from]).outputs([to]).attribute("to", float)
    };
    let graph = int8()
        .tensors(graph(), U8)
        .initializer("z", data_type::INT16, [], Storage::int32s(&[zero_point]))
        .node(cast("w", "wf"))
        .node(cast("z", "zf"))
        .node(Node::new("Sub").inputs(["wf", "zf"]).outputs(["shifted"]))
        .node(Node::new("Mul").inputs(["shifted", "s"]).outputs(["real"]))
        .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
    onnx(graph)
}

#[test]
fn out_of_range() {
    let torch = |zero_point: i32, class: &str| int8().zero_point(zero_point).qtensor(class);
    let outside = [
        torch(128, "QInt8Storage"),
        torch(-129, "QInt8Storage"),
        torch(256, "QUInt8Storage"),
        torch(-1, "QUInt8Storage"),
        arithmetic(256),
        arithmetic(-1),
    ];
    outside.iter().for_each(|sample| sample.has(Code::BadZeroPoint, Level::Error, "w"));
    let inside = [
        torch(127, "QInt8Storage"),
        torch(-128, "QInt8Storage"),
        torch(255, "QUInt8Storage"),
        torch(0, "QUInt8Storage"),
        arithmetic(255),
        arithmetic(0),
    ];
    inside.iter().for_each(|sample| sample.lacks(Code::BadZeroPoint));
}

#[test]
fn a_bias_with_a_zero_point() {
    let with = |zero_point: i32| {
        let graph = graph()
            .initializer("w", data_type::INT32, [4], Storage::int32s(&[1, -2, 3, 4]))
            .initializer("s", data_type::FLOAT, [], Storage::floats(&[1e-4]))
            .initializer("z", data_type::INT32, [], Storage::int32s(&[zero_point]))
            .node(Node::new("DequantizeLinear").inputs(["w", "s", "z"]).outputs(["real"]))
            .node(Node::new("Add").inputs(["x", "real"]).outputs(["y"]));
        onnx(graph)
    };
    with(1).has(Code::BadZeroPoint, Level::Error, "w");
    with(0).lacks(Code::BadZeroPoint);
}

#[test]
fn symmetric_over_254() {
    let codes = || Weight::spread(0, 254).zero_point(127);
    let full = || codes().codes(|index, code| if index == 0 { 255 } else { code });
    let all = |weight: fn() -> Weight| {
        [weight().qdq(U8), weight().qoperator(U8), weight().integer(U8), weight().qtensor("QUInt8Storage")]
    };
    for sample in all(|| Weight::spread(0, 254).zero_point(127)) {
        sample.has(Code::Symmetric254, Level::Info, "w");
        sample.has_for(Some(Target::Qnn), Code::Symmetric254, Level::Warning, "w");
    }
    for weight in [full(), codes().zero_point(128), codes().zero_point(126)] {
        for sample in
            [weight.qdq(U8), weight.qoperator(U8), weight.integer(U8), weight.qtensor("QUInt8Storage")]
        {
            sample.lacks_for(Some(Target::Qnn), Code::Symmetric254);
        }
    }
}

#[test]
fn symmetric_for_tensorrt() {
    let target = Some(Target::TensorRt);
    let signed = || Weight::spread(-100, 100);
    let asymmetric = [
        signed().zero_point(1).qdq(I8),
        signed().zero_point(-1).qdq(I8),
        Weight::spread(0, 200).zero_point(100).qdq(U8),
        Weight::spread(0, 200).zero_point(0).qdq(U8),
    ];
    for sample in &asymmetric {
        sample.has_for(target, Code::NotSymmetric, Level::Error, "w");
        sample.lacks(Code::NotSymmetric);
        sample.lacks_for(Some(Target::Qnn), Code::NotSymmetric);
    }
    signed().qdq(I8).lacks_for(target, Code::NotSymmetric);
    signed().zero_point(0).qdq(I8).lacks_for(target, Code::NotSymmetric);
    // What TensorRT-LLM reads has zero-points of its own.
    Weight::spread(0, 200).zero_point(100).qtensor("QUInt8Storage").lacks_for(target, Code::NotSymmetric);
}

/// onnxruntime's activations are not around zero unless it is told so.
#[test]
fn activations_for_tensorrt() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/claims/clipped/int8.onnx");
    let found = findings(file.as_ref(), Some(Target::TensorRt));
    let of_rule = found.iter().filter(|it| it.code == Code::NotSymmetric);
    let mut names: Vec<&str> = of_rule.filter_map(|it| it.parameter.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["clip", "flat", "logits", "pool", "probabilities_QuantizeLinear_Input", "relu", "x"]);
}
