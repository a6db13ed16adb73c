//! Training runs: what is recorded of them, in which order, where it is kept, and what of it is still true.

mod arrays;
mod at_step;
mod changes;
mod entry;
mod ids;
mod plan;
mod pruning;
mod quantity;
mod reading;
mod run;
mod scalars;
mod segment;
mod snapshot;
mod statistics;
mod store;
mod timeline;

pub use arrays::{ArrayElement, ArraySlot, ArrayWriter, Arrays, Track, WrittenArrays};
pub use at_step::{ModelAtStep, RecordedHistogram, RecordedSample, RecordedSummary};
pub use changes::{SampledChange, SampledChanges, SampledSide};
pub use entry::{Entry, Record, RecordKind};
pub use ids::{Cursor, Rank, RecordId, SessionId};
pub use plan::{Plan, PlanHeader, PlannedEmbedding, PlannedParameter};
pub use pruning::{Budget, Pruning};
pub use quantity::Quantity;
pub use reading::RankSnapshot;
pub use run::{History, Note as RunNote, Run, RunState, Series, StateMessage};
pub use scalars::{Scalar, ScalarBatch};
pub use segment::{Cell, Segment, SegmentHeader};
pub use snapshot::{CaptureCost, EmbeddingState, Focus, Guest, Snapshot, SnapshotHeader, index_name};
pub use statistics::Statistics;
pub use store::{Opening, SessionInfo, SnapshotStore, Writer};
pub use timeline::Timeline;
