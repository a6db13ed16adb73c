//! `notebook`, and a part of `test`: the notebooks run in the real kernel.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::kernel::Kernel;
use crate::metadata::Metadata;
use crate::process::{make_folder, run as show};

const NOTEBOOKS: &[&str] = &["notebooks/inspect.ipynb", "notebooks/session.ipynb"];

/// Notebooks are in every clone of the repository.
const MOST_BYTES: u64 = 600_000;

/// Runs every notebook top to bottom; what comes out is what it holds.
pub(crate) fn test() -> Result {
    let workshop = Workshop::set_up()?;
    NOTEBOOKS.iter().try_for_each(|notebook| workshop.run(notebook).map(drop))
}

/// Runs every notebook and keeps what comes out, to be looked at and committed.
pub(crate) fn renew(args: &[String]) -> Result {
    crate::no_options(args)?;
    let workshop = Workshop::set_up()?;
    for notebook in NOTEBOOKS {
        let found = match workshop.run(notebook) {
            Ok(found) => found,
            Err(message) => {
                println!("{message}: what it holds is renewed");
                workshop.result_of(notebook)
            }
        };
        let bytes = std::fs::copy(&found, notebook).map_err(|error| format!("{notebook}: {error}"))?;
        println!("{notebook}: {bytes} bytes");
        if bytes > MOST_BYTES {
            return Err(format!("{notebook} is larger than {MOST_BYTES} bytes: show less"));
        }
    }
    Ok(())
}

struct Workshop {
    kernel: Kernel,
    folder: PathBuf,
}

impl Workshop {
    fn set_up() -> Result<Self> {
        let folder = Metadata::of_workspace()?.target_directory.join("notebook");
        make_folder(&folder)?;
        Ok(Workshop { kernel: Kernel::ready(&folder)?, folder })
    }

    /// Where a notebook is written with what came out of it.
    fn result_of(&self, notebook: &str) -> PathBuf {
        self.folder.join(Path::new(notebook).file_name().unwrap_or_default())
    }

    fn run(&self, notebook: &str) -> Result<PathBuf> {
        let result = self.result_of(notebook);
        println!("The first time, the first cell compiles for some minutes.");
        let mut python = self.kernel.python(&self.folder.join("cache"));
        show(python.args(["fixtures/notebook/run.py", "check", notebook]).arg(&result))?;
        Ok(result)
    }
}
