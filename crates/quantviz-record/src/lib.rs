//! Records the parameters of a network while it is trained.
//!
//! A [`Recorder`] is called after every step. It looks at parameters where they are, for no longer than its share of the
//! time that steps take; a thread of its own makes snapshots of what was seen, and one for each store writes them. See
//! [`Recorder`] for an example.
//!
//! # For a framework
//! A framework needs a [`ParameterSource`](quantviz_core::ParameterSource) over its tensors, and nothing of this crate:
//! - the [`Model`](quantviz_core::Model) is made once, with names, shapes and dtypes, and kept;
//! - [`read`](quantviz_core::ParameterSource::read) pushes the tensor's own memory, as one block;
//!   [`Part::Gradient`](quantviz_core::Part::Gradient) that of the gradient, or says that there is none
//!   ([`NotFound`](quantviz_core::ErrorKind::NotFound)) or that the parameter is frozen
//!   ([`Refused`](quantviz_core::ErrorKind::Refused));
//! - [`gather`](quantviz_core::ParameterSource::gather) indexes that memory, since a sample is gathered at every capture.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers are narrowed to what a snapshot keeps of them"
)]

mod allowance;
mod builder;
mod capture;
mod captured;
mod change;
mod delivery;
mod detail;
mod encode;
mod import;
mod look;
mod matrix;
mod pace;
mod picture;
mod placed;
mod priority;
mod pushed;
mod queue;
mod reading;
mod recorder;
mod rows;
mod selection;
mod shape;
mod watched;
mod worker;

pub use builder::RecorderBuilder;
pub use import::Import;
pub use recorder::{Recorder, RecorderState};
