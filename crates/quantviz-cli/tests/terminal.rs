//! What people see in a terminal.

mod screen;

use std::io::{self, Write};

use quantviz_cli::{Exit, Stream, run};
use quantviz_testkit::SafetensorsBuilder;
use quantviz_testkit::pickle::{Archive, Pickle};
use screen::{Screen, screen};

/// The error line of a command that fails.
fn error(arguments: &[&str]) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(run(["quantviz"].iter().chain(arguments), &mut out, &mut err), Exit::Trouble);
    assert_eq!(out, b"", "nothing is printed before an error");
    String::from_utf8(err).expect("UTF-8")
}

fn in_fixtures() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    std::env::set_current_dir(fixtures).expect("the fixtures are there");
}

#[test]
fn inspect_at_80_columns() {
    in_fixtures();
    let text = screen(80, &["inspect", "resnet8/resnet8_int8.onnx"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80));
    insta::assert_snapshot!(text);
}

#[test]
fn inspect_at_140_columns() {
    in_fixtures();
    insta::assert_snapshot!(screen(140, &["inspect", "resnet8/resnet8_uint8.onnx"]));
}

#[test]
fn inspect_with_histograms() {
    in_fixtures();
    insta::assert_snapshot!(screen(
        80,
        &["inspect", "resnet8/resnet8_fp32.onnx", "--layer", "node_linear", "--bins", "60"]
    ));
}

#[test]
fn bars_say_how_many_bins_they_stand_for() {
    in_fixtures();
    let note = |columns: usize, bins: &str| {
        let text = screen(
            columns,
            &["inspect", "resnet8/resnet8_int8.onnx", "--layer", "node_linear", "--bins", bins],
        );
        text.lines().find(|line| line.starts_with("histograms: ")).map(str::to_owned)
    };
    assert_eq!(note(80, "32"), None);
    assert_eq!(note(80, "62").as_deref(), Some("histograms: 62 bins, up to 2 to a bar"));
    assert_eq!(note(80, "64").as_deref(), Some("histograms: 64 bins, 2 to a bar"));
    assert_eq!(note(80, "256").as_deref(), Some("histograms: 256 bins, 5 to a bar"));
    assert_eq!(note(140, "64"), None);
}

#[test]
fn callables_that_could_do_harm_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.pt").to_string_lossy().into_owned();
    let attack = Pickle::new().op(b"}").text("x").op(b"cposix\nsystem\n\x8c\x02ls\x85R").op(b"s");
    let names = "names posix.system, which is not run here; it may be where the file is loaded";
    std::fs::write(&path, attack.build()).expect("written");
    let line = error(&["inspect", &path]);
    assert!(line.ends_with(&format!("torch did not write it; it {names}\n")), "{line}");
    let with_tensor = attack.text("w").tensor(("FloatStorage", "0", 1), 0, &[1], &[1]).op(b"s").build();
    std::fs::write(
        &path,
        Archive::new().entry("m/data.pkl", &with_tensor).entry("m/data/0", &[0; 4]).build(),
    )
    .expect("written");
    for command in ["inspect", "layers"] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(run(["quantviz", command, &path], &mut out, &mut err), Exit::Done);
        assert_eq!(String::from_utf8_lossy(&err), format!("warning: {path}: {names}\n"));
    }
}

#[test]
fn layers_at_80_columns() {
    in_fixtures();
    let text = screen(80, &["layers", "resnet8/resnet8_int8.onnx"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80));
    insta::assert_snapshot!(text);
}

#[test]
fn variants_of_one_model_stand_under_one_heading() {
    in_fixtures();
    for command in ["layers", "inspect"] {
        let text = screen(80, &[command, "resnet8"]);
        let heading = "\
resnet8: 4 variants
  resnet8_fp32.onnx   fp32   reference
  resnet8.pt
  resnet8_int8.onnx   int8
  resnet8_uint8.onnx  uint8

resnet8/resnet8_fp32.onnx
";
        assert!(text.starts_with(heading), "{text}");
        let models: Vec<&str> = text.lines().filter(|line| line.starts_with("resnet8/")).collect();
        let order = ["_fp32.onnx", ".pt", "_int8.onnx", "_uint8.onnx"];
        assert_eq!(models, order.map(|end| format!("resnet8/resnet8{end}")));
    }
    // A model that is shown alone needs no heading.
    assert!(screen(80, &["inspect", "resnet8", "--param", "fc.weight_scale"]).contains("2 variants"));
    assert!(!screen(80, &["inspect", "resnet8", "--param", "conv1.weight_bias"]).contains("variants"));
}

