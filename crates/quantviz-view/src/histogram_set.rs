//! A weight beside what was made of it, as histograms over one axis: as trained, then INT8, then UINT8, then others.

use std::collections::HashMap;

use quantviz_core::{BinnedValues, Histogram, PairHistograms, count, number, one_line};
use serde::Serialize;

use crate::axis::{Axis, CountAxis, Tick};
use crate::comparison::{CodeUse, ComparisonView, PairView, VariantView};
use crate::fidelity_table::{FidelityRow, Verdict, changed};
use crate::inspection::Inspection;
use crate::parameter::ParameterView;
use crate::told_apart::told_apart;
use crate::words;

/// The histograms of a weight of the reference and of everything that was made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistogramSet {
    /// The name of the weight in the reference.
    pub title: String,
    /// What the reference went through before it was quantized: `reference model.bn1 folded in`.
    pub remark: Option<String>,
    /// The axis of all real values: from the smallest to the largest of the reference.
    pub axis: Axis,
    /// The reference on the left, then INT8, then UINT8, then what else there is.
    pub panels: Vec<HistogramPanel>,
    /// Whether any panel has codes to be shown instead.
    pub has_codes: bool,
    /// What the height of a bar means.
    pub height: String,
    /// The axis that bars of real values stand up to.
    pub counts: CountAxis,
}

/// One histogram.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistogramPanel {
    /// What its numbers are: `FP32`, `INT8`, `4-bit`.
    pub label: String,
    /// The path of the model.
    pub model: String,
    /// The name of the parameter in that model.
    pub parameter: String,
    /// What is to be said of it: `39.6 dB · qdq 8.0 bit`.
    pub caption: String,
    /// How a quantized one is to be taken.
    pub verdict: Option<Verdict>,
    /// Its real values, over the axis of the set; empty bins are left out.
    pub bars: Vec<HistogramBar>,
    /// How many numbers lie outside the axis, because codes reach further than the reference: `3 below, 12 above`.
    pub outside: Option<String>,
    /// Its codes, where it has some of at most eight bits.
    pub codes: Option<CodeHistogram>,
}

/// One bar.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistogramBar {
    /// Its left edge on the axis: 0 is the left end, 1 the right one.
    pub from: f64,
    /// Its right edge.
    pub to: f64,
    /// Its height: 1 is that of the tallest.
    pub height: f64,
    /// The same by the logarithm of the count.
    pub log_height: f64,
    /// How many numbers it stands for.
    pub count: u64,
    /// All of that in words, to be shown where somebody points at it.
    pub tooltip: String,
}

/// How often each code occurs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CodeHistogram {
    /// The axis of the codes, from the smallest to the largest that the type has.
    pub axis: Axis,
    /// A bar for each code that occurs; the tallest of them is 1 high.
    pub bars: Vec<HistogramBar>,
    /// The code of each bar.
    pub values: Vec<f64>,
    /// The axis that they stand up to.
    pub counts: CountAxis,
    /// The use that is made of the codes: `212 of 255 codes occur`.
    pub caption: String,
}

impl HistogramSet {
    /// A set for each weight and bias of which there are histograms, those first that suffer most. One axis needs one
    /// reference: where variants were made of numbers that differ, because something was folded into some of them, each
    /// has a set of its own.
    ///
    /// Histograms are there where [`Compare::bins`](quantviz_core::Compare::bins) was asked for them. Whoever shows one
    /// weight at a time compares without, and puts those of that weight into its pairs when they are looked at
    /// ([`PairHistograms::of`]).
    ///
    /// ```
    /// use quantviz_view::{ComparisonView, HistogramSet};
    ///
    /// // Comparisons that were made with `Compare::bins` have histograms; this one is of nothing.
    /// let comparison = ComparisonView::of("model.onnx", Vec::new());
    /// assert!(HistogramSet::all(&comparison).is_empty());
    /// ```
    pub fn all(comparison: &ComparisonView) -> Vec<Self> {
        let mut sets: Vec<Vec<Member<'_>>> = Vec::new();
        let mut of_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for variant in &comparison.variants {
            for pair in &variant.pairs {
                let Some(histograms) = &pair.histograms else { continue };
                let member = Member { variant, pair, histograms };
                let of_name = of_name.entry(&pair.reference).or_default();
                match of_name.iter().find(|&&set| sets[set].iter().all(|it| it.shares_reference(&member))) {
                    Some(&set) => sets[set].push(member),
                    None => {
                        of_name.push(sets.len());
                        sets.push(vec![member]);
                    }
                }
            }
        }
        sets.into_iter().map(|members| HistogramSet::of(&comparison.reference, members)).collect()
    }

