//! A model with its variants as HTML that needs nothing else: no network, no other file. A [`Fragment`] stands in a page,
//! in the output of a notebook, several of them beside each other; [`page`] is a file of its own.
//!
//! Without JavaScript all of it can be read: the ranges of all weights, and every layer as a part that opens. With it, one
//! layer is selected, by a click on its row, in the list or with arrow keys, and all parts show that one.
//!
//! ```
//! use std::ops::ControlFlow;
//! use quantviz_core::MemorySource;
//! use quantviz_html::{Fragment, page};
//! use quantviz_view::{ComparisonView, Inspection, ModelPage, Request};
//!
//! let mut source = MemorySource::new().with("fc.weight", ndarray::arr2(&[[-1.0f32, 0.5], [2.0, 0.0]]));
//! source.model_mut().parameters[0].role = quantviz_core::Role::Weight;
//! let request = Request { bins: Some(4), ..Request::default() };
//! let model = Inspection::of(&source, "m.onnx", &request, &|_| ControlFlow::Continue(()))?;
//! let shown = ModelPage::of("m", &model, None, &[], &ComparisonView::of("m.onnx", Vec::new()));
//! let fragment = Fragment::of(&shown, "first");
//! assert!(fragment.html().contains(r#"id="qv-first""#));
//! assert!(page(&fragment).starts_with("<!DOCTYPE html>"));
//! # Ok::<(), quantviz_core::Error>(())
//! ```

mod data;
mod fragment;
mod header;
mod layer;
mod part;
mod picker;
mod ranges;
mod run;
mod style;

pub use fragment::{Fragment, page};
