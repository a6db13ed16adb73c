//! GGUF files: what they say of themselves, every type of blocks, and the numbers that blocks stand for.
#![cfg(feature = "gguf")]

mod common;
mod gguf_samples;

use std::ops::ControlFlow;

use common::{Opened, open};
use gguf_samples::{BLOCK_TYPES, ONE};
use quantviz_core::{
    DType, Encoding, ErrorKind, Granularity, Operand, Part, Role, Scan, Scheme, SourceExt, WarningKind,
};
use quantviz_testkit::gguf::{tensor_type as of, value_type};
use quantviz_testkit::{GgufBuilder, check_sync_source};

const HALF: [u8; 2] = [0x00, 0x38];
const QUARTER: [u8; 2] = [0x00, 0x34];

fn open_built(file: &GgufBuilder) -> Opened {
    open("model.gguf", file.build())
}

/// A row of these blocks, as the only tensor.
fn row_of(tensor_type: u32, elements: u64, blocks: &[u8]) -> Opened {
    open_built(&GgufBuilder::new().tensor("w", tensor_type, [elements], blocks))
}

fn reals(file: &Opened) -> Vec<f32> {
    file.source.real_array(file.id("w")).expect("readable").into_iter().collect()
}

#[test]
fn every_kind_of_metadata() {
    let file = open_built(&gguf_samples::described());
    let found: Vec<(&str, &str)> =
        file.model().metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("bool", "true"),
        ("f32", "0.00001"),
        ("f64", "0.1"),
        ("general.alignment", "64"),
        ("general.quantized_by", "somebody"),
        ("i16", "-30000"),
        ("i32", "-2147483648"),
        ("i64", "-9223372036854775808"),
        ("i8", "-100"),
        ("nested", "[2 arrays]"),
        ("nothing", "[0 u64]"),
        ("numbers", "[2 f32]"),
        ("string", "two\nlines"),
        ("u16", "60000"),
        ("u32", "4294967295"),
        ("u64", "18446744073709551615"),
        ("u8", "200"),
        ("words", "[3 strings]"),
    ];
    assert_eq!(found, expected);
    assert_eq!(file.model().producer.as_deref(), Some("somebody"));
    assert_eq!(file.values("behind.all.this.weight"), [1.0, 2.0]);
    assert_eq!(file.model().warnings, []);
}

#[test]
fn names_shapes_roles_and_layers() {
    let file = open_built(
        &GgufBuilder::new()
            .version(2)
            .tensor("token_embd.weight", of::F16, [4, 3], &[0; 24])
            .tensor("blk.0.attn_q.weight", of::Q4_0, [2, 1, 32], &[0; 36])
            .tensor("blk.0.attn_q.bias", of::BF16, [2], &[0x80, 0x3f, 0x00, 0xc0])
            .tensor("blk.0.attn_norm.weight", of::F32, [1], &[0; 4])
            .tensor("empty", of::I8, [0, 3], &[]),
    );
    let found: Vec<_> = file
        .model()
        .parameters
        .iter()
        .map(|it| (it.name.as_str(), it.dtype, it.shape.dims(), it.role))
        .collect();
    let expected: [(&str, DType, &[u64], Role); 5] = [
        ("token_embd.weight", DType::F16, &[4, 3], Role::Embedding),
        ("blk.0.attn_q.weight", DType::Q4_0, &[2, 1, 32], Role::Weight),
        ("blk.0.attn_q.bias", DType::Bf16, &[2], Role::Bias),
        ("blk.0.attn_norm.weight", DType::F32, &[1], Role::Norm),
        ("empty", DType::I8, &[0, 3], Role::Other),
    ];
    assert_eq!(found, expected);
    let layers: Vec<_> = file.model().layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(layers, ["token_embd", "blk.0.attn_q", "blk.0.attn_norm", "empty"]);
    assert_eq!(file.model().parameter_count(), 12 + 64 + 2 + 1);
    assert_eq!(file.values("blk.0.attn_q.bias"), [1.0, -2.0]);
    assert!(file.values("empty").is_empty());
}

