//! The table of what rounding would cost: a row for each weight, a column for each scheme.

use quantviz_core::{PreviewScheme, count, one_line};

use crate::preview::{PreviewReport, SchemeView};
use crate::table::{Header, warning_lines};

/// What schemes would cost, as text; the rows that lose most come first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewTable {
    /// What to say of the model above the table.
    pub header: Header,
    /// The names of the schemes.
    pub schemes: Vec<String>,
    /// A row for every weight.
    pub rows: Vec<PreviewRow>,
    /// Each scheme for all weights.
    pub all: Vec<SqnrCell>,
    /// The bits for each weight that each scheme takes.
    pub bits: Vec<String>,
    /// What the best choice comes to, if one was asked for.
    pub choice: Option<String>,
    /// What the numbers are, and what they leave out.
    pub notes: Vec<String>,
    /// What was odd or could not be read, a line each.
    pub warnings: Vec<String>,
}

/// One weight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewRow {
    /// The name.
    pub name: String,
    /// The shape.
    pub shape: String,
    /// What each scheme comes to.
    pub cells: Vec<SqnrCell>,
}

/// A signal-to-noise ratio.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SqnrCell {
    /// In dB, `>120` above that, `exact` where nothing is lost.
    pub text: String,
    /// Whether it is 6 dB or more below what the scheme does to normally distributed weights.
    pub is_low: bool,
    /// Whether the best choice has this scheme here.
    pub is_chosen: bool,
}

impl PreviewTable {
    /// The table of a report.
    pub fn of(report: &PreviewReport) -> Self {
        let model = &report.model;
        let mut header = Header::of(&model.file);
        header.facts.push("weights only".to_owned());
        let rows = report.layers.iter().map(|layer| PreviewRow {
            name: one_line(&layer.parameter),
            shape: layer.shape.to_string(),
            cells: layer.schemes.iter().map(|it| SqnrCell::of(it, layer.chosen.as_deref())).collect(),
        });
        PreviewTable {
            header,
            schemes: model.schemes.iter().map(|it| it.scheme.clone()).collect(),
            rows: rows.collect(),
            all: model.schemes.iter().map(|it| SqnrCell::of(it, None)).collect(),
            bits: model.schemes.iter().map(|it| decimals(it.bits_per_weight)).collect(),
            choice: choice(report),
            notes: notes(report),
            warnings: warning_lines(&report.warnings),
        }
    }
}

/// How far below a scheme's usual numbers a weight is worth a colour.
const LOW_DB: f64 = 6.0;

impl SqnrCell {
    pub(crate) fn of(view: &SchemeView, chosen: Option<&str>) -> Self {
        let good = view.scheme.parse().ok().map(|scheme: PreviewScheme| scheme.good_sqnr_db());
        SqnrCell {
            text: decibels(view.sqnr_db),
            is_low: good.zip(view.sqnr_db).is_some_and(|(good, sqnr)| sqnr <= good - LOW_DB),
            is_chosen: chosen == Some(&view.scheme),
        }
    }
}

/// Above 120 dB, numbers say more about arithmetic than about weights.
fn decibels(sqnr_db: Option<f64>) -> String {
    match sqnr_db {
        Some(sqnr) if sqnr > 120.0 => ">120".to_owned(),
        Some(sqnr) => format!("{sqnr:.1}"),
        None => "exact".to_owned(),
    }
}

fn decimals(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

fn choice(report: &PreviewReport) -> Option<String> {
    let target = report.model.target_bits?;
    let (sqnr, bits) = (precise(report.model.sqnr_db), decimals(report.model.bits_per_weight));
    Some(format!("* best within {target} bits per weight: {sqnr} at {bits} bits"))
}

/// A hundredth of a decibel tells choices apart.
fn precise(sqnr_db: Option<f64>) -> String {
    sqnr_db.map_or_else(|| "exact".to_owned(), |it| format!("{it:.2} dB"))
}

fn notes(report: &PreviewReport) -> Vec<String> {
    let elements = count(report.model.elements);
    let has_target = report.model.target_bits.is_some();
    let by = if has_target { "chosen" } else { "first" };
    let bound = has_target
        .then(|| format!("within this budget no choice can exceed {}", precise(report.bound_sqnr_db)));
    let clip = (report.model.clip == "mse")
        .then_some("scales reach to what loses least, from 0.30 to 1.00 of the largest weight");
    let notes = [
        format!("signal-to-noise ratio in dB of {elements} weights rounded to nearest"),
        format!("sorted by the {by} scheme: what loses most comes first"),
    ];
    bound.into_iter().chain(notes).chain(clip.map(str::to_owned)).collect()
}
