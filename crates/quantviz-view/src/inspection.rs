//! Everything that is to be said of one model: what `quantviz inspect --json` prints.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use quantviz_core::{
    Activation, DType, Error, Format, Layer, LayerKind, Model, Operand, Parameter, ParameterSource, Progress,
    Result, Scan, SourceExt, Warning,
};
use serde::{Deserialize, Serialize};

use crate::group::Place;
use crate::oddities::{Oddities, no_parameters};
use crate::parameter::{ParameterView, finite, names};
use crate::request::{Request, Selection};

/// A model with its layers and parameters measured: the schema `quantviz.inspect/1`. Every field is always there; what
/// does not apply, and what no JSON number expresses, is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The name and the version of this shape of data.
    pub schema: String,
    /// The model as a whole.
    pub model: ModelView,
    /// Its layers, in order.
    pub layers: Vec<LayerView>,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<ParameterView>,
    /// What was odd or could not be read.
    pub warnings: Vec<Warning>,
}

/// A model as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelView {
    /// The path, as it was given.
    pub path: String,
    /// The format, where it is known.
    pub format: Option<Format>,
    /// The bytes of all files, shards and external data included.
    pub file_bytes: Option<u64>,
    /// Numbers that training has set.
    pub parameter_count: Option<u64>,
    /// The program that wrote it.
    pub producer: Option<String>,
    /// What else the file says of itself.
    pub metadata: BTreeMap<String, String>,
    /// Which of the variants of a model it is, if a folder was looked at.
    #[serde(flatten)]
    pub place: Place,
    /// Why nothing else is known of it, where it cannot be read.
    pub error: Option<String>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerView {
    /// The node's name or the module's path.
    pub name: String,
    /// The operator or the class.
    pub op: Option<String>,
    /// A node of a graph, or a module that owns parameters.
    pub kind: LayerKind,
    /// The names of its parameters.
    pub parameters: Vec<String>,
    /// Whether a parameter or an activation of it is quantized.
    pub quantized: bool,
    /// What it makes, where its quantization is fixed.
    pub activations: Vec<ActivationView>,
}

/// A quantized activation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActivationView {
    /// The name of the float value.
    pub tensor: String,
    /// Its scale, if it is one number.
    pub scale: Option<f64>,
    /// Its zero-point, if it is one number.
    pub zero_point: Option<f64>,
    /// The type of its codes.
    pub dtype: DType,
    /// The smallest and the largest code, where the type has such.
    pub code_range: Option<[f64; 2]>,
    /// The names of the parameters that hold its scale and its zero-point.
    pub parameters: Vec<String>,
}

impl Inspection {
    /// The version of the data that [`Inspection`] serializes to.
    pub const SCHEMA: &str = "quantviz.inspect/1";

