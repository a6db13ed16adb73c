//! What is noted of quantized tensors apart from their descriptions.

use quantviz_core::{DType, Note};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::Graph;

use crate::common::{Opened, open};
use crate::{Tensors, graph, node};

fn open_with(graph: Graph, opset: i64) -> Opened {
    open("model.onnx", OnnxBuilder::new(graph).opset("", opset).build())
}

fn weight(zero_points: &str) -> Graph {
    let graph = graph().int8s("w", &[4, 4], &[1; 16]).floats("s", &[], &[0.5]);
    let graph = graph.int8s("z", &[], &[0]).uint8s("u", &[], &[0]);
    graph.node(node("DequantizeLinear", &["w", "s", zero_points], &["real"])).node(node(
        "MatMul",
        &["x", "real"],
        &["y"],
    ))
}

#[test]
fn types_of_zero_points() {
    let note = Note::ZeroPointType { tensor: "w".into(), codes: DType::I8, zero_points: DType::U8 };
    assert_eq!(open_with(weight("u"), 21).model().notes, [note]);
    assert_eq!(open_with(weight("z"), 21).model().notes, []);
    assert_eq!(open_with(weight(""), 21).model().notes, []);
}

#[test]
fn versions_of_operators() {
    let operator = "DequantizeLinear".to_owned();
    let note = Note::CodesTooNew { tensor: "w".into(), codes: DType::I8, operator, version: 9, since: 10 };
    assert_eq!(open_with(weight("z"), 9).model().notes, [note]);
    // A file that names no version of ONNX's own operators may mean any.
    let unnamed = OnnxBuilder::new(weight("z")).opset("com.microsoft", 1).build();
    assert_eq!(open("model.onnx", unnamed).model().notes, []);
}
