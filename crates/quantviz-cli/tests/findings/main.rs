//! Every rule about one file: plants in several encodings are found, near misses and clean files are silent.

mod activations;
mod biases;
mod clean;
mod codes;
mod graphs;
mod samples;
mod scales;
mod weights;
mod zero_points;

use std::ops::ControlFlow;
use std::path::Path;

use quantviz::insight::{Code, Finding, Level, Lint, Target};

/// A model file, and what it is a sample of.
struct Sample {
    title: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
}

impl Sample {
    fn new(title: &'static str, file: &'static str, bytes: Vec<u8>) -> Self {
        Sample { title, file, bytes }
    }

    fn findings(&self, target: Option<Target>) -> Vec<Finding> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(self.file);
        std::fs::write(&path, &self.bytes).expect("written");
        findings(&path, target)
    }

    /// What one rule finds: how bad, and about what.
    fn found(&self, code: Code, target: Option<Target>) -> Vec<(Level, String)> {
        let found = self.findings(target).into_iter().filter(|finding| finding.code == code);
        found.map(|finding| (finding.level, finding.parameter.unwrap_or_default())).collect()
    }

    #[track_caller]
    fn has(&self, code: Code, level: Level, parameter: &str) {
        self.has_for(None, code, level, parameter);
    }

    #[track_caller]
    fn has_for(&self, target: Option<Target>, code: Code, level: Level, parameter: &str) {
        let expected = [(level, parameter.to_owned())];
        assert_eq!(
            self.found(code, target),
            expected,
            "{code} of {} in {:?}",
            self.title,
            self.findings(target)
        );
    }

    #[track_caller]
    fn lacks(&self, code: Code) {
        self.lacks_for(None, code);
    }

    #[track_caller]
    fn lacks_for(&self, target: Option<Target>, code: Code) {
        assert_eq!(self.found(code, target), [], "{code} of {} in {:?}", self.title, self.findings(target));
    }
}

/// All findings about a file. All of it has to be readable.
fn findings(path: &Path, target: Option<Target>) -> Vec<Finding> {
    let source = quantviz::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lint = target.map_or_else(Lint::new, |target| Lint::new().target(target));
    let linted = lint.run(&*source, &|_| ControlFlow::Continue(())).expect("nobody called it off");
    assert!(linted.unread.is_empty(), "{:?}", linted.unread);
    for finding in &linted.findings {
        let texts = [&finding.message, &finding.advice];
        assert!(texts.iter().all(|text| !text.is_empty() && !text.contains('\n')), "{finding:?}");
    }
    linted.findings
}
