//! Whether the ResNet8 variants may ship, in every form that a judgement is written.

use quantviz::{ParameterSource, SourceExt};
use quantviz_cli::{Exit, run};
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn check(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(["quantviz", "check"].iter().chain(arguments), &mut out, &mut err);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace(&format!("{FOLDER}/"), "");
    (exit, text(out), text(err))
}

fn int8(more: &[&str]) -> (Exit, String, String) {
    let models = [path("resnet8_fp32.onnx"), path("resnet8_int8.onnx")];
    let arguments: Vec<&str> = models.iter().map(String::as_str).chain(more.iter().copied()).collect();
    check(&arguments)
}

#[test]
fn a_clean_folder_holds() {
    let (exit, out, err) = check(&[FOLDER]);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    assert_eq!(out, "resnet8_int8.onnx: holds (weights only)\nresnet8_uint8.onnx: holds (weights only)\n");
}

/// Float variants are not judged; and where there are no others, nothing holds.
#[test]
fn a_folder_of_floats_does_not_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, of: &str| {
        std::fs::copy(path(of), folder.path().join(name)).expect("copied");
    };
    put("m.onnx", "resnet8_fp32.onnx");
    put("m_fp16.onnx", "resnet8_fp32.onnx");
    let inside = folder.path().to_string_lossy().into_owned();
    let reference = folder.path().join("m.onnx").to_string_lossy().into_owned();
    for arguments in [&[inside.as_str()][..], &[&reference, &inside]] {
        let (exit, out, err) = check(arguments);
        assert_eq!((exit, out.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{err}");
        assert!(err.contains("there is nothing to compare it with"), "{err}");
    }
    put("m_int8.onnx", "resnet8_int8.onnx");
    for arguments in [&[inside.as_str()][..], &[&reference, &inside]] {
        let (exit, out, _) = check(arguments);
        assert_eq!((exit, out.lines().count()), (Exit::Done, 1), "{out}");
        assert!(out.contains("m_int8.onnx: holds"), "{out}");
    }
}

#[test]
fn limits_that_are_not_held() {
    let (exit, out, _) = int8(&["--min-sqnr", "40"]);
    assert_eq!(exit, Exit::FallsShort);
    assert_eq!(
        out,
        "resnet8_int8.onnx: falls short of 1 limit (weights only)\n  min-sqnr layer3.conv2.weight_quantized: 39.6 dB, at least 40 are asked for\n"
    );
    assert_eq!(int8(&["--min-sqnr", "39"]).0, Exit::Done);
    // Every activation that is clamped at zero has a finding for information.
    let (exit, out, _) = int8(&["--deny", "QV009"]);
    assert_eq!(exit, if out.contains("QV009") { Exit::FallsShort } else { Exit::Done });
}

#[test]
fn a_file_of_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("limits.toml");
    let judged = |text: &str| {
        std::fs::write(&config, text).expect("written");
        int8(&["--config", &config.to_string_lossy()])
    };
    assert_eq!(judged("[check]\nmin-sqnr = 45\n").1.lines().count(), 1 + 6);
    let exempt =
        "[check]\nmin-sqnr = 45\n[[check.rule]]\nlayer = \"layer*\"\nencoding = \"qdq\"\nmin-sqnr = 39\n";
    assert_eq!(judged(exempt).0, Exit::Done);
    for (text, said) in [
        ("[check]\nmin-snr = 45\n", "line 2: there is no key min-snr; did you mean min-sqnr?"),
        ("[check]\nmin_sqnr = 45\n", "line 2: there is no key min_sqnr; did you mean min-sqnr?"),
        ("[check]\nspeed = 45\n", "line 2: there is no key speed; there are min-sqnr, "),
        ("[chek]\nmin-sqnr = 45\n", "line 1: there is no key chek; did you mean check?"),
        ("[check]\n\nmin-sqnr = \"30\"\n", "line 3: a number without quotes is expected, not string \"30\""),
        ("[check]\nmin-sqnr = nan\n", "line 2: NaN is no limit"),
        (
            "[check]\nmax-clipped = 50\n",
            "line 2: 50 is more than all: a share is from 0 to 1, and 50 % are 0.5",
        ),
        ("[check]\nmax-clip-noise = 2\n", "line 2: 2 is more than all"),
        ("[check]\nmin-sqnr = 30\ndeny = [\"QV003\", \"QV999\"]\n", "line 3: there is no rule QV999"),
        ("[check]\ndeny = \"QV003\"\n", "line 2: a list of findings, such as [\"QV003\"], is expected"),
        ("[check]\n[check.rule]\nmin-sqnr = 3\n", "line 2: [[check.rule]], in double brackets, is expected"),
        (
            "[[check.rule]]\nlayer = \"fc*\"\nmin-sqnr = 3\n\n[[check.rule]]\nlayer = \"lm_head*\"\n",
            "line 5: this rule has no limit: ",
        ),
        (
            "[[check.rule]]\nmin-sqnr = 3\nencoding = \"int8\"\n",
            "line 3: there is no encoding \"int8\"; there are qdq, qoperator, ",
        ),
    ] {
        let (exit, out, err) = judged(text);
        assert_eq!((exit, out.as_str(), err.lines().count()), (Exit::Trouble, "", 1), "{err}");
        assert!(err.contains(said) && err.contains("limits.toml"), "{err}");
    }
}