#[test]
fn sources_keep_their_promises() {
    for file in gguf_samples::files() {
        check_sync_source(&*open("model.gguf", file).source);
    }
    // More than is unpacked at once.
    let many = vec![7; 18 * 1000];
    check_sync_source(&*row_of(of::Q4_0, 32_000, &many).source);
}

#[test]
fn the_only_file_of_several_says_so() {
    let count = |count: u16| {
        let file = GgufBuilder::new().value("split.count", value_type::U16, count.to_le_bytes());
        open_built(&file).model().warnings.iter().map(|warning| warning.kind).collect::<Vec<_>>()
    };
    assert_eq!(count(3), [WarningKind::Missing]);
    assert_eq!(count(1), []);
}

#[test]
fn what_descriptors_say() {
    use Scheme::{Affine, Codebook, Float};
    // Bits, elements that share a scale and those that share an outer one, codes, zero-point, offsets.
    type Row = (u32, Scheme, u32, u64, Option<u64>, (f64, f64), Option<f64>, bool);
    let rows: &[Row] = &[
        (of::Q4_0, Affine, 4, 32, None, (0.0, 15.0), Some(8.0), false),
        (of::Q4_1, Affine, 4, 32, None, (0.0, 15.0), None, true),
        (of::Q5_0, Affine, 5, 32, None, (0.0, 31.0), Some(16.0), false),
        (of::Q5_1, Affine, 5, 32, None, (0.0, 31.0), None, true),
        (of::Q8_0, Affine, 8, 32, None, (-128.0, 127.0), None, false),
        (of::Q2_K, Affine, 2, 16, Some(256), (0.0, 3.0), None, true),
        (of::Q3_K, Affine, 3, 16, Some(256), (0.0, 7.0), Some(4.0), false),
        (of::Q4_K, Affine, 4, 32, Some(256), (0.0, 15.0), None, true),
        (of::Q5_K, Affine, 5, 32, Some(256), (0.0, 31.0), None, true),
        (of::Q6_K, Affine, 6, 16, Some(256), (0.0, 63.0), Some(32.0), false),
        (of::TQ1_0, Affine, 2, 256, None, (-1.0, 1.0), None, false),
        (of::TQ2_0, Affine, 2, 256, None, (-1.0, 2.0), None, false),
        (of::IQ4_NL, Codebook, 4, 32, None, (0.0, 15.0), None, false),
        (of::IQ4_XS, Codebook, 4, 32, Some(256), (0.0, 15.0), None, false),
        (of::MXFP4, Float, 4, 32, None, (-6.0, 6.0), None, false),
        (of::NVFP4, Float, 4, 16, None, (-6.0, 6.0), None, false),
    ];
    assert_eq!(rows.len(), BLOCK_TYPES.len());
    for &(id, scheme, bits, group, outer, range, zero_point, has_offset) in rows {
        let &(_, elements, bytes, _) = BLOCK_TYPES.iter().find(|row| row.0 == id).expect("a known type");
        let file = open_built(&GgufBuilder::new().tensor("w", id, [3, elements], &vec![0; 3 * bytes]));
        let it = file.quantization("w");
        let outer_granularity = it.outer_scale.as_ref().map(|outer| outer.granularity.clone());
        assert_eq!((it.encoding, it.scheme, it.bits, it.code_range), (Encoding::Gguf, scheme, bits, range));
        assert_eq!(it.granularity, Granularity::Block(vec![1, group]), "{}", it.source);
        assert_eq!(outer_granularity, outer.map(|size| Granularity::Block(vec![1, size])));
        assert_eq!(it.zero_point.as_ref().and_then(common::number), zero_point);
        assert_eq!((it.offset.is_some(), it.table.is_some()), (has_offset, scheme == Codebook));
        assert_eq!(it.source, file.parameter("w").dtype.name());

        let measured =
            file.source.scan(&Scan::new(), &|_| ControlFlow::Continue(())).expect("nobody called it off");
        let symmetric = measured[0].quantization.as_ref().map(|it| it.symmetric);
        assert_eq!(symmetric, Some(!has_offset && scheme != Codebook), "{}", it.source);
        assert_eq!(measured[0].summary.map(|codes| codes.count()), Some(3 * elements));
    }
}

