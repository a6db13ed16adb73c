//! bitsandbytes and MLX.

use quantviz_core::{Encoding, Granularity, Part, Role, Scheme, WarningKind};

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
    use WarningKind::{Malformed, Unsupported};
    let cases = [
        (r#"{"blocksize": 4, "shape": [2, 5]}"#, Malformed),
        (r#"{"blocksize": 2, "shape": [2, 4]}"#, Malformed),
        (r#"{"blocksize": 0, "shape": [2, 4]}"#, Malformed),
        (r#"{"blocksize": 18446744073709551615, "shape": [2, 4]}"#, Unsupported),
        (r#"{"blocksize": 4, "shape": [18446744073709551615, 4]}"#, Malformed),
        (r#"{"blocksize": 4, "shape": []}"#, Malformed),
        ("[]", Malformed),
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
    assert_eq!(model.only_warning("fc.weight").0, WarningKind::Malformed);
    model.unreadable("fc.weight");
    let mut tensors = mlx(i32s(&[0; 8]), &[1, 8]);
    tensors.pop();
    assert_eq!(opened(&tensors).only_warning("fc.weight"), (WarningKind::Missing, "its biases are missing"));
}
