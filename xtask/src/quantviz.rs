//! Builds the command line that `demo` and `pictures` show.

use std::path::PathBuf;

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{cargo, run};

/// How long the first build takes on two cores.
const FIRST_BUILD: &str = "2 to 4 minutes";

/// Builds `quantviz` and says where it is.
pub(crate) fn build(workspace: &Metadata) -> Result<PathBuf> {
    println!("Building quantviz. The first time takes {FIRST_BUILD}; after that, seconds.");
    run(&mut cargo(["build", "--release", "--package", "quantviz-cli"]))?;
    let name = format!("quantviz{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace.target_directory.join("release").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_how_long_it_takes() {
        assert!(include_str!("../../README.md").contains(&format!("builds quantviz ({FIRST_BUILD}, once)")));
    }
}
