//! The store itself: what of it blocks, and what it remembers.

use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use quantviz_core::{
    Cell, Cursor, Entry, Error, ErrorKind, Opening, Rank, Record, RecordId, RecordKind, Result, SessionId,
    SessionInfo, SnapshotStore, Writer,
};

use super::bundles::{Bundled, Bundles};
use super::columns::Columns;
use super::compaction::FULL;
use super::epochs::Epochs;
use super::keys::{Keys, PARTS};
use super::leftovers;
use super::listing::Listing;
use super::log::{Log, What};
use super::memory::Memory;
use super::packs::MANY;
use super::place::{AT_ONCE, Place};
use super::segments::{Headers, Segments};
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
/// - Of every 256 snapshots of a writer their statistics are kept once more, turned into columns, so that a history is a few
///   reads; and so are its scalars and notes, a thousand in one object. This is done in the background, by whoever appends or
///   reads; nothing depends on it.
#[derive(Clone)]
pub struct SessionStore {
    place: Place,
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
    headers: Headers,
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
        SessionStore { place, clock: system_clock(), memory: Arc::default(), headers: Headers::default() }
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        // Whoever panicked has changed nothing by halves.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self, session: &SessionId) -> Log {
        let (place, keys) = (self.place.clone(), Keys::new(&self.place.root, session));
        Log { epochs: Epochs { session: session.clone(), listing: Listing { place, keys } } }
    }

    pub(super) fn segments(&self, session: &SessionId) -> Segments {
        let listing = self.log(session).epochs.listing;
        Segments { bundles: Bundles { listing, of: Bundled::Statistics }, headers: self.headers.clone() }
    }

    /// Does something in a session; `None` where there is no such session.
    pub(super) fn within<T, W>(&self, session: &SessionId, work: impl FnOnce(Log) -> W) -> Result<Option<T>>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let log = self.log(session);
        if !self.lock().known.contains(session) {
            let epochs = log.epochs.clone();
            if !self.place.wait(async move { epochs.is_there().await })? {
                return Ok(None);
            }
            self.lock().known.insert(session.clone());
        }
        self.place.wait(work(log)).map(Some)
    }

    fn read_what(
        &self,
        session: &SessionId,
        which: &[RecordId],
        what: What,
    ) -> Result<Vec<Result<Arc<[u8]>>>> {
        let ids = which.to_vec();
        let Some(read) = self.within(session, |log| async move { log.read(ids, what).await })? else {
            return Ok(none_of(session, which));
        };
        if read.loose >= MANY {
            self.bundle_in_background(session, Bundled::Small, None);
        }
        Ok(read.answers)
    }

    /// The records of every session that there is, or why they cannot be told.
    fn listed(&self) -> Result<Vec<(SessionId, Result<Vec<Record>>)>> {
        let store = self.clone();
        self.place.wait(async move {
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
        let claim = self.lock().claim(session, rank, opening, (self.clock)());
        let log = self.log(session);
        let opened = self.place.wait(async move {
            let writer = log.epochs.claim(rank, &claim).await?;
            let opened = Entry::new(RecordKind::Opened, opening.step(), 0, []);
            log.keep(&writer, &opened, claim.now).await?;
            Ok(writer)
        });
        self.lock().has_claimed(session, rank, claim, &opened);
        opened
    }

    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
        let writing = self.lock().writing(writer);
        let mut writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match writing.sent {
            Some((seq, time)) if seq == entry.seq => time,
            _ => (self.clock)(),
        };
        let (log, whose, what, last) =
            (self.log(&writer.session), writer.clone(), entry.clone(), writing.last);
        writing.sent = Some((entry.seq, now));
        writing.last = None;
        let (record, last) = self.place.wait(async move {
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
        if let Ok(record) = &record {
            writing.sent = None;
            writing.last = Some(last.max(entry.seq));
            if let Some(of) = Bundled::of(record) {
                let loose = writing.loose.entry(of).or_default();
                *loose += 1;
                if *loose >= of.worthwhile()
                    && self.bundle_in_background(&writer.session, of, Some(record.id))
                {
                    *loose = 0;
                }
            }
        }
        record
    }

    fn beat(&self, writer: &Writer) -> Result<()> {
        let (log, writer, now) = (self.log(&writer.session), writer.clone(), (self.clock)());
        self.place.wait(async move { log.epochs.beat(&writer, now).await })
    }

    fn heard_ms(&self, session: &SessionId) -> Result<Option<u64>> {
        let heard = self.within(session, |log| async move { log.heard().await })?;
        Ok(heard.flatten())
    }

    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
        let after = after.clone();
        let records = self.within(session, |log| async move { log.records(&after).await })?;
        Ok(records.unwrap_or_default())
    }

    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.read_what(session, which, What::Whole)
    }

    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.read_what(session, which, What::Summary)
    }

    fn columns(&self, session: &SessionId, which: &[RecordId], cells: &[Cell]) -> Result<Vec<Vec<f32>>> {
        let mut columns = Columns::new(which.to_vec(), cells.to_vec());
        let segments = self.segments(session);
        let read = self.within(session, |log| async move {
            let loose = columns.ask_segments(&segments).await?;
            columns.ask_summaries(&log).await?;
            Ok((columns.finish(), loose))
        })?;
        let Some((numbers, loose)) = read else { return Ok(vec![vec![f32::NAN; which.len()]; cells.len()]) };
        if loose >= FULL {
            self.bundle_in_background(session, Bundled::Statistics, None);
        }
        Ok(numbers)
    }

    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        let which = which.to_vec();
        self.within(session, |log| async move { log.thin(which).await }).map(drop)
    }

    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        let which = which.to_vec();
        let segments = self.segments(session);
        let removed = self.within(session, |log| async move {
            // Twice: if this is killed, none is left of records that are gone, nor one that somebody writes meanwhile.
            for bundles in [&segments.bundles, &log.packs().0] {
                bundles.remove(&which).await?;
            }
            log.remove(which.clone()).await?;
            for bundles in [&segments.bundles, &log.packs().0] {
                bundles.remove(&which).await?;
            }
            Ok(())
        });
        removed.map(drop)
    }

    fn remove_session(&self, session: &SessionId) -> Result<()> {
        let log = self.log(session);
        self.place.wait(async move { log.remove_all().await })?;
        self.lock().forget(session);
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
