//! QV009, QV010 and QV017.

use quantviz::insight::{Code, Fact, Level};

use crate::Sample;
use crate::samples::{I8, U8, Weight, different};

/// The same codes in every encoding of eight bits; `middle` is the zero-point of unsigned ones.
fn eight_bits(signed: &Weight) -> Vec<Sample> {
    let unsigned = signed.clone().codes(|_, code| code + 128).zero_point(128);
    vec![
        signed.qdq(I8),
        signed.clone().zero_point(0).qoperator(I8),
        signed.integer(I8),
        unsigned.qdq(U8),
        unsigned.qoperator(U8),
        unsigned.nbits(8),
        signed.q8_0(),
        signed.qtensor("QInt8Storage"),
    ]
}

fn four_bits(weight: &Weight) -> Vec<(Sample, &'static str)> {
    vec![(weight.nbits(4), "w"), (weight.q4_0(), "w"), (weight.gptq(), "w.qweight")]
}

#[test]
fn little_of_the_range() {
    // 127 of 254 is half; where the smallest code of all may occur, 128 of 255 is more than that.
    for sample in eight_bits(&Weight::spread(-63, 63)) {
        sample.has(Code::ShortReach, Level::Info, "w");
    }
    for sample in eight_bits(&Weight::spread(-64, 64)) {
        sample.lacks(Code::ShortReach);
    }
    for (sample, parameter) in four_bits(&Weight::spread(5, 12)) {
        sample.has(Code::ShortReach, Level::Info, parameter);
    }
    for (sample, _) in four_bits(&Weight::spread(4, 12)) {
        sample.lacks(Code::ShortReach);
    }
    // Fewer than four elements for each level say nothing.
    let mut few = Weight::spread(-63, 63);
    (few.rows, few.codes) = (15, few.codes[..960].to_vec());
    few.qdq(I8).lacks(Code::ShortReach);
}

#[test]
fn reduced_ranges_are_explained() {
    let explanation = |sample: Sample| {
        let findings = sample.findings(None);
        let finding = findings.iter().find(|finding| finding.code == Code::ShortReach).expect("found");
        finding.evidence.get("explanation").cloned()
    };
    let reduced = Some(Fact::Text("reduce_range".to_owned()));
    assert_eq!(explanation(Weight::spread(-63, 63).qdq(I8)), reduced);
    assert_eq!(explanation(Weight::spread(0, 127).zero_point(64).qdq(U8)), reduced);
    assert_eq!(explanation(Weight::spread(0, 100).qdq(I8)), None);
}

/// The codes beyond `end` pushed back to it, as often as asked for.
fn piled(weight: Weight, end: i32, times: usize) -> Weight {
    let mut left = times;
    let mut weight = weight;
    for code in &mut weight.codes {
        if *code == end || *code == end - end.signum() {
            *code = end - 3 * end.signum();
        }
    }
    for code in weight.codes.iter_mut().step_by(7) {
        if left > 0 {
            (*code, left) = (end, left - 1);
        }
    }
    weight
}

#[test]
fn codes_that_pile_up() {
    // What is calibrated by its largest value has one code of each group at an end.
    for sample in eight_bits(&piled(Weight::spread(-126, 126), 127, 90)) {
        sample.has(Code::Clipped, Level::Warning, "w");
    }
    let blocks = |sample: &Sample| matches!(sample.title, "MatMulNBits" | "Q8_0");
    for sample in eight_bits(&piled(Weight::spread(-126, 126), 127, 7)) {
        sample.lacks(Code::Clipped);
    }
    // There are 64 blocks.
    for (times, is_found) in [(64 + 7, false), (64 + 8, true)] {
        let samples = eight_bits(&piled(Weight::spread(-126, 126), 127, times));
        for sample in samples.iter().filter(|sample| blocks(sample)) {
            assert_eq!(!sample.found(Code::Clipped, None).is_empty(), is_found, "{}", sample.title);
        }
    }
    // The smallest code of all is not used by what is symmetric.
    for weight in [piled(Weight::spread(-126, 126), -127, 90), piled(Weight::spread(-126, 126), -128, 90)] {
        for sample in [weight.qdq(I8), weight.integer(I8), weight.q8_0(), weight.qtensor("QInt8Storage")] {
            sample.has(Code::Clipped, Level::Warning, "w");
        }
    }
    for sample in
        [piled(Weight::spread(-126, 126), 127, 8)].iter().flat_map(|it| [it.qdq(I8), it.integer(I8)])
    {
        sample.has(Code::Clipped, Level::Warning, "w");
    }
    for sample in
        [piled(Weight::spread(-126, 126), 127, 7)].iter().flat_map(|it| [it.qdq(I8), it.integer(I8)])
    {
        sample.lacks(Code::Clipped);
    }
    // Four times its neighbour is what a tail may have.
    let tail = |times: usize| {
        let mut beside = 10;
        let mut weight = piled(Weight::spread(-126, 126), 127, times);
        for code in weight.codes.iter_mut().skip(3).step_by(7) {
            if beside > 0 {
                (*code, beside) = (126, beside - 1);
            }
        }
        weight
    };
    tail(40).qdq(I8).lacks(Code::Clipped);
    tail(41).qdq(I8).has(Code::Clipped, Level::Warning, "w");
}

