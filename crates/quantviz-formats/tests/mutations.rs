//! Valid files, damaged in twenty thousand ways each format: reading them ends in values or in errors, never in a panic.
#![cfg(all(feature = "onnx", feature = "safetensors"))]

mod common;
mod samples;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{Folder, check_model, check_refusal, scan};
use quantviz_core::ParameterSource;
use quantviz_testkit::mutate;

#[test]
fn damaged_onnx_files_give_values_or_errors() {
    let folder = Folder::in_memory();
    folder.put("weights.bin", samples::external_bytes());
    survive(&folder, &samples::onnx(), "model.onnx", 20_000);
}

#[test]
fn damaged_safetensors_files_give_values_or_errors() {
    survive(&Folder::in_memory(), &samples::safetensors(), "model.safetensors", 20_000);
}

#[test]
fn damaged_indexes_of_shards_give_values_or_errors() {
    let folder = Folder::in_memory();
    let (index, shards) = samples::sharded();
    for (name, bytes) in shards {
        folder.put(name, bytes);
    }
    survive(&folder, &[index.into_bytes()], "model.safetensors.index.json", 5_000);
}

/// Mutates all of these files in turn, and checks that neither all nor none of the damaged ones can be opened.
fn survive(folder: &Folder, files: &[Vec<u8>], name: &str, mutations: u64) {
    let path = folder.path().join(name);
    let each = mutations / files.len() as u64;
    for (index, valid) in files.iter().enumerate() {
        fs::write(&path, valid).expect("the temporary folder is writable");
        assert_eq!(read(&path), Outcome { opened: true, complete: true }, "file {index} is valid");
        let outcomes: Vec<Outcome> = (0..each).map(|seed| survive_one(&path, index, valid, seed)).collect();
        let opened = outcomes.iter().filter(|outcome| outcome.opened).count() as u64;
        let complete = outcomes.iter().filter(|outcome| outcome.complete).count() as u64;
        let shares = format!("of {each} copies of file {index}, {opened} opened, {complete} completely");
        assert!(opened > each / 20 && opened < each - each / 5 && complete > each / 50, "{shares}");
    }
}

fn survive_one(path: &Path, index: usize, valid: &[u8], seed: u64) -> Outcome {
    fs::write(path, mutate(valid, seed)).expect("the temporary folder is writable");
    catch_unwind(AssertUnwindSafe(|| read(path)))
        .unwrap_or_else(|_| panic!("file {index}, damaged with seed {seed}, fails as said above"))
}

#[derive(Debug, PartialEq)]
struct Outcome {
    opened: bool,
    /// Every parameter could be measured.
    complete: bool,
}

fn read(path: &Path) -> Outcome {
    match quantviz_formats::open(path) {
        Ok(source) => {
            check_model(source.model());
            let complete = scan(&source).iter().all(|measured| measured.error.is_none());
            Outcome { opened: true, complete }
        }
        Err(error) => {
            check_refusal(&error, path);
            Outcome { opened: false, complete: false }
        }
    }
}
