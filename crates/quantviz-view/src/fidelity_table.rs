//! What quantization cost, as rows of text: worst first, judged by what the encoding can do.

use std::collections::BTreeSet;

use quantviz_core::{Basis, Encoding, PairHistograms, Role, bytes, is_rounded, is_wasted, number, one_line};
use quantviz_insight::FAR_BELOW_DB;
use serde::Serialize;

use crate::comparison::{ClaimView, ModelFidelityView, PairView, UnmatchedView, VariantView};
use crate::recorded::{OUTPUT, RecordedRow, RecordedView};

/// A quantized model beside its reference, to be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FidelityTable {
    /// The path of the quantized model.
    pub title: String,
    /// What to say of the whole, in a line.
    pub facts: Vec<String>,
    /// Its weights, worst first.
    pub rows: Vec<FidelityRow>,
    /// Its biases, in a line; `None` where it has none.
    pub biases: Option<String>,
    /// Recorded activations, worst first, where there are such.
    pub recorded: Vec<RecordedRow>,
    /// What of the quantized model has no counterpart, a line each: worse than any row.
    pub lost: Vec<String>,
    /// Everything else that has none.
    pub unmatched: Vec<String>,
    /// What is to be kept in mind, a line each.
    pub notes: Vec<String>,
}

/// One weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FidelityRow {
    /// Its name in the reference.
    pub name: String,
    /// How it is quantized: `qdq 8 bit`.
    pub encoding: String,
    /// The decibels that it keeps: `39.6`, `exact`, `>120`.
    pub sqnr: String,
    /// The same by importance, where that is known.
    pub by_importance: Option<String>,
    /// What rounding to the nearest would keep beyond that.
    pub headroom: String,
    /// The range of the reference.
    pub reference_range: String,
    /// The range of what the codes stand for.
    pub quantized_range: String,
    /// Where the error comes from: `rounding`; or the shares of clipping and of what is off the grid, and that of rounding
    /// where it is not most of it.
    pub error: String,
    /// How it is to be taken.
    pub verdict: Verdict,
    /// Why, in a few words.
    pub why: String,
    /// How the reference had to be turned.
    pub aligned: Option<String>,
    /// What else is to be known.
    pub remarks: Vec<String>,
    /// How the numbers of both are spread, where that was counted.
    pub shapes: Option<RowShapes>,
}

/// How the numbers of a reference are spread over its range, and what the codes stand for over the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RowShapes {
    /// The reference: the height of each bar, of which the tallest of both is 1 high.
    pub reference: Vec<f64>,
    /// What the codes stand for.
    pub quantized: Vec<f64>,
}

/// How much a weight suffers, beside what rounding to the nearest would do with its scales, and what codes like its own can
/// do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// As good as rounding to the nearest can be.
    Fine,
    /// Better scales or rounding would help.
    Improvable,
    /// Much is lost that need not be.
    Poor,
}

/// Headroom in decibels that is worth a look, and that is much.
const HEADROOM_DB: [f64; 2] = [1.0, 3.0];
/// Decibels below what such codes keep of normally distributed weights: one bit of them, and two.
const BELOW_DB: [f64; 2] = [6.0, FAR_BELOW_DB];

impl Verdict {
    fn by(decibels: f64, [look, poor]: [f64; 2]) -> Self {
        match decibels {
            much if much >= poor => Verdict::Poor,
            some if some >= look => Verdict::Improvable,
            _ => Verdict::Fine,
        }
    }

