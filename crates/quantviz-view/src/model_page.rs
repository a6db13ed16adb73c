//! A model with its variants on one page: an overview of all ranges, and every layer with all that is known of it.

use std::collections::HashMap;
use std::path::Path;

use quantviz_core::{Basis, Warning, WarningKind, one_line};
use quantviz_insight::Finding;

use crate::activation_scales::ActivationScales;
use crate::comparison::{ComparisonView, VariantView};
use crate::fidelity_table::FidelityTable;
use crate::findings::{FindingGroup, Findings};
use crate::histogram_set::HistogramSet;
use crate::inspection::Inspection;
use crate::page_layer::{Linked, PageLayer};
use crate::range_chart::RangeChart;
use crate::table::{Header, warning_lines};
use crate::words;

/// All that front ends show of a model and of what was made of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelPage {
    /// What the model is called.
    pub title: String,
    /// The reference, or the one model that there is; then its variants.
    pub models: Vec<PageModel>,
    /// The range of every weight.
    pub chart: RangeChart,
    /// For each row of the chart, which of the layers it belongs to.
    pub row_layers: Vec<Option<usize>>,
    /// Every layer: those of the reference in their order, and those that only variants have behind what they follow there.
    pub layers: Vec<PageLayer>,
    /// The layer that is worth a look first.
    pub first: usize,
    /// What was found that is about no layer, with the model that it is about.
    pub findings: Vec<(String, FindingGroup)>,
    /// The scales of activations, side by side.
    pub scales: Option<ActivationScales>,
    /// Models that cannot be read and are not shown, a line each.
    pub missing: Vec<String>,
    /// What was odd or could not be read, a line each.
    pub warnings: Vec<String>,
    /// What is to be kept in mind, a line each.
    pub notes: Vec<String>,
}

/// One of the models.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageModel {
    /// What it is called on the page: `FP32`, `INT8`; with the name of the file where that is not enough.
    pub label: String,
    /// The path.
    pub path: String,
    /// The name of the file.
    pub file: String,
    /// Format, sizes, producer.
    pub facts: Vec<String>,
    /// What quantization cost all of it, and by what that is said: `39.2 dB, weights only`. `None` for the reference.
    pub quality: Option<String>,
    /// How many findings there are of each level; `None` where nobody looked.
    pub found: Option<String>,
}

impl ModelPage {
    /// The page of a reference with its variants, which stand in the same order in `comparison` and `variants`; or of one
    /// model, where both are empty. `found` is what was found in the reference, where somebody looked.
    ///
    /// Histograms are there where inspections and comparison were asked for them, channels where the comparison has all.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};
    ///
    /// let mut source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// source.model_mut().parameters[0].role = quantviz_core::Role::Weight;
    /// let request = Request { bins: Some(4), ..Request::default() };
    /// let model = Inspection::of(&source, "m", &request, &|_| ControlFlow::Continue(()))?;
    /// let page = ModelPage::of("m", &model, None, &[], &ComparisonView::of("m", Vec::new()));
    /// assert_eq!(page.layers[0].badges[0].text, "not quantized");
    /// assert_eq!(page.layers[0].histograms[0].panels[0].label, "FP32");
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn of(
        title: &str,
        reference: &Inspection,
        found: Option<&[Finding]>,
        variants: &[Inspection],
        comparison: &ComparisonView,
    ) -> Self {
        let chart = RangeChart::of(reference, comparison);
        let mut models = vec![PageModel::of(&chart.series[0].label, reference, found)];
        for ((variant, inspection), series) in
            comparison.variants.iter().zip(variants).zip(&chart.series[1..])
        {
            let model = PageModel::of(&series.label, inspection, Some(&variant.findings));
            models.push(PageModel { quality: Some(quality(variant)), ..model });
        }
        let linked = Linked::of(reference, variants, comparison, &models);
        let mut layers = linked.layers(found.unwrap_or_default());
        let mut histograms = HistogramSet::all(comparison);
        if comparison.variants.is_empty() {
            histograms = HistogramSet::of_one(reference, &models[0].label);
        }
        linked.hang_up(histograms, &mut layers);
        let findings = models.iter().enumerate().flat_map(|(index, model)| {
            let all = match index {
                0 => found.unwrap_or_default(),
                _ => &comparison.variants[index - 1].findings,
            };
            let of_model: Vec<Finding> = all.iter().filter(|it| linked.is_of_none(it)).cloned().collect();
            Findings::of(&model.label, &of_model, 0)
                .groups
                .into_iter()
                .map(|group| (model.label.clone(), group))
        });
        let findings = findings.collect();
        let row_layers: Vec<Option<usize>> =
            chart.rows.iter().map(|row| Some(linked.place(row.layer_index?))).collect();
        let of_row = |row: Option<usize>| row.and_then(|row| row_layers[row]);
        let first = of_row(chart.worst()).or_else(|| of_row(chart.widest())).unwrap_or(0);
        ModelPage {
            title: one_line(title),
            missing: Vec::new(),
            row_layers,
            layers,
            first,
            findings,
            scales: ActivationScales::of(comparison),
            warnings: all_warnings(&models, reference, variants, comparison),
            notes: notes(comparison),
            models,
            chart,
        }
    }
}

