//! DequantizeLinear in front of a weight: which codes share a scale, and what they stand for.

use quantviz_core::{DType, Encoding, Granularity, Operand, Part, Scheme, SourceExt, WarningKind};
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type};
use quantviz_testkit::pack;

use crate::common::{Opened, number};
use crate::{Tensors, graph, node, open_graph};

fn dequantize(inputs: &[&str]) -> Node {
    node("DequantizeLinear", inputs, &["w_real"])
}

/// The graph with a layer that multiplies with `w_real`.
fn open_weight(graph: Graph) -> Opened {
    open_graph(graph.node(node("MatMul", &["x", "w_real"], &["y"])))
}

fn real(opened: &Opened) -> Vec<f32> {
    opened.source.real_array(opened.id("w")).expect("readable").into_iter().collect()
}

/// The warning about `w`, which has no descriptor for that reason.
#[track_caller]
fn assert_undescribed(graph: Graph, message: &str) {
    assert_warning(graph, WarningKind::Unsupported, message);
}

/// The same where its scales or zero-points contradict the file.
#[track_caller]
fn assert_misfit(graph: Graph, message: &str) {
    assert_warning(graph, WarningKind::Misfit, message);
}

#[track_caller]
fn assert_warning(graph: Graph, kind: WarningKind, message: &str) {
    let opened = open_weight(graph);
    assert_eq!(opened.parameter("w").quantization, None);
    let [warning] = opened.warnings("w")[..] else { panic!("{:?}", opened.model().warnings) };
    assert_eq!((warning.kind, warning.message.as_str()), (kind, message));
    assert!(opened.source.values(opened.id("w"), Part::Stored).is_ok());
}

/// Six codes in two rows of three.
fn rows() -> Graph {
    graph().int8s("w", &[2, 3], &[1, 2, 3, 4, 5, -6])
}

#[test]
fn one_scale_for_the_tensor() {
    let graph = rows().floats("s", &[], &[0.5]).int8s("z", &[], &[1]);
    let opened = open_weight(graph.node(dequantize(&["w", "s", "z"])));
    let quantization = opened.quantization("w");
    assert_eq!((quantization.encoding, quantization.scheme), (Encoding::Qdq, Scheme::Affine));
    assert_eq!((quantization.bits, quantization.code_range), (8, (-128.0, 127.0)));
    assert_eq!(
        (&quantization.granularity, quantization.source.as_str()),
        (&Granularity::Tensor, "DequantizeLinear")
    );
    assert_eq!(quantization.scale, Operand::One { value: 0.5, parameter: Some(opened.id("s")) });
    assert_eq!(quantization.zero_point, Some(Operand::One { value: 1.0, parameter: Some(opened.id("z")) }));
    assert_eq!(real(&opened), [0.0, 0.5, 1.0, 1.5, 2.0, -3.5]);
    assert!(opened.model().warnings.is_empty());
}

#[test]
fn a_scale_of_one_element_is_for_the_tensor_whatever_its_rank_or_axis() {
    for (scale_dims, zero_dims) in [(&[][..], &[1][..]), (&[1], &[]), (&[1, 1], &[]), (&[1], &[1])] {
        let graph = rows().floats("s", scale_dims, &[0.5]).int8s("z", zero_dims, &[1]);
        let dequantize = dequantize(&["w", "s", "z"]).attribute("axis", Attribute::Int(7));
        let opened = open_weight(graph.node(dequantize));
        assert_eq!(opened.quantization("w").granularity, Granularity::Tensor);
        assert_eq!(real(&opened)[5], -3.5);
    }
}

#[test]
fn a_scale_for_every_index_of_an_axis() {
    let scales = [0.5, 1.0, 2.0];
    for (axis, granularity) in [(None, 1), (Some(1), 1), (Some(-1), 1)] {
        let graph = rows().floats("s", &[3], &scales).int8s("z", &[3], &[0, 1, 2]);
        let dequantize = dequantize(&["w", "s", "z"]);
        let dequantize = match axis {
            Some(axis) => dequantize.attribute("axis", Attribute::Int(axis)),
            None => dequantize,
        };
        let opened = open_weight(graph.node(dequantize));
        let quantization = opened.quantization("w");
        assert_eq!(quantization.granularity, Granularity::Axis(granularity));
        assert_eq!(quantization.scale, Operand::Parameter(opened.id("s")));
        assert_eq!(real(&opened), [0.5, 1.0, 2.0, 2.0, 4.0, -16.0]);
        assert_eq!(
            (opened.part("w", Part::Scales), opened.part("w", Part::ZeroPoints)),
            (vec![0.5, 1.0, 2.0], vec![0.0, 1.0, 2.0])
        );
    }
    for axis in [0, -2] {
        let graph = rows().floats("s", &[2], &[0.5, 10.0]);
        let opened = open_weight(graph.node(dequantize(&["w", "s"]).attribute("axis", Attribute::Int(axis))));
        assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
        assert_eq!(real(&opened), [0.5, 1.0, 1.5, 40.0, 50.0, -60.0]);
    }
}

