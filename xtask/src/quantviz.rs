//! Builds the command line that `demo` and `pictures` show.

use std::path::PathBuf;

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{cargo, run};

/// Builds `quantviz` and says where it is.
pub(crate) fn build(workspace: &Metadata) -> Result<PathBuf> {
    println!("Building quantviz. The first time takes a minute or more; after that, seconds.");
    run(&mut cargo(["build", "--release", "--package", "quantviz-cli"]))?;
    let name = format!("quantviz{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace.target_directory.join("release").join(name))
}