    /// Measures a model. `progress` hears how far it has come and ends it by breaking.
    ///
    /// # Errors
    /// Where `request` names a parameter or a layer that is not there, or a parameter that cannot be read.
    pub fn of(
        source: &(dyn ParameterSource + Sync),
        path: impl Into<String>,
        request: &Request,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Self> {
        let model = source.model();
        let selection = Selection::of(model, request)?;
        let layers = selection.layers.iter().map(|&id| LayerView::of(model, model.layer(id))).collect();
        let mut parameters = Vec::with_capacity(selection.parameters.len());
        let measured = measure(source, &selection, request, progress, &mut |view| parameters.push(view))?;
        let (schema, model) = (Self::SCHEMA.to_owned(), ModelView::of(model, path));
        let inspection = Inspection { schema, model, layers, parameters, warnings: measured.warnings };
        measured.unreadable.map_or(Ok(inspection), Err)
    }

    /// A file of a folder that could not be opened, and why.
    pub fn unreadable(path: impl Into<String>, format: Option<Format>, error: &Error) -> Self {
        let path = path.into();
        let message = error.line_within(Some(Path::new(&path)), None);
        let warning = Warning::general(error.kind().into(), &message);
        let model = ModelView {
            path,
            format,
            file_bytes: None,
            parameter_count: None,
            producer: None,
            metadata: BTreeMap::new(),
            place: Place::default(),
            error: Some(message),
        };
        Inspection {
            schema: Self::SCHEMA.to_owned(),
            model,
            layers: Vec::new(),
            parameters: Vec::new(),
            warnings: vec![warning],
        }
    }
}

/// What is known once all parameters are measured.
pub(crate) struct Outcome {
    pub(crate) warnings: Vec<Warning>,
    /// Why a parameter that was asked for by name cannot be read.
    pub(crate) unreadable: Option<Error>,
}

/// Measures the parameters that are selected; `each` is given them in order.
pub(crate) fn measure(
    source: &(dyn ParameterSource + Sync),
    selection: &Selection,
    request: &Request,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    each: &mut dyn FnMut(ParameterView),
) -> Result<Outcome> {
    let model = source.model();
    let mut scan = Scan::new().only(selection.parameters.iter().copied());
    scan = request.bins.map_or(scan.clone(), |bins| scan.bins(bins));
    scan = request.threads.map_or(scan.clone(), |threads| scan.threads(threads));
    let shown: HashMap<_, _> = selection.layers.iter().enumerate().map(|(index, &id)| (id, index)).collect();
    let mut oddities = Oddities::of(model);
    let mut unreadable = None;
    source.scan_each(&scan, progress, &mut |mut measured| {
        let parameter = model.parameter(measured.parameter);
        oddities.note(parameter, &measured);
        let is_wanted = request.parameters.contains(&parameter.name);
        let error = measured.error.take().filter(|_| is_wanted);
        unreadable = unreadable.take().or(error.map(|error| explained(model, parameter, error)));
        let layer_index = parameter.layer.and_then(|layer| shown.get(&layer).copied());
        each(ParameterView::of(model, parameter, layer_index, measured));
    })?;
    let mut warnings = known_warnings(model);
    warnings.extend(oddities.into_warnings());
    Ok(Outcome { warnings, unreadable })
}

impl ModelView {
    pub(crate) fn of(model: &Model, path: impl Into<String>) -> Self {
        ModelView {
            path: path.into(),
            format: Some(model.format),
            file_bytes: Some(model.file_bytes),
            parameter_count: Some(model.parameter_count()),
            producer: model.producer.clone(),
            metadata: model.metadata.clone(),
            place: Place::default(),
            error: None,
        }
    }
}

/// What is odd about a model before a value is read.
pub(crate) fn known_warnings(model: &Model) -> Vec<Warning> {
    model.warnings.iter().cloned().chain(no_parameters(model)).collect()
}

/// The error of a scan, or what the reader has said of it: it knows more.
fn explained(model: &Model, parameter: &Parameter, error: Error) -> Error {
    let is_same =
        |it: &&Warning| it.parameter.as_ref() == Some(&parameter.name) && it.kind == error.kind().into();
    match model.warnings.iter().find(is_same) {
        Some(warning) => Error::new(error.kind(), &warning.message).in_tensor(&parameter.name),
        None => error,
    }
}

impl LayerView {
    pub(crate) fn of(model: &Model, layer: &Layer) -> Self {
        let parameters = || layer.parameters.iter().map(|&id| model.parameter(id));
        LayerView {
            name: layer.name.clone(),
            op: layer.op.clone(),
            kind: layer.kind,
            parameters: parameters().map(|parameter| parameter.name.clone()).collect(),
            quantized: !layer.activations.is_empty() || parameters().any(|it| it.quantization.is_some()),
            activations: layer.activations.iter().map(|it| ActivationView::of(model, it)).collect(),
        }
    }
}

impl ActivationView {
    pub(crate) fn of(model: &Model, activation: &Activation) -> Self {
        let one = |operand: &Operand| match operand {
            Operand::One { value, .. } => finite(Some(*value)),
            _ => None,
        };
        ActivationView {
            tensor: activation.tensor.clone(),
            scale: one(&activation.scale),
            zero_point: activation.zero_point.as_ref().and_then(one),
            dtype: activation.dtype,
            code_range: activation.code_range.map(|(low, high)| [low, high]),
            parameters: names(model, &activation.parameters()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};
    use quantviz_core::{Encoding, Granularity, MemorySource, ParameterId, QuantDescriptor};

    use super::*;

    fn inspection() -> Inspection {
        let scale = Operand::Parameter(ParameterId::new(0).expect("small"));
        let per_row = QuantDescriptor::of_stored(
            Encoding::Other,
            "a test",
            DType::I8,
            Granularity::Axis(0),
            scale,
            None,
        );
        let source = MemorySource::new()
            .with("scale", arr1(&[0.1f32, f32::NAN]))
            .with("codes", arr2(&[[1i8, 2], [3, 4]]))
            .quantized(per_row.expect("i8 holds codes"))
            .expect("two rows")
            .with("large", arr1(&[f64::MAX, f64::MIN, 1.0 / 3.0]))
            .with("nothing", arr1::<f32>(&[]));
        let request = Request { bins: Some(3), ..Request::default() };
        Inspection::of(&source, "m", &request, &|_| ControlFlow::Continue(())).expect("all can be read")
    }

    /// What is written can be read back, and says the same.
    #[test]
    fn there_and_back() {
        let error = Error::malformed("odd").in_file("shard").at_byte(3);
        for inspection in [inspection(), Inspection::unreadable("m", Some(Format::Onnx), &error)] {
            let text = serde_json::to_string(&inspection).expect("it can be written");
            let read: Inspection = serde_json::from_str(&text).expect("it can be read");
            assert_eq!(read, inspection);
        }
    }

    #[test]
    fn what_cannot_be_read_says_where_and_why() {
        let error = Error::not_found("no such file or folder").in_file("folder/shard-2").in_tensor("w");
        let inspection = Inspection::unreadable("folder/index.json", None, &error);
        let why = "folder/shard-2: w: no such file or folder";
        assert_eq!(inspection.model.error.as_deref(), Some(why));
        assert_eq!(inspection.warnings[0].message, why);
        let own = Inspection::unreadable("a", None, &Error::malformed("odd").in_file("a").at_byte(7));
        assert_eq!(own.model.error.as_deref(), Some("byte 7: odd"));
    }

    #[test]
    fn scales_that_are_no_numbers_are_counted() {
        let codes = &inspection().parameters[1];
        let scale = codes.quantization.as_ref().and_then(|it| it.scale.as_ref()).expect("it is quantized");
        assert_eq!((scale.count, scale.finite, scale.nan), (2, 1, 1));
    }
}
