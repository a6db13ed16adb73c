//! The ResNet8 set, through the whole path from file to JSON, against what numpy says of it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

fn fixture(name: &str) -> String {
    format!("{}/../../fixtures/resnet8/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn json(arguments: &[&str]) -> Value {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["quantviz", "inspect", "--json"].iter().chain(arguments);
    let exit = quantviz_cli::run(arguments, &mut out, &mut err);
    assert_eq!(exit, quantviz_cli::Exit::Done, "{}", String::from_utf8_lossy(&err));
    serde_json::from_slice(&out).expect("JSON")
}

fn truth(name: &str) -> Value {
    let text = fs::read_to_string(fixture(&format!("{name}.json"))).expect("the truth is beside the model");
    serde_json::from_str(&text).expect("JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn by_name<'a>(values: &'a [Value], key: &str) -> BTreeMap<&'a str, &'a Value> {
    values.iter().map(|value| (value[key].as_str().expect("a name"), value)).collect()
}

fn close(ours: &Value, theirs: &Value, what: &str) {
    let (ours, theirs) = (ours.as_f64().expect(what), theirs.as_f64().expect(what));
    assert!((ours - theirs).abs() <= 1e-12 * theirs.abs().max(1e-3), "{what}: {ours} is not {theirs}");
}

fn check(file: &str, operations: usize) {
    let path = fixture(file);
    let inspection = json(&[&path, "--bins", "64"]);
    let truth = truth(file);
    let model = &inspection["model"];
    assert_eq!(inspection["schema"], "quantviz.inspect/1");
    assert_eq!((&model["path"], &model["format"]), (&Value::from(path), &Value::from("onnx")));
    assert_eq!(model["parameter_count"], 77_706);
    assert_eq!((&model["file_bytes"], &model["producer"]), (&truth["bytes"], &truth["producer"]));
    assert_eq!(inspection["warnings"], Value::Array(Vec::new()));

    let layers = list(&inspection, "layers");
    assert_eq!(layers.len(), operations + 1);
    assert_eq!(layers.iter().filter(|layer| layer["op"] == "Input").count(), 1);
    assert!(layers.iter().all(|layer| layer["kind"] == "operation"));
    let activations: Vec<&Value> = layers.iter().flat_map(|layer| list(layer, "activations")).collect();
    let expected: BTreeMap<_, _> = by_name(list(&truth, "activations"), "tensor");
    assert_eq!(activations.len(), expected.len());
    for activation in activations {
        let truth = expected[activation["tensor"].as_str().expect("a name")];
        assert_eq!((&activation["scale"], &activation["dtype"]), (&truth["scale"], &truth["dtype"]));
        assert_eq!(activation["zero_point"].as_f64(), truth["zero_point"].as_f64());
    }

    let parameters = list(&inspection, "parameters");
    let tensors = list(&truth, "tensors");
    assert_eq!(parameters.len(), tensors.len());
    for (parameter, tensor) in parameters.iter().zip(tensors) {
        check_values(parameter, tensor);
        let layer =
            layers.iter().find(|layer| layer["name"] == parameter["layer"]).expect("its layer is listed");
        assert!(list(layer, "parameters").contains(&parameter["name"]));
    }
    let parameters = by_name(parameters, "name");
    let quantized = by_name(list(&truth, "quant"), "name");
    assert_eq!(parameters.values().filter(|it| !it["quantization"].is_null()).count(), quantized.len());
    for (name, truth) in quantized {
        check_quantization(&parameters[name]["quantization"], truth, name);
    }
}

fn check_values(parameter: &Value, truth: &Value) {
    let name = parameter["name"].as_str().expect("a name");
    for key in ["name", "dtype", "shape"] {
        assert_eq!(parameter[key], truth[key], "{name} {key}");
    }
    let summary = &parameter["summary"];
    for key in ["count", "nan", "pos_inf", "neg_inf", "zeros"] {
        assert_eq!(summary[key], truth[key], "{name} {key}");
    }
    for key in ["min", "max"] {
        assert_eq!(summary[key].as_f64(), truth[key].as_f64(), "{name} {key}");
    }
    for key in ["mean", "std", "l2"] {
        close(&summary[key], &truth[key], &format!("{name} {key}"));
    }
    let (ours, theirs) = (&parameter["histogram"], &truth["hist"]);
    assert_eq!(ours.is_null(), theirs.is_null(), "{name} histogram");
    if !ours.is_null() {
        assert_eq!(ours["counts"], theirs["counts"], "{name} histogram");
        assert_eq!(
            (ours["low"].as_f64(), ours["high"].as_f64()),
            (theirs["lo"].as_f64(), theirs["hi"].as_f64())
        );
    }
}

fn check_quantization(ours: &Value, truth: &Value, name: &str) {
    assert_eq!((&ours["encoding"], &ours["scheme"]), (&Value::from("qdq"), &Value::from("affine")), "{name}");
    assert_eq!(
        (&ours["granularity"], &truth["granularity"]),
        (&"tensor".into(), &"per_tensor".into()),
        "{name}"
    );
    assert_eq!(ours["symmetric"], truth["symmetric"], "{name}");
    assert_eq!(ours["scale"]["count"], 1);
    assert_eq!(ours["scale"]["mean"], truth["scales"][0], "{name}");
    assert_eq!(ours["zero_point"]["mean"].as_f64(), truth["zero_points"][0].as_f64(), "{name}");
    let real = &ours["dequantized"];
    assert_eq!((&real["min"], &real["max"]), (&truth["deq_min"], &truth["deq_max"]), "{name}");
    close(&real["mean"], &truth["deq_mean"], name);
    close(&real["std"], &truth["deq_std"], name);
}

#[test]
fn fp32() {
    check("resnet8_fp32.onnx", 21);
}

#[test]
fn int8() {
    check("resnet8_int8.onnx", 14);
}

#[test]
fn uint8() {
    check("resnet8_uint8.onnx", 14);
}

/// The whole module, and its state dict again: the same storages under other names.
#[test]
fn torch() {
    let path = fixture("resnet8.pt");
    let inspection = json(&[&path, "--bins", "64"]);
    let truth = truth("resnet8.pt");
    let model = &inspection["model"];
    assert_eq!((&model["path"], &model["format"]), (&Value::from(path), &Value::from("torch")));
    assert_eq!((&model["parameter_count"], &model["file_bytes"]), (&Value::from(77_946), &truth["bytes"]));
    assert_eq!(inspection["warnings"], Value::Array(Vec::new()));
    assert_eq!(model["metadata"]["input_shape"], "[1, 3, 32, 32]");

    let (parameters, tensors) = (list(&inspection, "parameters"), list(&truth, "tensors"));
    assert_eq!(parameters.len(), tensors.len());
    for (parameter, tensor) in parameters.iter().zip(tensors) {
        check_values(parameter, tensor);
    }
    let layers = by_name(list(&inspection, "layers"), "name");
    assert!(layers.values().all(|layer| layer["kind"] == "parameter"));
    let op = |name: &str| &layers[name]["op"];
    assert_eq!((op("model.layer2.shortcut"), op("model.fc")), (&"Conv2d".into(), &"Linear".into()));
    assert_eq!((op("model.layer1.bn1"), op("state_dict.fc")), (&"BatchNorm2d".into(), &Value::Null));
}

#[test]
fn a_weight_has_its_scale_and_its_role() {
    let inspection = json(&[&fixture("resnet8_int8.onnx"), "--param", "fc.weight_quantized"]);
    assert_eq!(list(&inspection, "parameters").len(), 1);
    let weight = &inspection["parameters"][0];
    assert_eq!((&weight["layer"], &weight["role"]), (&"node_linear".into(), &"weight".into()));
    assert_eq!(weight["quantization"]["code_range"], serde_json::json!([-128, 127]));
    assert_eq!(weight["quantization"]["bits"], 8);
    assert!(weight["histogram"].is_null());
    let fields: Vec<&String> = weight["quantization"].as_object().expect("an object").keys().collect();
    let expected = [
        "axis",
        "bits",
        "block",
        "code_range",
        "dequantized",
        "effective_scale",
        "encoding",
        "granularity",
        "logical",
        "offset",
        "parameters",
        "scale",
        "scale2",
        "scheme",
        "source",
        "symmetric",
        "zero_point",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_layer_has_all_its_parameters() {
    let inspection = json(&[&fixture("resnet8_int8.onnx"), "--layer", "node_linear"]);
    let names: Vec<&str> =
        list(&inspection, "parameters").iter().map(|it| it["name"].as_str().expect("a name")).collect();
    assert_eq!(
        names,
        [
            "logits_zero_point",
            "logits_scale",
            "fc.weight_zero_point",
            "fc.weight_scale",
            "fc.weight_quantized",
            "fc.bias_quantized",
            "fc.bias_quantized_scale",
            "fc.bias_quantized_zero_point",
        ]
    );
    assert_eq!(list(&inspection, "layers").len(), 1);
}

#[test]
fn the_output_does_not_depend_on_the_number_of_threads() {
    let path = fixture("resnet8_int8.onnx");
    let with = |threads| json(&[&path, "--bins", "32", "--threads", threads]).to_string();
    assert_eq!(with("1"), with("2"));
    assert_eq!(with("1"), with("7"));
}

#[test]
fn a_folder_is_an_array_sorted_by_path() {
    let folder = fixture("");
    let models = json(&[&folder]);
    let paths: Vec<String> =
        models.as_array().expect("an array").iter().map(|it| it["model"]["path"].to_string()).collect();
    assert!(paths.is_sorted(), "{paths:?}");
    assert_eq!(paths.len(), 4, "{paths:?}");
}

#[test]
fn a_model_that_cannot_be_read_yet_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(fixture("resnet8_fp32.onnx"), folder.path().join("b.onnx")).expect("a copy");
    fs::write(folder.path().join("a.gguf"), b"GGUF\x01\0\0\0").expect("a file");
    let models = json(&[&folder.path().to_string_lossy()]);
    assert_eq!(models[0]["model"]["format"], "gguf");
    assert_eq!(models[0]["warnings"][0]["kind"], "unsupported");
    assert_eq!(models[0]["parameters"], Value::Array(Vec::new()));
    assert_eq!(models[1]["model"]["parameter_count"], 77_706);
}
