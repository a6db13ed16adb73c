//! Objects as files of a folder, with no more calls to the system than they need.
//!
//! The library below can do all of this. But it asks for the size and the time of each file that it lists, three times, and
//! it takes away the name under which a file was written when it has synced the folder, so that the next sync has that to do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// How often a folder may vanish before a file is in it: whoever deletes the last file of a folder deletes the folder.
const ATTEMPTS: usize = 20;

/// What is directly in a folder, in no order; nothing, where there is no folder.
pub(super) fn names(folder: &Path, folders: bool) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        outcome => outcome?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        if is_folder == folders {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// The first bytes of a file, or fewer where it has fewer, and how many it has; `None` where there is none.
pub(super) fn read(path: &Path, at_most: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    let about = file.metadata()?;
    if about.is_dir() {
        return Ok(None);
    }
    let len = about.len().min(at_most);
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(len).read_to_end(&mut bytes)?;
    Ok(Some((bytes, about.len())))
}

/// Writes a file that is not there; `false` if it is. It gets its name when all of it is on the disk, and has it for ever when
/// this returns: one sync of the file, one of its folder.
pub(super) fn create(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let (mut file, staged) = stage(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let named = written.and_then(|()| fs::hard_link(&staged, path));
    // Before the folder is synced: once is enough for both.
    let _ = fs::remove_file(&staged);
    match named {
        Ok(()) => sync_folder(parent(path)).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file beside another, under a name that no object has: that of the other one, and a number.
fn stage(path: &Path) -> io::Result<(File, PathBuf)> {
    let (mut number, mut attempts) = (1u64, 0);
    loop {
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!("#{number}"));
        let staged = PathBuf::from(staged);
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) if error.kind() == ErrorKind::NotFound && attempts < ATTEMPTS => {
                attempts += 1;
                make_folder(parent(path))?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes a folder, and those that it is in, so that they stay.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_folder(parent(path))?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent(path)),
    }
}

/// What was done in a folder stays done, whatever happens next. Only Unix lets folders be opened.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_once_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b/object");
        assert!(read(&path, 9).expect("it may not be there").is_none());
        assert!(create(&path, b"first").expect("written"));
        assert!(!create(&path, b"second").expect("it is there"));
        // A name that a killed process has left does not stop anybody.
        fs::write(folder.path().join("a/b/other#1"), b"half").expect("written");
        assert!(create(&folder.path().join("a/b/other"), b"whole").expect("written"));
        assert_eq!(read(&path, 3).expect("readable"), Some((b"fir".to_vec(), 5)));
        assert_eq!(read(&path, u64::MAX).expect("readable"), Some((b"first".to_vec(), 5)));
        let mut found = names(&folder.path().join("a/b"), false).expect("listed");
        found.sort();
        assert_eq!(found, ["object", "other", "other#1"]);
        assert_eq!(names(folder.path(), true).expect("listed"), ["a"]);
        assert!(names(&path, false).expect("a file has nothing in it").is_empty());
        assert!(read(&folder.path().join("a"), 9).expect("a folder is no object").is_none());
    }
}
