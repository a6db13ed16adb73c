//! The store itself: what of it blocks, and what it remembers.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use quantviz_core::{
    Cursor, Entry, Error, ErrorKind, Opening, Rank, Record, RecordId, RecordKind, Result, SessionId,
    SessionInfo, SnapshotStore, Writer,
};

use super::epochs::Epochs;
use super::keys::{Keys, PARTS};
use super::leftovers;
use super::listing::{AT_ONCE, Listing};
use super::log::{Log, What};
use super::place::Place;
use super::runtime::wait;
use super::url::{self, is_url};
use crate::clock::{Clock, system_clock};

/// Sessions in a folder, or in an object store: each a log of small objects that never change.
///
/// ```
/// use quantviz_core::{Cursor, Entry, Opening, Rank, RecordKind, SnapshotStore};
/// use quantviz_store::SessionStore;
///
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let place = folder.path().join("quantviz-runs");
/// # let place = place.to_str().expect("UTF-8");
/// let store = SessionStore::create(place)?; // "./quantviz-runs", or "s3://bucket/runs"
/// let session = "shakespeare".parse()?;
/// let writer = store.open(&session, Rank::ONLY, Opening::New)?;
/// store.append(&writer, &Entry::new(RecordKind::Note, 100, 1, *b"tee he  aod hrt"))?;
///
/// let store = SessionStore::at(place)?; // Another process, later.
/// let records = store.records(&session, &Cursor::default())?;
/// assert_eq!((records[0].kind, records[1].step), (RecordKind::Opened, 100));
/// # Ok::<(), quantviz_core::Error>(())
/// ```
///
/// # What is guaranteed
/// - Objects are created where none is, and deleted, never changed; but for one small one for each epoch that says when its
///   writer lived. So an entry is there whole or not at all. In a folder, what [`append`](SnapshotStore::append) has
///   returned for is on the disk: the file and its folder are synced.
/// - An epoch is claimed by creating an object, which one of several can. An append that returned `Ok` was written before
///   any later epoch was claimed: claims are looked up before the entry is written and again after it, and where somebody
///   has claimed the next epoch meanwhile, the entry is deleted and the append refused. In the moment between, readers may
///   see the entry; if its writer is killed in that moment, it stays. At steps that the later epoch writes anew it is
///   superseded in any case ([`Timeline`](quantviz_core::Timeline)); before them it is what that run did.
/// - A [`Writer`] is for one store value at a time. Where two use one at once, and write different entries in one place, all
///   readers take the same one of the two.
#[derive(Clone)]
pub struct SessionStore {
    place: Place,
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
}

/// What need not be asked again.
#[derive(Default)]
struct Memory {
    /// Sessions whose format is known to be ours.
    known: BTreeSet<SessionId>,
    writing: HashMap<(SessionId, u32, u32), Arc<Mutex<Writing>>>,
}

/// Where a writer is.
#[derive(Default)]
struct Writing {
    /// The last place that it wrote to, if that is known.
    last: Option<u64>,
    /// The place and time of what may or may not have been written. Sent again, it gets the same key.
    sent: Option<(u64, u64)>,
}

impl std::fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionStore").field("place", &self.place).finish_non_exhaustive()
    }
}

impl SessionStore {
    /// The store at a path or, with the feature `cloud`, at a URL: `s3://bucket/runs`, `gs://bucket/runs`,
    /// `az://container/runs`. Credentials come from the environment, as `AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`
    /// or `AZURE_STORAGE_ACCOUNT_NAME`; a service elsewhere from `AWS_ENDPOINT` (with `AWS_ALLOW_HTTP`) or
    /// `AZURE_STORAGE_USE_EMULATOR`.
    ///
    /// # Errors
    /// [`NotFound`](quantviz_core::ErrorKind::NotFound) for a folder that is not there.
    pub fn at(place: &str) -> Result<Self> {
        let place = if is_url(place) { url::place(place)? } else { Place::folder(FilePath::new(place))? };
        Ok(SessionStore::of(place))
    }

    /// The store at a path or a URL; a folder is made if it is not there.
    pub fn create(place: &str) -> Result<Self> {
        if !is_url(place) {
            std::fs::create_dir_all(place).map_err(|error| Error::io(FilePath::new(place), error))?;
        }
        SessionStore::at(place)
    }

    /// A store among objects, wherever they are, whose keys begin with `root`; `name` is how errors call the place. Keys have
    /// to be listed in their order.
    pub fn on(objects: Arc<dyn ObjectStore>, root: &str, name: &str) -> Self {
        SessionStore::of(Place::new(objects, Path::from(root), name))
    }

    fn of(place: Place) -> Self {
        SessionStore { place, clock: system_clock(), memory: Arc::default() }
    }