    /// The verdict on a pair, and why in a few words. Absolute decibels say nothing: four bits are never as good as eight.
    fn of(pair: &PairView) -> (Self, String) {
        let Some(sqnr) = pair.sqnr_db else {
            return match (pair.exact, &pair.error) {
                (true, _) => (Verdict::Fine, "nothing is lost".to_owned()),
                (false, Some(_)) => (Verdict::Poor, "nothing could be measured".to_owned()),
                (false, None) => (Verdict::Poor, "all of it is error".to_owned()),
            };
        };
        if let Some(factor) = pair.common_factor {
            return (Verdict::Poor, format!("every value is {} times that of the reference", number(factor)));
        }
        // Codes that compensate for each other, as those of GPTQ, are not the nearest on purpose.
        let is_rounded = is_rounded(pair.off_grid);
        let is_wasted = |headroom: &f64| is_wasted(*headroom, pair.off_grid, pair.common_factor);
        let headroom = pair.headroom_db.filter(is_wasted).unwrap_or(0.0);
        let by_headroom = Verdict::by(headroom, HEADROOM_DB);
        let below = pair.expected_sqnr_db.map_or(0.0, |expected| expected - sqnr);
        let by_encoding = Verdict::by(below, BELOW_DB);
        let why = match pair.expected_sqnr_db {
            _ if by_headroom != Verdict::Fine && by_headroom >= by_encoding => {
                format!("rounding to the nearest would keep {headroom:.1} dB more with the same scales")
            }
            Some(_) if by_encoding != Verdict::Fine => {
                let clipping = pair.clip_noise.filter(|share| *share >= 0.1);
                let clipping =
                    clipping.map(|share| format!("; {:.0} % of the error is clipping", share * 100.0));
                let clipping = clipping.unwrap_or_default();
                format!("{below:.1} dB less than such codes keep of normally distributed weights{clipping}")
            }
            Some(expected) if is_rounded => {
                format!(
                    "as good as such codes are: they keep {expected:.1} dB of normally distributed weights"
                )
            }
            None if is_rounded => "as good as rounding to the nearest".to_owned(),
            _ => "not rounded to the nearest: what that is good for, weights alone do not tell".to_owned(),
        };
        (by_headroom.max(by_encoding), why)
    }
}

impl FidelityTable {
    /// The table of a variant.
    pub fn of(variant: &VariantView) -> Self {
        let is_bias = |pair: &&PairView| pair.role == Role::Bias || pair.shape.len() < 2;
        let weights = || variant.pairs.iter().filter(|pair| !is_bias(pair));
        let mut rows: Vec<FidelityRow> = weights().map(FidelityRow::of).collect();
        // Of the weight that suffers most it is always worth knowing where.
        if let Some((row, pair)) = rows.first_mut().zip(weights().next()) {
            let told = worst_channel(pair, 0.0).filter(|it| !row.remarks.contains(it));
            row.remarks.extend(told);
        }
        let biases: Vec<&PairView> = variant.pairs.iter().filter(is_bias).collect();
        let model = &variant.model;
        let claims = model.claims.iter().rev().map(|it| Some(claim(it, model.claims.len())));
        let facts = [
            model.bits_per_weight.map(|bits| format!("{bits:.2} bits per weight")),
            Some(format!("{} instead of {}", bytes(model.quantized_bytes), bytes(model.reference_bytes))),
            reference_types(&variant.pairs),
        ];
        let unmatched = |what: &'static str, all: &[crate::UnmatchedParameter]| {
            all.iter()
                .map(move |it| one_line(&format!("{what} {}: {}", it.parameter, it.why)))
                .collect::<Vec<_>>()
        };
        let mut lines = unmatched("reference", &variant.unmatched.reference);
        if let Some(recorded) = &variant.recorded {
            let RecordedView { unmatched: UnmatchedView { quantized, reference }, .. } = recorded;
            lines.extend(unmatched("recorded tensor", quantized));
            lines.extend(unmatched("recorded tensor", reference));
        }
        FidelityTable {
            title: variant.path.clone(),
            facts: claims.chain(facts).flatten().collect(),
            rows,
            biases: biases.first().map(|worst| {
                let db = sqnr(worst.sqnr_db, worst.exact);
                let name = one_line(&worst.reference);
                match biases.len() {
                    1 => format!("1 bias, at {db} dB: {name}"),
                    many => format!("{many} biases, the worst at {db} dB: {name}"),
                }
            }),
            lost: unmatched("quantized", &variant.unmatched.quantized),
            unmatched: lines,
            recorded: variant.recorded.as_ref().map(RecordedView::rows).unwrap_or_default(),
            notes: notes(model),
        }
    }
}

