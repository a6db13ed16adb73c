//! Look into the parameters of a neural network: what they are, which range they have, and what quantization made of
//! them.
//!
//! This crate is vocabulary, ports and maths. It knows no file, no network and no toolkit; `quantviz-formats` brings
//! the files, the front ends draw. The way through it:
//!
//! **A model is a [`ParameterSource`]**, whatever it comes from: a file, tensors in memory, a network in training.
//! Its [`Model`] tells names, shapes, layers and quantization, and never holds a value.
//!
//! ```
//! use ndarray::{arr1, arr2};
//! use quantviz_core::{MemorySource, ParameterSource};
//!
//! let source = MemorySource::new()
//!     .with("fc.weight", arr2(&[[0.5f32, -1.5, 2.0], [0.0, 0.25, f32::NAN]]))
//!     .with("fc.bias", arr1(&[0.1f32, 0.2]));
//! assert_eq!(source.model().layers[0].name, "fc");
//! assert_eq!(source.model().parameter_count(), 8);
//! # let weight = source.model().parameter_named("fc.weight").expect("was added");
//! ```
//!
//! **Values are read on demand**, in the type they are stored in, in blocks that are pushed into a [`Sink`]. Most
//! callers want what [`SourceExt`] makes of them: arrays, summaries, histograms.
//!
//! ```
//! # use ndarray::{arr1, arr2};
//! # use quantviz_core::{MemorySource, ParameterSource};
//! use quantviz_core::SourceExt;
//! # let source = MemorySource::new().with("fc.weight", arr2(&[[0.5f32, -1.5, 2.0], [0.0, 0.25, f32::NAN]]));
//!
//! let weight = source.model().parameter_named("fc.weight").expect("was added");
//! let summary = source.summary(weight)?;
//! assert_eq!((summary.finite(), summary.nan(), summary.zeros()), (5, 1, 1));
//! assert_eq!((summary.min(), summary.max(), summary.mean()), (Some(-1.5), Some(2.0), Some(0.25)));
//! assert_eq!(source.array(weight)?[[0, 1]], -1.5);
//! # Ok::<(), quantviz_core::Error>(())
//! ```
//!
//! **A quantized parameter has a [`QuantDescriptor`]**: it says what its codes mean and where the scales are. The
//! real numbers follow.
//!
//! ```
//! use ndarray::arr2;
//! use quantviz_core::{
//!     DType, Encoding, Granularity, MemorySource, Operand, ParameterSource, Part, QuantDescriptor, SourceExt,
//! };
//!
//! let source = MemorySource::new()
//!     .with("scale", ndarray::arr1(&[0.5f32, 0.01]))
//!     .with("weight", arr2(&[[-128i8, 0, 127], [-100, 0, 100]]));
//! let scale = source.model().parameter_named("scale").expect("was added");
//! let per_row = QuantDescriptor::of_stored(
//!     Encoding::Other,
//!     "my own",
//!     DType::I8,
//!     Granularity::Axis(0),
//!     Operand::Parameter(scale),
//!     None,
//! );
//! let source = source.quantized(per_row.expect("i8 holds codes"))?;
//! let weight = source.model().parameter_named("weight").expect("was added");
//! assert_eq!(source.values(weight, Part::Scales)?.len(), 2);
//! assert_eq!(source.real_summary(weight)?.max(), Some(63.5));
//! assert_eq!(source.real_array(weight)?[[1, 2]], 1.0);
//! # Ok::<(), quantviz_core::Error>(())
//! ```
//!
//! **Everything at once** is a [`Scan`]: in parallel, with progress, with the same result on any number of threads.
//!
//! ```
//! # use ndarray::arr1;
//! # use quantviz_core::MemorySource;
//! use std::ops::ControlFlow;
//! use quantviz_core::{Scan, SourceExt};
//! # let source = MemorySource::new().with("fc.bias", arr1(&[0.1f32, 0.2]));
//!
//! for measured in source.scan(&Scan::new().bins(64), &|_progress| ControlFlow::Continue(()))? {
//!     println!("{:?} {:?}", measured.summary, measured.histogram);
//! }
//! # Ok::<(), quantviz_core::Error>(())
//! ```
//!
//! **What rounding would cost** a float model is a [`Preview`]: schemes simulated on its weights, and by [`choose`] the
//! best of them for each weight within a budget of bits.
//!
//! ```
//! # use ndarray::arr2;
//! # use quantviz_core::MemorySource;
//! use std::ops::ControlFlow;
//! use quantviz_core::Preview;
//! # let source = MemorySource::new().with("fc.weight", arr2(&[[0.5f32, -1.5, 2.0], [0.0, 0.25, 0.75]]));
//!
//! let preview = Preview::of(["int8".parse()?, "int4-block32".parse()?]);
//! for weight in preview.run(&source, &|_progress| ControlFlow::Continue(()))? {
//!     println!("{:?} {:?}", weight.schemes[0].sqnr_db(), weight.schemes[1].bits_per_weight());
//! }
//! # Ok::<(), quantviz_core::Error>(())
//! ```
//!
//! Your own type becomes a source by two methods; see [`ParameterSource`] for an example, and `quantviz-testkit` for
//! the conformance suite that it should pass.
#![warn(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap
)]

