//! Writes what fuzzing begins with: the hostile files of the testkit, sound files, and the small ones among the fixtures.
//! It is an example because cargo-fuzz takes every binary here for a target.

use std::fs;
use std::io;
use std::path::Path;

use quantviz_testkit::gguf::tensor_type as of;
use quantviz_testkit::onnx::{Graph, Node, Storage, data_type};
use quantviz_testkit::pickle::{Archive, Entry, TorchBuilder};
use quantviz_testkit::{GgufBuilder, OnnxBuilder, SafetensorsBuilder, hostile};

/// Beyond this size, fuzzing makes no progress.
const LARGEST: usize = 1 << 14;

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = fuzz.join("corpus");
    let tables = [hostile::onnx(), hostile::safetensors(), hostile::gguf(), hostile::torch()];
    for (index, file) in tables.iter().flatten().enumerate() {
        if let Some(target) = target_of(file.file).filter(|_| file.outcome != hostile::Outcome::Bounded) {
            write(&corpus.join(target), &format!("hostile-{index}"), file.bytes())?;
        }
    }
    for (target, bytes) in
        [("onnx", onnx()), ("safetensors", safetensors()), ("gguf", gguf()), ("torch", torch())]
    {
        write(&corpus.join(target), "sound", bytes)?;
    }
    for (name, bytes) in arrays() {
        write(&corpus.join("npy"), name, bytes)?;
    }
    write(&corpus.join("npz"), "sound", archive())?;
    let index = br#"{"metadata":{"total_size":4},"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}"#;
    write(&corpus.join("safetensors_index"), "sound", index.to_vec())?;
    add_folder(&fuzz.join("../fixtures"), &corpus)
}

fn onnx() -> Vec<u8> {
    let graph = Graph::new("g")
        .input("x", data_type::FLOAT, [1, 2])
        .initializer("w", data_type::INT8, [2, 2], Storage::Raw(vec![1, 2, 3, 4]))
        .initializer("s", data_type::FLOAT, [2], Storage::floats(&[0.5, 0.25]))
        .initializer("z", data_type::INT8, [2], Storage::int32s(&[0, 1]))
        .initializer("packed", data_type::UINT8, [4, 1, 16], Storage::Raw(vec![0x5a; 64]))
        .initializer("scales", data_type::FLOAT, [4], Storage::floats(&[1.0; 4]))
        .node(Node::new("DequantizeLinear").inputs(["w", "s", "z"]).outputs(["real"]))
        .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]))
        .node(
            Node::new("MatMulNBits").domain("com.microsoft").inputs(["y", "packed", "scales"]).outputs(["v"]),
        );
    OnnxBuilder::new(graph).metadata("key", "value").build()
}

fn safetensors() -> Vec<u8> {
    SafetensorsBuilder::new()
        .metadata("format", "pt")
        .tensor("gptq.qweight", "I32", [1, 2], &[0x21; 8])
        .tensor("gptq.qzeros", "I32", [2, 1], &[0x77; 8])
        .tensor("gptq.scales", "F16", [2, 2], &[0x3c; 8])
        .tensor("awq.qweight", "I32", [2, 1], &[1; 8])
        .tensor("awq.qzeros", "I32", [1, 1], &[1; 4])
        .tensor("awq.scales", "F16", [1, 8], &[0x3c; 16])
        .tensor("fp8.weight", "F8_E4M3", [2, 2], &[0x38; 4])
        .tensor("fp8.weight_scale", "F32", [1], &[0, 0, 0x80, 0x3f])
        .tensor("mlx.weight", "U32", [1, 8], &[0; 32])
        .tensor("mlx.scales", "F32", [1, 1], &[0, 0, 0x80, 0x3f])
        .tensor("mlx.biases", "F32", [1, 1], &[0; 4])
        .build()
}

fn gguf() -> Vec<u8> {
    let types = [(of::F32, 4), (of::Q4_0, 18), (of::Q5_1, 24), (of::Q8_0, 34), (of::MXFP4, 17)];
    let file = GgufBuilder::new().text("general.name", "seed").tensor("k", of::Q4_K, [256], &[0x3c; 144]);
    types
        .iter()
        .fold(file, |file, &(kind, bytes)| {
            let elements = if kind == of::F32 { 1 } else { 32 };
            file.tensor(&format!("w{kind}"), kind, [elements], &vec![0x3c; bytes])
        })
        .build()
}

fn torch() -> Vec<u8> {
    TorchBuilder::new()
        .tensor("a.weight", "FloatStorage", &[2, 2], &[1; 16])
        .tensor("a.bias", "HalfStorage", &[2], &[1; 4])
        .legacy()
}

/// An array as numpy writes it.
fn array(header: &str, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(header.len()).unwrap_or_default().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
}

/// Arrays of every kind of header.
fn arrays() -> [(&'static str, Vec<u8>); 5] {
    let long = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }\n";
    let version_2 = [b"\x93NUMPY\x02\x00", &[long.len() as u8, 0, 0, 0][..], long, &[0x3f; 16]].concat();
    [
        ("rows", array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", &[0x3f; 24])),
        ("columns", array("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }", &[1; 12])),
        ("scalar", array("{'descr': '<f2', 'fortran_order': False, 'shape': (), }", &[0x3c; 2])),
        ("objects", array("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0x80; 8])),
        ("version 2", version_2),
    ]
}

/// Arrays as they are, deflated, and deflated in the other order.
fn archive() -> Vec<u8> {
    let [(_, rows), (_, columns), ..] = arrays();
    Archive::new()
        .entry("rows.npy", &rows)
        .with(Entry::deflated("deflated.npy", &rows))
        .with(Entry::deflated("columns.npy", &columns))
        .build()
}

fn add_folder(folder: &Path, corpus: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            add_folder(&path, corpus)?;
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(target) = target_of(&name) {
            write(&corpus.join(target), &name, fs::read(&path)?)?;
        }
        if ["imatrix.", "network_importance."].iter().any(|it| name.starts_with(it)) {
            write(&corpus.join("imatrix"), &name, fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// The target that reads files of this name.
fn target_of(name: &str) -> Option<&'static str> {
    let ends = [
        (".onnx", "onnx"),
        (".safetensors", "safetensors"),
        (".index.json", "safetensors_index"),
        (".gguf", "gguf"),
        (".pt", "torch"),
        (".pt2", "torch"),
        (".ckpt", "torch"),
        (".pkl", "torch"),
        (".npy", "npy"),
        (".npz", "npz"),
    ];
    ends.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, target)| target)
}

fn write(folder: &Path, name: &str, bytes: Vec<u8>) -> io::Result<()> {
    if bytes.len() > LARGEST {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name), bytes)
}
