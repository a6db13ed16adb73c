//! Where training runs are kept: implementations of [`SnapshotStore`](quantviz_core::SnapshotStore).
//!
//! ```
//! use quantviz_core::{Cursor, Entry, Opening, Rank, RecordKind, SnapshotStore};
//! use quantviz_store::MemoryStore;
//!
//! let store = MemoryStore::new();
//! let session = "shakespeare".parse()?;
//! let writer = store.open(&session, Rank::ONLY, Opening::New)?;
//! store.append(&writer, &Entry::new(RecordKind::Note, 100, 1, *b"tee he  aod hrt"))?;
//! let records = store.records(&session, &Cursor::default())?;
//! assert_eq!((records[0].kind, records[1].step), (RecordKind::Opened, 100));
//! # Ok::<(), quantviz_core::Error>(())
//! ```

mod clock;
mod export;
mod memory;
mod objects;

pub use export::{Export, ExportError, ExportFormat, Exported, WriteSeek};
pub use memory::MemoryStore;
pub use objects::SessionStore;
pub use quantviz_core::prune;
