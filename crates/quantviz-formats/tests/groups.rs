//! Which files of a folder are variants of one model, and which of them is the reference.
#![cfg(all(feature = "onnx", feature = "safetensors"))]

mod common;

use std::path::PathBuf;

use common::Folder;
use proptest::prelude::*;
use quantviz_formats::{ModelGroup, group_models, model_groups};
use quantviz_testkit::onnx::Graph;
use quantviz_testkit::{OnnxBuilder, SafetensorsBuilder};

/// A group in one line: `stem: file=label file`, the reference marked by a star.
fn line(group: &ModelGroup) -> String {
    let variants = group.variants.iter().map(|variant| {
        let star = if group.reference.as_ref() == Some(&variant.path) { "*" } else { "" };
        let label = variant.label.as_ref().map(|label| format!("={label}")).unwrap_or_default();
        format!(" {star}{}{label}", variant.path.display())
    });
    format!("{}:{}", group.stem, variants.collect::<String>())
}

fn lines(paths: &[&str]) -> Vec<String> {
    group_models(paths.iter().map(PathBuf::from)).iter().map(line).collect()
}

#[test]
fn variants_of_one_model() {
    assert_eq!(
        lines(&["resnet8_fp32.onnx", "resnet8_int8.onnx", "resnet8_uint8.onnx", "resnet8.pt"]),
        ["resnet8: *resnet8_fp32.onnx=fp32 resnet8.pt resnet8_int8.onnx=int8 resnet8_uint8.onnx=uint8"]
    );
    assert_eq!(
        lines(&["b.onnx", "a_int8.onnx", "a.onnx", "a_int8_perchannel.onnx"]),
        ["a: *a.onnx a_int8.onnx=int8 a_int8_perchannel.onnx=int8 per-channel", "b: *b.onnx"]
    );
}

#[test]
fn exports_belong_to_the_checkpoint_beside_their_folder() {
    assert_eq!(
        lines(&["gpt/model.safetensors", "gpt/onnx/model_q4f16.onnx", "gpt/onnx/model_quantized.onnx"]),
        [
            "model: *gpt/model.safetensors gpt/onnx/model_q4f16.onnx=q4f16 gpt/onnx/model_quantized.onnx=quantized"
        ]
    );
    // Tensors of ONNX files have the same names in each other, not in the checkpoint.
    assert_eq!(
        lines(&["model.safetensors", "onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_int8.onnx"]),
        ["model: *onnx/model.onnx model.safetensors onnx/model_fp16.onnx=fp16 onnx/model_int8.onnx=int8"]
    );
    assert_eq!(lines(&["a/model.onnx", "b/model_int8.onnx"]).len(), 2);
}

#[test]
fn halves_are_a_reference_where_there_is_nothing_better() {
    assert_eq!(
        lines(&["L-3.Q4_K_M.gguf", "L-3-F16.gguf", "L-3-BF16.gguf", "l-3-IQ4_XS.gguf"]),
        ["L-3: *L-3-BF16.gguf=bf16 L-3-F16.gguf=fp16 L-3.Q4_K_M.gguf=Q4_K_M l-3-IQ4_XS.gguf=IQ4_XS"]
    );
    assert_eq!(lines(&["L.Q4_K_M.gguf", "L.Q8_0.gguf"]), ["L: L.Q4_K_M.gguf=Q4_K_M L.Q8_0.gguf=Q8_0"]);
}

#[test]
fn names_of_several_files_are_those_of_one() {
    assert_eq!(
        lines(&[
            "m.safetensors.index.json",
            "m.safetensors.index.fp16.json",
            "m.bin.index.json",
            "m-Q4_K_M-00001-of-00003.gguf",
            "m-00001-of-00002.bf16.safetensors",
        ]),
        ["m: *m.safetensors.index.json m-00001-of-00002.bf16.safetensors=bf16 \
          m-Q4_K_M-00001-of-00003.gguf=Q4_K_M m.bin.index.json m.safetensors.index.fp16.json=fp16"],
        "the index of safetensors before that of torch: two others are safetensors"
    );
}

#[test]
fn names_without_extensions_and_without_stems() {
    assert_eq!(
        lines(&["model.fp16", "model", "model.quant.onnx", "int8.onnx", ".onnx"]),
        [".onnx: *.onnx", "int8: *int8.onnx", "model: *model model.fp16=fp16 model.quant.onnx=quantized"]
    );
}

#[test]
fn the_groups_of_a_folder() {
    let folder = Folder::new();
    for name in ["onnx/net_int8.onnx", "onnx/net.onnx", "other.onnx"] {
        folder.put(name, OnnxBuilder::new(Graph::new("g")).build());
    }
    folder.put("net.safetensors", SafetensorsBuilder::new().build());
    let groups = model_groups(folder.path()).expect("a readable folder");
    let paths = |group: &ModelGroup| -> Vec<String> {
        let inside = group.variants.iter().map(|it| it.path.strip_prefix(folder.path()).expect("inside"));
        inside.map(|path| path.display().to_string()).collect()
    };
    assert_eq!(groups.iter().map(|it| it.stem.as_str()).collect::<Vec<_>>(), ["net", "other"]);
    assert_eq!(paths(&groups[0]), ["onnx/net.onnx", "net.safetensors", "onnx/net_int8.onnx"]);
    assert_eq!(paths(&groups[1]), ["other.onnx"]);
}

fn path() -> impl Strategy<Value = PathBuf> {
    let endings =
        ["", "_int8", "-fp32", ".FP16", "_bf16", "-Q4_K_M", "_quantized_perchannel", "-00001-of-00002"];
    (
        prop::sample::select(vec!["", "m/", "m/onnx/", "onnx/"]),
        prop::sample::select(vec!["a", "A", "model", "b-1"]),
        prop::sample::select(endings.to_vec()),
        prop::sample::select(vec![".onnx", ".gguf", ".safetensors", ""]),
    )
        .prop_map(|(folder, stem, ending, extension)| format!("{folder}{stem}{ending}{extension}").into())
}

proptest! {
    #[test]
    fn the_order_of_files_does_not_matter(paths in prop::collection::vec(path(), 0..12), seed: u64) {
        let mut other = paths.clone();
        if !other.is_empty() {
            let by = seed as usize % other.len();
            other.rotate_left(by);
        }
        other.reverse();
        prop_assert_eq!(group_models(paths), group_models(other));
    }

    #[test]
    fn every_file_is_in_one_group(paths in prop::collection::btree_set(path(), 0..12)) {
        let groups = group_models(paths.clone());
        let mut found: Vec<&PathBuf> = groups.iter().flat_map(|it| &it.variants).map(|it| &it.path).collect();
        found.sort();
        prop_assert_eq!(found, paths.iter().collect::<Vec<_>>());
        for group in &groups {
            prop_assert!(!group.stem.is_empty() && !group.variants.is_empty());
            if let Some(reference) = &group.reference {
                prop_assert_eq!(&group.variants[0].path, reference);
            }
        }
    }
}
