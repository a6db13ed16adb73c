//! QV012 and QV013.

use quantviz::insight::{Code, Level};
use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type};

use crate::Sample;
use crate::samples::{I8, activation, different, graph};

const INPUT: f32 = 0.05;

fn sample(title: &'static str, graph: Graph) -> Sample {
    let file = OnnxBuilder::new(graph).opset("", 21).opset("com.microsoft", 1);
    Sample::new(title, "model.onnx", file.build())
}

/// The weight and the bias of a layer of 64 outputs; as many scales as there are.
fn tensors(weight_scales: &[f32], bias_scales: &[f32], codes: &[i32]) -> Graph {
    let dims = |scales: &[f32]| if scales.len() == 1 { vec![] } else { vec![scales.len() as i64] };
    activation(graph(), INPUT)
        .initializer("w", I8, [64, 32], Storage::Raw(vec![3; 2048]))
        .initializer("ws", data_type::FLOAT, dims(weight_scales), Storage::floats(weight_scales))
        .initializer("wz", I8, dims(weight_scales), Storage::Raw(vec![0; weight_scales.len()]))
        .initializer("b", data_type::INT32, [64], Storage::int32s(codes))
        .initializer("bs", data_type::FLOAT, dims(bias_scales), Storage::floats(bias_scales))
}

fn codes() -> Vec<i32> {
    (0..64).map(|index| index * 1000 - 32_000).collect()
}

fn axis(node: Node, axis: i64) -> Node {
    node.attribute("axis", Attribute::Int(axis))
}

/// The input, the weight and the bias as numbers that were codes.
fn dequantized(graph: Graph) -> Graph {
    graph
        .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
        .node(Node::new("DequantizeLinear").inputs(["xq", "xs", "xz"]).outputs(["xr"]))
        .node(axis(Node::new("DequantizeLinear").inputs(["w", "ws", "wz"]).outputs(["wr"]), 0))
        .node(axis(Node::new("DequantizeLinear").inputs(["b", "bs"]).outputs(["br"]), 0))
}

fn gemm(graph: Graph) -> Sample {
    let gemm = Node::new("Gemm").name("fc").inputs(["xr", "wr", "br"]).outputs(["y"]);
    sample("Gemm", dequantized(graph).node(gemm.attribute("transB", Attribute::Int(1))))
}

fn conv(graph: Graph) -> Sample {
    let conv = Node::new("Conv").name("conv").inputs(["xr", "wr", "br"]).outputs(["y"]);
    sample("Conv", dequantized(graph).node(conv))
}

/// Two QGemm with one bias, whose second weight has this scale; and what they multiply with.
fn qgemms(second: f32, alpha: f32) -> Sample {
    let gemm = |name: &str, scale: &str| {
        Node::new("QGemm")
            .name(name)
            .domain("com.microsoft")
            .inputs(["xq", "xs", "xz", "w", scale, "wz", "b"])
            .outputs([name])
            .attribute("transB", Attribute::Int(1))
            .attribute("alpha", Attribute::Float(alpha))
    };
    let graph = tensors(&[0.01], &[1.0], &codes())
        .initializer("second", data_type::FLOAT, [], Storage::floats(&[second]))
        .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
        .node(gemm("one", "ws"))
        .node(gemm("two", "second"));
    sample("QGemm", graph)
}

#[test]
fn scales_that_are_no_product() {
    let product = INPUT * 0.01;
    for make in [gemm, conv] {
        for ratio in [1.011, 0.989, 2.0, 1e-3] {
            make(tensors(&[0.01], &[product * ratio], &codes())).has(Code::BiasScale, Level::Error, "b");
        }
        for ratio in [1.0, 1.009, 0.991] {
            make(tensors(&[0.01], &[product * ratio], &codes())).lacks(Code::BiasScale);
        }
    }
}

