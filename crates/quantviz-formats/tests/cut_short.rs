//! Files that are shorter than they say: what is missing, to the byte, and what to do about it.
#![cfg(all(feature = "gguf", feature = "onnx", feature = "safetensors", feature = "torch"))]

mod common;

use common::{Folder, cut_short, open, refused};
use quantviz_core::ErrorKind::Malformed;
use quantviz_testkit::onnx::{Graph, Storage, data_type};
use quantviz_testkit::pickle::TorchBuilder;
use quantviz_testkit::{GgufBuilder, OnnxBuilder, SafetensorsBuilder, safetensors};

/// The error of the first bytes of a file.
fn error_of(name: &str, bytes: &[u8], len: usize) -> (String, Option<u64>) {
    let error = refused(name, &bytes[..len]);
    assert_eq!(error.kind(), Malformed, "{error}");
    (error.message().to_owned(), error.offset())
}

fn assert_cut_short(name: &str, bytes: &[u8], len: usize, fact: &str) {
    let (message, _) = error_of(name, bytes, len);
    assert_eq!(message, cut_short(fact), "{name}, {len} of {} bytes", bytes.len());
}

fn safetensors() -> Vec<u8> {
    SafetensorsBuilder::new().tensor("w", "F32", [4], &[7; 16]).build()
}

#[test]
fn safetensors_files() {
    let bytes = safetensors();
    let header = bytes.len() - 16;
    assert_cut_short("m", &bytes, bytes.len() - 1, "its bytes 0..16 are not within the 15 bytes of data");
    let fact = format!("the header is said to have {} bytes, the file has only {}", header - 8, header - 1);
    assert_cut_short("m.safetensors", &bytes, header - 1, &fact);
    assert_cut_short("m.safetensors", &bytes, 7, "a header needs at least 8 bytes, the file has 7");
}

#[test]
fn a_header_that_no_program_writes_is_no_length() {
    let (message, offset) = error_of("m.safetensors", &safetensors::raw_claimed(1 << 40, "{}", b""), 10);
    assert!(message.ends_with("only 10: this is no safetensors file, or a damaged one"), "{message}");
    assert_eq!(offset, Some(0));
    let backwards = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#;
    let bytes = safetensors::raw(backwards, &[0; 4]);
    assert!(!error_of("m", &bytes, bytes.len()).0.contains("cut short"));
}

#[test]
fn onnx_files() {
    let weight = Storage::Raw(vec![7; 400]);
    let graph = Graph::new("g").initializer("w", data_type::FLOAT, [100], weight);
    let bytes = OnnxBuilder::new(graph).build();
    for len in (bytes.len() - 400..bytes.len()).step_by(50) {
        let (message, offset) = error_of("m.onnx", &bytes, len);
        assert!(message.starts_with("a field of ") && message.ends_with(&cut_short("")), "{message}");
        assert!(offset.is_some());
    }
    // The field of a message that is whole has no more bytes in a longer file.
    let inner_field = b"\x08\x07\x3a\x03\x0a\x7f\x08\x12\x01x";
    assert!(!error_of("m.onnx", inner_field, inner_field.len()).0.contains("cut short"));
}

#[test]
fn external_data() {
    let folder = Folder::new();
    let external = Storage::external("w.data", Some(0), Some(400));
    let graph = Graph::new("g").initializer("w", data_type::FLOAT, [100], external);
    let model = folder.put("m.onnx", OnnxBuilder::new(graph).build());
    folder.put("w.data", [7; 399]);
    let source = quantviz_formats::open(model).expect("the graph is whole");
    let message = &source.model().warnings[0].message;
    assert!(message.ends_with(&cut_short("its 400 bytes at 0 are beyond the end, byte 399")), "{message}");
}

#[test]
fn gguf_files() {
    let bytes = GgufBuilder::new().text("general.name", "m").tensor("w", 0, [64], &[7; 256]).build();
    let fact = "its 256 bytes from 0 on are not within the 255 of data";
    assert_cut_short("m.gguf", &bytes, bytes.len() - 1, fact);
    for len in 5..bytes.len() - 256 {
        let (message, _) = error_of("m.gguf", &bytes, len);
        assert!(message.ends_with(&cut_short("")), "{len}: {message}");
    }
    let no_count = GgufBuilder::new().claim_tensors(u64::MAX).build();
    assert!(!refused("m.gguf", no_count).message().contains("cut short"));
}

#[test]
fn torch_files() {
    let model = || TorchBuilder::new().tensor("w", "FloatStorage", &[4], &[7; 16]);
    let archive = model().archive().build();
    for len in [4, archive.len() / 2, archive.len() - 1] {
        let fact = "the archive has no directory: its end is missing";
        assert_cut_short("m.pt", &archive, len, fact);
        assert_eq!(error_of("m.pt", &archive, len).1, Some(len as u64));
    }
    let legacy = model().legacy();
    open("m.pt", &legacy);
    for len in 3..legacy.len() {
        let (message, _) = error_of("m.pt", &legacy, len);
        assert!(message.ends_with(&cut_short("")), "{len} of {}: {message}", legacy.len());
    }
}