mod activation;
mod binning;
mod calibration;
mod capture;
mod channel_scales;
mod claim;
mod code_counts;
mod column_sums;
mod compare;
mod dequantize;
mod dtype;
mod elements;
mod error;
mod even_groups;
mod ext;
mod few_codes;
mod fidelity;
mod group_sums;
mod groups;
mod half_counts;
mod histogram;
mod importance;
mod job;
mod memory;
mod minifloat;
mod model;
mod names;
mod notes;
mod numbers;
mod pair_histograms;
mod pairing;
mod parallel;
mod preview;
mod quant;
mod quantize;
mod real;
mod real_sums;
mod recordings;
mod roles;
mod run_counts;
mod scales;
mod scan;
mod session;
mod shape;
mod source;
mod summary;
mod tally;
mod text;
mod transformer;
mod values;
mod work;

pub use activation::{Activation, QuantizedInput};
pub use capture::{
    Frame, Look, MatrixFeatures, MatrixLook, Peaks, Principal, Seeded, THUMBNAIL, cluster_score, dot,
    head_similarity, histogram_grid, shown_rows, tail_weight,
};
pub use channel_scales::ChannelScales;
pub use claim::{Basis, Claim};
pub use compare::{Compare, ComparedPair, Comparison};
pub use dtype::{DType, DTypeClass, Layout, UnknownDType, byte_len};
pub use elements::{Element, Elements, Packed};
pub use error::{Error, ErrorKind, Result};
pub use ext::SourceExt;
pub use fidelity::{ChannelFidelity, Channels, Fidelity, Levels, expected_sqnr_db, is_rounded, is_wasted};
pub use groups::{Granularity, Groups};
pub use half::{bf16, f16};
pub use histogram::{Bins, Histogram};
pub use importance::Importance;
pub use memory::MemorySource;
pub use minifloat::code_values;
pub use model::{
    Format, Layer, LayerId, LayerKind, Model, Parameter, ParameterId, Role, Warning, WarningKind, module_path,
};
pub use ndarray;
pub use notes::Note;
pub use numbers::{bytes, count, number};
pub use pair_histograms::{BinnedValues, PairHistograms};
pub use pairing::{Alignment, Gain, MatchedBy, Pair, Pairs, Split, Unmatched, pair, plain_name};
pub use parallel::for_each_job;
pub use preview::{
    AxisRule, Choice, Clip, EncodedWeight, Preview, PreviewScheme, PreviewedScheme, PreviewedWeight, Weight,
    choose, decibels, quantizable, quantized_weights,
};
pub use quant::{Encoding, GroupIndex, Operand, OuterScale, QuantDescriptor, Scheme};
pub use real::Real;
pub use recordings::{
    ComparedActivations, ComparedTensor, EarlierValue, Recording, UnmatchedTensor, compare_recordings,
};
pub use roles::role_from_name;
pub use scales::MeasuredQuantization;
pub use scan::{Measured, Progress, Scan};
pub use session::{
    ArrayElement, ArraySlot, ArrayWriter, Arrays, Budget, CaptureCost, Cell, Cursor, EmbeddingState, Entry,
    Focus, Guest, History, ModelAtStep, Opening, PartsRecorded, Plan, PlanHeader, PlannedEmbedding,
    PlannedParameter, Probe, Pruner, Pruning, Quantity, Rank, RankSnapshot, Record, RecordId, RecordKind,
    RecordedHistogram, RecordedSample, RecordedSummary, Run, RunNote, RunState, SampledChange,
    SampledChanges, SampledSide, Scalar, ScalarBatch, Segment, SegmentHeader, Series, SessionId, SessionInfo,
    Shard, Snapshot, SnapshotHeader, SnapshotStore, StateMessage, Statistics, StepReading, Timeline, Track,
    Writer, WrittenArrays, index_name, prune,
};
pub use shape::Shape;
pub use source::{Block, ParameterSource, Part, Sink, check_range, part_len, read_derived, read_elements};
pub use summary::RangeSummary;
pub use text::{is_like, one_line};
pub use transformer::TransformerPart;
