//! Everything that is measured: quantviz, the files, the C programs and the Python that has numpy.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::rows::{Peer, Question};
use crate::Result;
use crate::install::{self, Need};
use crate::metadata::Metadata;
use crate::page::cores;
use crate::process::{cargo, make_folder, output, run as show};

const SCRIPTS: &str = "benches/peers";

/// What the files take on disk, all together, and a little more.
const DISK_BYTES: u64 = 4_500_000_000;

pub(super) struct Workshop {
    quantviz: PathBuf,
    python: PathBuf,
    /// The folders of the files and of the C programs.
    files: PathBuf,
    programs: PathBuf,
    made: BTreeMap<String, Made>,
}

/// What is known of a file.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Made {
    pub(super) bytes: u64,
    pub(super) tensors: u64,
    pub(super) parameters: u64,
}

impl Workshop {
    pub(super) fn set_up() -> Result<Self> {
        let workspace = Metadata::of_workspace()?;
        let target = &workspace.target_directory;
        let (files, programs) = (target.join("bench-files"), target.join("bench-peers"));
        make_folder(&files)?;
        make_folder(&programs)?;
        compile("scan.c", &["-O3", "-march=native", "-pthread"], &programs)?;
        compile("measure.c", &["-O2"], &programs)?;
        let python = install::python("fixtures/python/requirements.txt")?;
        let quantviz = crate::quantviz::build(&workspace)?;
        check_space(&files)?;
        let build = ["run", "--release", "--package", "quantviz-benches", "--bin", "make_files", "--"];
        let made = output(cargo(build).arg(&files))?;
        let made = serde_json::from_slice(&made).map_err(|error| format!("make_files: {error}"))?;
        Ok(Workshop { quantviz, python, files, programs, made })
    }

    pub(super) fn made(&self, file: &str) -> Result<Made> {
        self.made.get(file).copied().ok_or_else(|| format!("make_files knows no {file}"))
    }

    /// quantviz, with a question about a file.
    pub(super) fn quantviz(&self, question: Question, file: &str) -> Command {
        let mut command = self.measured(&self.quantviz);
        match question {
            Question::Inspect => command.args(["inspect", "--bins", "64", "--json"]),
            Question::Compare(reference) => {
                command.args(["compare", "--json"]).arg(self.files.join(reference))
            }
            Question::Preview => command.args(["preview", "--json"]),
        };
        command.arg(self.files.join(file));
        command
    }

    pub(super) fn peer(&self, peer: Peer, file: &str) -> Result<Command> {
        Ok(match peer {
            Peer::Python(script) => {
                let mut command = self.measured(&self.python);
                command.arg(Path::new(SCRIPTS).join(script)).arg(self.files.join(file));
                // What it compiles of our scripts stays out of the repository.
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Peer::Loop(floats) => {
                let path = self.files.join(floats);
                let mut command = self.measured(&self.programs.join("scan"));
                let start = payload_start(&path)?;
                // The weights are between these edges.
                command.arg(&path).args([start.to_string(), cores().to_string()]).args(["-0.103", "0.103"]);
                command
            }
            Peer::Floats(floats, _) => self.quantviz(Question::Inspect, floats),
            Peer::Scan(floats) => self.scan(&[floats, file]),
            Peer::ScanAlone => self.scan(&[file]),
        })
    }

    /// quantviz, looking at whole files without histograms.
    fn scan(&self, files: &[&str]) -> Command {
        let mut command = self.measured(&self.quantviz);
        command.args(["inspect", "--json"]).args(files.iter().map(|it| self.files.join(it)));
        command
    }

    fn measured(&self, program: &Path) -> Command {
        let mut command = Command::new(self.programs.join("measure"));
        command.arg(program);
        command
    }
}

/// Where the floats begin: behind the header of safetensors; other files are floats but for a few bytes in between.
fn payload_start(path: &Path) -> Result<u64> {
    if path.extension().is_none_or(|extension| extension != "safetensors") {
        return Ok(0);
    }
    let mut length = [0; 8];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut length))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(8 + u64::from_le_bytes(length))
}

fn compile(source: &str, options: &[&str], folder: &Path) -> Result {
    install::programs(&[Need { package: "gcc", sign: "cc" }])?;
    let program = folder.join(source.trim_end_matches(".c"));
    show(Command::new("cc").args(options).arg("-o").arg(program).arg(Path::new(SCRIPTS).join(source)))
}

/// Asked of `df`, since the standard library does not know. Files that are there already need no more space.
fn check_space(folder: &Path) -> Result {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let there: u64 = entries.filter_map(|entry| entry.metadata().ok()).map(|it| it.len()).sum();
    let missing = DISK_BYTES.saturating_sub(there);
    let Ok(text) = output(Command::new("df").args(["-Pk"]).arg(folder)) else { return Ok(()) };
    let text = String::from_utf8_lossy(&text);
    let free = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match free.map(|kib| kib * 1024) {
        Some(free) if free < missing => Err(format!(
            "the files to measure take {:.1} GB more in {}, and there are {:.1} GB free",
            missing as f64 / 1e9,
            folder.display(),
            free as f64 / 1e9
        )),
        _ => Ok(()),
    }
}
