//! What can be said of a recording before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quantviz_core::{Budget, Error, Rank, Result, SessionId, Shard, SnapshotStore, TransformerPart, is_like};

use crate::import::Import;
use crate::pace::Every;
use crate::recorder::Recorder;

/// A recording that is being described: see [`Recorder::builder`].
#[must_use]
pub struct RecorderBuilder {
    pub(crate) session: String,
    pub(crate) options: Options,
    pub(crate) stores: Vec<Arc<dyn SnapshotStore>>,
}

/// Hears of what goes wrong: one line.
pub(crate) type Trouble = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) every: Every,
    pub(crate) share: f64,
    pub(crate) bytes: usize,
    pub(crate) patterns: Vec<String>,
    pub(crate) gradients: bool,
    pub(crate) tokens: Vec<String>,
    pub(crate) labels: BTreeMap<String, Vec<String>>,
    pub(crate) rows: Vec<u64>,
    pub(crate) frequencies: BTreeMap<String, Vec<u64>>,
    pub(crate) heads: Option<usize>,
    pub(crate) seed: u64,
    pub(crate) rank: Rank,
    pub(crate) shards: Vec<(String, Shard)>,
    pub(crate) resume: bool,
    pub(crate) patience: Duration,
    pub(crate) budget: Budget,
    pub(crate) pinned: BTreeSet<u64>,
    pub(crate) trouble: Trouble,
}

/// A snapshot takes at most this.
const MOST_BYTES: usize = 1_000_000;
const USUAL_BYTES: usize = 256 * 1024;
const LEAST_BYTES: usize = 16 * 1024;
const MOST_SHARE: f64 = 0.05;

impl RecorderBuilder {
    pub(crate) fn new(session: impl Into<String>) -> Self {
        let session = session.into();
        let options = Options {
            name: session.clone(),
            tags: BTreeMap::new(),
            every: Every::Steps(10),
            share: 0.01,
            bytes: USUAL_BYTES,
            patterns: Vec::new(),
            gradients: true,
            tokens: Vec::new(),
            labels: BTreeMap::new(),
            rows: Vec::new(),
            frequencies: BTreeMap::new(),
            heads: None,
            seed: 0,
            rank: Rank::ONLY,
            shards: Vec::new(),
            resume: false,
            patience: Duration::from_secs(10),
            budget: Budget::default(),
            pinned: BTreeSet::new(),
            trouble: Arc::new(to_stderr),
        };
        RecorderBuilder { session, options, stores: Vec::new() }
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// What people call the run; its session id, if this is not said.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|it| it.name = name.into())
    }

