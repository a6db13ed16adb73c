//! The range of every weight: a row of bars for each layer, as trained and as quantized, on one scale.

use std::collections::{HashMap, HashSet};

use quantviz_core::{Role, number, one_line};
use serde::Serialize;

use crate::axis::Axis;
use crate::comparison::{ComparisonView, PairView};
use crate::fidelity_table::{FidelityRow, Verdict, changed};
use crate::inspection::Inspection;
use crate::model_page::file_name;
use crate::parameter::ParameterView;
use crate::range_series::RangeSeries;
use crate::short_names::shortened;
use crate::words;

/// The ranges of a model's weights beside those of its variants.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RangeChart {
    /// The path of the reference.
    pub title: String,
    /// The scale of all bars.
    pub axis: Axis,
    /// Whose bars there are, in the order in which they stand in a row: the reference, then its variants.
    pub series: Vec<RangeSeries>,
    /// What `magnitude` of a bar means: `log10 of the largest magnitude, from 0.098 (0) to 0.61 (1)`.
    pub magnitude: String,
    /// A row for every weight, in the order of the layers.
    pub rows: Vec<RangeRow>,
    /// What is not shown, and what is to be kept in mind, a line each.
    pub notes: Vec<String>,
}

/// One weight; so one layer, but for those that have several.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RangeRow {
    /// The name of the layer.
    pub layer: String,
    /// The same without what most names begin or end with: `…9.attn.q_proj`.
    pub short: String,
    /// Which of the layers of the reference that is: names of layers need not be unique.
    pub layer_index: Option<usize>,
    /// Its operator or its class.
    pub op: String,
    /// The name of the weight in the reference.
    pub parameter: String,
    /// What is to be said of it: `not quantized`, or what the reference went through before it was quantized.
    pub remark: Option<String>,
    /// A bar for each of the series; `None` where that model has nothing of it that is quantized.
    pub bars: Vec<Option<RangeBar>>,
}

/// From the smallest number to the largest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RangeBar {
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Where the bar begins on the axis: 0 is its left end, 1 the right one.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The range in rounded numbers.
    pub text: String,
    /// How large its numbers are beside those of the other bars, from 0 to 1: for a sequence of colours.
    pub magnitude: f64,
    /// How a quantized one is to be taken.
    pub verdict: Option<Verdict>,
    /// The decibels that a quantized one keeps: `39.6`, `exact`, `>120`.
    pub sqnr: Option<String>,
    /// All of that in words: `INT8: -0.4 … 0.6, 39.6 dB`.
    pub tooltip: String,
    /// What rows are sorted by: decibels, of which what is exact has more than any, and how many more rounding would keep.
    #[serde(skip)]
    pub(crate) ranks: Option<[f64; 2]>,
}

impl RangeRow {
    /// All of it in words, to be shown where somebody points at it: which weight, and the range in every model.
    pub fn tooltip(&self) -> String {
        let name = [self.op.as_str(), &self.layer].join(" ");
        let bars = self.bars.iter().flatten().map(|bar| bar.tooltip.clone());
        let remark = self.remark.clone();
        let parts = [name.trim().to_owned(), self.parameter.clone()].into_iter().chain(remark).chain(bars);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }
}

impl RangeBar {
    /// Worst first; what is not quantized last.
    pub(crate) fn rank(&self) -> f64 {
        self.ranks.map_or(f64::INFINITY, |[sqnr, _]| sqnr)
    }
}

/// What stands where a layer is not quantized.
const NOT_QUANTIZED: &str = "not quantized";

