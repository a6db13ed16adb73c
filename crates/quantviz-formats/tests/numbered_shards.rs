//! Models in several files without an index, or of formats other than safetensors.
#![cfg(all(feature = "gguf", feature = "safetensors", feature = "torch"))]

mod common;
mod samples;

use common::{Folder, Opened, assert_error};
use quantviz_core::ErrorKind::{Malformed, NotFound};
use quantviz_core::{Part, Warning, WarningKind};
use quantviz_formats::models_in;
use quantviz_testkit::gguf::{GgufBuilder, tensor_type, value_type};
use quantviz_testkit::pickle::TorchBuilder;

fn opened(folder: Folder, name: &str) -> Opened {
    let source = folder.open(name);
    Opened { folder, source }
}

fn names(opened: &Opened) -> Vec<&str> {
    opened.model().parameters.iter().map(|parameter| parameter.name.as_str()).collect()
}

fn missing(message: &str) -> [Warning; 1] {
    [Warning::general(WarningKind::Missing, message)]
}

/// File `number` of three: the metadata of a split, and tensors of a byte each.
fn part(number: u16, count: u16, tensors: &[&str]) -> Vec<u8> {
    let file = GgufBuilder::new()
        .value("split.no", value_type::U16, (number - 1).to_le_bytes())
        .value("split.count", value_type::U16, count.to_le_bytes())
        .value("split.tensors.count", value_type::I32, 4i32.to_le_bytes());
    let file = if number == 1 { file.text("general.name", "split") } else { file };
    let byte = |file: GgufBuilder, name: &&str| file.tensor(name, tensor_type::I8, [1], &[number as u8]);
    tensors.iter().fold(file, byte).build()
}

const FIRST: &str = "m-00001-of-00003.gguf";
const SECOND: &str = "m-00002-of-00003.gguf";
const THIRD: &str = "m-00003-of-00003.gguf";

fn split() -> Folder {
    let folder = Folder::new();
    folder.put(FIRST, part(1, 3, &["a", "b"]));
    folder.put(SECOND, part(2, 3, &["c"]));
    folder.put(THIRD, part(3, 3, &["d"]));
    folder
}

#[test]
fn a_split_gguf_is_one_model() {
    let folder = split();
    assert_eq!(models_in(folder.path()).expect("a folder"), [folder.path().join(FIRST)]);
    let bytes: u64 =
        [FIRST, SECOND, THIRD].iter().map(|it| folder.path().join(it).metadata().unwrap().len()).sum();
    let opened = opened(folder, FIRST);
    assert_eq!((names(&opened), &opened.model().warnings[..]), (vec!["a", "b", "c", "d"], &[][..]));
    assert_eq!((opened.values("b"), opened.values("d")), (vec![1.0], vec![3.0]));
    assert_eq!(opened.model().metadata["general.name"], "split");
    assert_eq!(opened.model().file_bytes, bytes);
    quantviz_testkit::check_sync_source(&*opened.source);
}

#[test]
fn one_file_of_a_split_can_be_opened_and_says_so() {
    let opened = opened(split(), SECOND);
    assert_eq!(names(&opened), ["c"]);
    let message = r#"this is file 2 of 3 of a model: "m-00001-of-00003.gguf" stands for all"#;
    assert_eq!(opened.model().warnings, missing(message));
    let Opened { folder, .. } = opened;
    folder.remove(FIRST);
    assert_eq!(models_in(folder.path()).expect("a folder"), [SECOND, THIRD].map(|it| folder.path().join(it)));
    let alone = Opened { source: folder.open(THIRD), folder };
    let message = r#"this is file 3 of 3 of a model: "m-00001-of-00003.gguf" is not there"#;
    assert_eq!(alone.model().warnings, missing(message));
}

#[test]
fn missing_files_of_a_split_are_named() {
    let folder = split();
    folder.remove(THIRD);
    let one = opened(folder, FIRST);
    assert_eq!(names(&one), ["a", "b", "c"]);
    let message = r#"of the model's 3 files, "m-00003-of-00003.gguf" cannot be found"#;
    assert_eq!(one.model().warnings, missing(message));
    one.folder.remove(SECOND);
    let two = opened(one.folder, FIRST);
    let message = r#"of the model's 3 files, "m-00002-of-00003.gguf" and 1 more cannot be found"#;
    assert_eq!(two.model().warnings, missing(message));
}

#[test]
fn files_of_a_split_that_contradict_each_other() {
    for (second, message, tensor) in [
        (part(3, 3, &["c"]), "by its name it is file 2 of 3 of a model, by its metadata file 3 of 3", None),
        (part(2, 4, &["c"]), "by its name it is file 2 of 3 of a model, by its metadata file 2 of 4", None),
        (
            GgufBuilder::new().tensor("c", tensor_type::I8, [1], &[1]).build(),
            "by its name it is file 2 of 3 of a model, by its metadata file ? of ?",
            None,
        ),
        (part(2, 3, &["b"]), "two shards have a tensor of this name", Some("b")),
        (part(2, 3, &["c", "e"]), "its files have 5 tensors together, not 4", None),
    ] {
        let folder = split();
        folder.put(SECOND, second);
        let error = folder.refused(FIRST);
        assert_error(&error, Malformed, tensor, None, message);
    }
}

