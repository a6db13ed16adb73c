//! Codes that are transposed, reshaped, cast, clipped or gathered on their way, and scales that are computed.

use quantviz_core::{Granularity, Operand, Part, SourceExt};
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type};

use crate::common::Opened;
use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

fn real(opened: &Opened) -> Vec<f32> {
    opened.source.real_array(opened.id("w")).expect("readable").into_iter().collect()
}

fn granularity(opened: &Opened) -> &Granularity {
    &opened.quantization("w").granularity
}

/// Six codes in two rows of three, and a layer that multiplies with `real`.
fn rows() -> Graph {
    graph().int8s("w", &[2, 3], &[1, 2, 3, 4, 5, -6])
}

fn open_weight(graph: Graph) -> Opened {
    open_graph(graph.node(node("MatMul", &["x", "real"], &["y"]).name("fc")))
}

fn on_axis(codes: &str, axis: i64) -> Node {
    node("DequantizeLinear", &[codes, "s"], &["real"]).attribute("axis", Attribute::Int(axis))
}

#[test]
fn one_scale_needs_no_shape() {
    let graph = rows().floats("s", &[], &[0.5]).node(node("Reshape", &["w", "x"], &["t"]));
    let opened = open_weight(graph.node(node("DequantizeLinear", &["t", "s"], &["real"])));
    assert_eq!((granularity(&opened), real(&opened)[5]), (&Granularity::Tensor, -3.0));
}

#[test]
fn a_transposed_axis_is_the_other_one() {
    let graph = rows().floats("s", &[2], &[0.5, 1.0]).node(node("Transpose", &["w"], &["t"]));
    let opened = open_weight(graph.node(on_axis("t", 1)));
    assert_eq!(
        (granularity(&opened), real(&opened)),
        (&Granularity::Axis(0), vec![0.5, 1.0, 1.5, 4.0, 5.0, -6.0])
    );
    let turned = node("Transpose", &["w"], &["t"]).attribute("perm", Attribute::Ints(vec![1, 0]));
    let opened =
        open_weight(rows().floats("s", &[3], &[1.0, 10.0, 100.0]).node(turned).node(on_axis("t", 0)));
    assert_eq!(
        (granularity(&opened), real(&opened)),
        (&Granularity::Axis(1), vec![1.0, 20.0, 300.0, 4.0, 50.0, -600.0])
    );
}

