//! Look into the parameters of neural networks from a Rust notebook ([evcxr](https://github.com/evcxr/evcxr)): values that
//! show themselves below the cell, as a page in Jupyter and as text in a terminal.
//!
//! ```text
//! :cache 1000
//! :dep quantviz-evcxr = { path = "../crates/quantviz-evcxr" }
//! use quantviz_evcxr::*;
//! ```
//!
//! ```no_run
//! use quantviz_evcxr::*;
//!
//! let models = open("models")?; // a folder: what is in it, to choose from
//! let cost = models.compare()?; // the float model beside everything that was made of it, on one page
//! cost.layer("layer3.conv2")?;
//! cost.parameter("layer3.conv2.weight")?;
//! cost.histogram("layer3.conv2.weight")?.log();
//!
//! let int8 = models.model("int8")?; // or by number
//! let values = int8.values("layer3.conv2.weight_quantized")?; // an ndarray of the numbers that its codes stand for
//! # Ok::<(), quantviz_evcxr::Error>(())
//! ```
//!
//! [`open`] gives [`Models`]: one model, if the path is a file, a listing, if it is a folder. A [`Model`], a
//! [`Comparison`], a [`Layer`], a [`Parameter`] and a [`Histogram`] are owned, so that they live in variables from cell to
//! cell, and all of them [`Show`] themselves when they are the last thing in a cell. Arrays are those of [`ndarray`], which
//! is here too.
//!
//! # When something fails
//! An error is one line that says which file, which tensor, what is wrong and what to do. evcxr does not fail a cell for an
//! `Err`; so that none goes by unseen:
//! - `open("x")?` ends the cell there and prints the line. Variables of that cell are not made, so that a later cell which
//!   needs them does not run on something else.
//! - `open("x")` as the last thing in a cell, without `?`, shows the value, or the error in its place ([`Show`] is
//!   implemented for results). It needs `use quantviz_evcxr::*`, as [`Show`] has to be known.
//!
//! # What the first cell costs
//! evcxr compiles this crate with all that it needs, with optimisation: some minutes on two cores. `:cache 1000`
//! keeps what was compiled for other notebooks and other days, so that the next first cell takes five to ten seconds, most of
//! which evcxr spends on reading the sources of all that is below this crate, to know the types of variables. It keeps what
//! comes from a registry or from a git repository; crates that lie in a folder (`path = …`) evcxr compiles anew for each kernel,
//! because their code may have changed, unless an `evcxr.toml` beside the notebook names a `tmpdir` that stays.
//!
//! Most of the time goes into reading ONNX: the library for it brings a tensor library along. Those who have no ONNX files
//! leave it out, and name the formats that they want (`gguf`, `onnx`, `safetensors`, `torch`):
//!
//! ```text
//! :dep quantviz-evcxr = { path = "../crates/quantviz-evcxr", default-features = false, features = ["safetensors"] }
//! ```
//!
//! With the feature `session`, which is not there by default, `show_session(&store, "shakespeare")` shows a training run that was
//! recorded, of a store that the notebook brings (`quantviz-store` has one for folders).
//!
//! A file of a format that was left out is an error that names the feature.

mod comparison;
mod measuring;
mod model;
mod models;
mod parts;
mod plain;
mod progress;
#[cfg(feature = "session")]
mod session;
mod show;
mod which;

pub use comparison::Comparison;
pub use model::Model;
pub use models::{Models, open};
pub use ndarray;
pub use parts::{Histogram, Layer, Parameter};
pub use quantviz_core::{Error, ErrorKind, Result};
#[cfg(feature = "session")]
pub use session::{Session, show_session};
pub use show::Show;
pub use which::Which;
