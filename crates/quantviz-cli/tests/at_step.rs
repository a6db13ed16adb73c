//! `SESSION@STEP`: training runs in `inspect` and `compare`.

mod checkpoints;
mod screen;

use std::path::PathBuf;

use checkpoints::checkpoint;
use quantviz::store::SessionStore;
use quantviz_cli::{Exit, run};
use quantviz_testkit::SmallGpt;
use screen::Screen;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with checkpoints, and a store.
struct Runs {
    folder: TempDir,
}

/// Numbers that a bf16 holds, as half as much again does too.
fn number(at: u32) -> f32 {
    ((at * 37 + 11) % 63) as f32 / 64.0 - 0.5
}

fn values(count: u32, factor: f32) -> Vec<f32> {
    (0..count).map(|at| number(at) * factor).collect()
}

impl Runs {
    /// A run of two checkpoints, in which one weight grows by half and the rest stays.
    fn new() -> Self {
        let runs = Runs { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(runs.path("checkpoints")).expect("a folder");
        for (step, factor) in [(100, 1.0), (200, 1.5)] {
            runs.checkpoint(&format!("checkpoints/step_{step}.safetensors"), factor);
        }
        let folder = runs.path("checkpoints");
        let (exit, _, err) =
            runs.run(&["sessions", "import", folder.to_str().expect("UTF-8"), "--session", "grown"]);
        assert_eq!((exit, &*err), (Exit::Done, ""));
        runs
    }

    fn checkpoint(&self, name: &str, factor: f32) -> String {
        let path = self.path(name);
        let tensors: [(&str, &[u64], _); 3] = [
            ("fc.weight", &[32, 32], values(1024, factor)),
            ("fc.bias", &[8], values(8, 1.0)),
            ("out.weight", &[4, 8], values(32, 1.0)),
        ];
        checkpoint(&path, &tensors);
        path.to_string_lossy().into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> (Exit, String, String) {
        let mut screen = Screen::of(80);
        let mut err = Vec::new();
        let store = self.path("runs").to_string_lossy().into_owned();
        let first = ["quantviz", "--color", "never"].iter().chain(arguments);
        let exit = run(first.copied().chain(["--store", &*store]), &mut screen, &mut err);
        (exit, screen.text(), String::from_utf8(err).expect("UTF-8"))
    }

    fn screen(&self, arguments: &[&str]) -> String {
        let (exit, text, err) = self.run(arguments);
        assert_eq!((exit, &*err), (Exit::Done, ""));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        text
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (exit, text, err) = self.run(&[arguments, &["--json"]].concat());
        assert_eq!((exit, &*err), (Exit::Done, ""));
        serde_json::from_str(&text).expect("JSON")
    }

    /// The line of a command that fails.
    fn error(&self, arguments: &[&str]) -> String {
        let (exit, text, err) = self.run(arguments);
        assert_eq!((exit, &*text, err.lines().count()), (Exit::Trouble, "", 1), "{err}");
        err
    }

    /// A run of which some is sampled, and some older than its step.
    fn with_gpt(self) -> Self {
        let store = SessionStore::create(&self.path("runs").to_string_lossy()).expect("a store");
        let gpt = SmallGpt { steps: 400, ..SmallGpt::default() };
        gpt.write(&store, &"gpt".parse().expect("a name")).expect("written");
        self
    }
}

fn named<'a>(parameters: &'a Value, field: &str, name: &str) -> &'a Value {
    let all = parameters.as_array().expect("a list");
    all.iter().find(|it| it[field] == name).expect("it is there")
}

#[test]
fn a_snapshot_at_80_columns() {
    let runs = Runs::new().with_gpt();
    insta::assert_snapshot!(runs.screen(&["inspect", "gpt@403"]));
    let last = runs.screen(&["inspect", "gpt", "--layer", "transformer.wte", "--bins", "64"]);
    insta::assert_snapshot!(last);
}

