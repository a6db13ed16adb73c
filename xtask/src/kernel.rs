//! The evcxr kernel that runs notebooks, installed apart from the user's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::install;
use crate::process::{cargo, make_folder, run as show};

/// What is on crates.io and was tried with these notebooks.
const EVCXR: &str = "0.22.0";

/// The name that `fixtures/notebook/run.py` asks for.
const NAME: &str = "quantviz-evcxr";

/// A kernel, and a Python that can talk to it.
pub(crate) struct Kernel {
    python: PathBuf,
    /// Where Jupyter finds the kernel and keeps what it needs.
    jupyter: PathBuf,
}

impl Kernel {
    /// From the cache, or installed now.
    pub(crate) fn ready(scratch: &Path) -> Result<Self> {
        let python = install::python("fixtures/notebook/requirements.txt")?;
        let program = evcxr()?;
        let jupyter = scratch.join("jupyter");
        let folder = jupyter.join("kernels").join(NAME);
        make_folder(&folder)?;
        let spec = serde_json::json!({
            "argv": [program, "--control_file", "{connection_file}"],
            "display_name": "Rust",
            "language": "rust",
            "interrupt_mode": "message",
        });
        let file = folder.join("kernel.json");
        std::fs::write(&file, spec.to_string()).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Kernel { python, jupyter })
    }

    /// A Python that knows this kernel and no other setting of whoever runs it. `cache` is where evcxr keeps what
    /// `:cache` asks it to.
    pub(crate) fn python(&self, cache: &Path) -> Command {
        let mut command = Command::new(&self.python);
        for (variable, folder) in [
            ("JUPYTER_PATH", ""),
            ("JUPYTER_DATA_DIR", "data"),
            ("JUPYTER_CONFIG_DIR", "config"),
            ("JUPYTER_RUNTIME_DIR", "runtime"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            command.env(variable, self.jupyter.join(folder));
        }
        command.env("XDG_CACHE_HOME", cache);
        command
    }
}

/// The program, compiled once for every user of this cache.
fn evcxr() -> Result<PathBuf> {
    let folder = install::cache()?.join("quantviz").join(format!("evcxr-{EVCXR}"));
    let program = folder.join("bin").join(format!("evcxr_jupyter{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        println!("Installing evcxr. That takes 5 minutes, once.");
        let mut install = cargo(["install", "--locked", "evcxr_jupyter", "--version", EVCXR, "--root"]);
        show(install.arg(&folder))?;
    }
    Ok(program)
}
