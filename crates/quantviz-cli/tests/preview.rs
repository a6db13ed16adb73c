//! `quantviz preview`: what rounding the ResNet8 set would cost.

mod screen;

use quantviz_cli::{Exit, run};
use quantviz_testkit::SafetensorsBuilder;
use screen::screen;
use serde_json::Value;

const FLOAT: &str = "resnet8/resnet8_fp32.onnx";

fn in_fixtures() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    std::env::set_current_dir(fixtures).expect("the fixtures are there");
}

fn json(arguments: &[&str]) -> Value {
    in_fixtures();
    let arguments: Vec<&str> = ["preview", "--json"].iter().chain(arguments).copied().collect();
    serde_json::from_str(&screen(80, &arguments)).expect("JSON")
}

/// The error line of a command that fails.
fn error(arguments: &[&str]) -> String {
    in_fixtures();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(run(["quantviz", "preview"].iter().chain(arguments), &mut out, &mut err), Exit::Trouble);
    assert_eq!(out, b"", "nothing is printed before an error");
    let err = String::from_utf8(err).expect("UTF-8");
    assert_eq!(err.lines().count(), 1, "{err}");
    err
}

fn at_80_columns(arguments: &[&str]) -> String {
    in_fixtures();
    let arguments: Vec<&str> = ["preview"].iter().chain(arguments).copied().collect();
    let text = screen(80, &arguments);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    text
}

#[test]
fn a_line_for_each_weight() {
    insta::assert_snapshot!(at_80_columns(&[FLOAT]));
}

#[test]
fn the_best_within_a_budget() {
    let schemes = "int8,int8-channel,int4-block32,nf4-block64";
    insta::assert_snapshot!(at_80_columns(&[FLOAT, "--scheme", schemes, "--target-bits", "5.5"]));
}

#[test]
fn more_schemes_than_fit_a_line() {
    let schemes = "int8,int8-channel,uint8,int4-block32-asym,f8-e4m3,mxfp4,nvfp4,nf4-block64,int4-ort";
    insta::assert_snapshot!(at_80_columns(&["resnet8/resnet8.pt", "--scheme", schemes, "--clip", "mse"]));
}

#[test]
fn what_scripts_read() {
    let report = json(&[FLOAT, "--scheme", "int8,int4-block32", "--target-bits", "6"]);
    assert_eq!(report["schema"], "quantviz.preview/1");
    assert_eq!((&report["model"]["path"], &report["model"]["elements"]), (&FLOAT.into(), &77_360.into()));
    let layers = report["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 10);
    let schemes = layers[0]["schemes"].as_array().expect("schemes");
    let names: Vec<&Value> = schemes.iter().map(|it| &it["scheme"]).collect();
    assert_eq!(names, ["int8", "int4-block32"]);
    assert!(layers.iter().all(|layer| names.contains(&&layer["chosen"])));
    let bits: f64 = layers
        .iter()
        .map(|layer| {
            let chosen = layer["schemes"].as_array().expect("schemes").iter();
            let chosen =
                chosen.clone().find(|it| it["scheme"] == layer["chosen"]).expect("it is one of them");
            chosen["bits_per_weight"].as_f64().expect("a number")
                * layer["elements"].as_f64().expect("a count")
        })
        .sum();
    assert!(bits / 77_360.0 <= 6.0, "{bits}");
    let (found, bound) = (&report["model"]["sqnr_db"], &report["bound_sqnr_db"]);
    assert!(found.as_f64() <= bound.as_f64() && found.as_f64() > Some(22.5), "{found} {bound}");
    let untargeted = json(&[FLOAT]);
    assert_eq!(
        (&untargeted["bound_sqnr_db"], &untargeted["layers"][0]["chosen"]),
        (&Value::Null, &Value::Null)
    );
}

/// Plain greedy takes the step that gains most for its bits, again and again, as long as one fits.
#[test]
fn a_greedy_choice_is_worse() {
    let mut lost_most = 0.0f64;
    for target in ["4.7", "5", "5.5", "6", "6.5", "7", "7.5", "8"] {
        let schemes = "int8,int8-channel,uint8,int4-block32,int4-block128,nf4-block64,f8-e4m3";
        let report = json(&[FLOAT, "--scheme", schemes, "--target-bits", target]);
        let items: Vec<Vec<(f64, f64)>> =
            report["layers"].as_array().expect("layers").iter().map(items).collect();
        let numbers: f64 = 77_360.0;
        let greedy =
            -10.0 * (greedy(&items, numbers * target.parse::<f64>().expect("a number")) / numbers).log10();
        let found = report["model"]["sqnr_db"].as_f64().expect("a number");
        let bound = report["bound_sqnr_db"].as_f64().expect("a number");
        assert!(greedy <= found + 1e-9 && found <= bound + 1e-9, "{target}: {greedy} {found} {bound}");
        lost_most = lost_most.max(found - greedy);
    }
    assert!(lost_most > 0.5, "greedy lost only {lost_most} dB");
}

/// Bits and losses of the schemes of a layer.
fn items(layer: &Value) -> Vec<(f64, f64)> {
    let elements = layer["elements"].as_f64().expect("a count");
    let item = |scheme: &Value| {
        let number = |key: &str| scheme[key].as_f64().expect("a number");
        (elements * number("bits_per_weight"), elements * 10f64.powf(number("sqnr_db") / -10.0))
    };
    layer["schemes"].as_array().expect("schemes").iter().map(item).collect()
}

fn greedy(layers: &[Vec<(f64, f64)>], budget: f64) -> f64 {
    let smallest = |items: &Vec<(f64, f64)>| items.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0));
    let mut chosen: Vec<(f64, f64)> = layers.iter().filter_map(smallest).collect();
    loop {
        let room = budget - chosen.iter().map(|item| item.0).sum::<f64>();
        let steps =
            layers.iter().enumerate().flat_map(|(layer, items)| items.iter().map(move |item| (layer, *item)));
        let gain =
            |(layer, item): &(usize, (f64, f64))| (chosen[*layer].1 - item.1) / (item.0 - chosen[*layer].0);
        let better = steps.filter(|(layer, item)| {
            let (bits, loss) = chosen[*layer];
            item.1 < loss && item.0 > bits && item.0 - bits <= room
        });
        match better.max_by(|a, b| gain(a).total_cmp(&gain(b))) {
            Some((layer, item)) => chosen[layer] = item,
            None => return chosen.iter().map(|item| item.1).sum(),
        }
    }
}

