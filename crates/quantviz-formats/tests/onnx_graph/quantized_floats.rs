//! Float weights that a quantizer rounds: reference and variant in one file.

use quantviz_core::{DType, Encoding, Granularity, Part, Scheme, SourceExt};
use quantviz_testkit::onnx::{Attribute, Graph, data_type};

use crate::common::Opened;
use crate::{Tensors, graph, layer, layer_names, node, open_graph, parameters};

fn real(opened: &Opened) -> Vec<f32> {
    opened.source.real_array(opened.id("w")).expect("readable").into_iter().collect()
}

fn open_weight(graph: Graph) -> Opened {
    open_graph(graph.node(node("Conv", &["x", "real"], &["y"]).name("conv")))
}

#[test]
fn codes_follow_from_the_stored_numbers() {
    // Halves go to the even code, and what lies beyond the range to its end.
    let graph = graph()
        .floats("w", &[2, 4], &[0.25, 0.75, -0.75, 100.0, 2.5, 3.5, -1e9, 0.0])
        .floats("s", &[2], &[0.5, 1.0])
        .int8s("z", &[2], &[0, 3])
        .node(node("QuantizeLinear", &["w", "s", "z"], &["q"]).attribute("axis", Attribute::Int(0)))
        .node(node("DequantizeLinear", &["q", "s", "z"], &["real"]).attribute("axis", Attribute::Int(0)));
    let opened = open_weight(graph);
    let quantization = opened.quantization("w");
    assert_eq!((quantization.encoding, quantization.scheme), (Encoding::Qdq, Scheme::Affine));
    assert_eq!((quantization.computed, quantization.bits), (Some(DType::I8), 8));
    assert_eq!((&quantization.granularity, &*quantization.source), (&Granularity::Axis(0), "QuantizeLinear"));
    assert_eq!(opened.part("w", Part::Codes), [0.0, 2.0, -2.0, 127.0, 5.0, 7.0, -128.0, 3.0]);
    assert_eq!(real(&opened), [0.0, 1.0, -1.0, 63.5, 2.0, 4.0, -131.0, 0.0]);
    assert_eq!(opened.values("w")[3], 100.0);
    assert_eq!(layer_names(&opened), ["x", "conv"]);
    assert_eq!(parameters(&opened, "conv"), ["w", "s", "z"]);
}

#[test]
fn the_type_of_the_codes() {
    let quantize = || node("QuantizeLinear", &["w", "s"], &["q"]);
    let cases = [
        (quantize(), Some(DType::U8)),
        (quantize().attribute("output_dtype", Attribute::Int(data_type::INT4.into())), Some(DType::I4)),
        (quantize().attribute("output_dtype", Attribute::Int(data_type::UINT16.into())), Some(DType::U16)),
        (node("TRT_FP8QuantizeLinear", &["w", "s"], &["q"]).domain("trt"), Some(DType::F8E4M3Fn)),
    ];
    for (quantize, dtype) in cases {
        let graph =
            graph().floats("w", &[4], &[-1.0, 1.1, 300.0, 5.5]).floats("s", &[], &[0.5]).node(quantize);
        let opened = open_weight(graph.node(node("DequantizeLinear", &["q", "s"], &["real"])));
        assert_eq!(opened.quantization("w").computed, dtype);
        let expected: [f32; 4] = match dtype {
            Some(DType::U8) => [0.0, 1.0, 127.5, 5.5],
            Some(DType::I4) => [-1.0, 1.0, 3.5, 3.5],
            Some(DType::U16) => [0.0, 1.0, 300.0, 5.5],
            _ => [-1.0, 1.125, 224.0, 5.5],
        };
        assert_eq!(real(&opened), expected, "{dtype:?}");
    }
}

#[test]
fn a_clip_between_quantizer_and_dequantizer_narrows_the_codes() {
    let graph = graph()
        .floats("w", &[2], &[-100.0, 100.0])
        .floats("s", &[], &[0.5])
        .int8s("z", &[], &[0])
        .int8s("low", &[], &[-127])
        .int8s("high", &[], &[127])
        .node(node("QuantizeLinear", &["w", "s", "z"], &["q"]))
        .node(node("Clip", &["q", "low", "high"], &["c"]))
        .node(node("DequantizeLinear", &["c", "s", "z"], &["real"]));
    let opened = open_weight(graph);
    assert_eq!(opened.quantization("w").code_range, (-127.0, 127.0));
    assert_eq!(real(&opened), [-63.5, 63.5]);
}

