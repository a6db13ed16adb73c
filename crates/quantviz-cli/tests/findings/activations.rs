//! QV014, and what else is found about activations.

use quantviz::insight::{Code, Level};
use quantviz_testkit::onnx::{Node, OnnxBuilder, Storage, data_type};
use quantviz_testkit::pickle::TorchBuilder;

use crate::Sample;
use crate::samples::graph;

const EPSILON: f32 = f32::EPSILON;

fn tensors(scale: f32, zero_point: u8) -> quantviz_testkit::onnx::Graph {
    graph()
        .initializer("xs", data_type::FLOAT, [], Storage::floats(&[scale]))
        .initializer("xz", data_type::UINT8, [], Storage::Raw(vec![zero_point]))
        .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
}

fn qdq(scale: f32, zero_point: u8) -> Sample {
    let graph = tensors(scale, zero_point)
        .node(Node::new("DequantizeLinear").inputs(["xq", "xs", "xz"]).outputs(["xr"]))
        .node(Node::new("Relu").inputs(["xr"]).outputs(["y"]));
    Sample::new("QDQ", "model.onnx", OnnxBuilder::new(graph).build())
}

fn qoperator(scale: f32, zero_point: u8) -> Sample {
    let graph = tensors(scale, zero_point).node(
        Node::new("QLinearSigmoid")
            .domain("com.microsoft")
            .inputs(["xq", "xs", "xz", "xs", "xz"])
            .outputs(["y"]),
    );
    let file = OnnxBuilder::new(graph).opset("", 21).opset("com.microsoft", 1);
    Sample::new("QLinearSigmoid", "model.onnx", file.build())
}

/// A module of torch behind one that quantizes the input.
fn modules(scale: f32, zero_point: u8) -> Sample {
    let file = TorchBuilder::new()
        .tensor("quant.scale", "FloatStorage", &[1], &0.02f32.to_le_bytes())
        .tensor("quant.zero_point", "LongStorage", &[1], &64i64.to_le_bytes())
        .tensor("x.scale", "FloatStorage", &[], &scale.to_le_bytes())
        .tensor("x.zero_point", "LongStorage", &[], &i64::from(zero_point).to_le_bytes());
    Sample::new("torch", "model.pt", file.archive().build())
}

#[test]
fn scales_that_no_data_set() {
    let found = |sample: Sample| {
        let found = sample.found(Code::Uncalibrated, None);
        assert!(found.iter().all(|(level, _)| *level == Level::Warning), "{found:?}");
        found.into_iter().any(|(_, tensor)| tensor == "x")
    };
    for make in [qdq, qoperator, modules] {
        assert!(found(make(1.0, 0)));
        assert!(found(make(EPSILON, 0)));
        assert!(found(make(EPSILON, 128)));
        for (scale, zero_point) in [(1.0, 1), (0.999, 0), (1.001, 0), (1.2e-7, 0), (0.02, 128)] {
            assert!(!found(make(scale, zero_point)), "{scale} {zero_point}");
        }
    }
}

#[test]
fn modules_that_quantize_while_they_run() {
    let file = TorchBuilder::new().tensor("fc.scale", "FloatStorage", &[], &1f32.to_le_bytes()).tensor(
        "fc.zero_point",
        "LongStorage",
        &[],
        &0i64.to_le_bytes(),
    );
    Sample::new("torch", "model.pt", file.archive().build()).lacks(Code::Uncalibrated);
}

#[test]
fn activations_with_bad_scales() {
    for make in [qdq, qoperator] {
        for scale in [f32::NAN, f32::INFINITY, 0.0] {
            assert!(make(scale, 128).found(Code::BadScale, None).contains(&(Level::Error, "x".to_owned())));
        }
        assert!(make(-0.5, 128).found(Code::NegativeScale, None).contains(&(Level::Warning, "x".to_owned())));
        make(0.5, 128).lacks(Code::BadScale);
        make(0.5, 128).lacks(Code::NegativeScale);
    }
}
