//! QV004, QV016 and QV021.

use quantviz::insight::{Code, Level};
use quantviz_testkit::SafetensorsBuilder;
use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type};

use crate::Sample;
use crate::samples::{I8, Weight, different, graph};

fn onnx(title: &'static str, graph: Graph, opset: i64) -> Sample {
    let file = OnnxBuilder::new(graph).opset("", opset).opset("com.microsoft", 1);
    Sample::new(title, "model.onnx", file.build())
}

fn int8() -> Weight {
    Weight::spread(-127, 127)
}

#[test]
fn scales_that_do_not_fit() {
    // There are 64 columns.
    for count in [63, 65, 32] {
        for sample in [int8().scales(different(count)).qdq(I8), int8().scales(different(count)).qoperator(I8)]
        {
            sample.has(Code::ScaleMisfit, Level::Error, "w");
        }
    }
    let blocks = |count: usize| {
        let graph = graph()
            .initializer("w", I8, [32, 64], Storage::Raw(vec![1; 2048]))
            .initializer("s", data_type::FLOAT, [count as i64, 64], Storage::floats(&vec![0.5; count * 64]))
            .node(
                Node::new("DequantizeLinear")
                    .inputs(["w", "s"])
                    .outputs(["real"])
                    .attribute("axis", Attribute::Int(0))
                    .attribute("block_size", Attribute::Int(16)),
            )
            .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
        onnx("blocks", graph, 21)
    };
    blocks(3).has(Code::ScaleMisfit, Level::Error, "w");
    blocks(2).lacks(Code::ScaleMisfit);
    let float8 = |count: u64| {
        let file = SafetensorsBuilder::new().tensor("w.weight", "F8_E4M3", [4, 2], &[0x30; 8]).tensor(
            "w.weight_scale",
            "F32",
            [count],
            &vec![0x3d; 4 * count as usize],
        );
        Sample::new("float8", "model.safetensors", file.build())
    };
    float8(3).has(Code::ScaleMisfit, Level::Error, "w.weight");
    float8(1).lacks(Code::ScaleMisfit);
    int8().scales(different(64)).qdq(I8).lacks(Code::ScaleMisfit);
}

#[test]
fn one_scale_fits_whatever_its_rank() {
    for dims in [&[][..], &[1], &[1, 1]] {
        let graph = graph()
            .initializer("w", I8, [32, 64], Storage::Raw(vec![1; 2048]))
            .initializer("s", data_type::FLOAT, dims, Storage::floats(&[0.5]))
            .initializer("z", I8, [], Storage::Raw(vec![0]))
            .node(Node::new("DequantizeLinear").inputs(["w", "s", "z"]).outputs(["real"]))
            .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
        onnx("one scale", graph, 21).lacks(Code::ScaleMisfit);
    }
}

/// A weight and an activation with codes of this type.
fn typed(kind: i32, bits: i64, opset: i64, domain: &str) -> Sample {
    let bytes = (64 * bits as usize).div_ceil(8);
    let zero = vec![0; (bits as usize).div_ceil(8)];
    let node = |op: &str| Node::new(op).domain(domain);
    let graph = graph()
        .initializer("w", kind, [8, 8], Storage::Raw(vec![0x11; bytes]))
        .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]))
        .initializer("z", kind, [], Storage::Raw(zero))
        .node(node("DequantizeLinear").inputs(["w", "s", "z"]).outputs(["real"]))
        .node(node("QuantizeLinear").inputs(["x", "s", "z"]).outputs(["xq"]))
        .node(node("DequantizeLinear").inputs(["xq", "s", "z"]).outputs(["xr"]))
        .node(Node::new("MatMul").inputs(["xr", "real"]).outputs(["y"]));
    onnx("Q/DQ", graph, opset)
}

#[test]
fn types_that_are_too_new() {
    let types = [
        (data_type::INT8, 8, 10),
        (data_type::FLOAT8E4M3FN, 8, 19),
        (data_type::FLOAT8E5M2, 8, 19),
        (data_type::INT16, 16, 21),
        (data_type::UINT4, 4, 21),
        (data_type::FLOAT4E2M1, 4, 23),
        (data_type::INT2, 2, 25),
    ];
    for (kind, bits, since) in types {
        let found = typed(kind, bits, since - 1, "").found(Code::CodesTooNew, None);
        assert_eq!(found, [(Level::Error, "w".to_owned()), (Level::Error, "x".to_owned())], "{kind}");
        typed(kind, bits, since, "").lacks(Code::CodesTooNew);
        // Other operators have their own versions.
        typed(kind, bits, since - 1, "com.microsoft").lacks(Code::CodesTooNew);
    }
}

#[test]
fn reshaped_without_a_zero_point() {
    let with = |kind: i32, zero_point: bool, reader: &str| {
        let inputs = ["w", "s", "z"];
        let inputs = inputs[..if zero_point { 3 } else { 2 }].iter().copied();
        let shape = if reader == "Reshape" { vec!["real", "shape"] } else { vec!["real"] };
        let graph = graph()
            .initializer("w", kind, [32, 64], Storage::Raw(vec![1; 2048]))
            .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]))
            .initializer("z", kind, [], Storage::Raw(vec![0]))
            .initializer("shape", data_type::INT64, [2], Storage::int64s(&[64, 32]))
            .node(Node::new("DequantizeLinear").inputs(inputs).outputs(["real"]))
            .node(Node::new(reader).inputs(shape).outputs(["arranged"]))
            .node(Node::new("MatMul").inputs(["x", "arranged"]).outputs(["y"]));
        onnx("Reshape", graph, 21)
    };
    with(I8, false, "Reshape").has(Code::NoZeroPoint, Level::Info, "w");
    with(I8, true, "Reshape").lacks(Code::NoZeroPoint);
    with(data_type::UINT8, false, "Reshape").lacks(Code::NoZeroPoint);
    with(I8, false, "Transpose").lacks(Code::NoZeroPoint);
    let activation = |zero_point: bool| {
        let read = ["xq", "xs", "xz"];
        let read = read[..if zero_point { 3 } else { 2 }].iter().copied();
        let graph = graph()
            .initializer("xs", data_type::FLOAT, [], Storage::floats(&[0.5]))
            .initializer("xz", I8, [], Storage::Raw(vec![0]))
            .initializer("shape", data_type::INT64, [1], Storage::int64s(&[-1]))
            .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
            .node(Node::new("DequantizeLinear").inputs(read).outputs(["xr"]))
            .node(Node::new("Reshape").inputs(["xr", "shape"]).outputs(["y"]));
        onnx("Reshape of an activation", graph, 21)
    };
    activation(false).has(Code::NoZeroPoint, Level::Info, "x");
    activation(true).lacks(Code::NoZeroPoint);
    let typed_by_attribute = graph()
        .initializer("xs", data_type::FLOAT, [], Storage::floats(&[0.5]))
        .initializer("shape", data_type::INT64, [1], Storage::int64s(&[-1]))
        .node(
            Node::new("QuantizeLinear")
                .inputs(["x", "xs"])
                .outputs(["xq"])
                .attribute("output_dtype", Attribute::Int(data_type::INT8.into())),
        )
        .node(Node::new("DequantizeLinear").inputs(["xq", "xs"]).outputs(["xr"]))
        .node(Node::new("Reshape").inputs(["xr", "shape"]).outputs(["y"]));
    onnx("typed by an attribute", typed_by_attribute, 21).has(Code::NoZeroPoint, Level::Info, "x");
}
