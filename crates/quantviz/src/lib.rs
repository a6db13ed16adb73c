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
//! `quantviz-formats` has the files, one feature for each format; [`insight`] has findings about quantized models, and
//! [`view`] what the front ends show. With the feature `html` there are pictures (`draw`) and whole pages (`html`) of it,
//! with `png` also pictures as PNG; with `store` training runs are kept in folders (`store`), with `cloud` also in S3, GCS and
//! Azure.

// Its examples use what these features have.
#[cfg(all(doctest, feature = "record", feature = "store"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub use quantviz_core::role_from_name;
pub use quantviz_core::{
    // A model without its values.
    Activation,
    // What a source of one's own is made with.
    Alignment,
    BinnedValues,
    Bins,
    Block,
    ChannelFidelity,
    ChannelScales,
    Channels,
    Compare,
    ComparedPair,
    Comparison,
    DType,
    DTypeClass,
    Element,
    Elements,
    Encoding,
    // What can be read and measured.
    Error,
    ErrorKind,
    Fidelity,
    Format,
    Gain,
    Granularity,
    GroupIndex,
    Histogram,
    Layer,
    LayerId,
    LayerKind,
    Layout,
    Levels,
    MatchedBy,
    Measured,
    MeasuredQuantization,
    MemorySource,
    Model,
    Note,
    Operand,
    OuterScale,
    Packed,
    Pair,
    PairHistograms,
    Pairs,
    Parameter,
    ParameterId,
    ParameterSource,
    Part,
    Progress,
    QuantDescriptor,
    QuantizedInput,
    RangeSummary,
    Result,
    Role,
    Scan,
    Scheme,
    Shape,
    Sink,
    SourceExt,
    Split,
    TransformerPart,
    Unmatched,
    Warning,
    WarningKind,
    bf16,
    byte_len,
    check_range,
    expected_sqnr_db,
    f16,
    one_line,
    pair,
    part_len,
    read_derived,
    read_elements,
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
pub use quantviz_core::{
    // What more than weights can say.
    Basis,
    Claim,
    ComparedActivations,
    ComparedTensor,
    EarlierValue,
    Importance,
    Recording,
    UnmatchedTensor,
    compare_recordings,
};
pub use quantviz_core::{
    // What is recorded of training runs, and how it is read.
    Budget,
    Cursor,
    Entry,
    History,
    ModelAtStep,
    Opening,
    PartsRecorded,
    Plan,
    PlanHeader,
    Pruning,
    Quantity,
    Rank,
    Record,
    RecordId,
    RecordKind,
    RecordedHistogram,
    RecordedSample,
    RecordedSummary,
    Run,
    RunNote,
    RunState,
    SampledChange,
    SampledChanges,
    SampledSide,
    Scalar,
    ScalarBatch,
    Series,
    SessionId,
    SessionInfo,
    Shard,
    Snapshot,
    SnapshotHeader,
    SnapshotStore,
    StateMessage,
    StepReading,
    Timeline,
    Writer,
    is_like,
};
pub use quantviz_formats::{
    BoxedSource, FORMATS, FormatEntry, Limits, ModelGroup, Variant, folder_of_models_in, format_of,
    group_models, model_groups, models_among, models_in, open, open_importance, open_recordings, open_with,
};

/// Findings: what is worth knowing about a quantized model.
pub mod insight {
    pub use quantviz_insight::*;
}

/// What the front ends show, as plain structs.
pub mod view {
    pub use quantviz_view::*;
}

/// Pictures of it, as SVG.
#[cfg(feature = "html")]
pub mod draw {
    pub use quantviz_draw::*;
}

/// Whole pages of it, that need nothing else.
#[cfg(feature = "html")]
pub mod html {
    pub use quantviz_html::*;
}

/// Recording a network while it is trained.
#[cfg(feature = "record")]
pub mod record {
    pub use quantviz_core::{Frame, Look, MatrixFeatures, MatrixLook, Peaks, Principal};
    pub use quantviz_record::*;
}

/// Where training runs are kept.
#[cfg(feature = "store")]
pub mod store {
    pub use quantviz_store::*;
}