#[test]
fn other_scales_behind_than_before_are_not_guessed() {
    let graph = graph()
        .floats("w", &[2], &[-100.0, 100.0])
        .floats("s", &[], &[0.5])
        .floats("t", &[], &[0.25])
        .node(node("QuantizeLinear", &["w", "s"], &["q"]))
        .node(node("DequantizeLinear", &["q", "t"], &["real"]));
    let message = "it is quantized with one scale and dequantized with another";
    assert_eq!(open_weight(graph).warnings("w")[0].message, message);
}

#[test]
fn a_weight_that_is_scaled_first_is_not_guessed() {
    let graph = graph()
        .floats("w", &[2], &[-100.0, 100.0])
        .floats("g", &[2], &[0.5, 2.0])
        .floats("s", &[], &[0.25])
        .node(node("Mul", &["w", "g"], &["v"]))
        .node(node("QuantizeLinear", &["v", "s"], &["q"]))
        .node(node("DequantizeLinear", &["q", "s"], &["real"]));
    let opened = open_weight(graph);
    assert_eq!(opened.warnings("w")[0].message, "it is computed with before it is quantized");
    assert_eq!(parameters(&opened, "conv"), ["w", "g", "s"]);
}

#[test]
fn signs_of_qonnx() {
    let bipolar = |scale_dims: &[i64], scales: &[f32]| {
        graph()
            .floats("w", &[2, 4], &[0.5, -0.25, 0.0, -0.0, f32::NAN, -1e9, 1e-9, -3.0])
            .floats("s", scale_dims, scales)
            .node(node("BipolarQuant", &["w", "s"], &["real"]).domain("qonnx.custom_op.general"))
    };
    let opened = open_weight(bipolar(&[2, 1], &[0.5, 2.0]));
    let quantization = opened.quantization("w");
    assert_eq!((quantization.scheme, quantization.bits), (Scheme::Codebook, 1));
    assert_eq!((&quantization.granularity, &*quantization.source), (&Granularity::Axis(0), "BipolarQuant"));
    assert_eq!(
        (quantization.table.as_deref(), quantization.computed),
        (Some(&[-1.0, 1.0][..]), Some(DType::U8))
    );
    // Both zeros count as above zero, and what is no number does not.
    assert_eq!(opened.part("w", Part::Codes), [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(real(&opened), [0.5, -0.5, 0.5, 0.5, -2.0, -2.0, 2.0, -2.0]);
    assert_eq!((layer_names(&opened), parameters(&opened, "conv")), (vec!["x", "conv"], vec!["w", "s"]));
    // The sign is that of the number, whatever that of the scale.
    assert_eq!(real(&open_weight(bipolar(&[], &[-0.5])))[..2], [-0.5, 0.5]);
}

#[test]
fn quant_of_qonnx() {
    let quant = |scale_dims: &[i64], scales: &[f32], narrow: i64| {
        graph()
            .floats("w", &[2, 3], &[0.5, -1.0, 9.0, 10.0, -20.0, 90.0])
            .floats("s", scale_dims, scales)
            .floats("z", &[], &[0.0])
            .floats("bits", &[], &[4.0])
            .node(
                node("Quant", &["w", "s", "z", "bits"], &["real"])
                    .domain("qonnx.custom_op.general")
                    .attribute("signed", Attribute::Int(1))
                    .attribute("narrow", Attribute::Int(narrow))
                    .attribute("rounding_mode", Attribute::String("ROUND".into())),
            )
    };
    let opened = open_weight(quant(&[2, 1], &[1.0, 10.0], 1));
    let quantization = opened.quantization("w");
    assert_eq!((quantization.bits, quantization.code_range), (4, (-7.0, 7.0)));
    assert_eq!(opened.part("w", Part::Codes), [0.0, -1.0, 7.0, 1.0, -2.0, 7.0]);
    assert_eq!(real(&opened), [0.0, -1.0, 7.0, 10.0, -20.0, 70.0]);
    assert_eq!(
        (layer_names(&opened), layer(&opened, "conv").inputs.clone()),
        (vec!["x", "conv"], vec!["x".into(), "w".into()])
    );
    assert_eq!(open_weight(quant(&[], &[1.0], 0)).quantization("w").code_range, (-8.0, 7.0));
    let opened = open_weight(quant(&[3, 1], &[1.0; 3], 0));
    assert_eq!(opened.warnings("w")[0].message, "its scales of shape 3×1 do not fit its shape 2×3");
}
