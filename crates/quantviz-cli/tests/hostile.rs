//! Every hostile file there is, read by the command in a process with little memory and little time: it ends by itself,
//! and says in one line which file is wrong, and why.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

use quantviz_testkit::hostile::{self, Hostile, Outcome};
use quantviz_testkit::onnx::{Graph, Storage, data_type};
use quantviz_testkit::{OnnxBuilder, SafetensorsBuilder};
use serde::Deserialize;

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

/// However many cores there are: what each thread takes counts too.
#[test]
fn any_number_of_threads() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let weights = vec![7; 31 << 20];
    let file =
        SafetensorsBuilder::new().tensor("w", "U8", [31, 1 << 20], &weights).tensor("v", "U8", [0], &[]);
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, file.build()).expect("the temporary folder is writable");
    let name = path.to_string_lossy();
    for threads in ["1", "2", "64", "1000"] {
        let output =
            bounded(folder.path(), &["inspect", &name, "--bins", "64", "--threads", threads, "--json"]);
        check_output(&output, Outcome::Warned("no elements"), "inspect", folder.path()).expect(threads);
    }
}

/// Models in more files than a process may have open: those of a graph that has a file for every tensor, and shards.
#[test]
fn more_files_than_can_be_open() {
    const FILES: usize = 300;
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("the temporary folder is writable");
    };
    let mut graph = Graph::new("g");
    for number in 0..FILES {
        let (tensor, file) = (format!("w{number}"), format!("w{number}.bin"));
        put(&file, &[1, 2, 3]);
        graph = graph.initializer(&tensor, data_type::UINT8, [3], Storage::external(&file, None, None));
        let shard = SafetensorsBuilder::new().tensor(&tensor, "U8", [3], &[1, 2, 3]).build();
        put(&format!("model-{:05}-of-{FILES:05}.safetensors", number + 1), &shard);
    }
    put("model.onnx", &OnnxBuilder::new(graph).build());
    for name in ["model.onnx", &format!("model-00001-of-{FILES:05}.safetensors")] {
        let mut command = Command::new("sh");
        let bounds = "ulimit -n 128 && exec \"$0\" \"$@\"";
        command.args(["-c", bounds, env!("CARGO_BIN_EXE_quantviz"), "inspect", name, "--json"]);
        let output = command.current_dir(folder.path()).output().expect("every Linux has a shell");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let json = String::from_utf8_lossy(&output.stdout);
        assert_eq!(json.matches(r#""max":3"#).count(), FILES, "of {name}: {:.1000}", json);
    }
}

/// Files that are no files, and links that lead nowhere.
#[test]
fn what_is_no_file() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let at = |name: &str| folder.path().join(name);
    for end in ["onnx", "safetensors", "safetensors.index.json", "gguf", "pt"] {
        let [inside, pipe, circle, gone] =
            ["folder", "pipe", "circle", "gone"].map(|it| at(&format!("{it}.{end}")));
        std::fs::create_dir(&inside).expect("the temporary folder is writable");
        let made = Command::new("mkfifo").arg(&pipe).status().expect("every Linux has it");
        assert!(made.success());
        std::os::unix::fs::symlink(&circle, &circle).expect("the temporary folder can have links");
        std::os::unix::fs::symlink("/nowhere", &gone).expect("the temporary folder can have links");
        let kinds = [
            (inside, "no model in this folder"),
            (pipe, "not a regular file"),
            (circle, ""),
            (gone, "no such file"),
        ];
        for (path, why) in kinds {
            for command in ["inspect", "layers"] {
                let output = bounded(folder.path(), &[command, &path.to_string_lossy()]);
                check_output(&output, Outcome::Refused(why), command, folder.path())
                    .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
            }
        }
    }
}

#[test]
fn a_limit_is_named_and_can_be_raised() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let file = SafetensorsBuilder::new().tensor("a", "U8", [1], &[1]).tensor("b", "U8", [1], &[2]);
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, file.build()).expect("the temporary folder is writable");
    let name = path.to_string_lossy();
    for command in ["inspect", "layers"] {
        let output = bounded(folder.path(), &[command, &name, "--limit", "tensors=1"]);
        let why = "more than 1 tensors; if the file can be trusted, '--limit tensors=N' allows more";
        check_output(&output, Outcome::Refused(why), command, folder.path()).expect(command);
        let output =
            bounded(folder.path(), &[command, &name, "--limit", "tensors=1", "--limit", "tensors=2"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    for wrong in ["tensors", "tensors=many", "patience=1"] {
        let output = bounded(folder.path(), &["layers", &name, "--limit", wrong]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(wrong), "{err}");
    }
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
    check_lint(&bounded(folder.path(), &["lint", &name]))
        .map_err(|problem| format!("{}: {}: lint: {problem}", file.file, file.what))?;
    // Of most there is nothing to round, and a weight that cannot be read is a warning.
    let output = bounded(folder.path(), &["preview", &name, "--json"]);
    check_output(&output, Outcome::Bounded, "preview", folder.path())
        .map_err(|problem| format!("{}: {}: preview: {problem}", file.file, file.what))?;
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
    command
        .args(["-c", hostile::BOUNDS, quantviz])
        .args(arguments)
        .current_dir(folder)
        .env("RUST_BACKTRACE", "0");
    command.output().expect("every Linux has a shell")
}

/// Whatever is found, it ends by itself and tells it in lines.
fn check_lint(output: &Output) -> Result<(), String> {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match output.status.code() {
        Some(0..=2) if !text.lines().any(|line| line.contains(char::is_control)) => Ok(()),
        _ => Err(format!("{}: {text:.2000}", output.status)),
    }
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
    if let Some(broken) = json.warnings.iter().find(|it| it.message.contains(char::is_control)) {
        return Err(format!("{:?} is not a line", broken.message));
    }
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
