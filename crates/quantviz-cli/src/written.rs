//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file beside its place first, and renames it once all of it is there: whoever opens it never sees a part, and
/// what was there before stays until then.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (part, mut file) = part_of(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let outcome = written.and_then(|()| fs::rename(&part, path));
    if outcome.is_err() {
        // The first error says more than a second one could.
        let _ = fs::remove_file(&part);
    }
    outcome
}

/// A new file beside the one that is meant.
fn part_of(path: &Path) -> io::Result<(PathBuf, File)> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let mut part = name.to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(part);
    let file = OpenOptions::new().write(true).create_new(true).open(&part)?;
    Ok((part, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.html");
        write_whole(&path, b"one").expect("a new file");
        write_whole(&path, b"two").expect("in its place");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        let taken = folder.path().join("folder");
        fs::create_dir(&taken).expect("a folder");
        write_whole(&taken, b"three").expect_err("a folder is in its place");
        write_whole(&folder.path().join("missing/report.html"), b"").expect_err("no such folder");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 2);
    }
}
