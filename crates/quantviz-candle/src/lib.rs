//! Networks in training with [candle](https://docs.rs/candle-core), as sources for quantviz: their parameters are read
//! where they lie, between two steps, and so are their gradients.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use quantviz_candle::Network;
//! use quantviz_core::{ParameterSource, Part, SourceExt};
//!
//! let weight = Var::new(&[[0.5f32, -2.0]], &Device::Cpu)?;
//! let network = Network::new([("fc.weight", weight.as_tensor())])?; // once, before training
//!
//! let inputs = Tensor::new(&[[1f32], [3.0]], &Device::Cpu)?;
//! let loss = weight.matmul(&inputs)?.sum_all()?;
//! let gradients = loss.backward()?;
//! weight.set(&weight.affine(0.1, 0.0)?)?; // the optimizer's step
//!
//! let step = network.with_gradients(&gradients); // costs nothing: two references
//! let id = step.model().parameter_named("fc.weight").expect("is there");
//! assert_eq!(step.values(id, Part::Stored)?, [0.05f32, -0.2].map(f64::from));
//! assert_eq!(step.values(id, Part::Gradient)?, [1.0, 3.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is read in place
//! Tensors on the CPU whose elements lie side by side, as those of every `Var` do: the sink gets a slice of candle's own
//! memory. Views that are transposed, narrowed or broadcast are copied on their way, a few thousand elements at a time, and so
//! are 8-bit floats. Tensors on other devices are errors, each by itself, and warnings of the model: copy them to the CPU
//! when they are to be seen. While a sink looks at a tensor, candle cannot change it: a sink must not train.
//!
//! # For another framework
//! This crate is the pattern for adapters. One needs
//! 1. *a type that is made once* and holds the framework's handles beside a [`Model`]: names in the order in which the
//!    network computes, stored types, shapes, [`role_from_name`], [`shares`](quantviz_core::Parameter::shares) where two names
//!    have one storage, then [`add_module_layers`](Model::add_module_layers). Handles, not copies: what the optimizer
//!    writes has to be seen without making the type anew. (`network.rs`)
//! 2. *[`read`](ParameterSource::read) for [`Part::Stored`]*: check the range, borrow the memory, push one slice. All else is
//!    [`read_derived`]'s. Where a type, a device or a layout does not permit it, copy piece by piece or return an error for this
//!    tensor. (`elements.rs`)
//! 3. *[`gather`](ParameterSource::gather)*, because samples are taken of every parameter at every capture: take the lock once.
//! 4. *gradients* as a second, borrowed source around the first, which answers [`Part::Gradient`] and passes on the rest. What
//!    has none is *not found*, what is frozen is *refused*, and neither is the same as a gradient of zeros. (`gradients.rs`)
//! 5. *a test* that hands every stored type and every layout to `quantviz_testkit::check_source`.

mod elements;
mod gradients;
mod network;

pub use gradients::WithGradients;
pub use network::Network;
#[cfg(doc)]
use quantviz_core::{Model, ParameterSource, Part, read_derived, role_from_name};
