//! bitsandbytes, MLX and HQQ.

use quantviz_core::{Encoding, Granularity, GroupIndex, Part, Role, Scheme, WarningKind};

use crate::common::open;
use crate::{COUNTING, MODEL, Tensor, f32s, file, i32s, opened, opened_beside, word};

/// A table that tells its codes apart.
fn table(len: u8) -> Vec<u8> {
    f32s(&(0..len).map(|code| f32::from(code) / 8.0 - 1.0).collect::<Vec<_>>())
}

fn nf4(state: &str) -> Vec<Tensor<'static>> {
    vec![
        ("fc.weight", "U8", &[4, 1], vec![0x01, 0x23, 0x45, 0xff]),
        ("fc.weight.absmax", "F32", &[2], f32s(&[8.0, 16.0])),
        ("fc.weight.quant_map", "F32", &[16], table(16)),
        ("fc.weight.quant_state.bitsandbytes__nf4", "U8", &[128], format!("{state:128}").into_bytes()),
    ]
}

#[test]
fn nf4_by_its_table() {
    let model = opened(&nf4(r#"{"quant_type": "nf4", "blocksize": 4, "dtype": "float16", "shape": [2, 4]}"#));
    let quantization = model.quantization("fc.weight");
    assert_eq!((quantization.encoding, quantization.scheme), (Encoding::BitsAndBytes, Scheme::Codebook));
    assert_eq!(
        (quantization.source.as_str(), &quantization.granularity),
        ("NF4", &Granularity::Block(vec![1, 4]))
    );
    assert_eq!(model.codes("fc.weight"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 15.0, 15.0]);
    assert_eq!(model.real("fc.weight"), [-8.0, -7.0, -6.0, -5.0, -8.0, -6.0, 14.0, 14.0]);
    assert_eq!(model.roles(), [Role::Weight, Role::Scale, Role::Constant, Role::Constant]);
    assert_eq!(model.model().layers[0].name, "fc");
}

#[test]
fn blocks_that_span_rows() {
    let model = opened(&nf4(r#"{"blocksize": 4, "shape": [4, 2]}"#));
    assert_eq!(model.quantization("fc.weight").granularity, Granularity::Block(vec![2, 2]));
    assert_eq!(model.real("fc.weight"), [-8.0, -7.0, -6.0, -5.0, -8.0, -6.0, 14.0, 14.0]);
}

#[test]
fn an_odd_number_of_codes() {
    let model = opened(&nf4(r#"{"blocksize": 4, "shape": [7]}"#));
    assert_eq!(model.real("fc.weight"), [-8.0, -7.0, -6.0, -5.0, -8.0, -6.0, 14.0]);
}

#[test]
fn scales_that_are_codes() {
    let state = r#"{"blocksize": 2, "shape": [8], "nested_blocksize": 2, "nested_offset": 10.0}"#;
    let mut tensors = nf4(state);
    tensors[1] = ("fc.weight.absmax", "U8", &[4], vec![8, 16, 24, 8]);
    tensors.push(("fc.weight.nested_absmax", "F32", &[2], f32s(&[2.0, 3.0])));
    let map: Vec<f32> = (0..=255u8).map(|code| f32::from(code) / 8.0 - 1.0).collect();
    tensors.push(("fc.weight.nested_quant_map", "F32", &[256], f32s(&map)));
    let model = opened(&tensors);
    assert_eq!(model.part("fc.weight", Part::Scales), [10.0, 12.0, 16.0, 10.0]);
    assert_eq!(model.real("fc.weight")[..6], [-10.0, -8.75, -9.0, -7.5, -8.0, -6.0]);
    assert_eq!(model.roles()[4..], [Role::Scale, Role::Constant]);
}

#[test]
fn four_bits_that_do_not_fit() {
    use WarningKind::{Misfit, Unsupported};
    let cases = [
        (r#"{"blocksize": 4, "shape": [2, 5]}"#, Misfit),
        (r#"{"blocksize": 2, "shape": [2, 4]}"#, Misfit),
        (r#"{"blocksize": 0, "shape": [2, 4]}"#, Misfit),
        (r#"{"blocksize": 18446744073709551615, "shape": [2, 4]}"#, Unsupported),
        (r#"{"blocksize": 4, "shape": [18446744073709551615, 4]}"#, Misfit),
        (r#"{"blocksize": 4, "shape": []}"#, Misfit),
        ("[]", Misfit),
        (r#"{"blocksize": 3, "shape": [2, 2, 2]}"#, Unsupported),
    ];
    for (state, kind) in cases {
        let model = open(MODEL, file(&nf4(state)));
        assert_eq!(model.only_warning("fc.weight").0, kind, "{state}");
        model.unreadable("fc.weight");
    }
}

#[test]
fn int8_by_rows() {
    let model = opened(&[
        ("fc.weight", "I8", &[2, 2], vec![127, 129, 64, 0]),
        ("fc.SCB", "F32", &[2], f32s(&[2.0, 127.0])),
        ("fc.weight_format", "U8", &[], vec![0]),
    ]);
    assert_eq!(model.quantization("fc.weight").granularity, Granularity::Axis(0));
    assert_eq!(model.real("fc.weight"), [2.0, -2.0, 64.0, 0.0]);
    assert_eq!(model.roles(), [Role::Weight, Role::Scale, Role::Constant]);
}

fn mlx(words: Vec<u8>, columns: &'static [u64]) -> Vec<Tensor<'static>> {
    vec![
        ("fc.weight", "U32", columns, words),
        ("fc.scales", "F32", &[1, 1], f32s(&[2.0])),
        ("fc.biases", "F32", &[1, 1], f32s(&[-3.0])),
    ]
}

#[test]
fn scales_and_biases() {
    let model = opened(&mlx(i32s(&[word(COUNTING); 8]), &[1, 8]));
    let quantization = model.quantization("fc.weight");
    assert_eq!((quantization.encoding, quantization.bits), (Encoding::Mlx, 4));
    assert_eq!(model.parameter("fc.weight").logical_shape().dims(), [1, 64]);
    assert_eq!(model.real("fc.weight")[..9], [-3.0, -1.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0, -3.0]);
    assert_eq!(model.roles(), [Role::Weight, Role::Scale, Role::ZeroPoint]);
}

#[test]
fn bits_that_only_the_configuration_tells() {
    // 256 bits for a group: 64 codes of four bits, or 32 of eight.
    let tensors = mlx(i32s(&[word(COUNTING); 8]), &[1, 8]);
    let configs = [
        r#"{"quantization": {"bits": 8, "group_size": 32}}"#,
        r#"{"quantization": {"bits": 4, "group_size": 64, "fc": {"bits": 8, "group_size": 32}}}"#,
    ];
    for config in configs {
        let model = opened_beside(&tensors, &[("config.json", config)]);
        assert_eq!(model.parameter("fc.weight").logical_shape().dims(), [1, 32]);
        assert_eq!(model.codes("fc.weight")[..2], [16.0, 50.0]);
    }
}

#[test]
fn five_bits_across_words() {
    let codes: Vec<u128> = (0..64).map(|code| code % 32).collect();
    let model = opened(&mlx(quantviz_testkit::pack(codes, 5), &[1, 10]));
    assert_eq!(model.quantization("fc.weight").bits, 5);
    let expected: Vec<f64> = (0..64).map(|code| 2.0 * f64::from(code % 32) - 3.0).collect();
    assert_eq!(model.real("fc.weight"), expected);
}

#[test]
fn words_that_do_not_fit() {
    let model = opened(&mlx(i32s(&[0; 7]), &[1, 7]));
    assert_eq!(model.only_warning("fc.weight").0, WarningKind::Misfit);
    model.unreadable("fc.weight");
    let mut tensors = mlx(i32s(&[0; 8]), &[1, 8]);
    tensors.pop();
    assert_eq!(opened(&tensors).only_warning("fc.weight"), (WarningKind::Missing, "its biases are missing"));
}

#[test]
fn small_floats_of_mlx() {
    // Four-bit codes of 1, 2, 3 and 4 in turn, and eight-bit codes of 1 and 2.
    let (nibbles, bytes) = (0x6542_6542_u32, 0x4038_4038_u32);
    for (source, word, words, scale, expected) in [
        ("MLX mxfp4", nibbles, 4, 128, [2.0, 4.0, 6.0, 8.0]),
        ("MLX nvfp4", nibbles, 2, 0x30, [0.5, 1.0, 1.5, 2.0]),
        ("MLX mxfp8", bytes, 8, 126, [0.5, 1.0, 0.5, 1.0]),
    ] {
        let model = opened(&[
            ("fc.weight", "U32", &[2, words], i32s(&vec![word; 2 * words as usize])),
            ("fc.scales", "U8", &[2, 1], vec![scale; 2]),
        ]);
        let quantization = model.quantization("fc.weight");
        assert_eq!((quantization.source.as_str(), quantization.scheme), (source, Scheme::Float));
        assert_eq!(model.real("fc.weight")[..4], expected, "{source}");
        assert_eq!(model.roles(), [Role::Weight, Role::Scale]);
    }
    let other =
        opened(&[("fc.weight", "U32", &[2, 3], i32s(&[0; 6])), ("fc.scales", "U8", &[2, 1], vec![127; 2])]);
    assert_eq!(other.only_warning("fc.weight").0, WarningKind::Unsupported);
}

/// A layer of two rows of four codes in groups of two, as the library writes it, with these words.
fn hqq(bits: i32, axis: i32, words: Tensor<'static>) -> Vec<Tensor<'static>> {
    let number = |value: i32| value.to_le_bytes().to_vec();
    vec![
        words,
        ("fc.scale", "F32", &[4, 1], f32s(&[1.0, 2.0, 0.5, 4.0])),
        ("fc.zero", "F32", &[4, 1], f32s(&[0.5, 1.0, 0.0, 2.0])),
        ("fc.shape", "I64", &[2], [2i64, 4].iter().flat_map(|dim| dim.to_le_bytes()).collect()),
        ("fc.nbits", "I32", &[], number(bits)),
        ("fc.group_size", "I32", &[], number(2)),
        ("fc.axis", "I32", &[], number(axis)),
        ("fc.packing", "U8", &[7], b"4bit_u8".to_vec()),
    ]
}

const HQQ_CODES: [f64; 8] = [1.0, 2.0, 3.0, 0.0, 1.0, 3.0, 2.0, 0.0];

#[test]
fn slabs_of_hqq() {
    // Words for the first three bits of ten: 1 and 2, then 3 and 0, and so on.
    let word =
        |slabs: [u32; 4]| slabs.iter().enumerate().fold(0, |word, (at, code)| word | code << (27 - 3 * at));
    for (bits, words) in [
        (8, ("fc.W_q", "U8", &[4, 2][..], HQQ_CODES.map(|code| code as u8).to_vec())),
        (4, ("fc.W_q", "U8", &[2, 2], vec![0x11, 0x23, 0x32, 0x00])),
        (2, ("fc.W_q", "U8", &[1, 2], vec![0b0111_0110, 0b1000_1100])),
        (3, ("fc.W_q", "I32", &[1, 2], i32s(&[word([1, 3, 1, 2]), word([2, 0, 3, 0])]))),
    ] {
        let model = opened(&hqq(bits, 1, words));
        let quantization = model.quantization("fc.W_q");
        assert_eq!((quantization.encoding, quantization.bits), (Encoding::Hqq, bits.cast_unsigned()));
        assert_eq!(quantization.granularity, Granularity::Block(vec![1, 2]));
        assert_eq!(model.codes("fc.W_q"), HQQ_CODES, "{bits} bits");
        assert_eq!(model.real("fc.W_q"), [0.5, 1.5, 4.0, -2.0, 0.5, 1.5, 0.0, -8.0]);
        assert_eq!(model.roles()[..3], [Role::Weight, Role::Scale, Role::ZeroPoint]);
        assert!(model.roles()[3..].iter().all(|role| *role == Role::Constant));
    }
}

#[test]
fn groups_of_hqq_down_the_columns() {
    let words = || ("fc.W_q", "U8", &[1u64, 4][..], vec![0x11, 0x23, 0x32, 0x00]);
    // Two columns of four codes: the groups of a column take turns.
    let mut turns = hqq(4, 0, words());
    turns[3].3 = [4i64, 2].iter().flat_map(|dim| dim.to_le_bytes()).collect();
    let model = opened(&turns);
    let quantization = model.quantization("fc.W_q");
    assert_eq!(quantization.granularity, Granularity::Block(vec![2, 1]));
    assert_eq!(quantization.group_index, Some(GroupIndex::InTurns { axis: 0 }));
    assert_eq!(model.codes("fc.W_q"), HQQ_CODES);
    assert_eq!(model.real("fc.W_q"), [0.5, 2.0, 1.5, -8.0, 0.5, 4.0, 1.0, -8.0]);
    // Four columns of two codes, which are a group each.
    let model = opened(&hqq(4, 0, words()));
    let quantization = model.quantization("fc.W_q");
    assert_eq!((&quantization.granularity, quantization.group_index), (&Granularity::Axis(1), None));
    assert_eq!(model.real("fc.W_q"), [0.5, 2.0, 1.5, -8.0, 0.5, 4.0, 1.0, -8.0]);
    // Three bits: the last rows of a group are filled up to ten slabs.
    let word = |first: u32, second: u32| first << 27 | second << 24;
    let codes = HQQ_CODES.map(|code| code as u32);
    let words = (0..4).map(|at| word(codes[at], codes[at + 4])).collect::<Vec<_>>();
    let model = opened(&hqq(3, 0, ("fc.W_q", "I32", &[1, 4], i32s(&words))));
    assert_eq!(model.codes("fc.W_q"), HQQ_CODES);
}

#[test]
fn layers_of_hqq_that_do_not_fit() {
    let words =
        |shape: &'static [u64]| ("fc.W_q", "U8", shape, vec![0; shape.iter().product::<u64>() as usize]);
    use WarningKind::{Misfit, Unsupported};
    let mut scaleless = hqq(4, 1, words(&[2, 2]));
    scaleless.remove(1);
    let mut odd_groups = hqq(4, 1, words(&[2, 2]));
    odd_groups[5].3 = 3i32.to_le_bytes().to_vec();
    let mut odd_columns = hqq(4, 0, words(&[2, 2]));
    odd_columns[5].3 = 3i32.to_le_bytes().to_vec();
    let mut long = hqq(4, 1, words(&[2, 2]));
    long[3].3[8] = 8;
    for (tensors, kind, message) in [
        (hqq(4, 2, words(&[2, 2])), Unsupported, "unsupported: HQQ without its axis"),
        (odd_columns, Unsupported, "unsupported: HQQ with groups of 3 in columns of 2"),
        (hqq(9, 1, words(&[2, 2])), Unsupported, "unsupported: HQQ without its number of bits"),
        (hqq(7, 1, words(&[4, 2])), Unsupported, "unsupported: HQQ with 7 bits in u8"),
        (hqq(4, 1, words(&[3, 2])), Misfit, "its words of shape [3, 2] are not for 2×4"),
        (scaleless, Unsupported, "unsupported: HQQ without its scale"),
        (odd_groups, Unsupported, "unsupported: HQQ with groups of 3 in rows of 4"),
        (long, Misfit, "its scales and zero-points are not for 8 groups"),
    ] {
        let model = open(MODEL, file(&tensors));
        assert_eq!(model.only_warning("fc.W_q"), (kind, message));
        model.unreadable("fc.W_q");
    }
}
