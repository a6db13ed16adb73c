//! What people see of the ways in which tensors are quantized: per axis, packed into words, with scales of two levels.

mod screen;

use quantviz_testkit::{GgufBuilder, SafetensorsBuilder, gguf::tensor_type};
use screen::screen;

/// What `inspect` and `layers` show at 80 columns of a file with these bytes.
fn shown(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), bytes).expect("written");
    let path = folder.path().join(name).to_string_lossy().into_owned();
    let show = |command: &str| screen(80, &[command, &path]).replace(&path, name);
    let text = format!("{}\n\n{}", show("inspect"), show("layers"));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    text
}

fn bytes_of<const N: usize>(values: &[[u8; N]]) -> Vec<u8> {
    values.concat()
}

#[test]
fn per_axis() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/torch/quantized_script.pt");
    insta::assert_snapshot!(shown(
        "quantized_script.pt",
        &std::fs::read(path).expect("the fixture is there")
    ));
}

/// 16×8 codes of four bits in words, groups of eight rows, and zero-points that are all the middle code.
fn gptq() -> Vec<u8> {
    let words: Vec<[u8; 4]> =
        (0..16u32).map(|index| 0x8765_4321u32.rotate_left(index * 4).to_le_bytes()).collect();
    let scales: Vec<[u8; 2]> =
        (0..16).map(|index| quantviz::f16::from_f32(0.01 * (index + 1) as f32).to_le_bytes()).collect();
    SafetensorsBuilder::new()
        .tensor("model.layers.0.mlp.down_proj.qweight", "I32", [2, 8], &bytes_of(&words))
        .tensor("model.layers.0.mlp.down_proj.qzeros", "I32", [2, 1], &[0x77; 8])
        .tensor("model.layers.0.mlp.down_proj.scales", "F16", [2, 8], &bytes_of(&scales))
        .build()
}

#[test]
fn packed() {
    insta::assert_snapshot!(shown("gptq.safetensors", &gptq()));
}

/// Field by field: a changed or removed one is a new version of the schema.
#[test]
fn whole_documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gptq.safetensors").to_string_lossy().into_owned();
    std::fs::write(&path, gptq()).expect("written");
    let int8 = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8/resnet8_int8.onnx");
    let document = |path: &str, options: &[&str]| {
        let text = screen(80, &[&["inspect", "--json", path], options].concat());
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        serde_json::to_string_pretty(&document).expect("JSON").replace(path, "the path")
    };
    insta::assert_snapshot!("packed_json", document(&path, &["--bins", "3"]));
    insta::assert_snapshot!("int8_json", document(int8, &["--param", "fc.weight_quantized"]));
    let read =
        |text: &str| serde_json::from_str::<quantviz::view::Inspection>(text).map(|it| it.parameters.len());
    assert_eq!(read(&document(&path, &[])).ok(), Some(3));
}

/// A row of one Q4_K block: scales of 10 to 42, each times 0.01, and what is subtracted.
#[test]
fn two_levels() {
    let f16 = |value: f32| quantviz::f16::from_f32(value).to_le_bytes();
    let (low, high) = ([10u8, 12, 14, 16], [18u8, 26, 34, 42]);
    let (low_min, high_min) = ([1u8, 2, 3, 4], [5u8, 6, 7, 8]);
    let mut block = [f16(0.01), f16(0.5)].concat();
    block.extend((0..4).map(|at| low[at] | (high[at] >> 4) << 6));
    block.extend((0..4).map(|at| low_min[at] | (high_min[at] >> 4) << 6));
    block.extend((0..4).map(|at| (high[at] & 15) | (high_min[at] & 15) << 4));
    block.extend([0x5a; 128]);
    let norm: Vec<u8> = [1.0f32, 0.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = GgufBuilder::new()
        .text("general.architecture", "llama")
        .tensor("blk.0.ffn_down.weight", tensor_type::Q4_K, [1, 256], &block)
        .tensor("blk.0.ffn_norm.weight", tensor_type::F32, [2], &norm);
    insta::assert_snapshot!(shown("q4_k.gguf", &file.build()));
}
