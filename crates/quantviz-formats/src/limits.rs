//! How much a file may ask for before it is refused.

/// Bounds on what reading a file's catalogue may cost, so that a small hostile file cannot take a large machine down.
/// The defaults let every real model through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Tensors in one model.
    pub tensors: usize,
    /// Bytes of a safetensors header, or of a sharded model's index.
    pub header_bytes: u64,
    /// Bytes of an ONNX graph without its weights.
    pub graph_bytes: usize,
    /// Messages, strings and lists in an ONNX graph.
    pub graph_items: usize,
    /// Messages inside messages in an ONNX file.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tensors: 1 << 18,
            header_bytes: 100_000_000,
            graph_bytes: 64 << 20,
            graph_items: 1 << 21,
            depth: 100,
        }
    }
}