impl RangeChart {
    /// The chart of a comparison, in the order of the layers of its reference, which also knows the range of what is not
    /// quantized: an inspection of everything in it.
    ///
    /// A weight into which something was folded before it was quantized has the bar of what was quantized. One that was
    /// taken apart has a row for each part; several that were laid together have one.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, RangeChart, Request};
    ///
    /// let mut source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// source.model_mut().parameters[0].role = quantviz_core::Role::Weight;
    /// let reference = Inspection::of(&source, "m", &Request::default(), &|_| ControlFlow::Continue(()))?;
    /// let chart = RangeChart::of(&reference, &ComparisonView::of("m", Vec::new()));
    /// assert_eq!(chart.rows[0].remark.as_deref(), Some("not quantized"));
    /// let bar = chart.rows[0].bars[0].as_ref().expect("the reference is always there");
    /// assert_eq!((bar.from, bar.to, bar.text.as_str()), (0.0, 1.0, "-1 … 2"));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn of(reference: &Inspection, comparison: &ComparisonView) -> Self {
        let drafts = Draft::all(reference, comparison);
        let ranges =
            || drafts.iter().flat_map(|draft| draft.ranges.iter().flatten().map(|(range, _)| *range));
        let ends = ranges().flatten();
        let low = ends.clone().reduce(f64::min).unwrap_or(0.0);
        let high = ends.reduce(f64::max).unwrap_or(0.0);
        let axis = Axis::between(low.min(0.0), high.max(0.0));
        let scale = Magnitudes::of(ranges());
        let series = RangeSeries::all(reference, comparison);
        let names: Vec<&str> = drafts.iter().map(Draft::name).collect();
        let short = shortened(&names);
        let rows = drafts.iter().zip(short).map(|(draft, short)| draft.row(short, &axis, &scale, &series));
        let rows = rows.collect();
        let shown: HashSet<&str> = drafts.iter().map(|draft| draft.parameter).collect();
        let left_out = reference
            .layers
            .iter()
            .filter(|layer| !layer.parameters.iter().any(|it| shown.contains(it.as_str())));
        let left_out = left_out.count();
        let mut notes = Vec::new();
        if !comparison.variants.is_empty() {
            notes.push(format!("a layer that is {NOT_QUANTIZED} has the bar of the reference alone"));
        }
        if left_out > 0 {
            let layers = if left_out == 1 { "layer" } else { "layers" };
            notes.push(format!(
                "{left_out} {layers} without weights of their own, or with normalisations only, not shown"
            ));
        }
        let strangers =
            comparison.variants.iter().map(|variant| variant.unmatched.quantized.len()).sum::<usize>();
        if strangers > 0 {
            let parameters = if strangers == 1 { "parameter" } else { "parameters" };
            notes.push(format!("{strangers} quantized {parameters} without a counterpart, not shown"));
        }
        RangeChart {
            title: one_line(&comparison.reference),
            axis,
            magnitude: scale.text(),
            rows,
            series,
            notes,
        }
    }

    /// The same, noting that a further model cannot be read.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, RangeChart, Request};
    ///
    /// let go_on = |_| ControlFlow::Continue(());
    /// let model = Inspection::of(&MemorySource::new(), "m.onnx", &Request::default(), &go_on)?;
    /// let chart = RangeChart::of(&model, &ComparisonView::of("m.onnx", Vec::new())).without("models/m_int8.onnx");
    /// assert_eq!(chart.notes, ["m_int8.onnx cannot be read, not shown"]);
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.notes.push(format!("{} cannot be read, not shown", file_name(path)));
        self
    }
}

/// How large numbers are, from 0 to 1, by the logarithm of the largest.
struct Magnitudes {
    least: f64,
    most: f64,
}

impl Magnitudes {
    fn of(ranges: impl Iterator<Item = [f64; 2]>) -> Self {
        let largest = ranges.map(|[low, high]| low.abs().max(high.abs())).filter(|it| *it > 0.0);
        let (least, most) =
            largest.fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), it| (least.min(it), most.max(it)));
        Magnitudes { least: least.min(most), most }
    }

    fn place(&self, [low, high]: [f64; 2]) -> f64 {
        let largest = low.abs().max(high.abs());
        if largest <= self.least || self.least == self.most {
            return 0.0;
        }
        ((largest.log10() - self.least.log10()) / (self.most.log10() - self.least.log10())).clamp(0.0, 1.0)
    }

    fn text(&self) -> String {
        format!(
            "log10 of the largest magnitude, from {} (0) to {} (1)",
            number(self.least),
            number(self.most)
        )
    }
}

/// A row before the axis is known.
struct Draft<'a> {
    layer: String,
    layer_index: Option<usize>,
    op: String,
    parameter: &'a str,
    remark: Option<String>,
    /// For each of the series.
    ranges: Vec<Option<Range<'a>>>,
}

/// From the smallest number to the largest, with what was measured of a quantized one.
type Range<'a> = ([f64; 2], Option<&'a PairView>);

