//! What is measured against what, and how it has to come out.

/// One measurement: quantviz on a file, and something beside it.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) file: &'static str,
    pub(super) question: Question,
    pub(super) peer: Peer,
    pub(super) bound: Bound,
    /// The most memory that quantviz may have, in bytes.
    pub(super) memory: Option<u64>,
    /// Whether the table for newcomers has it.
    pub(super) in_short: bool,
}

/// What quantviz is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// `inspect --bins 64 --json`.
    Inspect,
    /// `compare --json`, with this file as the reference.
    Compare(&'static str),
    /// `preview --json`, with the schemes that it has by itself.
    Preview,
}

/// What runs in turns with quantviz.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A script in benches/peers, on the same file.
    Python(&'static str),
    /// The C loop over the floats of this file: those of a safetensors file lie in one piece.
    Loop(&'static str),
    /// quantviz itself on this file of plain floats.
    Floats(&'static str, Per),
    /// quantviz, scanning this file and the row's without histograms.
    Scan(&'static str),
    /// quantviz, scanning the row's file without histograms.
    ScanAlone,
}

/// What the time of files of different sizes is divided by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Byte,
    Element,
}

/// How the two times may relate.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// The peer takes at least so many times as long as quantviz.
    Faster(f64),
    /// quantviz takes at most so many times as long as the peer.
    Within(f64),
}

impl Row {
    /// What a filter on the command line is compared with.
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.question.name(), self.file, self.peer.name())
    }
}

impl Question {
    fn name(self) -> &'static str {
        match self {
            Question::Inspect => "inspect",
            Question::Compare(_) => "compare",
            Question::Preview => "preview",
        }
    }
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::Python("onnx_numpy.py") => "onnx + numpy",
            Peer::Python(_) => "safetensors + numpy",
            Peer::Loop(_) => "C loop",
            Peer::Floats(_, Per::Byte) => "f32, per byte",
            Peer::Floats(_, Per::Element) => "f32, per number",
            Peer::Scan(_) => "inspect both",
            Peer::ScanAlone => "inspect",
        }
    }
}

const MEMORY: Option<u64> = Some(64_000_000);
const ONNX: &str = "f32.onnx";
const SAFETENSORS: &str = "f32.safetensors";

/// Eight bits and more for a number.
const fn wide(title: &'static str, file: &'static str, floats: &'static str) -> Row {
    let peer = Peer::Floats(floats, Per::Byte);
    Row {
        title,
        file,
        question: Question::Inspect,
        peer,
        bound: Bound::Within(1.5),
        memory: None,
        in_short: false,
    }
}

/// Fewer.
const fn narrow(title: &'static str, file: &'static str, floats: &'static str) -> Row {
    let peer = Peer::Floats(floats, Per::Element);
    Row {
        title,
        file,
        question: Question::Inspect,
        peer,
        bound: Bound::Within(1.0),
        memory: None,
        in_short: false,
    }
}

const fn headline(title: &'static str, file: &'static str, peer: Peer, bound: Bound) -> Row {
    Row { title, file, question: Question::Inspect, peer, bound, memory: MEMORY, in_short: true }
}

/// A quantized file beside the floats that it was made of.
const fn compared(title: &'static str, file: &'static str, floats: &'static str) -> Row {
    let (question, peer) = (Question::Compare(floats), Peer::Scan(floats));
    Row { title, file, question, peer, bound: Bound::Within(3.0), memory: None, in_short: false }
}

pub(super) const ROWS: &[Row] = &[
    headline("ONNX, 498 MB", ONNX, Peer::Python("onnx_numpy.py"), Bound::Faster(12.0)),
    headline("ONNX, 498 MB", ONNX, Peer::Loop(SAFETENSORS), Bound::Within(1.5)),
    headline("safetensors, 498 MB", SAFETENSORS, Peer::Python("safetensors_numpy.py"), Bound::Faster(9.0)),
    headline("safetensors, 498 MB", SAFETENSORS, Peer::Loop(SAFETENSORS), Bound::Within(1.5)),
    Row {
        title: "training checkpoint, 1.5 GB",
        file: "checkpoint.pt",
        question: Question::Inspect,
        peer: Peer::Loop("checkpoint.pt"),
        bound: Bound::Within(1.5),
        memory: None,
        in_short: true,
    },
    wide("float16", "f16.safetensors", SAFETENSORS),
    wide("bfloat16", "bf16.safetensors", SAFETENSORS),
    wide("float8, a scale for each row", "fp8.safetensors", SAFETENSORS),
    wide("int8 in ONNX, one scale", "int8.onnx", ONNX),
    wide("int8 in ONNX, a scale for each column", "int8-channels.onnx", ONNX),
    wide("GGUF Q8_0", "q8_0.gguf", SAFETENSORS),
    narrow("GGUF Q6_K", "q6_k.gguf", SAFETENSORS),
    narrow("GGUF Q4_K", "q4_k.gguf", SAFETENSORS),
    narrow("GGUF Q4_0", "q4_0.gguf", SAFETENSORS),
    narrow("MatMulNBits of 4 bits in ONNX", "int4.onnx", ONNX),
    narrow("GPTQ, 4 bits", "gptq.safetensors", SAFETENSORS),
    narrow("AWQ, 4 bits", "awq.safetensors", SAFETENSORS),
    narrow("bitsandbytes NF4", "nf4.safetensors", SAFETENSORS),
    compared("compare: int8 in ONNX, one scale", "int8.onnx", ONNX),
    compared("compare: int8 in ONNX, a scale for each column", "int8-channels.onnx", ONNX),
    compared("compare: float8, a scale for each row", "fp8.safetensors", SAFETENSORS),
    Row {
        title: "preview: four schemes of 8 and 4 bits",
        file: SAFETENSORS,
        question: Question::Preview,
        peer: Peer::ScanAlone,
        bound: Bound::Within(20.0),
        memory: None,
        in_short: false,
    },
];
