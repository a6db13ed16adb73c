//! Where a store is, and the few things that are done there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use quantviz_core::{Error, Result};

use super::errors::{error_at, io_at};
use super::files;
use super::runtime::{aside, blocking, wait, wait_here};

/// A folder, or a part of a bucket.
#[derive(Clone)]
pub(super) struct Place {
    objects: Arc<dyn ObjectStore>,
    /// All keys begin with it.
    pub(super) root: Path,
    /// As users name it.
    name: Arc<str>,
    /// Where it is a folder.
    pub(super) folder: Option<PathBuf>,
}

/// How many requests are made at once.
pub(super) const AT_ONCE: usize = 8;
/// A small file is read faster than a thread is woken to do it.
const PER_THREAD: usize = 16;
/// File systems tell no times apart that are nearer than this: FAT counts in steps of two seconds.
const COARSE: Duration = Duration::from_secs(3);

/// Without what the service is reached with: nobody wants to find credentials in a log.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("name", &self.name).field("root", &self.root).finish_non_exhaustive()
    }
}

impl Place {
    /// Objects wherever they are; `name` is for errors.
    pub(super) fn new(objects: Arc<dyn ObjectStore>, root: Path, name: impl Into<Arc<str>>) -> Self {
        Place { objects, root, name: name.into(), folder: None }
    }

    /// A folder that exists. What is written there outlives a power cut.
    pub(super) fn folder(folder: &FilePath) -> Result<Self> {
        let path = fs::canonicalize(folder).map_err(|error| Error::io(folder, error))?;
        if !path.is_dir() {
            return Err(Error::io(folder, io::ErrorKind::NotADirectory.into()));
        }
        let name = folder.display().to_string();
        let files = LocalFileSystem::new_with_prefix(&path)
            .map_err(|error| error_at(&name, &Path::default(), &error))?
            .with_automatic_cleanup(true)
            .with_fsync(true);
        Ok(Place { folder: Some(path), ..Place::new(Arc::new(files), Path::default(), name) })
    }

    pub(super) fn error(&self, key: &Path, error: &object_store::Error) -> Error {
        let key = key.prefix_match(&self.root).map_or_else(|| key.clone(), Iterator::collect);
        error_at(&self.name, &key, error)
    }

