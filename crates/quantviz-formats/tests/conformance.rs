//! Every source that files give does what sources promise.
#![cfg(all(feature = "onnx", feature = "safetensors"))]

mod common;
mod samples;

use std::path::Path;

use common::{Folder, open};
use quantviz_core::{DType, Error, ParameterSource, byte_len};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tensors_of_every_type_in_onnx(tensor in tensors()) {
        let Some(code) = (1..=28).find(|&code| onnx_dtype(code) == Some(tensor.dtype)) else { return Ok(()) };
        let dims: Vec<i64> = tensor.shape.dims().iter().map(|&dim| dim as i64).collect();
        let graph = Graph::new("g").initializer("w", code, &dims, Storage::Raw(tensor.bytes.clone()));
        let opened = open("model.onnx", OnnxBuilder::new(graph).build());
        prop_assert_eq!((opened.parameter("w").dtype, &opened.parameter("w").shape), (tensor.dtype, &tensor.shape));
        check_sync_source(&*opened.source);
    }

    #[test]
    fn tensors_of_every_type_in_safetensors(tensor in tensors()) {
        let Some(name) = safetensors_name(tensor.dtype) else { return Ok(()) };
        let file = SafetensorsBuilder::new()
            .tensor("before", "U8", [3], &[1, 2, 3])
            .tensor("w", name, tensor.shape.dims(), &tensor.bytes);
        let opened = open("model.safetensors", file.build());
        prop_assert_eq!((opened.parameter("w").dtype, &opened.parameter("w").shape), (tensor.dtype, &tensor.shape));
        check_sync_source(&*opened.source);
    }
}
