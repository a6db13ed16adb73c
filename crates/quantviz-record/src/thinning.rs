//! What a recording has too much of in a store goes: on a thread of its own, so that no snapshot waits for it for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use quantviz_core::{ErrorKind, Pruner, Record, Result, SessionId, SnapshotStore};

use crate::builder::Trouble;
use crate::delivery::{FIRST_PAUSE, LONGEST_PAUSE, of_session};
use crate::recorder::now_ms;

/// So long a turn is waited for, that what is kept is never much more than was asked for. One that takes longer goes on
/// beside what is written, and until it has ended nothing waits any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// A store whose snapshots are thinned.
pub(crate) struct Thinning {
    kept: Sender<Record>,
    answers: Receiver<()>,
    unanswered: u64,
}

impl Thinning {
    /// `failures` counts the turns in which something went wrong.
    pub(crate) fn start(
        store: Arc<dyn SnapshotStore>,
        session: SessionId,
        pruner: Pruner,
        trouble: Trouble,
        failures: Arc<AtomicU64>,
    ) -> Option<Self> {
        let (kept, records) = channel();
        let (answer, answers) = channel();
        let pause = FIRST_PAUSE;
        let mut turns =
            Turns { store, session, pruner, trouble, failures, told: None, again: Instant::now(), pause };
        let work = move || {
            crate::priority::give_way();
            for record in records {
                turns.kept(record);
                if answer.send(()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("quantviz-thin".into()).spawn(work).ok()?;
        Some(Thinning { kept, answers, unanswered: 0 })
    }

    /// A snapshot was kept: something may have to go.
    pub(crate) fn kept(&mut self, record: Record) {
        let patience = if self.unanswered > 0 { Duration::ZERO } else { PATIENCE };
        if self.kept.send(record).is_err() {
            return;
        }
        self.unanswered += 1;
        while self.unanswered > 0 && self.answers.recv_timeout(patience).is_ok() {
            self.unanswered -= 1;
        }
    }
}

/// What the thread does.
struct Turns {
    store: Arc<dyn SnapshotStore>,
    session: SessionId,
    pruner: Pruner,
    trouble: Trouble,
    failures: Arc<AtomicU64>,
    /// What was told of since a turn went well.
    told: Option<ErrorKind>,
    /// Until then the store is left alone.
    again: Instant,
    pause: Duration,
}

impl Turns {
    fn kept(&mut self, record: Record) {
        self.pruner.add(record);
        if Instant::now() >= self.again {
            let outcome = self.pruner.turn(&*self.store, now_ms());
            self.heed(outcome.map(drop));
        }
    }

    fn heed(&mut self, outcome: Result<()>) {
        let Err(error) = outcome else {
            (self.told, self.pause) = (None, FIRST_PAUSE);
            return;
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if self.told != Some(error.kind()) {
            let line = of_session(&self.session, &error.to_string());
            (self.trouble)(&format!("{line}; snapshots that are too many stay until that goes well"));
            self.told = Some(error.kind());
        }
    }
}
