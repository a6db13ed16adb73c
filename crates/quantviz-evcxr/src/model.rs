//! A model that was opened.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ndarray::ArrayD;
use quantviz_core::{Error, ErrorKind, ParameterId, ParameterSource, Result, SourceExt};
use quantviz_formats::BoxedSource;
use quantviz_html::Fragment;
use quantviz_insight::{Finding, Lint};
use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};

use crate::measuring::{BINS, telling};
use crate::parts::{Histogram, Layer, Parameter};
use crate::show::{Show, shows_itself};
use crate::{Comparison, plain};

/// A model. Opening it reads no values; showing it does, once. Copies are cheap and of the same model.
///
/// ```
/// use quantviz_evcxr::open;
///
/// let int8 = open("../../fixtures/resnet8")?.model("int8")?;
/// let (codes, values) = (int8.codes("fc.weight_quantized")?, int8.values("fc.weight_quantized")?);
/// let scale = f64::from(values[[0, 0]]) / codes[[0, 0]];
/// assert!((scale - 0.001941).abs() < 1e-6);
/// assert!(format!("{:?}", int8.parameter("fc.weight_quantized")?).contains("0.001941"));
/// # Ok::<(), quantviz_evcxr::Error>(())
/// ```
#[derive(Clone)]
pub struct Model {
    opened: Arc<Opened>,
}

struct Opened {
    path: PathBuf,
    source: BoxedSource,
    page: OnceLock<Result<ModelPage>>,
}

shows_itself!(Model);

impl Model {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let source = quantviz_formats::open(path).map_err(|error| error.in_file(path))?;
        Ok(Model { opened: Arc::new(Opened { path: path.to_owned(), source, page: OnceLock::new() }) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.opened.path
    }

    /// The model as the libraries below this one know it: everything that they can do, can be done with it.
    pub fn source(&self) -> &(dyn ParameterSource + Send + Sync) {
        &*self.opened.source
    }

    /// The names of its layers, in order.
    pub fn layers(&self) -> Vec<String> {
        self.source().model().layers.iter().map(|layer| layer.name.clone()).collect()
    }

    /// The names of its parameters, in the order of the file.
    pub fn parameters(&self) -> Vec<String> {
        self.source().model().parameters.iter().map(|parameter| parameter.name.clone()).collect()
    }

    /// A layer with its parameters, or all layers of a module: `layer3` has `layer3.conv1` and `layer3.conv2`. Graphs often
    /// call their nodes otherwise; then it is what the names of parameters begin with.
    ///
    /// # Errors
    /// Where none has this name.
    pub fn layer(&self, name: &str) -> Result<Layer> {
        let page = self.part(Request { layers: vec![name.to_owned()], ..Request::default() })?;
        Ok(Layer::of(name, page.layers))
    }

    /// A parameter: its range, scales and zero-points.
    ///
    /// # Errors
    /// Where none has this name, or it cannot be read.
    pub fn parameter(&self, name: &str) -> Result<Parameter> {
        let page = self.part(Request { parameters: vec![name.to_owned()], ..Request::default() })?;
        let parameter = page.parameter(name, &alone(self.path()));
        parameter.map(Parameter::of).map_err(|error| self.named(error))
    }

    /// How the numbers of a weight or a bias are spread; its codes, where it is quantized.
    ///
    /// # Errors
    /// Where none has this name, it cannot be read, or has no histogram.
    pub fn histogram(&self, name: &str) -> Result<Histogram> {
        self.parameter(name)?.histogram().map_err(|error| self.named(error))
    }

    /// The numbers of a parameter: those that its codes stand for, where it is quantized.
    ///
    /// # Errors
    /// Where none has this name, or it cannot be read.
    pub fn values(&self, name: &str) -> Result<ArrayD<f32>> {
        self.source().real_array(self.id(name)?).map_err(|error| self.named(error))
    }

    /// The codes of a quantized parameter, one for each element, whatever they are packed into.
    ///
    /// # Errors
    /// Where none has this name, it is not quantized, or cannot be read.
    pub fn codes(&self, name: &str) -> Result<ArrayD<f64>> {
        self.source().code_array(self.id(name)?).map_err(|error| self.named(error))
    }

    /// What was made of this model, beside it: `float.compare(&int8)`.
    ///
    /// # Errors
    /// Where nothing in `quantized` is quantized, or one of them cannot be read.
    pub fn compare(&self, quantized: &Model) -> Result<Comparison> {
        Comparison::of(self, std::slice::from_ref(quantized))
    }

    pub(crate) fn is_quantized(&self) -> bool {
        self.source().model().parameters.iter().any(|it| it.quantization.is_some())
    }

    /// Measures it all, without histograms where they come from elsewhere.
    pub(crate) fn inspect(&self, request: &Request) -> Result<Inspection> {
        let path = self.path().to_string_lossy();
        let inspection = telling(&path, |progress| Inspection::of(self.source(), &*path, request, progress));
        inspection.map_err(|error| self.named(error))
    }

    /// The error, with the file, and with what lists the names that there are.
    pub(crate) fn named(&self, error: Error) -> Error {
        let error = match error.kind() {
            ErrorKind::UnknownName => {
                let hint = "`.layers()` and `.parameters()` list all names";
                Error::new(error.kind(), format!("{}; {hint}", error.message()))
            }
            _ => error,
        };
        error.in_file(self.path())
    }

    /// A part of it, measured by itself: what a weight is like takes no look at the others.
    fn part(&self, request: Request) -> Result<ModelPage> {
        let inspection = self.inspect(&Request { bins: Some(BINS), ..request })?;
        Ok(self.page_of(&inspection, None))
    }

    fn page_of(&self, inspection: &Inspection, found: Option<&[Finding]>) -> ModelPage {
        let title = self.path().file_name().unwrap_or_default().to_string_lossy();
        ModelPage::of(&title, inspection, found, &[], &alone(self.path()))
    }

    /// All of it, measured once.
    fn page(&self) -> Result<&ModelPage> {
        let measure = || {
            let inspection = self.inspect(&Request { bins: Some(BINS), ..Request::default() })?;
            let found = self.is_quantized().then(|| self.lint()).transpose()?;
            Ok(self.page_of(&inspection, found.as_deref()))
        };
        self.opened.page.get_or_init(measure).as_ref().map_err(Error::clone)
    }

    fn lint(&self) -> Result<Vec<Finding>> {
        let path = self.path().to_string_lossy();
        let linted = telling(&path, |progress| Lint::new().run(self.source(), progress));
        linted.map(|it| it.findings).map_err(|error| self.named(error))
    }

    fn id(&self, name: &str) -> Result<ParameterId> {
        let model = self.source().model();
        let request = Request { parameters: vec![name.to_owned()], ..Request::default() };
        request.check(model).map_err(|error| self.named(error))?;
        let unknown =
            || self.named(Error::new(ErrorKind::UnknownName, format!("no parameter is named {name:?}")));
        model.parameter_named(name).ok_or_else(unknown)
    }
}

/// That there is nothing to compare a model with.
fn alone(path: &Path) -> ComparisonView {
    ComparisonView::of(path.to_string_lossy(), Vec::new())
}

impl Show for Model {
    fn plain(&self) -> String {
        match self.page() {
            Ok(page) => plain::page(page),
            Err(error) => error.plain(),
        }
    }

    fn html(&self, name: &str) -> String {
        match self.page() {
            Ok(page) => Fragment::of(page, name).html().to_owned(),
            Err(error) => error.html(name),
        }
    }
}
