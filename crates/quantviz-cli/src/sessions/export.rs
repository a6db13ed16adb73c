//! `quantviz sessions export`: a session as a file that other programs read.

use std::io;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use quantviz::store::{Export, ExportError, ExportFormat, Exported};
use quantviz::view::{bytes, count};
use quantviz::{Error, Progress, Run, one_line};

use super::Opened;
use crate::Exit;
use crate::claims::usage;
use crate::progress::ScanProgress;
use crate::stream::{Label, Terminal, write_json};
use crate::trouble::Trouble;
use crate::written::write_whole_with;

/// Write a session as a file that other programs read
///
/// csv, json and parquet have a row for each step and parameter and a column for each quantity; scalars such as the loss are in
/// rows whose parameter is empty. npz and safetensors have arrays PARAMETER/QUANTITY stacked over 'steps', and what snapshots
/// that were kept whole have beside statistics: samples with the places they were taken from, histograms, small pictures,
/// positions, stacked over 'kept_steps'. All but csv have the plan.
///
/// What is not exact says so: 'coverage' is the share of elements that were looked at, 'as_of' the step at which. What was not
/// recorded is empty in csv, null in json and parquet, and not a number in arrays, where 'as_of' then is none either.
#[derive(clap::Args)]
pub(super) struct ExportOptions {
    /// The session, or SESSION@STEP for one step, the nearest that was recorded
    #[arg(value_name = "SESSION")]
    session: String,

    /// Where to write it; '-' is the standard output, for csv and json
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// safetensors, npz, parquet, csv or json
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: ExportFormat,

    /// Only these: A..B with both ends, A.., ..B, or N for the nearest that was recorded
    #[arg(long, value_name = "STEPS", value_parser = steps)]
    steps: Option<Steps>,

    /// Only parameters whose name is like this; '*' stands for any text
    #[arg(long, value_name = "GLOB", default_value = "*", hide_default_value = true)]
    parameters: String,

    /// Of several ranks that trained together, write what each of them recorded, in rows of its own, instead of what they recorded
    /// together; npz and safetensors always do
    #[arg(long)]
    each_rank: bool,

    /// Print JSON of what was written, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Steps {
    Range(RangeInclusive<u64>),
    Nearest(u64),
}

pub(super) fn run(
    options: &ExportOptions,
    opened: &Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let is_streamed = options.output.as_os_str() == "-";
    if is_streamed && !options.format.is_text() {
        return Err(usage(&format!("{} needs a file; name one with --output", options.format.name())));
    }
    if is_streamed && options.json {
        return Err(usage("--json tells of a file; name one with --output"));
    }
    let (name, steps) = wanted(options)?;
    let run = opened.session(name)?;
    let steps = match steps {
        Steps::Range(steps) => steps,
        Steps::Nearest(step) => nearest(&run, step, terminal)?,
    };
    let export = Export::new(options.format).steps(steps).parameters(&options.parameters);
    let export = if options.each_rank { export.each_rank() } else { export };
    let trouble = |error| match error {
        ExportError::Session(error) => opened.trouble(error),
        ExportError::Output(error) if is_streamed => Trouble::Output(error),
        ExportError::Output(error) => Trouble::with(&options.output, Error::io(&options.output, error)),
        other => opened.trouble(Error::malformed(format!("{other:?}"))),
    };
    if is_streamed {
        // Between the rows of a terminal it would be in the way.
        let is_seen = terminal.out.columns().is_some();
        let progress = ScanProgress::new(terminal.err, &format!("exporting {}", run.id()));
        let hear = |heard: Progress| if is_seen { ControlFlow::Continue(()) } else { progress.report(heard) };
        export.stream(&run, terminal.out, &hear).map_err(trouble)?;
        return Ok(Exit::Done);
    }
    let (exported, len) = written(&export, &run, &options.output, terminal).map_err(trouble)?;
    tell(options, &run, &exported, len, terminal)?;
    Ok(Exit::Done)
}

