//! `docs/json.md` names every field of the JSON that is printed, and no other.

mod split_models;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quantviz::Rank;
use quantviz::record::Recorder;
use quantviz::store::SessionStore;
use quantviz_cli::run;
use quantviz_testkit::SmallGpt;
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// What of the page has many numbers in a few, or statistics, as it says at its end.
const SPREADS: [&str; 5] = ["scale", "scale2", "effective_scale", "zero_point", "offset"];

/// What no model of the tests shows: a tensor of which only some is readable.
const RARE: [&str; 3] =
    ["variants[].pairs[].error", "variants[].recorded.tensors[].error", "models[].unread"];

/// What has fields of names that are not ours.
const FREE: [&str; 8] = [
    "model.metadata",
    "tags",
    "scalars",
    "at.scalars",
    "at.parameters[].values",
    "parameters[].features",
    "rows[].values",
    "plans[].plan",
];

#[test]
fn inspect() {
    let damaged = damaged();
    let models = ["resnet8", "safetensors/gptq-4bit", "safetensors/mlx-4bit", "safetensors/nvfp4-modelopt"]
        .map(|name| format!("{FIXTURES}/{name}"));
    let mut printed = Fields::default();
    let damaged = damaged.path().to_string_lossy().into_owned();
    let paths = models.iter().chain([&damaged]).map(String::as_str);
    printed.of_command(&["inspect", "--json", "--bins", "4"].into_iter().chain(paths).collect::<Vec<_>>());
    let page = Page::read();
    let quantization = "parameters[].quantization";
    let mut explained = BTreeSet::new();
    for path in page.section("quantviz inspect") {
        if let Some(field) = path.strip_prefix('…') {
            explained.extend(SPREADS.map(|spread| format!("{quantization}.{spread}{field}")));
            continue;
        }
        if let Some(field) = path.strip_prefix("parameters[].summary.") {
            explained.insert(format!("{quantization}.dequantized.{field}"));
        }
        explained.insert(path.clone());
    }
    printed.are(&explained);
}

#[test]
fn compare() {
    let folder = tempfile::tempdir().expect("a folder");
    let split_models::Written { merged, parts, other, broken } = split_models::write(folder.path());
    let resnet8 = format!("{FIXTURES}/resnet8");
    let mut printed = Fields::default();
    printed.of_command(&["compare", "--json", "--channels", "all", &resnet8]);
    let of_channels = |name: &str| format!("{FIXTURES}/pairs/exported-qdq-i8-channels/{name}");
    let (float, quantized) = (of_channels("float.pt"), of_channels("quantized.onnx"));
    printed.of_command(&["compare", "--json", "--channels", "all", &float, &quantized]);
    printed.of_command(&["compare", "--json", &merged.float, &parts.quantized]);
    printed.of_command(&["compare", "--json", &parts.float, &merged.quantized, &other.quantized]);
    printed.of_command(&["compare", "--json", &broken.float, &broken.quantized]);
    let claims = |name: &str| format!("{FIXTURES}/claims/{name}");
    let (from, of) = (claims("recorded/reference"), claims("recorded/quantized"));
    let (float, quantized) = (claims("model.safetensors"), claims("model-Q4_0.gguf"));
    let recorded = ["--importance", &claims("imatrix.gguf"), "--activations", &from, &of];
    printed.of_command(&[&["compare", "--json", &*float, &quantized], &recorded[..]].concat());
    let clipped = |name: &str| claims(&format!("clipped/{name}"));
    for quantized in ["int8.npz", "int8_all.npz"] {
        let recorded = ["--activations", &clipped("float.npz"), &clipped(quantized)];
        let models = [&*clipped("float.onnx"), &clipped("int8.onnx")];
        printed.of_command(&[&["compare", "--json"], &models[..], &recorded].concat());
    }
    let page = Page::read();
    let mut explained = BTreeSet::new();
    for path in page.section("quantviz compare") {
        match path.strip_prefix('…') {
            Some(field) => explained
                .extend(["worst", "all"].map(|list| format!("variants[].pairs[].channels.{list}[]{field}"))),
            None => drop(explained.insert(path.clone())),
        }
    }
    explained.extend(page.like("quantviz lint", "models[].findings[].", "variants[].findings[]."));
    printed.are(&explained);
}

