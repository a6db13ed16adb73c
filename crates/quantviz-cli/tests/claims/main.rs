//! What more than weights can say: importance and recorded activations, against what numpy says of them.
//!
//! `fixtures/python/make_claims.py` made the files and the truth.

#[path = "../agrees/mod.rs"]
mod agrees;
mod axes;
mod clipped;
#[cfg(target_os = "linux")]
mod hostile;
mod importance;
mod judged;
mod recorded;
#[path = "../screen/mod.rs"]
mod screen;

use quantviz_cli::{Exit, run};
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/claims");

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn truth(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).expect("it is among the fixtures");
    serde_json::from_str(&text).expect("JSON")
}

/// What a command comes to, without the folder of the fixtures.
fn said(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(["quantviz"].iter().chain(arguments), &mut out, &mut err);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace(&format!("{FOLDER}/"), "");
    (exit, text(out), text(err))
}

/// The first variant of a comparison.
fn compared(arguments: &[&str]) -> Value {
    let (exit, out, err) = said(&[&["compare", "--json"], arguments].concat());
    assert_eq!((exit, &err[..]), (Exit::Done, ""));
    let mut json: Value = serde_json::from_str(&out).expect("JSON");
    json["variants"][0].take()
}

/// The one line that says why a command did not do it.
fn refused(arguments: &[&str]) -> String {
    let (exit, out, err) = said(arguments);
    assert_eq!((exit, &out[..], err.lines().count()), (Exit::Trouble, "", 1), "{arguments:?}: {err}");
    err
}
