//! `bench-scale`: how the time grows with size and shrinks with threads, and where it goes.

use std::path::Path;

use serde::Deserialize;

use crate::Result;
use crate::metadata::Metadata;
use crate::page::{Stamp, replace_section};
use crate::process::{cargo, make_folder, output};

/// What the program says of a file and a number of threads; times are in seconds.
#[derive(Deserialize)]
struct Measured {
    name: String,
    tensors: u64,
    bytes: u64,
    threads: usize,
    open: f64,
    read: f64,
    summarized: f64,
    binned: f64,
}

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    let folder = Metadata::of_workspace()?.target_directory.join("bench-scale");
    make_folder(&folder)?;
    println!("Measuring files of up to 1 GB, which takes some minutes.");
    let program = ["run", "--release", "--package", "quantviz-benches", "--bin", "scale", "--"];
    let json = output(cargo(program).arg(&folder))?;
    let measured: Vec<Measured> =
        serde_json::from_slice(&json).map_err(|error| format!("cannot read what `scale` says: {error}"))?;
    let text = table(&measured, &Stamp::now()?);
    print!("{text}");
    replace_section(Path::new("docs/speed.md"), "bench-scale", &text)
}

fn table(measured: &[Measured], stamp: &Stamp) -> String {
    let mut text = format!("{}\n\n", stamp.line());
    text += "| file | tensors | threads | open | read | statistics | histograms | all | MB/s |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for it in measured {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |\n",
            it.name,
            it.tensors,
            it.threads,
            milliseconds(it.open),
            milliseconds(it.read),
            milliseconds(it.summarized - it.read),
            milliseconds(it.binned - it.summarized),
            milliseconds(it.open + it.binned),
            it.bytes as f64 / 1e6 / (it.open + it.binned),
        );
    }
    text
}

/// Differences of what was measured apart may come out below nothing.
fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds.max(0.0) * 1e3)
}
