//! What onnxruntime's quantizer leaves to codes: a Relu and a Clip whose names mean earlier values in the quantized graph.

use quantviz_cli::Exit;
use serde_json::Value;

use crate::agrees::agrees;
use crate::screen::screen;
use crate::{FOLDER, compared, path, said, truth};

/// Every tensor that was compared, with what numpy says of it.
fn tensors(variant: &Value) -> Vec<(&Value, Value)> {
    let truth = truth("clipped.json");
    let tensors = variant["recorded"]["tensors"].as_array().expect("a list").iter();
    tensors.map(|it| (it, truth[it["tensor"].as_str().expect("a name")].clone())).collect()
}

fn recorded(models: [&str; 2], quantized: &str) -> Value {
    let [float, int8] = models.map(path);
    compared(&[&float, &int8, "--activations", &path("clipped/float.npz"), &path(quantized)])
}

const GRAPHS: [&str; 2] = ["clipped/float.onnx", "clipped/int8.onnx"];
/// Models that know nothing of the names that were recorded.
const OTHERS: [&str; 2] = ["network.safetensors", "network_int8.onnx"];

#[test]
fn by_graphs() {
    let variant = recorded(GRAPHS, "clipped/int8.npz");
    let mut earlier = Vec::new();
    for (tensor, truth) in tensors(&variant) {
        assert!(agrees("sqnr_db", &truth["plain"], &tensor["sqnr_db"]), "{tensor}, not {truth}");
        let Some(it) = tensor.get("earlier") else { continue };
        assert!(agrees("sqnr_db", &truth["clipped"], &it["clipped_sqnr_db"]), "{it}, not {truth}");
        earlier.push(["reference_op", "quantized_op"].map(|op| it[op].as_str().expect("graphs say it")));
    }
    earlier.sort_unstable();
    assert_eq!(earlier, [["Clip", "Conv"], ["Relu", "Conv"]]);
}

#[test]
fn by_values_alone() {
    let variant = recorded(OTHERS, "clipped/int8.npz");
    let earlier: Vec<&Value> =
        tensors(&variant).into_iter().map(|(it, _)| it).filter(|it| it.get("earlier").is_some()).collect();
    let mut names: Vec<&str> = earlier.iter().map(|it| it["tensor"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["clip", "relu"]);
    assert!(earlier.iter().all(|it| it["earlier"]["reference_op"].is_null()), "{earlier:?}");
    // No graph says what it gives out.
    assert!(tensors(&variant).iter().all(|(it, _)| it["is_output"] == false), "{variant}");
}

/// What the model gives out leads, and is what the whole of it is judged by.
#[test]
fn outputs_lead() {
    let variant = recorded(GRAPHS, "clipped/int8.npz");
    let tensors = tensors(&variant);
    let (first, truth) = &tensors[0];
    assert_eq!((&first["tensor"], &first["is_output"]), (&"probabilities".into(), &true.into()));
    let model = &variant["model"];
    assert_eq!(model["basis"], "activations");
    assert!(agrees("sqnr_db", &truth["plain"], &model["sqnr_db"]), "{model}");
    let claims = model["claims"].as_array().expect("a list");
    let [weights, all, outputs] = &claims[..] else { panic!("{model}") };
    assert_eq!((&weights["at_outputs"], &all["at_outputs"]), (&false.into(), &false.into()));
    // Two of the six are not the same value.
    assert_eq!((&all["counted"], &all["of"]), (&4.into(), &6.into()));
    assert_eq!((&outputs["at_outputs"], &outputs["counted"]), (&true.into(), &1.into()));
    // Those that are not judged come last.
    assert!(tensors.iter().rev().take(2).all(|(it, _)| it.get("earlier").is_some()), "{variant}");
}

/// Where somebody recorded what comes behind the codes too, that is what the next layer gets.
#[test]
fn behind_the_codes() {
    let variant = recorded(GRAPHS, "clipped/int8_all.npz");
    let mut counterparts = Vec::new();
    for (tensor, truth) in tensors(&variant) {
        assert!(tensor.get("earlier").is_none(), "{tensor}");
        let of = if tensor.get("counterpart").is_some() { "behind" } else { "plain" };
        assert!(agrees("sqnr_db", &truth[of], &tensor["sqnr_db"]), "{tensor}, not {truth}");
        counterparts.extend(tensor.get("counterpart").and_then(Value::as_str));
    }
    counterparts.sort_unstable();
    assert_eq!(counterparts, ["clip_DequantizeLinear_Output", "relu_DequantizeLinear_Output"]);
    let unmatched = variant["recorded"]["unmatched"]["quantized"].as_array().expect("a list");
    let names: Vec<&str> = unmatched.iter().filter_map(|it| it["parameter"].as_str()).collect();
    assert_eq!(names, ["probabilities_QuantizeLinear_Input", "x_DequantizeLinear_Output"]);
}

#[test]
fn as_people_see_them() {
    let [float, int8] = GRAPHS.map(path);
    let (reference, quantized) = (path("clipped/float.npz"), path("clipped/int8.npz"));
    let arguments = ["compare", &float, &int8, "--activations", &reference, &quantized];
    insta::assert_snapshot!(screen(80, &arguments).replace(&format!("{FOLDER}/"), ""));
}

#[test]
fn not_judged_and_told_of() {
    let [float, int8] = GRAPHS.map(path);
    let (reference, quantized) = (path("clipped/float.npz"), path("clipped/int8.npz"));
    let check = |more: &[&str]| {
        let arguments = ["check", &float, &int8, "--activations", &reference, &quantized];
        let (exit, out, err) = said(&[&arguments[..], more].concat());
        assert_eq!(err, "");
        (exit, out)
    };
    let (exit, out) = check(&["--min-sqnr", "20"]);
    assert_eq!(exit, Exit::Done, "{out}");
    assert!(
        out.starts_with("clipped/int8.onnx: holds (by 4 of 6 recorded activations), 2 warnings\n"),
        "{out}"
    );
    assert!(
        out.contains("warning relu: not the same value: Relu makes it in the reference, but Conv"),
        "{out}"
    );
    // What is the same in both falls short like any other.
    let (exit, out) = check(&["--min-sqnr", "30"]);
    assert_eq!((exit, out.matches("min-sqnr").count()), (Exit::FallsShort, 1), "{out}");
    let (_, out) = check(&[]);
    assert!(
        out.contains("no limit is set for outputs, of which probabilities is the worst, at 27.4 dB"),
        "{out}"
    );
}

/// Worst first, in the same order for people and for programs.
#[test]
fn failures_in_order() {
    let [float, int8] = GRAPHS.map(path);
    let (reference, quantized) = (path("clipped/float.npz"), path("clipped/int8.npz"));
    let check = |format: &str| {
        let arguments = ["check", &float, &int8, "--min-sqnr", "50", "--activations", &reference, &quantized];
        said(&[&arguments[..], &["--format", format]].concat()).1
    };
    let expected = ["probabilities", "logits", "flat", "pool"];
    let text = check("text");
    let lines: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("min-sqnr ")).collect();
    assert!(lines.iter().zip(expected).all(|(line, name)| line.starts_with(name)), "{text}");
    let json: Value = serde_json::from_str(&check("json")).expect("JSON");
    for failures in [&json["failures"], &json["variants"][0]["failures"]] {
        let failures = failures.as_array().expect("a list").iter();
        let names: Vec<&str> = failures.filter_map(|it| it["parameter"].as_str()).collect();
        assert_eq!(names, expected);
    }
}
