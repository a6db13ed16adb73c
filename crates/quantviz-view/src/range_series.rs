//! The models whose ranges stand beside each other, and what they are called there.

use quantviz_core::{Role, one_line};
use serde::Serialize;

use crate::comparison::ComparisonView;
use crate::inspection::Inspection;
use crate::parameter::ParameterView;
use crate::told_apart::told_apart;

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RangeSeries {
    /// What most of its weights are: `FP32`, `INT8`; with the name of the file where several are the same.
    pub label: String,
    /// The path.
    pub model: String,
}

impl RangeSeries {
    /// The reference, then its variants.
    pub(crate) fn all(reference: &Inspection, comparison: &ComparisonView) -> Vec<Self> {
        let is_weight = |it: &&ParameterView| it.role == Role::Weight;
        let of_reference = reference.parameters.iter().filter(is_weight).map(ParameterView::type_label);
        let series =
            |labels: Vec<String>, path: &str| RangeSeries { label: most(labels), model: one_line(path) };
        let variants = comparison.variants.iter().map(|variant| {
            let weights = variant.pairs.iter().filter(|pair| pair.role != Role::Bias);
            series(weights.map(|pair| pair.label.clone()).collect(), &variant.path)
        });
        let reference = series(of_reference.collect(), &comparison.reference);
        let mut all: Vec<RangeSeries> = [reference].into_iter().chain(variants).collect();
        let labels = told_apart(all.iter().map(|it| (it.label.as_str(), it.model.as_str())));
        all.iter_mut().zip(labels).for_each(|(series, label)| series.label = label);
        all
    }
}

/// The text that occurs most often; of several, the first.
fn most(texts: Vec<String>) -> String {
    let times = |text: &String| texts.iter().filter(|it| *it == text).count();
    let mut distinct: Vec<&String> = Vec::new();
    texts.iter().for_each(|text| {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    });
    distinct.into_iter().rev().max_by_key(|text| times(text)).cloned().unwrap_or_default()
}
