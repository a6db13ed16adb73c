//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file beside its place first, and renames it once all of it is there: whoever opens it never sees a part, and
/// what was there before stays until then.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// The same of a file that is written piece by piece. Of one that takes long nothing is left either when the command is
/// interrupted or killed, where the system has files without a name.
pub(crate) fn write_whole_with<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let mut part = Part::beside(path)?;
    let written = write(&mut part.file)?;
    part.file.sync_all()?;
    part.name_it()?;
    fs::rename(&part.path, path)?;
    part.is_named = false;
    Ok(written)
}

/// A new file beside the one that is meant, which goes away unless it takes its place.
struct Part {
    path: PathBuf,
    file: File,
    is_named: bool,
}

impl Part {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
        let mut part = name.to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let path = path.with_file_name(part);
        if let Some(file) = nameless::create(&path) {
            return Ok(Part { path, file, is_named: false });
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Part { path, file, is_named: true })
    }

    fn name_it(&mut self) -> io::Result<()> {
        if !self.is_named {
            nameless::name(&self.file, &self.path)?;
            self.is_named = true;
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_named {
            // The first error says more than a second one could.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Files that have no name until they are whole.
#[cfg(target_os = "linux")]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

    /// A file in the folder of this one; `None` where there cannot be any.
    pub(super) fn create(path: &Path) -> Option<File> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // What cannot be named in the end is of no use.
        let has_names = Path::new("/proc/self/fd").is_dir();
        let mode = Mode::from_raw_mode(0o666);
        has_names
            .then(|| open(folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode).ok())?
            .map(File::from)
    }

    pub(super) fn name(file: &File, path: &Path) -> io::Result<()> {
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn create(_: &Path) -> Option<File> {
        None
    }

    pub(super) fn name(_: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }
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
        let half = |file: &mut File| {
            file.write_all(b"half")?;
            Err(io::Error::other("and no more"))
        };
        write_whole_with::<(), io::Error>(&path, half).expect_err("it says so");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 2);
    }
}