impl RowShapes {
    fn of(histograms: &PairHistograms) -> Self {
        let [reference, quantized] =
            [&histograms.reference, &histograms.quantized].map(|it| &it.histogram.counts);
        let tallest = reference.iter().chain(quantized).copied().max().unwrap_or(0).max(1);
        let heights = |counts: &[u64]| counts.iter().map(|&it| it as f64 / tallest as f64).collect();
        RowShapes { reference: heights(reference), quantized: heights(quantized) }
    }
}

/// What is said of the whole, one of so many ways to say it.
fn claim(claim: &ClaimView, ways: usize) -> String {
    let db = match claim.sqnr_db {
        Some(db) => format!("{db:.1} dB"),
        None if claim.counted > 0 => "exact".to_owned(),
        None => "nothing to compare".to_owned(),
    };
    let many = if claim.counted == claim.of {
        claim.of.to_string()
    } else {
        format!("{} of {}", claim.counted, claim.of)
    };
    match claim.basis {
        Basis::Weights if ways == 1 && claim.counted < claim.of => format!("{db}, weights only ({many})"),
        Basis::Weights if ways == 1 && claim.sqnr_db.is_some() => format!("{db}, weights only"),
        Basis::Weights if ways == 1 => db,
        Basis::Importance => format!("{db} by importance ({many} weights)"),
        Basis::Activations if claim.at_outputs && claim.of == 1 => format!("{db} at the output"),
        Basis::Activations if claim.at_outputs => format!("{db} at {many} outputs"),
        Basis::Activations => format!("{db} by activations ({many} recorded)"),
        _ => format!("{db} by weights"),
    }
}

fn notes(model: &ModelFidelityView) -> Vec<String> {
    let knows = |basis| model.claims.iter().any(|claim| claim.basis == basis);
    let weights = if knows(Basis::Activations) {
        "dB: signal to quantization noise, of activations and of the weights"
    } else {
        "dB: signal to quantization noise of the weights. It says nothing of activations."
    };
    let importance = knows(Basis::Importance)
        .then_some("imp.: the same with each input of a weight as much as importance says");
    let best = "best: what rounding to the nearest keeps with the same scales";
    let has_outputs = model.claims.iter().any(|claim| claim.at_outputs);
    let outputs = has_outputs.then(|| format!("{OUTPUT} what the model gives out"));
    [outputs.as_deref(), Some(weights), importance, Some(best)]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect()
}

impl FidelityRow {
    pub(crate) fn of(pair: &PairView) -> Self {
        let range = |range: Option<[f64; 2]>| {
            range.map_or_else(|| "–".to_owned(), |[low, high]| format!("{} … {}", number(low), number(high)))
        };
        let (verdict, why) = Verdict::of(pair);
        FidelityRow {
            name: pair.reference.clone(),
            encoding: format!("{} {:.1} bit", encoding(pair.encoding), pair.bits_per_weight),
            sqnr: sqnr(pair.sqnr_db, pair.exact),
            by_importance: pair.importance_sqnr_db.map(|db| sqnr(Some(db), false)),
            headroom: pair.rtn_sqnr_db.map_or_else(String::new, |best| format!("{best:.1}")),
            reference_range: range(pair.reference_range),
            quantized_range: range(pair.quantized_range),
            error: error(pair),
            verdict,
            why,
            aligned: aligned(pair),
            remarks: remarks(pair),
            shapes: pair.histograms.as_ref().map(RowShapes::of),
        }
    }
}

/// The types of a reference that is itself rounded.
fn reference_types(pairs: &[PairView]) -> Option<String> {
    let types: BTreeSet<&str> = pairs.iter().map(|pair| pair.reference_dtype.name()).collect();
    let is_rounded = types.iter().any(|name| !matches!(*name, "f32" | "f64"));
    is_rounded.then(|| format!("reference in {}", types.into_iter().collect::<Vec<_>>().join(", ")))
}

