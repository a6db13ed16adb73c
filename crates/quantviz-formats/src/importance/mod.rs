//! How much the inputs of weights matter, as calibrations of llama.cpp and others write it down.

#[cfg(feature = "gguf")]
mod gguf;
mod legacy;
#[cfg(feature = "safetensors")]
mod safetensors;

use std::path::Path;

use quantviz_core::{Error, Importance, Result};

use crate::Limits;
use crate::file::ModelFile;
use crate::formats::has_json_header;

/// Reads the mean squares of inputs of weights: an importance matrix of llama.cpp, as GGUF or in the form from before
/// that, or a safetensors file with a tensor for every weight, named like it.
///
/// ```no_run
/// let importance = quantviz_formats::open_importance("imatrix.gguf", &quantviz_formats::Limits::default())?;
/// println!("{} weights", importance.len());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
///
/// # Errors
/// Where it is none of these, is damaged, or has a number that is no mean of squares.
pub fn open_importance(path: impl AsRef<Path>, limits: &Limits) -> Result<Importance> {
    let path = path.as_ref();
    let read = || {
        let file = ModelFile::open(path)?;
        if file.len() > limits.importance_bytes {
            let message = format!("{} bytes are more importance than the limit allows", file.len());
            return Err(Error::limit(message).of_limit("importance_bytes"));
        }
        let head = file.head()?;
        let importance = match &head[..] {
            [b'G', b'G', b'U', b'F', ..] => of_gguf(path, limits),
            head if has_json_header(head, file.len()) => of_safetensors(path, limits),
            _ => legacy::read(&file),
        }?;
        if importance.is_empty() {
            return Err(Error::malformed("no importance is listed in it"));
        }
        Ok(importance)
    };
    read().map_err(|error: Error| if error.file().is_some() { error } else { error.in_file(path) })
}

#[cfg(feature = "gguf")]
use gguf::read as of_gguf;
#[cfg(feature = "safetensors")]
use safetensors::read as of_safetensors;

#[cfg(not(feature = "gguf"))]
fn of_gguf(_: &Path, _: &Limits) -> Result<Importance> {
    Err(Error::unsupported("GGUF files are not read by this build: it lacks the feature `gguf`"))
}

#[cfg(not(feature = "safetensors"))]
fn of_safetensors(_: &Path, _: &Limits) -> Result<Importance> {
    Err(Error::unsupported(
        "safetensors files are not read by this build: it lacks the feature `safetensors`",
    ))
}

/// The stored numbers of a tensor.
#[cfg(any(feature = "gguf", feature = "safetensors"))]
fn numbers(source: &crate::BoxedSource, id: quantviz_core::ParameterId) -> Result<Vec<f32>> {
    use quantviz_core::{Part, SourceExt};
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large becomes infinite, which is refused"
    )]
    Ok(source.values(id, Part::Stored)?.into_iter().map(|value| value as f32).collect())
}
