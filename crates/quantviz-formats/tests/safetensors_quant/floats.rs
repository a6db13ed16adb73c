//! Eight-bit and four-bit floats.

use quantviz_core::{DType, Encoding, Granularity, Operand, Part, Role, Scheme, WarningKind};

use crate::{Tensor, f32s, i32s, opened, opened_beside};

/// The codes of 1, 2, −1 and 448.
const FLOATS: [u8; 4] = [0x38, 0x40, 0xb8, 0x7e];

#[test]
fn one_scale() {
    for (ending, shape) in [("weight_scale", &[][..]), ("weight_scale", &[1]), ("weight_scale_inv", &[1, 1])]
    {
        let scale = format!("fc.{ending}");
        let model = opened(&[
            ("fc.weight", "F8_E4M3", &[2, 2], FLOATS.to_vec()),
            (&scale, "F32", shape, f32s(&[0.5])),
        ]);
        let quantization = model.quantization("fc.weight");
        assert_eq!((quantization.encoding, quantization.scheme), (Encoding::Fp8, Scheme::Float));
        assert_eq!(quantization.granularity, Granularity::Tensor);
        assert_eq!(quantization.scale, Operand::One { value: 0.5, parameter: Some(model.id(&scale)) });
        assert_eq!(model.real("fc.weight"), [0.5, 1.0, -0.5, 224.0]);
    }
}

#[test]
fn a_scale_for_each_channel() {
    for shape in [&[2][..], &[2, 1]] {
        let model = opened(&[
            ("fc.weight", "F8_E4M3", &[2, 2], FLOATS.to_vec()),
            ("fc.weight_scale", "F32", shape, f32s(&[0.5, 4.0])),
        ]);
        assert_eq!(model.quantization("fc.weight").granularity, Granularity::Axis(0));
        assert_eq!(model.real("fc.weight"), [0.5, 1.0, -4.0, 1792.0]);
    }
}

#[test]
fn a_scale_for_each_expert() {
    let model = opened(&[
        ("experts.up", "F8_E4M3", &[2, 2, 2], [FLOATS, FLOATS].concat()),
        ("experts.up_scale", "F32", &[2, 1, 2], f32s(&[1.0, 2.0, 3.0, 4.0])),
    ]);
    assert_eq!(model.quantization("experts.up").granularity, Granularity::Block(vec![1, 2, 1]));
    assert_eq!(model.real("experts.up"), [1.0, 4.0, -1.0, 896.0, 3.0, 8.0, -3.0, 1792.0]);
}

#[test]
fn tiles_with_partial_edges() {
    let tensors: [Tensor<'_>; 2] = [
        ("fc.weight", "F8_E4M3", &[130, 200], vec![0x38; 130 * 200]),
        ("fc.weight_scale_inv", "F32", &[2, 2], f32s(&[1.0, 2.0, 3.0, 4.0])),
    ];
    let model = opened(&tensors);
    assert_eq!(model.quantization("fc.weight").granularity, Granularity::Block(vec![128, 128]));
    let real = model.real("fc.weight");
    let at = |row: usize, column: usize| real[row * 200 + column];
    assert_eq!([at(127, 127), at(127, 128), at(128, 127), at(129, 199)], [1.0, 2.0, 3.0, 4.0]);

    let config = r#"{"quantization_config": {"quant_method": "fp8", "weight_block_size": [100, 150]}}"#;
    let model = opened_beside(&tensors, &[("config.json", config)]);
    assert_eq!(model.quantization("fc.weight").granularity, Granularity::Block(vec![100, 150]));
}

#[test]
fn scales_that_are_exponents() {
    for dtype in ["U8", "F8_E8M0"] {
        let model = opened(&[
            ("fc.weight", "F8_E4M3", &[1, 64], vec![0x38; 64]),
            ("fc.weight_scale", dtype, &[1, 2], vec![126, 129]),
        ]);
        assert_eq!(model.quantization("fc.weight").granularity, Granularity::Block(vec![1, 32]));
        assert_eq!(model.part("fc.weight", Part::Scales), [0.5, 4.0]);
        assert_eq!(model.real("fc.weight")[31..33], [0.5, 4.0]);
    }
}

#[test]
fn floats_without_scales_are_what_they_are() {
    let model = opened(&[("fc.weight", "F8_E4M3", &[2, 2], FLOATS.to_vec())]);
    assert!(model.parameter("fc.weight").quantization.is_none() && model.model().warnings.is_empty());
    assert_eq!(model.values("fc.weight"), [1.0, 2.0, -1.0, 448.0]);
}

#[test]
fn scales_that_do_not_fit() {
    let model = opened(&[
        ("fc.weight", "F8_E4M3", &[2, 2], FLOATS.to_vec()),
        ("fc.weight_scale", "F32", &[3], f32s(&[1.0; 3])),
    ]);
    let message = "its scales of shape [3] do not fit its shape [2, 2]";
    assert_eq!(model.only_warning("fc.weight"), (WarningKind::Misfit, message));
    assert_eq!(model.values("fc.weight"), [1.0, 2.0, -1.0, 448.0]);
}