#[test]
fn json_of_a_folder_says_which_variant_a_model_is() {
    in_fixtures();
    let places = |path: &str| -> Vec<[Option<String>; 4]> {
        let json: serde_json::Value =
            serde_json::from_str(&screen(80, &["inspect", "--json", path])).expect("JSON");
        let models = json.as_array().map_or(std::slice::from_ref(&json), Vec::as_slice);
        let text = |model: &serde_json::Value, key| model["model"][key].as_str().map(str::to_owned);
        models.iter().map(|it| ["path", "group", "variant", "reference"].map(|key| text(it, key))).collect()
    };
    let variant = |file: &str, label: Option<&str>| {
        let texts = [Some(file), Some("resnet8"), label, Some("resnet8/resnet8_fp32.onnx")];
        texts.map(|text| text.map(str::to_owned))
    };
    let expected = [
        variant("resnet8/resnet8.pt", None),
        variant("resnet8/resnet8_fp32.onnx", Some("fp32")),
        variant("resnet8/resnet8_int8.onnx", Some("int8")),
        variant("resnet8/resnet8_uint8.onnx", Some("uint8")),
    ];
    assert_eq!(places("resnet8"), expected);
    let alone = [Some("resnet8/resnet8_int8.onnx".to_owned()), None, None, None];
    assert_eq!(places("resnet8/resnet8_int8.onnx"), [alone]);
}

#[test]
fn a_model_of_a_foreign_format_is_a_warning_in_a_folder() {
    in_fixtures();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy("resnet8/resnet8_fp32.onnx", folder.path().join("a.onnx")).expect("a copy");
    std::fs::write(folder.path().join("a.tflite"), b"\x1c\0\0\0TFL3").expect("written");
    let path = folder.path().to_string_lossy().into_owned();
    for command in ["layers", "inspect"] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(run(["quantviz", command, &path], &mut out, &mut err), Exit::Done);
        let err = String::from_utf8(err).expect("UTF-8");
        assert!(err.ends_with(
            "a.tflite: this is a TFLite model, which is not supported; convert it with tf2onnx\n"
        ));
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    assert!(error(&["inspect", &format!("{path}/a.tflite")]).contains("this is a TFLite model"));
}

#[test]
fn colour_only_where_it_is_wanted() {
    in_fixtures();
    let coloured = |when, out: &mut dyn Stream| {
        let arguments = ["quantviz", "--color", when, "layers", "resnet8/resnet8_int8.onnx"];
        assert_eq!(run(arguments, out, &mut Vec::new()), Exit::Done);
    };
    let (mut piped, mut forced) = (Vec::new(), Vec::new());
    coloured("auto", &mut piped);
    coloured("always", &mut forced);
    assert!(!piped.contains(&0x1b));
    assert!(forced.contains(&0x1b));
    // Errors and help go by it too, whether the command line can be understood or not.
    let told = |arguments: &[&str]| {
        let (mut out, mut err) = (Screen::of(80), Screen::of(80));
        run(["quantviz"].iter().chain(arguments), &mut out, &mut err);
        out.text() + &err.text()
    };
    for arguments in [&["inspect"][..], &["frobnicate"], &["--help"]] {
        for (color, expected) in [("--color=never", false), ("--color=always", true)] {
            let text = told(&[&[color][..], arguments].concat());
            assert!(text.len() > 50 && text.contains('\x1b') == expected, "{color} {arguments:?}: {text}");
        }
    }
    assert!(!told(&["inspect", "--color", "never"]).contains('\x1b'));
}

#[test]
fn a_missing_file_is_named_with_its_absolute_path() {
    in_fixtures();
    let path = std::env::current_dir().expect("a folder").join("nowhere.onnx");
    let expected = format!("error: {}: no such file or folder\n", path.display());
    // It could have been the name of a training run, which a path with folders in it cannot.
    let either = format!(
        "error: {}: no such file or folder, and no session nowhere.onnx in ./quantviz-runs\n",
        path.display()
    );
    assert_eq!(error(&["inspect", "nowhere.onnx"]), either);
    assert_eq!(error(&["compare", "resnet8", "nowhere.onnx"]), either);
    assert_eq!(
        error(&["inspect", "./nowhere.onnx"]),
        expected.replace("nowhere", "./nowhere").replace("/./", "/")
    );
    assert_eq!(error(&["layers", "nowhere.onnx"]), expected);
}

