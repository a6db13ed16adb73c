//! `quantviz check`: whether quantized models may ship, for scripts and for continuous integration.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use quantviz::insight::{Code, Gate, Judgement};
use quantviz::{Error, ParameterSource};
use serde::Deserialize;

use crate::Exit;
use crate::claims::ClaimOptions;
use crate::compare::{self, Asked, Side};
use crate::limits::{LimitOptions, help_behind};
use crate::reports;
use crate::stream::Terminal;
use crate::trouble::Trouble;

/// Say whether quantized models may ship
///
/// Without options, these hold: no finding is an error; every quantized weight has a counterpart in the reference; rounding
/// to the nearest would keep at most 1 dB more with the same scales (of weights that were rounded so); and clipping makes at
/// most a tenth of the error. A quantviz.toml in the working folder sets limits, also for some encodings and layers:
///
///   [check]
///   min-sqnr = 30
///   deny = ["QV003"]
///   [[check.rule]]
///   layer = "lm_head*"
///   min-sqnr = 40
///
/// What weights keep bounds nothing that becomes of activations, so min-sqnr judges the best that is known: with
/// --importance each weight by that, as far as it is listed; with --activations every recorded tensor, and no weight. A
/// rule's 'layer' is then the name of the tensor. Every report says what it goes by.
///
/// Exit code 0: all holds. 1: it falls short. 2: it could not be told, or bad input or usage.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = help_behind(EXAMPLES))]
pub(crate) struct CheckOptions {
    /// The float model; or a folder with it and its variants
    reference: PathBuf,

    /// The quantized models that were made of it
    quantized: Vec<PathBuf>,

    /// The least decibels that every weight has to keep; by --importance, or of every tensor of --activations, where given
    #[arg(long, value_name = "DB")]
    min_sqnr: Option<f64>,

    /// The largest share of a weight's numbers that may be clipped
    #[arg(long, value_name = "SHARE")]
    max_clipped: Option<f64>,

    /// A finding that is not allowed, whatever its level; may be given several times
    #[arg(long, value_name = "CODE")]
    deny: Vec<Code>,

    /// Take limits from this file, not from quantviz.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How to report
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ReportFormat,

    /// What the models are to run on: adds rules, and judges some more strictly
    #[arg(long, value_name = "TARGET", value_parser = crate::lint::target_parser())]
    target: Option<quantviz::insight::Target>,

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
  quantviz check model.onnx model_int8.onnx
  quantviz check models/ --min-sqnr 30 --max-clipped 0.001
  quantviz check model.onnx model_int8.onnx --deny QV009 --format junit > report.xml";

/// How a judgement is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// The schema quantviz.check/1
    Json,
    /// JUnit's XML: a test for every model
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// A quantized model, and how it was judged.
pub(crate) struct Judged {
    pub(crate) path: String,
    pub(crate) judgement: Judgement,
}

pub(crate) fn run(options: &CheckOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let gate = gate(options)?;
    let limits = options.limits.limits();
    let asked = Asked::of(&options.reference, &options.quantized)?;
    let reference = Side::open(&asked.reference, &limits)?;
    let claims = options.claims.open(asked.models(), &limits)?;
    let how = compare::How { threads: options.threads, target: options.target, bins: None, claims };
    let mut all = Vec::new();
    asked.for_each(&limits, |quantized| {
        let (comparison, linted) = how.look(&reference, &quantized, terminal)?;
        let (from, of) = (reference.source.model(), quantized.source.model());
        let judgement = gate.judge(from, of, &comparison, &linted);
        all.push(Judged { path: quantized.path.to_string_lossy().into_owned(), judgement });
        Ok(())
    })?;
    let reference = asked.reference.to_string_lossy();
    let report = match options.format {
        ReportFormat::Text => reports::text(&all, terminal.paint()),
        ReportFormat::Json => reports::json(&reference, &gate, &all).map_err(io::Error::from)?,
        ReportFormat::Junit => reports::junit(&all),
        ReportFormat::Sarif => reports::sarif(&all).map_err(io::Error::from)?,
    };
    terminal.out.write_all(report.as_bytes())?;
    Ok(match &all[..] {
        all if all.iter().any(|it| !it.judgement.undecided.is_empty()) => Exit::Trouble,
        all if all.iter().any(|it| !it.judgement.failures.is_empty()) => Exit::FallsShort,
        _ => Exit::Done,
    })
}

/// What a file of limits says.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    check: Gate,
}

const CONFIG: &str = "quantviz.toml";

/// The limits of the file, and those of the options, which count more.
fn gate(options: &CheckOptions) -> Result<Gate, Trouble> {
    let mut gate = match &options.config {
        Some(path) => read(path)?,
        None if Path::new(CONFIG).is_file() => read(Path::new(CONFIG))?,
        None => Gate::default(),
    };
    gate.min_sqnr = options.min_sqnr.or(gate.min_sqnr);
    gate.max_clipped = options.max_clipped.or(gate.max_clipped);
    gate.deny.extend(options.deny.iter().map(Code::to_string));
    Ok(gate)
}

fn read(path: &Path) -> Result<Gate, Trouble> {
    let wrong = |message: String| Trouble::with(path, Error::malformed(message));
    let text = std::fs::read_to_string(path).map_err(|error| Trouble::with(path, Error::io(path, error)))?;
    let config: Config = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.as_bytes()[..span.start.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
        });
        wrong(format!("line {line}: {}", error.message()))
    })?;
    if let Some(unknown) = config.check.deny.iter().find(|code| code.parse::<Code>().is_err()) {
        return Err(wrong(format!(
            "there is no finding {unknown}: 'quantviz lint --help' says where all are explained"
        )));
    }
    Ok(config.check)
}
