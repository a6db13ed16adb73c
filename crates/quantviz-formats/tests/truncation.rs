//! Every fixture, cut short at every 64th byte or while it is read: an error that names the file, or all that is in the
//! whole.
#![cfg(all(feature = "gguf", feature = "onnx", feature = "safetensors", feature = "torch"))]

mod common;
mod gguf_samples;
mod samples;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{Folder, check_model, check_refusal, scan};
use quantviz_core::{Model, ParameterSource};
use quantviz_formats::FORMATS;

/// A model file, by the name it has and the bytes.
type File = (String, Vec<u8>);

#[test]
fn files_cut_short_are_refused() {
    for_each_file(|(name, bytes)| {
        let folder = Folder::in_memory();
        let path = folder.put(name, bytes);
        let whole = quantviz_formats::open(&path).expect("there is nothing wrong with it").model().clone();
        let (mut opened, mut refused) = (0, 0);
        // From the end on, so that the file need not be written again.
        for len in (0..bytes.len()).step_by(64).rev() {
            shrink(&path, len);
            match quantviz_formats::open(&path) {
                Ok(source) => {
                    check_model(source.model());
                    scan(&source);
                    assert_eq!(names(source.model()), names(&whole), "{name}, cut to {len} bytes");
                    opened += 1;
                }
                Err(error) => {
                    check_refusal(&error, &path);
                    refused += 1;
                }
            }
        }
        assert!(opened <= 1 + refused / 20, "{name}: {opened} of its parts were opened, {refused} refused");
    });
}

#[test]
fn files_that_shrink_while_they_are_read() {
    let shrunk = AtomicUsize::new(0);
    for_each_file(|(name, bytes)| {
        let folder = Folder::in_memory();
        let path = folder.put(name, bytes);
        let source = quantviz_formats::open(&path).expect("there is nothing wrong with it");
        let before = scan(&source);
        shrink(&path, 16);
        for (before, after) in before.iter().zip(scan(&source)) {
            let was_there = before.error.is_none();
            match after.error {
                Some(error) if was_there => {
                    assert_eq!(error.message(), "the file ends here: it shrank while it was read", "{name}");
                    assert!(error.file() == Some(&*path) && error.offset().is_some(), "{error}");
                    shrunk.fetch_add(1, Ordering::Relaxed);
                }
                // Nothing of it is in the file, or it is kept in memory.
                after => assert_eq!(after.is_none(), was_there, "{name}: {before:?}"),
            }
        }
    });
    assert!(shrunk.into_inner() > 100, "most values are in the files");
}

fn shrink(path: &Path, len: usize) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("it is ours");
    file.set_len(len as u64).expect("the temporary folder is writable");
}

fn names(model: &Model) -> Vec<&str> {
    model.parameters.iter().map(|parameter| parameter.name.as_str()).collect()
}

/// On all cores: there are many files.
fn for_each_file(check: impl Fn(&File) + Sync) {
    let files = files();
    assert!(files.len() > 30, "the fixtures are there");
    let next = AtomicUsize::new(0);
    let take_turns = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            check(file);
        }
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(1, usize::from))
            .for_each(|_| drop(scope.spawn(take_turns)));
    });
}

/// All models among the fixtures, and one or more of the formats that they lack.
fn files() -> Vec<File> {
    let safetensors = samples::safetensors().into_iter().map(|bytes| ("model.safetensors".to_owned(), bytes));
    let gguf = gguf_samples::files().into_iter().map(|bytes| ("model.gguf".to_owned(), bytes));
    let mut files: Vec<File> = safetensors.chain(gguf).collect();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the fixtures are there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = model_name(&path) {
                files.push((name, fs::read(&path).expect("readable")));
            }
        }
    }
    files
}

fn model_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    FORMATS.iter().any(|entry| entry.has_extension_of(&name)).then_some(name)
}