#[test]
fn of_a_folder_the_float_models() {
    let folder = json(&["resnet8"]);
    let paths: Vec<&Value> =
        folder.as_array().expect("an array").iter().map(|it| &it["model"]["path"]).collect();
    assert_eq!(paths, [FLOAT]);
    assert!(at_80_columns(&["resnet8"]).starts_with(FLOAT));
}

#[test]
fn bad_input_is_one_line() {
    let unknown = error(&[FLOAT, "--scheme", "int8,int5"]);
    assert!(
        unknown.starts_with("error: no scheme is called \"int5\"; there are int8, int8-channel, "),
        "{unknown}"
    );
    assert!(error(&["resnet8/resnet8_int8.onnx"]).contains("its 10 weights are quantized already"));
    assert!(
        error(&[FLOAT, "--target-bits", "4"])
            .contains("with int8, int8-channel, uint8, int4-block32 it takes 5.021 bits per weight at least")
    );
    assert!(error(&[FLOAT, "--axis", "conv1=x"]).contains("is not PATTERN=N"));
    assert!(error(&[FLOAT, "--axis", "conv1*=4"]).contains("conv1.weight: its shape 16×3×3×3 has no axis 4"));
    assert!(error(&[FLOAT, "--axis", "nothing*=0"]).contains("has a name like \"nothing*\""));
}

#[test]
fn an_axis_changes_channels() {
    let bits = |arguments: &[&str]| {
        let arguments = [&[FLOAT, "--scheme", "int8-channel"], arguments].concat();
        let report = json(&arguments);
        let layers = report["layers"].as_array().expect("layers").clone();
        let layer = layers.into_iter().find(|it| it["parameter"] == "fc.weight").expect("a layer");
        (layer["axis"].as_u64(), layer["schemes"][0]["bits_per_weight"].as_f64())
    };
    // A scale of 32 bits and a zero-point of 8 for each of ten outputs, or of 64 inputs.
    assert_eq!(bits(&[]), (Some(0), Some(8.0 + 40.0 / 64.0)));
    assert_eq!(bits(&["--axis", "fc.*=-1"]), (Some(1), Some(8.0 + 40.0 / 10.0)));
}

#[test]
fn what_is_left_out_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.safetensors");
    let values =
        [1.0f32, f32::NAN, -0.5, 0.25].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(&path, SafetensorsBuilder::new().tensor("fc.weight", "F32", [2, 2], &values).build())
        .expect("written");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let path = path.to_string_lossy().into_owned();
    assert_eq!(run(["quantviz", "preview", &path], &mut out, &mut err), Exit::Done);
    let err = String::from_utf8(err).expect("UTF-8");
    assert!(err.ends_with("fc.weight: 1 of its numbers are not finite and left out\n"), "{err}");
}