/// Sixteen bytes whose first codes are 1, −6, 0.5 and 2.
fn block() -> Vec<u8> {
    [&[0xf2, 0x41][..], &[0; 14]].concat()
}

#[test]
fn mxfp4() {
    let layouts = [
        ("mlp.weight_packed", "U8", &[2, 16][..], "mlp.weight_scale"),
        ("mlp.up_blocks", "U8", &[2, 1, 16], "mlp.up_scales"),
        ("mlp.weight", "U32", &[2, 4], "mlp.scales"),
    ];
    for (codes, dtype, shape, scales) in layouts {
        let model = opened(&[
            (codes, dtype, shape, [block(), block()].concat()),
            (scales, "U8", &[2, 1], vec![126, 129]),
        ]);
        let quantization = model.quantization(codes);
        assert_eq!((quantization.encoding, quantization.bits), (Encoding::Mxfp4, 4));
        assert_eq!((quantization.scheme, quantization.code_range), (Scheme::Float, (-6.0, 6.0)));
        assert_eq!(model.parameter(codes).logical_shape().elements(), 64);
        assert_eq!(model.part(codes, Part::Scales), [0.5, 4.0]);
        assert_eq!(model.real(codes)[..5], [0.5, -3.0, 0.25, 1.0, 0.0]);
        assert_eq!(model.real(codes)[32..36], [4.0, -24.0, 2.0, 8.0]);
        assert_eq!(model.roles(), [Role::Weight, Role::Scale]);
    }
}

#[test]
fn mxfp4_in_other_blocks() {
    let model = opened(&[
        ("mlp.weight_packed", "U8", &[1, 16], block()),
        ("mlp.weight_scale", "U8", &[1, 4], vec![126; 4]),
    ]);
    let message = "unsupported: four-bit floats in other blocks than of 32";
    assert_eq!(model.only_warning("mlp.weight_packed"), (WarningKind::Unsupported, message));
    assert_eq!(model.unreadable("mlp.weight_packed").message(), message);
}

#[test]
fn nvfp4() {
    let cases = [
        ("fc.weight_packed", "fc.weight_global_scale", "compressed-tensors", 0.25),
        ("fc.weight", "fc.weight_scale_2", "ModelOpt", 4.0),
    ];
    for (codes, outer, source, outer_scale) in cases {
        let model = opened(&[
            (codes, "U8", &[1, 16], block()),
            ("fc.weight_scale", "F8_E4M3", &[1, 2], vec![0x38, 0x40]),
            (outer, "F32", &[1], f32s(&[4.0])),
        ]);
        let quantization = model.quantization(codes);
        assert_eq!((quantization.encoding, quantization.source.as_str()), (Encoding::Nvfp4, source));
        assert_eq!(quantization.granularity, Granularity::Block(vec![1, 16]));
        assert_eq!(model.part(codes, Part::Scales), [1.0, 2.0]);
        assert_eq!(model.part(codes, Part::OuterScales), [outer_scale]);
        assert_eq!(model.real(codes)[..4], [1.0, -6.0, 0.5, 2.0].map(|value| value * outer_scale));
        assert_eq!(model.roles(), [Role::Weight, Role::Scale, Role::Scale]);
    }
}

#[test]
fn nvfp4_without_its_outer_scale() {
    let model = opened(&[
        ("fc.weight_packed", "U8", &[1, 16], block()),
        ("fc.weight_scale", "F8_E4M3", &[1, 2], vec![0x38, 0x40]),
    ]);
    assert_eq!(
        model.only_warning("fc.weight_packed"),
        (WarningKind::Missing, "its outer scales are missing")
    );
    assert_eq!(model.unreadable("fc.weight_packed").message(), "its outer scales are missing");
}

#[test]
fn every_type_of_eight_bits() {
    for (name, dtype) in [
        ("F8_E4M3", DType::F8E4M3Fn),
        ("F8_E4M3FNUZ", DType::F8E4M3FnUz),
        ("F8_E5M2", DType::F8E5M2),
        ("F8_E5M2FNUZ", DType::F8E5M2FnUz),
    ] {
        let model = opened(&[
            ("fc.weight", name, &[1, 2], vec![0x38, 0x40]),
            ("fc.weight_scale", "BF16", &[], vec![0x80, 0x3f]),
        ]);
        assert_eq!(Some(model.quantization("fc.weight").code_range), dtype.range());
        assert_eq!(model.real("fc.weight"), model.values("fc.weight"));
    }
    let words = opened(&[("fc.weight", "U32", &[1, 4], i32s(&[0; 4]))]);
    assert!(words.parameter("fc.weight").quantization.is_none());
}