    /// A set of one panel for every weight and bias of a model that is compared with nothing: of its stored numbers, which
    /// are codes where it is quantized.
    pub fn of_one(inspection: &Inspection, label: &str) -> Vec<Self> {
        let learnt = inspection.parameters.iter().filter(|it| it.role.is_learnt());
        learnt.filter_map(|it| HistogramSet::alone(it, &inspection.model.path, label)).collect()
    }

    fn alone(parameter: &ParameterView, model: &str, label: &str) -> Option<Self> {
        let histogram = parameter.histogram.as_ref()?;
        let axis = Axis::between(histogram.low, histogram.high);
        let tallest = histogram.counts.iter().copied().max()?;
        let counts = CountAxis::up_to(tallest);
        let all: u64 = histogram.counts.iter().sum();
        let of = if parameter.quantization.is_some() { "codes, as they are stored" } else { "numbers" };
        let panel = HistogramPanel {
            label: label.to_owned(),
            model: one_line(model),
            parameter: one_line(&parameter.name),
            caption: format!("{} {of}", count(all)),
            verdict: None,
            bars: bars(histogram, all, &axis, &counts),
            outside: None,
            codes: None,
        };
        Some(HistogramSet {
            title: one_line(&parameter.name),
            remark: None,
            axis,
            has_codes: false,
            panels: vec![panel],
            height: format!("numbers in a bin, up to {}", count(tallest)),
            counts,
        })
    }

    fn of(reference: &str, mut members: Vec<Member<'_>>) -> Self {
        members.sort_by_key(|member| member.place());
        let first = members[0].pair;
        let trained = &members[0].histograms.reference;
        let axis = Axis::between(trained.histogram.low, trained.histogram.high);
        let all = members.iter().map(|it| &it.histograms.quantized).chain([trained]);
        let tallest = all.flat_map(|it| &it.histogram.counts).copied().max().unwrap_or(0);
        let counts = CountAxis::up_to(tallest);
        let numbers = trained.count();
        let panel = HistogramPanel {
            label: words::dtype_label(first.reference_dtype),
            model: one_line(reference),
            parameter: one_line(&first.reference),
            caption: format!("{} number{}", count(numbers), if numbers == 1 { "" } else { "s" }),
            verdict: None,
            bars: bars(&trained.histogram, numbers, &axis, &counts),
            outside: outside(trained),
            codes: None,
        };
        let quantized = members.iter().map(|member| member.panel(&axis, &counts));
        let mut panels: Vec<HistogramPanel> = [panel].into_iter().chain(quantized).collect();
        let labels = told_apart(panels.iter().map(|it| (it.label.as_str(), it.model.as_str())));
        panels.iter_mut().zip(labels).for_each(|(panel, label)| panel.label = label);
        HistogramSet {
            title: one_line(&first.reference),
            remark: changed(first),
            axis,
            has_codes: panels.iter().any(|panel| panel.codes.is_some()),
            panels,
            height: format!("numbers in a bin, up to {}", count(tallest)),
            counts,
        }
    }
}

/// A quantized parameter that has a panel in a set.
struct Member<'a> {
    variant: &'a VariantView,
    pair: &'a PairView,
    histograms: &'a PairHistograms,
}

