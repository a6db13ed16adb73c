//! `quantviz report`: a model with its variants on one page, in a file that any browser opens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quantviz::html::{Fragment, page};
use quantviz::insight::{Finding, Lint, Target};
use quantviz::view::{ComparisonView, Inspection, ModelPage, Request, VariantView, bytes};
use quantviz::{Error, Limits, group_models, models_among, one_line};

use crate::Exit;
use crate::claims::{ClaimOptions, usage};
use crate::compare::{Asked, How, Side};
use crate::limits::{LimitOptions, help_behind};
use crate::progress::ScanProgress;
use crate::stream::{Label, Terminal};
use crate::threads;
use crate::trouble::Trouble;
use crate::written::write_whole;

/// Write a page with all of it: for a browser, needing nothing else
///
/// The page has the ranges of all weights on one scale, every layer with its numbers, scales, histograms and channels, and of
/// quantized models what that cost and what was found. It is one file: it loads nothing, and can be sent to anybody.
///
/// PATH is a model; a float model and what was made of it; or a folder with these.
///
/// Exit code 0: done. 2: bad input or usage.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = help_behind(EXAMPLES))]
pub(crate) struct ReportOptions {
    /// A model; a float model and its variants behind it; or a folder with them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Where to write it; '-' is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// Open it in a browser, once it is there
    #[arg(long)]
    open: bool,

    /// What the models are to run on: adds findings
    #[arg(long, value_name = "TARGET", value_parser = crate::lint::target_parser())]
    target: Option<Target>,

    #[command(flatten)]
    claims: ClaimOptions,

    /// Use N threads; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    #[command(flatten)]
    limits: LimitOptions,
}

const EXAMPLES: &str = "\
Examples:
  quantviz report models/
  quantviz report model.onnx model_int8.onnx -o int8.html --open
  quantviz report model-Q4_K_M.gguf -o q4.html";

/// Bins of every histogram: as many as can be told apart in a third of a page.
const BINS: usize = 64;

pub(crate) fn run(options: &ReportOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let to_file = options.output.as_os_str() != "-";
    if options.open && !to_file {
        return Err(usage("--open needs a file; name one with --output"));
    }
    let limits = options.limits.limits();
    let shown = match single(&options.paths)? {
        Some(path) => alone(&path, options, &limits, terminal)?,
        None => compared(options, &limits, terminal)?,
    };
    let html = page(&Fragment::of(&shown, "report"));
    if !to_file {
        terminal.out.write_all(html.as_bytes())?;
        return Ok(Exit::Done);
    }
    let written = write_whole(&options.output, html.as_bytes());
    written.map_err(|error| Trouble::with(&options.output, Error::io(&options.output, error)))?;
    let path = one_line(&options.output.to_string_lossy());
    writeln!(terminal.out, "{path}: {}, {}", bytes(html.len() as u64), shown.summary())?;
    if options.open && !is_opened(&options.output) {
        terminal.tell(Label::Warning, &path, "no browser could be started: open the file yourself")?;
    }
    Ok(Exit::Done)
}

/// The one model, where there is no other to compare it with.
fn single(paths: &[PathBuf]) -> Result<Option<PathBuf>, Trouble> {
    let [path] = paths else { return Ok(None) };
    if !path.is_dir() {
        return Ok(Some(path.clone()));
    }
    let models = models_among([path.clone()]).map_err(|error| Trouble::with(path, error))?;
    Ok(match &models[..] {
        [one] => Some(one.clone()),
        _ => None,
    })
}

fn alone(
    path: &Path,
    options: &ReportOptions,
    limits: &Limits,
    terminal: &mut Terminal<'_>,
) -> Result<ModelPage, Trouble> {
    protect(&options.output, path)?;
    let side = Side::open(path, limits)?;
    let inspection = inspect(&side, Some(BINS), options, terminal)?;
    let found = side.is_quantized().then(|| lint(&side, options, terminal)).transpose()?;
    let comparison = ComparisonView::of(path.to_string_lossy(), Vec::new());
    Ok(ModelPage::of(&title([path]), &inspection, found.as_deref(), &[], &comparison))
}

fn compared(
    options: &ReportOptions,
    limits: &Limits,
    terminal: &mut Terminal<'_>,
) -> Result<ModelPage, Trouble> {
    let asked = Asked::of(&options.paths[0], &options.paths[1..])?;
    protect(&options.output, &asked.reference)?;
    let reference = Side::open(&asked.reference, limits)?;
    let claims = options.claims.open(asked.models(), limits)?;
    let how = How { threads: options.threads, target: options.target, bins: Some(BINS), claims };
    let (mut inspections, mut variants) = (Vec::new(), Vec::new());
    asked.for_each(limits, |quantized| {
        protect(&options.output, &quantized.path)?;
        let (comparison, findings) = how.look(&reference, &quantized, terminal)?;
        let (path, from, of) = (quantized.path.to_string_lossy(), &*reference.source, &*quantized.source);
        variants.push(VariantView::of(path, from, of, &comparison, findings, true));
        inspections.push(inspect(&quantized, None, options, terminal)?);
        Ok(())
    })?;
    let inspection = inspect(&reference, None, options, terminal)?;
    let paths: Vec<PathBuf> = variants.iter().map(|variant| PathBuf::from(&variant.path)).collect();
    let title = title([asked.reference.as_path()].into_iter().chain(paths.iter().map(PathBuf::as_path)));
    let comparison = ComparisonView::of(asked.reference.to_string_lossy(), variants);
    Ok(ModelPage::of(&title, &inspection, None, &inspections, &comparison))
}

fn inspect(
    side: &Side,
    bins: Option<usize>,
    options: &ReportOptions,
    terminal: &mut Terminal<'_>,
) -> Result<Inspection, Trouble> {
    let name = side.path.to_string_lossy();
    let progress = ScanProgress::new(terminal.err, &name);
    let threads = threads::within_memory(options.threads.map(usize::from));
    let request = Request { bins, threads, ..Request::default() };
    let inspection = Inspection::of(&*side.source, &*name, &request, &|step| progress.report(step));
    inspection.map_err(|error| Trouble::with(&side.path, error))
}

fn lint(side: &Side, options: &ReportOptions, terminal: &mut Terminal<'_>) -> Result<Vec<Finding>, Trouble> {
    let name = side.path.to_string_lossy();
    let progress = ScanProgress::new(terminal.err, &name);
    let mut lint = Lint::new();
    if let Some(threads) = threads::within_memory(options.threads.map(usize::from)) {
        lint = lint.threads(threads);
    }
    if let Some(target) = options.target {
        lint = lint.target(target);
    }
    let linted = lint.run(&*side.source, &|step| progress.report(step));
    linted.map(|it| it.findings).map_err(|error| Trouble::with(&side.path, error))
}

/// What the names of all have in common; that of the first, where they have nothing.
fn title<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let paths: Vec<PathBuf> = paths.into_iter().map(Path::to_owned).collect();
    let first = paths.first().and_then(|path| path.file_name()).unwrap_or_default();
    let first = first.to_string_lossy().into_owned();
    let several = paths.len() > 1;
    match &group_models(paths)[..] {
        [group] if several => group.stem.clone(),
        _ => first,
    }
}

/// A report never takes the place of a model that it is made of.
fn protect(output: &Path, model: &Path) -> Result<(), Trouble> {
    let is_model = output.canonicalize().ok().zip(model.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if is_model { Err(usage("--output would take the place of a model: name another file")) } else { Ok(()) }
}

/// Whether the system's own way to open a file was found.
fn is_opened(path: &Path) -> bool {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut command = Command::new(program);
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
