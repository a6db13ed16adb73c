//! A part of a page: layers or one parameter, by name.

use std::collections::HashSet;

use quantviz_core::{Error, Result, one_line};

use crate::channel_strip::ChannelStrip;
use crate::comparison::ComparisonView;
use crate::histogram_set::HistogramSet;
use crate::model_page::ModelPage;
use crate::nearest::unknown;
use crate::page_layer::{PageLayer, PageMeasure};
use crate::request::module_of;
use crate::table::Row;

/// One parameter, in all models that have it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PageParameter {
    /// Its name: that in the reference, where it has one.
    pub name: String,
    /// The layer it belongs to.
    pub layer: String,
    /// The operator of that layer.
    pub op: String,
    /// What each model that has it says of it, with what the model is called.
    pub rows: Vec<(String, Row)>,
    /// What quantization cost it in each variant.
    pub measures: Vec<PageMeasure>,
    /// How its numbers are spread, where there are such pictures: more than one where variants were made of numbers that
    /// differ.
    pub histograms: Vec<HistogramSet>,
    /// What quantization cost each channel.
    pub channels: Vec<ChannelStrip>,
}

impl ModelPage {
    /// The layers of this name; those inside the module of this name, where no layer has it; else those whose parameters
    /// begin with it.
    ///
    /// # Errors
    /// [`UnknownName`](quantviz_core::ErrorKind::UnknownName), with the nearest name that is there.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};
    ///
    /// let source = MemorySource::new().with("block.fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// let model = Inspection::of(&source, "m", &Request::default(), &|_| ControlFlow::Continue(()))?;
    /// let page = ModelPage::of("m", &model, None, &[], &ComparisonView::of("m", Vec::new()));
    /// assert_eq!(page.layers_named("block")?[0].name, "block.fc");
    /// assert!(page.layers_named("blok.fc").unwrap_err().to_string().contains("block.fc"));
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn layers_named(&self, name: &str) -> Result<Vec<&PageLayer>> {
        let wanted = one_line(name);
        let is_inside =
            |all: &str| all.strip_prefix(&*wanted).is_some_and(|rest| rest.starts_with(['.', '/']));
        let has_inside = |layer: &PageLayer| layer.parameters.iter().any(|(_, row)| is_inside(&row.name));
        let chosen = |is_meant: &dyn Fn(&PageLayer) -> bool| -> Vec<&PageLayer> {
            self.layers.iter().filter(|layer| is_meant(layer)).collect()
        };
        let ways: [&dyn Fn(&PageLayer) -> bool; 3] =
            [&|layer| layer.name == wanted, &|layer| is_inside(&layer.name), &has_inside];
        let found = ways.into_iter().map(chosen).find(|layers| !layers.is_empty());
        found.ok_or_else(|| {
            let layers = self.layers.iter().map(|layer| layer.name.as_str());
            let parameters = self.layers.iter().flat_map(|layer| &layer.parameters);
            unknown("layer", name, layers.chain(parameters.filter_map(|(_, row)| module_of(&row.name))))
        })
    }

    /// A parameter by its name in any of the models. `comparison` is that of this page, and says what was made of what.
    ///
    /// # Errors
    /// [`UnknownName`](quantviz_core::ErrorKind::UnknownName), with the nearest name that is there.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use quantviz_core::MemorySource;
    /// use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};
    ///
    /// let source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
    /// let model = Inspection::of(&source, "m", &Request::default(), &|_| ControlFlow::Continue(()))?;
    /// let alone = ComparisonView::of("m", Vec::new());
    /// let page = ModelPage::of("m", &model, None, &[], &alone);
    /// assert_eq!(page.parameter("fc.weight", &alone)?.rows[0].1.shape, "2×2");
    /// # Ok::<(), quantviz_core::Error>(())
    /// ```
    pub fn parameter(&self, name: &str, comparison: &ComparisonView) -> Result<PageParameter> {
        let wanted = one_line(name);
        let pairs = || comparison.variants.iter().flat_map(|variant| &variant.pairs);
        let reference = pairs().find(|pair| one_line(&pair.quantized) == wanted && pair.reference != name);
        // What the reference itself has by this name is meant before what a variant calls so.
        let is_of_reference = || pairs().any(|pair| pair.reference == name);
        let reference = reference.filter(|_| !is_of_reference());
        let name_of_all = reference.map_or(wanted, |pair| one_line(&pair.reference));
        let made = pairs().filter(|pair| one_line(&pair.reference) == name_of_all);
        let mut names: HashSet<String> = made.map(|pair| one_line(&pair.quantized)).collect();
        names.insert(name_of_all.clone());
        let has_it = |layer: &&PageLayer| layer.parameters.iter().any(|(_, row)| row.name == name_of_all);
        let Some(layer) = self.layers.iter().find(has_it) else {
            let known = self.layers.iter().flat_map(|layer| &layer.parameters);
            return Err(unknown("parameter", name, known.map(|(_, row)| row.name.as_str())));
        };
        Ok(PageParameter {
            layer: layer.name.clone(),
            op: layer.op.clone(),
            rows: layer.parameters.iter().filter(|(_, row)| names.contains(&row.name)).cloned().collect(),
            measures: layer.measures.iter().filter(|it| it.row.name == name_of_all).cloned().collect(),
            histograms: layer.histograms.iter().filter(|it| it.title == name_of_all).cloned().collect(),
            channels: layer.channels.iter().filter(|it| it.parameter == name_of_all).cloned().collect(),
            name: name_of_all,
        })
    }
}

impl PageParameter {
    /// Its histograms, all models side by side.
    ///
    /// # Errors
    /// Where there is no picture of it: a scale is none of its layer's numbers, and equal numbers have no range.
    pub fn histogram(&self) -> Result<&HistogramSet> {
        let why = "there is no histogram of it: it is no weight or bias, or all its numbers are equal";
        self.histograms.first().ok_or_else(|| Error::unsupported(why).in_tensor(&self.name))
    }
}