/// One file of limits may serve many models, but a misspelt pattern would let all pass.
#[test]
fn a_rule_that_fits_nothing_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("limits.toml");
    // The first fits the name in the reference, the second the one in the quantized model, which reports show.
    let rules = [
        "layer = \"fc.weight\"",
        "layer = \"fc.weight_quant*\"",
        "layer = \"lm_head*\"",
        "encoding = \"gguf\"",
    ];
    let text: String = rules.iter().map(|rule| format!("[[check.rule]]\n{rule}\nmin-sqnr = 20\n")).collect();
    std::fs::write(&config, text).expect("written");
    let (exit, _, err) = check(&[FOLDER, "--config", &config.to_string_lossy()]);
    assert_eq!(exit, Exit::Done);
    let told: Vec<&str> = err.lines().map(|line| line.split_once("toml: ").expect("the file").1).collect();
    assert_eq!(
        told,
        [
            "rule 3 (layer \"lm_head*\") fits nothing that was compared",
            "rule 4 (encoding \"gguf\") fits nothing that was compared"
        ]
    );
    std::fs::write(&config, "[[check.rule]]\nlayer = \"fc.weight_quant*\"\nmin-sqnr = 90\n")
        .expect("written");
    assert_eq!(int8(&["--config", &config.to_string_lossy()]).0, Exit::FallsShort);
}

#[test]
fn options_that_are_no_limits() {
    for (arguments, said) in [
        (["--min-sqnr", "nan"], "NaN is no limit"),
        (["--min-sqnr", "inf"], "inf is no limit"),
        (["--min-sqnr", "30dB"], "it is no number"),
        (["--max-clipped", "50"], "50 % are 0.5"),
        (["--max-clipped", "-1"], "-1 is no share"),
    ] {
        let (exit, out, err) = int8(&arguments);
        assert_eq!((exit, out.as_str()), (Exit::Trouble, ""), "{arguments:?}");
        assert!(err.contains(said) && err.contains(arguments[0]), "{err}");
    }
    assert_eq!(int8(&["--min-sqnr", "-3"]).0, Exit::Done);
}

/// Named twice, a model is still one.
#[test]
fn each_model_is_judged_once() {
    let model = path("resnet8_int8.onnx");
    let (exit, out, _) = check(&[&path("resnet8_fp32.onnx"), &model, &model]);
    assert_eq!((exit, out.lines().count()), (Exit::Done, 1), "{out}");
}

