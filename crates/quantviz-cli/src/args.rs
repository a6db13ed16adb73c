//! The command line: what can be asked for, and how it is explained.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::limits::LimitOptions;
use crate::preview::PreviewOptions;

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

const EXAMPLES: &str = "\
Examples:
  quantviz layers model.onnx         what the model is made of, at a glance
  quantviz inspect model_int8.onnx   ranges and scales of all its tensors
  quantviz inspect models/           every model in a folder
  quantviz inspect model.onnx --param fc.weight --bins 40
  quantviz inspect model.onnx --json | jq '.parameters[].summary.max'
  quantviz preview model.onnx        what rounding its weights would cost

'quantviz help COMMAND' explains a command.";

#[derive(Subcommand)]
pub(crate) enum Command {
    Inspect(InspectOptions),
    Layers(LayersOptions),
    Preview(PreviewOptions),
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
    /// Print the manual page
    #[command(after_help = "Example:\n  quantviz man > ~/.local/share/man/man1/quantviz.1")]
    Man,
}

/// Show ranges, statistics, scales and zero-points of a model's parameters
///
/// min, max, mean and std are of the real values: those of quantized tensors are dequantized, and what is not finite is
/// left out. Scales and zero-points stand with the tensors and activations they belong to; where a tensor has many (per
/// channel, per block), their minimum, maximum and mean do. Where scales have two levels, the product is shown.
///
/// Memory does not grow with the model: its values are read in pieces, some of them twice.
///
/// Exit code 0: done. 2: bad input or usage; of a folder, that some model in it is damaged, or none can be read.
///
/// With --json, one object (for a folder, an array of them) of the schema quantviz.inspect/1 is printed: there,
/// 'summary' and 'histogram' are of the stored values, and 'quantization.dequantized' is of the real ones.
#[derive(clap::Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectOptions {
    /// A model file, or a folder of them
    pub(crate) path: PathBuf,

    /// Show this parameter only; may be given several times
    #[arg(long = "param", value_name = "NAME")]
    pub(crate) parameters: Vec<String>,

    /// Show the parameters of this layer, or module, only; may be given several times
    #[arg(long = "layer", value_name = "NAME")]
    pub(crate) layers: Vec<String>,

    /// Make histograms of N bins, between the smallest and the largest stored value
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

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  quantviz inspect model_int8.onnx
  quantviz inspect model.safetensors --layer h.0.attn.c_attn --bins 40
  quantviz inspect models/ --json > models.json
  quantviz inspect model.onnx --json | jq '.parameters[].summary.nan'";

/// List the operations and parameters of a model, with a badge where something is quantized
///
/// No value is read, so this is quick for models of any size.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  quantviz layers model_int8.onnx\n  quantviz layers models/")]
pub(crate) struct LayersOptions {
    /// A model file, or a folder of them
    pub(crate) path: PathBuf,

    /// List scales and zero-points too
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
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
