//! `quantviz sessions import`: makes a session of checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quantviz::record::Recorder;
use quantviz::view::count;
use quantviz::{Cursor, Error, Progress, SessionId, format_of, models_in};

use super::Opened;
use crate::Exit;
use crate::progress::ScanProgress;
use crate::stream::{Terminal, write_json};
use crate::trouble::Trouble;

/// Make a session of a folder of checkpoints
///
/// The names of the checkpoints say the steps: ckpt_100.pt, step_000100.safetensors, checkpoint-100/. Everything in them is
/// looked at, so that nothing that is shown is sampled.
#[derive(clap::Args)]
pub(super) struct ImportOptions {
    /// The folder with the checkpoints
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// What the session is called; if nothing is said, as the folder
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Print JSON, for scripts: the schema quantviz.imported/1
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    options: &ImportOptions,
    opened: Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let folder = &options.folder;
    let id = session_id(options)?;
    let is_there = opened.store.records(&id, &Cursor::default()).map_err(|error| opened.trouble(error))?;
    if !is_there.is_empty() {
        let message = format!(
            "there is a session {id} already; --session names another, `quantviz sessions rm {id}` removes it"
        );
        return Err(opened.trouble(Error::refused(message)));
    }
    let checkpoints = checkpoints_in(folder)?;
    let builder = Recorder::builder(id.as_str()).tag("imported from", folder.display().to_string());
    let mut import = builder.to(opened.store).import().map_err(|error| Trouble::with(folder, error))?;
    let progress = ScanProgress::new(terminal.err, &folder.display().to_string());
    let total = checkpoints.len() as u64;
    for (done, (step, path)) in (0u64..).zip(&checkpoints) {
        let added = quantviz::open(path).and_then(|source| import.add(*step, &source));
        added.map_err(|error| Trouble::with(path, error))?;
        let _ = progress.report(Progress::of(done + 1, total));
    }
    drop(progress);
    import.finish().map_err(|error| Trouble::with(folder, error))?;
    let steps: Vec<u64> = checkpoints.keys().copied().collect();
    if options.json {
        let imported = serde_json::json!({
            "schema": "quantviz.imported/1", "session": id.as_str(), "steps": steps
        });
        write_json(&imported, terminal.out)?;
        terminal.out.write_all(b"\n")?;
    } else {
        let (first, last) = (steps.first().copied().unwrap_or(0), steps.last().copied().unwrap_or(0));
        writeln!(
            terminal.out,
            "session {id}: {} checkpoints, steps {} to {}\nquantviz sessions show {id}",
            count(total),
            count(first),
            count(last)
        )?;
    }
    Ok(Exit::Done)
}

/// What the session is called: as it was said, or as the folder, with other characters than names have left out.
fn session_id(options: &ImportOptions) -> Result<SessionId, Trouble> {
    let of_folder = || {
        let whole = std::path::absolute(&options.folder).unwrap_or_else(|_| options.folder.clone());
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let allowed = |it: char| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '-' };
        name.chars().map(allowed).collect::<String>().trim_start_matches('.').to_owned()
    };
    let name = options.session.clone().unwrap_or_else(of_folder);
    name.parse().map_err(|error| Trouble::with(&options.folder, error))
}

/// The checkpoints of a folder by their steps.
fn checkpoints_in(folder: &Path) -> Result<BTreeMap<u64, PathBuf>, Trouble> {
    let with = |error: Error| Trouble::with(folder, error);
    let entries = std::fs::read_dir(folder).map_err(|error| with(Error::io(folder, error)))?;
    let mut checkpoints: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| with(Error::io(folder, error)))?.path();
        let Some(step) = step_of(&path) else { continue };
        let Some(model) = model_at(&path) else { continue };
        if let Some(other) = checkpoints.insert(step, model) {
            let message = format!("{} and {} are both of step {step}", other.display(), path.display());
            return Err(with(Error::malformed(message)));
        }
    }
    if checkpoints.is_empty() {
        return Err(with(Error::not_found(
            "there is no checkpoint here whose name says its step, as ckpt_100.pt, step_000100.safetensors and checkpoint-100/ do",
        )));
    }
    Ok(checkpoints)
}

/// The file of a checkpoint: itself, or the first model of a folder.
fn model_at(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return models_in(path).ok()?.into_iter().find(|it| !is_of_the_optimizer(it));
    }
    format_of(path).is_ok().then(|| path.to_path_buf())
}

/// What trainers lay beside the weights.
fn is_of_the_optimizer(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    ["optimizer", "scheduler", "rng_state", "training_args"].iter().any(|it| name.starts_with(it))
}

/// The last number in a name, without what is behind its last dot.
fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let stem = if path.is_dir() { name } else { name.rsplit_once('.').map_or(name, |(stem, _)| stem) };
    let digits = stem.rsplit(|it: char| !it.is_ascii_digit()).find(|part| !part.is_empty())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_steps() {
        let step = |name: &str| step_of(Path::new(name));
        assert_eq!(step("ckpt_100.pt"), Some(100));
        assert_eq!(step("step_000100.safetensors"), Some(100));
        assert_eq!(step("checkpoint-100"), Some(100));
        assert_eq!(step("gpt2-step200.onnx"), Some(200));
        assert_eq!((step("model.pt"), step("v1/model.pt")), (None, None));
    }
}