#[test]
fn a_scale_for_every_block_of_an_axis() {
    let graph = graph()
        .initializer("w", data_type::UINT4, [2, 5], Storage::Raw(pack([1, 2, 3, 4, 5, 6, 7, 8, 9, 15], 4)))
        .floats("s", &[2, 3], &[1.0, 10.0, 100.0, 0.5, 0.25, 2.0])
        .initializer("z", data_type::UINT4, [2, 3], Storage::Raw(pack([0, 0, 0, 0, 0, 15], 4)));
    let blocked = dequantize(&["w", "s", "z"])
        .attribute("axis", Attribute::Int(-1))
        .attribute("block_size", Attribute::Int(2));
    let opened = open_weight(graph.node(blocked));
    let quantization = opened.quantization("w");
    assert_eq!((&quantization.granularity, quantization.bits), (&Granularity::Block(vec![1, 2]), 4));
    assert_eq!(quantization.code_range, (0.0, 15.0));
    assert_eq!(real(&opened), [1.0, 2.0, 30.0, 40.0, 500.0, 3.0, 3.5, 2.0, 2.25, 0.0]);
}

#[test]
fn without_a_zero_point_code_zero_stands_for_zero() {
    for inputs in [&["w", "s"][..], &["w", "s", ""]] {
        let opened = open_weight(rows().floats("s", &[], &[2.0]).node(dequantize(inputs)));
        assert_eq!(opened.quantization("w").zero_point, None);
        assert_eq!((real(&opened)[5], opened.part("w", Part::ZeroPoints).len()), (-12.0, 0));
    }
}

#[test]
fn one_zero_point_serves_many_scales() {
    let graph = rows().floats("s", &[3], &[1.0, 2.0, 3.0]).int8s("z", &[], &[1]);
    let opened = open_weight(graph.node(dequantize(&["w", "s", "z"])));
    assert_eq!(real(&opened), [0.0, 2.0, 6.0, 3.0, 8.0, -21.0]);
    assert_eq!(opened.part("w", Part::ZeroPoints), [1.0; 3]);
}

#[test]
fn small_floats_are_codes_too() {
    let graph = graph()
        .initializer("w", data_type::FLOAT8E4M3FN, [3], Storage::Raw(vec![0x38, 0xb8, 0x7e]))
        .floats("s", &[], &[0.5]);
    let opened = open_weight(graph.node(dequantize(&["w", "s"])));
    let quantization = opened.quantization("w");
    assert_eq!((quantization.scheme, quantization.bits), (Scheme::Float, 8));
    assert_eq!(real(&opened), [0.5, -0.5, 224.0]);
}

#[test]
fn bytes_before_an_operator_of_tensorrt_are_small_floats() {
    let bytes = [0x38, 0xb8, 0x7e, 0x00, 0x40, 0x44];
    let raw = || graph().uint8s("w", &[2, 3], &bytes);
    let typed = Storage::int32s(&bytes.map(i32::from));
    for graph in [raw(), graph().initializer("w", data_type::UINT8, [2, 3], typed)] {
        let dequantize = node("TRT_FP8DequantizeLinear", &["w", "s"], &["w_real"]).domain("trt");
        let dequantize = dequantize.attribute("axis", Attribute::Int(0));
        let opened = open_weight(graph.floats("s", &[2], &[0.5, 2.0]).node(dequantize));
        let quantization = opened.quantization("w");
        assert_eq!((quantization.scheme, quantization.bits), (Scheme::Float, 8));
        assert_eq!((quantization.code_range, opened.parameter("w").dtype), ((-448.0, 448.0), DType::U8));
        assert_eq!(opened.part("w", Part::Codes), [1.0, -1.0, 448.0, 0.0, 2.0, 3.0]);
        assert_eq!(opened.values("w")[..3], [56.0, 184.0, 126.0]);
        assert_eq!(real(&opened), [0.5, -0.5, 224.0, 0.0, 4.0, 6.0]);
    }
    // As a whole number, a byte is what it says.
    let dequantize = node("TRT_INT8DequantizeLinear", &["w", "s"], &["w_real"]).domain("trt");
    let opened = open_weight(raw().floats("s", &[], &[1.0]).node(dequantize));
    assert_eq!((opened.quantization("w").scheme, real(&opened)[0]), (Scheme::Affine, 56.0));
}

