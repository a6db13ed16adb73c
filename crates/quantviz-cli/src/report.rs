//! `quantviz report`: a model with its variants on one page, in a file that any browser opens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quantviz::draw::Heatmap;
use quantviz::html::{Fragment, page};
use quantviz::view::bytes;
use quantviz::{Error, one_line};

use crate::Exit;
use crate::claims::usage;
use crate::gathered::{BINS, Gathered, ModelOptions};
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
/// Exit code 0: done. 2: bad input or usage, also where only a variant is damaged.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportOptions {
    #[command(flatten)]
    models: ModelOptions,

    /// Where to write it; '-' is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// Open it in a browser, once it is there
    #[arg(long)]
    open: bool,
}

const EXAMPLES: &str = "\
Examples:
  quantviz report models/
  quantviz report model.onnx model_int8.onnx -o int8.html --open
  quantviz report model-Q4_K_M.gguf -o q4.html";

pub(crate) fn run(options: &ReportOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let to_file = options.output.as_os_str() != "-";
    if options.open && !to_file {
        return Err(usage("--open needs a file; name one with --output"));
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
    let html = page(&Fragment::of(&shown, "report"));
    if !to_file {
        terminal.out.write_all(html.as_bytes())?;
        return Ok(gathered.outcome.exit());
    }
    let written = write_whole(&options.output, html.as_bytes());
    written.map_err(|error| Trouble::with(&options.output, Error::io(&options.output, error)))?;
    let path = one_line(&options.output.to_string_lossy());
    writeln!(terminal.out, "{path}: {}, {}", bytes(html.len() as u64), shown.summary())?;
    if options.open && !is_opened(&options.output) {
        terminal.tell(Label::Warning, &path, "no browser could be started: open the file yourself")?;
    }
    Ok(gathered.outcome.exit())
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
