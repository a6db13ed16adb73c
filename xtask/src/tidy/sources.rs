//! How our own crates and files present themselves.

use std::path::{Path, PathBuf};

use super::manifest;
use crate::Result;
use crate::metadata::{Metadata, Package};
use crate::process::read;

/// Past this length a file holds more than one concept.
const MOST_LINES: usize = 800;

pub(super) fn crates_in_architecture(metadata: &Metadata) -> Result<Vec<String>> {
    let page = read("ARCHITECTURE.md")?;
    Ok(metadata
        .crates()
        .filter(|package| !is_named(&page, &package.name))
        .map(|Package { name, .. }| {
            format!(
                "ARCHITECTURE.md: does not name `{name}`; say there what it is, with its name in backticks"
            )
        })
        .collect())
}

/// In backticks or as a folder: the bare word `quantviz` would be found in any sentence.
fn is_named(page: &str, name: &str) -> bool {
    let ends_name = |c: char| !(c.is_alphanumeric() || "-_".contains(c));
    page.contains(&format!("`{name}`"))
        || page.split("crates/").skip(1).any(|rest| rest.split(ends_name).next() == Some(name))
}

pub(super) fn modules_say_what_they_are(metadata: &Metadata) -> Result<Vec<String>> {
    let mut folders: Vec<PathBuf> = vec!["benches".into(), "examples".into(), "xtask/src".into()];
    folders.extend(crate_folders(metadata).map(|folder| folder.join("src")));
    let mut problems = Vec::new();
    for file in rust_files(folders)? {
        if !read(&file)?.starts_with("//!") {
            problems.push(format!("{}: begin it with a `//!` line that says what it is", file.display()));
        }
    }
    Ok(problems)
}

pub(super) fn files_are_short(metadata: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in rust_files(crate_folders(metadata).collect())? {
        let lines = read(&file)?.lines().count();
        if lines > MOST_LINES {
            let file = file.display();
            problems.push(format!("{file}: {lines} lines are more than {MOST_LINES}; split it by concept"));
        }
    }
    Ok(problems)
}

pub(super) fn lints_are_shared(metadata: &Metadata) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in metadata.ours() {
        let text = read(&package.manifest_path)?;
        if !manifest::section(&text, "[lints]").any(|line| line == "workspace = true") {
            let file = metadata.relative(&package.manifest_path).display();
            problems.push(format!("{file}: add a section `[lints]` with `workspace = true`"));
        }
    }
    Ok(problems)
}

fn crate_folders(metadata: &Metadata) -> impl Iterator<Item = PathBuf> {
    metadata.crates().filter_map(|package| metadata.relative(&package.manifest_path).parent().map(Into::into))
}

/// The Rust files in these folders and below, in order; a folder that does not exist has none.
fn rust_files(mut folders: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() || folder.ends_with("target") {
            continue;
        }
        for entry in entries(&folder)? {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                files.push(entry);
            }
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::read_dir(folder)
        .map_err(named)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(named))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_in_backticks_or_as_a_folder() {
        assert!(is_named("the façade, `quantviz`, …", "quantviz"));
        assert!(is_named("crates/quantviz/ is the façade", "quantviz"));
        assert!(is_named("`crates/quantviz`", "quantviz"));
        assert!(!is_named("quantviz shows `quantviz-core`, in crates/quantviz-core", "quantviz"));
    }
}
