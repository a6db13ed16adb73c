//! What quantviz reads from model files, against what the formats' own Python libraries read from them.
//!
//! `fixtures/python/make_agreement.py OUT_DIR` makes the files and notes what the libraries read; the variable
//! `QUANTVIZ_AGREEMENT` says where that is. Which library agreed about what is listed in `fixtures/python/oracles.json`,
//! which the support matrix is made of; with `QUANTVIZ_RENEW` set, the list is written anew.
#![cfg(all(feature = "gguf", feature = "onnx", feature = "safetensors", feature = "torch"))]

#[path = "../support/cells.rs"]
mod cells;
mod comparison;
mod notes;
mod preview;
mod seen;
mod torch;

use std::fs;
use std::path::{Path, PathBuf};

use comparison::check_case;
use seen::Seen;

/// Cases of libraries that are too large for the automatic part of the tests, made by `make_safetensors.py`.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/safetensors");

#[test]
fn agrees_with_libraries_that_need_torch() {
    let cases = case_folders(Path::new(KEPT));
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let mut seen = Seen::default();
    let mut mismatches: Vec<String> = cases.iter().flat_map(|case| check_case(case, &mut seen)).collect();
    mismatches.extend(torch::check_fixtures(&mut seen));
    assert!(mismatches.is_empty(), "{} mismatches:\n{}", mismatches.len(), mismatches.join("\n"));
}

#[test]
#[ignore = "needs files made by fixtures/python/make_agreement.py"]
fn agrees_with_the_formats_own_readers() {
    let folder = std::env::var_os("QUANTVIZ_AGREEMENT").expect("QUANTVIZ_AGREEMENT names a folder");
    let mut seen = Seen::default();
    let mut mismatches = Vec::new();
    for case in [case_folders(Path::new(&folder)), case_folders(Path::new(KEPT))].concat() {
        mismatches.extend(check_case(&case, &mut seen));
    }
    mismatches.extend(torch::check_fixtures(&mut seen));
    let (of_preview, codes) = preview::check_cases(Path::new(&folder));
    assert!(codes > 2_000_000 || !of_preview.is_empty(), "only {codes} codes of previews");
    mismatches.extend(of_preview);
    mismatches.extend(seen.gaps());
    if mismatches.is_empty() {
        mismatches.extend(seen.check_list());
    }
    assert!(mismatches.is_empty(), "{} mismatches:\n{}", mismatches.len(), mismatches.join("\n"));
}

fn case_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("QUANTVIZ_AGREEMENT names a folder");
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}