    /// Tells the time by another clock, in milliseconds since 1970.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        SessionStore { clock: Arc::new(clock), ..self }
    }

    /// The sessions that [`sessions`](SnapshotStore::sessions) leaves out, because something newer wrote them or they are
    /// damaged, and why.
    pub fn unreadable(&self) -> Result<Vec<(SessionId, Error)>> {
        Ok(self.listed()?.into_iter().filter_map(|(id, records)| Some((id, records.err()?))).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Whoever panicked has changed nothing by halves.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, session: &SessionId) -> Log {
        let (place, keys) = (self.place.clone(), Keys::new(&self.place.root, session));
        Log { epochs: Epochs { session: session.clone(), listing: Listing { place, keys } } }
    }

    /// Does something in a session; `None` where there is no such session.
    fn within<T, W>(&self, session: &SessionId, work: impl FnOnce(Log) -> W) -> Result<Option<T>>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let log = self.log(session);
        if !self.lock().known.contains(session) {
            let epochs = log.epochs.clone();
            if !wait(async move { epochs.is_there().await })? {
                return Ok(None);
            }
            self.lock().known.insert(session.clone());
        }
        wait(work(log)).map(Some)
    }

    /// The records of every session that there is, or why they cannot be told.
    fn listed(&self) -> Result<Vec<(SessionId, Result<Vec<Record>>)>> {
        let store = self.clone();
        wait(async move {
            let folders = store.place.folders(&store.place.root).await?;
            let ids = folders.into_iter().filter_map(|folder| folder.filename()?.parse::<SessionId>().ok());
            let logs = ids.map(|id| (store.log(&id), id));
            let listed = stream::iter(logs).map(|(log, id)| async move {
                match log.epochs.is_there().await {
                    Ok(true) => Some((id, log.records(&Cursor::default()).await)),
                    // Any other folder.
                    Ok(false) => None,
                    Err(error) => Some((id, Err(error))),
                }
            });
            Ok(listed.buffered(AT_ONCE).filter_map(async |it| it).collect().await)
        })
    }

    fn writing(&self, writer: &Writer) -> Arc<Mutex<Writing>> {
        let who = (writer.session.clone(), writer.rank.index(), writer.epoch);
        self.lock().writing.entry(who).or_default().clone()
    }

    /// Forgets what is known of a session: somebody removed it.
    fn forget(&self, session: &SessionId) {
        let mut memory = self.lock();
        memory.known.remove(session);
        memory.writing.retain(|(whose, ..), _| whose != session);
    }
}

impl SnapshotStore for SessionStore {
    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let infos = self.listed()?.into_iter().filter_map(|(id, records)| match records {
            Ok(records) => SessionInfo::of(id, &records).map(Ok),
            Err(error) if error.kind() == ErrorKind::Io => Some(Err(error)),
            // Others can be read: see `unreadable`.
            Err(_) => None,
        });
        infos.collect()
    }

    fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer> {
        if let Some(folder) = &self.place.folder {
            leftovers::sweep(&folder.join(session.as_str()), &PARTS);
        }
        let now = (self.clock)();
        let nonce = RandomState::new().hash_one((now, std::process::id()));
        let log = self.log(session);
        let writer = wait(async move {
            let writer = log.epochs.claim(rank, opening, now, nonce).await?;
            let opened = Entry::new(RecordKind::Opened, opening.step(), 0, []);
            log.keep(&writer, &opened, now).await?;
            Ok(writer)
        })?;
        let writing = Writing { last: Some(0), sent: None };
        let who = (session.clone(), rank.index(), writer.epoch);
        self.lock().writing.insert(who, Arc::new(Mutex::new(writing)));
        Ok(writer)
    }

    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
        let writing = self.writing(writer);
        let mut writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match writing.sent {
            Some((seq, time)) if seq == entry.seq => time,
            _ => (self.clock)(),
        };
        let (log, whose, what, last) =
            (self.log(&writer.session), writer.clone(), entry.clone(), writing.last);
        writing.sent = Some((entry.seq, now));
        writing.last = None;
        let (record, last) = wait(async move {
            log.epochs.check(&whose).await?;
            let last = match last {
                Some(last) => last,
                None => log.last_seq(&whose).await?,
            };
            let record = match what.seq > last {
                true => log.keep(&whose, &what, now).await,
                false => log.resent(&whose, &what, now).await,
            };
            Ok((record, last))
        })?;
        if record.is_ok() {
            writing.sent = None;
            writing.last = Some(last.max(entry.seq));
        }
        record
    }

    fn beat(&self, writer: &Writer) -> Result<()> {
        let (log, writer, now) = (self.log(&writer.session), writer.clone(), (self.clock)());
        wait(async move { log.epochs.beat(&writer, now).await })
    }

    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
        let after = after.clone();
        let records = self.within(session, |log| async move { log.records(&after).await })?;
        Ok(records.unwrap_or_default())
    }

    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        let ids = which.to_vec();
        let read = self.within(session, |log| async move { log.read(ids, What::Whole).await })?;
        Ok(read.unwrap_or_else(|| none_of(session, which)))
    }

    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        let ids = which.to_vec();
        let read = self.within(session, |log| async move { log.read(ids, What::Summary).await })?;
        Ok(read.unwrap_or_else(|| none_of(session, which)))
    }

    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        let which = which.to_vec();
        self.within(session, |log| async move { log.thin(which).await }).map(drop)
    }

    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        let which = which.to_vec();
        self.within(session, |log| async move { log.remove(which).await }).map(drop)
    }

    fn remove_session(&self, session: &SessionId) -> Result<()> {
        let log = self.log(session);
        wait(async move { log.remove_all().await })?;
        self.forget(session);
        if let Some(folder) = &self.place.folder {
            leftovers::clear(&folder.join(session.as_str()), &PARTS);
        }
        Ok(())
    }
}

fn none_of(session: &SessionId, which: &[RecordId]) -> Vec<Result<Arc<[u8]>>> {
    which
        .iter()
        .map(|id| Err(Error::not_found(format!("session {session}: there is no record {id}"))))
        .collect()
}