fn encoding(encoding: Encoding) -> &'static str {
    encoding.name()
}

pub(crate) fn sqnr(db: Option<f64>, exact: bool) -> String {
    match db {
        Some(db) if db > 120.0 => ">120".to_owned(),
        Some(db) => format!("{db:.1}"),
        None if exact => "exact".to_owned(),
        None => "–".to_owned(),
    }
}

const ROUNDING: &str = "rounding";

/// Where the error comes from, in percent of its energy. What is not told of is rounding, where that is most.
fn error(pair: &PairView) -> String {
    let (Some(rounding), Some(clipping)) = (pair.rounding_share, pair.clip_noise) else {
        return String::new();
    };
    let off_grid = (1.0 - rounding - clipping).max(0.0);
    let is_most = rounding >= 0.5;
    let parts = [(ROUNDING, rounding), ("clipping", clipping), ("off grid", off_grid)];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(what, share)| *share >= 0.005 && !(is_most && *what == ROUNDING))
        .map(
            |(what, share)| {
                if share > 0.995 { what.to_owned() } else { format!("{:.0} % {what}", share * 100.0) }
            },
        )
        .collect();
    if told.is_empty() && is_most {
        return ROUNDING.to_owned();
    }
    told.join(", ")
}

/// How the reference had to be turned to lie beside the codes.
fn aligned(pair: &PairView) -> Option<String> {
    let alignment = &pair.alignment;
    let turned = alignment.transposed.then(|| "transposed".to_owned());
    let permuted = alignment.permuted.then(|| "rows of heads in llama.cpp's order".to_owned());
    let [split, merged, gain] = changes(pair);
    in_words([turned, split, merged, permuted, gain])
}

/// What made other numbers of the reference, wherever they lie.
pub(crate) fn changed(pair: &PairView) -> Option<String> {
    in_words(changes(pair))
}

fn in_words<const MOST: usize>(all: [Option<String>; MOST]) -> Option<String> {
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("reference {}", all.join(", ")))
}

/// Which part of it was taken, what was laid behind it, and what it was multiplied with.
fn changes(pair: &PairView) -> [Option<String>; 3] {
    let alignment = &pair.alignment;
    let split =
        alignment.split.as_ref().map(|it| format!("{} to {} along axis {}", it.start, it.end - 1, it.axis));
    let merged = alignment.merged.len();
    let merged = (merged > 0).then(|| format!("and {merged} more behind it"));
    let gain = match alignment.gain.as_str() {
        "none" => None,
        "output" => Some("each output multiplied".to_owned()),
        "input" => Some("each input multiplied".to_owned()),
        folded => folded.strip_prefix("batchnorm:").map(|name| format!("{} folded in", one_line(name))),
    };
    [split, merged, gain]
}

fn remarks(pair: &PairView) -> Vec<String> {
    let outlier = pair.outlier_gain_db.filter(|&gain| gain >= 6.0);
    let outlier = outlier.map(|gain| format!("a scale for each channel would gain {gain:.1} dB"));
    let left_out = (pair.non_finite > 0).then(|| format!("{} not finite, left out", pair.non_finite));
    let error = pair.error.as_ref().map(|error| one_line(error));
    [outlier, worst_channel(pair, CHANNEL_BELOW_DB), left_out, error].into_iter().flatten().collect()
}

/// Decibels below the median by which a channel is worth its name: the same as a scale for each channel has to gain.
const CHANNEL_BELOW_DB: f64 = 6.0;

/// The channel that suffers most, where it is so many decibels below what half of them keep.
fn worst_channel(pair: &PairView, least: f64) -> Option<String> {
    let channels = pair.channels.as_ref()?;
    let (worst, median) = (channels.worst.first()?, channels.median?);
    match worst.sqnr_db {
        Some(db) if median - db >= least => Some(format!(
            "worst channel: {}, at {db:.1} dB; half of them keep {median:.1} dB or more",
            worst.index
        )),
        None if !worst.exact => Some(format!("worst channel: {}, of which all is error", worst.index)),
        _ => None,
    }
}