#[test]
fn a_reshaped_axis_is_found_again() {
    // Stored as 2×3, dequantized as 2×3×1×1 along axis 0, then as 6 along its only axis.
    let graph = rows().floats("s", &[2], &[0.5, 10.0]).int64s("shape", &[2, 3, 1, -1]);
    let opened = open_weight(graph.node(node("Reshape", &["w", "shape"], &["t"])).node(on_axis("t", 0)));
    assert_eq!((granularity(&opened), real(&opened)[3]), (&Granularity::Axis(0), 40.0));
    let graph = rows().floats("s", &[6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).int64s("shape", &[-1]);
    let opened = open_weight(graph.node(node("Reshape", &["w", "shape"], &["t"])).node(on_axis("t", 0)));
    assert_eq!(
        (granularity(&opened), real(&opened)),
        (&Granularity::Block(vec![1, 1]), vec![1.0, 4.0, 9.0, 16.0, 25.0, -36.0])
    );
}

#[test]
fn squeezed_and_unsqueezed_axes_are_found_again() {
    let graph = rows().floats("s", &[3], &[1.0, 10.0, 100.0]).int64s("axes", &[0]);
    let unsqueezed = graph.node(node("Unsqueeze", &["w", "axes"], &["t"])).node(on_axis("t", 2));
    assert_eq!(granularity(&open_weight(unsqueezed)), &Granularity::Axis(1));
    let old = node("Unsqueeze", &["w"], &["t"]).attribute("axes", Attribute::Ints(vec![2]));
    let graph = rows().floats("s", &[3], &[1.0; 3]).node(old).node(on_axis("t", 1));
    assert_eq!(granularity(&open_weight(graph)), &Granularity::Axis(1));
}

#[test]
fn what_cannot_be_found_again_is_said() {
    // Three columns of a 2×3 seen as 3×2: every scale is for two elements that are no neighbours.
    let graph = rows().floats("s", &[2], &[1.0, 2.0]).int64s("shape", &[3, 2]);
    let opened = open_weight(graph.node(node("Reshape", &["w", "shape"], &["t"])).node(on_axis("t", 1)));
    assert_eq!(opened.warnings("w")[0].message, "its scales are for another arrangement of its elements");
    let graph = rows().floats("s", &[2], &[1.0, 2.0]).node(node("Reshape", &["w", "x"], &["t"]));
    let opened = open_weight(graph.node(on_axis("t", 1)));
    assert_eq!(opened.warnings("w")[0].message, "the shape that Reshape gives it is not known");
    let graph = rows().floats("s", &[2], &[1.0, 2.0]).int64s("shape", &[4, 2]);
    let opened = open_weight(graph.node(node("Reshape", &["w", "shape"], &["t"])).node(on_axis("t", 1)));
    assert_eq!(opened.warnings("w")[0].message, "its shape does not fit Reshape");
}

#[test]
fn codes_that_are_cast_have_the_range_of_the_narrow_type() {
    let cast = node("Cast", &["w"], &["t"]).attribute("to", Attribute::Int(data_type::INT8.into()));
    let graph = graph().int32s("w", &[2], &[3, -4]).floats("s", &[], &[0.5]);
    let opened = open_weight(graph.node(cast).node(on_axis("t", 0)));
    assert_eq!((opened.quantization("w").bits, opened.quantization("w").code_range), (8, (-128.0, 127.0)));
    assert_eq!(real(&opened), [1.5, -2.0]);
}

#[test]
fn a_clip_narrows_the_range_of_codes() {
    let graph = rows().floats("s", &[], &[0.5]).int8s("low", &[], &[-7]).int8s("high", &[], &[7]);
    let graph = graph.node(node("Clip", &["w", "low", "high"], &["t"]));
    let opened = open_weight(graph.node(node("DequantizeLinear", &["t", "s"], &["real"])));
    assert_eq!(opened.quantization("w").code_range, (-7.0, 7.0));
}

#[test]
fn rows_are_gathered_before_they_are_dequantized() {
    let rows = |scales: &[f32]| {
        let dims: &[i64] = if scales.len() == 1 { &[] } else { &[scales.len() as i64] };
        rows().floats("s", dims, scales).node(node("Gather", &["w", "ids"], &["t"]).name("embed"))
    };
    let opened = open_graph(rows(&[0.5]).node(node("DequantizeLinear", &["t", "s"], &["y"])));
    assert_eq!((granularity(&opened), real(&opened)[5]), (&Granularity::Tensor, -3.0));
    assert_eq!(parameters(&opened, "embed"), ["w", "s"]);
    assert_eq!(layer_names(&opened), ["x", "embed"]);
    let opened = open_graph(rows(&[1.0, 10.0, 100.0]).node(on_axis("t", -1)));
    assert_eq!((granularity(&opened), real(&opened)[5]), (&Granularity::Axis(1), -600.0));
    let opened = open_graph(rows(&[1.0, 10.0]).node(on_axis("t", 0)));
    assert_eq!(opened.warnings("w")[0].message, "its scales are for what is gathered from it");
}

/// A matrix of small floats in blocks of two, whose scales are small floats too.
fn two_levels(outer_dims: &[i64], outer: &[f32]) -> Graph {
    graph()
        .initializer("w", data_type::FLOAT4E2M1, [2, 4], Storage::Raw(vec![0x21, 0x43, 0x65, 0x97]))
        .initializer("s8", data_type::FLOAT8E4M3FN, [2, 2], Storage::Raw(vec![0x38, 0x40, 0x48, 0x30]))
        .floats("s2", outer_dims, outer)
}

fn blocks_of_two(scale: &str) -> Node {
    node("DequantizeLinear", &["w", scale], &["real"])
        .attribute("axis", Attribute::Int(-1))
        .attribute("block_size", Attribute::Int(2))
}

#[test]
fn scales_that_are_quantized_themselves() {
    let graph = two_levels(&[], &[0.5]).node(node("DequantizeLinear", &["s8", "s2"], &["s"]));
    let opened = open_weight(graph.node(blocks_of_two("s")));
    let quantization = opened.quantization("w");
    assert_eq!(quantization.scale, Operand::Parameter(opened.id("s8")));
    let outer = quantization.outer_scale.as_ref().expect("two levels");
    assert_eq!(outer.scale, Operand::One { value: 0.5, parameter: Some(opened.id("s2")) });
    assert_eq!(
        (opened.part("w", Part::Scales), opened.part("w", Part::OuterScales)),
        (vec![1.0, 2.0, 4.0, 0.5], vec![0.5])
    );
    // 0.5, 1, 1.5, 2 in scales of 1·½ and 2·½, then 3, 4, 6, -0.5 in those of 4·½ and ½·½.
    assert_eq!(real(&opened), [0.25, 0.5, 1.5, 2.0, 6.0, 8.0, 1.5, -0.125]);
    assert_eq!(parameters(&opened, "fc"), ["w", "s8", "s2"]);
    assert!(opened.model().warnings.is_empty(), "{:?}", opened.model().warnings);
}

#[test]
fn outer_scales_of_rows_reach_all_their_blocks() {
    let graph = two_levels(&[2], &[1.0, 10.0]);
    let scales = node("DequantizeLinear", &["s8", "s2"], &["s"]).attribute("axis", Attribute::Int(0));
    let opened = open_weight(graph.node(scales).node(blocks_of_two("s")));
    assert_eq!(real(&opened), [0.5, 1.0, 3.0, 4.0, 120.0, 160.0, 30.0, -2.5]);
}

#[test]
fn scales_that_are_multiplied_divided_cast_and_reshaped() {
    let base = || {
        graph()
            .int8s("w", &[2, 1], &[1, 2])
            .floats("s", &[2, 1], &[0.5, 0.25])
            .floats("two", &[], &[2.0])
            .int64s("flat", &[-1])
    };
    let with = |graph: Graph| {
        let last = node("DequantizeLinear", &["w", "scale"], &["real"]).attribute("axis", Attribute::Int(0));
        open_weight(graph.node(last))
    };
    let flat = || base().node(node("Reshape", &["s", "flat"], &["r"]));
    let opened = with(flat().node(node("Mul", &["two", "r"], &["scale"])));
    assert_eq!(opened.part("w", Part::Scales), [1.0, 0.5]);
    assert_eq!(parameters(&opened, "fc"), ["w", "two", "s", "flat"]);
    assert_eq!(layer_names(&opened), ["x", "fc"]);
    let opened = with(flat().node(node("Div", &["r", "two"], &["scale"])));
    assert_eq!(opened.part("w", Part::Scales), [0.25, 0.125]);
    let wider = node("Cast", &["r"], &["scale"]).attribute("to", Attribute::Int(data_type::DOUBLE.into()));
    assert_eq!(with(flat().node(wider)).part("w", Part::Scales), [0.5, 0.25]);
    let narrower =
        node("Cast", &["r"], &["scale"]).attribute("to", Attribute::Int(data_type::FLOAT16.into()));
    let opened = with(flat().node(narrower));
    assert_eq!(opened.warnings("w")[0].message, "its scale is computed in the graph");
}

#[test]
fn scales_that_are_multiplied_with_each_other_for_ever() {
    let doubled = (0..40).fold(rows().floats("s0", &[], &[2.0]), |graph, index| {
        let (before, after) = (format!("s{index}"), format!("s{}", index + 1));
        graph.node(node("Mul", &[&before, &before], &[&after]))
    });
    let opened = open_weight(doubled.node(node("DequantizeLinear", &["w", "s40"], &["real"])));
    assert_eq!(opened.warnings("w")[0].message, "its scale is computed in the graph");
    assert!(layer(&opened, "fc").parameters.len() >= 2);
}

#[test]
fn operators_on_codes_see_a_weight_on_its_side() {
    let graph = || graph().int8s("w", &[2, 2], &[1, 2, 3, 4]).floats("s", &[2], &[1.0, 10.0]);
    let turned = |graph: Graph| graph.node(node("Transpose", &["w"], &["t"]));
    let product = turned(graph())
        .node(node("DynamicQuantizeLinear", &["x"], &["x_q", "x_s", "x_z"]))
        .node(node("MatMulInteger", &["x_q", "t", "x_z"], &["acc"]))
        .node(node("Cast", &["acc"], &["float"]).attribute("to", Attribute::Int(data_type::FLOAT.into())))
        .node(node("Mul", &["x_s", "s"], &["both"]))
        .node(node("Mul", &["float", "both"], &["y"]));
    let z = |graph: Graph| graph.floats("one", &[], &[1.0]).int8s("z", &[], &[0]).int8s("zs", &[2], &[0, 0]);
    let inputs = ["x", "one", "z", "t", "s", "zs", "one", "z"];
    for graph in [product, z(turned(graph())).node(node("QLinearMatMul", &inputs, &["y"]))] {
        let opened = open_graph(graph);
        assert_eq!(
            (granularity(&opened), real(&opened)),
            (&Granularity::Axis(0), vec![1.0, 2.0, 30.0, 40.0])
        );
    }
}

#[test]
fn scales_of_other_operators_are_computed_too() {
    let graph = graph()
        .uint8s("w", &[1, 1, 8], &[0x98; 8])
        .floats("half", &[1], &[0.5])
        .floats("two", &[], &[2.0])
        .node(node("Mul", &["half", "two"], &["s"]));
    let matmul = |inputs: &[&str]| {
        node("MatMulNBits", inputs, &["y"])
            .domain("com.microsoft")
            .attribute("N", Attribute::Int(1))
            .attribute("K", Attribute::Int(16))
            .attribute("block_size", Attribute::Int(16))
    };
    let opened = open_graph(graph.clone().node(matmul(&["x", "w", "s"])));
    assert_eq!(opened.part("w", Part::Scales), [1.0]);
    let opened = open_graph(graph.input("z", data_type::UINT8, [1]).node(matmul(&["x", "w", "s", "z"])));
    assert_eq!(opened.warnings("w")[0].message, "z, which it needs, is computed in the graph");
}

#[test]
fn a_zero_point_that_is_cast_has_the_type_that_it_is_cast_to() {
    let graph = graph()
        .floats("w", &[2], &[-100.0, 1.0])
        .floats("s", &[], &[0.5])
        .int32s("wide", &[], &[0])
        .node(node("Cast", &["wide"], &["z"]).attribute("to", Attribute::Int(data_type::INT8.into())))
        .node(node("QuantizeLinear", &["w", "s", "z"], &["q"]))
        .node(node("DequantizeLinear", &["q", "s", "z"], &["real"]));
    let opened = open_weight(graph);
    assert_eq!((opened.quantization("w").bits, real(&opened)), (8, vec![-64.0, 1.0]));
}
