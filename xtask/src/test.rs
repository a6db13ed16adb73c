//! `test`: everything that must hold, one part after another.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::install::Need;
use crate::metadata::Metadata;
use crate::process::{cargo, make_folder, run as show};

struct Part {
    title: &'static str,
    run: fn() -> Result,
    /// Whether the parts after it make no sense without it.
    essential: bool,
    /// Left out with `--fast`.
    slow: bool,
}

const PARTS: &[Part] = &[
    Part { title: "tidy", run: crate::tidy::check, essential: false, slow: false },
    Part { title: "build", run: build, essential: true, slow: false },
    Part { title: "tests", run: tests, essential: false, slow: false },
    Part { title: "features", run: features, essential: false, slow: false },
    Part { title: "documentation", run: documentation, essential: false, slow: false },
    Part { title: "agreement with Python", run: agreement, essential: false, slow: true },
    Part { title: "object stores", run: crate::object_stores::test, essential: false, slow: true },
    Part { title: "browser", run: browser, essential: false, slow: true },
    Part { title: "notebook", run: crate::notebook::test, essential: false, slow: true },
    Part { title: "clean files", run: clean_files, essential: false, slow: true },
];

struct Outcome {
    title: &'static str,
    time: Duration,
    result: Result,
}

pub(crate) fn run(args: &[String]) -> Result {
    let fast = match args {
        [] => false,
        [option] if option == "--fast" => true,
        _ => return Err("test knows one option, `--fast`".into()),
    };
    let outcomes = run_parts(PARTS.iter().filter(|part| !(fast && part.slow)));
    print_table(&outcomes);
    let failed: Vec<_> = outcomes.iter().filter(|o| o.result.is_err()).map(|o| o.title).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn run_parts<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for part in parts {
        println!("\n━━ {} ━━", part.title);
        let start = Instant::now();
        let result = (part.run)();
        let time = start.elapsed();
        match &result {
            Ok(()) => println!("{}: {:.1} s", part.title, time.as_secs_f64()),
            Err(message) => eprintln!("{}: {message}", part.title),
        }
        let stop = part.essential && result.is_err();
        outcomes.push(Outcome { title: part.title, time, result });
        if stop {
            break;
        }
    }
    outcomes
}

fn print_table(outcomes: &[Outcome]) {
    println!("\n{:<24}{:>8}", "part", "seconds");
    for Outcome { title, time, result } in outcomes {
        let verdict = if result.is_ok() { "" } else { "  failed" };
        println!("{title:<24}{:>8.1}{verdict}", time.as_secs_f64());
    }
    let total: Duration = outcomes.iter().map(|outcome| outcome.time).sum();
    println!("{:<24}{:>8.1}", "total", total.as_secs_f64());
}

/// Apart from running them, so that code that does not compile stops everything at once.
fn build() -> Result {
    show(&mut cargo(["test", "--workspace", "--no-run"]))
}

fn tests() -> Result {
    show(&mut cargo(["test", "--workspace"]))
}

/// Each feature alone, since tests see all of them together.
fn features() -> Result {
    for package in ["quantviz-formats", "quantviz", "quantviz-evcxr", "quantviz-store"] {
        show(&mut cargo(["check", "--package", package, "--no-default-features"]))?;
    }
    // Pictures without what paints them.
    show(&mut cargo(["check", "--package", "quantviz", "--no-default-features", "--features", "html"]))?;
    for features in ["record", "store", "cloud"] {
        let package = ["check", "--package", "quantviz", "--no-default-features", "--features", features];
        show(&mut cargo(package))?;
    }
    let session = ["check", "--package", "quantviz-evcxr", "--no-default-features", "--features", "session"];
    show(&mut cargo(session))?;
    for feature in ["gguf", "onnx", "safetensors", "torch"] {
        let package = ["check", "--package", "quantviz-formats", "--no-default-features"];
        show(cargo(package).args(["--features", feature]))?;
    }
    Ok(())
}

fn documentation() -> Result {
    show(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Python libraries that others trust write models and what they read from them; we must read the same. Their
/// quantizers make others of models; what that cost must be what numpy says.
fn agreement() -> Result {
    let python = crate::install::python("fixtures/python/requirements.txt")?;
    let target = Metadata::of_workspace()?.target_directory;
    for (name, variable) in [("agreement", "QUANTVIZ_AGREEMENT"), ("pairs", "QUANTVIZ_PAIRS")] {
        let folder = target.join(name);
        // What an earlier version of the script wrote is no case of this one. It may not exist yet.
        let _ = std::fs::remove_dir_all(&folder);
        make_folder(&folder)?;
        let script = format!("fixtures/python/make_{name}.py");
        show(std::process::Command::new(&python).arg(script).arg(&folder))?;
        // For the whole workspace, although one crate has this test: alone, it would be built once more.
        let test = ["test", "--workspace", "--test", name, "--", "--ignored"];
        show(cargo(test).env(variable, &folder))?;
    }
    exports(&python, &target.join("exports"))
}

/// What a session is exported as, opened by the formats' own readers.
fn exports(python: &Path, folder: &Path) -> Result {
    let _ = std::fs::remove_dir_all(folder);
    make_folder(folder)?;
    let test = ["test", "--workspace", "--test", "export", "--", "--ignored"];
    show(cargo(test).env("QUANTVIZ_EXPORTS", folder))?;
    show(Command::new(python).arg("fixtures/python/check_exports.py").arg(folder))
}

/// Pages do in a real browser what they promise: the pages are written by a test, and a script clicks in them.
fn browser() -> Result {
    crate::install::programs(&[
        Need { package: "chromium", sign: "chromium" },
        Need { package: "fonts-dejavu-core", sign: "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf" },
        Need { package: "nodejs", sign: "node" },
        Need { package: "npm", sign: "npm" },
    ])?;
    let folder = Metadata::of_workspace()?.target_directory.join("browser");
    make_folder(&folder)?;
    for name in ["package.json", "package-lock.json", "page.test.mjs"] {
        let from = std::path::Path::new("fixtures/browser").join(name);
        std::fs::copy(&from, folder.join(name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    let test = ["test", "--workspace", "--test", "fragments", "--", "--ignored"];
    show(cargo(test).env("QUANTVIZ_PAGES", &folder))?;
    show(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    show(Command::new("node").args(["--test", "page.test.mjs"]).current_dir(&folder))
}

/// In what quantizers make of a sound model there is nothing to find fault with.
fn clean_files() -> Result {
    let python = crate::install::python("fixtures/python/requirements.txt")?;
    let folder = Metadata::of_workspace()?.target_directory.join("clean");
    let _ = std::fs::remove_dir_all(&folder);
    make_folder(&folder)?;
    show(std::process::Command::new(python).arg("fixtures/python/make_clean.py").arg(&folder))?;
    let test = ["test", "--workspace", "--test", "findings", "--", "--ignored"];
    show(cargo(test).env("QUANTVIZ_CLEAN", &folder))
}
