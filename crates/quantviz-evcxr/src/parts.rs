//! Parts of a model, or of a comparison: a layer, a parameter, a histogram.

use quantviz_core::Result;
use quantviz_draw::{Counts, Values};
use quantviz_html::Fragment;
use quantviz_view::{HistogramSet, PageLayer, PageParameter};

use crate::plain;
use crate::show::{Show, shows_itself};

/// A layer, in one model or in several, or all layers of a module.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let fc = open("../../fixtures/resnet8")?.compare()?.layer("fc")?;
/// assert!(format!("{fc:?}").starts_with("node_linear Gemm · 46.8 dB · INT8, UINT8"));
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
#[derive(Clone)]
pub struct Layer {
    title: String,
    layers: Vec<PageLayer>,
}

/// A parameter, in one model or in several.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let weight = open("../../fixtures/resnet8/resnet8_int8.onnx")?.parameter("fc.weight_quantized")?;
/// assert!(format!("{weight:?}").starts_with("fc.weight_quantized · node_linear Gemm"));
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
#[derive(Clone)]
pub struct Parameter {
    shown: PageParameter,
}

/// How the numbers of a weight are spread, in one model or side by side.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let histogram = open("../../fixtures/resnet8")?.compare()?.histogram("fc.weight")?;
/// assert!(format!("{:?}", histogram.log().codes()).contains("codes occur"));
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
#[derive(Clone)]
pub struct Histogram {
    set: HistogramSet,
    values: Values,
    counts: Counts,
}

shows_itself!(Layer);
shows_itself!(Parameter);
shows_itself!(Histogram);

impl Layer {
    pub(crate) fn of(title: &str, layers: Vec<PageLayer>) -> Self {
        Layer { title: title.to_owned(), layers }
    }
}

impl Parameter {
    pub(crate) fn of(shown: PageParameter) -> Self {
        Parameter { shown }
    }

    /// How its numbers are spread.
    ///
    /// # Errors
    /// Where it has no histogram: it is no weight or bias, or all its numbers are equal.
    pub fn histogram(&self) -> Result<Histogram> {
        let set = self.shown.histogram()?.clone();
        Ok(Histogram { set, values: Values::Real, counts: Counts::Even })
    }
}

impl Histogram {
    /// The same with the height of bars by the logarithm of counts, which shows what is rare.
    #[must_use]
    pub fn log(self) -> Self {
        Histogram { counts: Counts::Log, ..self }
    }

    /// The same of codes, where there are such, instead of the numbers that they stand for.
    #[must_use]
    pub fn codes(self) -> Self {
        Histogram { values: Values::Codes, ..self }
    }
}

impl Show for Layer {
    fn plain(&self) -> String {
        self.layers.iter().map(plain::layer).collect::<Vec<_>>().join("\n")
    }

    fn html(&self, name: &str) -> String {
        Fragment::of_layers(&self.title, &self.layers, name).html().to_owned()
    }
}

impl Show for Parameter {
    fn plain(&self) -> String {
        plain::parameter(&self.shown)
    }

    fn html(&self, name: &str) -> String {
        Fragment::of_parameter(&self.shown, name).html().to_owned()
    }
}

impl Show for Histogram {
    fn plain(&self) -> String {
        plain::histogram(&self.set, self.values, self.counts)
    }

    fn html(&self, name: &str) -> String {
        Fragment::of_histograms(&self.set, self.values, self.counts, name).html().to_owned()
    }
}
