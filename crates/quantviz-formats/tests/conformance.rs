//! Every source that files give does what sources promise.
#![cfg(all(feature = "onnx", feature = "safetensors"))]

mod common;
mod samples;

use std::path::Path;

use common::{Folder, open};
use quantviz_core::{DType, ParameterSource};
use quantviz_testkit::onnx::{Graph, Storage, data_type};
use quantviz_testkit::strategies::tensors;
use quantviz_testkit::{OnnxBuilder, SafetensorsBuilder, check_sync_source};

use proptest::prelude::*;

#[test]
fn onnx_files() {
    let folder = Folder::new();
    folder.put("weights.bin", samples::external_bytes());
    for model in samples::onnx() {
        folder.put("model.onnx", model);
        check_sync_source(&*folder.open("model.onnx"));
    }
}

#[test]
fn onnx_files_whose_data_are_missing() {
    let folder = Folder::new();
    let external = samples::onnx().pop().expect("the last one");
    folder.put("model.onnx", external);
    let source = folder.open("model.onnx");
    assert_eq!(source.model().warnings.len(), 4);
    check_sync_source(&*source);
}

#[test]
fn safetensors_files() {
    for file in samples::safetensors() {
        check_sync_source(&*open("model.safetensors", file).source);
    }
}

#[test]
fn shards() {
    let folder = Folder::new();
    let (index, shards) = samples::sharded();
    folder.put("model.safetensors.index.json", index);
    for (name, bytes) in &shards {
        folder.put(name, bytes);
    }
    check_sync_source(&*folder.open("model.safetensors.index.json"));
    folder.remove(shards[0].0);
    check_sync_source(&*folder.open("model.safetensors.index.json"));
}

#[test]
fn networks_that_were_trained_and_quantized() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/resnet8");
    for name in ["resnet8_fp32.onnx", "resnet8_int8.onnx", "resnet8_uint8.onnx"] {
        let source = quantviz_formats::open(fixtures.join(name)).expect("a readable file");
        assert!(source.model().warnings.is_empty(), "{name}: {:?}", source.model().warnings);
        check_sync_source(&*source);
    }
}

#[test]
fn tensors_longer_than_a_block() {
    // Blocks take a megabyte, landmarks in typed fields lie 65,536 values apart.
    let values: Vec<i32> = (0..200_003).map(|value| value * 10_007).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let nibbles: Vec<i32> = values.iter().map(|value| value & 0xff).collect();
    let six: Vec<i32> = values.iter().map(|value| value & 0x3f).collect();
    let odd = 2 * nibbles.len() as i64 - 1;
    let graph = Graph::new("g")
        .initializer("raw", data_type::INT32, [200_003], Storage::Raw(bytes.clone()))
        .initializer("typed", data_type::INT32, [200_003], Storage::int32s(&values))
        .initializer("unpacked", data_type::INT32, [200_003], Storage::unpacked_int32s(&values))
        .initializer("nibbles", data_type::INT4, [odd], Storage::int32s(&nibbles))
        .initializer("six", 27, [200_003], Storage::int32s(&six))
        .initializer("external", data_type::INT32, [200_003], Storage::external("weights.bin", None, None));
    let folder = Folder::new();
    folder.put("weights.bin", bytes);
    folder.put("model.onnx", OnnxBuilder::new(graph).build());
    let source = folder.open("model.onnx");
    check_sync_source(&*source);
    let opened = common::Opened { folder, source };
    let expected: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
    for name in ["raw", "typed", "unpacked", "external"] {
        assert!(opened.values(name) == expected, "{name}");
    }
}

const ONNX_TYPES: &[(i32, DType)] = &[
    (data_type::FLOAT, DType::F32),
    (data_type::UINT8, DType::U8),
    (data_type::INT8, DType::I8),
    (data_type::UINT16, DType::U16),
    (data_type::INT16, DType::I16),
    (data_type::INT32, DType::I32),
    (data_type::INT64, DType::I64),
    (data_type::BOOL, DType::Bool),
    (data_type::FLOAT16, DType::F16),
    (data_type::DOUBLE, DType::F64),
    (data_type::UINT32, DType::U32),
    (data_type::UINT64, DType::U64),
    (data_type::COMPLEX64, DType::C64),
    (data_type::COMPLEX128, DType::C128),
    (data_type::BFLOAT16, DType::Bf16),
    (data_type::FLOAT8E4M3FN, DType::F8E4M3Fn),
    (data_type::FLOAT8E4M3FNUZ, DType::F8E4M3FnUz),
    (data_type::FLOAT8E5M2, DType::F8E5M2),
    (data_type::FLOAT8E5M2FNUZ, DType::F8E5M2FnUz),
    (data_type::UINT4, DType::U4),
    (data_type::INT4, DType::I4),
    (data_type::FLOAT4E2M1, DType::F4E2M1),
    (data_type::FLOAT8E8M0, DType::F8E8M0),
    (data_type::UINT2, DType::U2),
    (data_type::INT2, DType::I2),
    (27, DType::F6E2M3),
    (28, DType::F6E3M2),
];

const SAFETENSORS_TYPES: &[(&str, DType)] = &[
    ("F64", DType::F64),
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::Bf16),
    ("F8_E4M3", DType::F8E4M3Fn),
    ("F8_E4M3FNUZ", DType::F8E4M3FnUz),
    ("F8_E5M2", DType::F8E5M2),
    ("F8_E5M2FNUZ", DType::F8E5M2FnUz),
    ("F8_E8M0", DType::F8E8M0),
    ("F6_E2M3", DType::F6E2M3),
    ("F6_E3M2", DType::F6E3M2),
    ("F4", DType::F4E2M1),
    ("I64", DType::I64),
    ("I32", DType::I32),
    ("I16", DType::I16),
    ("I8", DType::I8),
    ("U64", DType::U64),
    ("U32", DType::U32),
    ("U16", DType::U16),
    ("U8", DType::U8),
    ("BOOL", DType::Bool),
    ("C64", DType::C64),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tensors_of_every_type_in_onnx(tensor in tensors()) {
        let Some((code, _)) = ONNX_TYPES.iter().find(|(_, dtype)| *dtype == tensor.dtype) else { return Ok(()) };
        let dims: Vec<i64> = tensor.shape.dims().iter().map(|&dim| dim as i64).collect();
        let graph = Graph::new("g").initializer("w", *code, &dims, Storage::Raw(tensor.bytes.clone()));
        let opened = open("model.onnx", OnnxBuilder::new(graph).build());
        prop_assert_eq!((opened.parameter("w").dtype, &opened.parameter("w").shape), (tensor.dtype, &tensor.shape));
        check_sync_source(&*opened.source);
    }

    #[test]
    fn tensors_of_every_type_in_safetensors(tensor in tensors()) {
        let known = SAFETENSORS_TYPES.iter().find(|(_, dtype)| *dtype == tensor.dtype);
        let Some((name, _)) = known else { return Ok(()) };
        let file = SafetensorsBuilder::new()
            .tensor("before", "U8", [3], &[1, 2, 3])
            .tensor("w", name, tensor.shape.dims(), &tensor.bytes);
        let opened = open("model.safetensors", file.build());
        prop_assert_eq!((opened.parameter("w").dtype, &opened.parameter("w").shape), (tensor.dtype, &tensor.shape));
        check_sync_source(&*opened.source);
    }
}
