//! QV001, QV002, QV003 and QV007.

use quantviz::insight::{Code, Level, Target};

use crate::Sample;
use crate::samples::{I8, U8, Weight, different};

fn int8() -> Weight {
    Weight::spread(-127, 127)
}

fn four_bits() -> Weight {
    Weight::spread(0, 15)
}

/// One scale of several is this one, and the first codes are as asked for: a weight in files of many kinds.
fn with_scale(scale: f32, zeros: bool) -> Vec<(Sample, &'static str)> {
    let scales = |count: usize| {
        let mut scales = different(count);
        scales[0] = scale;
        scales
    };
    let column = |index: usize| index.is_multiple_of(64);
    let block = |index: usize| index < 32;
    let row = |index: usize| index < 64;
    let quiet = |weight: Weight, zero: i32, first: fn(usize) -> bool| {
        weight.codes(move |index, code| if first(index) && zeros { zero } else { code })
    };
    vec![
        (quiet(int8(), 0, column).scales(scales(64)).qdq(I8), "w"),
        (quiet(int8(), 0, column).scales(scales(64)).integer(I8), "w"),
        (
            quiet(int8().codes(|_, code| code + 128), 128, column)
                .zero_point(128)
                .scales(scales(64))
                .qoperator(U8),
            "w",
        ),
        (quiet(four_bits(), 8, block).scales(scales(64)).nbits(4), "w"),
        (quiet(int8(), 0, block).scales(scales(64)).q8_0(), "w"),
        (quiet(four_bits(), 8, block).scales(scales(64)).q4_0(), "w"),
        (quiet(int8(), 0, row).scales(scales(32)).qtensor("QInt8Storage"), "w"),
        (quiet(four_bits(), 8, column).scales(scales(64)).gptq(), "w.qweight"),
        (quiet(Weight::spread(0, 126), 0, row).scales(scales(32)).float8(), "w.weight"),
    ]
}

#[test]
fn scales_that_are_no_numbers() {
    for scale in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (sample, parameter) in with_scale(scale, false) {
            if sample.title == "torch" && scale.is_nan() {
                continue;
            }
            sample.has(Code::BadScale, Level::Error, parameter);
        }
    }
    for (sample, _) in with_scale(1e30, false).into_iter().filter(|(sample, _)| sample.title == "QDQ") {
        sample.lacks(Code::BadScale);
    }
}

#[test]
fn scales_that_are_zero() {
    for (sample, parameter) in with_scale(0.0, false) {
        sample.has(Code::BadScale, Level::Error, parameter);
    }
    for (sample, parameter) in with_scale(0.0, true) {
        sample.has(Code::BadScale, Level::Info, parameter);
    }
    for (sample, _) in with_scale(1e-3, true) {
        sample.lacks(Code::BadScale);
    }
}

/// Rows of GPTQ's act-order belong to groups that an index lists.
#[test]
fn zeros_of_scattered_groups() {
    let with = |first: &[u8], g_idx: &[i32]| {
        // Sixteen rows of eight columns in two groups; the first group's scales are zero.
        let rows: Vec<u32> = (0..16).map(|row| if first.contains(&row) { 8 } else { 5 }).collect();
        let word = |half: usize| (0..8).fold(0u32, |word, at| word | rows[half * 8 + at] << (4 * at));
        let words: Vec<u8> = (0..2).flat_map(|half| word(half).to_le_bytes().repeat(8)).collect();
        let scales = [[0u8, 0].repeat(8), quantviz::f16::from_f32(0.5).to_le_bytes().repeat(8)].concat();
        let g_idx: Vec<u8> = g_idx.iter().flat_map(|group| group.to_le_bytes()).collect();
        let file = quantviz_testkit::SafetensorsBuilder::new()
            .tensor("w.qweight", "I32", [2, 8], &words)
            .tensor("w.qzeros", "I32", [2, 1], &[0x77; 8])
            .tensor("w.scales", "F16", [2, 8], &scales)
            .tensor("w.g_idx", "I32", [16], &g_idx);
        Sample::new("GPTQ", "model.safetensors", file.build())
    };
    let even = [0, 1].repeat(8);
    let even_rows = [0, 2, 4, 6, 8, 10, 12, 14];
    with(&even_rows, &even).has(Code::BadScale, Level::Info, "w.qweight");
    with(&even_rows[1..], &even).has(Code::BadScale, Level::Error, "w.qweight");
    let in_order = [[0; 8], [1; 8]].concat();
    with(&even_rows, &in_order).has(Code::BadScale, Level::Error, "w.qweight");
}

