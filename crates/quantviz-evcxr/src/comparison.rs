//! A model beside what was made of it.

use std::sync::Arc;

use quantviz_core::{Compare, Error, Result};
use quantviz_formats::group_models;
use quantviz_html::Fragment;
use quantviz_insight::Lint;
use quantviz_view::{ComparisonView, ModelPage, Request, VariantView};

use crate::measuring::{BINS, telling};
use crate::model::Model;
use crate::parts::{Histogram, Layer, Parameter};
use crate::plain;
use crate::show::{Show, shows_itself};

/// A float model beside its quantized variants, all of it measured. Copies are cheap.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let models = open("../../fixtures/resnet8")?;
/// let all = models.compare()?;
/// let pair = models.model("fp32")?.compare(&models.model("int8")?)?;
/// assert!(format!("{all:?}").starts_with("resnet8: 3 models") && format!("{pair:?}").starts_with("resnet8: 2 models"));
/// assert!(format!("{:?}", all.parameter("fc.weight")?).contains("INT8 of fc.weight: 46.8 dB"));
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
#[derive(Clone)]
pub struct Comparison {
    compared: Arc<Compared>,
}

struct Compared {
    reference: Model,
    view: ComparisonView,
    page: ModelPage,
}

shows_itself!(Comparison);

impl Comparison {
    pub(crate) fn of(reference: &Model, quantized: &[Model]) -> Result<Self> {
        let mut variants = Vec::with_capacity(quantized.len());
        let mut inspections = Vec::with_capacity(quantized.len());
        for model in quantized {
            variants.push(look(reference, model)?);
            inspections.push(model.inspect(&Request::default())?);
        }
        let view = ComparisonView::of(reference.path().to_string_lossy(), variants);
        let inspection = reference.inspect(&Request::default())?;
        let page = ModelPage::of(&title(reference, quantized), &inspection, None, &inspections, &view);
        Ok(Comparison { compared: Arc::new(Compared { reference: reference.clone(), view, page }) })
    }

    /// The names of all layers, in order.
    pub fn layers(&self) -> Vec<String> {
        self.compared.page.layers.iter().map(|layer| layer.name.clone()).collect()
    }

    /// The names of all parameters, in the order of the layers.
    pub fn parameters(&self) -> Vec<String> {
        let rows = self.compared.page.layers.iter().flat_map(|layer| &layer.parameters);
        rows.map(|(_, row)| row.name.clone()).collect()
    }

    /// A layer in all models that have it, or all layers of a module: `layer3` has `layer3.conv1` and `layer3.conv2`.
    ///
    /// # Errors
    /// Where none has this name.
    pub fn layer(&self, name: &str) -> Result<Layer> {
        let layers = self.compared.page.layers_named(name).map_err(|error| self.named(error))?;
        Ok(Layer::of(name, layers.into_iter().cloned().collect()))
    }

    /// A parameter in all models that have it, by its name in any of them: its ranges and scales, and what quantization
    /// cost it.
    ///
    /// # Errors
    /// Where none has this name.
    pub fn parameter(&self, name: &str) -> Result<Parameter> {
        let Compared { page, view, .. } = &*self.compared;
        page.parameter(name, view).map(Parameter::of).map_err(|error| self.named(error))
    }

    /// How the numbers of a weight are spread, and those that its codes stand for, side by side over one axis.
    ///
    /// # Errors
    /// Where none has this name, or it has no histogram.
    pub fn histogram(&self, name: &str) -> Result<Histogram> {
        self.parameter(name)?.histogram().map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        self.compared.reference.named(error)
    }
}

/// What a quantized model cost, and what else is worth knowing of it.
fn look(reference: &Model, quantized: &Model) -> Result<VariantView> {
    if !quantized.is_quantized() {
        let why = "nothing in it is quantized: say `float.compare(&quantized)`, the float model first";
        return Err(quantized.named(Error::unsupported(why)));
    }
    let (from, of) = (reference.source(), quantized.source());
    let path = quantized.path().to_string_lossy();
    let compared = telling(&path, |progress| Compare::new().bins(BINS).run(from, of, progress));
    let compared = compared.map_err(|error| quantized.named(error))?;
    let has_weights = compared.pairs.iter().any(|it| of.model().parameter(it.pair.quantized).is_weight());
    if !has_weights && reference.is_quantized() {
        let why = "it is quantized itself: say `float.compare(&quantized)`, the float model first";
        return Err(reference.named(Error::unsupported(why)));
    }
    let linted = telling(&path, |progress| Lint::new().run_compared(of, &compared, progress));
    let linted = linted.map_err(|error| quantized.named(error))?;
    Ok(VariantView::of(path, from, of, &compared, linted.findings, true))
}

/// What the names of all have in common; that of the first, where they have nothing.
fn title(reference: &Model, quantized: &[Model]) -> String {
    let paths = [reference].into_iter().chain(quantized).map(|model| model.path().to_owned());
    match &group_models(paths)[..] {
        [group] => group.stem.clone(),
        _ => reference.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

impl Show for Comparison {
    fn plain(&self) -> String {
        let Compared { page, view, .. } = &*self.compared;
        plain::comparison(page, view)
    }

    fn html(&self, name: &str) -> String {
        Fragment::of(&self.compared.page, name).html().to_owned()
    }
}
