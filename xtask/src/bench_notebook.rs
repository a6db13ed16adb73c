//! `bench-notebook`: how long the first cell of a notebook takes.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::kernel::Kernel;
use crate::metadata::Metadata;
use crate::page::Stamp;
use crate::process::{make_folder, output, run as show};

/// A first cell, and the seconds that it may take on two cores.
struct Case {
    title: &'static str,
    /// Whether it builds what lies in this clone, as the notebooks in it do.
    is_of_clone: bool,
    bound: f64,
}

/// Each leaves behind what the next one finds.
const CASES: &[Case] = &[
    Case { title: "nothing in the cache", is_of_clone: false, bound: 120.0 },
    Case { title: "all from :cache", is_of_clone: false, bound: 5.0 },
    Case { title: "in a clone, once :cache is full", is_of_clone: true, bound: 120.0 },
    Case { title: "in a clone, from then on", is_of_clone: true, bound: 5.0 },
];

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    let workspace = Metadata::of_workspace()?;
    let folder = workspace.target_directory.join("notebook");
    let kernel = Kernel::ready(&folder)?;
    let (cache, clone, elsewhere) =
        (folder.join("bench-cache"), folder.join("bench-clone"), folder.join("bench-elsewhere"));
    for folder in [&cache, &clone, &elsewhere] {
        // It may not exist yet.
        let _ = std::fs::remove_dir_all(folder);
        make_folder(folder)?;
    }
    let krate = workspace.workspace_root.join("crates/quantviz-evcxr");
    write(&clone.join("evcxr.toml"), "[evcxr]\ntmpdir = \"evcxr\"\n")?;
    write(&clone.join("cell"), &cell(&format!("path = {:?}", krate.display().to_string())))?;
    let repository = snapshot(&folder)?;
    write(&elsewhere.join("cell"), &cell(&format!("git = \"file://{}\"", repository.display())))?;
    let mut problems = Vec::new();
    let mut lines = Vec::new();
    for Case { title, is_of_clone, bound } in CASES {
        println!("\n{title}");
        let cell = if *is_of_clone { &clone } else { &elsewhere }.join("cell");
        let seconds = time(&kernel, &cache, &cell)?;
        lines.push(format!("{title:<34}{seconds:>8.1} s{bound:>8.0} s"));
        if seconds > *bound {
            problems.push(format!("{title}: {seconds:.1} s are more than {bound:.0} s"));
        }
    }
    println!("\n{:<34}{:>10}{:>10}\n{}", "first cell", "it takes", "it may", lines.join("\n"));
    println!("{}", Stamp::now()?.line());
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n       ")) }
}

/// What a first cell says, as in the notebooks.
fn cell(from: &str) -> String {
    format!(":cache 1000\n:dep quantviz-evcxr = {{ {from} }}\nuse quantviz_evcxr::*;\n")
}

fn time(kernel: &Kernel, cache: &Path, cell: &Path) -> Result<f64> {
    let said = output(kernel.python(cache).args(["fixtures/notebook/run.py", "time"]).arg(cell))?;
    let said = String::from_utf8_lossy(&said);
    let seconds = said.lines().find_map(|line| line.strip_prefix("seconds ")?.parse().ok());
    seconds.ok_or_else(|| format!("the time is not in {said:?}"))
}

/// A repository with the files of this workspace as they are now: evcxr keeps what comes from such, and from a registry.
/// The same files are the same commit.
fn snapshot(folder: &Path) -> Result<std::path::PathBuf> {
    let repository = folder.join("snapshot.git");
    let _ = std::fs::remove_dir_all(&repository);
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(&repository).args(args);
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "a snapshot").env(format!("GIT_{who}_EMAIL"), "none");
            git.env(format!("GIT_{who}_DATE"), "2000-01-01T00:00:00Z");
        }
        show(&mut git)
    };
    git(&["init", "--quiet", "--bare"])?;
    git(&["--work-tree", ".", "add", "--all"])?;
    git(&["--work-tree", ".", "commit", "--quiet", "--no-verify", "--message", "as it is now"])?;
    Ok(repository)
}

fn write(file: &Path, text: &str) -> Result {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
