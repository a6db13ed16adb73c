//! What tests of files share: folders to put them in, and what every error and every opened model has to look like.
#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use quantviz_core::{
    Error, ErrorKind, Measured, Model, Operand, Parameter, ParameterId, ParameterSource, Part,
    QuantDescriptor, Scan, SourceExt, Warning,
};
use quantviz_formats::BoxedSource;
use tempfile::TempDir;

/// A folder of its own, gone when the test is over.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().expect("the temporary folder is writable"))
    }

    /// In memory where the system has a folder there: for tests that write many thousand files.
    pub(crate) fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Folder(folder.expect("the temporary folder is writable"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, in folders that need not exist yet.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        let folder = path.parent().expect("a file has a folder");
        fs::create_dir_all(folder).expect("the temporary folder is writable");
        fs::write(&path, bytes).expect("the temporary folder is writable");
        path
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).expect("it was written before");
    }

    /// Opens a file that there is nothing wrong with.
    pub(crate) fn open(&self, name: &str) -> BoxedSource {
        quantviz_formats::open(self.path().join(name)).expect("a readable file")
    }

    /// The error of a file that cannot be opened, having been checked for its looks.
    pub(crate) fn refused(&self, name: &str) -> Error {
        let path = self.path().join(name);
        let Err(error) = quantviz_formats::open(&path) else { panic!("{name} was opened") };
        check_refusal(&error, &path);
        error
    }
}

/// One file, opened. The folder stays as long as the source.
pub(crate) struct Opened {
    pub(crate) folder: Folder,
    pub(crate) source: BoxedSource,
}

impl Opened {
    pub(crate) fn model(&self) -> &Model {
        self.source.model()
    }

    pub(crate) fn id(&self, name: &str) -> ParameterId {
        self.model().parameter_named(name).unwrap_or_else(|| panic!("there is no parameter {name:?}"))
    }

    pub(crate) fn parameter(&self, name: &str) -> &Parameter {
        self.model().parameter(self.id(name))
    }

    pub(crate) fn quantization(&self, name: &str) -> &QuantDescriptor {
        let quantization = self.parameter(name).quantization.as_ref();
        quantization.unwrap_or_else(|| panic!("{name:?} is not quantized: {:?}", self.model().warnings))
    }

    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        self.part(name, Part::Stored)
    }

    pub(crate) fn part(&self, name: &str, part: Part) -> Vec<f64> {
        self.source.values(self.id(name), part).expect("readable")
    }

    /// Why a tensor cannot be read.
    pub(crate) fn unreadable(&self, name: &str) -> Error {
        let Err(error) = self.source.values(self.id(name), Part::Stored) else { panic!("{name} was read") };
        check_error(&error);
        assert_eq!(error.tensor(), Some(name), "{error}");
        error
    }

    /// The warnings about one parameter.
    pub(crate) fn warnings(&self, name: &str) -> Vec<&Warning> {
        self.model().warnings.iter().filter(|warning| warning.parameter.as_deref() == Some(name)).collect()
    }
}

/// Opens these bytes as a file of this name.
pub(crate) fn open(name: &str, bytes: impl AsRef<[u8]>) -> Opened {
    let folder = Folder::new();
    folder.put(name, bytes);
    let source = folder.open(name);
    Opened { folder, source }
}

/// The error that these bytes as a file of this name give.
pub(crate) fn refused(name: &str, bytes: impl AsRef<[u8]>) -> Error {
    let folder = Folder::new();
    folder.put(name, bytes);
    folder.refused(name)
}

/// What the error of a file that is too short says behind the fact.
pub(crate) fn cut_short(fact: &str) -> String {
    format!("{fact}; the file is cut short: download or copy it again")
}

/// Compares an error with its kind, its tensor, its byte and its message.
#[track_caller]
pub(crate) fn assert_error(
    error: &Error,
    kind: ErrorKind,
    tensor: Option<&str>,
    offset: Option<u64>,
    message: &str,
) {
    let found = (error.kind(), error.tensor(), error.offset(), error.message());
    assert_eq!(found, (kind, tensor, offset, message));
}

/// One line that a terminal can show.
pub(crate) fn check_error(error: &Error) {
    let line = error.to_string();
    assert!(!line.is_empty() && !line.contains(char::is_control), "{line:?} is not a line");
}

/// An error of opening a file names it, or a file beside it that it names.
pub(crate) fn check_refusal(error: &Error, path: &Path) {
    check_error(error);
    let file = error.file().unwrap_or_else(|| panic!("{error}: no file is named"));
    let folder = path.parent().unwrap_or(path);
    assert!(file.starts_with(folder), "{error}: the file is another one");
}

/// What holds for every model that could be opened, however damaged its file is.
pub(crate) fn check_model(model: &Model) {
    for id in model.parameter_ids() {
        let parameter = model.parameter(id);
        let layer = parameter.layer.map(|layer| model.layer(layer));
        let listed = layer.is_some_and(|layer| layer.parameters.contains(&id));
        assert!(listed, "{:?} is not listed by its layer", parameter.name);
        let Some(quantization) = &parameter.quantization else { continue };
        let groups = quantization.groups(&parameter.shape);
        assert!(groups.is_some(), "{:?}: groups that do not fit {}", parameter.name, parameter.shape);
    }
    for warning in &model.warnings {
        assert!(!warning.message.contains(char::is_control), "{:?} is not a line", warning.message);
    }
}

/// Measures everything; what cannot be measured says which tensor it is.
pub(crate) fn scan(source: &BoxedSource) -> Vec<Measured> {
    let scan = Scan::new().bins(8).threads(1);
    let measured = source.scan(&scan, &|_| ControlFlow::Continue(())).expect("nobody called it off");
    for measured in &measured {
        let Some(error) = &measured.error else { continue };
        check_error(error);
        assert!(error.tensor().is_some(), "{error}: no tensor is named");
    }
    measured
}

/// The number that an operand is, where it is known without reading.
pub(crate) fn number(operand: &Operand) -> Option<f64> {
    match operand {
        Operand::One { value, .. } => Some(*value),
        _ => None,
    }
}
