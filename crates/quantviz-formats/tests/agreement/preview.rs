//! The codes that a preview gives a float model, against those of the quantizer that a scheme is named for.

use std::path::Path;

use quantviz_core::{
    Clip, Model, ParameterId, ParameterSource, Part, Preview, PreviewScheme, Role, SourceExt, quantizable,
};

/// The cases that a quantizer wrote of a float model beside them, and the scheme it followed.
const SCHEMES: &[(&str, &str)] = &[
    ("qdq-i8", "int8"),
    ("qdq-i8-channels", "int8-channel"),
    ("qdq-u8", "uint8"),
    ("qdq-i4", "int4-ort-channel"),
    ("qdq-transformer", "int8"),
    ("qdq-transformer-channels", "int8-channel"),
    ("qdq-wide", "int8"),
    ("qdq-wide-channels", "int8-channel"),
    ("qdq-wide-u8", "uint8"),
    ("operators-i8", "int8"),
    ("operators-u8", "uint8"),
    ("operators-channels", "int8-channel"),
    // Where there is Q/DQ, or a convolution, codes per channel are symmetric.
    ("operators-wide-u8-channels", "uint8-channel"),
    ("dynamic-i8", "int8"),
    ("dynamic-u8", "uint8"),
    ("nbits-4", "int4-block32"),
    ("nbits-4-asymmetric", "int4-block16-asym"),
    ("nbits-8", "int8-block32"),
    ("nbits-wide", "int4-block32"),
    ("nbits-wide-128", "int4-block128"),
    ("nbits-wide-asymmetric", "int4-block32-asym"),
    ("bnb4-nf4", "nf4-block32"),
];

/// Everything that differs, and how many codes were compared.
pub(crate) fn check_cases(folder: &Path) -> (Vec<String>, usize) {
    let (mut mismatches, mut compared) = (Vec::new(), 0);
    for (case, scheme) in SCHEMES {
        match check_case(&folder.join(format!("onnx-written-{case}")), scheme) {
            Ok(codes) => compared += codes,
            Err(message) => mismatches.push(format!("{case} as {scheme}: {message}")),
        }
    }
    (mismatches, compared)
}

fn check_case(folder: &Path, scheme: &str) -> Result<usize, String> {
    let text = |error: quantviz_core::Error| error.to_string();
    let float = quantviz_formats::open(folder.join("float.onnx")).map_err(text)?;
    let quantized = quantviz_formats::open(folder.join("model.onnx")).map_err(text)?;
    let scheme: PreviewScheme = scheme.parse().map_err(text)?;
    let preview = Preview::of([scheme]).clip(Clip::Nothing);
    let mut compared = 0;
    for weight in quantizable(float.model(), &[]).map_err(text)? {
        let parameter = float.model().parameter(weight.parameter);
        // What is gathered from, static quantization takes for an activation.
        if parameter.role == Role::Embedding {
            continue;
        }
        // Not every quantizer takes every weight.
        let Some(twin) = twin(quantized.model(), &parameter.name) else { continue };
        let encoded = preview.encode(&*float, weight.parameter, scheme).map_err(text)?;
        let found: Vec<f64> = encoded.codes.iter().copied().map(f64::from).collect();
        let expected = quantized.values(twin, Part::Codes).map_err(text)?;
        let found = match parameter.shape.dims() {
            // Blocks lie along rows there.
            [rows, columns]
                if quantized.model().parameter(twin).logical_shape().dims() == [*columns, *rows] =>
            {
                transposed(&found, *rows as usize, *columns as usize)
            }
            _ => found,
        };
        if found.len() != expected.len() {
            return Err(format!("{}: {} codes instead of {}", parameter.name, found.len(), expected.len()));
        }
        let differing = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
        if differing > 0 {
            return Err(format!("{}: {differing} of {} codes differ", parameter.name, found.len()));
        }
        compared += found.len();
    }
    if compared == 0 { Err("nothing was compared".to_owned()) } else { Ok(compared) }
}

/// What a quantizer made of the weight of this name: it begins with that.
fn twin(model: &Model, name: &str) -> Option<ParameterId> {
    model.parameter_ids().find(|&id| {
        let parameter = model.parameter(id);
        parameter.quantization.is_some()
            && parameter.name.strip_prefix(name).is_some_and(|end| !end.starts_with(char::is_alphanumeric))
            && parameter.role == Role::Weight
    })
}

fn transposed(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..values.len()).map(|index| values[index % rows * columns + index / rows]).collect()
}
