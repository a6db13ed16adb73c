//! Files that quantizers made and in which nothing is wrong.

use std::path::{Path, PathBuf};

use quantviz::insight::Level;

use crate::findings;

fn assert_clean(path: &Path) {
    let found = findings(path, None);
    let bad: Vec<_> = found.iter().filter(|finding| finding.level != Level::Info).collect();
    assert!(bad.is_empty(), "{}: {bad:#?}", path.display());
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

#[test]
fn resnet8() {
    for name in ["resnet8_fp32.onnx", "resnet8_int8.onnx", "resnet8_uint8.onnx", "resnet8.pt"] {
        assert_clean(&fixture("resnet8").join(name));
    }
}

/// Static, scripted, dynamic, embeddings: by torch's own quantizer.
#[test]
fn torch() {
    for name in ["state_dict", "script", "dynamic", "embeddings"] {
        assert_clean(&fixture("torch").join(format!("quantized_{name}.pt")));
    }
}

/// Made by AutoGPTQ, AutoAWQ, compressed-tensors, bitsandbytes, MLX, HQQ and ModelOpt.
#[test]
fn libraries_on_top_of_torch() {
    let folders = std::fs::read_dir(fixture("safetensors")).expect("the fixtures are there");
    let paths: Vec<PathBuf> =
        folders.map(|folder| folder.expect("listed").path().join("model.safetensors")).collect();
    let files = paths.iter().filter(|path| path.is_file());
    assert!(files.clone().count() >= 30, "{paths:?}");
    files.for_each(|path| assert_clean(path));
}

/// Made by the quantizers of onnxruntime and gguf; `make_clean.py` says how.
const MADE: &[&str] = &[
    "qdq-i8-tensor.onnx",
    "qdq-i8-channel.onnx",
    "qdq-u8-tensor.onnx",
    "qdq-u8-channel.onnx",
    "operators-i8-tensor.onnx",
    "operators-i8-channel.onnx",
    "operators-u8-tensor.onnx",
    "operators-u8-channel.onnx",
    "dynamic-i8.onnx",
    "dynamic-u8.onnx",
    "dynamic-channel.onnx",
    "int16.onnx",
    "matmul-2-bits.onnx",
    "matmul-4-bits.onnx",
    "matmul-8-bits.onnx",
    "q8_0.gguf",
    "q4_0.gguf",
];

#[test]
#[ignore = "needs files made by fixtures/python/make_clean.py"]
fn made_by_quantizers() {
    let folder = std::env::var_os("QUANTVIZ_CLEAN").expect("QUANTVIZ_CLEAN names a folder");
    let folder = Path::new(&folder);
    MADE.iter().for_each(|name| assert!(folder.join(name).is_file(), "{name} is missing"));
    for entry in std::fs::read_dir(folder).expect("it can be listed") {
        assert_clean(&entry.expect("listed").path());
    }
}
