//! Model files that are worth timing: the shapes of GPT-2, in every format, with weights that look like weights.
//!
//! ```
//! use quantviz_benches::{Transformer, safetensors};
//!
//! let tiny = Transformer { layers: 1, width: 8, vocabulary: 16, positions: 4 };
//! let file = safetensors::float32(&tiny);
//! assert_eq!(tiny.parameters(), 16 * 8 + 4 * 8 + 12 * 8 * 8 + 13 * 8 + 2 * 8);
//! assert!(file.bytes() > 4 * tiny.parameters());
//! ```

mod catalogue;
mod file;
pub mod gguf;
mod noise;
pub mod onnx;
pub mod safetensors;
pub mod torch;
mod training;
mod transformer;

pub use catalogue::{CATALOGUE, Entry, VERSION};
pub use file::{File, Piece};
pub use noise::{Field, Noise};
pub use training::{Training, work};
pub use transformer::{GPT_J, GPT2, GPT2_LARGE, MANY_TENSORS, Tensor, Transformer};
