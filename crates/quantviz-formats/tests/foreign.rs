//! Models of formats that nothing here reads: named, with what to do, and never in the way of others.
#![cfg(feature = "torch")]

mod common;

use std::path::PathBuf;

use common::{Folder, check_refusal};
use quantviz_core::ErrorKind::Unsupported;
use quantviz_formats::{models_in, open};
use quantviz_testkit::pickle::{Archive, TorchBuilder};

/// Files that are known by their bytes, whatever they are called.
fn known_by_bytes() -> Vec<(&'static str, Vec<u8>)> {
    let archive = |names: &[&str]| names.iter().fold(Archive::new(), |it, name| it.entry(name, b"x")).build();
    vec![
        ("a TFLite model", b"\x1c\0\0\0TFL3\x14\0\0\0".to_vec()),
        ("an ONNX Runtime model", b"\x20\0\0\0ORTM\0\0\0\0".to_vec()),
        ("an ExecuTorch program", b"\x38\0\0\0ET12\x34\0\0\0eh00".to_vec()),
        ("a TensorRT engine", b"ftrt\0\0\0\0".to_vec()),
        ("a TensorRT engine", b"ptrt\x61\0\0\0".to_vec()),
        ("an OpenVINO model", b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">".to_vec()),
        ("a Core ML model", b"\x08\x05\x12\x1c\x0a\x0d\x0a\x05image".to_vec()),
        ("a Core ML model", [&b"\x08\x04\x12\x9c\x02\x0a\x0d\x0a\x05"[..], &[b'x'; 300]].concat()),
        ("a Keras or other HDF5 file", b"\x89HDF\r\n\x1a\n\0\0\0".to_vec()),
        ("a NumPy array", b"\x93NUMPY\x01\0v\0{'descr': '<f4'".to_vec()),
        ("a GGML file from before GGUF", b"lmgg\x82\xca\0\0".to_vec()),
        ("a NumPy archive", archive(&["arr_0.npy", "arr_1.npy"])),
        ("a Keras model", archive(&["metadata.json", "config.json", "model.weights.h5"])),
    ]
}

#[test]
fn what_is_known_by_its_bytes() {
    for (title, bytes) in known_by_bytes() {
        for name in ["model", "model.bin", "model.onnx", "model.pt", "model.safetensors"] {
            let folder = Folder::new();
            let path = folder.put(name, &bytes);
            let error = open(&path).err().unwrap_or_else(|| panic!("{title}, named {name}, was opened"));
            check_refusal(&error, &path);
            assert_eq!(error.kind(), Unsupported, "{error}");
            assert!(error.message().starts_with(&format!("this is {title}")), "{name}: {error}");
            assert!(error.message().contains("not supported; "), "what to do: {error}");
            assert_eq!(models_in(folder.path()).expect("a folder"), [path], "{title}");
        }
    }
}

#[test]
fn what_is_known_by_its_name() {
    let folder = Folder::new();
    for (name, title) in [
        ("inference.pdmodel", "a Paddle model"),
        ("inference.pdiparams", "a Paddle model"),
        ("saved_model.pb", "a TensorFlow model"),
        ("model.TFLITE", "a TFLite model"),
        ("weights.npy", "a NumPy array"),
        ("model.engine", "a TensorRT engine"),
    ] {
        let path = folder.put(name, b"????????");
        let error = open(&path).err().expect("nothing that can be read");
        assert!(error.message().starts_with(&format!("this is {title}")), "{name}: {error}");
        // Arrays beside models are what was recorded of these.
        let is_listed = models_in(folder.path()).expect("a folder").contains(&path);
        assert_eq!(is_listed, !name.ends_with(".npy"), "{name}");
    }
}

#[test]
fn folders_that_are_models() {
    let folder = Folder::new();
    folder.put("a.mlpackage/Manifest.json", "{}");
    folder.put("export/saved_model.pb", "????");
    folder.put("other/model.pt", TorchBuilder::new().archive().build());
    let models = models_in(folder.path()).expect("a folder");
    assert_eq!(models, ["a.mlpackage", "export"].map(|name| folder.path().join(name)));
    for (path, title) in models.iter().zip(["a Core ML package", "a TensorFlow SavedModel"]) {
        let error = open(path).err().expect("nothing that can be read");
        assert!(error.message().starts_with(&format!("this is {title}")), "{error}");
    }
    let error = models_in(&models[0]).expect_err("a folder that is a model");
    assert_eq!((error.kind(), error.file()), (Unsupported, Some(&*models[0])));
    assert_eq!(models_in(&models[1]).expect("a file in it"), [models[1].join("saved_model.pb")]);
}

#[test]
fn archives_without_a_model_are_none() {
    let folder = Folder::new();
    for (name, entry) in
        [("a.docx", "[Content_Types].xml"), ("b.jar", "META-INF/MANIFEST.MF"), ("c.zip", "model.onnx")]
    {
        let path = folder.put(name, Archive::new().entry(entry, b"x").build());
        let error = open(&path).err().expect("no model");
        assert!(error.message().starts_with("this is no model file"), "{error}");
    }
    assert_eq!(models_in(folder.path()).expect("a folder"), Vec::<PathBuf>::new());
}

#[test]
fn binary_files_that_are_no_models() {
    let folder = Folder::new();
    folder.put("tokenizer.bin", [0; 100]);
    folder.put("openvino_model.bin", (0..=255).collect::<Vec<u8>>());
    folder.put("empty.bin", []);
    let checkpoint = TorchBuilder::new().tensor("w", "FloatStorage", &[2], &[0; 8]).archive().build();
    let model = folder.put("pytorch_model.bin", checkpoint);
    assert_eq!(models_in(folder.path()).expect("a folder"), [model]);
}

#[test]
fn producers_of_onnx_are_not_taken_for_core_ml() {
    // A producer of ten letters has the length that a line break is; one of none is followed by another field.
    for head in [&b"\x08\x07\x12\x0aquantviz..\x3a\x00"[..], b"\x08\x07\x12\x00\x3a\x00"] {
        let folder = Folder::new();
        let entry = quantviz_formats::format_of(&folder.put("model", head)).expect("a known format");
        assert_eq!(entry.title, "ONNX");
    }
}
