//! What no library has confirmed, and why none could: it is read as its specification says.

use crate::cells::{Cell, SEPARATOR};

/// A sort of encoding without an oracle.
#[derive(Debug)]
pub(crate) struct Unchecked {
    format: &'static str,
    /// What keys begin with behind the format: the encoding, and more where only some of it has no oracle.
    cells: &'static [&'static str],
    pub(crate) reason: &'static str,
}

pub(crate) const ALL: &[Unchecked] = &[
    Unchecked {
        format: "onnx",
        cells: &["QAttention", "DynamicQuantizeLSTM | u8"],
        reason: "what the operator makes of its weights is not linear, so that they cannot be got back from it",
    },
    Unchecked {
        format: "onnx",
        cells: &["Quant", "BipolarQuant"],
        reason: "onnxruntime has no kernel for it, and QONNX's own library wants older versions of onnx",
    },
    Unchecked {
        format: "onnx",
        cells: &["TRT_FP8DequantizeLinear"],
        reason: "only TensorRT has kernels for it",
    },
    Unchecked { format: "onnx", cells: &["quantization_annotation"], reason: "no runtime computes with it" },
    Unchecked {
        format: "safetensors",
        cells: &["compressed-tensors | 8-bit | blocks by index"],
        reason: "the version of the library that was at hand reads no `weight_g_idx`",
    },
    Unchecked {
        format: "safetensors",
        cells: &["GPTQ v2"],
        reason: "the library that writes it, GPTQModel, is not read by itself; it differs from version 1 in zero-points",
    },
];

impl Unchecked {
    /// What it is about, in words.
    pub(crate) fn titles(&self, title: fn(&str) -> String) -> Vec<String> {
        let words = |cell: &&str| match cell.split_once(SEPARATOR) {
            Some((encoding, rest)) => format!("{} ({})", title(encoding), rest.replace(SEPARATOR, ", ")),
            None => title(cell),
        };
        self.cells.iter().map(words).collect()
    }

    pub(crate) fn is_about(&self, cell: &Cell) -> bool {
        let key = cell.key();
        let begins_with = |known: &&str| {
            let rest = key.strip_prefix(self.format).and_then(|rest| rest.strip_prefix(SEPARATOR));
            let rest = rest.and_then(|rest| rest.strip_prefix(*known));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
        };
        self.cells.iter().any(begins_with)
    }
}

/// Why a cell has no oracle.
pub(crate) fn reason(cell: &Cell) -> Option<&'static str> {
    ALL.iter().find(|unchecked| unchecked.is_about(cell)).map(|unchecked| unchecked.reason)
}