impl ModelPage {
    /// The same, saying that a further model cannot be read, and why.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};
    ///
    /// let go_on = |_| ControlFlow::Continue(());
    /// let model = Inspection::of(&MemorySource::new(), "m.onnx", &Request::default(), &go_on)?;
    /// let page = ModelPage::of("m", &model, None, &[], &ComparisonView::of("m.onnx", Vec::new()));
    /// let page = page.without("models/m_int8.onnx", "the file is cut short");
    /// assert_eq!(page.missing, ["m_int8.onnx cannot be read, and is not shown: the file is cut short"]);
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    #[must_use]
    pub fn without(mut self, path: &str, why: &str) -> Self {
        self.missing.push(format!("{} cannot be read, and is not shown: {}", file_name(path), one_line(why)));
        self
    }

    /// What is on it, in a few words: `3 models, 21 layers`.
    pub fn summary(&self) -> String {
        let many = |many: usize, what: &str| format!("{many} {what}{}", if many == 1 { "" } else { "s" });
        format!("{}, {}", many(self.models.len(), "model"), many(self.layers.len(), "layer"))
    }
}

impl PageModel {
    fn of(label: &str, inspection: &Inspection, found: Option<&[Finding]>) -> Self {
        let header = Header::of(&inspection.model);
        PageModel {
            label: label.to_owned(),
            file: file_name(&inspection.model.path),
            path: header.title,
            facts: header.facts,
            quality: None,
            found: found.map(|found| Findings::of("", found, unread(inspection)).verdict),
        }
    }
}

/// Tensors that nobody could judge: nothing is said of them, not that all is well. Scales that do not fit are a finding.
fn unread(inspection: &Inspection) -> usize {
    let is_lost =
        |it: &&Warning| it.parameter.is_some() && !matches!(it.kind, WarningKind::Odd | WarningKind::Misfit);
    inspection.warnings.iter().filter(is_lost).count()
}

pub(crate) fn file_name(path: &str) -> String {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy());
    one_line(name.as_deref().unwrap_or(path))
}

fn quality(variant: &VariantView) -> String {
    let bits = variant.model.bits_per_weight.map(|bits| format!(" · {bits:.2} bits per weight"));
    let says = match (variant.model.sqnr_db, variant.model.basis) {
        (Some(db), Basis::Weights) => format!("{db:.1} dB, weights only"),
        (Some(db), Basis::Importance) => format!("{db:.1} dB by importance"),
        (Some(db), _) => format!("{db:.1} dB by activations"),
        (None, _) if variant.pairs.is_empty() => "nothing to compare".to_owned(),
        (None, _) => "exact".to_owned(),
    };
    format!("{says}{}", bits.unwrap_or_default())
}

/// Warnings of all models, and what has no counterpart.
fn all_warnings(
    models: &[PageModel],
    reference: &Inspection,
    variants: &[Inspection],
    comparison: &ComparisonView,
) -> Vec<String> {
    let of_model = models.iter().zip([reference].into_iter().chain(variants)).flat_map(|(model, it)| {
        warning_lines(&it.warnings).into_iter().map(move |line| format!("{}: {line}", model.label))
    });
    let unmatched = models[1..].iter().zip(&comparison.variants).flat_map(|(model, variant)| {
        FidelityTable::of(variant).unmatched.into_iter().map(move |line| format!("{}: {line}", model.label))
    });
    of_model.chain(unmatched).collect()
}

fn notes(comparison: &ComparisonView) -> Vec<String> {
    let Some(variant) = comparison.variants.first() else { return Vec::new() };
    FidelityTable::of(variant).notes.into_iter().filter(|note| note.starts_with("dB")).collect()
}

/// What stands for a name in all maps: as it is shown.
pub(crate) fn key(name: &str) -> String {
    one_line(name)
}

/// Models' layers by what they are called.
pub(crate) fn by_name(inspection: &Inspection) -> HashMap<String, usize> {
    let mut by_name = HashMap::new();
    for (index, layer) in inspection.layers.iter().enumerate() {
        by_name.entry(words::layer_name(&layer.name, layer.kind)).or_insert(index);
    }
    by_name
}
