//! Recorded activations in every form that numpy and safetensors write.

use std::path::Path;

use serde_json::Value;

use crate::agrees::agrees;
use crate::screen::screen;
use crate::{FOLDER, compared, path, refused, truth};

fn models() -> [String; 2] {
    [path("network.safetensors"), path("network_int8.onnx")]
}

fn recorded(reference: &str, quantized: &str) -> Value {
    let [float, int8] = models();
    compared(&[&float, &int8, "--activations", reference, quantized])
}

#[test]
fn as_numpy_measures_them() {
    let truth = truth("recorded.json");
    let variant = recorded(&path("recorded/reference"), &path("recorded/quantized"));
    let tensors = variant["recorded"]["tensors"].as_array().expect("a list");
    let of = |name: &str| tensors.iter().find(|it| it["tensor"] == name).expect("it was recorded");
    let expected = truth["tensors"].as_object().expect("tensors by name");
    for (name, measures) in expected {
        for (measure, value) in measures.as_object().expect("measures") {
            let found = &of(name)[measure];
            assert!(agrees(measure, value, found), "{name}: {measure} is {value}, not {found}");
        }
        assert!(of(name).get("error").is_none(), "{name}");
    }
    assert_eq!(tensors.len(), expected.len() + 2);
    let error = |name: &str| of(name)["error"].as_str().expect("an error").to_owned();
    assert!(error("objects").contains("pickled Python objects, which are never loaded"));
    assert_eq!(error("shapes"), "its shape is 2×3 in the reference, but 3×2 in the other");
    let unmatched = |side: &str| variant["recorded"]["unmatched"][side][0]["parameter"].clone();
    assert_eq!(
        (unmatched("reference"), unmatched("quantized")),
        ("reference only".into(), "quantized only".into())
    );
    // Each as much as it has elements.
    let (mut elements, mut noise) = (0.0, 0.0);
    for measures in expected.values().filter(|it| it["sqnr_db"].is_number()) {
        let (count, db) = (measures["elements"].as_f64().expect("a count"), measures["sqnr_db"].as_f64());
        (elements, noise) = (elements + count, noise + count * 10f64.powf(-db.expect("a number") / 10.0));
    }
    let model = &variant["model"];
    assert_eq!(model["basis"], "activations");
    let all = -10.0 * (noise / elements).log10();
    assert!(agrees("sqnr_db", &all.into(), &model["sqnr_db"]), "{all}, not {model}");
}

#[test]
fn as_people_see_them() {
    let [float, int8] = models();
    let (reference, quantized) = (path("recorded/reference"), path("recorded/quantized"));
    let arguments = ["compare", &float, &int8, "--activations", &reference, &quantized];
    let text = screen(80, &arguments).replace(&format!("{FOLDER}/"), "");
    insta::assert_snapshot!(text);
}

/// The number of threads changes nothing.
#[test]
fn on_any_number_of_threads() {
    let [float, int8] = models();
    let (reference, quantized) = (path("recorded/reference"), path("recorded/quantized"));
    let on = |threads: &str| {
        compared(&[&float, &int8, "--activations", &reference, &quantized, "--threads", threads])
    };
    assert_eq!(on("1"), on("7"));
}

#[test]
fn files_and_folders() {
    let one = |name: &str| path(&format!("recorded/{name}"));
    let variant = recorded(&one("reference/batch0.npz"), &one("quantized/batch0.npz"));
    assert!(variant["recorded"]["tensors"].as_array().is_some_and(|it| it.len() == 8));
    // A single batch has its counterpart whatever its file is called.
    let variant = recorded(&one("reference/batch1.npz"), &one("quantized/batch0.npz"));
    let shapes = variant["recorded"]["tensors"].as_array().expect("a list").iter();
    let conv = shapes.clone().find(|it| it["tensor"] == "conv1/out").expect("it was recorded");
    assert!(conv["error"].as_str().is_some_and(|it| it.contains("1×4×3×3")), "{conv}");
    // Two here and one there cannot be told apart.
    let variant = recorded(&one("reference"), &one("quantized/batch0.npz"));
    let half = &variant["recorded"]["tensors"][0];
    assert!(
        half["error"].as_str().is_some_and(|it| it.contains("2 files") && it.contains("same name")),
        "{half}"
    );
}

#[test]
fn arrays_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |side: &str, name: &str, value: f32| {
        let mut file = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
        file.extend(format!("{:<69}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }").bytes());
        file.extend(value.to_le_bytes());
        let folder = folder.path().join(side);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name), file).expect("written");
        folder.to_string_lossy().into_owned()
    };
    put("r", "relu.npy", 2.0);
    let reference = put("r", "notes.txt", 0.0);
    let quantized = put("q", "relu.npy", 1.0);
    let variant = recorded(&reference, &quantized);
    let relu = &variant["recorded"]["tensors"][0];
    assert_eq!((&relu["tensor"], &relu["mse"]), (&"relu".into(), &1.0.into()));
}

#[test]
fn what_is_refused() {
    let [float, int8] = models();
    let (reference, quantized) = (path("recorded/reference"), path("recorded/quantized"));
    let other = path("network_uint8.onnx");
    let more = refused(&["compare", &float, &int8, &other, "--activations", &reference, &quantized]);
    assert!(more.contains("--activations are of one quantized model, but there are 2"), "{more}");
    let empty = tempfile::tempdir().expect("a folder");
    let empty = empty.path().to_string_lossy().into_owned();
    let told = |reference: &str, quantized: &str| {
        refused(&["compare", &float, &int8, "--activations", reference, quantized])
    };
    assert!(told(&reference, &empty).contains("no .npz, .npy or .safetensors file is in it"));
    assert!(told(&path("network_int8.onnx"), &quantized).contains("read from .npz, .npy and .safetensors"));
    for name in ["none.npz", "none"] {
        let said = format!("{name}: no such file or folder");
        assert!(told(&path(name), &quantized).contains(&said), "{name}");
    }
    let stranger = Path::new(&float).to_string_lossy().into_owned();
    assert!(told(&reference, &stranger).contains("no tensor is recorded under one name of both models"));
}
