//! Values of the notebook, made of the models in fixtures/resnet8 and shown.

use std::collections::HashSet;
use std::path::PathBuf;

use quantviz_evcxr::{Comparison, Error, ErrorKind, Models, Result, Show, open};

const WEIGHT: &str = "layer3.conv2.weight";
const CODES: &str = "layer3.conv2.weight_quantized";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn resnet8() -> Models {
    open(fixtures().join("resnet8")).expect("a folder of models")
}

fn compared() -> Comparison {
    resnet8().compare().expect("a float model and two variants")
}

/// What is shown, each with its page.
fn shown(value: &impl Show) -> (String, String) {
    (value.plain(), value.html("x"))
}

#[test]
fn a_folder_is_a_listing_to_choose_from() {
    let (plain, html) = shown(&resnet8());
    let rows: Vec<Vec<&str>> = plain.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["0", "resnet8", "fp32", "resnet8_fp32.onnx", "the", "reference"]);
    assert!(rows.contains(&vec!["2", "int8", "resnet8_int8.onnx"]), "{plain}");
    assert!(
        html.contains("<td class=\"qv-name\">resnet8_int8.onnx</td>")
            && html.contains("<table class=\"qv-choices\">")
    );
}

#[test]
fn a_model_is_chosen_by_number_by_variant_and_by_file() {
    let models = resnet8();
    let by_variant = models.model("INT8").expect("a variant");
    for path in [
        models.model(2).expect("a number").path(),
        models.model("resnet8_int8.onnx").expect("a file").path(),
        models.model("resnet8_int8").expect("its stem").path(),
    ] {
        assert_eq!(path, by_variant.path());
    }
    let error = |result: Result<_>| {
        let error = result.map(|_: quantviz_evcxr::Model| ()).expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        error.to_string()
    };
    assert!(error(models.model("int4")).ends_with(r#"no model is named "int4"; the nearest is "int8""#));
    assert!(error(models.model(9)).ends_with("there is no model 9: the last one is 3"));
    assert!(
        error(models.model("resnet8_int8.onnx").and_then(|_| models.model(4)))
            .contains("there is no model 4")
    );
}

#[test]
fn a_file_is_the_one_model_and_a_folder_says_what_to_do() {
    let one = open(fixtures().join("resnet8/resnet8_int8.onnx")).expect("a model");
    assert_eq!(one.values(CODES).expect("readable").shape(), [64, 64, 3, 3]);
    assert_eq!(one.model(0).expect("the one").layers().len(), 15);
    assert!(one.plain().starts_with("resnet8_int8.onnx: 1 model, 15 layers\n"), "{}", one.plain());
    let error = resnet8().layer("layer3.conv2").expect_err("which model is meant?").to_string();
    assert!(
        error.contains("resnet8: there are several models here: choose one by its number or its file"),
        "{error}"
    );
}

#[test]
fn a_comparison_is_the_page_and_the_worst_weights_first() {
    let (plain, html) = shown(&compared());
    assert!(plain.starts_with("resnet8: 3 models, 22 layers\nFP32: onnx"), "{plain}");
    let of_int8 = plain.lines().skip_while(|line| !line.starts_with("INT8  ")).nth(1);
    assert!(
        of_int8.is_some_and(|line| line.starts_with("layer3.conv2.weight") && line.contains("39.6")),
        "{plain}"
    );
    assert!(html.contains("id=\"qv-x\"") && html.contains("quantvizPage(\"qv-x\")"));
}

#[test]
fn parts_are_the_same_in_all_models() {
    let compared = compared();
    let (plain, html) = shown(&compared.layer("layer3.conv2").expect("a module"));
    assert!(plain.contains(CODES) && plain.contains("INT8 of layer3.conv2.weight: 39.6 dB"), "{plain}");
    assert!(html.contains("<svg") && !html.contains("<script"));
    // Whatever it is called, it is the same one.
    let (by_reference, by_variant) = (compared.parameter(WEIGHT), compared.parameter(CODES));
    assert_eq!(by_reference.plain(), by_variant.plain());
    let models: HashSet<&str> =
        ["FP32", "INT8", "UINT8"].into_iter().filter(|it| by_reference.plain().contains(it)).collect();
    assert_eq!(models.len(), 3, "{}", by_reference.plain());
    let (plain, html) = shown(&compared.histogram(CODES).expect("a weight"));
    assert_eq!(plain.lines().count(), 1 + 2 * 3, "{plain}");
    assert_eq!(html.matches("class=\"qv-strong\"").count(), 3);
    let codes = compared.histogram(WEIGHT).expect("a weight").codes().log();
    assert_ne!(codes.html("x"), html);
}

#[test]
fn arrays_are_the_numbers_and_the_codes_that_stand_for_them() {
    let models = resnet8();
    let (int8, fp32) = (models.model("int8").expect("it"), models.model("fp32").expect("it"));
    let (codes, values) = (int8.codes(CODES).expect("codes"), int8.values(CODES).expect("values"));
    let trained = fp32.values(WEIGHT).expect("values");
    assert!(codes.iter().all(|code| code.fract() == 0.0 && (-128.0..=127.0).contains(code)));
    // Every value is its code times one scale, and within half of it of what was trained.
    let scale = f64::from(values.iter().fold(0.0f32, |most, it| most.max(it.abs())))
        / codes.iter().fold(0.0f64, |most, it| most.max(it.abs()));
    for ((code, value), trained) in codes.iter().zip(&values).zip(&trained) {
        assert!((code * scale - f64::from(*value)).abs() < 1e-6);
        assert!((trained - value).abs() <= scale as f32 * 0.5001);
    }
    let error = fp32.codes(WEIGHT).expect_err("floats have none").to_string();
    assert!(error.ends_with("layer3.conv2.weight: it is not quantized, and has no codes"), "{error}");
}

#[test]
fn what_fails_is_one_line_with_the_file() {
    let int8 = resnet8().model("int8").expect("it");
    let nothing = std::env::temp_dir().join("quantviz-no-such-model.onnx");
    let errors: [(Error, &str); 5] = [
        (open(&nothing).expect_err("not there"), "no such file or folder"),
        (
            open(env!("CARGO_MANIFEST_DIR")).expect_err("no model"),
            "there is no model in this folder (of the folders",
        ),
        (
            int8.layer("layer3.conv9").expect_err("not there"),
            "the nearest is \"layer3.conv1\"; `.layers()` and `.parameters()` list all",
        ),
        (
            int8.histogram("conv1.weight_scale").map(drop).expect_err("a scale"),
            "conv1.weight_scale: there is no histogram of it",
        ),
        (int8.compare(&int8).map(drop).expect_err("no reference"), "float.compare(&quantized)"),
    ];
    for (error, part) in errors {
        let line = error.to_string();
        assert!(
            line.starts_with('/')
                && !line.contains("/../")
                && line.contains(part)
                && line.lines().count() == 1,
            "{line}"
        );
        let html = error.html("x");
        let shown = html.split("</style>").nth(1).expect("what is shown");
        assert!(shown.contains("role=\"alert\"") && !shown.contains('\n'), "{shown}");
    }
}

/// Variables of a notebook outlive the cell that made them, and may be moved to a thread.
#[test]
fn values_belong_to_nobody_else() {
    fn is_owned<T: Send + Sync + Clone + std::fmt::Debug + 'static>(_: &T) {}
    let models = resnet8();
    let compared = compared();
    is_owned(&models);
    is_owned(&models.model(0).expect("it"));
    is_owned(&compared);
    is_owned(&compared.layer("layer3.conv2").expect("it"));
    is_owned(&compared.parameter(WEIGHT).expect("it"));
    is_owned(&compared.histogram(WEIGHT).expect("it"));
}

#[test]
fn a_group_is_chosen_where_there_are_several() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = fixtures().join("resnet8");
    for model in ["one", "two"] {
        for variant in ["fp32", "int8"] {
            let to = folder.path().join(format!("{model}_{variant}.onnx"));
            std::fs::copy(from.join(format!("resnet8_{variant}.onnx")), to).expect("copied");
        }
    }
    let models = open(folder.path()).expect("four models");
    let error = models.compare().map(drop).expect_err("which one?").to_string();
    assert!(error.ends_with("say `.group(NAME)?.compare()` with one of \"one\", \"two\""), "{error}");
    assert!(
        models
            .model("int8")
            .is_err_and(|error| error.to_string().contains("several models are called \"int8\""))
    );
    let two = models.group("two").expect("it");
    assert_eq!(two.model("int8").expect("one of it").path(), folder.path().join("two_int8.onnx"));
    assert!(two.compare().expect("two of a kind").plain().starts_with("two: 2 models"));
}
