//! What is called in a training loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quantviz_core::{ParameterSource, RunNote, SessionId, SnapshotStore, StateMessage};

use crate::builder::{Options, RecorderBuilder};
use crate::capture::Capturer;
use crate::captured::Captured;
use crate::pace::Pace;
use crate::queue::Queue;
use crate::selection::Selection;
use crate::worker::{Counts, Job, Worker, queue};

/// Scalars are handed over after so long.
const SCALARS_WAIT: Duration = Duration::from_secs(1);
/// Rows of scalars that wait at most, whatever becomes of the thread that takes them.
const MOST_SCALARS: usize = 100_000;
/// The numbers of a probe: 64 KB of them.
const MOST_PROBED: usize = 16_384;
/// The characters of a note.
const MOST_NOTED: usize = 65_536;
/// The names of scalars at one step.
const MOST_NAMES: usize = 256;
/// Lines of trouble of one capture.
const MOST_LINES: usize = 3;

/// Records a training run. Nothing that it does is an error for whoever trains: what goes wrong is told once and counted.
///
/// ```
/// use quantviz_core::{MemorySource, Run, SnapshotStore};
/// use quantviz_record::Recorder;
/// use quantviz_store::MemoryStore;
///
/// let store = MemoryStore::new();
/// let mut recorder = Recorder::builder("shakespeare").every_steps(1).to(store.clone()).start()?;
/// for step in 0..3 {
///     let weight = ndarray::arr2(&[[0.5f32, -1.5], [step as f32, 0.25]]);
///     let source = MemorySource::new().with("fc.weight", weight);
///     recorder.record(step, &source, &[("loss", 2.0 - step as f64)]);
/// }
/// recorder.note(2, "sample", "KING: what say you, my lord");
/// recorder.finish();
///
/// let run = Run::open(&store, &"shakespeare".parse()?)?;
/// assert_eq!(run.scalars()?["loss"], [(0, 2.0), (1, 1.0), (2, 0.0)]);
/// assert_eq!(run.notes()?[0].text, "KING: what say you, my lord");
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub struct Recorder {
    session: SessionId,
    options: Options,
    pace: Pace,
    capturer: Option<Capturer>,
    focus: Option<String>,
    queue: Arc<Queue<Job>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
    begun: Instant,
    /// When the call before ended.
    last: Option<Instant>,
    last_step: u64,
    scalars: Vec<(u64, Vec<(String, f64)>)>,
    scalars_since: Instant,
    failures: u64,
    last_trouble: Option<String>,
    longest: Duration,
    budget: Option<Duration>,
}

/// How a recording goes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecorderState {
    /// Snapshots that were made.
    pub snapshots: u64,
    /// The bytes of everything that was made.
    pub bytes: u64,
    /// Snapshots that were lost because a store, or the recorder's own thread, did not keep up. One that a store has never
    /// answered for counts as well.
    pub lost: u64,
    /// Calls in which something went wrong.
    pub failures: u64,
    /// The time that recording took on the training thread.
    pub spent: Duration,
    /// Of all time, the share that this is.
    pub share: f64,
    /// The longest call.
    pub longest: Duration,
    /// What the last call might have taken, if parameters were looked at in it.
    pub budget: Option<Duration>,
}

impl Recorder {
    /// Describes a recording, of a session with this id.
    pub fn builder(session: impl Into<String>) -> RecorderBuilder {
        RecorderBuilder::new(session)
    }

    pub(crate) fn start(session: SessionId, options: Options, stores: Vec<Arc<dyn SnapshotStore>>) -> Self {
        let (queue, counts) = (queue(), Arc::new(Counts::default()));
        let worker = Worker::new(session.clone(), options.clone(), stores, counts.clone());
        let jobs = queue.clone();
        let thread =
            std::thread::Builder::new().name("quantviz-record".into()).spawn(move || worker.run(&jobs)).ok();
        Recorder {
            pace: Pace::new(options.every, options.share),
            session,
            options,
            capturer: None,
            focus: None,
            queue,
            thread,
            counts,
            begun: Instant::now(),
            last: None,
            last_step: 0,
            scalars: Vec::new(),
            scalars_since: Instant::now(),
            failures: 0,
            last_trouble: None,
            longest: Duration::ZERO,
            budget: None,
        }
    }