/// That not everything can be told hides nothing of what falls short.
#[test]
fn a_test_report_has_failures_beside_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    // Of all weights, the reference has one.
    let float = quantviz::open(path("resnet8_fp32.onnx")).expect("the fixture opens");
    let id = float.model().parameter_named("layer3.conv2.weight").expect("a weight");
    let shape: Vec<u64> = float.model().parameter(id).shape.dims().to_vec();
    let values = float.real_array(id).expect("values");
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let reference = folder.path().join("one.safetensors");
    let file =
        quantviz_testkit::SafetensorsBuilder::new().tensor("layer3.conv2.weight", "F32", shape, &bytes);
    std::fs::write(&reference, file.build()).expect("written");

    let models = [reference.to_string_lossy().into_owned(), path("resnet8_int8.onnx")];
    let (exit, out, _) = check(&[&models[0], &models[1], "--min-sqnr", "40", "--format", "junit"]);
    assert_eq!(exit, Exit::Trouble);
    assert!(out.contains("tests=\"1\" failures=\"1\" errors=\"1\""), "{out}");
    assert!(out.contains("<failure message=\"min-sqnr layer3.conv2.weight_quantized: 39.6 dB"), "{out}");
    assert!(out.contains("<error message=\"conv1.weight_quantized has no counterpart: "), "{out}");
}

/// What has no counterpart is not judged, and that is said.
#[test]
fn what_cannot_be_told() {
    let (exit, out, _) = check(&[&path("resnet8_fp32.onnx"), &path("resnet8_int8.onnx")]);
    assert_eq!(exit, Exit::Done, "{out}");
    let other = tempfile::tempdir().expect("a folder");
    let stranger = other.path().join("stranger.safetensors");
    let values: Vec<u8> = (0..64u32).flat_map(|it| (it as f32).sin().to_le_bytes()).collect();
    let bytes = quantviz_testkit::SafetensorsBuilder::new().tensor("w", "F32", [8, 8], &values).build();
    std::fs::write(&stranger, bytes).expect("written");
    let (exit, out, _) = check(&[&stranger.to_string_lossy(), &path("resnet8_int8.onnx")]);
    assert_eq!(exit, Exit::Trouble);
    assert!(out.contains("has no counterpart: "), "{out}");
}

#[test]
fn other_forms() {
    let (exit, out, _) = int8(&["--min-sqnr", "40", "--format", "json"]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((exit, &document["schema"]), (Exit::FallsShort, &Value::from("quantviz.check/1")));
    assert_eq!(
        (&document["holds"], &document["limits"]["min-sqnr"]),
        (&Value::from(false), &Value::from(40.0))
    );
    let failure = &document["failures"][0];
    assert_eq!((&failure["limit"], &failure["bound"]), (&Value::from("min-sqnr"), &Value::from(40.0)));

    let (_, out, _) = int8(&["--min-sqnr", "40", "--format", "junit"]);
    assert!(out.contains("tests=\"1\" failures=\"1\" errors=\"0\""), "{out}");
    assert!(out.contains("<property name=\"basis\" value=\"weights only\"/>"), "{out}");
    assert!(out.contains("<failure message=\"min-sqnr layer3.conv2.weight_quantized: 39.6 dB"), "{out}");

    let (_, out, _) = int8(&["--min-sqnr", "40", "--format", "sarif"]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let run = &document["runs"][0];
    assert_eq!(
        (&document["version"], &run["results"][0]["ruleId"]),
        (&Value::from("2.1.0"), &Value::from("min-sqnr"))
    );
    let bases = run["properties"]["bases"].as_object().expect("by path");
    assert!(bases.values().all(|basis| basis == "weights only"), "{run}");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
    assert!(rules.iter().any(|rule| rule["id"] == "QV018"));
}

/// The page is what people paste from.
#[test]
fn the_page_about_limits() {
    let page = include_str!("../../../docs/check.md");
    let between = |start: &str, end: &str| {
        page.split_once(start).and_then(|(_, behind)| behind.split_once(end)).expect("it is there").0
    };
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("quantviz.toml");
    std::fs::write(&config, between("```toml\n", "```")).expect("written");
    let (exit, out, _) = int8(&["--config", &config.to_string_lossy()]);
    assert_eq!(exit, Exit::Done, "{out}");
    let listed: Vec<&str> =
        between("<!-- encodings -->", "<!-- /encodings -->").split('`').skip(1).step_by(2).collect();
    let known: Vec<&str> = quantviz::Encoding::ALL.iter().map(|it| it.name()).collect();
    assert_eq!(listed, known);
    let (_, _, help) = int8(&["--config", "no-such.toml"]);
    assert!(help.contains("no-such.toml: no such file or folder"), "{help}");
}