impl<'a> Draft<'a> {
    fn all(reference: &'a Inspection, comparison: &'a ComparisonView) -> Vec<Self> {
        let mut pairs: HashMap<&str, Vec<(usize, &PairView)>> = HashMap::new();
        let mut laid_behind = HashSet::new();
        for (variant, pair) in comparison
            .variants
            .iter()
            .enumerate()
            .flat_map(|(index, variant)| variant.pairs.iter().map(move |pair| (index, pair)))
        {
            pairs.entry(&pair.reference).or_default().push((variant, pair));
            laid_behind.extend(pair.alignment.merged.iter().map(String::as_str));
        }
        let mut parameters: Vec<&ParameterView> = reference
            .parameters
            .iter()
            .filter(|it| it.shares.is_none() && matches!(it.role, Role::Weight | Role::Embedding))
            .collect();
        parameters.sort_by_key(|parameter| parameter.layer_index);
        let mut drafts = Vec::new();
        for parameter in parameters {
            match pairs.get(parameter.name.as_str()) {
                Some(pairs) => drafts.extend(Draft::of_pairs(reference, comparison, parameter, pairs)),
                None if laid_behind.contains(parameter.name.as_str()) => {}
                None => {
                    let range = parameter.real().and_then(|it| Some([it.min?, it.max?]));
                    let mut draft = Draft::of(reference, comparison, parameter);
                    draft.remark = parameter.quantization.is_none().then(|| NOT_QUANTIZED.to_owned());
                    draft.ranges[0] = range.map(|range| (range, None));
                    drafts.push(draft);
                }
            }
        }
        drafts
    }

    fn of(reference: &'a Inspection, comparison: &'a ComparisonView, parameter: &'a ParameterView) -> Self {
        let layer = parameter.layer_index.and_then(|index| reference.layers.get(index));
        Draft {
            layer: layer.map(|it| words::layer_name(&it.name, it.kind)).unwrap_or_default(),
            layer_index: parameter.layer_index,
            op: layer.and_then(|it| it.op.as_deref()).map(one_line).unwrap_or_default(),
            parameter: &parameter.name,
            remark: None,
            ranges: vec![None; 1 + comparison.variants.len()],
        }
    }

    /// A row for everything that was made of the same numbers of a weight: all of it, or a part, or with something folded in.
    fn of_pairs(
        reference: &'a Inspection,
        comparison: &'a ComparisonView,
        parameter: &'a ParameterView,
        pairs: &[(usize, &'a PairView)],
    ) -> Vec<Self> {
        let mut drafts: Vec<Draft<'a>> = Vec::new();
        for &(variant, pair) in pairs {
            let remark = changed(pair);
            let range = pair.reference_range.map(|range| (range, None));
            let place = drafts.iter().position(|draft| {
                draft.ranges[0] == range && draft.remark == remark && draft.ranges[variant + 1].is_none()
            });
            let place = place.unwrap_or_else(|| {
                let mut draft = Draft::of(reference, comparison, parameter);
                draft.remark = remark;
                draft.ranges[0] = range;
                drafts.push(draft);
                drafts.len() - 1
            });
            drafts[place].ranges[variant + 1] = pair.quantized_range.map(|range| (range, Some(pair)));
        }
        drafts
    }

    /// What the row is called.
    fn name(&self) -> &str {
        if self.layer.is_empty() { self.parameter } else { &self.layer }
    }

    fn row(&self, short: String, axis: &Axis, scale: &Magnitudes, series: &[RangeSeries]) -> RangeRow {
        let bar = |(range, series): (&Option<Range<'_>>, &RangeSeries)| {
            let (range, pair) = (*range)?;
            let [low, high] = range;
            let text = format!("{} … {}", number(low), number(high));
            let row = pair.map(FidelityRow::of);
            let label = match pair.map(|pair| &pair.label).filter(|label| !series.label.starts_with(*label)) {
                Some(other) => format!("{} ({other})", series.label),
                None => series.label.clone(),
            };
            let sqnr = row
                .as_ref()
                .filter(|_| pair.is_some_and(|it| it.sqnr_db.is_some()))
                .map(|row| format!(", {} dB", row.sqnr));
            let ranks = pair.map(|pair| [pair.rank(), pair.headroom_db.unwrap_or(0.0)]);
            Some(RangeBar {
                low,
                high,
                from: axis.place(low),
                to: axis.place(high),
                tooltip: format!("{label}: {text}{}", sqnr.unwrap_or_default()),
                text,
                magnitude: scale.place(range),
                verdict: row.as_ref().map(|row| row.verdict),
                sqnr: row.map(|row| row.sqnr),
                ranks,
            })
        };
        RangeRow {
            layer: self.layer.clone(),
            short: one_line(&short),
            layer_index: self.layer_index,
            op: self.op.clone(),
            parameter: one_line(self.parameter),
            remark: self.remark.clone(),
            bars: self.ranges.iter().zip(series).map(bar).collect(),
        }
    }
}
