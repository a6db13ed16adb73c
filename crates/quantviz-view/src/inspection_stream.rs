//! An inspection that is written while it is made: no more of it is in memory than what is being measured.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use quantviz_core::{ParameterSource, Progress, Result, Warning};
use serde::ser::{Error, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::inspection::{Inspection, LayerView, ModelView, measure};
use crate::parameter::ParameterView;
use crate::request::{Request, Selection};

type OnProgress<'a> = &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync);

/// What serializes as an [`Inspection`] does. Its parameters are measured when that happens, and each is written soon
/// after; [`Inspection::stream`] makes it.
pub struct InspectionStream<'a> {
    /// The model as a whole.
    pub model: ModelView,
    layers: Vec<LayerView>,
    source: &'a (dyn ParameterSource + Sync),
    selection: Selection,
    request: &'a Request,
    progress: OnProgress<'a>,
}

impl Inspection {
    /// The same as [`of`](Self::of), for those who only write it: the histograms of very many parameters need not be in
    /// memory at once.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{Inspection, Request};
    ///
    /// let source = MemorySource::new().with("weight", ndarray::arr1(&[-1.0f32, 0.0, 2.0]));
    /// let request = Request { bins: Some(4), ..Request::default() };
    /// let stream = Inspection::stream(&source, "my model", &request, &|_| ControlFlow::Continue(()))?;
    /// let mut json = Vec::new();
    /// serde_json::to_writer(&mut json, &stream).expect("memory can be written to");
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where `request` names a parameter or a layer that is not there. A parameter that cannot be read is among the
    /// warnings, even if it is named: what comes before it has been written when that is known.
    pub fn stream<'a>(
        source: &'a (dyn ParameterSource + Sync),
        path: impl Into<String>,
        request: &'a Request,
        progress: OnProgress<'a>,
    ) -> Result<InspectionStream<'a>> {
        let model = source.model();
        let selection = Selection::of(model, request)?;
        let layers = selection.layers.iter().map(|&id| LayerView::of(model, model.layer(id))).collect();
        Ok(InspectionStream {
            model: ModelView::of(model, path),
            layers,
            source,
            selection,
            request,
            progress,
        })
    }
}

impl Serialize for InspectionStream<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Inspection", 5)?;
        fields.serialize_field("schema", Inspection::SCHEMA)?;
        fields.serialize_field("model", &self.model)?;
        fields.serialize_field("layers", &self.layers)?;
        let parameters = Parameters { of: self, warnings: RefCell::default() };
        fields.serialize_field("parameters", &parameters)?;
        fields.serialize_field("warnings", &parameters.warnings)?;
        fields.end()
    }
}

struct Parameters<'a> {
    of: &'a InspectionStream<'a>,
    /// Known once the parameters are written.
    warnings: RefCell<Vec<Warning>>,
}

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let InspectionStream { source, selection, request, progress, .. } = self.of;
        let mut sequence = serializer.serialize_seq(Some(selection.parameters.len()))?;
        let failure = Cell::new(None);
        let failed = AtomicBool::new(false);
        // Where nothing more can be written, nothing more is measured.
        let progress = |step: Progress| match failed.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => progress(step),
        };
        let mut write = |view: ParameterView| {
            if !failed.load(Ordering::Relaxed)
                && let Err(error) = sequence.serialize_element(&view)
            {
                failed.store(true, Ordering::Relaxed);
                failure.set(Some(error));
            }
        };
        let measured = measure(*source, selection, request, &progress, &mut write);
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let measured = measured.map_err(S::Error::custom)?;
        self.warnings.replace(measured.warnings);
        sequence.end()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::ops::Range;
    use std::sync::atomic::AtomicUsize;

    use ndarray::arr1;
    use quantviz_core::{MemorySource, Model, ParameterId, Part, Sink};

    use super::*;

    /// More than are measured at a time.
    const MANY: usize = 10_000;

    /// Counts how often a parameter is read.
    struct Counted {
        source: MemorySource,
        reads: AtomicUsize,
    }

    impl ParameterSource for Counted {
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
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.source.read(id, part, range, sink)
        }
    }

    fn many() -> Counted {
        let weights = (0..MANY).map(|number| (format!("w{number}"), arr1(&[0.5, number as f32, f32::NAN])));
        let source = weights.fold(MemorySource::new(), |source, (name, values)| source.with(&name, values));
        Counted { source, reads: AtomicUsize::new(0) }
    }

    fn request() -> Request {
        Request { bins: Some(3), ..Request::default() }
    }

    fn go_on(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Remembers how many reads there had been when the first parameter came.
    struct Watcher<'a> {
        reads: &'a AtomicUsize,
        seen: Option<usize>,
        room: usize,
    }

    impl Write for Watcher<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.windows(4).any(|it| it == b"mean") {
                self.seen.get_or_insert(self.reads.load(Ordering::Relaxed));
            }
            self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_is_what_would_be_made() {
        let (source, request) = (many(), request());
        let stream = Inspection::stream(&source, "m", &request, &go_on).expect("all is there");
        let whole = Inspection::of(&source, "m", &request, &go_on).expect("all can be read");
        let (stream, whole) = (serde_json::to_string(&stream), serde_json::to_string(&whole));
        assert!(stream.expect("it can be written") == whole.expect("it can be written"));
    }

    #[test]
    fn parameters_are_written_while_others_are_measured() {
        let (source, request) = (many(), request());
        let stream = Inspection::stream(&source, "m", &request, &go_on).expect("all is there");
        let mut watcher = Watcher { reads: &source.reads, seen: None, room: usize::MAX };
        serde_json::to_writer(&mut watcher, &stream).expect("there is room");
        let (first, all) = (watcher.seen.expect("a parameter"), source.reads.load(Ordering::Relaxed));
        assert!(first < all, "the first of {MANY} was written after {first} of {all} reads");
    }

    #[test]
    fn nothing_is_measured_that_cannot_be_written() {
        let (source, request) = (many(), request());
        let stream = Inspection::stream(&source, "m", &request, &go_on).expect("all is there");
        let layers = serde_json::to_string(&stream.layers).expect("it can be written").len();
        let mut watcher = Watcher { reads: &source.reads, seen: None, room: layers + 10_000 };
        let error = serde_json::to_writer(&mut watcher, &stream).expect_err("there is no room");
        assert_eq!(error.io_error_kind(), Some(io::ErrorKind::BrokenPipe));
        assert!(source.reads.load(Ordering::Relaxed) < MANY);
    }

    #[test]
    fn a_name_that_is_not_there_is_known_at_once() {
        let source = MemorySource::new().with("w", arr1(&[1.0f32]));
        let request = Request { parameters: vec!["v".to_owned()], ..Request::default() };
        let error = Inspection::stream(&source, "m", &request, &go_on).err().expect("there is no v");
        assert_eq!(error.kind(), quantviz_core::ErrorKind::UnknownName);
    }
}
