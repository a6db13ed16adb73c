//! `bench`: runs the benchmarks and holds them against what we promise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::Result;
use crate::metadata::Metadata;
use crate::process::{cargo, read, run as show};

/// The most a benchmark may take, in the median; of a name that ends in a slash, every one of that group.
const BOUNDS: &[(&str, Nanoseconds)] = &[
    ("extraction/gpt2-124m", 100.0 * MILLISECOND),
    ("opening/", 10.0 * MILLISECOND),
    ("opening-20000-tensors/", 200.0 * MILLISECOND),
    ("cold-start/", 20.0 * MILLISECOND),
    ("sessions/seek", 20.0 * MILLISECOND),
    ("sessions/history", 50.0 * MILLISECOND),
];

/// As criterion counts: a fraction of one is a time too, so `Duration` will not do.
type Nanoseconds = f64;
const MICROSECOND: Nanoseconds = 1e3;
const MILLISECOND: Nanoseconds = 1e6;
const SECOND: Nanoseconds = 1e9;

/// A busy machine is slow now and then; code that became slow is slow every time.
const RUNS: usize = 3;

/// Medians by the name of the benchmark, the best of all runs.
type Medians = BTreeMap<String, Nanoseconds>;

pub(crate) fn run(args: &[String]) -> Result {
    crate::no_options(args)?;
    let workspace = Metadata::of_workspace()?;
    let results = workspace.target_directory.join("criterion");
    let quantviz = crate::quantviz::build(&workspace)?;
    let mut best = Medians::new();
    for _ in 0..RUNS {
        for (name, median) in measure(&results, &quantviz)? {
            best.entry(name).and_modify(|known| *known = median.min(*known)).or_insert(median);
        }
        if exceeded(&best).is_empty() {
            break;
        }
    }
    print_table(&best);
    let problems = exceeded(&best);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n       ")) }
}

fn measure(results: &Path, quantviz: &Path) -> Result<Medians> {
    let start = SystemTime::now();
    let mut bench = cargo(["bench", "--package", "quantviz-benches"]);
    show(bench.env("CRITERION_HOME", results).env("QUANTVIZ", quantviz))?;
    let mut medians = Medians::new();
    for folder in folders_since(start, results) {
        let benchmark: Benchmark = parse(&folder.join("benchmark.json"))?;
        let estimates: Estimates = parse(&folder.join("estimates.json"))?;
        medians.insert(benchmark.full_id, estimates.median.point_estimate);
    }
    Ok(medians)
}

/// The folders that this run wrote: those of benchmarks that exist no more stay behind.
fn folders_since(start: SystemTime, results: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![results.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
        let written = folder.join("estimates.json").metadata().and_then(|file| file.modified());
        if folder.ends_with("new") && written.is_ok_and(|time| time >= start) {
            found.push(folder);
        }
    }
    found
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: Nanoseconds,
}

fn parse<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T> {
    serde_json::from_str(&read(file)?).map_err(|error| format!("{}: {error}", file.display()))
}

/// What is slower than its bound, or was not measured at all.
fn exceeded(medians: &Medians) -> Vec<String> {
    let mut problems = Vec::new();
    for &(bounded, bound) in BOUNDS {
        let measured: Vec<_> = medians.iter().filter(|(name, _)| is_bounded(name, bounded)).collect();
        if measured.is_empty() {
            problems.push(format!("{bounded} has a bound and was not measured"));
        }
        let slow = measured.into_iter().filter(|(_, median)| **median > bound);
        problems.extend(
            slow.map(|(name, median)| format!("{name} takes {}, more than {}", shown(*median), shown(bound))),
        );
    }
    problems
}

fn is_bounded(name: &str, bounded: &str) -> bool {
    if bounded.ends_with('/') { name.starts_with(bounded) } else { name == bounded }
}

fn print_table(medians: &Medians) {
    let width = medians.keys().map(String::len).max().unwrap_or_default().max("benchmark".len());
    println!("\n{:<width$}  {:>12}  {:>12}", "benchmark", "median", "bound");
    for (name, median) in medians {
        let bound = BOUNDS.iter().find(|(bounded, _)| is_bounded(name, bounded));
        let bound = bound.map(|(_, bound)| shown(*bound)).unwrap_or_default();
        println!("{name:<width$}  {:>12}  {bound:>12}", shown(*median));
    }
}

fn shown(time: Nanoseconds) -> String {
    let units = [(SECOND, "s"), (MILLISECOND, "ms"), (MICROSECOND, "µs")];
    let (unit, name) = units.into_iter().find(|(unit, _)| time >= *unit).unwrap_or((1.0, "ns"));
    format!("{:.2} {name}", time / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_that_fits() {
        assert_eq!(shown(0.378), "0.38 ns");
        assert_eq!(shown(1500.0), "1.50 µs");
        assert_eq!(shown(2.5 * SECOND), "2.50 s");
    }

    #[test]
    fn a_bound_holds_for_what_was_measured() {
        let problems = |names: &[(&str, f64)]| {
            let slow = names.iter().map(|&(name, time)| (name.to_owned(), time * MILLISECOND));
            exceeded(&slow.collect()).join("; ")
        };
        let good = [
            ("extraction/gpt2-124m", 99.0),
            ("opening/a", 9.0),
            ("opening/b", 10.0),
            ("opening-20000-tensors/a", 199.0),
            ("cold-start/a", 19.0),
            ("sessions/seek", 19.0),
            ("sessions/history", 49.0),
            ("elsewhere", 1e9),
        ];
        assert_eq!(problems(&good), "");
        let slow = |name| good.map(|(known, time)| (known, if known == name { time + 2.0 } else { time }));
        assert_eq!(
            problems(&slow("extraction/gpt2-124m")),
            "extraction/gpt2-124m takes 101.00 ms, more than 100.00 ms"
        );
        assert_eq!(problems(&slow("opening/b")), "opening/b takes 12.00 ms, more than 10.00 ms");
        assert_eq!(problems(&good[1..]), "extraction/gpt2-124m has a bound and was not measured");
        assert_eq!(problems(&[&good[..1], &good[3..]].concat()), "opening/ has a bound and was not measured");
    }
}
