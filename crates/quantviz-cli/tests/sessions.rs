//! What people see of training runs.

mod screen;

use std::path::Path;

use quantviz::store::MemoryStore;
use quantviz::{Budget, Error, ErrorKind, Opening, Rank, Result, SessionId, SnapshotStore, StateMessage};
use quantviz_cli::{Exit, Stores, run_with};
use quantviz_testkit::SmallGpt;
use screen::Screen;

/// When everything here happens.
const NOW_MS: u64 = 1_795_000_000_000;

/// A store that is at `runs`, and nowhere else.
struct Runs(MemoryStore);

impl Stores for Runs {
    fn open(&self, place: &str) -> Result<Box<dyn SnapshotStore>> {
        match place {
            "runs" => Ok(Box::new(self.0.clone())),
            _ => Err(Error::new(ErrorKind::NotFound, "no such folder")),
        }
    }

    fn now_ms(&self) -> u64 {
        NOW_MS + 7_500_000
    }
}

impl Runs {
    fn new() -> Self {
        Runs(MemoryStore::within(Budget::ALL).with_clock(|| NOW_MS))
    }

    fn with(self, session: &str, gpt: &SmallGpt) -> Self {
        gpt.write(&self.0, &id(session)).expect("written");
        self
    }

    /// How a command ends, and what it prints.
    fn run(&self, screen: &mut Screen, arguments: &[&str]) -> (Exit, String) {
        let mut err = Vec::new();
        let store = ["--store", "runs"];
        let arguments = ["quantviz", "--color", "never", "sessions"].iter().chain(arguments).chain(&store);
        let exit = run_with(arguments, screen, &mut err, self);
        (exit, String::from_utf8(err).expect("UTF-8"))
    }

    fn screen(&self, arguments: &[&str]) -> String {
        let mut screen = Screen::of(80);
        let (exit, err) = self.run(&mut screen, arguments);
        assert_eq!((exit, &*err), (Exit::Done, ""));
        let text = screen.text();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        text
    }

