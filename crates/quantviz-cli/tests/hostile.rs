//! Every hostile file there is, read by the command in a process with little memory and little time: it ends by itself,
//! and says in one line which file is wrong, and why.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

use quantviz_testkit::hostile::{self, Hostile, Outcome};
use serde::Deserialize;

/// 256 MB of address space, two seconds of processor time.
const BOUNDS: &str = "ulimit -v 262144 && ulimit -t 2 && exec \"$0\" \"$@\"";

#[test]
fn onnx() {
    check_all(hostile::onnx());
}

#[test]
fn safetensors() {
    check_all(hostile::safetensors());
}

#[test]
fn gguf() {
    check_all(hostile::gguf());
}

#[test]
fn torch() {
    check_all(hostile::torch());
}

/// Tells of all files that fail, not of the first alone.
fn check_all(files: Vec<Hostile>) {
    let failures: Vec<String> = files.iter().filter_map(|file| check(file).err()).collect();
    assert!(failures.is_empty(), "{} of {} files:\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn check(file: &Hostile) -> Result<(), String> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.expect("the temporary folder is writable");
    let path = file.write_to(folder.path()).expect("the temporary folder is writable");
    let name = path.to_string_lossy();
    let outcome = file.outcome;
    let runs: [&[&str]; 2] = [&["inspect", &name, "--bins", "64", "--json"], &["layers", &name]];
    for arguments in runs {
        let output = bounded(folder.path(), arguments);
        check_output(&output, outcome, arguments[0], folder.path())
            .map_err(|problem| format!("{}: {}: {}: {problem}", file.file, file.what, arguments[0]))?;
    }
    if let Outcome::Unreadable { parameter, why } = outcome {
        let output = bounded(folder.path(), &["inspect", &name, "--param", parameter]);
        check_output(&output, Outcome::Refused(why), "inspect", folder.path())
            .map_err(|problem| format!("{}: {}: --param {parameter}: {problem}", file.file, file.what))?;
    }
    let left: Vec<_> =
        folder.path().read_dir().expect("it is there").flatten().map(|it| it.file_name()).collect();
    if left.iter().any(|it| it == "hacked") { Err(format!("{}: it ran", file.what)) } else { Ok(()) }
}

fn bounded(folder: &Path, arguments: &[&str]) -> Output {
    let quantviz = env!("CARGO_BIN_EXE_quantviz");
    let mut command = Command::new("sh");
    command.args(["-c", BOUNDS, quantviz]).args(arguments).current_dir(folder).env("RUST_BACKTRACE", "0");
    command.output().expect("every Linux has a shell")
}

#[derive(Deserialize)]
struct Warnings {
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct Warning {
    parameter: Option<String>,
    message: String,
}

fn check_output(output: &Output, outcome: Outcome, command: &str, folder: &Path) -> Result<(), String> {
    let err = String::from_utf8_lossy(&output.stderr);
    let expect =
        |what: bool, problem: &str| if what { Ok(()) } else { Err(format!("{problem}: {:.2000}", err)) };
    let Some(code) = output.status.code() else {
        return Err(format!("{}: {:.2000}", output.status, err));
    };
    match (code, outcome) {
        (0, Outcome::Refused(why)) => return Err(format!("it was shown, and not refused with {why:?}")),
        (0, _) => {}
        (2, Outcome::Refused(why)) => expect(err.contains(why), &format!("the error lacks {why:?}"))?,
        (2, Outcome::Bounded) => {}
        (2, _) => expect(false, "it was refused")?,
        _ => expect(false, &format!("exit code {code}"))?,
    }
    if code == 2 {
        expect(output.stdout.is_empty(), "something was printed before the error")?;
        expect(err.starts_with("error: ") && err.ends_with('\n') && err.lines().count() == 1, "no line")?;
        expect(err.contains(&*folder.to_string_lossy()), "the error names no file")?;
        return expect(err.len() < 2000 && !err.trim_end().contains(char::is_control), "an odd line");
    }
    if command != "inspect" {
        return Ok(());
    }
    expect(err.is_empty(), "JSON has the warnings, and yet more was told")?;
    let json: Warnings =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("no JSON: {error}"))?;
    let lines: Vec<String> = json
        .warnings
        .into_iter()
        .map(|it| it.parameter.map(|parameter| parameter + ": ").unwrap_or_default() + &it.message)
        .collect();
    match outcome {
        Outcome::Warned(why) | Outcome::Unreadable { why, .. }
            if !lines.iter().any(|it| it.contains(why)) =>
        {
            Err(format!("no warning has {why:?}: {:.2000}", format!("{lines:?}")))
        }
        Outcome::Sound if !lines.is_empty() => {
            Err(format!("there is a warning: {:.2000}", format!("{lines:?}")))
        }
        _ => Ok(()),
    }
}