#[test]
fn check() {
    let folder = tempfile::tempdir().expect("a folder");
    let split_models::Written { parts, other, broken, .. } = split_models::write(folder.path());
    let limits = folder.path().join("limits.toml");
    let rule = "[check]\ndeny = [\"QV003\"]\n[[check.rule]]\nlayer = \"*\"\nmin-sqnr = 200.0\n";
    std::fs::write(&limits, rule).expect("written");
    let mut printed = Fields::default();
    let command = ["check", "--format", "json", "--config", &limits.to_string_lossy(), &parts.float];
    printed.of_command(&command.into_iter().chain([&*parts.quantized, &other.quantized]).collect::<Vec<_>>());
    printed.of_command(&["check", "--format", "json", &broken.float, &broken.quantized]);
    let page = Page::read();
    let mut explained = page.section("quantviz check").clone();
    explained.extend(page.like("quantviz check", "failures[].", "variants[].failures[]."));
    printed.are(&explained);
}

#[test]
fn lint() {
    let (folder, damaged) = (tempfile::tempdir().expect("a folder"), damaged());
    let written = split_models::write(folder.path());
    let mut printed = Fields::default();
    let damaged = damaged.path().to_string_lossy();
    printed.of_command(&["lint", "--json", &written.broken.quantized, &damaged]);
    printed.are(Page::read().section("quantviz lint"));
}

#[test]
fn preview() {
    let (folder, damaged) = (tempfile::tempdir().expect("a folder"), damaged());
    let written = split_models::write(folder.path());
    let mut printed = Fields::default();
    let damaged = damaged.path().to_string_lossy();
    let models = [&*written.parts.float, &written.broken.float, &damaged];
    printed.of_command(
        &["preview", "--json", "--target-bits", "9"].into_iter().chain(models).collect::<Vec<_>>(),
    );
    let page = Page::read();
    let mut explained = page.section("quantviz preview").clone();
    for path in page.section("quantviz inspect") {
        if ["model.", "warnings[]."].iter().any(|part| path.starts_with(part)) {
            explained.insert(path.clone());
        }
    }
    printed.are(&explained);
}

#[test]
fn sessions_export() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SessionStore::create(&folder.path().to_string_lossy()).expect("a store");
    for (session, of) in [("alone", 1), ("many", 2)] {
        let rank = Rank::new(0, of).expect("the first");
        let gpt = SmallGpt { steps: 1000, every: 50, rank, ..SmallGpt::default() };
        gpt.write(&store, &session.parse().expect("a name")).expect("written");
    }
    let place = folder.path().to_string_lossy();
    let mut printed = Fields::default();
    for session in ["alone", "many"] {
        let export =
            ["sessions", "export", session, "-o", "-", "--format", "json", "--each-rank", "--store", &place];
        printed.of_command(&export);
    }
    printed.are(Page::read().section("quantviz sessions export"));
}

/// Training runs: one that trained, with gradients, samples and notes, and one that was made of checkpoints.
#[test]
fn sessions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (place, checkpoints, other) = (path("runs"), path("checkpoints"), path("other.safetensors"));
    std::fs::create_dir(&checkpoints).expect("a folder");
    for step in [1, 2] {
        let tensors = json!({ "w": { "dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16] },
            "u": { "dtype": "F32", "shape": [1], "data_offsets": [16, 20] } });
        write_tensors(&format!("{checkpoints}/step_{step}.safetensors"), &tensors, &[step as f32; 5]);
    }
    let tensors = json!({ "w": { "dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16] },
        "v": { "dtype": "F32", "shape": [1], "data_offsets": [16, 20] } });
    write_tensors(&other, &tensors, &[3.0; 5]);
    let store = SessionStore::create(&place).expect("a store");
    SmallGpt::default().write(&store, &"gpt".parse().expect("a name")).expect("written");
    // Of two that train together, each has a part of the same parameters.
    for (rank, part) in [(0, &other), (1, &format!("{checkpoints}/step_1.safetensors"))] {
        let rank = Rank::new(rank, 2).expect("one of two");
        let place = SessionStore::create(&place).expect("a store");
        let mut import = Recorder::builder("shared").rank(rank).to(place).import().expect("a store");
        import.add(1, &quantviz::open(Path::new(part)).expect("written")).expect("recorded");
        import.finish().expect("written");
    }

    let page = Page::read();
    let check = |heading: &str, explained: Vec<String>, commands: &[&[&str]]| {
        let mut printed = Fields::default();
        for command in commands {
            printed.of_command(&[command, &["--json", "--store", &place][..]].concat());
        }
        printed.are(&page.section(heading).iter().cloned().chain(explained).collect());
    };
    check("quantviz sessions import", vec![], &[&["sessions", "import", &checkpoints, "--session", "made"]]);
    check("quantviz sessions list", vec![], &[&["sessions", "list"]]);
    let shown: [&[&str]; 3] = [
        &["sessions", "show", "gpt", "--step", "1000"],
        &["sessions", "show", "made"],
        &["sessions", "show", "shared", "--step", "1"],
    ];
    check("quantviz sessions show", vec![], &shown);
    let gradients = page.like("quantviz inspect SESSION", "parameters[].summary.", "parameters[].gradient.");
    check(
        "quantviz inspect SESSION",
        gradients,
        &[&["inspect", "gpt@400"], &["inspect", "made"], &["inspect", "shared"]],
    );
    let of_snapshots =
        ["session", "asked", "step", "thinned", "time_ms", "rank", "ranks_recorded", "ranks", "in_parts"];
    let of_snapshots = ["reference", "others[].model"]
        .iter()
        .flat_map(|model| of_snapshots.map(|field| format!("{model}.snapshot.{field}")));
    let compared: [&[&str]; 2] = [&["compare", "made@1", "made@2"], &["compare", "made@2", &other]];
    check("quantviz compare SESSION", of_snapshots.collect(), &compared);
    check("quantviz sessions prune", vec![], &[&["sessions", "prune", "gpt", "--snapshots", "3"]]);
    check("quantviz sessions rm", vec![], &[&["sessions", "rm", "made", "--yes"]]);
}

fn write_tensors(path: &str, header: &Value, values: &[f32]) {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    std::fs::write(path, bytes).expect("written");
}

/// A folder with a model that cannot be read.
fn damaged() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("model.gguf"), b"GGUF").expect("written");
    folder
}

