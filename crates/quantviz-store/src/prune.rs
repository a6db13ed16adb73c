//! Making a session smaller.

use std::collections::BTreeSet;

use quantviz_core::{Budget, Cursor, Pruning, Result, SessionId, SnapshotStore, Timeline};

/// Brings a session within a budget and tells what went: what is no longer true is removed, what supersedes something after
/// that; of snapshots that are too many, only the summaries stay. The snapshots of the steps in `keep` stay whole. Where it
/// is broken off, it can be done again.
///
/// ```
/// use std::collections::BTreeSet;
/// use quantviz_core::{Budget, Entry, Opening, Rank, SnapshotStore};
/// use quantviz_store::{MemoryStore, prune};
///
/// let store = MemoryStore::within(Budget::ALL);
/// let session = "run".parse()?;
/// let writer = store.open(&session, Rank::ONLY, Opening::New)?;
/// for step in 0..5 {
///     store.append(&writer, &Entry::snapshot(step, step + 1, *b"summary and the rest", 7))?;
/// }
/// let mut budget = Budget::ALL;
/// budget.snapshots = Some(3);
/// assert_eq!(prune(&store, &session, &budget, &BTreeSet::new(), 0)?.thin.len(), 2);
/// assert!(prune(&store, &session, &budget, &BTreeSet::new(), 0)?.thin.is_empty());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn prune(
    store: &dyn SnapshotStore,
    session: &SessionId,
    budget: &Budget,
    keep: &BTreeSet<u64>,
    now_ms: u64,
) -> Result<Pruning> {
    let timeline = Timeline::of(store.records(session, &Cursor::default())?);
    let pruning = budget.prune(&timeline, keep, now_ms);
    store.remove(session, &pruning.remove)?;
    store.thin(session, &pruning.thin)?;
    Ok(pruning)
}
