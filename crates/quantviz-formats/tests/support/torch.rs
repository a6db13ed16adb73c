//! PyTorch: the files that torch wrote for the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::ParameterSource;

use crate::cells::Cell;
use crate::samples::{Outcome, measure};

/// Tensors that are named, and not read, and what they are called.
const UNREAD: &[(&str, &str)] = &[
    ("big_endian", "numpy arrays in big-endian order"),
    ("meta", "tensors on the device `meta`, where no values are"),
];

/// What becomes of every sort of tensor in them: the worst, where there are several.
pub(crate) fn outcomes() -> BTreeMap<Cell, Outcome> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/torch");
    let files = fs::read_dir(folder).expect("the fixtures are there");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension != "json"));
    let mut outcomes = BTreeMap::new();
    for path in files {
        let source = quantviz_formats::open(&path).unwrap_or_else(|error| panic!("{error}"));
        for id in source.model().parameter_ids() {
            let (mut cell, outcome) = measure(&source, id);
            let tensor = &source.model().parameter(id).name;
            if let Some((_, title)) = UNREAD.iter().find(|(known, _)| known == tensor) {
                cell.encoding = (*title).to_owned();
            }
            let worst = outcomes.entry(cell).or_insert(outcome);
            *worst = outcome.max(*worst);
        }
    }
    outcomes
}
