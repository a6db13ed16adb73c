//! Sharded safetensors models that are wrong in one way each, and what is said of them.
#![cfg(feature = "safetensors")]

mod common;
mod samples;

use common::{Folder, Opened, assert_error};
use quantviz_core::ErrorKind::{Limit, Malformed, NotFound, Unsupported};
use quantviz_core::{Error, Warning, WarningKind};
use quantviz_formats::{Limits, open_with};
use quantviz_testkit::SafetensorsBuilder;

const INDEX: &str = "model.safetensors.index.json";
const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";

/// A model in two shards.
fn sharded() -> Folder {
    let folder = Folder::new();
    let (index, shards) = samples::sharded();
    folder.put(INDEX, index);
    for (name, bytes) in shards {
        folder.put(name, bytes);
    }
    folder
}

fn opened(folder: Folder) -> Opened {
    let source = folder.open(INDEX);
    Opened { folder, source }
}

/// The error of an index that says only this.
fn refused_map(map: &str) -> Error {
    let folder = sharded();
    folder.put(INDEX, format!(r#"{{"weight_map":{map}}}"#));
    folder.refused(INDEX)
}

#[test]
fn a_shard_that_is_missing_is_a_warning() {
    let folder = sharded();
    folder.remove(FIRST);
    let opened = opened(folder);
    let message = r#"the shard "model-00001-of-00002.safetensors" with 1 tensors is not there"#;
    assert_eq!(opened.model().warnings, [Warning::general(WarningKind::Missing, message)]);
    assert_eq!(opened.values("b.weight"), [1.0; 4]);
    assert_eq!(opened.model().parameter_named("a.weight"), None);
}

#[test]
fn no_shard_at_all() {
    let folder = sharded();
    folder.remove(FIRST);
    folder.remove(SECOND);
    let error = folder.refused(INDEX);
    assert_error(&error, NotFound, None, None, "no such file or folder");
    assert!(error.file().is_some_and(|file| file.ends_with(FIRST) || file.ends_with(SECOND)), "{error}");
}

#[test]
fn shards_outside_of_the_folder() {
    let folder = Folder::new();
    let escape =
        folder.put("escape.safetensors", SafetensorsBuilder::new().tensor("w", "I8", [1], &[1]).build());
    let absolute = escape.to_string_lossy().into_owned();
    for name in
        ["../escape.safetensors", "a/../../escape.safetensors", "..", ".", "", "a\\b", "a\0b", &absolute]
    {
        let index = serde_json::json!({ "weight_map": { "w": name } });
        folder.put(&format!("inner/{INDEX}"), index.to_string());
        let error = folder.refused(&format!("inner/{INDEX}"));
        let message = format!("the data file {name:?} is not inside the model's folder");
        assert_error(&error, Malformed, None, None, &message);
    }
}

#[test]
fn a_shard_in_a_folder_below_is_fine() {
    let folder = Folder::new();
    folder.put("parts/one.safetensors", SafetensorsBuilder::new().tensor("w", "I8", [1], &[7]).build());
    folder.put(INDEX, r#"{"weight_map":{"w":"./parts/one.safetensors"}}"#);
    let opened = opened(folder);
    assert_eq!((opened.values("w"), &opened.model().warnings[..]), (vec![7.0], &[][..]));
}

#[test]
fn a_tensor_in_two_shards() {
    let folder = sharded();
    folder.put(FIRST, SafetensorsBuilder::new().tensor("b.bias", "I8", [1], &[1]).build());
    let error = folder.refused(INDEX);
    assert_error(&error, Malformed, Some("b.bias"), None, "two shards have a tensor of this name");
    assert!(error.file().is_some_and(|file| file.ends_with(INDEX)), "{error}");
}

#[test]
fn a_tensor_that_its_shard_lacks_is_a_warning() {
    let folder = sharded();
    folder.put(FIRST, SafetensorsBuilder::new().tensor("other", "I8", [1], &[1]).build());
    let opened = opened(folder);
    let message = r#"the index says it is in "model-00001-of-00002.safetensors", which lacks it"#;
    assert_eq!(opened.model().warnings, [Warning::about("a.weight", WarningKind::Missing, message)]);
    assert_eq!(opened.values("other"), [1.0]);
}

#[test]
fn a_shard_that_is_damaged_is_named() {
    let folder = sharded();
    folder.put(SECOND, quantviz_testkit::safetensors::raw("{nonsense}", &[]));
    let error = folder.refused(INDEX);
    assert_eq!((error.kind(), error.offset()), (Malformed, Some(9)));
    assert!(error.file().is_some_and(|file| file.ends_with(SECOND)), "{error}");
}

#[test]
fn a_shard_that_is_a_folder() {
    let folder = sharded();
    folder.remove(SECOND);
    folder.put(&format!("{SECOND}/inside"), []);
    let error = folder.refused(INDEX);
    assert_error(&error, Unsupported, None, None, "this is a folder, not a model file");
    assert!(error.file().is_some_and(|file| file.ends_with(SECOND)), "{error}");
}

#[test]
fn an_index_that_is_no_index() {
    for (index, reason) in [
        ("{nonsense}", "key must be a string at line 1 column 2"),
        ("{}", "missing field `weight_map` at line 1 column 2"),
        ("7", "invalid type: integer `7`, expected an object with a weight_map at line 1 column 1"),
    ] {
        let folder = sharded();
        folder.put(INDEX, index);
        let message = format!("the index does not tell where tensors are: {reason}");
        assert_error(&folder.refused(INDEX), Malformed, None, None, &message);
    }
    for map in ["[]", "null", r#"{"w":1}"#, r#"{"w":null}"#] {
        assert_eq!(refused_map(map).kind(), Malformed, "{map}");
    }
}

#[test]
fn an_index_over_the_limit() {
    let folder = sharded();
    let mut limits = Limits::default();
    limits.header_bytes = 64;
    let error = open_with(folder.path().join(INDEX), &limits).err().expect("a longer index");
    assert_eq!(error.kind(), Limit);
    assert!(error.message().ends_with("bytes are more than the limit of 64"), "{error}");
}

#[test]
fn too_many_tensors_in_all_shards_together() {
    let folder = sharded();
    let mut limits = Limits::default();
    limits.tensors = 2;
    let error = open_with(folder.path().join(INDEX), &limits).err().expect("three tensors");
    assert_error(&error, Limit, None, None, "more than 2 tensors");
}
