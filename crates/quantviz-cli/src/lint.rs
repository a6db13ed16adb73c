//! `quantviz lint`: findings about models, one by one.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use quantviz::insight::{Level, Lint, Linted, Target};
use quantviz::view::{FindingGroup, Findings, LintReport, LintedModel};
use quantviz::{Error, ErrorKind, Limits, Warning, WarningKind, one_line};

use crate::Exit;
use crate::layout::wrap;
use crate::limits::LimitOptions;
use crate::models::Choice;
use crate::outcome::Outcome;
use crate::progress::ScanProgress;
use crate::stream::{Paint, Terminal, write_json};
use crate::threads;
use crate::trouble::Trouble;

/// Look for what is wrong, or worth knowing, in quantized models
///
/// Judged is what the file alone tells: scales, zero-points, codes and how the graph uses them. Every finding has a number
/// (QV001 to QV021) and says why it matters and what to try; docs/findings.md explains them all.
///
/// Exit code 0: no errors were found (warnings may be). 1: an error was found. 2: bad input or usage, or some
/// model or tensor is damaged, so that nothing can be said of it.
///
/// With --json, one object of the schema quantviz.lint/1 is printed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LintOptions {
    /// Model files, or folders of them
    #[arg(required = true, value_name = "MODEL")]
    paths: Vec<PathBuf>,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,

    /// What the models are to run on: adds rules, and judges some more strictly
    #[arg(long, value_name = "TARGET", value_parser = target_parser())]
    target: Option<Target>,

    /// Use N threads; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    #[command(flatten)]
    limits: LimitOptions,
}

const EXAMPLES: &str = "\
Examples:
  quantviz lint model_int8.onnx
  quantviz lint models/ --target tensorrt
  quantviz lint model.onnx --json | jq '.models[].findings[] | select(.level == \"error\")'";

pub(crate) fn target_parser() -> impl TypedValueParser<Value = Target> {
    let names = Target::ALL.iter().map(|target| target.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Target>())
}

pub(crate) fn run(options: &LintOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let mut lint = Lint::new();
    if let Some(threads) = threads::within_memory(options.threads.map(usize::from)) {
        lint = lint.threads(threads);
    }
    if let Some(target) = options.target {
        lint = lint.target(target);
    }
    let limits = options.limits.limits();
    let (models, exit) = match Choice::of(&options.paths)? {
        Choice::One(path) => {
            let looked = look_at(&lint, &path, &limits, terminal);
            let (model, exit) = looked.map_err(|error| Trouble::with(&path, error))?;
            (vec![model], exit)
        }
        Choice::Several(groups) => {
            let paths = groups.into_iter().flatten().map(|chosen| chosen.path);
            look_at_all(&lint, paths, &limits, terminal)?
        }
    };
    if options.json {
        write_json(&LintReport::of(models), terminal.out)?;
        terminal.out.write_all(b"\n")?;
    } else {
        let width = terminal.out.columns().unwrap_or(PIPE_WIDTH);
        let texts = models.iter().map(|model| render(model, width, terminal.paint()));
        let text = texts.collect::<Vec<_>>().join("\n");
        terminal.out.write_all(text.as_bytes())?;
        terminal.out.flush()?;
    }
    Ok(exit)
}

/// One that cannot be read does not hide the others.
fn look_at_all(
    lint: &Lint,
    paths: impl Iterator<Item = PathBuf>,
    limits: &Limits,
    terminal: &mut Terminal<'_>,
) -> Result<(Vec<LintedModel>, Exit), Trouble> {
    let mut outcome = Outcome::default();
    let mut worst = Exit::Done;
    let mut models = Vec::new();
    for path in paths {
        match look_at(lint, &path, limits, terminal) {
            Ok((model, exit)) => {
                outcome.read();
                worst = worst.max(exit);
                models.push(model);
            }
            Err(error) => {
                outcome.tell_unreadable(&path, &error, terminal)?;
                let line = error.line_within(Some(&path), None);
                models.push(LintedModel::unreadable(path.to_string_lossy(), line));
            }
        }
    }
    Ok((models, worst.max(outcome.end(terminal)?)))
}

