//! Codes that ordinary arithmetic makes real, without an operator that says so.

use quantviz_core::{Encoding, Granularity, Role, SourceExt, WarningKind};
use quantviz_testkit::onnx::{Attribute, Graph, Node, data_type};

use crate::common::Opened;
use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

fn cast(input: &str, output: &str) -> Node {
    node("Cast", &[input], &[output]).attribute("to", Attribute::Int(data_type::FLOAT.into()))
}

/// Six codes in two rows of three, cast to float.
fn codes() -> Graph {
    graph().int8s("w", &[2, 3], &[1, 2, 3, 4, 5, -6]).node(cast("w", "c"))
}

fn open_weight(graph: Graph) -> Opened {
    open_graph(graph.node(node("MatMul", &["x", "real"], &["y"]).name("fc")))
}

fn real(opened: &Opened) -> Vec<f32> {
    opened.source.real_array(opened.id("w")).expect("readable").into_iter().collect()
}

#[track_caller]
fn assert_undescribed(opened: &Opened, message: &str) {
    assert_warning(opened, WarningKind::Unsupported, message);
}

#[track_caller]
fn assert_warning(opened: &Opened, kind: WarningKind, message: &str) {
    let [warning] = opened.warnings("w")[..] else { panic!("{:?}", opened.model().warnings) };
    assert_eq!((warning.kind, warning.message.as_str()), (kind, message));
    assert_eq!(opened.parameter("w").quantization, None);
}

#[test]
fn one_scale_for_the_tensor() {
    for inputs in [["c", "s"], ["s", "c"]] {
        let opened = open_weight(codes().floats("s", &[], &[0.5]).node(node("Mul", &inputs, &["real"])));
        let quantization = opened.quantization("w");
        assert_eq!((quantization.encoding, quantization.source.as_str()), (Encoding::Other, "Mul"));
        assert_eq!((&quantization.granularity, quantization.bits), (&Granularity::Tensor, 8));
        assert_eq!(real(&opened), [0.5, 1.0, 1.5, 2.0, 2.5, -3.0]);
        assert_eq!((layer_names(&opened), parameters(&opened, "fc")), (vec!["x", "fc"], vec!["w", "s"]));
        assert_eq!((opened.parameter("w").role, opened.parameter("s").role), (Role::Weight, Role::Scale));
        assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
    }
    let opened = open_weight(codes().floats("s", &[1], &[4.0]).node(node("Div", &["c", "s"], &["real"])));
    assert_eq!(real(&opened), [0.25, 0.5, 0.75, 1.0, 1.25, -1.5]);
}

#[test]
fn scales_and_zero_points_are_broadcast() {
    let shifted = |zero_dims: &[i64], zeros: &[i8]| {
        codes()
            .int8s("z", zero_dims, zeros)
            .node(cast("z", "zc"))
            .node(node("Sub", &["c", "zc"], &["d"]))
            .floats("s", &[2, 1], &[0.5, 10.0])
            .node(node("Mul", &["d", "s"], &["real"]))
    };
    let opened = open_weight(shifted(&[2, 1], &[1, 4]));
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
    assert_eq!(real(&opened), [0.0, 0.5, 1.0, 0.0, 10.0, -100.0]);
    assert_eq!((layer_names(&opened), parameters(&opened, "fc")), (vec!["x", "fc"], vec!["w", "z", "s"]));
    assert_eq!((opened.parameter("z").role, opened.parameter("s").role), (Role::ZeroPoint, Role::Scale));
    assert_eq!(real(&open_weight(shifted(&[], &[1])))[..3], [0.0, 0.5, 1.0]);
    assert_warning(
        &open_weight(shifted(&[3], &[1, 2, 3])),
        WarningKind::Misfit,
        "its zero-points are not shaped as its scales",
    );
}

#[test]
fn scales_are_for_what_the_codes_are_arranged_to() {
    let graph = codes().node(node("Transpose", &["c"], &["t"])).floats("s", &[2], &[0.5, 10.0]).node(node(
        "Mul",
        &["t", "s"],
        &["real"],
    ));
    let opened = open_weight(graph);
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
    assert_eq!(real(&opened), [0.5, 1.0, 1.5, 40.0, 50.0, -60.0]);
}

#[test]
fn what_does_not_fit_is_said_once() {
    let misfit = codes().floats("s", &[2], &[0.5; 2]).node(node("Mul", &["c", "s"], &["real"]));
    assert_warning(
        &open_weight(misfit),
        WarningKind::Misfit,
        "its scales of shape 2 do not fit its shape 2×3",
    );
    let twice = codes().floats("s", &[], &[0.5]).node(node("Mul", &["c", "s"], &["once"])).node(node(
        "Mul",
        &["once", "s"],
        &["real"],
    ));
    assert_undescribed(&open_weight(twice), "it is scaled or shifted more than once");
    let by_many = codes().floats("s", &[3], &[0.5; 3]).node(node("Div", &["c", "s"], &["real"]));
    assert_undescribed(&open_weight(by_many), "it is divided by many numbers");
    let divisor = codes().floats("s", &[], &[0.5]).node(node("Div", &["s", "c"], &["real"]));
    assert_undescribed(&open_weight(divisor), "Div does more than to scale it");
}

#[test]
fn codes_without_a_constant_scale() {
    let message = "its codes are cast to numbers, and no constant scale follows";
    let computed = codes()
        .node(node("ReduceMax", &["x"], &["s"]))
        .node(node("Mul", &["c", "s"], &["real"]).name("product"));
    assert_undescribed(&open_weight(computed), message);
    let alone = codes().node(node("Identity", &["c"], &["real"]));
    let opened = open_weight(alone);
    assert_undescribed(&opened, message);
    assert_eq!(layer(&opened, "fc").inputs, ["x", "w"]);
}

#[test]
fn other_products_of_constants_describe_nothing() {
    // Floats that are scaled, and whole numbers that stay such.
    let floats = graph().floats("w", &[2, 3], &[1.0; 6]).node(cast("w", "c"));
    let whole = graph().int8s("w", &[2, 3], &[1; 6]).node(node("Identity", &["w"], &["c"]));
    for graph in [floats, whole] {
        let opened = open_weight(graph.floats("s", &[], &[0.5]).node(node("Mul", &["c", "s"], &["real"])));
        assert_eq!(opened.parameter("w").quantization, None);
        assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
    }
}
