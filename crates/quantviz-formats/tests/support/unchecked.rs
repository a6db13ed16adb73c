//! What no library has confirmed, and why none could: it is read as its specification says.

use crate::cells::Cell;

/// A sort of encoding without an oracle.
#[derive(Debug)]
pub(crate) struct Unchecked {
    format: &'static str,
    encodings: &'static [&'static str],
    pub(crate) reason: &'static str,
}

pub(crate) const ALL: &[Unchecked] = &[
    Unchecked {
        format: "onnx",
        encodings: &["QAttention", "DynamicQuantizeLSTM"],
        reason: "what the operator makes of its weights is not linear, so that they cannot be got back from it",
    },
    Unchecked {
        format: "onnx",
        encodings: &["Quant"],
        reason: "onnxruntime has no kernel for it, and QONNX's own library wants older versions of onnx",
    },
    Unchecked {
        format: "onnx",
        encodings: &["quantization_annotation"],
        reason: "no runtime computes with it",
    },
    Unchecked {
        format: "safetensors",
        encodings: &[
            "AWQ",
            "FP4",
            "FP8",
            "GPTQ v1",
            "GPTQ v2",
            "HQQ",
            "LLM.int8",
            "MLX",
            "MLX mxfp4",
            "MLX mxfp8",
            "MLX nvfp4",
            "MXFP4",
            "MXFP8",
            "ModelOpt",
            "NF4",
            "compressed-tensors",
            "gpt-oss",
        ],
        reason: "held to formulas of ours for every element, since no library that reads it was at hand",
    },
];

impl Unchecked {
    /// What it is about, as `title` calls it.
    pub(crate) fn titles(&self, title: fn(&str) -> String) -> Vec<String> {
        self.encodings.iter().map(|encoding| title(encoding)).collect()
    }

    pub(crate) fn is_about(&self, cell: &Cell) -> bool {
        self.format == cell.format && self.encodings.contains(&&*cell.encoding)
    }
}

/// Why a cell has no oracle.
pub(crate) fn reason(cell: &Cell) -> Option<&'static str> {
    ALL.iter().find(|unchecked| unchecked.is_about(cell)).map(|unchecked| unchecked.reason)
}