/// Two runs of sixteen codes, the second in the upper halves of the bytes of the first.
#[test]
fn a_block_of_q4_0() {
    let codes: Vec<u8> = (0..16).map(|low| low | (15 - low) << 4).collect();
    let file = row_of(of::Q4_0, 32, &[&HALF[..], &codes].concat());
    let rising = (0..16).map(f64::from);
    assert_eq!(file.part("w", Part::Codes), rising.clone().chain(rising.clone().rev()).collect::<Vec<_>>());
    assert_eq!(file.part("w", Part::Scales), [0.5]);
    assert_eq!(file.part("w", Part::ZeroPoints), [8.0]);
    assert!(file.part("w", Part::OuterScales).is_empty());
    let halves = rising.map(|code| (code as f32 - 8.0) / 2.0);
    assert_eq!(reals(&file), halves.clone().chain(halves.rev()).collect::<Vec<_>>());
}

/// Eight groups with six bits of scale and of minimum each.
#[test]
fn a_block_of_q4_k() {
    let mut packed = [0; 12];
    // Scale 3 and minimum 1; in the upper bits, those of 37 and 26, which belong to the fifth group.
    (packed[0], packed[4]) = (3 | 2 << 6, 1 | 1 << 6);
    (packed[1], packed[5]) = (63, 63);
    packed[8] = 5 | 10 << 4;
    let file = row_of(of::Q4_K, 256, &[&ONE[..], &HALF, &packed, &[0x2f; 128]].concat());
    assert_eq!(file.part("w", Part::OuterScales), [1.0]);
    assert_eq!(file.part("w", Part::Scales), [3.0, 63.0, 0.0, 0.0, 37.0, 0.0, 0.0, 0.0]);
    assert_eq!(file.part("w", Part::Offsets), [-0.5, -31.5, 0.0, 0.0, -13.0, 0.0, 0.0, 0.0]);
    let reals = reals(&file);
    let groups: Vec<f32> = reals.chunks(32).map(|group| group[0]).collect();
    assert_eq!(groups, [44.5, 94.5, 0.0, 0.0, 542.0, 0.0, 0.0, 0.0]);
    assert!(reals.chunks(32).all(|group| group.iter().all(|value| *value == group[0])));
}

/// Four bits of a code in one place and two in another.
#[test]
fn a_block_of_q6_k() {
    let (mut low, mut high, mut scales) = ([0; 128], [0; 64], [1u8; 16]);
    (low[0], high[0]) = (0x21, 0b00_11_00_10);
    (low[16], high[16]) = (0x0f, 0b01);
    (scales[0], scales[1]) = (2, (-3i8).cast_unsigned());
    let file = row_of(of::Q6_K, 256, &[&low[..], &high, &scales, &QUARTER].concat());
    let codes = file.part("w", Part::Codes);
    assert_eq!([codes[0], codes[1], codes[16], codes[64], codes[128]], [33.0, 0.0, 31.0, 50.0, 0.0]);
    assert_eq!(file.part("w", Part::Scales)[..3], [2.0, -3.0, 1.0]);
    let reals = reals(&file);
    assert_eq!([reals[0], reals[1], reals[16], reals[64], reals[128]], [0.5, -16.0, 0.75, 4.5, -8.0]);
}

