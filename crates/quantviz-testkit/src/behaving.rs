//! A store that behaves otherwise than the one below it: fails, stands still, tells of what it was asked.

use std::sync::Arc;

use quantviz_core::{
    Cell, Cursor, Entry, Opening, Rank, Record, RecordId, Result, SessionId, SessionInfo, SnapshotStore,
    Writer,
};

/// How a [`Behaving`] store behaves. Nothing said, it does what the store below it does.
pub trait Behaviour: Send + Sync {
    /// What becomes of a call; `work` does it, once each time it is called.
    fn call<T>(&self, work: &dyn Fn() -> Result<T>) -> Result<T> {
        work()
    }

    /// What becomes of an entry.
    fn append(&self, _writer: &Writer, _entry: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        self.call(work)
    }

    /// What becomes of records that are to be thinned, or removed.
    fn take_away(&self, _which: &[RecordId], work: &dyn Fn() -> Result<()>) -> Result<()> {
        self.call(work)
    }
}

/// A store around another one, every call to which goes through a [`Behaviour`].
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use quantviz_core::{Entry, Opening, Rank, Record, RecordKind, Result, SnapshotStore, Writer};
/// use quantviz_testkit::{Behaving, Behaviour};
///
/// /// Keeps every second entry, and says of the others that there is no room.
/// struct Full(AtomicU32);
///
/// impl Behaviour for Full {
///     fn append(&self, _: &Writer, _: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
///         match self.0.fetch_add(1, Ordering::SeqCst) % 2 {
///             0 => work(),
///             _ => Err(quantviz_core::Error::limit("there is no room")),
///         }
///     }
/// }
///
/// # fn example(any_store: impl SnapshotStore) -> Result<()> {
/// let store = Behaving::new(any_store, Full(AtomicU32::new(0)));
/// let writer = store.open(&"run".parse()?, Rank::ONLY, Opening::New)?;
/// assert!(store.append(&writer, &Entry::new(RecordKind::Note, 1, 1, *b"a")).is_ok());
/// assert!(store.append(&writer, &Entry::new(RecordKind::Note, 2, 2, *b"b")).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Behaving<S, B> {
    store: S,
    behaviour: B,
}

impl<S, B> Behaving<S, B> {
    /// `store`, with this behaviour.
    pub fn new(store: S, behaviour: B) -> Self {
        Behaving { store, behaviour }
    }

    /// How it behaves.
    pub fn behaviour(&self) -> &B {
        &self.behaviour
    }
}

/// A shared behaviour can be changed while the store is in use.
impl<B: Behaviour> Behaviour for Arc<B> {
    fn call<T>(&self, work: &dyn Fn() -> Result<T>) -> Result<T> {
        (**self).call(work)
    }

    fn append(&self, writer: &Writer, entry: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        (**self).append(writer, entry, work)
    }

    fn take_away(&self, which: &[RecordId], work: &dyn Fn() -> Result<()>) -> Result<()> {
        (**self).take_away(which, work)
    }
}

impl<S: SnapshotStore, B: Behaviour> SnapshotStore for Behaving<S, B> {
    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.behaviour.call(&|| self.store.sessions())
    }

    fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer> {
        self.behaviour.call(&|| self.store.open(session, rank, opening))
    }

    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
        self.behaviour.append(writer, entry, &|| self.store.append(writer, entry))
    }

    fn beat(&self, writer: &Writer) -> Result<()> {
        self.behaviour.call(&|| self.store.beat(writer))
    }

    fn heard_ms(&self, session: &SessionId) -> Result<Option<u64>> {
        self.behaviour.call(&|| self.store.heard_ms(session))
    }

    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
        self.behaviour.call(&|| self.store.records(session, after))
    }

    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.behaviour.call(&|| self.store.read(session, which))
    }

    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.behaviour.call(&|| self.store.summaries(session, which))
    }

    fn columns(&self, session: &SessionId, which: &[RecordId], cells: &[Cell]) -> Result<Vec<Vec<f32>>> {
        self.behaviour.call(&|| self.store.columns(session, which, cells))
    }

    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.behaviour.take_away(which, &|| self.store.thin(session, which))
    }

    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.behaviour.take_away(which, &|| self.store.remove(session, which))
    }

    fn remove_session(&self, session: &SessionId) -> Result<()> {
        self.behaviour.call(&|| self.store.remove_session(session))
    }
}
