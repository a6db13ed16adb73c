//! What a process that was killed leaves in a folder: files that were being written. No listing shows them.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Nobody takes so long to write an object.
const OLD: Duration = Duration::from_secs(600);

/// Deletes files that were being written long ago. What cannot be deleted stays; it harms nobody.
pub(super) fn sweep(folder: &Path, parts: &[&str]) {
    let is_old = |file: &Path| {
        let changed = fs::symlink_metadata(file).and_then(|it| it.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > OLD))
    };
    for part in parts {
        each_file(&folder.join(part), &|file| {
            if is_leftover(file) && is_old(file) {
                let _ = fs::remove_file(file);
            }
        });
    }
}

/// Deletes what is left of a session whose objects are gone: files that were being written, and empty folders.
pub(super) fn clear(folder: &Path, parts: &[&str]) {
    for part in parts {
        each_file(&folder.join(part), &|file| {
            if is_leftover(file) {
                let _ = fs::remove_file(file);
            }
        });
        remove_empty(&folder.join(part));
    }
    let _ = fs::remove_dir(folder);
}

/// `object_store` writes `key#1` and then gives it its name.
fn is_leftover(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit())
}

fn each_file(folder: &Path, act: &dyn Fn(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            // Not through links: they may lead anywhere.
            Ok(kind) if kind.is_dir() => each_file(&entry.path(), act),
            Ok(kind) if kind.is_file() => act(&entry.path()),
            _ => {}
        }
    }
}

fn remove_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // It stays where anything else is in it.
    let _ = fs::remove_dir(folder);
}
