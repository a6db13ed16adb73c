//! Sessions of checkpoints that are there already.

use std::sync::Arc;

use quantviz_core::{
    Entry, Error, Opening, ParameterSource, RecordKind, Result, SessionId, SnapshotStore, StateMessage,
    Writer,
};

use crate::allowance::Allowance;
use crate::builder::Options;
use crate::capture::Capturer;
use crate::encode::Encoder;
use crate::recorder::now_ms;
use crate::selection::Selection;

/// Makes a session of checkpoints: of each everything is looked at, and nothing is sampled that a snapshot has whole.
///
/// ```
/// use quantviz_core::{MemorySource, Run};
/// use quantviz_record::Recorder;
/// use quantviz_store::MemoryStore;
///
/// let store = MemoryStore::new();
/// let mut import = Recorder::builder("finished").to(store.clone()).import()?;
/// for step in [100, 200, 300] {
///     let checkpoint = MemorySource::new().with("fc.weight", ndarray::arr2(&[[0.5f32, -1.5], [step as f32, 0.25]]));
///     import.add(step, &checkpoint)?;
/// }
/// import.finish()?;
/// assert_eq!(Run::open(&store, &"finished".parse()?)?.snapshots().len(), 3);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub struct Import {
    session: SessionId,
    options: Options,
    stores: Vec<(Arc<dyn SnapshotStore>, Option<Writer>)>,
    state: Option<(Capturer, Encoder)>,
    seq: u64,
    last_step: Option<u64>,
}

impl Import {
    pub(crate) fn new(session: SessionId, options: Options, stores: Vec<Arc<dyn SnapshotStore>>) -> Self {
        let stores = stores.into_iter().map(|store| (store, None)).collect();
        let options = Options { gradients: false, every: crate::pace::Every::Checkpoints, ..options };
        Import { session, options, stores, state: None, seq: 1, last_step: None }
    }

    /// Adds a checkpoint. They come in the order of their steps.
    ///
    /// # Errors
    /// Where it cannot be read, has nothing to be recorded, or a store does not take it; what came before is kept.
    pub fn add(&mut self, step: u64, source: &dyn ParameterSource) -> Result<()> {
        if self.last_step.is_some_and(|last| step <= last) {
            return Err(Error::malformed(format!(
                "step {step} comes after step {}",
                self.last_step.unwrap_or(0)
            )));
        }
        let (mut capturer, mut encoder) =
            match self.state.take().filter(|it| it.0.selection.fits(source.model())) {
                Some(state) => state,
                None => {
                    let selection = Arc::new(Selection::of(source.model(), &self.options));
                    if selection.ids.is_empty() {
                        return Err(Error::not_found(
                            "it has no parameters that training changes, of a type that is recorded",
                        ));
                    }
                    let encoder =
                        Encoder::new(self.session.to_string(), self.options.clone(), selection.clone());
                    (Capturer::new(selection, self.options.clone()), encoder)
                }
            };
        let mut captured = capturer.capture(step, source, None);
        if let Some(line) = captured.trouble.first() {
            return Err(Error::malformed(line.clone()));
        }
        captured.time_ms = now_ms();
        for piece in encoder.encode(&captured, self.seq, 1, Allowance::UNBOUNDED)? {
            let (seq, bytes) = (self.seq, piece.bytes.clone());
            let entry = match piece.kind {
                RecordKind::Snapshot => Entry::snapshot(step, seq, bytes, piece.summary_len),
                kind => Entry::new(kind, step, seq, bytes),
            };
            self.append(&entry)?;
        }
        (self.last_step, self.state) = (Some(step), Some((capturer, encoder)));
        Ok(())
    }

    fn append(&mut self, entry: &Entry) -> Result<()> {
        for (store, writer) in &mut self.stores {
            let writer = match writer {
                Some(writer) => writer,
                None => writer.insert(store.open(&self.session, self.options.rank, Opening::New)?),
            };
            store.append(writer, entry)?;
        }
        self.seq += 1;
        Ok(())
    }

    /// Says that this is all.
    ///
    /// # Errors
    /// Where a store does not take it.
    pub fn finish(mut self) -> Result<()> {
        let finished = serde_json::to_vec(&StateMessage::finished());
        let finished = finished.map_err(|error| Error::malformed(error.to_string()))?;
        self.append(&Entry::new(RecordKind::State, self.last_step.unwrap_or(0), self.seq, finished))
    }
}
