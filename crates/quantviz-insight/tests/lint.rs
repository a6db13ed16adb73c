//! How a model is looked at: whatever the number of threads, with progress, until it is called off.

use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array2, arr1};
use quantviz_core::{
    Block, DType, Encoding, ErrorKind, Granularity, MemorySource, Model, Operand, ParameterId,
    ParameterSource, Part, QuantDescriptor, Result, Sink,
};
use quantviz_insight::{Code, Lint};

/// Twelve weights, every third of which has a scale that is zero.
fn source() -> MemorySource {
    let mut source = MemorySource::new();
    for index in 0..12 {
        let scales: Vec<f32> =
            (0..16).map(|row| if row == index % 3 { 0.0 } else { 0.5 + row as f32 }).collect();
        source = source.with(format!("{index}.scales"), arr1(&scales));
        let scale = source.model().parameter_named(&format!("{index}.scales")).expect("was added");
        let codes = Array2::from_shape_fn((16, 256), |(row, column)| ((row * 7 + column) % 255) as u8 as i8);
        let per_row = QuantDescriptor::of_stored(
            Encoding::Other,
            "",
            DType::I8,
            Granularity::Axis(0),
            Operand::Parameter(scale),
            None,
        );
        source =
            source.with(format!("{index}.weight"), codes).quantized(per_row.expect("i8")).expect("it fits");
    }
    source
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let source = source();
    let find = |threads| {
        Lint::new()
            .threads(threads)
            .run(&source, &|_| ControlFlow::Continue(()))
            .expect("not called off")
            .findings
    };
    let findings = find(1);
    assert_eq!(findings.iter().filter(|finding| finding.code == Code::BadScale).count(), 12);
    (2..6).for_each(|threads| assert_eq!(find(threads), findings));
}

#[test]
fn progress_ascends_to_the_end_and_may_call_it_off() {
    let source = source();
    let steps = Mutex::new(Vec::new());
    let hear = |step: quantviz_core::Progress| {
        steps.lock().expect("nobody panicked").push((step.done, step.total));
        ControlFlow::Continue(())
    };
    Lint::new().run(&source, &hear).expect("not called off");
    let steps = steps.into_inner().expect("nobody panicked");
    assert!(steps.is_sorted() && steps.iter().all(|(_, total)| *total == 12 * 16 * 256), "{steps:?}");
    assert_eq!((steps.first(), steps.last()), (Some(&(0, 49152)), Some(&(49152, 49152))));
    let error = Lint::new().run(&source, &|_| ControlFlow::Break(())).expect_err("called off");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

/// Counts the codes that are read.
struct Counting {
    source: MemorySource,
    read: AtomicU64,
}

impl ParameterSource for Counting {
    fn model(&self) -> &Model {
        self.source.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let mut counted = |block: Block<'_>| {
            if part == Part::Codes {
                self.read.fetch_add(block.elements.len() as u64, Ordering::Relaxed);
            }
            sink.block(block)
        };
        self.source.read(id, part, range, &mut counted)
    }
}

#[test]
fn codes_are_read_once_and_once_more_where_scales_are_zero() {
    let counting = Counting { source: source(), read: AtomicU64::new(0) };
    Lint::new().run(&counting, &|_| ControlFlow::Continue(())).expect("not called off");
    assert_eq!(counting.read.into_inner(), 2 * 12 * 16 * 256);
}

#[test]
fn what_cannot_be_read_is_told() {
    struct Broken(MemorySource);
    impl ParameterSource for Broken {
        fn model(&self) -> &Model {
            self.0.model()
        }

        fn read(
            &self,
            id: ParameterId,
            part: Part,
            range: Range<u64>,
            sink: &mut dyn Sink,
        ) -> Result<ControlFlow<()>> {
            match (part, self.model().parameter(id).name.as_str()) {
                (Part::Codes, "3.weight") => {
                    Err(quantviz_core::Error::malformed("it is gone").in_tensor("3.weight"))
                }
                _ => self.0.read(id, part, range, sink),
            }
        }
    }
    let linted = Lint::new().run(&Broken(source()), &|_| ControlFlow::Continue(())).expect("not called off");
    assert_eq!(linted.unread.iter().map(|error| error.tensor()).collect::<Vec<_>>(), [Some("3.weight")]);
    assert!(linted.findings.iter().all(|finding| finding.parameter.as_deref() != Some("3.weight")));
    assert!(linted.findings.iter().any(|finding| finding.parameter.as_deref() == Some("4.weight")));
}
