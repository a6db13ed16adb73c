//! Training runs: what is recorded of them, in which order, where it is kept, and what of it is still true.

mod entry;
mod ids;
mod pruning;
mod store;
mod timeline;

pub use entry::{Entry, Record, RecordKind};
pub use ids::{Cursor, Rank, RecordId, SessionId};
pub use pruning::{Budget, Pruning};
pub use store::{Opening, SessionInfo, SnapshotStore, Writer};
pub use timeline::Timeline;
