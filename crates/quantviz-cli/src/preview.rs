//! `quantviz preview`: what rounding a float model would cost.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use quantviz::view::{PreviewReport, PreviewRequest, PreviewTable};
use quantviz::{Clip, Error, Limits};

use crate::Exit;
use crate::claims::{axes, usage};
use crate::limits::LimitOptions;
use crate::models::{Choice, Chosen};
use crate::outcome::Outcome;
use crate::preview_table;
use crate::progress::ScanProgress;
use crate::stream::{Terminal, write_json};
use crate::threads;
use crate::trouble::Trouble;

/// Show what rounding the weights of a float model to few bits would cost
///
/// Each scheme is simulated on every weight that quantizers round: those of convolutions, matrix products and embeddings.
/// The numbers are signal-to-noise ratios in dB: 6 dB more is half the error. They are of weights only, and say nothing
/// about activations: weights that lose much need not matter, and the other way round. Weights that lose most come first,
/// and what is far below what a scheme does to normally distributed weights is red.
///
/// Schemes: int8 and uint8 (as onnxruntime's quantize_static), int4-ort, f8-e4m3, each also with -channel for a scale per
/// output; int4-blockN for a scale per N weights, and int4-blockN-asym with zero-points (as MatMulNBits; int2 and int8 as
/// well); nf4-blockN, mxfp4, nvfp4.
///
/// With --target-bits, the best scheme for each weight is found so that all together take that many bits per weight at
/// most, scales and zero-points included.
///
/// Of a folder, or of several files, the float model of each group of variants is previewed. Exit code 0: done. 2: bad input or usage.
///
/// With --json, one object (for a folder or several files, an array of them) of the schema quantviz.preview/1 is printed.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PreviewOptions {
    /// Model files, or folders of them
    #[arg(required = true, value_name = "MODEL")]
    paths: Vec<PathBuf>,

    /// The schemes to simulate, with commas between them
    #[arg(long = "scheme", value_name = "NAMES", value_delimiter = ',', default_value = DEFAULT_SCHEMES)]
    schemes: Vec<String>,

    /// Find the best scheme for each weight so that all take B bits per weight at most
    #[arg(long, value_name = "B", value_parser = bits)]
    target_bits: Option<f64>,

    /// How to choose scales: 'mse' tries 0.30 to 1.00 of the largest weight
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    clip: ClipOption,

    /// The axis of the outputs of weights whose names fit PATTERN; may be given several times
    #[arg(long = "axis", value_name = "PATTERN=N", allow_hyphen_values = true)]
    axes: Vec<String>,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,

    /// Use N threads; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    #[command(flatten)]
    limits: LimitOptions,
}

const DEFAULT_SCHEMES: &str = "int8,int8-channel,uint8,int4-block32";

const EXAMPLES: &str = "\
Examples:
  quantviz preview model.onnx
  quantviz preview model.onnx --scheme int8-channel,int4-block32 --target-bits 5.0
  quantviz preview gpt2.safetensors --scheme int4-block32,nf4-block64 --clip mse
  quantviz preview model.onnx --json | jq '.layers[0]'";

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ClipOption {
    /// Nothing is clipped
    #[default]
    None,
    /// What loses least
    Mse,
}

fn bits(text: &str) -> Result<f64, String> {
    let bits: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if bits.is_finite() && bits > 0.0 { Ok(bits) } else { Err("it is not above zero".to_owned()) }
}

pub(crate) fn run(options: &PreviewOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let previewer =
        Previewer { request: options.request()?, limits: options.limits.limits(), json: options.json };
    match Choice::of(&options.paths)? {
        Choice::One(path) => {
            let report = previewer.preview(&path, terminal).map_err(|error| Trouble::with(&path, error))?;
            previewer.print(&report, "", terminal)?;
            Ok(Exit::Done)
        }
        Choice::Several(groups) => previewer.print_all(&references(groups), terminal),
    }
}

impl PreviewOptions {
    fn request(&self) -> Result<PreviewRequest, Trouble> {
        let scheme = |name: &String| name.parse().map_err(|error: Error| usage(error.message()));
        let schemes = self.schemes.iter().map(scheme).collect::<Result<_, _>>()?;
        let axes = axes(&self.axes)?;
        Ok(PreviewRequest {
            schemes,
            axes,
            target_bits: self.target_bits,
            clip: match self.clip {
                ClipOption::None => Clip::Nothing,
                ClipOption::Mse => Clip::Mse,
            },
            threads: threads::within_memory(self.threads.map(usize::from)),
        })
    }
}

/// Of variants, the reference; all where none is known to be.
fn references(groups: Vec<Vec<Chosen>>) -> Vec<PathBuf> {
    let is_reference =
        |chosen: &Chosen| chosen.place.reference.as_deref() == Some(&*chosen.path.to_string_lossy());
    let of_group = |group: Vec<Chosen>| {
        let (references, others): (Vec<_>, Vec<_>) = group.into_iter().partition(is_reference);
        if references.is_empty() { others } else { references }
    };
    groups.into_iter().flat_map(of_group).map(|chosen| chosen.path).collect()
}

struct Previewer {
    request: PreviewRequest,
    limits: Limits,
    json: bool,
}

impl Previewer {
    fn preview(&self, path: &Path, terminal: &mut Terminal<'_>) -> Result<PreviewReport, Error> {
        let source = quantviz::open_with(path, &self.limits)?;
        let name = path.to_string_lossy();
        let progress = ScanProgress::new(terminal.err, &name);
        PreviewReport::of(&*source, &*name, &self.request, &|step| progress.report(step))
    }

    fn print(
        &self,
        report: &PreviewReport,
        before: &str,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Trouble> {
        if self.json {
            terminal.out.write_all(before.as_bytes())?;
            write_json(report, terminal.out)?;
            return Ok(terminal.out.write_all(b"\n")?);
        }
        let table = PreviewTable::of(report);
        let text = preview_table::render(&table, terminal.out.columns(), terminal.paint());
        write!(terminal.out, "{before}{text}")?;
        terminal.out.flush()?;
        Ok(terminal.warn(&table.header.title, &table.warnings)?)
    }

    /// Many models. One that cannot be previewed does not hide the others.
    fn print_all(&self, paths: &[PathBuf], terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
        let mut outcome = Outcome::default();
        let (mut before, between) = if self.json { ("[", ",") } else { ("", "\n") };
        for path in paths {
            match self.preview(path, terminal) {
                Ok(report) => {
                    self.print(&report, before, terminal)?;
                    before = between;
                    outcome.read();
                }
                Err(error) => outcome.tell_unreadable(path, &error, terminal)?,
            }
        }
        if self.json {
            terminal.out.write_all(if before == between { b"]\n" } else { b"[]\n" })?;
        }
        Ok(outcome.end(terminal)?)
    }
}
