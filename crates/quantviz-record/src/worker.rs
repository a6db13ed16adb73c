//! The recorder's own thread: makes snapshots of captures and gives everything its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quantviz_core::{
    ArrayWriter, RecordKind, Result, RunNote, ScalarBatch, SessionId, SnapshotStore, StateMessage, Track,
};

use crate::allowance::Allowance;
use crate::builder::Options;
use crate::captured::Captured;
use crate::delivery::{Delivery, Parcel};
use crate::encode::{Encoder, Piece};
use crate::queue::{Queue, Taken};
use crate::selection::Selection;

/// Captures that wait to be made snapshots of.
const WAITING: usize = 2;
/// What takes long, and can wait, goes on as long as this thread has had less than so much of the share of time that
/// recording may take.
const SHARE_OF_SHARE: f64 = 0.25;

/// What the training thread hands over.
pub(crate) enum Job {
    /// From here on, captures are of another selection.
    Selection(Arc<Selection>),
    /// From here on, captures have other rows of embeddings.
    OtherRows(Arc<Selection>),
    /// The run has gone back to this step.
    Resumed(u64),
    Capture(Box<Captured>),
    Scalars(Vec<(u64, Vec<(String, f64)>)>),
    Note(RunNote),
    Probe {
        step: u64,
        name: String,
        shape: Vec<usize>,
        values: Vec<f32>,
    },
    State(u64, StateMessage),
}

/// What is told of a recording.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) snapshots: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// On the way to stores.
    pub(crate) lost: AtomicU64,
    /// That the thread was busy.
    pub(crate) nanoseconds: AtomicU64,
}

pub(crate) struct Worker {
    session: SessionId,
    options: Options,
    encoder: Option<Encoder>,
    deliveries: Vec<Delivery>,
    seq: u64,
    epoch: u32,
    begins: Option<u64>,
    begun: Instant,
    spent: Duration,
    counts: Arc<Counts>,
}

pub(crate) fn queue() -> Arc<Queue<Job>> {
    Arc::new(Queue::new(WAITING, |it: &Job| matches!(it, Job::Capture(_))))
}

impl Worker {
    pub(crate) fn new(
        session: SessionId,
        options: Options,
        stores: Vec<Arc<dyn SnapshotStore>>,
        counts: Arc<Counts>,
    ) -> Self {
        let start = |store| Delivery::start(store, session.clone(), options.clone());
        let deliveries = stores.into_iter().map(start).collect();
        Worker {
            encoder: None,
            deliveries,
            seq: 1,
            epoch: 1,
            begins: None,
            begun: Instant::now(),
            spent: Duration::ZERO,
            counts,
            session,
            options,
        }
    }

    pub(crate) fn run(mut self, queue: &Queue<Job>) {
        crate::priority::give_way();
        loop {
            match queue.take(Duration::from_secs(60)) {
                Taken::One(job) => {
                    let begun = Instant::now();
                    match self.pieces(job) {
                        Ok(pieces) => pieces.into_iter().for_each(|piece| self.send(piece)),
                        Err(error) => (self.options.trouble)(&format!("session {}: {error}", self.session)),
                    }
                    self.spent += begun.elapsed();
                    let spent = u64::try_from(self.spent.as_nanos()).unwrap_or(u64::MAX);
                    self.counts.nanoseconds.store(spent, Ordering::Relaxed);
                    self.count_lost();
                }
                Taken::Nothing => {}
                Taken::Closed => break,
            }
        }
        let until = Instant::now() + self.options.patience;
        for delivery in &mut self.deliveries {
            if !delivery.finish(until) {
                let session = &self.session;
                (self.options.trouble)(&format!(
                    "session {session}: a store has not taken everything in time"
                ));
            }
        }
        self.count_lost();
    }

    fn count_lost(&self) {
        let lost = self.deliveries.iter().map(Delivery::lost).sum();
        self.counts.lost.store(lost, Ordering::Relaxed);
    }

    fn send(&mut self, piece: Piece) {
        self.counts.bytes.fetch_add(piece.bytes.len() as u64, Ordering::Relaxed);
        if piece.kind == RecordKind::Snapshot {
            self.counts.snapshots.fetch_add(1, Ordering::Relaxed);
        }
        let parcel = Parcel { seq: self.seq, begins: self.begins.take(), piece: Arc::new(piece) };
        self.seq += 1;
        self.deliveries.iter().for_each(|delivery| delivery.send(parcel.clone()));
    }

    fn pieces(&mut self, job: Job) -> Result<Vec<Piece>> {
        let plain = |kind, step: u64, first_step, bytes: Vec<u8>| {
            let summary_len = bytes.len() as u64;
            vec![Piece { kind, step, first_step, bytes: bytes.into(), summary_len }]
        };
        Ok(match job {
            Job::Selection(selection) => {
                let session = self.session.to_string();
                self.encoder = Some(Encoder::new(session, self.options.clone(), selection));
                Vec::new()
            }
            Job::OtherRows(selection) => {
                if let Some(encoder) = &mut self.encoder {
                    encoder.show_other_rows(selection);
                }
                Vec::new()
            }
            Job::Resumed(step) => {
                self.begins = Some(step);
                self.epoch += 1;
                if let Some(encoder) = &mut self.encoder {
                    // An epoch needs its own plan.
                    encoder.forget_plan();
                }
                Vec::new()
            }
            Job::Capture(captured) => {
                let share = SHARE_OF_SHARE * self.options.share * self.begun.elapsed().as_secs_f64();
                let left = Duration::from_secs_f64(share).saturating_sub(self.spent);
                match &mut self.encoder {
                    Some(encoder) => encoder.encode(&captured, self.seq, self.epoch, Allowance::of(left))?,
                    None => Vec::new(),
                }
            }
            Job::Scalars(rows) => {
                let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
                let batch = ScalarBatch::of(&rows).to_bytes()?;
                plain(RecordKind::Scalars, last.0.max(first.0), first.0.min(last.0), batch)
            }
            Job::Note(note) => plain(RecordKind::Note, note.step, note.step, as_json(&note)?),
            Job::Probe { step, name, shape, values } => {
                let mut arrays = ArrayWriter::default();
                arrays.push(Track::Light, "value", &shape, &values);
                let written = arrays.finish(&serde_json::json!({ "schema": 1, "name": name }))?;
                plain(RecordKind::Probe, step, step, written.bytes)
            }
            Job::State(step, message) => plain(RecordKind::State, step, step, as_json(&message)?),
        })
    }
}

fn as_json(message: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(message).map_err(|error| quantviz_core::Error::malformed(error.to_string()))
}