#[test]
fn unknown_names_come_with_the_nearest() {
    in_fixtures();
    let line = error(&["inspect", "resnet8/resnet8_int8.onnx", "--param", "fc.weight"]);
    assert!(
        line.contains(r#"no parameter is named "fc.weight"; the nearest is "fc.weight_quantized""#),
        "{line}"
    );
    assert!(line.contains("'quantviz layers' lists"), "{line}");
    assert_eq!(line.lines().count(), 1);
    let line = error(&["inspect", "resnet8/resnet8_int8.onnx", "--layer", "node_linaer"]);
    assert!(line.contains(r#"the nearest is "node_linear""#), "{line}");
    assert!(error(&["inspect", "resnet8", "--param", "fc.wait"]).contains("no parameter"));
}

#[test]
fn a_folder_shows_the_models_that_have_the_parameter() {
    in_fixtures();
    let text = screen(120, &["inspect", "resnet8", "--param", "fc.weight"]);
    assert!(text.contains("resnet8_fp32.onnx") && !text.contains("resnet8_int8.onnx"), "{text}");
}

#[test]
fn usage_errors_say_what_is_wrong() {
    assert!(error(&["inspect"]).contains("<PATH>"));
    assert!(error(&["inspect", "x", "--bins", "0"]).contains("--bins"));
    assert!(error(&["frobnicate"]).contains("frobnicate"));
}

/// A safetensors file of three vectors: one with a NaN and an infinity, one empty, one in a module of its own.
fn odd_model() -> tempfile::NamedTempFile {
    let header = r#"{"h.0.a.weight":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},
        "h.0.b.weight":{"dtype":"F32","shape":[0],"data_offsets":[12,12]},
        "h.10.a.weight":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend([1.5, f32::NAN, f32::NEG_INFINITY, 2.0].iter().flat_map(|value| value.to_le_bytes()));
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    file
}

#[test]
fn what_is_not_finite_is_told() {
    let file = odd_model();
    let text = screen(80, &["inspect", &file.path().to_string_lossy()]);
    assert!(text.contains("1 NaN, 1 -inf") && text.contains("no elements"), "{text}");
    // What stands in a row is no warning besides, but in JSON it is.
    let told = |arguments: &[&str]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let path = file.path().to_string_lossy();
        run([&["quantviz", "inspect", &path], arguments].concat(), &mut out, &mut err);
        [out, err].map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    };
    let [out, err] = told(&[]);
    assert_eq!((out.matches("no elements").count(), err.matches("no elements").count()), (1, 0), "{err}");
    assert!(err.contains("h.0.a.weight: 2 of its 3 values are NaN or infinite"), "{err}");
    assert!(told(&["--json"])[0].contains("it has no elements"));
    assert!(text.contains("min to std leave out what is not finite"), "{text}");
    // What is not there is not left out.
    let text = screen(80, &["inspect", &file.path().to_string_lossy(), "--param", "h.0.b.weight"]);
    assert!(text.contains("no elements") && !text.contains("leave out"), "{text}");
}

/// A folder with this safetensors file in it.
fn folder_with(name: &str, file: &SafetensorsBuilder) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), file.build()).expect("written");
    let path = folder.path().to_string_lossy().into_owned();
    (folder, path)
}

#[test]
fn long_names_stay_within_the_screen() {
    let name = format!("base_model.model.{}.lora_A.default.weight", "transformer.h.0.attn".repeat(4));
    let file = SafetensorsBuilder::new().tensor(&name, "F32", [2], &[0, 0, 128, 63, 0, 0, 0, 64]).tensor(
        "short",
        "F32",
        [1],
        &[0; 4],
    );
    let (_folder, path) = folder_with("m.safetensors", &file);
    for command in [&["inspect", "--bins", "8"][..], &["layers"]] {
        let text = screen(80, &[&[command[0], &path], &command[1..]].concat());
        let body = text.lines().skip(1);
        assert!(body.clone().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("base_model.model.") && text.contains(".default.weight"), "{text}");
    }
}

#[test]
fn a_scale_that_belongs_to_nothing_is_shown() {
    let file = SafetensorsBuilder::new().tensor("logit_scale", "F32", [], &[0, 0, 128, 64]);
    let (_folder, path) = folder_with("clip.safetensors", &file);
    for command in ["inspect", "layers"] {
        let text = screen(80, &[command, &path]);
        assert!(text.contains("\nlogit_scale ") || text.contains("  logit_scale "), "{text}");
        assert!(text.contains("1 parameter ·") && !text.contains("--all"), "{text}");
    }
}