impl Member<'_> {
    /// Whether both were made of the same numbers.
    fn shares_reference(&self, other: &Member<'_>) -> bool {
        let is_other_variant = !std::ptr::eq(self.variant, other.variant);
        is_other_variant && self.histograms.reference == other.histograms.reference
    }

    /// INT8 first, then UINT8, then the others in their order.
    fn place(&self) -> usize {
        ["INT8", "UINT8"].iter().position(|label| *label == self.pair.label).unwrap_or(2)
    }

    fn panel(&self, axis: &Axis, counts: &CountAxis) -> HistogramPanel {
        let row = FidelityRow::of(self.pair);
        let quantized = &self.histograms.quantized;
        let sqnr = if self.pair.sqnr_db.is_some() { format!("{} dB", row.sqnr) } else { row.sqnr };
        HistogramPanel {
            label: self.pair.label.clone(),
            model: one_line(&self.variant.path),
            parameter: one_line(&self.pair.quantized),
            caption: format!("{sqnr} · {}", row.encoding),
            verdict: Some(row.verdict),
            bars: bars(&quantized.histogram, quantized.count(), axis, counts),
            outside: outside(quantized),
            codes: self.pair.codes.as_ref().and_then(|codes| CodeHistogram::of(codes, self.pair.levels)),
        }
    }
}

fn bars(histogram: &Histogram, all: u64, axis: &Axis, heights: &CountAxis) -> Vec<HistogramBar> {
    let edges = histogram.edges();
    let bins = edges.windows(2).zip(&histogram.counts).filter(|(_, times)| **times > 0);
    bins.map(|(edge, &times)| HistogramBar {
        from: axis.place(edge[0]),
        to: axis.place(edge[1]),
        height: heights.height(times),
        log_height: heights.log_height(times),
        count: times,
        tooltip: format!("{} … {}: {}", number(edge[0]), number(edge[1]), of_all(times, all)),
    })
    .collect()
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / (whole as f64).max(1.0)
}

/// `1,234 (5.6 %)`
fn of_all(times: u64, all: u64) -> String {
    format!("{} ({} %)", count(times), number((share(times, all) * 1000.0).round() / 10.0))
}

fn outside(values: &BinnedValues) -> Option<String> {
    let counts = [(values.below, "below"), (values.above, "above"), (values.nan, "NaN")];
    let told: Vec<String> = counts
        .iter()
        .filter(|(times, _)| *times > 0)
        .map(|(times, what)| format!("{} {what}", count(*times)))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

impl CodeHistogram {
    /// Whole numbers stand in their places; other codes one beside the next. `levels` is how many the codes have that
    /// are meant to be used.
    fn of(codes: &CodeUse, levels: Option<u64>) -> Option<Self> {
        let CodeUse { range: [low, high], counts } = codes;
        let all = counts.iter().map(|(_, times)| times).sum();
        let heights = CountAxis::up_to(counts.iter().map(|(_, times)| *times).max()?);
        let are_whole = counts.iter().all(|(code, _)| code.fract() == 0.0 && (low..=high).contains(&code));
        let (axis, first) = if are_whole {
            (Axis::between(low - 0.5, high + 0.5), None)
        } else {
            (Axis::between(-0.5, counts.len() as f64 - 0.5), Some(0.0))
        };
        let place = |index: usize, code: f64| first.map_or(code, |first| first + index as f64);
        let bar = |(index, &(code, times)): (usize, &(f64, u64))| HistogramBar {
            from: axis.place(place(index, code) - 0.5),
            to: axis.place(place(index, code) + 0.5),
            height: heights.height(times),
            log_height: heights.log_height(times),
            count: times,
            tooltip: format!("code {}: {}", number(code), of_all(times, all)),
        };
        let bars = counts.iter().enumerate().map(bar).collect();
        let used = count(counts.len() as u64);
        let (axis, caption) = if are_whole {
            (
                axis,
                levels.map_or(format!("{used} codes occur"), |all| {
                    format!("{used} of {} codes occur", count(all))
                }),
            )
        } else {
            // Ticks count places, and people want to read values.
            let ends = [(0, 0.0), (counts.len() - 1, 1.0)];
            let ticks = ends.map(|(index, at)| Tick { at, label: number(counts[index].0) });
            (Axis { ticks: ticks.to_vec(), ..axis }, format!("{used} codes occur"))
        };
        let values = counts.iter().map(|(code, _)| *code).collect();
        Some(CodeHistogram { axis, bars, values, counts: heights, caption })
    }
}