fn written(
    export: &Export,
    run: &Run<'_>,
    path: &Path,
    terminal: &mut Terminal<'_>,
) -> Result<(Exported, u64), ExportError> {
    let progress = ScanProgress::new(terminal.err, &format!("exporting {}", run.id()));
    let hear = |heard: Progress| progress.report(heard);
    write_whole_with(path, |file| {
        let exported = export.write(run, file, &hear)?;
        let len = file.metadata().map_err(ExportError::Output)?.len();
        Ok::<_, ExportError>((exported, len))
    })
}

/// The name of the session, and the steps that are wanted.
fn wanted(options: &ExportOptions) -> Result<(&str, Steps), Trouble> {
    match (options.session.rsplit_once('@'), &options.steps) {
        (Some(_), Some(_)) => Err(usage("SESSION@STEP is one step; leave --steps out")),
        (Some((name, step)), None) => {
            let step =
                step.parse().map_err(|_| usage(&format!("{step:?} is no step: SESSION@1000 would be")))?;
            Ok((name, Steps::Nearest(step)))
        }
        (None, Some(steps)) => Ok((&options.session, steps.clone())),
        (None, None) => Ok((&options.session, Steps::Range(0..=u64::MAX))),
    }
}

/// The step with a snapshot that is nearest, which is told where it is another one.
fn nearest(run: &Run<'_>, asked: u64, terminal: &mut Terminal<'_>) -> Result<RangeInclusive<u64>, io::Error> {
    let steps = run.snapshots().into_iter().map(|it| it.step);
    let Some(nearest) = steps.min_by_key(|&it| (it.abs_diff(asked), it)) else { return Ok(asked..=asked) };
    if nearest != asked {
        let line = format!("nothing was kept of step {asked}: step {nearest} is the nearest that was");
        terminal.tell(Label::Warning, run.id().as_str(), &line)?;
    }
    Ok(nearest..=nearest)
}

fn tell(
    options: &ExportOptions,
    run: &Run<'_>,
    exported: &Exported,
    len: u64,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    let path = options.output.to_string_lossy();
    for line in &exported.left_out {
        terminal.tell(Label::Warning, run.id().as_str(), &format!("left out: {line}"))?;
    }
    if options.json {
        let told = serde_json::json!({
            "session": run.id().as_str(), "path": path, "format": options.format.name(), "bytes": len,
            "snapshots": exported.snapshots, "parameters": exported.parameters, "scalars": exported.scalars,
            "rows": exported.rows, "arrays": exported.arrays, "left_out": exported.left_out
        });
        write_json(&told, terminal.out)?;
        return terminal.out.write_all(b"\n");
    }
    let made = match exported.rows {
        0 => format!("{} arrays", count(exported.arrays)),
        rows => format!("{} rows", count(rows)),
    };
    writeln!(
        terminal.out,
        "{}: {}, {made}\n  session {}: {} parameters at {} steps, {} scalars",
        one_line(&path),
        bytes(len),
        run.id(),
        count(exported.parameters),
        count(exported.snapshots),
        count(exported.scalars)
    )
}

fn format(text: &str) -> Result<ExportFormat, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn steps(text: &str) -> Result<Steps, String> {
    let number = |text: &str| text.trim().parse::<u64>();
    let odd = |_| format!("{text:?} are no steps; 100..200, 100.., ..200 or 100 would be");
    let Some((from, to)) = text.split_once("..") else {
        return number(text).map(Steps::Nearest).map_err(odd);
    };
    let first = if from.is_empty() { Ok(0) } else { number(from) };
    let last = if to.is_empty() { Ok(u64::MAX) } else { number(to) };
    let (first, last) = (first.map_err(odd)?, last.map_err(odd)?);
    if first > last {
        return Err(format!("{text:?} are no steps: the first is behind the last"));
    }
    Ok(Steps::Range(first..=last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_steps() {
        assert_eq!(steps("100..200"), Ok(Steps::Range(100..=200)));
        assert_eq!(steps("100.."), Ok(Steps::Range(100..=u64::MAX)));
        assert_eq!(steps("..200"), Ok(Steps::Range(0..=200)));
        assert_eq!(steps(".."), Ok(Steps::Range(0..=u64::MAX)));
        assert_eq!(steps("7"), Ok(Steps::Nearest(7)));
        for text in ["", "a..b", "2..1", "1..2..3", "-1", "1...2", "99999999999999999999"] {
            assert!(steps(text).is_err(), "{text}");
        }
    }
}
