//! Along which axis of a weight the outputs of its layer lie.

use quantviz_testkit::onnx::{Attribute, Graph, Node, data_type};

use crate::{Tensors, graph, node, open_graph};

/// The axis of the weight `w` of this shape.
fn axis(dims: &[i64], graph_of: impl FnOnce(Graph) -> Graph) -> Option<usize> {
    let elements = dims.iter().product::<i64>() as usize;
    let opened = open_graph(graph_of(graph().floats("w", dims, &vec![0.5; elements])));
    opened.parameter("w").output_axis
}

fn by(dims: &[i64], node: Node) -> Option<usize> {
    axis(dims, |graph| graph.node(node))
}

#[test]
fn operators_have_theirs() {
    assert_eq!(by(&[2, 3, 1, 1], node("Conv", &["x", "w"], &["y"])), Some(0));
    assert_eq!(by(&[2, 3, 1, 1], node("ConvTranspose", &["x", "w"], &["y"])), Some(1));
    assert_eq!(by(&[5, 2, 3], node("MatMul", &["x", "w"], &["y"])), Some(2));
    assert_eq!(by(&[2, 3], node("MatMul", &["w", "x"], &["y"])), Some(0));
    let gemm = || node("Gemm", &["x", "w"], &["y"]);
    assert_eq!(by(&[2, 3], gemm()), Some(1));
    assert_eq!(by(&[2, 3], gemm().attribute("transB", Attribute::Int(1))), Some(0));
    let gather = || node("Gather", &["w", "x"], &["y"]);
    assert_eq!(by(&[2, 3], gather()), Some(0));
    assert_eq!(by(&[2, 3], gather().attribute("axis", Attribute::Int(-1))), Some(1));
    assert_eq!(by(&[2, 3], node("Add", &["x", "w"], &["y"])), None);
}

#[test]
fn the_axis_is_that_of_the_stored_elements() {
    let transposed = |graph: Graph| {
        graph.node(node("Transpose", &["w"], &["t"])).node(node("MatMul", &["x", "t"], &["y"]))
    };
    assert_eq!(axis(&[2, 3], transposed), Some(0));
    assert_eq!(axis(&[1, 3], transposed), Some(0));
    let reshaped = |graph: Graph| {
        let graph = graph.int64s("shape", &[2, 12]).node(node("Reshape", &["w", "shape"], &["t"]));
        graph.node(node("Gemm", &["x", "t"], &["y"]).attribute("transB", Attribute::Int(1)))
    };
    assert_eq!(axis(&[2, 3, 2, 2], reshaped), Some(0));
    assert_eq!(axis(&[6, 4], reshaped), None);
}

#[test]
fn the_first_node_decides() {
    let twice = |graph: Graph| {
        graph.input("ids", data_type::INT64, [2]).node(node("Gather", &["w", "ids"], &["rows"])).node(node(
            "MatMul",
            &["x", "w"],
            &["y"],
        ))
    };
    assert_eq!(axis(&[4, 3], twice), Some(0));
}
