//! `docs/json.md` names every field of the JSON that is printed, and no other.

use std::collections::BTreeSet;

use quantviz_cli::{Exit, run};
use serde_json::Value;

/// What of the page has many numbers in a few, or statistics, as it says at its end.
const SPREADS: [&str; 5] = ["scale", "scale2", "effective_scale", "zero_point", "offset"];

#[test]
fn every_field_of_inspect_is_explained() {
    check(printed(), &explained());
}

#[test]
fn every_field_of_compare_is_explained() {
    // Channels are told of in two lists.
    let lists = ["worst", "all"].map(|list| format!("variants[].pairs[].channels.{list}[]"));
    let expand = |path: String| match path.strip_prefix('…') {
        Some(field) => lists.iter().map(|list| format!("{list}{field}")).collect(),
        None => vec![path],
    };
    check(compared(), &rows_of("quantviz compare").into_iter().flat_map(expand).collect());
}

fn check((leaves, containers): (BTreeSet<String>, BTreeSet<String>), explained: &BTreeSet<String>) {
    let missing: Vec<_> = leaves.difference(explained).collect();
    assert!(missing.is_empty(), "docs/json.md lacks {missing:#?}");
    let stale: Vec<_> =
        explained.iter().filter(|it| !leaves.contains(*it) && !containers.contains(*it)).collect();
    assert!(stale.is_empty(), "docs/json.md has what is not printed: {stale:#?}");
}

/// The paths of all values, and of what holds others.
fn printed() -> (BTreeSet<String>, BTreeSet<String>) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let damaged = tempfile::tempdir().expect("a folder");
    std::fs::write(damaged.path().join("model.gguf"), b"GGUF").expect("written");
    let damaged = damaged.path().to_string_lossy().into_owned();
    let models = ["resnet8", "safetensors/gptq-4bit", "safetensors/mlx-4bit", "safetensors/nvfp4-modelopt"]
        .map(|name| format!("{fixtures}/{name}"));
    let paths = models.iter().chain([&damaged]).map(String::as_str);
    let mut out = Vec::new();
    let arguments = ["quantviz", "inspect", "--json", "--bins", "4"].into_iter().chain(paths);
    assert_eq!(run(arguments, &mut out, &mut Vec::new()), Exit::Trouble, "one of them is damaged");
    let json: Value = serde_json::from_slice(&out).expect("JSON");
    let (mut leaves, mut containers) = (BTreeSet::new(), BTreeSet::new());
    json.as_array()
        .expect("of several paths")
        .iter()
        .for_each(|it| walk(it, "", &mut leaves, &mut containers));
    (leaves, containers)
}

fn walk(value: &Value, path: &str, leaves: &mut BTreeSet<String>, containers: &mut BTreeSet<String>) {
    let is_free = path == "model.metadata";
    match value {
        Value::Object(fields) if !is_free => {
            containers.insert(path.to_owned());
            for (name, field) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                walk(field, &format!("{path}{dot}{name}"), leaves, containers);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| walk(item, &format!("{path}[]"), leaves, containers));
        }
        // A list of nothing may be one of objects.
        Value::Array(items) if items.is_empty() => {}
        _ => drop(leaves.insert(path.to_owned())),
    }
}

/// The same of a comparison with everything that there can be in one.
fn compared() -> (BTreeSet<String>, BTreeSet<String>) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let of = |name: &str| format!("{fixtures}/{name}");
    let (reference, quantized) = (of("claims/recorded/reference"), of("claims/recorded/quantized"));
    let recorded = ["--importance", &of("claims/imatrix.gguf"), "--activations", &reference, &quantized];
    let models = [of("claims/model.safetensors"), of("claims/model-Q4_0.gguf")];
    let merged = [of("claims/model.safetensors"), of("resnet8/resnet8_int8.onnx")];
    let (mut leaves, mut containers) = (BTreeSet::new(), BTreeSet::new());
    for (models, more) in
        [(&models, &recorded[..]), (&merged, &[]), (&[of("resnet8"), String::new()], &["--channels", "all"])]
    {
        let mut out = Vec::new();
        let models = models.iter().map(String::as_str).filter(|it| !it.is_empty());
        let arguments =
            ["quantviz", "compare", "--json"].into_iter().chain(models).chain(more.iter().copied());
        assert_eq!(run(arguments, &mut out, &mut Vec::new()), Exit::Done);
        walk(&serde_json::from_slice(&out).expect("JSON"), "", &mut leaves, &mut containers);
    }
    // Nothing of these lists what is laid together, splits, or cannot be measured.
    leaves.extend(
        ["split.axis", "split.start", "split.end", "merged"]
            .map(|it| format!("variants[].pairs[].alignment.{it}")),
    );
    leaves.extend(["variants[].pairs[].error", "variants[].findings"].map(str::to_owned));
    (leaves, containers)
}

/// The first cells of the tables in the part of the page that is about a command.
fn rows_of(command: &str) -> BTreeSet<String> {
    let page = include_str!("../../../docs/json.md");
    let part =
        page.split("\n# ").find(|part| part.lines().next().is_some_and(|title| title.contains(command)));
    let rows =
        part.into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(|row| row.trim_end_matches("[]").to_owned()).collect()
}

/// The paths in the tables of the page that are about `inspect`.
fn explained() -> BTreeSet<String> {
    let rows = rows_of("quantviz inspect");
    let quantization = "parameters[].quantization";
    let mut paths = BTreeSet::new();
    for path in rows.iter().map(String::as_str) {
        if let Some(field) = path.strip_prefix('…') {
            paths.extend(SPREADS.map(|spread| format!("{quantization}.{spread}{field}")));
        } else if let Some(field) = path.strip_prefix("parameters[].summary.") {
            paths.insert(format!("{quantization}.dequantized.{field}"));
            paths.insert(path.to_owned());
        } else {
            paths.insert(path.to_owned());
        }
    }
    paths
}