/// The fields of some JSON.
#[derive(Default)]
struct Fields {
    leaves: BTreeSet<String>,
    /// What holds others.
    containers: BTreeSet<String>,
}

impl Fields {
    fn of_command(&mut self, arguments: &[&str]) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        run(["quantviz"].iter().chain(arguments), &mut out, &mut err);
        let json: Value = serde_json::from_slice(&out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error} {}", String::from_utf8_lossy(&err)));
        match json {
            Value::Array(models) => models.iter().for_each(|model| self.walk(model, "")),
            model => self.walk(&model, ""),
        }
    }

    fn walk(&mut self, value: &Value, path: &str) {
        let is_free = FREE.contains(&path) || path.ends_with(".evidence");
        match value {
            Value::Object(fields) if !is_free => {
                self.containers.insert(path.to_owned());
                for (name, field) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.walk(field, &format!("{path}{dot}{name}"));
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                items.iter().for_each(|item| self.walk(item, &format!("{path}[]")));
            }
            // A list of nothing may be one of objects.
            Value::Array(items) if items.is_empty() => {}
            _ => drop(self.leaves.insert(path.to_owned())),
        }
    }

    /// Fails unless these are the ones that are explained.
    fn are(&self, explained: &BTreeSet<String>) {
        // What is null here may hold others there.
        let missing: Vec<_> = self
            .leaves
            .iter()
            .filter(|it| !explained.contains(*it) && !self.containers.contains(*it))
            .collect();
        assert!(missing.is_empty(), "docs/json.md lacks {missing:#?}");
        let is_printed = |path: &String| {
            self.leaves.contains(path) || self.containers.contains(path) || RARE.contains(&path.as_str())
        };
        let stale: Vec<_> = explained.iter().filter(|path| !is_printed(path)).collect();
        assert!(stale.is_empty(), "docs/json.md has what is not printed: {stale:#?}");
    }
}

/// The paths in the tables of the page, by its large headings.
struct Page(BTreeMap<String, BTreeSet<String>>);

impl Page {
    fn read() -> Self {
        let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut heading = String::new();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
        for line in std::fs::read_to_string(path).expect("the page").lines() {
            if let Some(text) = line.strip_prefix("# ") {
                text.clone_into(&mut heading);
            } else if let Some(path) = line.strip_prefix("| `").and_then(|row| row.split('`').next()) {
                sections.entry(heading.clone()).or_default().insert(path.trim_end_matches("[]").to_owned());
            }
        }
        Page(sections)
    }

    fn section(&self, heading: &str) -> &BTreeSet<String> {
        self.0.get(heading).unwrap_or_else(|| panic!("docs/json.md has no section {heading}"))
    }

    /// The fields of a section whose paths begin in one way, as if they began in another.
    fn like(&self, heading: &str, from: &str, to: &str) -> Vec<String> {
        let rest = self.section(heading).iter().filter_map(|path| path.strip_prefix(from));
        rest.map(|rest| format!("{to}{rest}")).collect()
    }
}
