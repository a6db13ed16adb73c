//! `scale FOLDER`: how long scans take by size, by threads, and for few large or many small tensors; in JSON.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its terminal")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use quantviz::{Block, BoxedSource, Error, ParameterSource, Part, Scan, SourceExt};
use quantviz_benches::safetensors;
use serde::Serialize;

/// A file: what is said of it, how many tensors it has, and how many numbers are in each.
struct Case {
    name: &'static str,
    tensors: u64,
    elements: u64,
}

const LARGE: u64 = 1 << 24;
const SMALL: u64 = 1 << 12;

/// 10 MB, 100 MB, 1 GB.
const CASES: &[Case] = &[
    Case { name: "10 MB, one tensor", tensors: 1, elements: 2_500_000 },
    Case { name: "10 MB, many", tensors: 2_500_000 / SMALL, elements: SMALL },
    Case { name: "100 MB, two tensors", tensors: 2, elements: 12_500_000 },
    Case { name: "100 MB, many", tensors: 25_000_000 / SMALL, elements: SMALL },
    Case { name: "1 GB, fifteen tensors", tensors: 15, elements: LARGE },
    Case { name: "1 GB, many", tensors: 250_000_000 / SMALL, elements: SMALL },
];

const THREADS: &[usize] = &[1, 2];
const BINS: usize = 64;
const ROUNDS: usize = 5;

type Result<T> = std::result::Result<T, String>;

/// Seconds, the medians of all rounds.
#[derive(Clone, Serialize)]
struct Measured {
    name: &'static str,
    tensors: u64,
    bytes: u64,
    threads: usize,
    open: f64,
    read: f64,
    /// Reading and statistics.
    summarized: f64,
    /// Those, and histograms.
    binned: f64,
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: say in which folder files of up to 1 GB may be made");
        return ExitCode::FAILURE;
    };
    let measured: Result<Vec<_>> = CASES.iter().map(|case| measure_case(case, &folder)).collect();
    match measured.and_then(|all| serde_json::to_string(&all.concat()).map_err(|error| error.to_string())) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure_case(case: &Case, folder: &Path) -> Result<Vec<Measured>> {
    let path = folder.join("scale.safetensors");
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = safetensors::equal_tensors(case.tensors, case.elements);
    file.write(&path).map_err(|error| named(&error))?;
    let open = || quantviz::open(&path).map_err(|error| named(&error));
    let source = open()?;
    let measure = |threads: usize| {
        let scan = |scan: Scan| {
            let measured = source.scan(&scan.threads(threads), &|_| ControlFlow::Continue(()));
            black_box(measured.map_err(|error| named(&error))?);
            Ok(())
        };
        Ok(Measured {
            name: case.name,
            tensors: case.tensors,
            bytes: file.bytes(),
            threads,
            open: median(|| open().map(|source| drop(black_box(source))))?,
            read: median(|| read(&source, threads).map_err(|error| named(&error)))?,
            summarized: median(|| scan(Scan::new()))?,
            binned: median(|| scan(Scan::new().bins(BINS)))?,
        })
    };
    let all = THREADS.iter().map(|&threads| measure(threads)).collect();
    std::fs::remove_file(&path).map_err(|error| named(&error))?;
    all
}

fn median(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    // Once for nothing, so that the file is in memory.
    work()?;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[ROUNDS / 2])
}

/// Numbers that a scan reads at a time.
const PIECE: u64 = 1 << 22;

/// Reads everything in pieces as a scan does, and looks at nothing.
fn read(source: &BoxedSource, threads: usize) -> std::result::Result<(), Error> {
    let model = source.model();
    let pieces = |id| {
        let elements = model.parameter(id).shape.elements();
        (0..elements.div_ceil(PIECE)).map(move |at| (id, at * PIECE..elements.min((at + 1) * PIECE)))
    };
    let pieces: Vec<_> = model.parameter_ids().flat_map(pieces).collect();
    let next = AtomicUsize::new(0);
    let take_turns = || {
        while let Some((id, range)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut sink = |block: Block<'_>| {
                black_box(&block);
                ControlFlow::Continue(())
            };
            let _ = source.read(*id, Part::Stored, range.clone(), &mut sink)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(take_turns)).collect();
        let mut result = take_turns();
        for helper in helpers {
            result = result.and(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        result
    })
}
