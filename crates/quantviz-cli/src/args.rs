//! The command line: what can be asked for, and how it is explained.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::check::CheckOptions;
use crate::claims::ClaimOptions;
use crate::limits::{self, LimitOptions};
use crate::lint::LintOptions;
use crate::plot::PlotOptions;
use crate::preview::PreviewOptions;
use crate::report::ReportOptions;
use crate::sessions::SessionsOptions;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Look into the parameters of neural networks.
///
/// quantviz opens model files (ONNX, safetensors, GGUF, PyTorch) and shows what is in them: shapes, dtypes, ranges, and what
/// quantization made of them. Nothing in a file is ever run.
#[derive(Parser)]
#[command(name = "quantviz", version, styles = STYLES, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// What `--color` asks for, of arguments that may be wrong: errors and help are coloured as it says too.
pub(crate) fn color_in(args: &[OsString]) -> Color {
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let value = |(index, arg): (usize, &Cow<'_, str>)| match &**arg {
        "--color" => args.get(index + 1).cloned(),
        arg => arg.strip_prefix("--color=").map(|value| value.to_owned().into()),
    };
    let asked = args.iter().enumerate().rev().find_map(value);
    asked.and_then(|value| Color::from_str(&value, false).ok()).unwrap_or_default()
}

/// The error of an option that there is, but of another command, with the name of that one.
pub(crate) fn with_owner(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return error };
    let long = option.trim_start_matches('-').to_owned();
    let program = Args::command();
    let has_it = |command: &&clap::Command| command.get_arguments().any(|it| it.get_long() == Some(&long));
    let owners: Vec<&str> = program.get_subcommands().filter(has_it).map(clap::Command::get_name).collect();
    if error.kind() == ErrorKind::UnknownArgument && !owners.is_empty() {
        let tip = format!("'--{long}' is an option of {}", owners.join(", "));
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

const EXAMPLES: &str = "\
Examples:
  quantviz layers model.onnx         what the model is made of, at a glance
  quantviz inspect model_int8.onnx   ranges and scales of all its tensors
  quantviz inspect models/           every model in a folder
  quantviz inspect *.onnx            these models, variants of one together
  quantviz inspect model.onnx --param fc.weight --bins 40
  quantviz compare models/           what quantization cost, weight by weight
  quantviz check models/             whether these variants may ship
  quantviz lint model_int8.onnx      what is wrong with a quantized model
  quantviz preview model.onnx        what rounding a float model would cost
  quantviz report models/            all of it on one page, for a browser
  quantviz sessions list             training runs that were recorded
  quantviz inspect model.onnx --json | jq '.parameters[].name'

'quantviz help COMMAND' explains a command.";

#[derive(Subcommand)]
pub(crate) enum Command {
    Inspect(InspectOptions),
    Layers(LayersOptions),
    Compare(CompareOptions),
    Check(CheckOptions),
    Lint(LintOptions),
    Preview(PreviewOptions),
    Report(ReportOptions),
    Plot(PlotOptions),
    Sessions(SessionsOptions),
    /// List what '--limit' of the other commands lets files ask for
    #[command(after_help = limits::list())]
    Limits,
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  quantviz completions bash > ~/.local/share/bash-completion/completions/quantviz
  quantviz completions zsh > ~/.zfunc/_quantviz
  quantviz completions fish > ~/.config/fish/completions/quantviz.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a manual page
    #[command(after_help = "\
Examples:
  quantviz man > ~/.local/share/man/man1/quantviz.1
  quantviz man inspect > ~/.local/share/man/man1/quantviz-inspect.1
  quantviz man layers | man -l -")]
    Man {
        /// The command whose page it is; that of quantviz itself without
        command: Option<Page>,
    },
}

/// Show ranges, statistics, scales and zero-points of a model's parameters
///
/// min, max, mean and std are of the real values: those of quantized tensors are dequantized, and what is not finite is
/// left out. Scales and zero-points stand with the tensors and activations they belong to; where a tensor has many (per
/// channel, per block), their minimum, maximum and mean do. Where scales have two levels, the product is shown. What a
/// code stands for is: real = scale · (code − zero-point) + offset, where what is not shown is left out.
///
/// The number of parameters is of what training sets: weights, biases, normalisations, embeddings and whatever else is
/// float or quantized, each logical element once. Running statistics, constants and buffers, what an optimizer
/// remembers, and scales and zero-points do not count.
///
/// Memory does not grow with the model: its values are read in pieces, some of them twice.
///
/// SESSION@STEP is a training run that was recorded, at that step or the nearest that was kept, and SESSION at its last. Its
/// numbers were taken when it was recorded: 'sampled' says of how many elements, 'as of' at which earlier step. A file of that
/// name wins; session:NAME is always a session, and ./NAME always a file.
///
/// Exit code 0: done. 2: bad input or usage; of several models, that one of them is damaged, or none can be read.
///
/// With --json, one object (for a folder or several paths, an array of them) of the schema quantviz.inspect/1 is printed,
/// which docs/json.md explains: there, 'summary' and 'histogram' are of the stored values, which are codes where
/// something is quantized, and 'quantization.dequantized' is of the real ones. Sessions have the schema quantviz.snapshot/1.
#[derive(clap::Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectOptions {
    /// Model files, or folders of them, several as one folder; or SESSION@STEP
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Show this parameter only; may be given several times
    #[arg(long = "param", value_name = "NAME")]
    pub(crate) parameters: Vec<String>,

    /// Show the parameters of this layer, or module, only; may be given several times
    #[arg(long = "layer", value_name = "NAME")]
    pub(crate) layers: Vec<String>,

    /// Make histograms of N bins, between the smallest and the largest stored value; of a session, of the 64 bins that were recorded
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) bins: Option<u32>,

    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,

    /// Give scales and zero-points rows of their own (JSON always has them)
    #[arg(long)]
    pub(crate) all: bool,

    /// Use N threads; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Where the sessions are
    #[arg(long, value_name = "PATH", default_value = "./quantviz-runs")]
    pub(crate) store: String,

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  quantviz inspect model_int8.onnx
  quantviz inspect model.safetensors --layer h.0.attn.c_attn --bins 40
  quantviz inspect model.onnx model_int8.onnx
  quantviz inspect shakespeare@1000
  quantviz inspect models/ --json > models.json
  quantviz inspect model_int8.onnx --json | jq '.parameters[].summary.max'