/// What a checkpoint has, by the formulas, is what is shown of it.
#[test]
fn numbers_are_those_of_the_checkpoint() {
    let runs = Runs::new();
    let shown = runs.json(&["inspect", "grown@200"]);
    assert_eq!((&shown["schema"], &shown["step"]), (&"quantviz.snapshot/1".into(), &200.into()));
    let summary = &named(&shown["parameters"], "name", "fc.weight")["summary"];
    let whole: Vec<f64> = values(1024, 1.5).into_iter().map(f64::from).collect();
    let mean = whole.iter().sum::<f64>() / 1024.0;
    let std = (whole.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / 1024.0).sqrt();
    let near = |field: &str, expected: f64| {
        let shown = summary[field].as_f64().expect("a number");
        assert!((shown - expected).abs() < 1e-6, "{field}: {shown} {expected}");
    };
    near("min", whole.iter().copied().fold(f64::INFINITY, f64::min));
    near("max", whole.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    near("mean", mean);
    near("std", std);
    near("zero_share", whole.iter().filter(|it| **it == 0.0).count() as f64 / 1024.0);
    assert_eq!(
        (&summary["count"], &summary["sampled"], &summary["as_of"]),
        (&1024.into(), &false.into(), &200.into())
    );
    let weight = named(&shown["parameters"], "name", "fc.weight");
    assert_eq!((&weight["sample"]["count"], &weight["sample"]["of"]), (&128.into(), &1024.into()));
    assert!(weight.get("quantization").is_none() && weight.get("gradient").is_none());
    let histogram = &weight["histogram"];
    let (low, high) = (histogram["low"].as_f64().expect("low"), histogram["high"].as_f64().expect("high"));
    let shares = histogram["shares"].as_array().expect("shares");
    for (bin, share) in shares.iter().enumerate() {
        let width = (high - low) / shares.len() as f64;
        let edges = (low + width * bin as f64, low + width * (bin + 1) as f64);
        let inside = whole.iter().filter(|&&it| it >= edges.0 && it < edges.1).count() as f64 / 1024.0;
        assert!((share.as_f64().expect("a share") - inside).abs() < 1e-3, "{bin}: {share} {inside}");
    }
}

/// Sampled and older numbers say so, and numbers that were not taken are not there.
#[test]
fn what_is_sampled_says_so() {
    let runs = Runs::new().with_gpt();
    let shown = runs.json(&["inspect", "gpt@400"]);
    let wte = &named(&shown["parameters"], "name", "transformer.wte.weight")["summary"];
    // 3 % of 65 rows are two rows of 64.
    assert_eq!((&wte["sampled"], &wte["count"], &wte["of"]), (&true.into(), &128.into(), &4160.into()));
    let wpe = &named(&shown["parameters"], "name", "transformer.wpe.weight")["summary"];
    assert_eq!((&wpe["sampled"], &wpe["as_of"]), (&false.into(), &350.into()));
    let grown = runs.json(&["inspect", "grown@100"]);
    let bias = named(&grown["parameters"], "name", "fc.bias");
    assert!(bias["features"].get("stable_rank").is_none() && bias["features"].get("update_rms").is_none());
    let both = runs.json(&["inspect", "grown@100", "gpt@0"]);
    assert_eq!((&both[0]["session"], &both[1]["session"]), (&"grown".into(), &"gpt".into()));
}

/// Half as much again: the difference has a quarter of the energy, whatever was sampled.
#[test]
fn steps_are_compared_by_their_samples() {
    let runs = Runs::new();
    insta::assert_snapshot!(runs.screen(&["compare", "grown@100", "grown@200"]));
    let json = runs.json(&["compare", "grown@100", "grown@220"]);
    assert_eq!((&json["schema"], &json["recorded_as"]), (&"quantviz.changes/1".into(), &"bf16".into()));
    let other = &json["others"][0];
    assert_eq!(
        (&other["model"]["snapshot"]["asked"], &other["model"]["snapshot"]["step"]),
        (&220.into(), &200.into())
    );
    let weight = &other["parameters"][0];
    assert_eq!(
        (&weight["parameter"], &weight["sampled"], &weight["count"]),
        (&"fc.weight".into(), &true.into(), &128.into())
    );
    let close =
        |value: &Value, expected: f64| assert!((value.as_f64().expect("a number") - expected).abs() < 1e-9);
    close(&weight["sqnr_db"], 10.0 * 4.0f64.log10());
    close(&weight["moved"], 0.5);
    close(&weight["common_factor"], 1.5);
    let bias = named(&other["parameters"], "parameter", "fc.bias");
    assert_eq!(
        (&bias["exact"], &bias["sampled"], &bias["sqnr_db"]),
        (&true.into(), &false.into(), &Value::Null)
    );
    let part = runs.json(&["compare", "grown@100", "grown@200", "--param", "fc.bias"]);
    assert_eq!(part["others"][0]["parameters"].as_array().map(Vec::len), Some(1));
}

#[test]
fn files_are_compared_in_the_same_places() {
    let runs = Runs::new();
    let same = runs.checkpoint("same.safetensors", 1.5);
    for models in [["grown@200", &*same], [&*same, "grown@200"]] {
        let json = runs.json(&[&["compare"], &models[..]].concat());
        assert_eq!(json["others"][0]["exact"], true, "{json}");
    }
    let half = runs.checkpoint("half.safetensors", 0.75);
    let json = runs.json(&["compare", "grown@200", &half]);
    let db = json["others"][0]["parameters"][0]["sqnr_db"].as_f64().expect("a number");
    assert!((db - 10.0 * 4.0f64.log10()).abs() < 1e-9, "{db}");
    let other = runs.path("other.safetensors");
    checkpoint(&other, &[("fc.weight", &[16, 64], values(1024, 1.5)), ("fc.bias", &[8], values(8, 1.0))]);
    let json = runs.json(&["compare", "grown@200", other.to_str().expect("UTF-8")]);
    let unmatched = json["others"][0]["unmatched"]["reference"].as_array().expect("a list");
    assert_eq!(unmatched[0]["why"], "it is 32×32 in the reference and 16×64 in the other");
    assert_eq!(unmatched[1]["why"], "it is not in the other");
    let text = runs.screen(&["compare", "grown@200", other.to_str().expect("UTF-8")]);
    assert!(text.contains("the same · all 8 numbers"), "{text}");
}

/// Thinned steps have statistics and no samples.
#[test]
fn steps_whose_samples_are_gone() {
    let runs = Runs::new();
    for step in 1..=9 {
        let name = format!("checkpoints/step_{}.safetensors", 200 + step);
        runs.checkpoint(&name, 1.5);
    }
    let folder = runs.path("checkpoints");
    runs.run(&["sessions", "import", folder.to_str().expect("UTF-8"), "--session", "long"]);
    runs.run(&["sessions", "prune", "long", "--snapshots", "2"]);
    let text = runs.screen(&["inspect", "long@204"]);
    assert!(
        text.contains("long@204\n") && text.contains("samples and histograms of this step were pruned"),
        "{text}"
    );
    let json = runs.json(&["inspect", "long@204"]);
    assert!(json["thinned"] == true && json["parameters"][0].get("histogram").is_none());
    let text = runs.screen(&["compare", "long@100", "long@206"]);
    assert!(text.starts_with("long@209, the nearest to step 206 that was kept\n"), "{text}");
}

#[test]
fn names_that_mean_something_else() {
    let runs = Runs::new();
    let line = runs.error(&["inspect", "shrunk@100"]);
    assert!(line.contains("shrunk@100: no such file or folder, and no session shrunk in "), "{line}");
    let line = runs.error(&["compare", "grown@100", "model.onnx"]);
    assert!(line.contains("model.onnx: no such file or folder, and no session model.onnx in "), "{line}");
    let line = runs.error(&["inspect", "session:shrunk"]);
    assert!(line.contains("there is no session shrunk"), "{line}");
    let line = runs.error(&["inspect", "session:a/b"]);
    assert!(line.contains("names no session; session:NAME"), "{line}");
    let line = runs.error(&["inspect", "folder/nothing.onnx"]);
    assert!(line.ends_with("nothing.onnx: no such file or folder\n"), "{line}");
    let line = runs.error(&["inspect", "grown@100", "--param", "fc.wieght"]);
    assert!(line.contains("session grown: no parameter is named \"fc.wieght\"; the nearest is"), "{line}");
    assert!(!line.contains("quantviz layers"), "{line}");
    // A file of that name wins; and whoever means the session says so.
    let file = runs.checkpoint("grown@100", 0.5);
    let shown = runs.json(&["inspect", "session:grown@100"]);
    assert_eq!(shown["schema"], "quantviz.snapshot/1");
    assert_eq!(runs.json(&["inspect", &file])["schema"], "quantviz.inspect/1");
    let (exit, _, err) = runs.run(&["compare", "grown@100"]);
    assert!(exit == Exit::Trouble && err.contains("nothing to compare it with"), "{err}");
    let (exit, _, err) = runs.run(&["compare", "grown@100", "grown@200", "--channels", "all"]);
    assert!(exit == Exit::Trouble && err.contains("need whole models"), "{err}");
}

/// Of checkpoints that are many steps apart, what changed is told by snapshots.
#[test]
fn where_checkpoints_change() {
    let runs = Runs::new();
    let text = runs.screen(&["sessions", "show", "grown"]);
    assert!(
        text.contains("where it changes: since the snapshot before, by size, at the last snapshot"),
        "{text}"
    );
    assert!(text.contains("what changed most  by size"), "{text}");
    let json = runs.json(&["sessions", "show", "grown"]);
    assert_eq!(
        (&json["grid"]["measure"], &json["moved"][0]["parameter"]),
        (&"w.relative_change".into(), &"fc.weight".into())
    );
    // What grows by half has changed by a third of what it is then.
    let change = json["moved"][0]["relative_change"].as_f64().expect("it changed");
    assert!((change - 1.0 / 3.0).abs() < 0.02, "of a sample: {change}");
    assert!(json["moved"][0]["update_ratio"].is_null());
    let first = runs.json(&["sessions", "show", "grown", "--step", "100"]);
    assert_eq!(first["grid"]["measure"], "w.std");
    assert!(
        runs.screen(&["sessions", "show", "grown", "--step", "100"])
            .contains("standard deviation, at step 100")
    );
    let page = runs.run(&["report", "grown", "-o", "-"]).1;
    assert!(page.contains("Change since the snapshot before, by size, at step 200"), "{page}");
    assert!(!page.contains("not measured"));
}

#[test]
fn sessions_and_files_together() {
    let runs = Runs::new();
    let file = runs.checkpoint("other.safetensors", 2.0);
    let text = runs.screen(&["inspect", "grown@200", &file]);
    let (at_file, at_session) = (text.find("other.safetensors"), text.find("grown@200"));
    assert!(at_file.is_some() && at_file < at_session, "{text}");
    let json = runs.json(&["inspect", "grown@200", &file]);
    let schemas: Vec<&Value> = json.as_array().expect("both").iter().map(|it| &it["schema"]).collect();
    assert_eq!(schemas, ["quantviz.inspect/1", "quantviz.snapshot/1"]);
}

#[test]
fn fewer_bins_than_were_recorded() {
    let runs = Runs::new();
    let bins = |bins: &str| runs.json(&["inspect", "grown@100", "--param", "fc.weight", "--bins", bins]);
    let shares = |json: &Value| -> Vec<f64> {
        let shares = json["parameters"][0]["histogram"]["shares"].as_array().expect("counted");
        shares.iter().map(|it| it.as_f64().expect("a share")).collect()
    };
    let (all, some) = (shares(&bins("64")), shares(&bins("16")));
    assert_eq!((all.len(), some.len()), (64, 16));
    assert!(all.chunks(4).zip(&some).all(|(four, one)| (four.iter().sum::<f64>() - one).abs() < 1e-12));
    let (exit, _, err) = runs.run(&["inspect", "grown@100", "--bins", "48"]);
    assert_eq!(exit, Exit::Trouble);
    assert!(
        err.contains("64 bins were recorded, which cannot be made into 48; ask for 64, 32, 16,"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
}
