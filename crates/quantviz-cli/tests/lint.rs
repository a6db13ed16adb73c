//! `quantviz lint` as people and scripts see it.

mod screen;

use quantviz_cli::{Exit, run};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Graph, Node, Storage, data_type};
use screen::{Screen, screen};
use serde_json::Value;

/// A weight with a bad scale, a negative one and eight equal ones, behind an activation that nobody calibrated.
fn broken() -> Vec<u8> {
    let mut scales = vec![0.5f32; 16];
    (scales[0], scales[1]) = (f32::NAN, -0.25);
    let graph = Graph::new("main")
        .input("input", data_type::FLOAT, [1, 128])
        .initializer("input_scale", data_type::FLOAT, [], Storage::floats(&[1.0]))
        .initializer("fc.weight_quantized", data_type::INT8, [128, 16], Storage::Raw(vec![7; 2048]))
        .initializer("fc.weight_scale", data_type::FLOAT, [16], Storage::floats(&scales))
        .node(Node::new("QuantizeLinear").inputs(["input", "input_scale"]).outputs(["codes"]))
        .node(Node::new("DequantizeLinear").inputs(["codes", "input_scale"]).outputs(["real_input"]))
        .node(
            Node::new("DequantizeLinear")
                .inputs(["fc.weight_quantized", "fc.weight_scale"])
                .outputs(["fc.weight"]),
        )
        .node(Node::new("MatMul").name("fc").inputs(["real_input", "fc.weight"]).outputs(["logits"]));
    OnnxBuilder::new(graph).build()
}

/// What a command prints in a terminal of 80 columns, and how it ended.
fn lint(arguments: &[&str]) -> (String, String, Exit) {
    let (mut out, mut err) = (Screen::of(80), Vec::new());
    let arguments = ["quantviz", "--color", "never", "lint"].iter().chain(arguments);
    let exit = run(arguments, &mut out, &mut err);
    (out.text(), String::from_utf8(err).expect("UTF-8"), exit)
}

fn in_folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    folder
}

fn fixture(name: &str) -> String {
    format!("{}/../../fixtures/resnet8/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_is_found_is_told_worst_first() {
    let folder = in_folder(&[("model.onnx", &broken())]);
    let path = folder.path().join("model.onnx").to_string_lossy().into_owned();
    let (out, err, exit) = lint(&[&path]);
    assert_eq!((err.as_str(), exit), ("", Exit::FallsShort));
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    insta::assert_snapshot!(out.replace(&path, "model.onnx"));
}

#[test]
fn all_is_well() {
    let path = fixture("resnet8_int8.onnx");
    let out = screen(80, &["lint", &path]);
    assert_eq!(out, format!("{path}\nno findings\n"));
}

/// Field by field: a changed or removed one is a new version of the schema.
#[test]
fn json() {
    let clean = std::fs::read(fixture("resnet8_int8.onnx")).expect("the fixture is there");
    let folder = in_folder(&[("model.onnx", &broken()), ("sound.onnx", &clean)]);
    let [path, sound] =
        ["model.onnx", "sound.onnx"].map(|name| folder.path().join(name).to_string_lossy().into_owned());
    let (out, err, exit) = lint(&["--json", &sound, &path]);
    assert_eq!((err.as_str(), exit), ("", Exit::FallsShort));
    let document: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(document["schema"], "quantviz.lint/1");
    assert_eq!(document["models"][1]["findings"], Value::Array(Vec::new()));
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&document["models"][0]).expect("JSON").replace(&path, "model.onnx")
    );
}

