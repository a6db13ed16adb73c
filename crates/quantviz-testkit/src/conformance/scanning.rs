//! The rules of scanning: any number of threads, one result; progress; an end on request.

use std::ops::ControlFlow;
use std::sync::Mutex;

use quantviz_core::{ErrorKind, Measured, ParameterSource, Progress, Result, Scan, SourceExt};

use super::reading::is_excused;

pub(super) fn check_scan(source: &(dyn ParameterSource + Sync)) {
    let (alone, progress) = scan(source, 1, false);
    check_errors(source, &alone);
    let alone = described(alone, 1);
    check_progress(&progress, 1);
    let rising = progress.is_sorted_by_key(|progress| progress.done);
    assert!(rising, "a scan's progress went backwards: {progress:?}");
    for threads in [2, 3] {
        let (together, progress) = scan(source, threads, false);
        check_progress(&progress, threads);
        for (one, other) in alone.iter().zip(described(together, threads)) {
            assert_eq!(one, &other, "a scan with {threads} threads differs from one with a single thread");
        }
    }
    // A scan of one step is over before it can be called off.
    if progress.len() > 1 {
        let (cancelled, _) = scan(source, 1, true);
        let kind = cancelled.as_ref().map_err(|error| error.kind()).err();
        assert_eq!(kind, Some(ErrorKind::Cancelled), "a scan went on after its progress broke");
    }
}

/// What a scan cannot measure is what cannot be read either, and what a warning names.
fn check_errors(source: &(dyn ParameterSource + Sync), measured: &Result<Vec<Measured>>) {
    let failed = measured.iter().flatten().filter_map(|it| Some((it.parameter, it.error.as_ref()?)));
    for (id, error) in failed {
        let (model, name) = (source.model(), &source.model().parameter(id).name);
        let is_readable_type = model.parameter(id).dtype.is_numeric();
        assert!(
            is_excused(model, id, error) || (!is_readable_type && error.kind() == ErrorKind::Unsupported),
            "parameter {name:?}: a scan cannot measure it, and no warning says so: {error}"
        );
    }
}

fn scan(
    source: &(dyn ParameterSource + Sync),
    threads: usize,
    cancel: bool,
) -> (Result<Vec<Measured>>, Vec<Progress>) {
    let reports = Mutex::new(Vec::new());
    let progress = |progress| {
        reports.lock().expect("no report panics").push(progress);
        if cancel { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let measured = source.scan(&Scan::new().bins(16).threads(threads), &progress);
    (measured, reports.into_inner().expect("no report panics"))
}

/// Written out: floats are printed to the last bit, and errors cannot be compared otherwise.
fn described(measured: Result<Vec<Measured>>, threads: usize) -> Vec<String> {
    match measured {
        Ok(measured) => measured.iter().map(|measured| format!("{measured:#?}")).collect(),
        Err(error) => panic!("a scan with {threads} threads failed: {error}"),
    }
}

fn check_progress(reports: &[Progress], threads: usize) {
    let Some(Progress { total, .. }) = reports.first().copied() else { return };
    assert!(
        reports.iter().all(|report| report.total == total && report.done <= total),
        "a scan with {threads} threads has a total of {total}, but reported {reports:?}"
    );
    let done = reports.iter().map(|report| report.done).max();
    assert_eq!(done, Some(total), "a scan with {threads} threads never reported the end");
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use quantviz_core::{Error, MemorySource, Model, ParameterId, Part, Sink};

    use super::*;

    struct Unreadable(MemorySource);

    impl ParameterSource for Unreadable {
        fn model(&self) -> &Model {
            self.0.model()
        }

        fn read(&self, _: ParameterId, _: Part, _: Range<u64>, _: &mut dyn Sink) -> Result<ControlFlow<()>> {
            Err(Error::not_found("its file is missing"))
        }
    }

    /// The same error on any number of threads is an error all the same.
    #[test]
    #[should_panic(expected = "parameter \"w\": a scan cannot measure it, and no warning says so")]
    fn errors_of_a_scan_need_an_excuse() {
        check_scan(&Unreadable(MemorySource::new().with("w", ndarray::arr1(&[1.0f32]))));
    }
}
