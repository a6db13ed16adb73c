//! What the front ends of quantviz show, as plain structs made by pure functions.
//!
//! A front end owns input, layout and paint, and nothing else: if two of them need the same number, it is computed
//! here. [`Inspection`] is the whole of a model, and what `quantviz inspect --json` prints; the other views are made
//! from it, without reading a value again.
//!
//! ```
//! use std::ops::ControlFlow;
//! use quantviz_core::MemorySource;
//! use quantviz_view::{Inspection, ParameterTable, Request};
//!
//! let source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
//! let inspection = Inspection::of(&source, "my model", &Request::default(), &|_| ControlFlow::Continue(()))?;
//! let table = ParameterTable::of(&inspection, false);
//! assert_eq!(table.rows[0].shape, "2×2");
//! assert_eq!(table.rows[0].range.as_ref().map(|range| range.max.as_str()), Some("2"));
//! # Ok::<(), quantviz_core::Error>(())
//! ```

mod activation_scales;
mod axis;
mod cells;
mod changes_view;
mod channel_strip;
mod channels_view;
mod comparison;
mod comparison_part;
mod curve;
mod fidelity_table;
mod findings;
mod followers;
mod group;
mod histogram_set;
mod inspection;
mod inspection_stream;
mod layers;
mod learning;
mod listing;
mod measure;
mod model_page;
mod nearest;
mod oddities;
mod page_layer;
mod page_part;
mod parameter;
mod preview;
mod preview_table;
mod range_blocks;
mod range_chart;
mod range_order;
mod range_series;
mod recorded;
mod request;
mod run_histograms;
mod run_inert;
mod run_page;
mod run_places;
mod session_grid;
mod session_list;
mod session_step;
mod session_view;
mod session_words;
mod short_names;
mod snapshot_table;
mod snapshot_view;
mod table;
mod told_apart;
mod words;

pub use activation_scales::{ActivationScaleRow, ActivationScales};
pub use axis::{Axis, CountAxis, Tick};
pub use cells::{RangeCells, SpreadCells};
pub use changes_view::{
    ChangeRow, ChangeView, ChangedModel, ChangedView, ChangesTable, ChangesView, UnmatchedChanges,
};
pub use channel_strip::{ChannelCell, ChannelRow, ChannelStrip};
pub use channels_view::{ChannelView, ChannelsView};
pub use comparison::{
    AlignmentView, ClaimView, CodeUse, ComparisonView, ModelFidelityView, PairView, SplitView,
    UnmatchedParameter, UnmatchedView, VariantView,
};
pub use curve::{Curve, CurveColumn};
pub use fidelity_table::{FidelityRow, FidelityTable, RowShapes, Verdict};
pub use findings::{FindingGroup, FindingLine, Findings, LintReport, LintedModel};
pub use group::{GroupHeading, Place, VariantLine};
pub use histogram_set::{CodeHistogram, HistogramBar, HistogramPanel, HistogramSet};
pub use inspection::{ActivationView, Inspection, LayerView, ModelView};
pub use inspection_stream::InspectionStream;
pub use layers::{Badge, BadgeKind, LayerActivation, LayerEntry, LayerList, LayerParameter, Tone};
pub use learning::{Learning, Trend};
pub use listing::{ListedModel, Listing};
pub use measure::Measure;
pub use model_page::{ModelPage, PageModel};
pub use nearest::nearest;
pub use page_layer::{PageLayer, PageMeasure};
pub use page_part::PageParameter;
pub use parameter::{GranularityKind, Logical, ParameterView, QuantizationView, Spread, SummaryView};
pub use preview::{PreviewLayer, PreviewModel, PreviewReport, PreviewRequest, SchemeView};
pub use preview_table::{PreviewRow, PreviewTable, SqnrCell};
pub use quantviz_core::{bytes, count, number};
pub use range_blocks::RangeBlock;
pub use range_chart::{RangeBar, RangeChart, RangeRow};
pub use range_order::RangeOrder;
pub use range_series::RangeSeries;
pub use recorded::{EarlierView, RecordedRow, RecordedTensorView, RecordedView};
pub use request::Request;
pub use run_histograms::{HistogramStrip, StripColumn};
pub use run_page::{Mood, RunCurve, RunGrid, RunMoved, RunPage};
pub use run_places::{EmbeddingMoment, EmbeddingView, PlacedRow};
pub use session_grid::{GridCell, GridRow, GridState, SessionGrid};
pub use session_list::{ListedSession, SessionList};
pub use session_step::{StepParameter, StepView};
pub use session_view::{MovedView, SeriesView, SessionView};
pub use session_words::{date, duration};
pub use snapshot_view::{
    SampleSize, SnapshotHistogram, SnapshotLayer, SnapshotParameter, SnapshotSummary, SnapshotView, StepName,
};
pub use table::{ActivationRow, Bars, Header, ParameterTable, Row};
