//! GPTQ and AWQ.

use quantviz_core::{Encoding, Granularity, Part, Role, WarningKind};

use crate::{COUNTING, COUNTING_ON, Tensor, f32s, i32s, opened, opened_beside, word};

/// Eight rows in two groups, two columns; the words of the two groups' zero-points.
fn tensors(zeros: [u32; 2]) -> Vec<Tensor<'static>> {
    vec![
        ("fc.qweight", "I32", &[1, 2], i32s(&[word(COUNTING), word(COUNTING_ON)])),
        ("fc.qzeros", "I32", &[2, 1], i32s(&zeros)),
        ("fc.scales", "F32", &[2, 2], f32s(&[1.0, 2.0, 0.5, 4.0])),
    ]
}

#[test]
fn columns_of_words() {
    let model = opened(&tensors([0x77, 0x77]));
    let quantization = model.quantization("fc.qweight");
    assert_eq!((quantization.encoding, quantization.bits), (Encoding::Gptq, 4));
    assert_eq!(quantization.granularity, Granularity::Block(vec![4, 1]));
    assert_eq!(model.parameter("fc.qweight").logical_shape().dims(), [8, 2]);
    assert_eq!(model.codes("fc.qweight")[..6], [0.0, 8.0, 1.0, 9.0, 2.0, 10.0]);
    let expected = [
        -8.0, 0.0, -7.0, 2.0, -6.0, 4.0, -5.0, 6.0, // times 1 and 2
        -2.0, 16.0, -1.5, 20.0, -1.0, 24.0, -0.5, 28.0, // times 0.5 and 4
    ];
    assert_eq!(model.real("fc.qweight"), expected);
    assert_eq!(model.roles(), [Role::Weight, Role::ZeroPoint, Role::Scale]);
    assert_eq!(model.model().parameter_count(), 16);
}

#[test]
fn versions_by_their_zero_points() {
    for (zeros, source) in [(0x77, "GPTQ v1"), (0x88, "GPTQ v2")] {
        let model = opened(&tensors([zeros; 2]));
        assert_eq!(model.quantization("fc.qweight").source, source);
        assert_eq!(model.part("fc.qweight", Part::ZeroPoints), [8.0; 4]);
        assert_eq!(model.model().warnings, []);
        // As a parameter of their own, they are zero-points too, and never words.
        assert_eq!(model.parameter("fc.qzeros").logical_shape().dims(), [2, 2]);
        assert_eq!((model.codes("fc.qzeros"), model.real("fc.qzeros")), (vec![8.0; 4], vec![8.0; 4]));
    }
}

