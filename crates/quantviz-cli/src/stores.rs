//! Which store of training runs a place means.

use std::time::{SystemTime, UNIX_EPOCH};

use quantviz::{Result, SnapshotStore};

/// Opens stores, and tells the time: for programs, and tests, that have stores of their own.
pub trait Stores {
    /// The store at a path or a URL.
    ///
    /// # Errors
    /// [`NotFound`](quantviz::ErrorKind::NotFound) where there is none.
    fn open(&self, place: &str) -> Result<Box<dyn SnapshotStore>>;

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Folders, and whatever else `quantviz::store` can open.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LocalStores;

impl Stores for LocalStores {
    fn open(&self, place: &str) -> Result<Box<dyn SnapshotStore>> {
        open(place)
    }
}

/// The one line that knows what a place is.
fn open(place: &str) -> Result<Box<dyn SnapshotStore>> {
    Ok(Box::new(quantviz::store::SessionStore::at(place)?))
}
