//! How much a file may ask for before it is refused.

/// Bounds on what reading a file's catalogue may cost, so that a small hostile file cannot take a large machine down.
/// The defaults let every real model through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Tensors in one model.
    pub tensors: usize,
    /// Dimensions of one tensor.
    pub rank: usize,
    /// Bytes that all tensors take, wherever they are.
    pub data_bytes: u64,
    /// Bytes of a safetensors header, of a sharded model's index, or of what precedes the data of a GGUF file.
    pub header_bytes: u64,
    /// Entries of a GGUF file's metadata.
    pub metadata: usize,
    /// Bytes of an ONNX graph without its weights.
    pub graph_bytes: usize,
    /// Messages, strings and lists in an ONNX graph.
    pub graph_items: usize,
    /// Bytes of memory that an ONNX graph may take, beyond 32 for every byte of its file.
    pub graph_memory: u64,
    /// Bytes of all pickles of a PyTorch file, and of its archives' directories.
    pub pickle_bytes: u64,
    /// Values in the pickles of a PyTorch file, and references to them; and how many may be looked at, again and again.
    pub pickle_items: usize,
    /// Values inside values in a pickle.
    pub pickle_depth: usize,
    /// Bytes of a PyTorch file that may have to be kept in memory: compressed entries, and arrays inside a pickle.
    pub inflated_bytes: u64,
    /// Times that the tensors of a PyTorch file may cover its bytes, all together: views can share storages.
    pub view_repeats: u64,
    /// Bytes of the names of all tensors of a PyTorch file.
    pub name_bytes: usize,
    /// Messages inside messages in an ONNX file, arrays inside arrays in GGUF's metadata.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tensors: 1 << 18,
            rank: 64,
            data_bytes: 1 << 42,
            header_bytes: 100_000_000,
            metadata: 1 << 16,
            graph_bytes: 64 << 20,
            graph_items: 1 << 22,
            graph_memory: 64 << 20,
            pickle_bytes: 64 << 20,
            pickle_items: 1 << 22,
            pickle_depth: 200,
            inflated_bytes: 64 << 20,
            view_repeats: 8,
            name_bytes: 32 << 20,
            depth: 100,
        }
    }
}
