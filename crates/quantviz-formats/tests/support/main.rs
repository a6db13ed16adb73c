//! What can be read, measured: `docs/support.md` is written by this test.
//!
//! Each cell is a small file that is opened and read here. Which library it was compared with says
//! `fixtures/python/oracles.json`, which the test `agreement` renews; what was compared with none says why. With
//! `QUANTVIZ_RENEW` set, the page is written anew.
#![cfg(all(feature = "gguf", feature = "onnx", feature = "safetensors", feature = "torch"))]

mod cells;
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod gguf;
mod onnx;
mod page;
mod safetensors;
mod samples;
mod torch;
mod unchecked;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cells::Cell;
use samples::Outcome;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/support.md");
const ORACLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/python/oracles.json");

/// The libraries that agreed about each cell.
type Oracles = BTreeMap<String, BTreeSet<String>>;

fn oracles() -> Oracles {
    let text = fs::read_to_string(ORACLES).expect("the list is there");
    serde_json::from_str(&text).expect("the list is JSON")
}

fn outcomes() -> BTreeMap<Cell, Outcome> {
    let mut outcomes = torch::outcomes();
    for sample in [onnx::samples(), safetensors::samples(), gguf::samples()].into_iter().flatten() {
        let (cell, outcome) = sample.measure();
        let known = outcomes.entry(cell.clone()).or_insert(outcome);
        assert_eq!(*known, outcome, "{cell:?} has different outcomes");
    }
    outcomes
}

#[test]
fn the_page_says_what_is_measured() {
    let page = page::write(&outcomes(), &oracles());
    if std::env::var_os("QUANTVIZ_RENEW").is_some_and(|value| !value.is_empty()) {
        return fs::write(PAGE, page).expect("the page can be written");
    }
    let found = fs::read_to_string(PAGE).unwrap_or_default();
    let different = page.lines().zip(found.lines()).find(|(measured, found)| measured != found);
    let hint = "renew it with QUANTVIZ_RENEW=1";
    assert!(page == found, "{PAGE} is not what was measured; {hint}; the first difference: {different:?}");
}

#[test]
fn every_cell_names_its_oracle_or_why_it_has_none() {
    let oracles = oracles();
    let without_oracle: Vec<Cell> = outcomes()
        .into_iter()
        .filter(|(cell, outcome)| {
            *outcome != Outcome::Unsupported && oracles.get(&cell.key()).is_none_or(BTreeSet::is_empty)
        })
        .map(|(cell, _)| cell)
        .collect();
    let silent: Vec<String> =
        without_oracle.iter().filter(|cell| unchecked::reason(cell).is_none()).map(Cell::key).collect();
    assert!(silent.is_empty(), "neither an oracle nor a reason why not:\n{}", silent.join("\n"));
    for unchecked in unchecked::ALL {
        assert!(without_oracle.iter().any(|cell| unchecked.is_about(cell)), "{unchecked:?} is about nothing");
    }
}

#[test]
fn whatever_was_compared_is_on_the_page() {
    let outcomes: BTreeSet<String> = outcomes().keys().map(Cell::key).collect();
    let missing: Vec<String> = oracles().into_keys().filter(|key| !outcomes.contains(key)).collect();
    assert!(missing.is_empty(), "compared, and not measured here:\n{}", missing.join("\n"));
}