#[test]
fn a_folder_of_models() {
    let float = std::fs::read(fixture("resnet8_fp32.onnx")).expect("the fixture is there");
    let folder = in_folder(&[("a.onnx", &broken()), ("b.onnx", &float)]);
    let (out, err, exit) = lint(&[&folder.path().to_string_lossy()]);
    assert_eq!((err.as_str(), exit), ("", Exit::FallsShort));
    let (a, b) = (out.find("a.onnx").expect("listed"), out.find("b.onnx").expect("listed"));
    assert!(a < b && out.contains("b.onnx\nnothing in it is quantized"), "{out}");

    // One that cannot be read hides no other, and is worse than a finding.
    std::fs::write(folder.path().join("c.onnx"), b"no model").expect("written");
    let (out, err, exit) = lint(&[&folder.path().to_string_lossy()]);
    assert_eq!(exit, Exit::Trouble);
    assert!(err.starts_with("error: ") && err.contains("c.onnx"), "{err}");
    assert!(out.contains("c.onnx\nit cannot be read") && out.contains("QV001"), "{out}");
    let (out, _, _) = lint(&["--json", &folder.path().to_string_lossy()]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let errors =
        document["models"].as_array().expect("a list").iter().map(|model| model["error"].is_string());
    assert_eq!(errors.collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn bad_input_and_usage() {
    let (out, err, exit) = lint(&["no-such.onnx"]);
    assert_eq!((out.as_str(), exit, err.starts_with("error: ")), ("", Exit::Trouble, true));
    let (_, err, exit) = lint(&[&fixture("resnet8_int8.onnx"), "--target", "toaster"]);
    assert_eq!(exit, Exit::Trouble);
    assert!(err.contains("ort-x86-avx2, tensorrt, qnn"), "{err}");
    assert_eq!(lint(&[]).2, Exit::Trouble);
}

#[test]
fn what_cannot_be_read_is_no_clean_model() {
    let graph = Graph::new("main")
        .input("x", data_type::FLOAT, [1, 4])
        .initializer("w", data_type::INT8, [4, 4], Storage::external("gone.bin", None, None))
        .initializer("s", data_type::FLOAT, [], Storage::floats(&[0.5]))
        .node(Node::new("DequantizeLinear").inputs(["w", "s"]).outputs(["real"]))
        .node(Node::new("MatMul").inputs(["x", "real"]).outputs(["y"]));
    let folder = in_folder(&[("model.onnx", &OnnxBuilder::new(graph).build())]);
    let path = folder.path().join("model.onnx").to_string_lossy().into_owned();
    let (out, err, exit) = lint(&[&path]);
    assert_eq!(exit, Exit::Trouble);
    assert!(out.contains("no findings, but 1 tensor cannot be judged"), "{out}");
    assert!(err.contains("gone.bin"), "{err}");
    let (out, _, _) = lint(&["--json", &path]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(document["models"][0]["unread"].as_array().map(Vec::len), Some(1));
}

/// It is no fault of the file, but no clean bill either.
#[test]
fn what_is_not_supported_is_not_judged() {
    let graph = Graph::new("main")
        .input("x", data_type::FLOAT, [1, 4])
        .initializer("w", data_type::INT8, [4, 4], Storage::Raw(vec![1; 16]))
        .node(Node::new("VendorMatMul").domain("com.vendor").inputs(["x", "w"]).outputs(["y"]));
    let file = OnnxBuilder::new(graph).opset("", 21).opset("com.vendor", 1);
    let folder = in_folder(&[("model.onnx", &file.build())]);
    let (out, err, exit) = lint(&[&folder.path().join("model.onnx").to_string_lossy()]);
    assert_eq!(exit, Exit::Done);
    assert!(out.contains("no findings, but 1 tensor cannot be judged"), "{out}");
    assert!(err.contains("VendorMatMul is not known here"), "{err}");
}

#[test]
fn a_target_adds_its_own_rules() {
    let path = fixture("resnet8_int8.onnx");
    // Weights of eight bits behind signed activations do not saturate.
    assert_eq!(lint(&[&path, "--target", "ort-x86-avx2"]).2, Exit::Done);
    let folder = in_folder(&[("model.onnx", &broken())]);
    let path = folder.path().join("model.onnx").to_string_lossy().into_owned();
    let negative = |arguments: &[&str]| {
        let (out, _, _) = lint(&[&["--json", &path], arguments].concat());
        let document: Value = serde_json::from_str(&out).expect("JSON");
        let findings = document["models"][0]["findings"].as_array().expect("a list").clone();
        findings.iter().find(|it| it["code"] == "QV002").expect("found")["level"].clone()
    };
    assert_eq!(negative(&[]), "warning");
    assert_eq!(negative(&["--target", "tensorrt"]), "error");
}
