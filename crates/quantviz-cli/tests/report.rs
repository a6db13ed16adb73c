//! `quantviz report`: the page of the ResNet8 set, and how it gets into its place.

use std::fs;
use std::path::Path;

use quantviz_cli::{Exit, run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");

fn report(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run([&["quantviz", "report"], args].concat(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn onnx(variant: &str) -> String {
    format!("{FOLDER}/resnet8_{variant}.onnx")
}

#[test]
fn a_folder_is_one_page_of_less_than_200_kilobytes() {
    let (exit, html, err) = report(&[FOLDER, "-o", "-"]);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    assert!(html.len() < 200_000, "{}", html.len());
    assert_eq!(html.matches("<a class=\"qv-row\"").count(), 10);
    assert_eq!(html.matches("<details class=\"qv-layer\"").count(), 22);
    for shown in
        ["<h1 id=\"qv-report-title\">resnet8</h1>", "40.5 dB, weights only", ">worst<", "layer3.conv2.weight"]
    {
        assert!(html.contains(shown), "{shown}");
    }
}

#[test]
fn the_named_reference_comes_first() {
    let (exit, html, _) = report(&[&onnx("fp32"), &onnx("uint8"), "-o", "-"]);
    assert_eq!(exit, Exit::Done);
    let models = ["FP32", "UINT8", "INT8"].map(|model| html.find(&format!("<th scope=\"row\">{model}</th>")));
    assert!(models[0] < models[1] && models[2].is_none(), "{models:?}");
}

#[test]
fn a_checkpoint_is_a_reference_too() {
    let (exit, html, _) = report(&[&format!("{FOLDER}/resnet8.pt"), &onnx("int8"), "-o", "-"]);
    assert_eq!(exit, Exit::Done);
    assert!(html.contains("folded in"), "the reference is what went through its normalisations");
}

#[test]
fn one_model_stands_alone() {
    for variant in ["fp32", "int8"] {
        let (exit, html, _) = report(&[&onnx(variant), "-o", "-"]);
        assert_eq!(exit, Exit::Done);
        assert!(html.contains("qv-fill") && !html.contains("qv-fill-quantized\" transform"), "{variant}");
        // The range of codes would say nothing: real values do.
        assert!(html.contains("0.6142"), "{variant}");
    }
}

#[test]
fn it_is_written_whole_and_tells_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    let (exit, out, _) = report(&[FOLDER, "--output", path(&page)]);
    assert_eq!(exit, Exit::Done);
    assert!(out.starts_with(path(&page)) && out.ends_with("kB, 3 models, 22 layers\n"), "{out}");
    assert!(fs::read_to_string(&page).expect("there").ends_with("</html>"));
    assert_eq!(fs::read_dir(&folder).expect("there").count(), 1);
}

#[test]
fn a_model_is_never_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("resnet8_int8.onnx");
    fs::copy(onnx("int8"), &model).expect("copied");
    let bytes = fs::read(&model).expect("there");
    let reference = onnx("fp32");
    for models in [vec![path(&model)], vec![&reference, path(&model)]] {
        let (exit, _, err) = report(&[&models[..], &["-o", path(&model)]].concat());
        assert_eq!(exit, Exit::Trouble);
        assert!(err.contains("would take the place of a model"), "{err}");
    }
    assert_eq!(fs::read(&model).expect("there"), bytes);
}

#[test]
fn trouble_is_one_line_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("no/page.html");
    let (exit, _, err) = report(&[&onnx("fp32"), "-o", path(&missing)]);
    assert_eq!((exit, err.lines().count()), (Exit::Trouble, 1), "{err}");
    assert!(err.contains("page.html"), "{err}");
    for paths in [vec!["no-such.onnx"], vec![path(folder.path())]] {
        let (exit, _, err) = report(&paths);
        assert_eq!((exit, err.lines().count()), (Exit::Trouble, 1), "{err}");
    }
    let (exit, _, err) = report(&[FOLDER, "-o", "-", "--open"]);
    assert_eq!(exit, Exit::Trouble);
    assert!(err.contains("--open needs a file"), "{err}");
    assert_eq!(fs::read_dir(&folder).expect("there").count(), 0);
}

/// A folder with the reference and INT8, and UINT8 cut short.
fn with_a_damaged_variant() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for variant in ["fp32", "int8", "uint8"] {
        let bytes = fs::read(onnx(variant)).expect("there");
        let kept = if variant == "uint8" { bytes.len() / 2 } else { bytes.len() };
        fs::write(folder.path().join(format!("resnet8_{variant}.onnx")), &bytes[..kept]).expect("written");
    }
    folder
}

#[test]
fn a_damaged_variant_hides_no_other() {
    let folder = with_a_damaged_variant();
    let (exit, html, err) = report(&[path(folder.path()), "-o", "-"]);
    assert_eq!((exit, err.lines().count()), (Exit::Trouble, 1), "{err}");
    assert!(err.starts_with("error: ") && err.contains("resnet8_uint8.onnx: "), "{err}");
    assert!(
        html.contains("▲ resnet8_uint8.onnx cannot be read, and is not shown: "),
        "the page says it, too"
    );
    assert!(html.contains("<th scope=\"row\">INT8</th>") && !html.contains("<th scope=\"row\">UINT8</th>"));
}

#[test]
fn a_reference_whose_variants_are_all_damaged_is_shown_alone() {
    let folder = with_a_damaged_variant();
    let [reference, damaged] = ["fp32", "uint8"].map(|it| folder.path().join(format!("resnet8_{it}.onnx")));
    let (exit, html, err) = report(&[path(&reference), path(&damaged), "-o", "-"]);
    assert_eq!((exit, err.lines().count()), (Exit::Trouble, 1), "{err}");
    assert!(html.contains("▲ resnet8_uint8.onnx cannot be read") && html.contains("qv-fill"));
    // A damaged reference leaves nothing to be shown.
    let (exit, html, err) = report(&[path(&damaged), path(&reference), "-o", "-"]);
    assert_eq!((exit, html.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{err}");
}

#[test]
fn more_models_than_places_can_be_chosen() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut models = vec![onnx("fp32")];
    for index in 0..4 {
        let copy = folder.path().join(format!("resnet8_int8_{index}.onnx"));
        fs::copy(onnx("int8"), &copy).expect("copied");
        models.push(path(&copy).to_owned());
    }
    let models: Vec<&str> = models.iter().map(String::as_str).collect();
    let (exit, html, err) = report(&[&models[..], &["-o", "-"]].concat());
    assert_eq!((exit, err.lines().count()), (Exit::Done, 1), "{err}");
    assert!(err.contains("the ranges of 4 of 5 models stand side by side"), "{err}");
    assert!(html.contains("Not drawn: INT8 3."), "models of one type are told apart");
    assert_eq!(html.matches("<select class=\"qv-model\"").count(), 3);
}
