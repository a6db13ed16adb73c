//! Pictures of what quantviz shows: view models in, SVG out. No toolkit, no browser, no file.
//!
//! - [`Heatmap`]: the range of every weight of a model, a panel for each variant, all on one scale.
//! - [`histograms`]: a weight beside what was made of it.
//! - [`strip`]: what quantization cost each channel.
//! - [`curve`], [`run_grid`], [`heat_strip`] and [`cloud`]: a training run; a number over steps, where its parameters change,
//!   how their values are spread, and where the rows of its embeddings lie.
//!
//! Each makes a [`Picture`], which stands alone ([`Picture::document`]) or in a page ([`Picture::inline`]) that has
//! [`STYLE`]. Colours are classes, so that the same picture is light or dark as the reader's system is; magnitude goes from
//! light to dark in one hue, which all eyes order alike, and every number that a colour stands for is written beside it.
//!
//! With the feature `png`, pictures are PNG files too (`Picture::png`), with letters that come along.
//!
//! ```
//! use std::ops::ControlFlow;
//! use quantviz_core::MemorySource;
//! use quantviz_draw::Heatmap;
//! use quantviz_view::{ComparisonView, Inspection, RangeChart, Request};
//!
//! let mut source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
//! source.model_mut().parameters[0].role = quantviz_core::Role::Weight;
//! let model = Inspection::of(&source, "m.onnx", &Request::default(), &|_| ControlFlow::Continue(()))?;
//! let chart = RangeChart::of(&model, &ComparisonView::of("m.onnx", Vec::new()));
//! let svg = Heatmap::of(&chart).picture().document();
//! assert!(svg.starts_with("<svg xmlns=") && svg.contains("-1 … 2"));
//! # Ok::<(), quantviz_core::Error>(())
//! ```

mod cloud;
mod curve;
mod escape;
mod heat_strip;
mod heatmap;
mod histograms;
mod picture;
#[cfg(feature = "png")]
mod png;
mod row_name;
mod run_grid;
mod strip;
mod style;

pub use cloud::cloud;
pub use curve::curve;
pub use escape::escaped;
pub use heat_strip::heat_strip;
pub use heatmap::Heatmap;
pub use histograms::{Counts, Values, histograms, histograms_in_all_ways};
pub use picture::Picture;
#[cfg(feature = "png")]
pub use png::NotPainted;
pub use run_grid::run_grid;
pub use strip::strip;
pub use style::STYLE;