/// Blocks of ggml with scales of two levels: those beside larger ones may be rounded to zero, and where all is zero, so
/// are the bits of all codes, whatever these stand for.
#[test]
fn zeros_in_blocks_of_two_levels() {
    let block = |index: usize| {
        let scale = quantviz::f16::from_f32(if index.is_multiple_of(2) { 0.0 } else { 0.01 });
        let codes = (0..192).map(|byte| (byte * 37 + index * 11) as u8);
        let scales = (0..16).map(|at| if at == index % 16 { 0 } else { 20 + at as u8 });
        match index.is_multiple_of(2) {
            true => vec![0; 210],
            false => codes.chain(scales).chain(scale.to_le_bytes()).collect(),
        }
    };
    let bytes: Vec<u8> = (0..16).flat_map(block).collect();
    let q6_k = quantviz_testkit::gguf::tensor_type::Q6_K;
    let file = quantviz_testkit::GgufBuilder::new().tensor("w", q6_k, [8, 512], &bytes);
    let sample = Sample::new("Q6_K", "model.gguf", file.build());
    assert_eq!(sample.findings(None), []);
}

#[test]
fn negative_scales() {
    let name = |sample: &Sample| sample.title;
    let linear = |sample: &Sample| matches!(name(sample), "QDQ" | "QLinearMatMul" | "MatMulInteger");
    for (sample, parameter) in with_scale(-0.01, false) {
        if linear(&sample) {
            sample.has(Code::NegativeScale, Level::Warning, parameter);
            sample.has_for(Some(Target::TensorRt), Code::NegativeScale, Level::Error, parameter);
        } else {
            // Normal in blocks whose first code is the largest.
            sample.lacks_for(Some(Target::TensorRt), Code::NegativeScale);
        }
    }
    int8().scales([-0.01]).qdq(I8).has(Code::NegativeScale, Level::Warning, "w");
    for (sample, _) in with_scale(-0.0, true).into_iter().chain(with_scale(1e-30, false)) {
        sample.lacks(Code::NegativeScale);
    }
}

#[test]
fn scales_of_few_bits() {
    // Of f32, the smallest number has one bit; of f16, 2^-24 has.
    let f32_bits = |bits: u32| f32::from_bits(bits);
    let f16_bits = |bits: u16| quantviz::f16::from_bits(bits).to_f32();
    for (sample, parameter) in with_scale(f32_bits(31), false) {
        match sample.title {
            "QDQ" | "QLinearMatMul" | "MatMulInteger" | "MatMulNBits" | "float8" => {
                sample.has(Code::SubnormalScale, Level::Warning, parameter);
            }
            // In f16 it is zero, in f64 it has all its bits.
            _ => sample.lacks(Code::SubnormalScale),
        }
    }
    for (sample, parameter) in with_scale(f16_bits(31), false) {
        match sample.title {
            "Q8_0" | "Q4_0" | "GPTQ" => sample.has(Code::SubnormalScale, Level::Warning, parameter),
            _ => sample.lacks(Code::SubnormalScale),
        }
    }
    for scale in [f32_bits(32), f16_bits(32), f32::MIN_POSITIVE] {
        for (sample, _) in with_scale(scale, false) {
            sample.lacks(Code::SubnormalScale);
        }
    }
}

#[test]
fn channels_of_one_scale() {
    let equal = |count: usize, of: usize| {
        let mut scales = different(of);
        scales[..count].fill(0.5);
        scales
    };
    let eight = [
        int8().scales(equal(8, 64)).qdq(I8),
        int8().scales(equal(64, 64)).integer(I8),
        int8().codes(|_, code| code + 128).zero_point(128).scales(equal(8, 64)).qoperator(U8),
        int8().scales(equal(8, 32)).qtensor("QInt8Storage"),
    ];
    for sample in eight {
        if sample.title == "torch" {
            // Torch keeps them in f64.
            sample.has(Code::EqualChannels, Level::Info, "w");
            continue;
        }
        sample.has(Code::EqualChannels, Level::Info, "w");
    }
    let seven = [
        int8().scales(equal(7, 64)).qdq(I8),
        int8().scales(equal(7, 64)).integer(I8),
        int8().codes(|_, code| code + 128).zero_point(128).scales(equal(7, 64)).qoperator(U8),
        int8().scales(equal(7, 32)).qtensor("QInt8Storage"),
        // Blocks are no channels.
        four_bits().scales(vec![0.5; 64]).nbits(4),
        int8().scales(vec![0.5; 64]).q8_0(),
    ];
    for sample in seven {
        sample.lacks(Code::EqualChannels);
    }
}
