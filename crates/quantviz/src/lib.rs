//! Look into the parameters of neural networks: open a model, see its scales, zero-points, ranges and histograms.
//!
//! ```no_run
//! use quantviz::{ParameterSource, SourceExt};
//!
//! let source = quantviz::open("model_int8.onnx")?;
//! for id in source.model().parameter_ids() {
//!     println!("{}: {:?}", source.model().parameter(id).name, source.real_summary(id)?);
//! }
//! # Ok::<(), quantviz::Error>(())
//! ```
//!
//! This crate is a façade: `quantviz-core` has the vocabulary and the maths, and its documentation is the guide;
//! `quantviz-formats` has the files, one feature for each format; [`view`] has what the front ends show.

pub use quantviz_core::*;
pub use quantviz_formats::{
    BoxedSource, FORMATS, FormatEntry, Limits, ModelGroup, Variant, format_of, group_models, model_groups,
    models_in, open, open_with,
};

/// What the front ends show, as plain structs.
pub mod view {
    pub use quantviz_view::*;
}