#[test]
fn scales_of_constant_nodes_and_in_half_precision() {
    let scale = quantviz_testkit::onnx::tensor("", data_type::FLOAT16, [], Storage::int32s(&[0x3800]));
    let constant = Node::new("Constant").outputs(["s"]).attribute("value", Attribute::Tensor(scale));
    let opened = open_weight(rows().node(constant).node(dequantize(&["w", "s"])));
    assert_eq!(
        (number(&opened.quantization("w").scale), opened.parameter("s").dtype),
        (Some(0.5), DType::F16)
    );
}

#[test]
fn operators_of_microsoft_have_no_default_axis() {
    let microsoft = |graph: Graph, axis: Option<i64>| {
        let dequantize = dequantize(&["w", "s"]).domain("com.microsoft");
        graph.node(match axis {
            Some(axis) => dequantize.attribute("axis", Attribute::Int(axis)),
            None => dequantize,
        })
    };
    let opened = open_weight(microsoft(rows().floats("s", &[], &[0.5]), None));
    assert_eq!(opened.quantization("w").granularity, Granularity::Tensor);
    let opened = open_weight(microsoft(rows().floats("s", &[2], &[0.5, 1.0]), Some(0)));
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
    assert_misfit(microsoft(rows().floats("s", &[3], &[1.0; 3]), None), "it has 3 scales and no axis");
}

#[test]
fn an_axis_that_is_not_there() {
    for axis in [2, -3, i64::MAX, i64::MIN] {
        let graph = rows().floats("s", &[3], &[1.0; 3]);
        let message = format!("its scales are for axis {axis}, its shape is 2×3");
        assert_misfit(graph.node(dequantize(&["w", "s"]).attribute("axis", Attribute::Int(axis))), &message);
    }
    // The default axis is 1, and a vector has none.
    let graph = graph().int8s("w", &[3], &[1, 2, 3]).floats("s", &[3], &[1.0; 3]);
    assert_misfit(graph.node(dequantize(&["w", "s"])), "its scales are for axis 1, its shape is 3");
}

#[test]
fn scales_that_do_not_fit() {
    let graph = rows().floats("s", &[2], &[1.0; 2]);
    let message = "its scales of shape 2 do not fit the 3 channels of axis 1";
    assert_misfit(graph.node(dequantize(&["w", "s"])), message);
    let graph = rows().floats("s", &[3, 1], &[1.0; 3]);
    let message = "its scales of shape 3×1 do not fit the 3 channels of axis 1";
    assert_misfit(graph.node(dequantize(&["w", "s"])), message);
    let graph = rows().floats("s", &[3], &[1.0; 3]).int8s("z", &[2], &[0; 2]);
    assert_misfit(graph.node(dequantize(&["w", "s", "z"])), "it has 2 zero-points for 3 scales");
    for (block, message) in [
        (2, "its scales of shape 2×3 do not fit blocks of 2 along axis 1"),
        (-1, "its block size is -1"),
        (i64::MAX, "its scales of shape 2×3 do not fit blocks of 9223372036854775807 along axis 1"),
    ] {
        let graph = rows().floats("s", &[2, 3], &[1.0; 6]);
        let blocked = dequantize(&["w", "s"]).attribute("block_size", Attribute::Int(block));
        assert_misfit(graph.node(blocked), message);
    }
}

#[test]
fn scales_that_are_computed() {
    let graph = rows().node(node("Exp", &["x"], &["s"]));
    assert_undescribed(graph.node(dequantize(&["w", "s"])), "its scale is computed in the graph");
    let graph = rows().floats("s", &[], &[0.5]).node(node("Exp", &["x"], &["z"]));
    assert_undescribed(graph.node(dequantize(&["w", "s", "z"])), "its zero-point is computed in the graph");
}

/// What nothing makes is not computed: the file has lost it.
#[test]
fn scales_that_are_nowhere() {
    for (graph, message) in [
        (rows().node(dequantize(&["w", "s"])), "its scale \"s\" is nowhere in the file"),
        (
            rows().floats("s", &[], &[0.5]).node(dequantize(&["w", "s", "z"])),
            "its zero-point \"z\" is nowhere in the file",
        ),
    ] {
        let opened = open_graph(graph);
        let warnings: Vec<_> = opened.warnings("w").iter().map(|it| (it.kind, it.message.clone())).collect();
        assert_eq!(warnings, [(WarningKind::Missing, message.to_owned())]);
    }
    let given = rows().input("s", data_type::FLOAT, [1]).node(dequantize(&["w", "s"]));
    assert_undescribed(given, "its scale is computed in the graph");
}

#[test]
fn types_that_cannot_hold_codes() {
    let graph = graph().floats("w", &[2], &[1.0, 2.0]).floats("s", &[], &[0.5]);
    assert_undescribed(graph.node(dequantize(&["w", "s"])), "f32 cannot hold codes");
}
