//! The files that torch itself wrote, against what torch said of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::{ParameterId, ParameterSource, Part, SourceExt, WarningKind};
use quantviz_formats::BoxedSource;
use quantviz_testkit::check_sync_source;
use serde::Deserialize;

use crate::common::check_model;

#[derive(Deserialize)]
struct Truth {
    tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<u64>,
    /// Floats as text, since JSON readers may round them; none where there are no numbers to read.
    values: Option<Vec<String>>,
    /// What codes stand for.
    real: Option<Vec<String>>,
    /// The class of the module that owns it.
    op: Option<String>,
    shares: Option<String>,
    role: Option<String>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/torch")
}

/// The files, without what is said of them.
pub(crate) fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("the fixtures are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "json"));
    paths.sort();
    paths
}

#[test]
fn every_tensor_is_what_torch_says() {
    let files = files();
    assert!(files.len() >= 25, "{} files", files.len());
    for path in files {
        let truth = fs::read_to_string(format!("{}.json", path.display())).expect("a truth beside the file");
        let truth: Truth = serde_json::from_str(&truth).expect("JSON");
        let source = quantviz_formats::open(&path).unwrap_or_else(|error| panic!("{error}"));
        check_model(source.model());
        check(&path.display().to_string(), &source, &truth);
    }
}

fn check(file: &str, source: &BoxedSource, truth: &Truth) {
    let model = source.model();
    let names: BTreeSet<&str> = model.parameters.iter().map(|it| it.name.as_str()).collect();
    let expected: BTreeSet<&str> = truth.tensors.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, expected, "{file}");
    assert_eq!(model.parameters.len(), truth.tensors.len(), "{file}");
    for tensor in &truth.tensors {
        let what = format!("{file}: {}", tensor.name);
        let id = model.parameter_named(&tensor.name).expect("was among the names");
        let parameter = model.parameter(id);
        assert_eq!(parameter.dtype.name(), tensor.dtype, "{what}");
        assert_eq!(parameter.shape.dims(), tensor.shape, "{what}");
        let shares = parameter.shares.map(|first| model.parameter(first).name.as_str());
        // Whichever of the two comes first in the file shares with none.
        let shared = tensor.shares.as_deref().is_some_and(|first| {
            shares == Some(first)
                || model.parameter_named(first).is_some_and(|it| model.parameter(it).shares == Some(id))
        });
        assert_eq!(shared, tensor.shares.is_some(), "{what} shares with {shares:?}");
        let layer = parameter.layer.map(|layer| model.layer(layer)).expect("every parameter has one");
        if let Some(op) = &tensor.op {
            assert_eq!(layer.op.as_ref(), Some(op), "{what}");
        }
        if let Some(role) = &tensor.role {
            assert_eq!(parameter.role.name(), role, "{what}");
        }
        check_values(source, id, Part::Stored, tensor.values.as_deref(), &what);
        if let Some(real) = &tensor.real {
            let real: Vec<f32> =
                real.iter().map(|value| value.parse::<f64>().expect("a number") as f32).collect();
            let ours: Vec<f32> = source.real_array(id).expect("dequantized").into_iter().collect();
            assert_eq!(ours, real, "{what}");
        }
        assert_eq!(parameter.quantization.is_some(), tensor.real.is_some(), "{what}");
    }
}

fn check_values(source: &BoxedSource, id: ParameterId, part: Part, expected: Option<&[String]>, what: &str) {
    let values = source.values(id, part);
    let Some(expected) = expected else {
        assert!(values.is_err(), "{what} has values");
        return;
    };
    let values = values.unwrap_or_else(|error| panic!("{error}"));
    let expected: Vec<f64> = expected.iter().map(|value| value.parse().expect("a number")).collect();
    assert_eq!(values.len(), expected.len(), "{what}");
    for (ours, theirs) in values.iter().zip(&expected) {
        let same = ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan());
        assert!(same, "{what}: {values:?} is not {expected:?}");
    }
}

#[test]
fn all_do_what_sources_promise() {
    for path in files() {
        let source = quantviz_formats::open(&path).unwrap_or_else(|error| panic!("{error}"));
        check_sync_source(&*source);
    }
}

#[test]
fn what_is_odd_is_said() {
    let source = quantviz_formats::open(folder().join("unusual.pt")).expect("readable");
    let warnings = &source.model().warnings;
    let about = |name: &str| {
        let found = warnings.iter().find(|warning| warning.parameter.as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("nothing is said of {name}")).kind
    };
    for name in ["coo", "csr", "conjugated", "negative"] {
        assert_eq!(about(name), WarningKind::Odd);
    }
    assert_eq!(about("meta"), WarningKind::Missing);
    assert_eq!((about("wrapper"), about("big_endian")), (WarningKind::Unsupported, WarningKind::Unsupported));
    assert!(warnings.iter().any(|warning| warning.message.contains("unsupported: __main__.Wrapper")));
    let nothing = quantviz_formats::open(folder().join("nothing.pt")).expect("readable");
    assert_eq!(nothing.model().warnings[0].kind, WarningKind::Odd);
}

#[test]
fn settings_near_the_top_are_metadata() {
    let metadata =
        |file: &str| quantviz_formats::open(folder().join(file)).expect("readable").model().metadata.clone();
    let nano = metadata("nanogpt.pt");
    let expected = [
        ("iter_num", "2000"),
        ("model_args.n_layer", "12"),
        ("model_args.name", "nano"),
        ("config.learning_rate", "0.0006"),
        ("torch.container", "zip"),
    ];
    for (key, value) in expected {
        assert_eq!(nano.get(key).map(String::as_str), Some(value), "{key}");
    }
    let module = metadata("module.pt");
    let keys: Vec<&str> = module.keys().map(String::as_str).collect();
    assert_eq!(keys, ["input_shape", "output_shape", "torch.container"]);
    assert_eq!(module["input_shape"], "[1, 1, 4, 4]");
    let containers = [
        ("module_legacy.pt", "legacy"),
        ("script.pt", "torchscript"),
        ("export.pt2", "pt2"),
        ("plain_pickle.pt", "pickle"),
    ];
    for (file, container) in containers {
        assert_eq!(metadata(file)["torch.container"], container);
    }
}

#[test]
fn parameters_are_counted_once() {
    let count =
        |file: &str| quantviz_formats::open(folder().join(file)).expect("readable").model().parameter_count();
    assert_eq!((count("module.pt"), count("state_dict.pt"), count("module_legacy.pt")), (43, 43, 43));
    // Recurrent layers, lists and dictionaries of parameters; a module alone; a tensor alone.
    assert_eq!((count("modules.pt"), count("linear.pt"), count("tensor.pt")), (28, 6, 2));
    // 5×4 tied, and a normalisation of 4.
    assert_eq!((count("nanogpt.pt"), count("export_tied.pt2")), (28, 28));
    assert_eq!(count("quantized_state_dict.pt"), count("quantized_script.pt"));
}
