//! `quantviz report`: a model with its variants on one page, in a file that any browser opens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quantviz::draw::Heatmap;
use quantviz::html::{Fragment, page};
use quantviz::view::{RunPage, bytes};
use quantviz::{Error, one_line};

use crate::Exit;
use crate::claims::usage;
use crate::gathered::{BINS, Gathered, ModelOptions};
use crate::named::{Found, Names};
use crate::stores::Stores;
use crate::stream::{Label, Terminal};
use crate::trouble::Trouble;
use crate::written::write_whole;

/// Write a page with all of it: for a browser, needing nothing else
///
/// The page has the ranges of all weights on one scale, every layer with its numbers, scales, histograms and channels, and of
/// quantized models what that cost and what was found. It is one file: it loads nothing, and can be sent to anybody.
///
/// PATH is a model; a float model and what was made of it; or a folder with these. A variant that cannot be read is named on
/// the page, which shows the others.
///
/// PATH is also a session that was recorded of a training run, where there is no file of that name: the page shows its loss, where
/// its parameters change, how their values are spread step by step, and its embeddings. SESSION@STEP has the grid of that step.
/// session:NAME is a session though there is a file of that name, and ./NAME always a file.
///
/// Exit code 0: done. 2: bad input or usage, also where only a variant is damaged.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportOptions {
    #[command(flatten)]
    models: ModelOptions,

    /// Where to write it; '-' is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// Where the sessions are
    #[arg(long, value_name = "PATH", default_value = "./quantviz-runs")]
    store: String,

    /// Open it in a browser, once it is there
    #[arg(long)]
    open: bool,
}

const EXAMPLES: &str = "\
Examples:
  quantviz report models/
  quantviz report model.onnx model_int8.onnx -o int8.html --open
  quantviz report model-Q4_K_M.gguf -o q4.html
  quantviz report shakespeare -o run.html
  quantviz report shakespeare@1000 --store /data/runs";

pub(crate) fn run(
    options: &ReportOptions,
    stores: &dyn Stores,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    if options.open && is_standard_output(options) {
        return Err(usage("--open needs a file; name one with --output"));
    }
    if let Some(named) = options.models.the_only_one()
        && let Some(shown) = of_session(named, &Names { place: &options.store, stores })?
    {
        let html = page(&Fragment::of_run(&shown, "report"));
        let summary = format!("{}: {}", one_line(&shown.title), shown.verdict.to_lowercase());
        write(&html, &summary, options, terminal)?;
        return Ok(Exit::Done);
    }
    let gathered = Gathered::of(&options.models, BINS, &options.output, terminal)?;
    let shown = gathered.page();
    let left_out = Heatmap::of(&shown.chart).left_out().len();
    if left_out > 0 {
        let (all, drawn) = (shown.models.len(), shown.models.len() - left_out);
        let line = format!(
            "the ranges of {drawn} of {all} models stand side by side; the page lets you choose which"
        );
        terminal.tell(Label::Warning, &shown.title, &line)?;
    }
    write(&page(&Fragment::of(&shown, "report")), &shown.summary(), options, terminal)?;
    Ok(gathered.outcome.exit())
}

fn is_standard_output(options: &ReportOptions) -> bool {
    options.output.as_os_str() == "-"
}

/// The page of a session by this name; `None` where it is none, so that it is a file that is missing.
fn of_session(named: &Path, names: &Names<'_>) -> Result<Option<RunPage>, Trouble> {
    let Found::Session(session) = names.find(named)? else { return Ok(None) };
    let page = RunPage::of(&session.run()?, session.name.step, names.stores.now_ms());
    page.map(Some).map_err(|error| session.trouble(error))
}

/// Writes a page to where it was asked for, and says so.
fn write(
    html: &str,
    summary: &str,
    options: &ReportOptions,
    terminal: &mut Terminal<'_>,
) -> Result<(), Trouble> {
    if is_standard_output(options) {
        terminal.out.write_all(html.as_bytes())?;
        return Ok(());
    }
    let written = write_whole(&options.output, html.as_bytes());
    written.map_err(|error| Trouble::with(&options.output, Error::io(&options.output, error)))?;
    let path = one_line(&options.output.to_string_lossy());
    writeln!(terminal.out, "{path}: {}, {summary}", bytes(html.len() as u64))?;
    if options.open && !is_opened(&options.output) {
        terminal.tell(Label::Warning, &path, "no browser could be started: open the file yourself")?;
    }
    Ok(())
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
