//! What tests of quantviz need, and tests of sources that other people write for it.
//!
//! - [`check_source`] and [`check_sync_source`] are the conformance suite: every
//!   [`ParameterSource`](quantviz_core::ParameterSource) passes it. [`check_store`] is that of every
//!   [`SnapshotStore`](quantviz_core::SnapshotStore).
//! - [`strategies`] makes shapes, tensors of every type and granularities for proptest.
//! - [`OnnxBuilder`], [`SafetensorsBuilder`] and [`GgufBuilder`] write model files, well-formed or hostile, byte for byte;
//!   [`wire::Message`] writes any protobuf, [`pickle::Pickle`] any pickle, and [`pickle::TorchBuilder`] the files of torch.
//! - [`hostile`] is the table of files that no reader may trust, with what has to become of each.
//! - [`Behaving`] is a store that fails, stands still or tells of what it was asked; [`Proxy`] a line to a server that breaks
//!   when a test says so.
//! - [`Rounds`] tells what something costs on a machine that is never quiet.
//! - [`SmallGpt`] writes a training run that never happened.
//! - [`mutations`] damages a valid file in ways that parsers get wrong.
//!
//! ```
//! use quantviz_core::{MemorySource, ParameterSource};
//! use quantviz_testkit::check_sync_source;
//!
//! let source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[0.5f32, f32::NAN], [-0.0, 2.0]]));
//! check_sync_source(&source);
//! ```

mod behaving;
mod conformance;
pub mod gguf;
pub mod hostile;
mod mutate;
pub mod onnx;
mod pack;
pub mod pickle;
mod proxy;
mod random;
mod rounds;
pub mod safetensors;
mod sessions;
pub mod strategies;
pub mod wire;

pub use behaving::{Behaving, Behaviour};
pub use conformance::{check_model, check_source, check_store, check_sync_source};
pub use gguf::GgufBuilder;
pub use mutate::{mutate, mutations};
pub use onnx::OnnxBuilder;
pub use pack::pack;
pub use proxy::Proxy;
pub use rounds::{Cost, Rounds};
pub use safetensors::SafetensorsBuilder;
pub use sessions::SmallGpt;
