//! The files that `cargo xtask bench-peers` measures.

use crate::{File, GPT2, gguf, onnx, safetensors, torch};

/// To be counted up whenever a file changes that keeps its size.
pub const VERSION: u32 = 4;

/// A file and how it is made.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Makes it.
    pub make: fn() -> File,
}

/// All of them.
pub const CATALOGUE: &[Entry] = &[
    Entry { name: "f32.onnx", make: || onnx::float32(&GPT2) },
    Entry { name: "int8.onnx", make: || onnx::int8_per_tensor(&GPT2) },
    Entry { name: "int8-channels.onnx", make: || onnx::int8_per_channel(&GPT2) },
    Entry { name: "int4.onnx", make: || onnx::four_bits(&GPT2) },
    Entry { name: "f32.safetensors", make: || safetensors::float32(&GPT2) },
    Entry { name: "f16.safetensors", make: || safetensors::float16(&GPT2) },
    Entry { name: "bf16.safetensors", make: || safetensors::bfloat16(&GPT2) },
    Entry { name: "fp8.safetensors", make: || safetensors::float8(&GPT2) },
    Entry { name: "gptq.safetensors", make: || safetensors::gptq(&GPT2) },
    Entry { name: "awq.safetensors", make: || safetensors::awq(&GPT2) },
    Entry { name: "nf4.safetensors", make: || safetensors::nf4(&GPT2) },
    Entry { name: "q8_0.gguf", make: || gguf::q8_0(&GPT2) },
    Entry { name: "q6_k.gguf", make: || gguf::q6_k(&GPT2) },
    Entry { name: "q4_k.gguf", make: || gguf::q4_k(&GPT2) },
    Entry { name: "q4_0.gguf", make: || gguf::q4_0(&GPT2) },
    Entry { name: "checkpoint.pt", make: || torch::checkpoint(&GPT2) },
];
