//! Everything that the JSON says of a pair, beside the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quantviz_cli::{Exit, run};
use serde_json::{Value, json};

use crate::agrees::agrees;
use crate::truth::{PairTruth, Truth};

/// What differs between the truth about a case and what the command says.
pub(crate) fn check_case(folder: &Path) -> Vec<String> {
    let case = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(folder.join("truth.json")).expect("every case has a truth");
    let truth: Truth = serde_json::from_str(&text).expect("the truth has the form that the script writes");
    let importance = truth.importance.as_ref().map(|name| folder.join(name));
    let said = match compare(&folder.join(&truth.reference), &folder.join(&truth.quantized), importance) {
        Ok(said) => said,
        Err(message) => return vec![format!("{case}: {message}")],
    };
    let variant = &said["variants"][0];
    let pairs: BTreeMap<&str, &Value> =
        list(&variant["pairs"]).map(|pair| (text_of(&pair["quantized"]), pair)).collect();
    let mut mismatches = unmatched(&truth, variant);
    let expected: BTreeSet<&str> = truth.pairs.iter().map(|pair| &pair.quantized[..]).collect();
    let more = pairs.iter().filter(|(name, _)| !expected.contains(*name));
    mismatches.extend(more.map(|(name, pair)| format!("{name} has a reference, {}", pair["reference"])));
    for pair in &truth.pairs {
        match pairs.get(&pair.quantized[..]) {
            None => mismatches.push(format!("{} has no reference", pair.quantized)),
            Some(said) if truth.proposed && said["matched_by"] == "value" => {
                mismatches.push(format!("{}: neither graph nor name proposed it", pair.quantized));
            }
            Some(said) => mismatches.extend(check_pair(pair, said)),
        }
    }
    mismatches.extend(check(&folder.join(&truth.reference), &folder.join(&truth.quantized), &case));
    mismatches.iter().map(|mismatch| format!("{case}: {mismatch}")).collect()
}

/// Two bits clip by design: their step is larger than what lies beyond them.
const CLIPPING: [&str; 1] = ["onnx-transformer-nbits-2"];

/// What quantizers make of a sound model may ship.
fn check(reference: &Path, quantized: &Path, case: &str) -> Option<String> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let paths = [reference, quantized].map(|path| path.to_string_lossy().into_owned());
    let exit = run(["quantviz", "check", &paths[0], &paths[1]], &mut out, &mut err);
    let is_expected = match CLIPPING.contains(&case) {
        true => exit == Exit::FallsShort && String::from_utf8_lossy(&out).contains("max-clip-noise"),
        false => exit == Exit::Done,
    };
    (!is_expected).then(|| String::from_utf8_lossy(&[out, err].concat()).into_owned())
}

fn compare(reference: &Path, quantized: &Path, importance: Option<PathBuf>) -> Result<Value, String> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let paths = [reference, quantized].map(|path| path.to_string_lossy().into_owned());
    let importance = importance.map(|path| path.to_string_lossy().into_owned());
    let importance = importance.iter().flat_map(|path| ["--importance", path]);
    let arguments = ["quantviz", "compare", "--json", "--channels", "all", &paths[0], &paths[1]];
    let arguments = arguments.into_iter().chain(importance);
    match run(arguments, &mut out, &mut err) {
        Exit::Done => Ok(serde_json::from_slice(&out).expect("JSON")),
        _ => Err(String::from_utf8_lossy(&err).into_owned()),
    }
}

/// Nothing that has a counterpart is without one, and what has none is told.
fn unmatched(truth: &Truth, variant: &Value) -> Vec<String> {
    let used: BTreeSet<&str> = truth
        .pairs
        .iter()
        .flat_map(|pair| pair.merged.iter().chain([&pair.reference]))
        .map(|it| &it[..])
        .collect();
    let names = |side: &str| -> BTreeSet<&str> {
        list(&variant["unmatched"][side]).map(|it| text_of(&it["parameter"])).collect()
    };
    let (quantized, reference) = (names("quantized"), names("reference"));
    let wrong = quantized.iter().chain(reference.intersection(&used));
    let missing = truth.left.iter().filter(|name| !reference.contains(&name[..]));
    wrong
        .map(|name| format!("{name} is unmatched"))
        .chain(missing.map(|name| format!("{name} is not told as unmatched")))
        .collect()
}

fn check_pair(truth: &PairTruth, said: &Value) -> Vec<String> {
    let name = &truth.quantized;
    let alignment = &said["alignment"];
    let mut facts = vec![
        ("reference", json!(truth.reference), &said["reference"]),
        ("transposed", json!(truth.transposed), &alignment["transposed"]),
        ("gain", json!(truth.gain), &alignment["gain"]),
        ("split", truth.split.clone().into(), &alignment["split"]),
        ("permuted", json!(truth.permuted), &alignment["permuted"]),
        ("channel_axis", truth.channel_axis.into(), &said["channel_axis"]),
    ];
    if !truth.merged.is_empty() {
        facts.push(("merged", json!(truth.merged), &alignment["merged"]));
    }
    let wrong: Vec<String> = facts
        .iter()
        .filter(|(_, expected, found)| expected != *found)
        .map(|(what, expected, found)| format!("{name}: {what} is {expected}, not {found}"))
        .collect();
    if !wrong.is_empty() {
        // Measures of something else say nothing.
        return wrong;
    }
    let measures = truth.measures.iter().filter(|(what, expected)| !agrees(what, expected, &said[&what[..]]));
    let mut mismatches: Vec<String> = measures
        .map(|(what, expected)| format!("{name}: {what} is {expected}, not {}", said[&what[..]]))
        .collect();
    if let Some(expected) = &truth.channels {
        let channels: Vec<&Value> =
            list(&said["channels"]["all"]).map(|channel| &channel["sqnr_db"]).collect();
        let off = |(expected, found): (&Option<f64>, &&Value)| !agrees("sqnr_db", &json!(expected), found);
        match expected.iter().zip(&channels).position(off) {
            _ if expected.len() != channels.len() => {
                mismatches.push(format!("{name}: {} channels, not {}", expected.len(), channels.len()));
            }
            Some(at) => mismatches
                .push(format!("{name}: channel {at} has {:?} dB, not {}", expected[at], channels[at])),
            None => {}
        }
    }
    mismatches
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
