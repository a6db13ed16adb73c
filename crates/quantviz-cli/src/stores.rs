//! Which store of training runs a place means.

use std::time::{SystemTime, UNIX_EPOCH};

use quantviz::store::SessionStore;
use quantviz::{Result, SnapshotStore};

/// Opens stores, and tells the time: for programs, and tests, that have stores of their own.
pub trait Stores {
    /// The store at a path or a URL.
    ///
    /// # Errors
    /// [`NotFound`](quantviz::ErrorKind::NotFound) where there is none.
    fn open(&self, place: &str) -> Result<Box<dyn SnapshotStore>>;

    /// The store at a path or a URL, which is made if it is not there.
    ///
    /// # Errors
    /// Where it cannot be made.
    fn create(&self, place: &str) -> Result<Box<dyn SnapshotStore>> {
        self.open(place)
    }

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
        Ok(Box::new(SessionStore::at(place)?))
    }

    fn create(&self, place: &str) -> Result<Box<dyn SnapshotStore>> {
        Ok(Box::new(SessionStore::create(place)?))
    }
}