    /// The line of a command that fails.
    fn error(&self, arguments: &[&str]) -> String {
        let mut screen = Screen::of(80);
        let (exit, err) = self.run(&mut screen, arguments);
        assert_eq!((exit, screen.text()), (Exit::Trouble, String::new()), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        err
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut screen = Screen::of(80);
        let (exit, err) = self.run(&mut screen, &[arguments, &["--json"]].concat());
        assert_eq!(exit, Exit::Done, "{err}");
        serde_json::from_str(&screen.text()).expect("JSON")
    }
}

fn id(name: &str) -> SessionId {
    name.parse().expect("a name")
}

#[test]
fn all_sessions_in_a_list() {
    let failed = Some(StateMessage::failed("ValueError: loss is NaN"));
    let runs = Runs::new()
        .with("shakespeare", &SmallGpt::default())
        .with("broken", &SmallGpt { end: failed, steps: 100, ..SmallGpt::default() })
        .with("away", &SmallGpt { end: None, steps: 300, ..SmallGpt::default() });
    insta::assert_snapshot!(runs.screen(&["list"]));
    let json = runs.json(&["list"]);
    assert_eq!(json["schema"], "quantviz.sessions/1");
    assert_eq!(json["sessions"][1]["reason"], "ValueError: loss is NaN");
    assert_eq!(json["sessions"][2]["snapshots"], 41);
    assert!(Runs::new().screen(&["list"]).starts_with("no sessions in runs; "));
}

#[test]
fn a_session_at_80_columns() {
    let runs = Runs::new().with("shakespeare", &SmallGpt::default());
    insta::assert_snapshot!(runs.screen(&["show", "shakespeare"]));
}

#[test]
fn a_session_with_letters_only() {
    let broken = SmallGpt {
        frozen: Some("transformer.wpe.weight".into()),
        nan_from: Some(1500),
        ..SmallGpt::default()
    };
    let runs = Runs::new().with("broken", &broken);
    let mut screen = Screen::of(80).without_bars();
    assert_eq!(runs.run(&mut screen, &["show", "broken"]), (Exit::Done, String::new()));
    assert!(screen.text().lines().all(|line| line.is_ascii() || !line.contains('█')), "{}", screen.text());
    insta::assert_snapshot!(screen.text());
}

#[test]
fn a_step_at_80_columns() {
    let runs = Runs::new().with("shakespeare", &SmallGpt::default());
    insta::assert_snapshot!(runs.screen(&["show", "shakespeare", "--step", "1013", "--measure", "std"]));
}

/// What was thinned still has its statistics, and they are those that were written.
#[test]
fn steps_that_were_pruned() {
    let gpt = SmallGpt::default();
    let runs = Runs::new().with("shakespeare", &gpt);
    let dry = runs.screen(&["prune", "shakespeare", "--snapshots", "5", "--dry-run"]);
    assert!(dry.contains("36 snapshots would be left with statistics only, of steps"), "{dry}");
    assert!(!runs.screen(&["show", "shakespeare"]).contains("statistics only"), "dry runs change nothing");
    let told = runs.json(&["prune", "shakespeare", "--snapshots", "5"]);
    assert_eq!((&told["thinned"], &told["whole_snapshots"]), (&36.into(), &5.into()));
    let thinned = told["thinned_steps"][20].as_u64().expect("a step");
    let json = runs.json(&["show", "shakespeare", "--step", &thinned.to_string()]);
    assert_eq!((&json["at"]["step"], &json["at"]["thinned"]), (&thinned.into(), &true.into()));
    let std = json["at"]["parameters"][3]["values"]["std"].as_f64().expect("a number");
    let expected = f64::from(gpt.value(quantviz::Quantity::Std, 3, thinned));
    assert!((std - expected).abs() < 1e-7, "{std} {expected}");
    assert_eq!(json["thinned"], 36);
    let again = runs.screen(&["prune", "shakespeare", "--snapshots", "5"]);
    assert_eq!(again, "session shakespeare: nothing to prune; 5 whole snapshots\n");
}

#[test]
fn numbers_of_a_session() {
    let gpt = SmallGpt { nan_from: Some(1990), ..SmallGpt::default() };
    let json = Runs::new().with("shakespeare", &gpt).json(&["show", "shakespeare"]);
    assert_eq!((&json["schema"], &json["state"]), (&"quantviz.session/1".into(), &"finished".into()));
    assert_eq!(json["learning"]["trend"], "not_finite");
    let loss = json["scalars"].as_array().expect("a list").iter().find(|it| it["name"] == "loss");
    let loss = loss.expect("it was told");
    assert_eq!((&loss["steps"][1999], &loss["values"][1999]), (&1999.into(), &"nan".into()));
    assert_eq!(loss["values"][7].as_f64(), Some(gpt.loss(7)));
    assert!(json["at"].is_null());
    // The root mean square of all weights, by the formula and in f64.
    let (mut squares, mut elements) = (0.0, 0.0);
    for (at, parameter) in gpt.model().parameters.iter().enumerate() {
        let value = |quantity| f64::from(gpt.value(quantity, at, 2000));
        let count = parameter.shape.elements() as f64;
        squares += count * (value(quantviz::Quantity::Mean).powi(2) + value(quantviz::Quantity::Std).powi(2));
        elements += count;
    }
    let rms = json["norms"][0]["values"][40].as_f64().expect("a number");
    assert!((rms - (squares / elements).sqrt()).abs() < 1e-9, "{rms}");
}

#[test]
fn several_ranks() {
    let rank =
        |at| SmallGpt { rank: Rank::new(at, 4).expect("one of four"), steps: 200, ..SmallGpt::default() };
    let runs = Runs::new().with("wide", &rank(0)).with("wide", &rank(2));
    let text = runs.screen(&["show", "wide", "--step", "100"]);
    assert!(text.contains("2 of 4 ranks recorded this step\n"), "both say the same: {text}");
    let text = runs.screen(&["show", "wide"]);
    assert!(text.contains("2 of 4 ranks at step 200"), "{text}");
}

#[test]
fn what_is_not_there() {
    let runs = Runs::new().with("a", &SmallGpt { steps: 10, ..SmallGpt::default() });
    let line = runs.error(&["show", "b"]);
    assert!(line.ends_with("runs: there is no session b; there are: a\n"), "{line}");
    let line = runs.error(&["show", "../b"]);
    assert!(line.contains("cannot name a session"), "{line}");
    assert!(Runs::new().error(&["show", "b"]).contains("nothing was recorded here"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run_with(["quantviz", "sessions", "list", "--store", "elsewhere"], &mut out, &mut err, &runs);
    let line = String::from_utf8(err).expect("UTF-8");
    assert_eq!(exit, Exit::Trouble);
    assert!(line.contains("elsewhere: there are no sessions here; --store names"), "{line}");
    let empty = Runs::new();
    empty.0.open(&id("empty"), Rank::ONLY, Opening::New).expect("nobody has it");
    assert!(empty.screen(&["show", "empty"]).contains("No snapshots yet."));
    assert!(empty.error(&["show", "empty", "--step", "3"]).contains("it has no snapshots"));
    let mut screen = Screen::of(80);
    let (exit, err) = runs.run(&mut screen, &["show", "a", "--measure", "beauty"]);
    assert!(exit == Exit::Trouble && err.contains("there is no \"beauty\"; there are min, max"), "{err}");
}

/// One that was killed, and one that writes rarely, look alike but for its beats.
#[test]
fn runs_that_may_still_be_written() {
    let time = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(NOW_MS));
    let clock = time.clone();
    let store = MemoryStore::new().with_clock(move || clock.load(std::sync::atomic::Ordering::SeqCst));
    let writer = store.open(&id("rare"), Rank::ONLY, Opening::New).expect("nobody has it");
    let runs = Runs(store).with("killed", &SmallGpt { steps: 10, end: None, ..SmallGpt::default() });
    // More than an hour ago: it is lost.
    assert!(runs.screen(&["prune", "killed"]).contains("nothing to prune"));
    assert!(runs.screen(&["prune", "rare"]).contains("nothing to prune"));
    time.store(NOW_MS + 7_400_000, std::sync::atomic::Ordering::SeqCst);
    runs.0.beat(&writer).expect("it lives");
    let line = runs.error(&["rm", "rare", "--yes"]);
    assert!(
        line.contains("session rare: it may still be written, since it did not say that it ended"),
        "{line}"
    );
    assert!(line.contains("was heard from 100 s ago; --force to remove it all the same"), "{line}");
    time.store(NOW_MS + 7_490_000, std::sync::atomic::Ordering::SeqCst);
    runs.0.beat(&writer).expect("it lives");
    assert!(runs.error(&["prune", "rare"]).contains("it is being written, and was heard from 10 s ago"));
}

#[test]
fn removing() {
    let live = SmallGpt { steps: 10, end: None, ..SmallGpt::default() };
    let store = MemoryStore::new().with_clock(|| NOW_MS + 7_499_000);
    let runs = Runs(store).with("live", &live).with("done", &SmallGpt { steps: 10, ..SmallGpt::default() });
    assert!(
        runs.error(&["rm", "live", "--yes"])
            .contains("it is being written, and was heard from 1 s ago; --force")
    );
    assert!(
        runs.error(&["prune", "live"]).contains("it is being written, and was heard from 1 s ago; --force")
    );
    assert!(runs.screen(&["prune", "live", "--dry-run"]).contains("nothing to prune"));
    assert!(runs.screen(&["prune", "live", "--force"]).contains("nothing to prune"));
    assert!(runs.error(&["rm", "done"]).contains("--yes removes it, "));
    assert!(runs.screen(&["rm", "done", "--yes"]).starts_with("removed session done, "));
    runs.screen(&["rm", "live", "--yes", "--force"]);
    assert!(runs.0.sessions().expect("readable").is_empty());
}

/// What is written agrees with what `show` says, in a file that is there whole or not at all.
#[test]
fn exporting() {
    let gpt = SmallGpt { steps: 200, ..SmallGpt::default() };
    let runs = Runs::new().with("run", &gpt);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let export = |format: &str, rest: &[&str]| {
        let file = path(&format!("run.{format}"));
        runs.json(&[&["export", "run", "--format", format, "-o", &file], rest].concat())
    };
    let told = export("csv", &[]);
    assert_eq!(
        (&told["rows"], &told["snapshots"], &told["parameters"]),
        (&281.into(), &5.into(), &16.into())
    );
    assert_eq!(told["bytes"], std::fs::metadata(path("run.csv")).expect("written").len());
    export("csv", &["--steps", "100..150", "--parameters", "lm_head.*"]);
    let csv = std::fs::read_to_string(path("run.csv")).expect("written again");
    assert_eq!(csv.lines().count(), 1 + 51 + 2);
    // Other readers than the writers: quantviz's own of models and of recordings.
    for format in ["safetensors", "npz"] {
        assert_eq!(export(format, &[])["left_out"], serde_json::json!([]));
    }
    let model = quantviz::open(Path::new(&path("run.safetensors"))).expect("safetensors");
    let id =
        quantviz::ParameterSource::model(&model).parameter_named("lm_head.weight/std").expect("an array");
    let summary = quantviz::SourceExt::summary(&model, id).expect("readable");
    let matrix = gpt.model().parameters.len() - 1;
    let last = f64::from(gpt.value(quantviz::Quantity::Std, matrix, 200));
    assert_eq!((summary.count(), summary.max()), (5, Some(last)));
    let recordings = quantviz::open_recordings(Path::new(&path("run.npz")), &quantviz::Limits::default());
    assert!(recordings.is_ok(), "{:?}", recordings.err());
    let mut screen = Screen::of(80);
    let streamed = ["export", "run@60", "--format", "csv", "-o", "-", "--parameters", "lm_head.weight"];
    let (exit, err) = runs.run(&mut screen, &streamed);
    assert_eq!((exit, screen.text().lines().count()), (Exit::Done, 3), "{err}");
    assert_eq!(err, "warning: run: nothing was kept of step 60: step 50 is the nearest that was\n");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("there").count(),
        3,
        "nothing beside what was asked for"
    );
}

#[test]
fn exports_that_fail() {
    let runs = Runs::new().with("run", &SmallGpt { steps: 100, ..SmallGpt::default() });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.npz").to_string_lossy().into_owned();
    fn with<'a>(path: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        [&["export", "run", "--format", "npz", "-o", path], rest].concat()
    }
    let line = runs.error(&with(&path, &["--parameters", "nothing*"]));
    assert!(
        line.ends_with(
            "no parameter has a name like \"nothing*\"; the first is \"transformer.wte.weight\"\n"
        )
    );
    let line = runs.error(&with(&path, &["--steps", "200..300"]));
    assert!(
        line.ends_with("nothing was recorded from step 200 to 300; there are steps 0 to 100\n"),
        "{line}"
    );
    let missing = folder.path().join("missing/run.csv").to_string_lossy().into_owned();
    let line = runs.error(&["export", "run", "--format", "csv", "-o", &missing]);
    assert!(line.ends_with("missing/run.csv: no such file or folder\n"), "{line}");
    let usage = |arguments: &[&str]| {
        let mut screen = Screen::of(80);
        let (exit, err) = runs.run(&mut screen, arguments);
        assert_eq!(exit, Exit::Trouble, "{err}");
        err
    };
    let line = usage(&["export", "run", "--format", "npz", "-o", "-"]);
    assert!(line.contains("npz needs a file; name one with --output"), "{line}");
    let line = usage(&["export", "run", "--format", "xlsx", "-o", &path]);
    assert!(
        line.contains("there is no format \"xlsx\"; there are safetensors, npz, parquet, csv, json"),
        "{line}"
    );
    assert!(usage(&with(&path, &["--steps", "3..1"])).contains("the first is behind the last"));
    let line = usage(&["export", "run@3", "--format", "npz", "-o", &path, "--steps", "1.."]);
    assert!(line.contains("SESSION@STEP is one step; leave --steps out"), "{line}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0, "nothing is left");
}

#[test]
fn an_export_at_80_columns() {
    let runs = Runs::new().with("run", &SmallGpt { steps: 200, ..SmallGpt::default() });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.npz");
    let screen = runs.screen(&["export", "run", "--format", "npz", "-o", &path.to_string_lossy()]);
    let screen = screen.replace(&*folder.path().to_string_lossy(), "");
    assert!(screen.starts_with("/run.npz: ") && screen.contains(" arrays\n"), "{screen}");
    assert!(screen.ends_with("  session run: 16 parameters at 5 steps, 3 scalars\n"), "{screen}");
}
