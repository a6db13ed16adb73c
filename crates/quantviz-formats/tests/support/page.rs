//! The page for people: cells that say the same in one row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::cells::{Cell, PLAIN};
use crate::samples::Outcome;
use crate::{Oracles, foreign, unchecked};

const HEAD: &str = "\
# What quantviz reads

This page is measured: a test of `quantviz-formats` (`tests/support`) makes a small file of every sort, opens it, reads
it, and fails if this page says otherwise.

- **ok**: every number is shown as the file has it, and codes are turned into the real numbers they stand for.
- **lossy**: numbers are shown, and a few are not exactly those of the file: quantviz computes with float64, which does
  not hold every integer of more than 53 bits.
- **unsupported**: name, type and shape are shown, with a warning where there would be numbers; nothing is guessed.

*Compared with* names the libraries whose own numbers were the same, for every element, when the tests were last run
with Python (`cargo xtask test`); each ran on more files than are listed here. **Specification only** means that no
library was at hand which tells these numbers: they are read as the format says, and tested with values worked out by
hand. *A scale for each* says which elements share one.

The numbers of a quantized tensor are computed in float64, from the scales that the file has, and not rounded to
the type in which a runtime would compute.
";

const FORMATS: &[(&str, &str, &str)] = &[
    (
        "onnx",
        "ONNX",
        "Values in `raw_data`, in typed fields and in external files; in nodes, subgraphs and functions.",
    ),
    (
        "safetensors",
        "safetensors",
        "One file, or many with an index. Layouts are told by names, shapes and `config.json`.",
    ),
    ("gguf", "GGUF", "Versions 2 and 3, one file or several."),
    ("torch", "PyTorch", "Zip archives, legacy files, TorchScript and `.pt2`. Nothing in a file is run."),
];

/// What is called differently than its operator or scheme.
const TITLES: &[(&str, &str)] = &[
    (PLAIN, "plain numbers"),
    ("DequantizeLinear", "codes before DequantizeLinear (Q/DQ)"),
    ("QuantizeLinear", "float numbers before QuantizeLinear and DequantizeLinear: codes are computed"),
    ("BipolarQuant", "float numbers before QONNX's BipolarQuant: signs are computed"),
    ("Mul", "codes that Cast and Mul make real"),
    ("Div", "codes that Cast and Div make real"),
    ("TRT_FP8DequantizeLinear", "float8 codes in bytes before TensorRT's operator"),
    ("Quant", "float numbers before QONNX's Quant: codes are computed"),
    ("quantization_annotation", "codes with a `quantization_annotation`"),
    ("LLM.int8", "bitsandbytes int8"),
    ("NF4", "bitsandbytes NF4"),
    ("FP4", "bitsandbytes FP4"),
    ("FP8", "eight-bit floats with scales"),
    ("ModelOpt", "NVFP4 of ModelOpt"),
    ("gpt-oss", "MXFP4 of gpt-oss"),
    ("per_tensor_affine", "torch's quantized tensors"),
    ("per_channel_affine", "torch's quantized tensors by channel"),
];

const GROUPS: &[(&str, &str)] = &[
    ("", ""),
    ("tensor", "tensor"),
    ("axis", "index of an axis"),
    ("blocks", "block"),
    ("blocks by index", "block by index (act-order)"),
    ("blocks in turns", "block whose indices take turns"),
    ("blocks of two levels", "block with a scale of scales"),
];

/// The page, of what was measured.
pub(crate) fn write(outcomes: &BTreeMap<Cell, Outcome>, oracles: &Oracles) -> String {
    let mut page = HEAD.to_owned();
    for (format, title, what) in FORMATS {
        let cells = outcomes.iter().filter(|(cell, _)| cell.format == *format);
        let rows = rows(cells, oracles);
        let _ = write!(page, "\n## {title}\n\n{what}\n\n");
        page += "| what | type of the codes or numbers | a scale for each | result | compared with |\n";
        page += "| --- | --- | --- | --- | --- |\n";
        for (row, cells) in rows {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                row.title,
                listed(cells.codes),
                listed(cells.groups),
                row.result,
                row.oracle
            );
        }
    }
    page += "\n## Specification only\n\n";
    for it in unchecked::ALL {
        let _ = writeln!(page, "- {}: {}.", it.titles(title).join(", "), it.reason);
    }
    page += "\n## Known by sight\n\nFiles of these formats are named, with what to do instead:\n\n";
    for (name, message) in foreign::refusals() {
        let _ = writeln!(page, "- `{name}`: {message}");
    }
    page
}

/// What cells in one row have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// Plain numbers come first, and what is not read last.
    rank: u8,
    title: String,
    result: &'static str,
    oracle: String,
}

#[derive(Default)]
struct Cells {
    codes: Vec<String>,
    groups: Vec<String>,
}

fn rows<'a>(cells: impl Iterator<Item = (&'a Cell, &'a Outcome)>, oracles: &Oracles) -> Vec<(Row, Cells)> {
    let mut by_codes: BTreeMap<(Row, String), BTreeSet<usize>> = BTreeMap::new();
    for (cell, outcome) in cells {
        let row = Row::of(cell, *outcome, oracles);
        let group =
            GROUPS.iter().position(|(known, _)| *known == cell.groups).expect("a known sort of groups");
        by_codes.entry((row, cell.codes.clone())).or_default().insert(group);
    }
    let mut merged: BTreeMap<(Row, BTreeSet<usize>), Vec<String>> = BTreeMap::new();
    for ((row, codes), groups) in by_codes {
        merged.entry((row, groups)).or_default().push(codes);
    }
    let words =
        |groups: BTreeSet<usize>| groups.into_iter().map(|group| GROUPS[group].1.to_owned()).collect();
    merged.into_iter().map(|((row, groups), codes)| (row, Cells { codes, groups: words(groups) })).collect()
}

impl Row {
    fn of(cell: &Cell, outcome: Outcome, oracles: &Oracles) -> Self {
        let mut names: Vec<String> = oracles.get(&cell.key()).into_iter().flatten().cloned().collect();
        // The reference is asked where the runtime has no kernel for a part of a file.
        if names.iter().any(|name| name == "onnxruntime") {
            names.retain(|name| name != "onnx's reference evaluator");
        }
        let oracle = names.join(", ");
        let (result, oracle) = match outcome {
            Outcome::Unsupported => (outcome.name(), String::new()),
            Outcome::Ok | Outcome::Lossy if oracle.is_empty() => {
                (outcome.name(), "specification only".to_owned())
            }
            outcome => (outcome.name(), oracle),
        };
        let rank = match outcome {
            _ if cell.encoding == PLAIN => 0,
            Outcome::Unsupported => 2,
            _ => 1,
        };
        Row { rank, title: title(&cell.encoding), result, oracle }
    }
}

fn title(encoding: &str) -> String {
    let title = TITLES.iter().find(|(known, _)| *known == encoding).map(|(_, title)| *title);
    title.unwrap_or(encoding).to_owned()
}

fn listed(mut words: Vec<String>) -> String {
    words.retain(|word| !word.is_empty());
    words.join(", ")
}
