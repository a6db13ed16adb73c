//! The sessions of a store, in a line each.

use quantviz_core::{RecordKind, Result, Run, RunState, SessionInfo, SnapshotStore};
use serde::Serialize;

/// All sessions of a store: what `quantviz sessions list --json` prints.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionList {
    /// The version of this document.
    pub schema: &'static str,
    /// Where they are, as it was asked for.
    pub store: String,
    /// The sessions, those heard from last before others.
    pub sessions: Vec<ListedSession>,
}

/// A session.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ListedSession {
    /// Its name.
    pub session: String,
    /// How it is doing: `live`, `stalled`, `lost`, `finished`, `failed`; null where it cannot be read.
    pub state: Option<RunState>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The last step that anything tells of.
    pub last_step: u64,
    /// Steps with snapshots, thinned ones included.
    pub snapshots: u64,
    /// Of those, how many have statistics only.
    pub thinned: u64,
    /// How many processes train together.
    pub ranks: u32,
    /// What it takes.
    pub bytes: u64,
    /// When it began, in milliseconds since 1970.
    pub begun_ms: u64,
    /// When it was heard from last.
    pub last_ms: u64,
    /// Why it cannot be read.
    pub error: Option<String>,
}

impl SessionList {
    /// The version that is written.
    pub const SCHEMA: &'static str = "quantviz.sessions/1";

    /// Of a store, at this time.
    pub fn of(store: &dyn SnapshotStore, name: impl Into<String>, now_ms: u64) -> Result<Self> {
        let infos = store.sessions()?;
        let mut sessions: Vec<ListedSession> =
            infos.iter().map(|info| ListedSession::of(store, info, now_ms)).collect();
        sessions.sort_by(|a, b| b.last_ms.cmp(&a.last_ms).then_with(|| a.session.cmp(&b.session)));
        Ok(SessionList { schema: SessionList::SCHEMA, store: name.into(), sessions })
    }
}

impl ListedSession {
    fn of(store: &dyn SnapshotStore, info: &SessionInfo, now_ms: u64) -> Self {
        let mut listed = ListedSession {
            session: info.id.as_str().to_owned(),
            state: None,
            reason: None,
            last_step: info.last_step,
            snapshots: 0,
            thinned: 0,
            ranks: 0,
            bytes: info.bytes,
            begun_ms: info.begun_ms,
            last_ms: info.last_ms,
            error: None,
        };
        // One that cannot be read does not hide the others.
        if let Err(error) = listed.look(store, info, now_ms) {
            listed.error = Some(error.to_string());
        }
        listed
    }

    fn look(&mut self, store: &dyn SnapshotStore, info: &SessionInfo, now_ms: u64) -> Result<()> {
        let run = Run::open(store, &info.id)?;
        (self.snapshots, self.thinned) = snapshots(&run);
        self.ranks = run.timeline().ranks();
        let state = run.state(now_ms)?;
        (self.state, self.reason) = (Some(state.state), state.reason);
        Ok(())
    }
}

/// How many steps have snapshots, and how many of these have statistics only.
pub(crate) fn snapshots(run: &Run<'_>) -> (u64, u64) {
    let alive = run.timeline().alive().filter(|it| it.kind == RecordKind::Snapshot);
    let steps: std::collections::BTreeSet<u64> = alive.map(|it| it.step).collect();
    let whole = run.timeline().snapshot_steps();
    (steps.len() as u64, steps.difference(&whole).count() as u64)
}
