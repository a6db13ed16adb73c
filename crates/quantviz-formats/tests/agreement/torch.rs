//! The files in `fixtures/torch`, against what torch said of them when it wrote them.

use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::{ParameterId, ParameterSource, Part, SourceExt};
use quantviz_formats::BoxedSource;
use serde::Deserialize;

use crate::comparison::first_difference;
use crate::seen::Seen;

#[derive(Deserialize)]
struct Notes {
    tensors: Vec<Tensor>,
}

/// Floats are text, as everywhere in the notes.
#[derive(Deserialize)]
struct Tensor {
    name: String,
    values: Option<Vec<String>>,
    real: Option<Vec<String>>,
}

/// Everything that differs.
pub(crate) fn check_fixtures(seen: &mut Seen) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/torch");
    let files = fs::read_dir(folder).expect("the fixtures are there");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension != "json"));
    files.sort();
    files.iter().flat_map(|path| check_file(path, seen)).collect()
}

fn check_file(path: &Path, seen: &mut Seen) -> Vec<String> {
    let notes = fs::read_to_string(format!("{}.json", path.display())).expect("notes beside the file");
    let notes: Notes = serde_json::from_str(&notes).expect("JSON");
    let source = match quantviz_formats::open(path) {
        Ok(source) => source,
        Err(error) => return vec![error.to_string()],
    };
    let model = source.model();
    let mut differences = Vec::new();
    for tensor in &notes.tensors {
        let Some(id) = model.parameter_named(&tensor.name) else {
            differences.push(format!("{}: {} is missing", path.display(), tensor.name));
            continue;
        };
        let difference = compare(&source, id, tensor);
        differences.extend(
            difference.map(|difference| format!("{}: {}: {difference}", path.display(), tensor.name)),
        );
        let expected = if model.parameter(id).quantization.is_some() { &tensor.real } else { &tensor.values };
        if expected.is_some() {
            seen.compared(model.format, model.parameter(id), Some("torch"));
        }
    }
    differences
}

fn compare(source: &BoxedSource, id: ParameterId, tensor: &Tensor) -> Option<String> {
    let numbers =
        |texts: &[String]| -> Vec<f64> { texts.iter().map(|text| text.parse().expect("a number")).collect() };
    let stored = tensor.values.as_deref().and_then(|expected| match source.values(id, Part::Stored) {
        Ok(found) => first_difference(&found, &numbers(expected)),
        Err(error) => Some(error.to_string()),
    });
    let real = tensor.real.as_deref().and_then(|expected| match source.real_array(id) {
        Ok(found) => {
            let found: Vec<f64> = found.iter().map(|&value| f64::from(value)).collect();
            let rounded: Vec<f64> = numbers(expected).iter().map(|&value| f64::from(value as f32)).collect();
            first_difference(&found, &rounded)
        }
        Err(error) => Some(error.to_string()),
    });
    stored.or(real)
}