#[test]
fn what_is_no_pile() {
    // One in each channel: calibrated by the largest value.
    let calibrated = Weight::spread(-120, 120).codes(|index, code| if index < 64 { 127 } else { code });
    calibrated.clone().scales(different(64)).qdq(I8).lacks(Code::Clipped);
    calibrated.qdq(I8).has(Code::Clipped, Level::Warning, "w");
    // Weights of three values.
    let ternary = Weight::spread(-1, 1).codes(|_, code| code * 127);
    ternary.qdq(I8).lacks(Code::Clipped);
    // Blocks without a scale hold any codes.
    let mut scales = different(64);
    scales[0] = 0.0;
    let pruned = Weight::spread(-126, 126).codes(|index, code| if index < 32 { -128 } else { code });
    pruned.scales(scales).codes(|index, code| if index < 32 { 0 } else { code }).q8_0().lacks(Code::Clipped);
}

/// onnxruntime gives a channel of zeros the scale 1 and the zero-point 0.
#[test]
fn a_channel_of_zeros_is_no_pile() {
    use quantviz_testkit::onnx::{Attribute, Node, OnnxBuilder, Storage, data_type};
    let with = |zero_point: u8| {
        let codes = Weight::spread(1, 254).codes(|index, code| if index < 64 { 0 } else { code });
        let zero_points: Vec<u8> = (0..32).map(|row| if row == 0 { zero_point } else { 128 }).collect();
        let graph = codes
            .scales(different(32))
            .tensors(crate::samples::graph(), U8)
            .initializer("z", data_type::UINT8, [32], Storage::Raw(zero_points))
            .node(
                Node::new("DequantizeLinear")
                    .inputs(["w", "s", "z"])
                    .outputs(["real"])
                    .attribute("axis", Attribute::Int(0)),
            )
            .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
        Sample::new("QDQ by rows", "model.onnx", OnnxBuilder::new(graph).build())
    };
    with(0).lacks(Code::Clipped);
    with(1).has(Code::Clipped, Level::Warning, "w");
}

#[test]
fn small_floats_that_are_none() {
    use quantviz_testkit::onnx::{Node, OnnxBuilder, Storage, data_type};
    let weight = || Weight::spread(0, 126);
    let broken = || weight().codes(|index, code| if index == 5 { 127 } else { code });
    broken().float8().has(Code::NanCodes, Level::Error, "w.weight");
    weight().float8().lacks(Code::NanCodes);
    for (kind, nan, largest) in [(data_type::FLOAT8E4M3FN, 0xff, 0xfe), (data_type::FLOAT8E5M2, 0x7d, 0x7b)] {
        let with = |code: u8| {
            let codes = [vec![0x30; 63], vec![code]].concat();
            let graph = crate::samples::graph()
                .initializer("w", kind, [8, 8], Storage::Raw(codes))
                .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]))
                .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["real"]))
                .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
            Sample::new("float8 in QDQ", "model.onnx", OnnxBuilder::new(graph).build())
        };
        with(nan).has(Code::NanCodes, Level::Error, "w");
        with(largest).lacks(Code::NanCodes);
    }
    // Without scales they are numbers, and NaN all the same.
    let plain = |code: u8| {
        let file = quantviz_testkit::SafetensorsBuilder::new().tensor("w", "F8_E5M2", [4], &[0, 1, 2, code]);
        Sample::new("plain float8", "model.safetensors", file.build())
    };
    plain(0x7e).has(Code::NanCodes, Level::Error, "w");
    plain(0x7c).lacks(Code::NanCodes);
}
