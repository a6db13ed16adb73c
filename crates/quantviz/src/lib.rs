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

pub use quantviz_core::{
    // A model without its values.
    Activation,
    // What a source of one's own is made with.
    Bins,
    Block,
    DType,
    DTypeClass,
    Element,
    Elements,
    Encoding,
    // What can be read and measured.
    Error,
    ErrorKind,
    Format,
    Granularity,
    GroupIndex,
    Histogram,
    Layer,
    LayerId,
    LayerKind,
    Layout,
    Measured,
    MeasuredQuantization,
    MemorySource,
    Model,
    Operand,
    OuterScale,
    Packed,
    Parameter,
    ParameterId,
    ParameterSource,
    Part,
    Progress,
    QuantDescriptor,
    RangeSummary,
    Result,
    Role,
    Scan,
    Scheme,
    Shape,
    Sink,
    SourceExt,
    TransformerPart,
    Warning,
    WarningKind,
    bf16,
    byte_len,
    check_range,
    f16,
    one_line,
    part_len,
    read_derived,
};
pub use quantviz_core::{
    // What rounding would cost.
    AxisRule,
    Choice,
    Clip,
    EncodedWeight,
    Preview,
    PreviewScheme,
    PreviewedScheme,
    PreviewedWeight,
    Weight,
    choose,
};
pub use quantviz_formats::{
    BoxedSource, FORMATS, FormatEntry, Limits, ModelGroup, Variant, format_of, group_models, model_groups,
    models_in, open, open_with,
};

/// What the front ends show, as plain structs.
pub mod view {
    pub use quantviz_view::*;
}