#[test]
fn a_split_under_another_name_says_that_there_is_more() {
    let folder = Folder::new();
    folder.put("renamed.gguf", part(1, 3, &["a"]));
    let opened = opened(folder, "renamed.gguf");
    let message = "this is one of 3 files of a model; the tensors of the others are not shown";
    assert_eq!(opened.model().warnings, missing(message));
}

#[test]
fn safetensors_without_an_index() {
    let folder = Folder::new();
    let (index, shards) = samples::sharded();
    let [first, second] = shards.map(|(name, bytes)| folder.put(name, bytes));
    assert_eq!(models_in(folder.path()).expect("a folder"), [first]);
    let name = "model-00001-of-00002.safetensors";
    let whole = opened(folder, name);
    assert_eq!((names(&whole), whole.values("b.bias")), (vec!["a.weight", "b.weight", "b.bias"], vec![9.0]));
    assert_eq!(whole.model().warnings, []);
    // With an index, each file is only itself.
    whole.folder.put("model.safetensors.index.json", index);
    let part = opened(whole.folder, name);
    assert_eq!(names(&part), ["a.weight"]);
    let message = r#"this is file 1 of 2 of a model: "model.safetensors.index.json" stands for all"#;
    assert_eq!(part.model().warnings, missing(message));
    assert!(second.exists());
}

#[test]
fn an_index_of_a_variant() {
    let folder = Folder::new();
    let (index, shards) = samples::sharded();
    let index = index.replace("-of-00002.", "-of-00002.fp16.");
    for (name, bytes) in shards {
        folder.put(&name.replace("-of-00002.", "-of-00002.fp16."), bytes);
    }
    let path = folder.put("model.safetensors.index.fp16.json", index);
    assert_eq!(models_in(folder.path()).expect("a folder"), [path]);
    assert_eq!(names(&opened(folder, "model.safetensors.index.fp16.json")).len(), 3);
}

const TORCH_INDEX: &str = "pytorch_model.bin.index.json";

fn sharded_torch() -> Folder {
    let folder = Folder::new();
    let shard = |name: &str, value: u8| {
        TorchBuilder::new().tensor(name, "ByteStorage", &[2], &[value; 2]).tensor(
            &format!("{name}.again"),
            "ByteStorage",
            &[1],
            &[value],
        )
    };
    folder.put("pytorch_model-00001-of-00002.bin", shard("a", 1).archive().build());
    folder.put("pytorch_model-00002-of-00002.bin", shard("b", 2).legacy());
    let [first, second] = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    let index = serde_json::json!({
        "metadata": { "total_size": 6 },
        "weight_map": { "a": first, "a.again": first, "b": second, "b.again": second, "c": second },
    });
    folder.put(TORCH_INDEX, index.to_string());
    folder
}

#[test]
fn shards_of_torch_are_one_model() {
    let folder = sharded_torch();
    assert_eq!(models_in(folder.path()).expect("a folder"), [folder.path().join(TORCH_INDEX)]);
    let opened = opened(folder, TORCH_INDEX);
    assert_eq!(names(&opened), ["a", "a.again", "b", "b.again"]);
    assert_eq!((opened.values("a"), opened.values("b.again")), (vec![1.0; 2], vec![2.0]));
    assert_eq!(opened.part("b", Part::Stored), [2.0; 2]);
    assert_eq!(opened.model().metadata["total_size"], "6");
    let message = r#"the index says it is in "pytorch_model-00002-of-00002.bin", which lacks it"#;
    assert_eq!(opened.model().warnings, [Warning::about("c", WarningKind::Missing, message)]);
    assert!(
        opened.model().parameters.iter().all(|it| it.shares.is_none()),
        "equal places of different files"
    );
    quantviz_testkit::check_sync_source(&*opened.source);
}

#[test]
fn shards_of_torch_that_are_missing() {
    let folder = sharded_torch();
    folder.remove("pytorch_model-00002-of-00002.bin");
    let one = opened(folder, TORCH_INDEX);
    let message = r#"the shard "pytorch_model-00002-of-00002.bin" with 3 tensors is not there"#;
    assert_eq!((names(&one), &one.model().warnings[..]), (vec!["a", "a.again"], &missing(message)[..]));
    one.folder.remove("pytorch_model-00001-of-00002.bin");
    assert_eq!(one.folder.refused(TORCH_INDEX).kind(), NotFound);
}

#[test]
fn shards_of_torch_with_a_tensor_twice() {
    let folder = sharded_torch();
    let copy = TorchBuilder::new().tensor("a", "ByteStorage", &[1], &[7]).archive().build();
    folder.put("pytorch_model-00002-of-00002.bin", copy);
    assert_error(
        &folder.refused(TORCH_INDEX),
        Malformed,
        Some("a"),
        None,
        "two shards have a tensor of this name",
    );
}

#[test]
fn an_index_without_files() {
    let folder = Folder::new();
    folder.put(TORCH_INDEX, r#"{"weight_map": {}}"#);
    assert_error(&folder.refused(TORCH_INDEX), Malformed, None, None, "the index lists no file");
}
