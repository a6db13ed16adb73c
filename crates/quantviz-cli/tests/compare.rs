//! What quantization cost the ResNet8 set, as people see it and as scripts do.

mod screen;

use quantviz_cli::{Exit, run};
use screen::{Screen, screen, screen_of};
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn shown(columns: usize, arguments: &[&str]) -> String {
    screen(columns, arguments).replace(&format!("{FOLDER}/"), "")
}

fn json(arguments: &[&str]) -> Value {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["quantviz", "compare", "--json"].iter().chain(arguments);
    assert_eq!(run(arguments, &mut out, &mut err), Exit::Done, "{}", String::from_utf8_lossy(&err));
    serde_json::from_slice(&out).expect("JSON")
}

#[test]
fn a_folder_at_80_columns() {
    let text = shown(80, &["compare", FOLDER]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_wide_terminal_has_a_line_for_every_weight() {
    insta::assert_snapshot!(shown(140, &["compare", &path("resnet8.pt"), &path("resnet8_uint8.onnx")]));
}

#[test]
fn terminals_that_cannot_draw_have_a_line_for_every_weight_sooner() {
    let compare = ["compare", &path("resnet8.pt"), &path("resnet8_uint8.onnx")];
    let text = screen_of(Screen::of(120).without_bars(), &compare).replace(&format!("{FOLDER}/"), "");
    insta::assert_snapshot!(text);
}

#[test]
fn whatever_the_width_it_fits() {
    for columns in [50, 64, 72, 80, 96, 100, 118, 132, 160] {
        for screen in [Screen::of(columns), Screen::of(columns).without_bars()] {
            let text = screen_of(screen, &["compare", &path("resnet8.pt"), &path("resnet8_int8.onnx")]);
            let table =
                text.lines().skip_while(|line| !line.is_empty()).skip(1).take_while(|line| !line.is_empty());
            let widest = table.map(|line| line.chars().count()).max().expect("there is a table");
            assert!(widest <= columns.max(64), "{widest} of {columns}:\n{text}");
        }
    }
}

/// Reasons, what has no counterpart, notes and what check says, too.
#[test]
fn all_lines_fit() {
    let (reference, quantized) = (path("resnet8_fp32.onnx"), path("resnet8_int8.onnx"));
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("m.safetensors");
    let values: Vec<u8> = (0..36864u32).flat_map(|it| (it as f32).sin().to_le_bytes()).collect();
    let name = "layer3.conv2.weight";
    let bytes =
        quantviz_testkit::SafetensorsBuilder::new().tensor(name, "F32", [64, 64, 3, 3], &values).build();
    std::fs::write(&other, bytes).expect("written");
    let other = other.to_string_lossy().into_owned();
    for columns in [60, 80, 100] {
        for arguments in [
            &["compare", &reference, &quantized][..],
            &["compare", &other, &quantized],
            &["check", &other, &quantized],
            &["check", &reference, &quantized, "--min-sqnr", "50"],
        ] {
            let (mut out, mut err) = (Screen::of(columns), Vec::new());
            let arguments = ["quantviz", "--color", "never"].iter().chain(arguments);
            run(arguments, &mut out, &mut err);
            let text = out.text();
            assert!(text.lines().count() > 1, "{text}");
            // The first lines have the paths of the models.
            let mut lines = text.lines().filter(|line| !line.contains(FOLDER) && !line.contains(&other));
            assert!(lines.all(|line| line.chars().count() <= columns.max(64)), "{columns}:\n{text}");
        }
    }
    let narrow = screen(50, &["compare", &reference, &quantized]);
    assert!(narrow.contains("10 biases, the worst at 60.1 dB: conv1.weight_bias"), "{narrow}");
}

#[test]
fn one_layer_of_either_model() {
    let (float, int8) = (path("resnet8.pt"), path("resnet8_int8.onnx"));
    let names = |arguments: &[&str]| {
        let comparison = json(&[&[&*float, &int8], arguments].concat());
        let variant = &comparison["variants"][0];
        assert!((variant["model"]["sqnr_db"].as_f64().expect("of the whole") - 40.49).abs() < 0.01);
        let pairs = variant["pairs"].as_array().expect("a list").iter();
        let mut names: Vec<String> =
            pairs.map(|pair| pair["quantized"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    let both = ["layer3.conv2.weight_bias_quantized", "layer3.conv2.weight_quantized"];
    assert_eq!(names(&["--param", "model.layer3.conv2.weight"]), both[1..]);
    assert_eq!(names(&["--param", both[1], "--param", both[0]]), both);
    assert_eq!(names(&["--layer", "model.layer3.conv2"]), both[1..]);
    assert_eq!(names(&["--layer", "node_Conv_117"]), both);
    let text =
        shown(80, &["compare", &path("resnet8.pt"), &path("resnet8_int8.onnx"), "--layer", "node_Conv_117"]);
    assert_eq!(text.matches("qdq").count(), 1, "{text}");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let unknown =
        ["quantviz", "compare", &path("resnet8.pt"), &path("resnet8_int8.onnx"), "--layer", "layer9"];
    assert_eq!(run(unknown, &mut out, &mut err), Exit::Trouble);
    let told = String::from_utf8(err).expect("UTF-8");
    assert!(told.contains("no layer is named \"layer9\"") && told.lines().count() == 1, "{told}");
}

/// The unfolded PyTorch model is as good a reference as the graph that was quantized: the same pairs, the same errors.
#[test]
fn references_of_two_formats_agree() {
    let quantized = path("resnet8_int8.onnx");
    let graph = json(&[&path("resnet8_fp32.onnx"), &quantized]);
    let unfolded = json(&[&path("resnet8.pt"), &quantized]);
    let pairs = |comparison: &Value| {
        let variant = &comparison["variants"][0];
        assert_eq!(variant["unmatched"]["quantized"], Value::Array(Vec::new()));
        let pairs = variant["pairs"].as_array().expect("a list").iter();
        let mut pairs: Vec<(String, f64)> = pairs
            .map(|pair| {
                let name = pair["quantized"].as_str().expect("a name").to_owned();
                (name, pair["sqnr_db"].as_f64().expect("it is not exact"))
            })
            .collect();
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs
    };
    let (graph_pairs, unfolded_pairs) = (pairs(&graph), pairs(&unfolded));
    assert_eq!(graph_pairs.len(), 20);
    for ((name, one), (other_name, other)) in graph_pairs.iter().zip(&unfolded_pairs) {
        assert_eq!(name, other_name);
        // Folding in f32 rounds; that shows where biases of 32 bits are nearly exact.
        assert!((one - other).abs() < 0.02, "{name}: {one} and {other}");
    }
    let gains = unfolded["variants"][0]["pairs"].as_array().expect("a list").iter();
    let folded = gains.filter(|pair| {
        pair["alignment"]["gain"].as_str().is_some_and(|gain| gain.starts_with("batchnorm:model."))
    });
    assert_eq!(folded.count(), 14);
    let model = &graph["variants"][0]["model"];
    assert!((model["sqnr_db"].as_f64().expect("a number") - 40.49).abs() < 0.01, "{model}");
    assert_eq!(model["basis"], "weights");
}

#[test]
fn json_has_what_it_promises() {
    let comparison = json(&[FOLDER, "--channels", "all"]);
    assert_eq!(comparison["schema"], "quantviz.compare/1");
    let variants = comparison["variants"].as_array().expect("a list");
    assert_eq!(variants.len(), 2);
    let pair = &variants[0]["pairs"][0];
    for key in [
        "reference",
        "quantized",
        "encoding",
        "bits_per_weight",
        "matched_by",
        "alignment",
        "sqnr_db",
        "exact",
        "rtn_sqnr_db",
        "headroom_db",
        "mse",
        "max_abs_error",
        "mean_error",
        "cosine",
        "relative_error",
        "clipped",
        "clip_noise",
        "rounding_share",
        "at_ends",
        "off_grid",
        "levels",
        "levels_used",
        "dead",
        "reach",
        "outlier_gain_db",
        "importance_sqnr_db",
        "non_finite",
        "reference_range",
        "quantized_range",
        "channel_axis",
        "channels",
    ] {
        assert!(pair.get(key).is_some(), "{key} in {pair}");
    }
    assert_eq!(pair["channels"]["all"].as_array().map(Vec::len), Some(64));
    assert_eq!(pair["channels"]["worst"].as_array().map(Vec::len), Some(16));
    assert!(variants[0]["activations"].as_array().is_some_and(|it| it.len() > 10));
    // Worst first.
    let db = |pair: &Value| pair["sqnr_db"].as_f64().expect("not exact");
    let pairs = variants[0]["pairs"].as_array().expect("a list");
    assert!(pairs.windows(2).all(|two| db(&two[0]) <= db(&two[1])));
}

#[test]
fn what_cannot_be_compared() {
    let told = |arguments: &[&str]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let arguments = ["quantviz", "compare"].iter().chain(arguments);
        assert_eq!(run(arguments, &mut out, &mut err), Exit::Trouble);
        assert!(out.is_empty());
        let text = String::from_utf8(err).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    let float = path("resnet8_fp32.onnx");
    assert!(told(&[&float]).contains("there is nothing to compare it with"));
    assert!(told(&[&path("resnet8_int8.onnx"), &float]).contains("nothing in it is quantized"));
    assert!(told(&[&float, &path("none.onnx")]).contains("none.onnx"));
    let empty = tempfile::tempdir().expect("a folder");
    assert!(told(&[&empty.path().to_string_lossy()]).contains("no model"));
}

/// Graphs call their nodes otherwise than checkpoints their modules; weights have the names of these.
#[test]
fn a_layer_by_what_the_names_of_its_weights_begin_with() {
    let found = json(&[FOLDER, "--layer", "layer3.conv2"]);
    for variant in found["variants"].as_array().expect("a list") {
        let names: Vec<&str> = list(&variant["pairs"]).map(|pair| text_of(&pair["quantized"])).collect();
        assert_eq!(names, ["layer3.conv2.weight_quantized", "layer3.conv2.weight_bias_quantized"]);
    }
    let (exit, _, err) = outcome(&[FOLDER, "--layer", "layer3.conv9"]);
    assert_eq!(exit, Exit::Trouble);
    assert!(err.contains("no layer is named \"layer3.conv9\""), "{err}");
}

#[test]
fn a_scale_is_not_compared() {
    let (exit, out, err) = outcome(&[FOLDER, "--param", "layer2.conv2.weight_scale"]);
    assert_eq!((exit, out.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{err}");
    let said = "layer2.conv2.weight_scale is a scale of layer2.conv2.weight_quantized: name that";
    assert!(err.contains(said), "{err}");
}

#[test]
fn a_reference_has_to_be_float() {
    let (exit, out, err) = outcome(&[&path("resnet8_int8.onnx"), &path("resnet8_uint8.onnx")]);
    assert_eq!((exit, out.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{err}");
    assert!(err.contains("resnet8_int8.onnx: it is quantized itself: name the float model first"), "{err}");
}

fn outcome(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(["quantviz", "compare"].iter().chain(arguments), &mut out, &mut err);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
