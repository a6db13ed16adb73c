//! What `cargo metadata` knows about the workspace and everything it depends on.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::process::{cargo, output};

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) rust_version: Option<String>,
    pub(crate) manifest_path: PathBuf,
    /// Where it was downloaded from; our own packages come from nowhere.
    source: Option<String>,
    /// The registries it may go to: absent means any, empty means none.
    publish: Option<Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    /// Set for packages of this workspace.
    pub(crate) path: Option<PathBuf>,
}

impl Metadata {
    /// Our own packages only: quick, and needs no network.
    pub(crate) fn of_workspace() -> Result<Self> {
        Self::ask(&["--no-deps"])
    }

    /// Our packages and all that they depend on, on every platform.
    pub(crate) fn of_everything() -> Result<Self> {
        Self::ask(&[])
    }

    fn ask(options: &[&str]) -> Result<Self> {
        let mut command = cargo(["metadata", "--format-version", "1"]);
        serde_json::from_slice(&output(command.args(options))?)
            .map_err(|error| format!("cannot read what `cargo metadata` says: {error}"))
    }

    /// The packages of this workspace.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_ours())
    }

    /// The crates under `crates/`: the product, without its benches, examples and chores.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Package> {
        self.ours().filter(|package| package.manifest_path.starts_with(self.workspace_root.join("crates")))
    }

    /// A path as seen from the root of the workspace, for messages.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.workspace_root).unwrap_or(path)
    }
}

impl Package {
    pub(crate) fn is_ours(&self) -> bool {
        self.source.is_none()
    }

    pub(crate) fn is_private(&self) -> bool {
        self.publish.as_ref().is_some_and(Vec::is_empty)
    }
}
