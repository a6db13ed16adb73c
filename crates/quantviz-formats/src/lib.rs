//! Model files as [`ParameterSource`]s: names, shapes, layers and quantization at the cost of the graph; values when
//! they are asked for; and nothing in a file ever runs.
//!
//! ```no_run
//! use quantviz_core::{ParameterSource, SourceExt};
//!
//! let source = quantviz_formats::open("model_int8.onnx")?;
//! for id in source.model().parameter_ids() {
//!     println!("{}: {:?}", source.model().parameter(id).name, source.real_summary(id)?.max());
//! }
//! # Ok::<(), quantviz_core::Error>(())
//! ```
//!
//! Which formats can be read is a matter of the crate's features, one for each; [`FORMATS`] lists them all.

#![cfg_attr(
    not(all(feature = "onnx", feature = "safetensors")),
    allow(dead_code, reason = "what formats share is there for all of them")
)]

#[cfg(any(feature = "onnx", feature = "safetensors"))]
mod bit_rows;
mod bounded_json;
mod bytes;
mod confined;
mod file;
mod folder;
mod foreign;
mod formats;
#[cfg(feature = "gguf")]
mod gguf;
mod importance;
#[cfg(any(feature = "gguf", feature = "safetensors"))]
mod layer_order;
mod limits;
#[cfg(feature = "onnx")]
mod onnx;
mod recordings;
#[cfg(feature = "safetensors")]
mod safetensors;
mod shard_index;
mod shards;
mod stand_in;
#[cfg(feature = "torch")]
mod torch;
#[cfg(feature = "safetensors")]
mod unpack;
mod variants;

use std::path::Path;

use quantviz_core::{Error, Model, ParameterSource, Result};

pub use folder::{
    ModelGroup, Variant, folder_of_models_in, group_models, model_groups, models_among, models_in,
};
pub use formats::{FORMATS, FormatEntry, format_of};
pub use importance::open_importance;
pub use limits::Limits;
pub use recordings::open_recordings;

/// A source that any thread may read.
pub type BoxedSource = Box<dyn ParameterSource + Send + Sync>;

/// Opens a model file: whatever its format, whatever its name.
pub fn open(path: impl AsRef<Path>) -> Result<BoxedSource> {
    open_with(path, &Limits::default())
}

/// Opens a model file with other limits than the usual ones.
pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<BoxedSource> {
    let path = path.as_ref();
    let entry = format_of(path)?;
    let source = entry.open(path, limits).map_err(|error| stand_in::or_cause(error.in_file(path)))?;
    check_texts(source.model(), limits).map_err(|error| error.in_file(path))?;
    Ok(source)
}

/// Whoever shows a model copies what is written in it several times.
fn check_texts(model: &Model, limits: &Limits) -> Result<()> {
    let most = limits.of_model(model.file_bytes).name_bytes;
    let parameters = model.parameters.iter().map(|parameter| parameter.name.len());
    let layers = model.layers.iter().map(|layer| layer.name.len());
    // A module's name is part of those of its parameters.
    if parameters.sum::<usize>().max(layers.sum()) > most {
        return Err(Error::limit(format!("names of more than {most} bytes")).of_limit("name_bytes"));
    }
    let most = limits.metadata_bytes;
    let metadata = model.metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    if metadata + model.producer.as_ref().map_or(0, String::len) > most {
        return Err(
            Error::limit(format!("the metadata has more than {most} bytes")).of_limit("metadata_bytes")
        );
    }
    Ok(())
}
