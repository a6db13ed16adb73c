//! `quantviz check`: whether quantized models may ship, for scripts and for continuous integration.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use quantviz::ParameterSource;
use quantviz::insight::{Code, Gate, Judgement, Unit};

use crate::Exit;
use crate::claims::ClaimOptions;
use crate::compare::{self, Asked, Side};
use crate::config::{self, CONFIG};
use crate::limits::LimitOptions;
use crate::reports;
use crate::stream::Terminal;
use crate::trouble::Trouble;

/// Say whether quantized models may ship
///
/// Without options, these hold: no finding is an error; every quantized weight has a counterpart in the reference; rounding
/// to the nearest would keep at most 1 dB more with the same scales (6 dB where another method chose the codes); clipping
/// makes at most a tenth of the error; and what was finite is. Beside the options, a quantviz.toml in the working folder sets limits, also for some encodings
/// and weights; docs/check.md has every key.
///
/// What weights keep bounds nothing that becomes of activations, so min-sqnr judges the best that is known: with
/// --importance each weight by that, as far as it is listed; with --activations every recorded tensor, and no weight. A
/// rule's 'layer' is then the name of the tensor. Every report says what it goes by.
///
/// Exit code 0: all holds. 1: it falls short. 2: it could not be told, or bad input or usage.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckOptions {
    /// The float model; or a folder with it and its variants
    reference: PathBuf,

    /// The quantized models that were made of it
    quantized: Vec<PathBuf>,

    /// The least decibels that every weight has to keep; by --importance, or of every tensor of --activations, where given
    #[arg(long, value_name = "DB", value_parser = decibels, allow_negative_numbers = true)]
    min_sqnr: Option<f64>,

    /// The largest share of a weight's numbers that may be clipped, from 0 to 1: 0.01 is 1 %
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    max_clipped: Option<f64>,

    /// A finding that is not allowed, whatever its level; may be given several times
    #[arg(long, value_name = "CODE")]
    deny: Vec<Code>,

    /// Take limits from this file, not from quantviz.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How to report; of input that cannot be read there is no report, but a line on stderr and exit code 2
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

fn decibels(text: &str) -> Result<f64, String> {
    Unit::Decibels.parse(text)
}

fn share(text: &str) -> Result<f64, String> {
    Unit::Share.parse(text)
}

const EXAMPLES: &str = "\
Examples:
  quantviz check model.onnx model_int8.onnx
  quantviz check models/ --min-sqnr 30 --max-clipped 0.001
  quantviz check model.onnx model_int8.onnx --deny QV009 --format junit > report.xml

A quantviz.toml:
  [check]
  min-sqnr = 30
  deny = [\"QV003\"]

  [[check.rule]]
  layer = \"lm_head*\"
  min-sqnr = 40";

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
    let mut fit = vec![false; gate.exceptions.len()];
    asked.for_each(&limits, |quantized| {
        let (comparison, linted) = how.look(&reference, &quantized, terminal)?;
        let (from, of) = (reference.source.model(), quantized.source.model());
        let judgement = gate.judge(from, of, &comparison, &linted);
        let of_this = gate.rules_that_fit(from, of, &comparison);
        fit.iter_mut().zip(of_this).for_each(|(fits, it)| *fits |= it);
        all.push(Judged { path: quantized.path.to_string_lossy().into_owned(), judgement });
        Ok(())
    })?;
    let reference = asked.reference.to_string_lossy();
    let report = match options.format {
        ReportFormat::Text => reports::text(&all, terminal.out.columns(), terminal.paint()),
        ReportFormat::Json => reports::json(&reference, &gate, &all).map_err(io::Error::from)?,
        ReportFormat::Junit => reports::junit(&all),
        ReportFormat::Sarif => reports::sarif(&all).map_err(io::Error::from)?,
    };
    terminal.out.write_all(report.as_bytes())?;
    tell_unused(&gate, options.config.as_deref(), &fit, terminal);
    Ok(match &all[..] {
        all if all.iter().any(|it| !it.judgement.undecided.is_empty()) => Exit::Trouble,
        all if all.iter().any(|it| !it.judgement.failures.is_empty()) => Exit::FallsShort,
        _ => Exit::Done,
    })
}

/// The limits of the file, and those of the options, which count more.
fn gate(options: &CheckOptions) -> Result<Gate, Trouble> {
    let mut gate = match &options.config {
        Some(path) => config::read(path)?,
        None if Path::new(CONFIG).is_file() => config::read(Path::new(CONFIG))?,
        None => Gate::default(),
    };
    gate.min_sqnr = options.min_sqnr.or(gate.min_sqnr);
    gate.max_clipped = options.max_clipped.or(gate.max_clipped);
    gate.deny.extend(options.deny.iter().map(Code::to_string));
    Ok(gate)
}

/// A rule that fits nothing may be meant for another model, or be misspelt.
fn tell_unused(gate: &Gate, config: Option<&Path>, fit: &[bool], terminal: &mut Terminal<'_>) {
    let name = config.unwrap_or(Path::new(CONFIG)).to_string_lossy();
    let unused = gate.exceptions.iter().zip(fit).enumerate().filter(|(_, (_, fits))| !**fits);
    let line = |(index, (rule, _))| format!("{} fits nothing that was compared", config::named(index, rule));
    let lines: Vec<String> = unused.map(line).collect();
    // What cannot be told does not change what was found.
    let _ = terminal.warn(&name, &lines);
}
