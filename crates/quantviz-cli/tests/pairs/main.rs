//! What `quantviz compare --json` says of pairs of models, against what numpy computed by the definitions.
//!
//! `fixtures/python/make_pairs.py OUT_DIR` makes the files with the quantizers of the formats' own libraries and notes
//! what every tensor was made of; the variable `QUANTVIZ_PAIRS` says where that is. Pairs that need torch are kept:
//! `make_torch_pairs.py` made them.

mod agreement;
#[path = "../agrees/mod.rs"]
mod agrees;
mod truth;

use std::fs;
use std::path::{Path, PathBuf};

use agreement::check_case;

/// Pairs of torch's, which is too large for the automatic part of the tests.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/pairs");

#[test]
fn agrees_where_torch_is_needed() {
    check(Path::new(KEPT), 7);
}

#[test]
#[ignore = "needs files made by fixtures/python/make_pairs.py"]
fn agrees_with_the_definitions() {
    let folder = std::env::var_os("QUANTVIZ_PAIRS").expect("QUANTVIZ_PAIRS names a folder");
    check(Path::new(&folder), 50);
}

fn check(folder: &Path, least: usize) {
    let cases = case_folders(folder);
    assert!(cases.len() >= least, "{} cases", cases.len());
    let mismatches: Vec<String> = cases.iter().flat_map(|case| check_case(case)).collect();
    assert!(mismatches.is_empty(), "{} mismatches:\n{}", mismatches.len(), mismatches.join("\n"));
}

fn case_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of the cases");
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}