    /// Call it after every step of the optimizer, while gradients are still there. Scalars are kept at every call,
    /// parameters when they are due.
    pub fn record<'n>(
        &mut self,
        step: u64,
        source: &dyn ParameterSource,
        scalars: impl IntoIterator<Item = &'n (&'n str, f64)>,
    ) {
        let begun = Instant::now();
        if let Some(last) = self.last {
            self.pace.step_took(begun.saturating_duration_since(last));
        }
        let scalars: Vec<(String, f64)> =
            scalars.into_iter().take(MOST_NAMES).map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let is_back = step < self.last_step;
        self.last_step = step;
        if is_back {
            // A batch tells of steps that ascend; what was recorded from here on is no longer true.
            self.hand_over_scalars();
            drop(self.queue.push(Job::Resumed(step)));
        }
        self.pace.spent_elsewhere(Duration::from_nanos(self.counts.nanoseconds.load(Ordering::Relaxed)));
        let due = self.pace.due(step);
        self.budget = due;
        if self.scalars.len() < MOST_SCALARS {
            self.scalars.push((step, scalars));
        }
        match due {
            Some(budget) => {
                // A source that panics has to be one that nobody needs to look into any more.
                let captured = catch_unwind(AssertUnwindSafe(|| self.capture(step, source, budget)));
                match captured {
                    Ok(captured) => self.hand_over(captured),
                    Err(panic) => {
                        self.capturer = None;
                        self.fail(&format!("reading parameters panicked: {}", words_of(&*panic)));
                    }
                }
                self.pace.captured(step, begun.elapsed(), budget);
            }
            None => {
                if self.pace.is_before_due(step)
                    && let Some(capturer) = &mut self.capturer
                    && capturer.selection.fits(source.model())
                    && catch_unwind(AssertUnwindSafe(|| capturer.remember(step, source))).is_err()
                {
                    self.capturer = None;
                    self.fail("reading parameters panicked");
                }
                self.hand_over_scalars_in_time();
                self.pace.also_spent(begun.elapsed());
            }
        }
        self.longest = self.longest.max(begun.elapsed());
        self.last = Some(Instant::now());
    }

    fn capture(&mut self, step: u64, source: &dyn ParameterSource, budget: Duration) -> Captured {
        let model = source.model();
        let capturer = match self.capturer.take().filter(|it| it.selection.fits(model)) {
            Some(capturer) => capturer,
            None => {
                let selection = Arc::new(Selection::of(model, &self.options));
                drop(self.queue.push(Job::Selection(selection.clone())));
                Capturer::new(selection, self.options.clone())
            }
        };
        let capturer = self.capturer.insert(capturer);
        capturer.watched.focus.clone_from(&self.focus);
        let mut captured = capturer.capture(step, source, Some(budget));
        if self.pace.due(step.saturating_add(1)).is_some() {
            // Every step is captured: the sample of this one is that before the next.
            capturer.keep(step, &captured.sample);
        }
        if let Some(selection) = captured.selection.take() {
            // Before the capture, and never lost with it.
            drop(self.queue.push(Job::OtherRows(selection)));
        }
        captured.time_ms = now_ms();
        captured.share =
            (self.pace.spent().as_secs_f64() / self.begun.elapsed().as_secs_f64().max(1e-9)) as f32;
        captured
    }

    fn hand_over(&mut self, mut captured: Captured) {
        if let Some((_, scalars)) = self.scalars.last() {
            captured.scalars = scalars.iter().cloned().collect();
        }
        if !captured.trouble.is_empty() {
            let more = captured.trouble.len().saturating_sub(MOST_LINES);
            let mut lines = captured.trouble[..captured.trouble.len().min(MOST_LINES)].join("; ");
            if more > 0 {
                lines += &format!("; and {more} more");
            }
            self.fail(&lines);
        } else {
            self.last_trouble = None;
        }
        self.hand_over_scalars_in_time();
        drop(self.queue.push(Job::Capture(Box::new(captured))));
    }

    /// Not with every snapshot, which has those of its step: a store that is slow would be busy with nothing else.
    fn hand_over_scalars_in_time(&mut self) {
        if self.scalars_since.elapsed() > SCALARS_WAIT {
            self.hand_over_scalars();
        }
    }

    fn hand_over_scalars(&mut self) {
        self.scalars_since = Instant::now();
        if self.scalars.iter().all(|(_, scalars)| scalars.is_empty()) {
            return self.scalars.clear();
        }
        drop(self.queue.push(Job::Scalars(std::mem::take(&mut self.scalars))));
    }

    /// Counts that something went wrong, and says it, if it has not just been said.
    fn fail(&mut self, line: &str) {
        self.failures += 1;
        if self.last_trouble.as_deref() != Some(line) {
            (self.options.trouble)(&format!("session {}: {line}", self.session));
            self.last_trouble = Some(line.to_owned());
        }
    }

    /// From the next snapshot on there is more of this parameter: a finer picture of it and of its gradient, and the size of
    /// every row and column. `None` ends that.
    pub fn focus(&mut self, parameter: Option<&str>) {
        self.focus = parameter.map(str::to_owned);
    }

    /// Keeps a text with a step: what the model writes, or what somebody has to say.
    pub fn note(&mut self, step: u64, name: &str, text: &str) {
        let text: String = text.chars().take(MOST_NOTED).collect();
        drop(self.queue.push(Job::Note(RunNote::new(step, name, text))));
    }

    /// Keeps an array with a step, of at most 64 KB: the attention on a fixed prompt, for example, computed by whoever calls.
    /// What is larger, or does not have as many numbers as its shape says, is left out, and that is told.
    pub fn probe(&mut self, step: u64, name: &str, shape: &[usize], values: &[f32]) {
        let count = shape.iter().try_fold(1usize, |product, &len| product.checked_mul(len));
        if count != Some(values.len()) || values.len() > MOST_PROBED {
            let told = format!(
                "the probe {name:?} has {} numbers: it needs as many as its shape {shape:?} says, and at most {MOST_PROBED}",
                values.len()
            );
            return self.fail(&told);
        }
        let (name, shape, values) = (name.to_owned(), shape.to_vec(), values.to_vec());
        drop(self.queue.push(Job::Probe { step, name, shape, values }));
    }

    /// How the recording goes.
    pub fn state(&self) -> RecorderState {
        let spent = self.pace.spent();
        RecorderState {
            snapshots: self.counts.snapshots.load(Ordering::Relaxed),
            bytes: self.counts.bytes.load(Ordering::Relaxed),
            lost: self.counts.lost.load(Ordering::Relaxed) + self.queue.lost(),
            failures: self.failures,
            spent,
            share: spent.as_secs_f64() / self.begun.elapsed().as_secs_f64().max(1e-9),
            longest: self.longest,
            budget: self.budget,
        }
    }

    /// The run came to its end. Waits until stores have everything, but no longer than they may take.
    pub fn finish(mut self) -> RecorderState {
        self.end(Some(StateMessage::finished()));
        self.state()
    }

    /// The run failed, for this reason. Waits as [`finish`](Self::finish) does.
    pub fn fail_with(mut self, reason: &str) -> RecorderState {
        self.end(Some(StateMessage::failed(reason)));
        self.state()
    }

    fn end(&mut self, message: Option<StateMessage>) {
        let Some(thread) = self.thread.take() else { return };
        self.hand_over_scalars();
        if let Some(message) = message {
            drop(self.queue.push(Job::State(self.last_step, message)));
        }
        self.queue.close();
        // The thread itself waits for stores within its patience.
        let _ = thread.join();
    }
}

impl Drop for Recorder {
    /// What was recorded is kept; how the run ended, nobody said.
    fn drop(&mut self) {
        let message = std::thread::panicking().then(|| StateMessage::failed("the training thread panicked"));
        self.end(message);
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it did not say why")
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