/// What was found in a model, and what that means. What is odd about it apart from that is told at once.
fn look_at(
    lint: &Lint,
    path: &Path,
    limits: &Limits,
    terminal: &mut Terminal<'_>,
) -> Result<(LintedModel, Exit), Error> {
    let source = quantviz::open_with(path, limits)?;
    let name = path.to_string_lossy();
    let progress = ScanProgress::new(terminal.err, &name);
    let linted = lint.run(&*source, &|step| progress.report(step))?;
    drop(progress);

    // Scales that do not fit are a finding.
    let warnings = source.model().warnings.iter().filter(|warning| warning.kind != WarningKind::Misfit);
    let (odd, unread): (Vec<_>, Vec<_>) =
        warnings.partition(|it| it.kind == WarningKind::Odd || it.parameter.is_none());
    let lines = |warnings: &[&Warning]| warnings.iter().map(|warning| line(warning)).collect::<Vec<_>>();
    let is_known =
        |error: &&Error| unread.iter().any(|warning| warning.parameter.as_deref() == error.tensor());
    let failed = linted.unread.iter().filter(|error| !is_known(error));
    let failed = failed.map(|error| error.line_within(Some(path), None));
    let failed: Vec<String> = lines(&unread).into_iter().chain(failed).collect();
    let exit = exit_of(&linted, &unread);
    // What cannot be told does not change what was found.
    let _ = terminal.warn(&name, &[lines(&odd), failed.clone()].concat());
    Ok((LintedModel::new(&*name, source.model(), linted.findings, failed), exit))
}

fn line(warning: &Warning) -> String {
    match &warning.parameter {
        Some(parameter) => format!("{parameter}: {}", warning.message),
        None => warning.message.clone(),
    }
}

/// That something cannot be read yet is no fault of the file.
fn exit_of(linted: &Linted, unread: &[&Warning]) -> Exit {
    let is_broken = unread.iter().any(|warning| warning.kind != WarningKind::Unsupported)
        || linted.unread.iter().any(|error| error.kind() != ErrorKind::Unsupported);
    let has_error = linted.findings.iter().any(|finding| finding.level == Level::Error);
    match (is_broken, has_error) {
        (true, _) => Exit::Trouble,
        (false, true) => Exit::FallsShort,
        (false, false) => Exit::Done,
    }
}

/// The width of lines that go to no terminal.
const PIPE_WIDTH: usize = 80;
/// What stands below a finding is set in by so much.
const INDENT: usize = 4;

fn render(model: &LintedModel, width: usize, paint: Paint) -> String {
    if model.error.is_some() {
        return format!(
            "{}\nit cannot be read, and nothing can be said of it\n",
            paint.strong(&one_line(&model.path))
        );
    }
    let view = Findings::of_model(model);
    let mut text = format!("{}\n{}\n", paint.strong(&view.title), view.verdict);
    for group in &view.groups {
        text.push('\n');
        text.push_str(&render_group(group, width, paint));
    }
    text
}

fn render_group(group: &FindingGroup, width: usize, paint: Paint) -> String {
    let level = match group.level {
        Level::Error => paint.alarm(group.level.name()),
        Level::Warning => paint.badge(group.level.name()),
        Level::Info => paint.quiet(group.level.name()),
    };
    let head = format!("{} {}", group.level.name(), group.code);
    let painted = format!("{level} {}", paint.strong(&group.code));
    let mut text = String::new();
    for line in &group.lines {
        let separator = if line.parameter.is_empty() { "" } else { ": " };
        let whole = format!("{head} {}{separator}{}", line.parameter, line.message);
        let wrapped = wrap(&whole, width, INDENT);
        text.push_str(&format!("{painted}{}\n", wrapped.strip_prefix(&head).unwrap_or(&wrapped)));
    }
    for line in wrap(&group.advice, width.saturating_sub(INDENT), 0).lines() {
        text.push_str(&format!("{:INDENT$}{}\n", "", paint.quiet(line)));
    }
    text
}
