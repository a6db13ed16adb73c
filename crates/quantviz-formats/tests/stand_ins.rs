//! What downloads and clones leave in the place of a model is told in plain words, whatever it is called.
#![cfg(all(feature = "gguf", feature = "onnx", feature = "safetensors", feature = "torch"))]

mod common;

use common::{Folder, check_refusal};
use quantviz_core::ErrorKind::Malformed;
use quantviz_formats::{FORMATS, models_in, open};
use quantviz_testkit::onnx::{Graph, Storage, data_type};
use quantviz_testkit::{GgufBuilder, OnnxBuilder, SafetensorsBuilder};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548105171\n";
const IS_POINTER: &str = "this is a Git LFS pointer, not the file itself: run 'git lfs pull'";
const IS_PAGE: &str = "this is a web page, not a model: download the file itself";
const IS_MESSAGE: &str = "this is the error message of a server, not a model: download the file itself";

const STAND_INS: &[(&str, &str)] = &[
    (POINTER, IS_POINTER),
    ("<!DOCTYPE html>\n<html lang=\"en\">", IS_PAGE),
    ("\n  <!doctype HTML><title>model.pt - Drive</title>", IS_PAGE),
    ("<HTML><body>Not found</body>", IS_PAGE),
    ("\u{feff}<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0\">", IS_PAGE),
    ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code></Error>", IS_MESSAGE),
    ("<Error><Code>AccessDenied</Code></Error>", IS_MESSAGE),
    ("{\"error\":\"Repository not found\"}", IS_MESSAGE),
    ("{\n  \"error\": \"Invalid credentials\"\n}", IS_MESSAGE),
];

#[test]
fn whatever_they_are_called() {
    let extensions = FORMATS.iter().flat_map(|entry| entry.extensions);
    for name in
        extensions.map(|end| format!("m.{end}")).chain(["m".into(), "m.bin".into(), "m.tflite".into()])
    {
        for (text, message) in STAND_INS {
            let folder = Folder::new();
            let path = folder.put(&name, text);
            let error = open(&path).err().unwrap_or_else(|| panic!("{name}, which is {text:?}, was opened"));
            check_refusal(&error, &path);
            assert_eq!((error.message(), error.kind()), (*message, Malformed), "{name}: {text:?}");
        }
    }
}

#[test]
fn in_folders_only_names_of_models_count() {
    let folder = Folder::new();
    for name in ["README.html", "picture.png", "config.json", "tokenizer.json", "weights"] {
        STAND_INS.iter().for_each(|(text, _)| drop(folder.put(name, text)));
    }
    assert_eq!(models_in(folder.path()).expect("a folder"), [""; 0].map(std::path::PathBuf::from));
    let mut named = ["a.gguf", "b.BIN", "c.onnx", "d.pt", "e.safetensors", "f.tflite"]
        .map(|name| folder.put(name, POINTER));
    named.sort();
    assert_eq!(models_in(folder.path()).expect("a folder"), named);
}

#[test]
fn text_where_a_name_promises_a_model() {
    let refused = |name: &str, text: &[u8]| {
        let folder = Folder::new();
        folder.put(name, text);
        folder.refused(name).message().to_owned()
    };
    let told = "this is text, not a model (\"Entry not found\"): download the file itself";
    for name in ["m.onnx", "m.safetensors", "m.gguf", "m.pt"] {
        assert_eq!(refused(name, b"Entry not found"), told);
        assert_eq!(refused(name, b"\r\n Entry not found\r\nand more"), told);
        // A letter may go on behind what is looked at.
        let long = [&[b'x'; 511][..], "é".as_bytes()].concat();
        assert!(refused(name, &long).starts_with("this is text, not a model (\"xxxx"));
        // One byte that no text has: then it may be a damaged model.
        assert!(!refused(name, b"Entry not found\0").contains("this is text"), "{name}");
    }
    assert!(!refused("m.safetensors.index.json", b"Entry not found").contains("this is text"));
}

#[test]
fn files_that_a_model_is_in_may_be_stand_ins() {
    let folder = Folder::new();
    folder.put("model.safetensors.index.json", r#"{"weight_map":{"w":"model-00001-of-00001.safetensors"}}"#);
    folder.put("model-00001-of-00001.safetensors", POINTER);
    folder.put("m.bin.index.json", r#"{"weight_map":{"w":"m-00001-of-00001.bin"}}"#);
    folder.put("m-00001-of-00001.bin", POINTER);
    const U16: u32 = 2;
    let first_of_two =
        GgufBuilder::new().value("split.no", U16, [0, 0]).value("split.count", U16, [2, 0]).build();
    folder.put("g-00001-of-00002.gguf", first_of_two);
    folder.put("g-00002-of-00002.gguf", POINTER);
    for (model, file) in [
        ("model.safetensors.index.json", "model-00001-of-00001.safetensors"),
        ("m.bin.index.json", "m-00001-of-00001.bin"),
        ("g-00001-of-00002.gguf", "g-00002-of-00002.gguf"),
    ] {
        let error = open(folder.path().join(model)).err().expect("its file is a pointer");
        assert_eq!(error.message(), IS_POINTER, "{error}");
        assert_eq!(error.file(), Some(&*folder.path().join(file)));
    }
    let graph =
        Graph::new("g").initializer("w", data_type::FLOAT, [256], Storage::external("w.data", None, None));
    folder.put("model.onnx", OnnxBuilder::new(graph).build());
    folder.put("w.data", POINTER);
    let source = folder.open("model.onnx");
    let warnings = &quantviz_core::ParameterSource::model(&source).warnings;
    assert!(warnings[0].message.ends_with(&format!("w.data: {IS_POINTER}")), "{warnings:?}");
}

#[test]
fn models_are_no_stand_ins() {
    let folder = Folder::new();
    folder.put("m", SafetensorsBuilder::new().metadata("error", "<html>").build());
    folder.open("m");
}
