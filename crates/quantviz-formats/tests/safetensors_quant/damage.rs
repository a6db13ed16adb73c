//! Hostile files beside a model, and damaged models.

use std::fs;

use quantviz_core::{ParameterSource, WarningKind};
use quantviz_testkit::{check_sync_source, mutate};

use crate::common::{Folder, check_model, scan};
use crate::{COUNTING, MODEL, Tensor, f32s, file, i32s, word};

fn gptq() -> [Tensor<'static>; 3] {
    [
        ("fc.qweight", "I32", &[1, 2], i32s(&[word(COUNTING); 2])),
        ("fc.qzeros", "I32", &[2, 1], i32s(&[0x77; 2])),
        ("fc.scales", "F32", &[2, 2], f32s(&[1.0; 4])),
    ]
}

const CONFIGS: [&str; 3] = ["config.json", "quantize_config.json", "hf_quant_config.json"];

#[test]
fn nonsense_beside_a_model_is_a_warning() {
    let nested = "[".repeat(100_000);
    let large = format!("[{}0]", "0,".repeat(1 << 20));
    for text in ["", "{", "\0\n\u{1b}[31m", &nested, &large] {
        for name in CONFIGS {
            let folder = Folder::new();
            folder.put(name, text);
            folder.put(MODEL, file(&gptq()));
            let source = folder.open(MODEL);
            check_sync_source(&*source);
            check_model(source.model());
            let [warning] = &source.model().warnings[..] else { panic!("{:?}", source.model().warnings) };
            assert_eq!((warning.kind, &warning.parameter), (WarningKind::Odd, &None));
            assert!(warning.message.starts_with(&format!("{name} was not read: ")), "{}", warning.message);
        }
    }
}

#[test]
fn a_folder_of_that_name_is_a_warning() {
    let folder = Folder::new();
    folder.put("config.json/inside", "");
    folder.put(MODEL, file(&gptq()));
    assert_eq!(folder.open(MODEL).model().warnings.len(), 1);
}

#[test]
fn files_are_not_asked_where_nothing_looks_quantized() {
    let folder = Folder::new();
    folder.put("config.json", "{");
    folder.put(MODEL, file(&[("fc.weight", "F32", &[1], f32s(&[1.0]))]));
    assert_eq!(folder.open(MODEL).model().warnings, []);
}

#[test]
fn lies_beside_a_model_change_nothing() {
    for text in [
        r#"{"bits": 3, "group_size": 7, "checkpoint_format": "marlin"}"#,
        r#"{"bits": 16, "group_size": 18446744073709551615}"#,
        r#"{"bits": -1, "group_size": 0, "weight_block_size": [0, 0]}"#,
        r#"{"bits": "4", "group_size": {}, "config_groups": 3}"#,
        "null",
        "3",
    ] {
        let folder = Folder::new();
        folder.put("quantize_config.json", text);
        folder.put(MODEL, file(&gptq()));
        let source = folder.open(MODEL);
        check_sync_source(&*source);
        assert_eq!(source.model().warnings, [], "{text}");
        assert!(source.model().parameters[0].quantization.is_some(), "{text}");
    }
}

/// One of everything, so that damage mixes them.
fn everything() -> Vec<u8> {
    let state = r#"{"blocksize": 4, "shape": [2, 4], "nested_blocksize": 2, "nested_offset": 1.0}"#;
    let more: [Tensor<'_>; 21] = [
        ("awq.qweight", "I32", &[2, 1], i32s(&[1, 2])),
        ("awq.qzeros", "I32", &[1, 1], i32s(&[3])),
        ("awq.scales", "F32", &[1, 8], f32s(&[1.0; 8])),
        ("ct.weight_packed", "I32", &[2, 1], i32s(&[1, 2])),
        ("ct.weight_scale", "F32", &[2, 2], f32s(&[1.0; 4])),
        ("ct.weight_g_idx", "I32", &[8], i32s(&[0, 1, 0, 1, 0, 1, 0, 1])),
        ("ct.weight_shape", "I64", &[2], [2u64, 8].map(u64::to_le_bytes).concat()),
        ("nv.weight_packed", "U8", &[2, 16], vec![1; 32]),
        ("nv.weight_scale", "F8_E4M3", &[2, 2], vec![0x38; 4]),
        ("nv.weight_global_scale", "F32", &[1], f32s(&[1.0])),
        ("mx.up_blocks", "U8", &[1, 2, 16], vec![1; 32]),
        ("mx.up_scales", "U8", &[1, 2], vec![127; 2]),
        ("bnb.weight", "U8", &[4, 1], vec![1; 4]),
        ("bnb.weight.absmax", "U8", &[2], vec![1; 2]),
        ("bnb.weight.quant_map", "F32", &[16], vec![0; 64]),
        ("bnb.weight.nested_absmax", "F32", &[1], f32s(&[1.0])),
        ("bnb.weight.nested_quant_map", "F32", &[256], vec![0; 1024]),
        ("bnb.weight.quant_state.bitsandbytes__nf4", "U8", &[128], format!("{state:128}").into_bytes()),
        ("mlx.weight", "U32", &[1, 8], vec![0; 32]),
        ("mlx.scales", "F32", &[1, 1], f32s(&[2.0])),
        ("mlx.biases", "F32", &[1, 1], f32s(&[-3.0])),
    ];
    file(&[&gptq()[..], &more].concat())
}

#[test]
fn damaged_models_give_values_or_errors() {
    let folder = Folder::in_memory();
    let valid = everything();
    let path = folder.put(MODEL, &valid);
    let source = folder.open(MODEL);
    assert_eq!(source.model().warnings, []);
    let quantized = source.model().parameters.iter().filter(|it| it.quantization.is_some()).count();
    assert_eq!(quantized, 9, "seven weights, and the packed zero-points of two");
    for seed in 0..10_000 {
        fs::write(&path, mutate(&valid, seed)).expect("the temporary folder is writable");
        if let Ok(source) = quantviz_formats::open(&path) {
            check_model(source.model());
            scan(&source);
        }
    }
}