#[test]
fn versions_by_configuration() {
    for (format, zero_points) in [("gptq", [2.0, 3.0, 4.0, 16.0]), ("gptq_v2", [1.0, 2.0, 3.0, 15.0])] {
        let nested = format!(r#"{{"quantization_config": {{"checkpoint_format": "{format}"}}}}"#);
        let own = format!(r#"{{"checkpoint_format": "{format}"}}"#);
        for (name, text) in [("config.json", &nested), ("quantize_config.json", &own)] {
            let model = opened_beside(&tensors([0x21, 0xf3]), &[(name, text)]);
            assert_eq!(model.part("fc.qweight", Part::ZeroPoints), zero_points);
            assert_eq!(model.model().warnings, []);
        }
    }
}

#[test]
fn a_version_that_nothing_tells() {
    let model = opened(&tensors([0x21, 0xf3]));
    assert_eq!(model.part("fc.qweight", Part::ZeroPoints), [2.0, 3.0, 4.0, 16.0]);
    let [warning] = &model.model().warnings[..] else { panic!("one for the whole model") };
    assert_eq!((warning.kind, &warning.parameter), (WarningKind::Odd, &None));
    assert!(warning.message.contains("checkpoint_format"), "{}", warning.message);
}

#[test]
fn rows_in_any_order() {
    let mut tensors = tensors([0x77, 0x77]);
    tensors.push(("fc.g_idx", "I32", &[8], i32s(&[1, 0, 0, 1, 0, 1, 1, 0])));
    let model = opened(&tensors);
    let expected = [
        -4.0, 0.0, -7.0, 2.0, -6.0, 4.0, -2.5, 12.0, //
        -4.0, 8.0, -1.5, 20.0, -1.0, 24.0, -1.0, 14.0,
    ];
    assert_eq!(model.real("fc.qweight"), expected);
    assert_eq!(model.roles()[3], Role::Constant);
}

#[test]
fn three_bits_across_words() {
    // The codes 0, 1, … 7, 0, 1 … down a column of 32 rows, which take three words.
    let codes: Vec<u128> = (0..32).map(|row| row % 8).collect();
    let model = opened(&[
        ("fc.qweight", "I32", &[3, 1], quantviz_testkit::pack(codes, 3)),
        ("fc.qzeros", "I32", &[1, 1], i32s(&[3])),
        ("fc.scales", "F32", &[1, 1], f32s(&[2.0])),
        ("fc.g_idx", "I32", &[32], i32s(&[0; 32])),
    ]);
    let quantization = model.quantization("fc.qweight");
    assert_eq!((quantization.bits, &quantization.granularity), (3, &Granularity::Tensor));
    let expected: Vec<f64> = (0..32).map(|row| 2.0 * (f64::from(row % 8) - 4.0)).collect();
    assert_eq!(model.real("fc.qweight"), expected);
}

#[test]
fn two_and_eight_bits_by_their_rows() {
    let of = |words: u32, rows: usize| {
        let model = opened(&[
            ("fc.qweight", "I32", &[1, 1], i32s(&[words])),
            ("fc.qzeros", "I32", &[1, 1], i32s(&[0])),
            ("fc.scales", "F32", &[1, 1], f32s(&[1.0])),
            ("fc.g_idx", "I32", &[rows as u64], vec![0; 4 * rows]),
        ]);
        (model.quantization("fc.qweight").bits, model.codes("fc.qweight"))
    };
    assert_eq!(of(0x04030201, 4), (8, vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(of(0b11_10_01_00, 16).0, 2);
    assert_eq!(of(0b11_10_01_00, 16).1[..5], [0.0, 1.0, 2.0, 3.0, 0.0]);
}

#[test]
fn one_group_for_each_column() {
    let mut tensors = tensors([0x77, 0x77]);
    tensors[1] = ("fc.qzeros", "I32", &[1, 1], i32s(&[0x77]));
    tensors[2] = ("fc.scales", "F32", &[1, 2], f32s(&[1.0, 2.0]));
    let model = opened(&tensors);
    assert_eq!(model.quantization("fc.qweight").granularity, Granularity::Axis(1));
    assert_eq!(model.real("fc.qweight")[12..], [-2.0, 12.0, -1.0, 14.0]);
}

#[test]
fn parts_that_do_not_fit() {
    use WarningKind::{Misfit, Missing, Unsupported};
    let without = |name: &str| tensors([0x77; 2]).into_iter().filter(|it| it.0 != name).collect::<Vec<_>>();
    let with = |index: usize, tensor: Tensor<'static>| {
        let mut tensors = tensors([0x77; 2]);
        tensors.resize(tensors.len().max(index + 1), tensor.clone());
        tensors[index] = tensor;
        tensors
    };
    let cases: [(Vec<Tensor<'_>>, WarningKind, &str); 7] = [
        (without("fc.scales"), Missing, "its scales are missing"),
        (without("fc.qzeros"), Missing, "its qzeros are missing"),
        (
            with(1, ("fc.qzeros", "I32", &[3, 1], i32s(&[0x77; 3]))),
            Misfit,
            "its qzeros of shape [3, 1] do not fit its scales",
        ),
        (
            with(1, ("fc.qzeros", "I32", &[2, 7], i32s(&[0x77; 14]))),
            Unsupported,
            "unsupported: a qweight whose qzeros and g_idx fit no number of bits",
        ),
        (
            with(2, ("fc.scales", "F32", &[2, 3], f32s(&[1.0; 6]))),
            Unsupported,
            "unsupported: a qweight that neither GPTQ nor AWQ packs like this",
        ),
        (
            with(2, ("fc.scales", "F32", &[2], f32s(&[1.0; 2]))),
            Unsupported,
            "unsupported: a qweight that is no matrix",
        ),
        (
            with(3, ("fc.g_idx", "I32", &[7], i32s(&[0; 7]))),
            Unsupported,
            "unsupported: a qweight whose qzeros and g_idx fit no number of bits",
        ),
    ];
    for (tensors, kind, message) in cases {
        let model = opened(&tensors);
        assert_eq!(model.only_warning("fc.qweight"), (kind, message));
        assert_eq!(model.unreadable("fc.qweight").message(), message);
        if model.model().parameter_named("fc.qzeros").is_some() {
            let reason = "they are packed like fc.qweight, which is not described";
            assert_eq!(model.unreadable("fc.qzeros").message(), reason);
        }
    }
}

#[test]
fn awq_shuffles_the_codes_of_a_word() {
    // From the low end: the codes of columns 0, 2, 4, 6, 1, 3, 5, 7.
    let shuffled = [0, 2, 4, 6, 1, 3, 5, 7];
    let model = opened(&[
        ("fc.qweight", "I32", &[2, 1], i32s(&[word(shuffled), word(shuffled.map(|code| 15 - code))])),
        ("fc.qzeros", "I32", &[1, 1], i32s(&[word([1, 2, 1, 2, 1, 2, 1, 2])])),
        ("fc.scales", "F32", &[1, 8], f32s(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0])),
    ]);
    let quantization = model.quantization("fc.qweight");
    assert_eq!((quantization.encoding, &quantization.granularity), (Encoding::Awq, &Granularity::Axis(1)));
    assert_eq!(model.codes("fc.qweight")[..8], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(model.codes("fc.qweight")[8..], [15.0, 14.0, 13.0, 12.0, 11.0, 10.0, 9.0, 8.0]);
    assert_eq!(model.part("fc.qweight", Part::ZeroPoints), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    assert_eq!(model.real("fc.qweight")[..8], [-1.0, 0.0, 0.0, 1.0, 6.0, 8.0, 8.0, 10.0]);
    assert_eq!(model.roles(), [Role::Weight, Role::ZeroPoint, Role::Scale]);
}
