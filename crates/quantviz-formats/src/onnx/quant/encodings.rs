//! AIMET's `model.encodings` beside `model.onnx`: scales of a float model that is quantized elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use quantviz_core::{
    Activation, DType, DTypeClass, Encoding, Granularity, Operand, ParameterId, QuantDescriptor, Shape,
    Warning, WarningKind,
};
use serde::Deserialize;

use super::annotations::axis_of;
use crate::file::ModelFile;
use crate::onnx::graph::{Graph, Layers};
use crate::onnx::tensor::{Listed, Tensors};

/// Bytes of such a file that are read.
const MOST_BYTES: u64 = 16 << 20;

pub(super) fn describe<'a>(model: &Path, graph: &Graph<'a>, layers: &mut Layers<'a>, tensors: &mut Tensors) {
    let path = model.with_extension("encodings");
    if !path.is_file() {
        return;
    }
    let file = match read(&path) {
        Ok(file) => file,
        Err(reason) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let message = quantviz_core::one_line(&format!("{name}: {reason}"));
            tensors.warnings.push(Warning::general(WarningKind::Unsupported, message));
            return;
        }
    };
    for (name, quantizer) in file.param_encodings.named() {
        let Some(id) = graph.constant(&name) else { continue };
        if tensors.parameters[id.index()].quantization.is_some() {
            continue;
        }
        if let Err(message) = quantizer.and_then(|quantizer| describe_parameter(id, quantizer, tensors)) {
            tensors.warn_undescribed(id, message);
        }
    }
    for (name, quantizer) in file.activation_encodings.named() {
        let Some(maker) = layers.maker(&name) else { continue };
        let Ok(Quantizer { scales, offsets, dtype }) = quantizer else { continue };
        if let ([scale], [offset]) = (&scales[..], &offsets[..]) {
            let one = |value: f64| Operand::One { value, parameter: None };
            let activation = Activation::new(name, dtype, one(*scale), Some(one(-offset)));
            layers.list[maker.index()].activations.push(activation);
        }
    }
}

fn read(path: &Path) -> Result<Encodings, String> {
    let bytes = ModelFile::open(path).and_then(|file| file.read_all(MOST_BYTES));
    let bytes = bytes.map_err(|error| error.message().to_owned())?;
    serde_json::from_slice(&bytes)
        .map_err(|error| format!("these are no encodings of AIMET 0.6 or 1.0: {error}"))
}

fn describe_parameter(id: ParameterId, quantizer: Quantizer, tensors: &mut Tensors) -> Result<(), String> {
    let parameter = &mut tensors.parameters[id.index()];
    if parameter.dtype.class() != DTypeClass::Float || parameter.dtype.bits() < Some(16) {
        return Err(format!("it has encodings, but {} is not what they are for", parameter.dtype));
    }
    let granularity = match quantizer.scales.len() as u64 {
        1 => Granularity::Tensor,
        // Channels come first; of a matrix on its side, last.
        count if parameter.shape.dims().first() == Some(&count) => Granularity::Axis(0),
        count => axis_of(&parameter.shape, &Shape::vector(count))?,
    };
    let descriptor = QuantDescriptor::of_stored(
        Encoding::Other,
        "AIMET",
        quantizer.dtype,
        granularity,
        Operand::Packed,
        Some(Operand::Packed),
    );
    let mut descriptor = descriptor.ok_or("its encodings are of no known type")?;
    descriptor.computed = Some(quantizer.dtype);
    parameter.quantization = Some(descriptor);
    let zero_points = quantizer.offsets.iter().map(|offset| -offset).collect();
    tensors.list_scales(id, Listed { scales: quantizer.scales, zero_points });
    Ok(())
}

#[derive(Deserialize)]
struct Encodings {
    param_encodings: Entries,
    activation_encodings: Entries,
}

/// By name up to version 0.6, as a list from 1.0 on.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entries {
    ByName(BTreeMap<String, Vec<Channel>>),
    List(Vec<Entry>),
}

#[derive(Deserialize)]
struct Channel {
    bitwidth: u32,
    dtype: Option<String>,
    /// Missing of floats.
    scale: Option<f64>,
    offset: Option<f64>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    bw: u32,
    dtype: String,
    enc_type: Option<String>,
    #[serde(default)]
    scale: Vec<f64>,
    #[serde(default)]
    offset: Vec<f64>,
}

/// `scale · (code + offset)`, where codes begin at zero.
struct Quantizer {
    scales: Vec<f64>,
    offsets: Vec<f64>,
    dtype: DType,
}

impl Quantizer {
    fn new(dtype: &str, bits: u32, scales: Vec<f64>, offsets: Vec<f64>) -> Result<Self, String> {
        let stored = match bits {
            2 => DType::U2,
            4 => DType::U4,
            8 => DType::U8,
            16 => DType::U16,
            32 => DType::U32,
            _ => return Err(format!("encodings of {bits} bits are not supported")),
        };
        if !dtype.eq_ignore_ascii_case("int") {
            return Err(format!("encodings of type {dtype} are not supported"));
        }
        if scales.is_empty() || offsets.len() != scales.len() {
            return Err(format!("its encodings have {} scales and {} offsets", scales.len(), offsets.len()));
        }
        Ok(Quantizer { scales, offsets, dtype: stored })
    }
}

impl Entries {
    /// Every tensor with its quantizer, or why it has none.
    fn named(self) -> Vec<(String, Result<Quantizer, String>)> {
        match self {
            Entries::ByName(entries) => {
                entries.into_iter().map(|(name, it)| (name, of_channels(&it))).collect()
            }
            Entries::List(entries) => entries.into_iter().map(Entry::quantizer).collect(),
        }
    }
}

fn of_channels(channels: &[Channel]) -> Result<Quantizer, String> {
    let first = channels.first().ok_or("its encodings are empty")?;
    if channels.iter().any(|channel| channel.bitwidth != first.bitwidth) {
        return Err("its channels have different numbers of bits".into());
    }
    let numbers = |of: fn(&Channel) -> Option<f64>| channels.iter().filter_map(of).collect();
    let dtype = first.dtype.as_deref().unwrap_or("int");
    Quantizer::new(dtype, first.bitwidth, numbers(|it| it.scale), numbers(|it| it.offset))
}

impl Entry {
    fn quantizer(self) -> (String, Result<Quantizer, String>) {
        let blocks = self.enc_type.filter(|kind| !matches!(kind.as_str(), "PER_TENSOR" | "PER_CHANNEL"));
        let quantizer = match blocks {
            Some(kind) => Err(format!("{kind} encodings are not supported")),
            None => Quantizer::new(&self.dtype, self.bw, self.scale, self.offset),
        };
        (self.name, quantizer)
    }
}