    /// Waits for something that is done there.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if self.folder.is_some() { wait_here(work) } else { wait(work) }
    }

    /// Does something with the file or the folder that a key stands for, where all of this is in a folder.
    async fn on_disk<T: Send + 'static>(
        &self,
        key: &Path,
        act: impl FnOnce(&FilePath) -> io::Result<T> + Send + 'static,
    ) -> Option<Result<T>> {
        // Keys are names that every file system takes as they are.
        let path = self.folder.as_ref()?.join(key.as_ref());
        let (name, key) = (self.name.clone(), key.clone());
        Some(blocking(move || act(&path).map_err(|error| io_at(&name, &key, &error))).await)
    }

    /// Writes an object that is not there; `false` if it is.
    pub(super) async fn create(&self, key: &Path, bytes: Bytes) -> Result<bool> {
        let written = bytes.clone();
        if let Some(done) = self.on_disk(key, move |path| files::create(path, &written)).await {
            return done;
        }
        match self.put(key, bytes, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.error(key, &error)),
        }
    }

    pub(super) async fn overwrite(&self, key: &Path, bytes: Bytes) -> Result<()> {
        self.put(key, bytes, PutMode::Overwrite).await.map_err(|error| self.error(key, &error))
    }

    async fn put(&self, key: &Path, bytes: Bytes, mode: PutMode) -> object_store::Result<()> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.objects.put_opts(key, PutPayload::from(bytes), options).await.map(drop)
    }

    /// The first bytes of an object, or fewer where it has fewer, and how many it has; `None` where there is none.
    pub(super) async fn read(&self, key: &Path, at_most: u64) -> Result<Option<(Bytes, u64)>> {
        if let Some(read) = self.on_disk(key, move |path| files::read(path, at_most)).await {
            return Ok(read?.map(|(bytes, size)| (bytes.into(), size)));
        }
        let whole = match self.get(key).await {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.error(key, &error)),
        };
        let size = whole.meta.size;
        let bytes = match size {
            // There are no ranges of nothing.
            _ if size == 0 || at_most == 0 => Ok(Bytes::new()),
            _ if size <= at_most => whole.bytes().await,
            _ => self.objects.get_range(key, 0..at_most).await,
        };
        match bytes {
            Ok(bytes) => Ok(Some((bytes, size))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(key, &error)),
        }
    }

    /// The same of many files, but nothing of those that cannot be read; nothing at all where this is no folder.
    pub(super) async fn read_files(&self, wanted: &[(Path, u64)]) -> Vec<Option<(Bytes, u64)>> {
        let Some(root) = &self.folder else { return Vec::new() };
        let files: Vec<(PathBuf, u64)> =
            wanted.iter().map(|(key, at_most)| (root.join(key.as_ref()), *at_most)).collect();
        let some = stream::iter(files.chunks(PER_THREAD).map(<[_]>::to_vec));
        let read = some.map(|some| {
            let read = |(path, at_most): &(PathBuf, u64)| {
                files::read(path, *at_most).ok().flatten().map(|(bytes, size)| (Bytes::from(bytes), size))
            };
            aside(move || Ok(some.iter().map(read).collect::<Vec<_>>()))
        });
        read.buffered(AT_ONCE).try_concat().await.unwrap_or_default()
    }

    /// Some runs of the bytes of an object, those near each other in one request.
    pub(super) async fn read_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.objects.get_ranges(key, ranges).await.map_err(|error| self.error(key, &error))
    }

    async fn get(&self, key: &Path) -> object_store::Result<Option<GetResult>> {
        match self.objects.get_opts(key, GetOptions::default()).await {
            Ok(result) => Ok(Some(result)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All keys below another one, those behind `after` if there is one; in their order but for folders. What is no key of
    /// ours is left out.
    pub(super) async fn keys(&self, below: &Path, after: Option<&Path>) -> Result<Vec<Path>> {
        let listed = match after {
            None => self.objects.list(Some(below)),
            Some(after) => self.objects.list_with_offset(Some(below), after),
        };
        let keys = listed.filter_map(async |object| match object {
            Ok(object) => Some(Ok(object.location)),
            Err(object_store::Error::InvalidPath { .. }) => None,
            Err(error) => Some(Err(error)),
        });
        keys.try_collect().await.map_err(|error| self.error(below, &error))
    }

    /// The keys in what is no more than a folder of objects, of those whose name is wanted; in no order.
    pub(super) async fn keys_in(&self, folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Path>> {
        let Some(names) = self.on_disk(folder, |path| files::names(path, false)).await else {
            let mut keys = self.keys(folder, None).await?;
            keys.retain(|key| key.filename().is_some_and(&is_wanted));
            return Ok(keys);
        };
        Ok(names?.into_iter().filter(|name| is_wanted(name)).map(|name| folder.clone().join(name)).collect())
    }

    /// The folders in one, by name.
    pub(super) async fn folders(&self, below: &Path) -> Result<Vec<Path>> {
        let mut folders: Vec<Path> = match self.on_disk(below, |path| files::names(path, true)).await {
            Some(names) => names?.into_iter().map(|name| below.clone().join(name)).collect(),
            None => {
                let listed = self.objects.list_with_delimiter(Some(below)).await;
                listed.map_err(|error| self.error(below, &error))?.common_prefixes
            }
        };
        folders.sort_unstable();
        Ok(folders)
    }

    /// Deletes objects, in no order; those that are gone already are no error. All are tried.
    pub(super) async fn delete(&self, keys: Vec<Path>) -> Result<()> {
        let folders: BTreeSet<Path> = keys.iter().filter_map(Path::parent).collect();
        let deleted = self.objects.delete_stream(stream::iter(keys).map(Ok).boxed());
        let failed = |outcome: object_store::Result<Path>| match outcome {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => Some(error),
        };
        let errors: Vec<object_store::Error> = deleted.filter_map(async |it| failed(it)).collect().await;
        match errors.first() {
            Some(error) => Err(self.error(&Path::default(), error)),
            None => self.settle(&folders),
        }
    }

    /// What was deleted in folders stays deleted, whatever happens next.
    fn settle(&self, folders: &BTreeSet<Path>) -> Result<()> {
        let Some(root) = self.folder.as_deref() else { return Ok(()) };
        let paths: BTreeSet<PathBuf> = folders
            .iter()
            .filter_map(|folder| {
                // A folder goes with the last object in it.
                let path = root.join(folder.as_ref());
                path.ancestors().find(|it| it.is_dir()).map(FilePath::to_owned)
            })
            .collect();
        let settle = |path: &PathBuf| match files::sync_folder(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, error)),
            _ => Ok(()),
        };
        paths.iter().try_for_each(settle)
    }

    /// Whether what was just listed of a folder is all that was there at one moment. Services promise that; files that are
    /// made and deleted while their folder is read may each be seen or not.
    pub(super) fn was_still(&self, folder: &Path) -> bool {
        let Some(root) = &self.folder else { return true };
        let changed = fs::metadata(root.join(folder.as_ref())).and_then(|it| it.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > COARSE))
    }
}
