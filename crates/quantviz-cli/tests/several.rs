//! Several models at once: folders, files that are named together, and those of them that cannot be read.

mod screen;

use quantviz_cli::{Exit, run};
use quantviz_testkit::SafetensorsBuilder;
use screen::Screen;

/// What a command prints, and what it tells beside that.
fn told(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(["quantviz"].iter().chain(arguments), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

/// A folder with two variants of a model, and another one.
fn folder() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["m.safetensors", "m_fp16.safetensors", "other.safetensors"] {
        let file = SafetensorsBuilder::new().tensor("w", "F32", [1], &[0; 4]);
        std::fs::write(folder.path().join(name), file.build()).expect("written");
    }
    let root = folder.path().to_owned();
    (folder, move |name: &str| root.join(name).to_string_lossy().into_owned())
}

#[test]
fn files_that_are_named_together_are_like_a_folder_of_them() {
    let (folder, path) = folder();
    let whole = folder.path().to_string_lossy();
    let files = ["other.safetensors", "m_fp16.safetensors", "m.safetensors"].map(&path);
    for command in [&["layers"][..], &["inspect"], &["inspect", "--json"], &["inspect", "--param", "w"]] {
        let of_folder = told(&[command, &[&whole]].concat());
        let of_files = told(&[command, &files.each_ref().map(String::as_str)].concat());
        assert_eq!(of_files, of_folder, "{command:?}");
        assert!(of_files.0 == Exit::Done && of_files.2.is_empty());
        // Twice the same is once.
        let twice = told(&[command, &[&whole, &*files[0]]].concat());
        assert_eq!(twice, of_folder, "{command:?}");
    }
    let (_, out, _) = told(&["inspect", &files[1], &files[2]]);
    assert!(out.starts_with("m: 2 variants\n") && !out.contains("other"), "{out}");
}

#[test]
fn one_that_is_not_there_hides_no_other() {
    let (_folder, path) = folder();
    for command in ["layers", "inspect"] {
        let (exit, out, err) = told(&[command, &path("other.safetensors"), &path("gone.onnx")]);
        assert_eq!(exit, Exit::Trouble);
        assert!(out.contains("other.safetensors"), "{out}");
        assert_eq!(err, format!("error: {}: no such file or folder\n", path("gone.onnx")));
    }
    let (exit, out, err) = told(&["inspect", "--json", &path("other.safetensors"), &path("gone.onnx")]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((exit, err.as_str(), json.as_array().map(Vec::len)), (Exit::Trouble, "", Some(2)));
    assert_eq!(json[0]["model"]["error"], "no such file or folder");
}

#[test]
fn what_makes_the_exit_code_is_an_error() {
    let (folder, path) = folder();
    std::fs::write(folder.path().join("pointer.onnx"), "version https://git-lfs.github.com/spec/v1\noid")
        .expect("written");
    let whole = folder.path().to_string_lossy().into_owned();
    let pointer = "this is a Git LFS pointer, not the file itself: run 'git lfs pull'";
    for command in ["layers", "inspect"] {
        let (exit, out, err) = told(&[command, &whole]);
        assert_eq!((exit, err), (Exit::Trouble, format!("error: {}: {pointer}\n", path("pointer.onnx"))));
        assert!(out.contains("other.safetensors"));
    }
}

#[test]
fn models_of_foreign_formats_alone_are_trouble() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.tflite"), b"\x1c\0\0\0TFL3").expect("written");
    let whole = folder.path().to_string_lossy().into_owned();
    for command in ["layers", "inspect"] {
        let (exit, out, err) = told(&[command, &whole]);
        let lines: Vec<&str> = err.lines().collect();
        assert!(lines[0].starts_with("warning: ") && lines[0].contains("this is a TFLite model"), "{err}");
        assert_eq!(
            (exit, &*out, &lines[1..]),
            (Exit::Trouble, "", &["error: none of these models can be read"][..])
        );
    }
}

#[test]
fn a_folder_around_that_of_the_models_names_it() {
    let (folder, _) = folder();
    let around = folder.path().join("around");
    std::fs::create_dir_all(around.join("a/b")).expect("a folder");
    let (_, _, err) = told(&["inspect", &around.to_string_lossy()]);
    assert!(
        err.contains("no model in this folder (of the folders inside it, only onnx/ is searched)"),
        "{err}"
    );
    std::fs::copy(folder.path().join("m.safetensors"), around.join("a/b/m.safetensors")).expect("copied");
    let inside = around.join("a/b");
    for command in ["layers", "inspect"] {
        let (exit, out, err) = told(&[command, &around.to_string_lossy()]);
        assert_eq!((exit, &*out), (Exit::Trouble, ""));
        let try_it = format!(": there is no model in this folder itself; try {}\n", inside.display());
        assert!(err.ends_with(&try_it) && err.lines().count() == 1, "{err}");
    }
    assert_eq!(told(&["layers", &inside.to_string_lossy()]).0, Exit::Done);
}

#[test]
fn long_lines_are_broken_on_terminals_alone() {
    let (folder, path) = folder();
    std::fs::write(folder.path().join("pointer.onnx"), "<html>").expect("written");
    let whole = folder.path().to_string_lossy().into_owned();
    let mut err = Screen::of(60);
    run(["quantviz", "layers", &whole], &mut Vec::new(), &mut err);
    let text = err.text();
    assert!(text.lines().count() > 1 && text.lines().all(|line| line.chars().count() <= 60), "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("       ")), "{text}");
    let joined = text.replace("\n       ", " ");
    assert_eq!((told(&["layers", &whole]).2, path("pointer.onnx").is_empty()), (joined, false));
}