#[test]
fn activations_stand_below_the_tensors() {
    in_fixtures();
    let text = screen(80, &["inspect", "resnet8/resnet8_int8.onnx", "--layer", "node_linear"]);
    assert!(text.contains("logits_QuantizeLinear_Input") && text.contains("0.07128"), "{text}");
    assert!(text.contains("6 scales and zero-points stand with what they belong to"), "{text}");
    let text = screen(80, &["inspect", "resnet8/resnet8_int8.onnx", "--param", "fc.weight_quantized"]);
    assert!(!text.contains("activation"), "{text}");
}

#[test]
fn escapes_in_the_name_of_a_file_stay_harmless() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("evil\u{1b}[31mred.onnx"), b"").expect("written");
    let path = folder.path().to_string_lossy().into_owned();
    for command in ["inspect", "layers"] {
        let line = error(&[command, &path]);
        assert!(line.contains("evil\\u{1b}[31mred.onnx: ") && !line.contains('\x1b'), "{line:?}");
    }
}

/// A terminal that, once the first model stands on it, deletes another file.
struct Impatient {
    screen: Screen,
    then_delete: std::path::PathBuf,
}

impl Write for Impatient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.screen.write(bytes)?;
        if self.screen.text().contains("first.weight") && self.then_delete.exists() {
            std::fs::remove_file(&self.then_delete)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.screen.flush()
    }
}

impl Stream for Impatient {}

#[test]
fn each_model_of_a_folder_is_shown_once_it_is_measured() {
    for options in [&[][..], &["--json"]] {
        let file = |name: &str| SafetensorsBuilder::new().tensor(name, "F32", [1], &[0; 4]);
        let (folder, path) = folder_with("a.safetensors", &file("first.weight"));
        let then_delete = folder.path().join("b.safetensors");
        std::fs::write(&then_delete, file("second.weight").build()).expect("written");
        let mut out = Impatient { screen: Screen::of(80), then_delete };
        let arguments = ["quantviz", "inspect", &path];
        let exit = run(arguments.iter().chain(options), &mut out, &mut Vec::new());
        assert_eq!(exit, Exit::Trouble, "the second was opened before the first was shown");
        assert!(!out.screen.text().contains("second.weight"));
    }
}

#[test]
fn a_name_that_no_model_has_measures_nothing() {
    in_fixtures();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(
        run(["quantviz", "inspect", "resnet8", "--json", "--param", "fc.wait"], &mut out, &mut err),
        Exit::Trouble
    );
    assert!(out.is_empty() && String::from_utf8_lossy(&err).contains("no parameter"));
}

#[test]
fn a_module_stands_for_all_that_is_in_it() {
    let file = odd_model();
    let text = screen(80, &["inspect", &file.path().to_string_lossy(), "--layer", "h.0"]);
    assert!(
        text.contains("h.0.a.weight") && text.contains("h.0.b.weight") && !text.contains("h.10"),
        "{text}"
    );
}

#[test]
fn a_named_scale_is_shown() {
    in_fixtures();
    let text = screen(120, &["inspect", "resnet8/resnet8_int8.onnx", "--param", "fc.weight_scale"]);
    assert!(text.contains("0.001941"), "{text}");
}

#[test]
fn a_folder_of_which_nothing_can_be_read_is_trouble() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("old.gguf"), b"GGUF\x01\0\0\0").expect("written");
    let path = folder.path().to_string_lossy().into_owned();
    for command in ["inspect", "layers"] {
        assert!(error(&[command, &path]).contains("old.gguf"));
    }
}

#[test]
fn a_model_whose_files_are_missing_is_not_passed_over() {
    in_fixtures();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy("resnet8/resnet8_fp32.onnx", folder.path().join("a.onnx")).expect("a copy");
    let index = r#"{"weight_map": {"w": "model-00001-of-00001.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).expect("written");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let path = folder.path().to_string_lossy().into_owned();
    assert_eq!(run(["quantviz", "inspect", &path], &mut out, &mut err), Exit::Trouble);
    assert!(String::from_utf8_lossy(&out).contains("a.onnx"));
    let err = String::from_utf8_lossy(&err);
    let (index, shard) = ("model.safetensors.index.json", "model-00001-of-00001.safetensors");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&format!("{index}: ")) && err.contains(&format!("{shard}: no such file")), "{err}");
}

#[test]
fn no_terminal_is_too_narrow_to_print() {
    in_fixtures();
    for columns in [0, 1, 2, 20] {
        assert!(
            screen(columns, &["inspect", "resnet8/resnet8_int8.onnx", "--bins", "8"]).contains("fc.weight")
        );
        assert!(!screen(columns, &["layers", "resnet8/resnet8_int8.onnx"]).is_empty());
    }
}