    /// Says something else of the run.
    pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|it| drop(it.tags.insert(name.into(), value.into())))
    }

    /// A snapshot every so many steps: ten, if nothing is said. Where steps are so short that one could not be taken in its
    /// share of time, there are fewer.
    pub fn every_steps(self, steps: u64) -> Self {
        self.with(|it| it.every = Every::Steps(steps.max(1)))
    }

    /// A snapshot every so many seconds.
    pub fn every_seconds(self, seconds: f64) -> Self {
        self.with(|it| it.every = Every::Seconds(if seconds.is_finite() { seconds.max(0.01) } else { 0.01 }))
    }

    /// The share of time that recording may take: 0.01, if nothing is said, and at most 0.05.
    pub fn share(self, share: f64) -> Self {
        self.with(|it| it.share = if share.is_finite() { share.clamp(1e-4, MOST_SHARE) } else { MOST_SHARE })
    }

    /// The bytes that a snapshot may take: 256 KiB, if nothing is said, and at most 1 MB.
    pub fn bytes(self, bytes: usize) -> Self {
        self.with(|it| it.bytes = bytes.clamp(LEAST_BYTES, MOST_BYTES))
    }

    /// Records only parameters whose names are like one of these patterns, in which `*` stands for any text and `?` for one
    /// character: see [`is_like`].
    pub fn parameters<S: Into<String>>(self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.with(|it| it.patterns.extend(patterns.into_iter().map(Into::into)))
    }

    /// Whether gradients are recorded: they are, if nothing is said and the source has them.
    pub fn gradients(self, gradients: bool) -> Self {
        self.with(|it| it.gradients = gradients)
    }

    /// What the rows of the token embedding are called.
    pub fn tokens<S: Into<String>>(self, tokens: impl IntoIterator<Item = S>) -> Self {
        self.with(|it| it.tokens = tokens.into_iter().map(Into::into).collect())
    }

    /// What the rows of another embedding are called, by the name of the parameter.
    pub fn labels<S: Into<String>>(
        self,
        parameter: impl Into<String>,
        labels: impl IntoIterator<Item = S>,
    ) -> Self {
        self.with(|it| drop(it.labels.insert(parameter.into(), labels.into_iter().map(Into::into).collect())))
    }

    /// Rows of embeddings that are shown in any case, where there are too many to show all.
    pub fn rows(self, rows: impl IntoIterator<Item = u64>) -> Self {
        self.with(|it| it.rows = rows.into_iter().collect())
    }

    /// How often each row of an embedding comes, by the name of the parameter: those that come most often are shown in any
    /// case, where there are too many to show all. Nothing said, gradients tell it after some time.
    pub fn frequencies(self, parameter: impl Into<String>, counts: impl IntoIterator<Item = u64>) -> Self {
        self.with(|it| drop(it.frequencies.insert(parameter.into(), counts.into_iter().collect())))
    }

    /// How many heads each attention has. Nothing in the weights tells it; with it, snapshots tell how alike the heads of an
    /// attention are, where queries and keys are rows of matrices of their own or lie one after the other in one.
    pub fn heads(self, heads: usize) -> Self {
        self.with(|it| it.heads = Some(heads))
    }

    /// What the sample is drawn by. Ranks of one run have to agree on it.
    pub fn seed(self, seed: u64) -> Self {
        self.with(|it| it.seed = seed)
    }

    /// Which of several processes this is that train together.
    pub fn rank(self, rank: Rank) -> Self {
        self.with(|it| it.rank = rank)
    }

    /// This rank has a part only of parameters whose names are like a pattern, and which part that is. Of several patterns that a name is
    /// like, the last one counts. Nobody has to say so: ranks that say different things of a parameter have different parts of it.
    /// But only whoever says it shows where in the whole its samples are, and what is missing where a rank is.
    ///
    /// ```
    /// use quantviz_core::{Rank, Shard};
    /// use quantviz_record::Recorder;
    ///
    /// # let (rank, ranks) = (1, 4);
    /// let builder = Recorder::builder("wide")
    ///     .rank(Rank::new(rank, ranks)?)
    ///     .shard("*.c_attn.weight", Shard::new(rank, ranks)?)
    ///     .shard("*.c_proj.weight", Shard::new(rank, ranks)?.along(1));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn shard(self, pattern: impl Into<String>, shard: Shard) -> Self {
        self.with(|it| it.shards.push((pattern.into(), shard)))
    }

    /// Takes a session over from whoever still seems to write it, as after a crash. What is there of steps before the first
    /// one that is recorded stays true.
    pub fn resume(self) -> Self {
        self.with(|it| it.resume = true)
    }

    /// How much of the run is kept whole: 2,000 snapshots or 1 GB of them ([`Budget::default`]), if nothing is said, and
    /// everything with [`Budget::ALL`]. Of the others the statistics are kept, so every history is as long as the run.
    ///
    /// While it records, a recording that has a tenth more than that thins itself: what stays whole lies evenly on a
    /// logarithmic scale of steps, the first snapshot, the last, those around insights and at [pinned](Self::pin) steps
    /// included. What was there when a run was resumed counts. Of several ranks each thins its own, by the same rule, and has
    /// an equal part of the bytes. A store that is bounded itself, as one in memory is, goes by its own rule as well.
    /// Sessions of checkpoints ([`import`](Self::import)) are not thinned.
    ///
    /// ```
    /// use quantviz_core::{Budget, MemorySource, Run};
    /// use quantviz_record::Recorder;
    /// use quantviz_store::MemoryStore;
    ///
    /// let store = MemoryStore::within(Budget::ALL);
    /// let mut budget = Budget::default();
    /// budget.snapshots = Some(20);
    /// let mut recorder =
    ///     Recorder::builder("long").every_steps(1).share(0.05).keep(budget).pin([17]).to(store.clone()).start()?;
    /// for step in 0..60 {
    ///     std::thread::sleep(std::time::Duration::from_millis(11)); // training
    ///     let source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[0.5f32, step as f32]]));
    ///     recorder.record(step, &source, &[("loss", 1.0)]);
    /// }
    /// recorder.finish();
    ///
    /// let run = Run::open(&store, &"long".parse()?)?;
    /// assert!(run.timeline().snapshot_steps().len() <= 22);
    /// assert_eq!(run.scalars()?["loss"].len(), 60);
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn keep(self, budget: Budget) -> Self {
        self.with(|it| it.budget = budget)
    }

    /// Steps whose snapshots stay whole: of each the nearest there is.
    pub fn pin(self, steps: impl IntoIterator<Item = u64>) -> Self {
        self.with(|it| it.pinned.extend(steps))
    }

    /// How long [`Recorder::finish`] waits for stores: ten seconds, if nothing is said.
    pub fn patience(self, patience: Duration) -> Self {
        self.with(|it| it.patience = patience)
    }

    /// Hears of what goes wrong, one line each time something goes wrong that did not before. Nothing said, the lines go to
    /// the standard error output.
    pub fn on_trouble(self, hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.with(|it| it.trouble = Arc::new(hear))
    }

    /// Records to a store, one of several.
    pub fn to(mut self, store: impl SnapshotStore + 'static) -> Self {
        self.stores.push(Arc::new(store));
        self
    }

    /// Begins.
    ///
    /// # Errors
    /// Where the session cannot be called so, or there is nowhere to record to. Nothing that happens later is an error.
    pub fn start(self) -> Result<Recorder> {
        let session = self.checked()?;
        Ok(Recorder::start(session, self.options, self.stores))
    }

    /// Begins to make a session of checkpoints that are there already.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn import(self) -> Result<Import> {
        let session = self.checked()?;
        Ok(Import::new(session, self.options, self.stores))
    }

    fn checked(&self) -> Result<SessionId> {
        let session: SessionId = self.session.parse()?;
        if self.stores.is_empty() {
            return Err(Error::malformed(format!("session {session}: say with `to` where it is recorded")));
        }
        Ok(session)
    }
}

impl Options {
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| is_like(pattern, name))
    }

    pub(crate) fn shard_of(&self, name: &str) -> Option<Shard> {
        self.shards.iter().rev().find(|(pattern, _)| is_like(pattern, name)).map(|(_, shard)| *shard)
    }

    pub(crate) fn labels_of(&self, name: &str, part: Option<TransformerPart>) -> Option<&Vec<String>> {
        let tokens = || {
            (part == Some(TransformerPart::TokenEmbedding) && !self.tokens.is_empty()).then_some(&self.tokens)
        };
        self.labels.get(name).or_else(tokens)
    }
}

fn to_stderr(line: &str) {
    use std::io::Write;
    // Whoever has no standard error output cannot be told.
    let _ = writeln!(std::io::stderr(), "quantviz: {line}");
}
