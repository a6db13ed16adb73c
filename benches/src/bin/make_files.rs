//! `make_files FOLDER`: makes the files of the catalogue that are not there yet, and says in JSON what each holds.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its terminal")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use quantviz::ParameterSource;
use quantviz_benches::{CATALOGUE, File, VERSION};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let made = match std::env::args_os().nth(1) {
        Some(folder) => make_all(&PathBuf::from(folder)),
        None => Err("say into which folder".to_owned()),
    };
    match made {
        Ok(files) => {
            println!("{files}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn make_all(folder: &Path) -> Result<Value> {
    std::fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    let stamp = folder.join("version");
    let version = VERSION.to_string();
    let is_current = std::fs::read_to_string(&stamp).is_ok_and(|written| written == version);
    if !is_current {
        // Before the files: those of this version must never be taken for older ones.
        let old = CATALOGUE.iter().map(|entry| folder.join(entry.name)).filter(|file| file.exists());
        old.into_iter()
            .try_for_each(|file| std::fs::remove_file(&file).map_err(|error| named(&file, &error)))?;
        std::fs::write(&stamp, version).map_err(|error| named(&stamp, &error))?;
    }
    let described = CATALOGUE.iter().map(|entry| {
        let (path, file) = (folder.join(entry.name), (entry.make)());
        make(&path, &file)?;
        Ok((entry.name.to_owned(), describe(&path)?))
    });
    Ok(Value::Object(described.collect::<Result<_>>()?))
}

fn make(path: &Path, file: &File) -> Result<()> {
    if path.metadata().is_ok_and(|written| written.len() == file.bytes()) {
        return Ok(());
    }
    eprintln!("Making {}, {} MB", path.display(), file.bytes() / 1_000_000);
    file.write(path).map_err(|error| named(path, &error))
}

/// Its size, and how many parameters it has; whatever cannot be read would be quick, and so is an error.
fn describe(path: &Path) -> Result<Value> {
    let source = quantviz::open(path).map_err(|error| named(path, &error))?;
    let model = source.model();
    if let Some(warning) = model.warnings.first() {
        return Err(format!("{}: {}", path.display(), warning.message));
    }
    Ok(
        json!({"bytes": model.file_bytes, "tensors": model.parameters.len(), "parameters": model.parameter_count()}),
    )
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
