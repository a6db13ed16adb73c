//! compressed-tensors' packed and plain whole numbers.

use quantviz_core::{Encoding, Granularity, Part, Role, WarningKind};

use crate::{COUNTING, COUNTING_ON, Tensor, f32s, i32s, opened, opened_beside, word};

fn shape(dims: [i64; 2]) -> Tensor<'static> {
    ("fc.weight_shape", "I64", &[2], dims.iter().flat_map(|dim| dim.to_le_bytes()).collect())
}

fn tensors() -> Vec<Tensor<'static>> {
    vec![
        ("fc.weight_packed", "I32", &[2, 1], i32s(&[word(COUNTING), word(COUNTING_ON)])),
        ("fc.weight_scale", "F32", &[2, 2], f32s(&[1.0, 2.0, 0.5, 4.0])),
        shape([2, 8]),
    ]
}

#[test]
fn rows_of_words() {
    let model = opened(&tensors());
    let quantization = model.quantization("fc.weight_packed");
    assert_eq!((quantization.encoding, quantization.bits), (Encoding::CompressedTensors, 4));
    assert_eq!(quantization.granularity, Granularity::Block(vec![1, 4]));
    assert_eq!((quantization.code_range, &quantization.zero_point), ((-8.0, 7.0), &None));
    let expected =
        [-8.0, -7.0, -6.0, -5.0, -8.0, -6.0, -4.0, -2.0, 0.0, 0.5, 1.0, 1.5, 16.0, 20.0, 24.0, 28.0];
    assert_eq!(model.real("fc.weight_packed"), expected);
    assert_eq!(model.roles(), [Role::Weight, Role::Scale, Role::Constant]);
}

