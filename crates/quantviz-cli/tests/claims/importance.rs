//! Errors weighted by importance, whatever form it has and however the weights lie.

use quantviz_testkit::SafetensorsBuilder;
use serde_json::Value;

use crate::agrees::{DECIBELS, agrees};
use crate::screen::screen;
use crate::{FOLDER, compared, path, refused, truth};

fn check(truth: &Value, variant: &Value) {
    let pairs = variant["pairs"].as_array().expect("a list");
    let mut known = 0;
    for pair in pairs {
        let name = pair["quantized"].as_str().expect("a name");
        let (expected, found) = (&truth["pairs"][name], &pair["importance_sqnr_db"]);
        assert!(agrees("importance_sqnr_db", expected, found), "{name}: {expected}, not {found}");
        known += usize::from(found.is_number());
    }
    assert_eq!(Some(known as u64), truth["counted"].as_u64());
    let model = &variant["model"];
    assert_eq!(model["basis"], "importance");
    assert!(agrees("sqnr_db", &truth["model"], &model["sqnr_db"]), "{model}");
    let (weights, importance) = (&model["claims"][0], &model["claims"][1]);
    assert_eq!((&weights["basis"], &importance["basis"]), (&"weights".into(), &"importance".into()));
    assert_eq!((&importance["counted"], &importance["of"]), (&truth["counted"], &truth["of"]));
    // It is another number than that of weights, and both are told.
    let difference =
        model["sqnr_db"].as_f64().expect("a number") - weights["sqnr_db"].as_f64().expect("a number");
    assert!(difference.abs() > DECIBELS, "{model}");
}

#[test]
fn three_forms_of_one_matrix() {
    let truth = &truth("importance.json")["gguf"];
    for form in ["imatrix.gguf", "imatrix.dat", "imatrix.safetensors"] {
        let arguments = [&path("model.safetensors"), &path("model-Q4_0.gguf"), "--importance", &path(form)];
        check(truth, &compared(&arguments));
    }
}

#[test]
fn kernels_groups_and_matrices() {
    let truth = &truth("importance.json")["onnx"];
    let (reference, quantized) = (path("network.safetensors"), path("network_int8.onnx"));
    check(
        truth,
        &compared(&[&reference, &quantized, "--importance", &path("network_importance.safetensors")]),
    );
}

#[test]
fn without_it_nothing_is_said() {
    let variant = compared(&[&path("model.safetensors"), &path("model-Q4_0.gguf")]);
    let pairs = variant["pairs"].as_array().expect("a list");
    assert!(pairs.iter().all(|pair| pair["importance_sqnr_db"].is_null()));
    assert_eq!(
        (&variant["model"]["basis"], variant["model"]["claims"].as_array().map(Vec::len)),
        (&"weights".into(), Some(1))
    );
    assert!(variant.get("recorded").is_none());
}

#[test]
fn a_column_of_its_own() {
    let arguments =
        [&path("model.safetensors"), &path("model-Q4_0.gguf"), "--importance", &path("imatrix.gguf")];
    let text = screen(80, &[&["compare"], &arguments[..]].concat()).replace(&format!("{FOLDER}/"), "");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

/// What is listed has to be mean squares of the inputs of these weights.
#[test]
fn what_is_not_of_these_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("importance.safetensors");
    let told = |name: &str, squares: &[f32]| {
        let bytes: Vec<u8> = squares.iter().flat_map(|it| it.to_le_bytes()).collect();
        let built = SafetensorsBuilder::new().tensor(name, "F32", [squares.len() as u64], &bytes).build();
        std::fs::write(&file, built).expect("written");
        let (reference, quantized) = (path("network.safetensors"), path("network_int8.onnx"));
        refused(&["compare", &reference, &quantized, "--importance", &file.to_string_lossy()])
    };
    for (name, squares, expected) in [
        (
            "matmul",
            &[1.0; 5][..],
            "matmul.weight_quantized: its importance, listed as matmul, has 5 numbers, but it has 4 inputs",
        ),
        ("matmul", &[1.0; 10], "that many are its outputs: --axis says where they lie"),
        ("depthwise", &[1.0; 4], "has 4 numbers, but it has 1 inputs"),
        ("gemm", &[1.0, -1.0], "gemm: the importance of input 1 is -1, and no mean of squares"),
        ("gemm", &[f32::NAN], "the importance of input 0 is NaN"),
        ("gemm", &[f32::INFINITY], "the importance of input 0 is inf"),
        ("gemm", &[0.0; 10], "the importance of all its inputs is zero"),
        ("gemm", &[], "the importance of all its inputs is zero"),
        ("stranger", &[1.0], "none of the 1 names that importance is listed for is a weight of it"),
    ] {
        let line = told(name, squares);
        assert!(line.contains(expected), "{line}");
    }
    assert!(
        refused(&[
            "compare",
            &path("network.safetensors"),
            &path("network_int8.onnx"),
            "--importance",
            &path("none")
        ])
        .contains("none")
    );
}
