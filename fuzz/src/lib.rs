//! What has to hold for a file of any bytes: a model, recorded tensors, importance.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use quantviz::{BoxedSource, Error, Limits, Measured, Model, Recording, Scan, SourceExt, compare_recordings};
use quantviz_testkit::{SafetensorsBuilder, check_model};

/// Opens these bytes as a file of this name and measures everything in it.
///
/// # Panics
/// Where a promise is broken that holds for every file.
pub fn check(name: &str, bytes: &[u8]) {
    let path = written(name, bytes);
    match quantviz::open_with(&path, &limits()) {
        Err(error) => check_refusal(&error),
        Ok(source) => {
            check_model(source.model());
            check_warnings(source.model());
            source.model().parameters.iter().for_each(|it| assert!(it.shape.rank() <= limits().rank));
            check_values(&source);
            let again = quantviz::open_with(&path, &limits()).expect("it could be opened a moment ago");
            check_same(source.model(), again.model());
        }
    }
}

/// Opens these bytes as recorded tensors, measures them, and compares them with themselves.
///
/// # Panics
/// Where a promise is broken that holds for every file.
pub fn check_recordings(name: &str, bytes: &[u8]) {
    let path = written(name, bytes);
    match quantviz::open_recordings(&path, &limits()) {
        Err(error) => check_refusal(&error),
        Ok(recordings) => {
            let again = quantviz::open_recordings(&path, &limits()).expect("it could be opened a moment ago");
            for (recording, again) in recordings.iter().zip(&again) {
                let model = recording.source.model();
                check_model(model);
                check_warnings(model);
                check_values(&recording.source);
                check_same(model, again.source.model());
            }
            check_compared(&recordings, &again);
        }
    }
}

/// What is compared with itself is exact, or says in a line why it cannot be.
fn check_compared(recordings: &[Recording], again: &[Recording]) {
    match compare_recordings(recordings, again, None, Some(1), &|_| ControlFlow::Continue(())) {
        Err(error) => check_line(&error.to_string()),
        Ok(compared) => {
            for tensor in &compared.tensors {
                match &tensor.fidelity {
                    Err(error) => check_line(&error.to_string()),
                    Ok(fidelity) => assert!(fidelity.exact, "{:?} beside itself: {fidelity:?}", tensor.name),
                }
            }
        }
    }
}

/// Opens these bytes as importance of weights, whichever of its forms they are like.
///
/// # Panics
/// Where a promise is broken that holds for every file.
pub fn check_importance(bytes: &[u8]) {
    let path = written("imatrix", bytes);
    match quantviz::open_importance(&path, &limits()) {
        Err(error) => check_refusal(&error),
        Ok(importance) => assert!(!importance.is_empty(), "nothing is listed, and nothing said"),
    }
}

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, bytes).expect("the folder is writable");
    path
}

/// Written out where they differ: a scale that is not a number differs from itself.
fn check_same(one: &Model, other: &Model) {
    if one != other {
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "the same file, read twice");
    }
}

/// So little that no input can take long.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.tensors = 64;
    limits.rank = 8;
    limits.data_bytes = 1 << 20;
    limits.name_bytes = 1 << 14;
    limits.header_bytes = 1 << 16;
    limits.metadata = 64;
    limits.graph_bytes = 1 << 20;
    limits.graph_items = 1 << 12;
    limits.graph_memory = 1 << 22;
    limits.pickle_bytes = 1 << 16;
    limits.pickle_items = 1 << 12;
    limits.inflated_bytes = 1 << 20;
    limits.importance_bytes = 1 << 16;
    limits.depth = 20;
    limits
}

/// A folder of this process, in memory where the system has such, with shards for indexes to name.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("quantviz-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        for (name, tensor) in [("a.safetensors", "a"), ("b.safetensors", "b")] {
            let shard = SafetensorsBuilder::new().tensor(tensor, "I8", [2], &[1, 2]).build();
            fs::write(folder.join(name), shard).expect("the folder is writable");
        }
        folder
    })
}

fn check_line(line: &str) {
    assert!(!line.is_empty() && !line.contains(char::is_control), "{line:?} is not a line");
}

fn check_refusal(error: &Error) {
    check_line(&error.to_string());
    assert!(error.file().is_some_and(|file| file.starts_with(folder())), "{error}: no file of ours is named");
}

fn check_warnings(model: &Model) {
    model.warnings.iter().for_each(|warning| check_line(&warning.message));
}

fn check_values(source: &BoxedSource) {
    let scan = Scan::new().bins(8).threads(1);
    let measured = source.scan(&scan, &|_| ControlFlow::Continue(())).expect("nobody called it off");
    assert_eq!(measured.len(), source.model().parameters.len());
    measured.iter().for_each(|measured| check_measured(source.model(), measured));
}

fn check_measured(model: &Model, measured: &Measured) {
    let parameter = model.parameter(measured.parameter);
    if let Some(error) = &measured.error {
        check_line(&error.to_string());
        assert!(error.tensor().is_some(), "{error}: no tensor is named");
    }
    let elements = parameter.logical_shape().elements();
    let Some(summary) = &measured.summary else {
        return assert!(measured.error.is_some(), "{:?}: nothing is known, nor why", parameter.name);
    };
    assert_eq!(summary.count(), elements, "{:?}", parameter.name);
    if let (Some(min), Some(mean), Some(max)) = (summary.min(), summary.mean(), summary.max()) {
        let rounding = 1e-9 * min.abs().max(max.abs());
        assert!(min <= mean + rounding && mean <= max + rounding, "{:?}: {summary:?}", parameter.name);
    }
    if let Some(histogram) = &measured.histogram {
        assert_eq!(histogram.counts.iter().sum::<u64>(), summary.finite(), "{:?}", parameter.name);
    }
    if let Some(quantization) = &measured.quantization {
        assert_eq!(quantization.dequantized.count(), elements, "{:?}", parameter.name);
        assert!(quantization.scale.count() > 0 || elements == 0, "{:?}: no scales", parameter.name);
    }
}