#[test]
fn powers_of_two_reach_further_than_float32() {
    let block = |exponent: u8| [&[exponent][..], &[0x10; 1], &[0x87; 1], &[0; 14]].concat();
    let file = row_of(of::MXFP4, 96, &[block(0), block(254), block(255)].concat());
    let power = |exponent: i32| 2f64.powi(exponent);
    assert_eq!(file.part("w", Part::Scales), [power(-127), power(127), power(128)]);
    let reals = reals(&file);
    assert_eq!(reals[..2], [0.0, 6.0 * 2f32.powi(-127)]);
    assert_eq!(reals[64..66], [0.0, f32::INFINITY]);
    assert_eq!((reals[16], reals[80]), (2f32.powi(-128), 2f32.powi(127)));
    assert_eq!((reals[17], reals[17].is_sign_negative()), (0.0, true));
}

#[test]
fn the_scales_of_nvfp4_are_floats_of_eight_bits() {
    let file = row_of(of::NVFP4, 64, &[&[0x01, 0x38, 0x7f, 0xff][..], &[0x22; 32]].concat());
    assert_eq!(file.part("w", Part::Scales), [2f64.powi(-9), 1.0, 0.0, 480.0]);
    assert_eq!(
        reals(&file).chunks(16).map(|group| group[0]).collect::<Vec<_>>(),
        [2f32.powi(-9), 1.0, 0.0, 480.0]
    );
}

#[test]
fn nvfp4_weights_find_the_scales_beside_them() {
    let ones = [&[0x38; 4][..], &[0x22; 32]].concat();
    let numbers =
        |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let file = open_built(
        &GgufBuilder::new()
            .tensor("one.weight", of::NVFP4, [1, 64], &ones)
            .tensor("one.scale", of::F32, [1], &numbers(&[0.25]))
            .tensor("experts.weight", of::NVFP4, [2, 1, 64], &ones.repeat(2))
            .tensor("experts.scale", of::F32, [2], &numbers(&[0.5, 3.0]))
            .tensor("odd.weight", of::NVFP4, [1, 64], &ones)
            .tensor("odd.scale", of::F32, [2], &numbers(&[0.5, 3.0]))
            .tensor("alone.weight", of::NVFP4, [1, 64], &ones),
    );
    check_sync_source(&*file.source);
    let outer = |name| file.quantization(name).outer_scale.as_ref().map(|outer| outer.granularity.clone());
    assert_eq!(outer("one.weight"), Some(Granularity::Tensor));
    assert_eq!(outer("experts.weight"), Some(Granularity::Axis(0)));
    assert_eq!((outer("odd.weight"), outer("alone.weight")), (None, None));
    assert_eq!(file.parameter("one.scale").role, Role::Scale);
    let scale = file.quantization("one.weight").outer_scale.as_ref().map(|outer| &outer.scale);
    assert_eq!(scale, Some(&Operand::Parameter(file.id("one.scale"))));
    let summary = |name| file.source.real_summary(file.id(name)).expect("readable");
    assert_eq!(summary("one.weight").max(), Some(0.25));
    assert_eq!((summary("experts.weight").min(), summary("experts.weight").max()), (Some(0.5), Some(3.0)));
}

#[test]
fn types_of_which_only_the_size_is_known() {
    let file = open_built(
        &GgufBuilder::new()
            .tensor("vectors", of::IQ2_XXS, [2, 256], &[0; 132])
            .tensor("unknown", 99, [7], &[1, 2, 3])
            .tensor("fine", of::I8, [1], &[5]),
    );
    assert_eq!(file.parameter("vectors").dtype, DType::Iq2Xxs);
    assert_eq!(file.parameter("unknown").dtype, DType::Unknown);
    assert_eq!(file.warnings("vectors")[0].message, "the values of IQ2_XXS cannot be computed here");
    assert_eq!(file.warnings("unknown")[0].message, "the type 99 is not known here");
    assert_eq!(file.unreadable("vectors").kind(), ErrorKind::Unsupported);
    assert_eq!(file.unreadable("unknown").kind(), ErrorKind::Unsupported);
    assert_eq!(file.values("fine"), [5.0]);
    check_sync_source(&*file.source);
}
