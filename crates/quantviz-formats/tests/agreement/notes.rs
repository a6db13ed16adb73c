//! What the Python side noted of a case.

use std::fs;
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Truth {
    pub(crate) file: String,
    /// The library that read the tensors.
    pub(crate) oracle: String,
    /// The float model that a quantizer made it of.
    #[serde(default)]
    pub(crate) twin: Option<String>,
    pub(crate) tensors: Vec<TensorTruth>,
    pub(crate) quantized: Vec<QuantizedTruth>,
}

#[derive(Deserialize)]
pub(crate) struct TensorTruth {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    /// The file with the values; none for types without numbers of their own.
    pub(crate) values: Option<String>,
    pub(crate) summary: Option<SummaryTruth>,
    pub(crate) histogram: Option<HistogramTruth>,
}

/// Where numpy's float64 overflowed, statistics of finite values are `None`.
#[derive(Deserialize)]
pub(crate) struct SummaryTruth {
    pub(crate) count: u64,
    pub(crate) finite: u64,
    pub(crate) nan: u64,
    pub(crate) pos_inf: u64,
    pub(crate) neg_inf: u64,
    pub(crate) zeros: u64,
    pub(crate) min: Option<Number>,
    pub(crate) max: Option<Number>,
    pub(crate) mean: Option<Number>,
    pub(crate) std: Option<Number>,
    pub(crate) l2: Option<Number>,
}

#[derive(Deserialize)]
pub(crate) struct HistogramTruth {
    pub(crate) bins: usize,
    pub(crate) low: Number,
    pub(crate) high: Number,
    pub(crate) counts: Vec<u64>,
}

#[derive(Deserialize)]
pub(crate) struct QuantizedTruth {
    pub(crate) name: String,
    /// The library that made these numbers of the codes; without one they are from a formula of ours.
    pub(crate) oracle: Option<String>,
    /// The file with the dequantized values.
    pub(crate) values: String,
    /// Whether they come out of sums, in which a minus zero is lost.
    #[serde(default)]
    pub(crate) sums: bool,
    /// How far the library may be from us, where it rounds in between.
    #[serde(default)]
    pub(crate) relative: f64,
    /// The file with the codes, where the library computed them.
    pub(crate) codes: Option<String>,
    pub(crate) axis: Option<usize>,
    pub(crate) block_size: Option<u64>,
    /// The shape of the codes, where they are packed, and that of the blocks which have a scale each.
    pub(crate) logical: Option<Vec<u64>>,
    pub(crate) block: Option<Vec<u64>>,
    /// Whether the library rounded them.
    pub(crate) in_float32: bool,
}

/// Floats are text in the notes, because JSON parsers may round them.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Number(pub(crate) f64);

impl TryFrom<String> for Number {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Number)
    }
}

pub(crate) fn value(number: Option<Number>) -> Option<f64> {
    number.map(|number| number.0)
}

pub(crate) fn read_truth(folder: &Path) -> Result<Truth, String> {
    let path = folder.join("truth.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("truth.json: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("truth.json: {error}"))
}

pub(crate) fn read_values(path: &Path) -> Result<Vec<f64>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (values, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(format!("{}: not a whole number of values", path.display()));
    }
    Ok(values.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
}