#[test]
fn rows_that_end_within_a_word() {
    let mut tensors = tensors();
    tensors[2] = shape([2, 6]);
    let model = opened(&tensors);
    assert_eq!(model.quantization("fc.weight_packed").granularity, Granularity::Block(vec![1, 3]));
    assert_eq!(
        model.codes("fc.weight_packed"),
        [-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
}

#[test]
fn zero_points_are_packed_down_columns() {
    let mut tensors = tensors();
    // One word for the two rows of each of the two groups: less than the middle by 0, 1, 2 and 3.
    tensors.push(("fc.weight_zero_point", "I32", &[1, 2], i32s(&[0x68, 0x57])));
    let model = opened(&tensors);
    assert_eq!(model.part("fc.weight_packed", Part::ZeroPoints), [0.0, -1.0, -2.0, -3.0]);
    assert_eq!(model.real("fc.weight_packed")[..5], [-8.0, -7.0, -6.0, -5.0, -6.0]);
    assert_eq!(model.codes("fc.weight_zero_point"), [0.0, -1.0, -2.0, -3.0]);
    tensors[3] = ("fc.weight_zero_point", "I8", &[2, 2], vec![0, 255, 254, 253]);
    let older = opened(&tensors);
    assert_eq!(older.real("fc.weight_packed"), model.real("fc.weight_packed"));
    assert_eq!(older.roles()[3], Role::ZeroPoint);
}

#[test]
fn columns_in_any_order() {
    let mut tensors = tensors();
    tensors.push(("fc.weight_g_idx", "I32", &[8], i32s(&[1, 0, 1, 0, 0, 1, 0, 1])));
    let model = opened(&tensors);
    assert_eq!(model.real("fc.weight_packed")[..8], [-16.0, -7.0, -12.0, -5.0, -4.0, -6.0, -2.0, -2.0]);
}

#[test]
fn three_bits_without_gaps() {
    let codes: Vec<u128> = (0..12).map(|code| code % 8).collect();
    let mut words = quantviz_testkit::pack(codes, 3);
    words.resize(8, 0xff);
    let config = r#"{"quantization_config": {"config_groups": {"group_0": {"weights": {"num_bits": 3}}}}}"#;
    let model = opened_beside(
        &[
            ("fc.weight_packed", "I32", &[1, 2], words),
            ("fc.weight_scale", "F32", &[1, 1], f32s(&[1.0])),
            shape([1, 12]),
        ],
        &[("config.json", config)],
    );
    assert_eq!(
        model.real("fc.weight_packed"),
        [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, -4.0, -3.0, -2.0, -1.0]
    );
}

/// Rows of 170 codes of three bits, ten in a word, as older versions of the library pack them: one word more than they
/// need.
#[test]
fn codes_that_stay_in_their_words() {
    let code = |row: u32, column: u32| (row * 3 + column) % 8;
    let word = |row, first: u32| (0..10).rev().fold(0, |word, at| word << 3 | code(row, first + at));
    let words: Vec<u32> = (0..12).flat_map(|row| (0..17).map(move |at| word(row, at * 10))).collect();
    // Twelve zero-points in two words.
    let zero = |row: u32| row % 8;
    let zeros = [(0..10).rev().fold(0, |word, row| word << 3 | zero(row)), zero(11) << 3 | zero(10)];
    let model = opened(&[
        ("fc.weight_packed", "I32", &[12, 17], i32s(&words)),
        ("fc.weight_scale", "F32", &[12, 1], f32s(&[2.0; 12])),
        ("fc.weight_zero_point", "I32", &[2, 1], i32s(&zeros)),
        shape([12, 170]),
    ]);
    let value = |row, column| 2.0 * (f64::from(code(row, column)) - f64::from(zero(row)));
    let expected: Vec<f64> = (0..12).flat_map(|row| (0..170).map(move |column| value(row, column))).collect();
    assert_eq!(model.quantization("fc.weight_packed").bits, 3);
    assert_eq!(model.real("fc.weight_packed"), expected);
    let zero_points: Vec<f64> = (0..12).map(|row| f64::from(zero(row)) - 4.0).collect();
    assert_eq!(model.codes("fc.weight_zero_point"), zero_points);
}

#[test]
fn bytes() {
    let mut tensors: Vec<Tensor<'_>> = vec![
        ("fc.weight", "I8", &[2, 2], vec![1, 255, 2, 128]),
        ("fc.weight_scale", "F32", &[2, 1], f32s(&[1.0, 0.5])),
    ];
    let model = opened(&tensors);
    assert_eq!(model.quantization("fc.weight").granularity, Granularity::Axis(0));
    assert_eq!(model.real("fc.weight"), [1.0, -1.0, 1.0, -64.0]);
    tensors.push(("fc.weight_zero_point", "I8", &[2, 1], vec![1, 254]));
    assert_eq!(opened(&tensors).real("fc.weight"), [0.0, -2.0, 2.0, -63.0]);
}

#[test]
fn parts_that_do_not_fit() {
    use WarningKind::{Misfit, Missing};
    let with = |index: usize, tensor: Tensor<'static>| {
        let mut tensors = tensors();
        tensors.resize(tensors.len().max(index + 1), tensor.clone());
        tensors[index] = tensor;
        tensors
    };
    let no_shape = "its weight_shape does not fit its words";
    let cases: [(Vec<Tensor<'_>>, WarningKind, &str); 6] = [
        (tensors().into_iter().step_by(2).collect(), Missing, "its scales are missing"),
        (with(2, shape([2, 33])), Misfit, no_shape),
        (with(2, shape([3, 8])), Misfit, no_shape),
        (with(2, shape([2, i64::MIN])), Misfit, no_shape),
        (
            with(3, ("fc.weight_zero_point", "I32", &[2, 2], i32s(&[0; 4]))),
            Misfit,
            "its zero-points of shape [2, 2] do not fit its scales",
        ),
        (
            with(3, ("fc.weight_g_idx", "I32", &[9], i32s(&[0; 9]))),
            Misfit,
            "its g_idx of shape [9] is not for 8 columns",
        ),
    ];
    for (tensors, kind, message) in cases {
        let model = opened(&tensors);
        assert_eq!(model.only_warning("fc.weight_packed"), (kind, message));
        assert_eq!(model.unreadable("fc.weight_packed").message(), message);
        if model.model().parameter_named("fc.weight_zero_point").is_some() {
            model.unreadable("fc.weight_zero_point");
        }
    }
}
