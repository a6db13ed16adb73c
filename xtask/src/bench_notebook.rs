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
    /// Which of the cells that are written to be measured.
    cell: &'static str,
    bound: f64,
}

/// From a repository, as a registry would be; the same without ONNX; and what lies in this clone, as its notebooks do.
const ELSEWHERE: &str = "elsewhere";
const WITHOUT_ONNX: &str = "without-onnx";
const CLONE: &str = "clone";

/// Each leaves behind what the next one finds.
const CASES: &[Case] = &[
    Case { title: "without ONNX, nothing in the cache", cell: WITHOUT_ONNX, bound: 120.0 },
    Case { title: "without ONNX, all from :cache", cell: WITHOUT_ONNX, bound: 5.0 },
    Case { title: "nothing in the cache", cell: ELSEWHERE, bound: 120.0 },
    Case { title: "all from :cache", cell: ELSEWHERE, bound: 5.0 },
    Case { title: "in a clone, once :cache is full", cell: CLONE, bound: 120.0 },
    Case { title: "in a clone, from then on", cell: CLONE, bound: 5.0 },
];

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    let workspace = Metadata::of_workspace()?;
    let folder = workspace.target_directory.join("notebook");
    let kernel = Kernel::ready(&folder)?;
    let bench = folder.join("bench");
    // It may not exist yet.
    let _ = std::fs::remove_dir_all(&bench);
    let krate = workspace.workspace_root.join("crates/quantviz-evcxr").display().to_string();
    let repository = format!("git = \"file://{}\"", snapshot(&folder)?.display());
    let others = "default-features = false, features = [\"gguf\", \"safetensors\", \"torch\"]";
    for (name, from) in [
        (ELSEWHERE, repository.clone()),
        (WITHOUT_ONNX, format!("{repository}, {others}")),
        (CLONE, format!("path = {krate:?}")),
    ] {
        make_folder(&bench.join(name))?;
        write(&bench.join(name).join("cell"), &cell(&from))?;
    }
    write(&bench.join(CLONE).join("evcxr.toml"), "[evcxr]\ntmpdir = \"evcxr\"\n")?;
    let mut problems = Vec::new();
    let mut lines = Vec::new();
    for Case { title, cell, bound } in CASES {
        println!("\n{title}");
        // What was kept of the build without ONNX is not to help the one with it.
        let cache = bench.join(if *cell == WITHOUT_ONNX { "cache-without-onnx" } else { "cache" });
        let [seconds, computed] = time(&kernel, &cache, &bench.join(cell).join("cell"))?;
        lines.push(format!("{title:<36}{seconds:>8.1} s{computed:>10.1} s{bound:>8.0} s"));
        if seconds > *bound {
            problems.push(format!("{title}: {seconds:.1} s are more than {bound:.0} s"));
        }
    }
    println!(
        "\n{:<36}{:>10}{:>12}{:>10}\n{}",
        "first cell",
        "it takes",
        "processors",
        "it may",
        lines.join("\n")
    );
    println!("{}", Stamp::now()?.line());
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n       ")) }
}

/// What a first cell says, as in the notebooks.
fn cell(from: &str) -> String {
    format!(":cache 1000\n:dep quantviz-evcxr = {{ {from} }}\nuse quantviz_evcxr::*;\n")
}

/// Seconds, and seconds of processors, which others that use this machine do not add to.
fn time(kernel: &Kernel, cache: &Path, cell: &Path) -> Result<[f64; 2]> {
    let said = output(kernel.python(cache).args(["fixtures/notebook/run.py", "time"]).arg(cell))?;
    let said = String::from_utf8_lossy(&said);
    let times = said.lines().find_map(|line| {
        let (seconds, computed) = line.strip_prefix("seconds ")?.split_once(' ')?;
        Some([seconds.parse().ok()?, computed.parse().ok()?])
    });
    times.ok_or_else(|| format!("the time is not in {said:?}"))
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