#[test]
fn one_channel_that_is_off() {
    let weights = different(64);
    let products = |ratio: f32| {
        let scale =
            |(channel, &weight): (usize, &f32)| INPUT * weight * if channel == 7 { ratio } else { 1.0 };
        weights.iter().enumerate().map(scale).collect::<Vec<f32>>()
    };
    for make in [gemm, conv] {
        make(tensors(&weights, &products(1.02), &codes())).has(Code::BiasScale, Level::Error, "b");
        make(tensors(&weights, &products(1.005), &codes())).lacks(Code::BiasScale);
    }
    let finding = gemm(tensors(&weights, &products(1.02), &codes())).findings(None);
    let evidence = &finding.iter().find(|it| it.code == Code::BiasScale).expect("found").evidence;
    assert_eq!(evidence.get("channel"), Some(&7u64.into()));
    assert_eq!(evidence.get("channels_off"), Some(&1u64.into()));
}

#[test]
fn a_bias_that_nodes_share() {
    qgemms(0.02, 1.0).has(Code::BiasScale, Level::Error, "b");
    qgemms(0.0102, 1.0).has(Code::BiasScale, Level::Error, "b");
    qgemms(0.01, 1.0).lacks(Code::BiasScale);
    // What the operator multiplies with is part of the scale that is meant.
    qgemms(0.01, 0.5).lacks(Code::BiasScale);
}

#[test]
fn the_layer_before_may_be_quantized_in_two_ways() {
    let with = |scale: f32| {
        let graph = dequantized(tensors(&[0.01], &[INPUT * 0.01], &codes()))
            .initializer("other", data_type::FLOAT, [], Storage::floats(&[scale]))
            .node(Node::new("QuantizeLinear").inputs(["x", "other", "xz"]).outputs(["xo"]))
            .node(Node::new("DequantizeLinear").inputs(["xo", "other", "xz"]).outputs(["xor"]))
            .node(Node::new("Relu").inputs(["xor"]).outputs(["r"]));
        let gemm = Node::new("Gemm").name("fc").inputs(["xr", "wr", "br"]).outputs(["y"]);
        sample("Gemm", graph.node(gemm.attribute("transB", Attribute::Int(1))))
    };
    with(1.5).lacks(Code::BiasScale);
}

#[test]
fn codes_at_the_end_of_their_type() {
    let with = |code: i32| {
        let mut codes = codes();
        codes[3] = code;
        codes
    };
    for make in [gemm, conv] {
        for code in [i32::MIN, i32::MAX] {
            make(tensors(&[0.01], &[INPUT * 0.01], &with(code))).has(Code::SaturatedBias, Level::Error, "b");
        }
        for code in [i32::MIN + 1, i32::MAX - 1] {
            make(tensors(&[0.01], &[INPUT * 0.01], &with(code))).lacks(Code::SaturatedBias);
        }
    }
    let qlinear = |code: i32| {
        let graph = tensors(&[0.01], &[1.0], &with(code))
            .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
            .node(
                Node::new("QLinearConv")
                    .inputs(["xq", "xs", "xz", "w", "ws", "wz", "xs", "xz", "b"])
                    .outputs(["y"]),
            );
        sample("QLinearConv", graph)
    };
    qlinear(i32::MAX).has(Code::SaturatedBias, Level::Error, "b");
    qlinear(i32::MAX - 1).lacks(Code::SaturatedBias);
}

#[test]
fn a_weight_that_was_widened_for_its_bias() {
    let mut full = codes();
    full[0] = 1 << 30;
    let spread = crate::samples::Weight::spread(-60, 60);
    let with = |codes: &[i32]| {
        let graph = activation(graph(), INPUT)
            .initializer(
                "w",
                I8,
                [64, 32],
                Storage::Raw(spread.codes.iter().map(|code| *code as u8).collect()),
            )
            .initializer("ws", data_type::FLOAT, [], Storage::floats(&[0.01]))
            .initializer("wz", I8, [], Storage::Raw(vec![0]))
            .initializer("b", data_type::INT32, [64], Storage::int32s(codes))
            .initializer("bs", data_type::FLOAT, [], Storage::floats(&[INPUT * 0.01]));
        let findings = gemm(graph).findings(None);
        findings.into_iter().find(|it| it.code == Code::ShortReach).expect("found").message
    };
    assert!(with(&full).ends_with("(widened so that the int32 bias fits)"), "{}", with(&full));
    assert!(with(&codes()).ends_with("(reduce_range)"), "{}", with(&codes()));
}