The last prints codes where something is quantized. The real values are these:
  jq '.parameters[] | (.quantization.dequantized // .summary).max'";

/// List the operations and parameters of a model, with a badge where something is quantized
///
/// No value is read, so this is quick for models of any size.
#[derive(clap::Args)]
#[command(after_help = LAYERS_EXAMPLES)]
pub(crate) struct LayersOptions {
    /// Model files, or folders of them; several are shown as one folder is
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// List scales and zero-points too
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// Show what quantization cost, weight by weight, worst first
///
/// Every quantized tensor is compared with the one it was made of. Names and graphs propose pairs, values confirm them, also
/// across formats: transposed, in parts, with a batch normalisation folded in. dB is the energy of the reference by that of
/// the error (10 more: a tenth of the error), 'best' what rounding to the nearest would keep with the same scales. 'error'
/// has the shares of the error that clipping makes, and codes that are not the nearest; the rest is rounding.
///
/// A weight is red or has a line that says why where much is lost that need not be: where rounding would keep more, or where
/// codes like its own keep more of normally distributed weights. Low decibels alone are no reason: four bits have fewer than
/// eight.
///
/// In a terminal that can draw, bars show how the numbers are spread: those of the reference, and those that the codes stand
/// for, over the range of the reference. (TERM=dumb and locales other than UTF-8 have none.)
///
/// All of it is said of weights only: they do not tell what becomes of activations. --importance says more, weighing errors
/// by the inputs that weights are multiplied with, and --activations most, of what both models make of the same inputs.
/// Of several quantized models, the scales that they fix for activations are shown side by side.
///
/// SESSION@STEP is a training run that was recorded (see 'quantviz help inspect'). It can be compared with other steps, other
/// sessions and files: by name, and by the elements that were sampled, which the table tells the number of.
///
/// Exit code 0: done. 2: bad input or usage.
#[derive(clap::Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub(crate) struct CompareOptions {
    /// The float model, a folder with it and its variants, or SESSION@STEP
    pub(crate) reference: PathBuf,

    /// The quantized models that were made of it; what SESSION@STEP is compared with
    pub(crate) quantized: Vec<PathBuf>,

    /// Show this parameter only, by its name in either model; may be given several times
    #[arg(long = "param", value_name = "NAME")]
    pub(crate) parameters: Vec<String>,

    /// Show this layer only; may be given several times
    #[arg(long = "layer", value_name = "NAME")]
    pub(crate) layers: Vec<String>,

    /// Print JSON, for scripts: quantviz.compare/1, of sessions quantviz.changes/1
    #[arg(long)]
    pub(crate) json: bool,

    /// What the models are to run on: adds findings (JSON)
    #[arg(long, value_name = "TARGET", value_parser = crate::lint::target_parser())]
    pub(crate) target: Option<quantviz::insight::Target>,

    #[command(flatten)]
    pub(crate) claims: ClaimOptions,

    /// List every channel, not only the worst (JSON)
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) channels: Option<Show>,

    /// Use N threads; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Where the sessions are
    #[arg(long, value_name = "PATH", default_value = "./quantviz-runs")]
    pub(crate) store: String,

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  quantviz compare model.onnx model_int8.onnx model_uint8.onnx
  quantviz compare models/
  quantviz compare model.safetensors model-Q4_K_M.gguf
  quantviz compare models/ --layer layer3.conv2
  quantviz compare shakespeare@1000 shakespeare@2000
  quantviz compare shakespeare@2000 final.safetensors
  quantviz compare model-F16.gguf model-Q4_K_M.gguf --importance imatrix.gguf
  quantviz compare model.onnx model_int8.onnx --activations ref.npz int8.npz
  quantviz compare models/ --json | jq '.variants[].pairs[] | {quantized, sqnr_db}'";

/// How many of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// Every one
    All,
}

const LAYERS_EXAMPLES: &str = "\
Examples:
  quantviz layers model_int8.onnx
  quantviz layers models/
  quantviz layers model.onnx model_int8.onnx";

/// The commands that have a manual page of their own: all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Page {
    Inspect,
    Layers,
    Compare,
    Check,
    Lint,
    Preview,
    Report,
    Plot,
    Sessions,
    Limits,
    Completions,
    Man,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On terminals, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
