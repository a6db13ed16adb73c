//! Findings: what is worth knowing about a quantized model, found in its file alone.
//!
//! A [`Finding`] says what is so, with numbers as evidence, why it matters and what to try. The rules are numbered
//! (`QV001` to `QV022`) and never renumbered; [`RULES`] is the list of them, and where each is explained.
//!
//! - [`Lint`] looks at one model, in parallel, with progress. Every quantized parameter is read once; once more, where
//!   some of its scales are zero.
//! - [`findings_of_pairs`] judges what a comparison with a reference measured of each parameter.
//! - A [`Gate`] says whether a model may ship: limits for what a comparison measured, and findings that are not allowed.
//! - A [`Target`] is a runtime that some things matter to and others not.
//!
//! ```
//! use std::ops::ControlFlow;
//! use ndarray::arr2;
//! use quantviz_core::{DType, Encoding, Granularity, MemorySource, Operand, QuantDescriptor};
//! use quantviz_insight::{Code, Level, Lint};
//!
//! let scale = Operand::One { value: f64::NAN, parameter: None };
//! let per_tensor =
//!     QuantDescriptor::of_stored(Encoding::Other, "my own", DType::I8, Granularity::Tensor, scale, None);
//! let source = MemorySource::new()
//!     .with("fc.weight", arr2(&[[-128i8, 0], [3, 127]]))
//!     .quantized(per_tensor.expect("i8 holds codes"))?;
//!
//! let linted = Lint::new().run(&source, &|_progress| ControlFlow::Continue(()))?;
//! let finding = &linted.findings[0];
//! assert_eq!((finding.code, finding.level), (Code::BadScale, Level::Error));
//! assert_eq!(finding.parameter.as_deref(), Some("fc.weight"));
//! println!("{}: {} {}", finding.code, finding.message, finding.advice);
//! # Ok::<(), quantviz_core::Error>(())
//! ```

mod behind_zeros;
mod case;
mod catalogue;
mod code_facts;
mod compared;
mod evidence;
mod facts;
mod finding;
mod gate;
mod judge;
mod limit;
mod lint;
mod pair;
mod rules;
mod scale_facts;
mod target;

pub use catalogue::{Code, RULES, Rule};
pub use compared::findings_of_comparison;
pub use evidence::{Evidence, Fact};
pub use finding::{Finding, Level};
pub use gate::{Exception, Gate};
pub use judge::{FAR_BELOW_DB, Failure, Judgement};
pub use limit::Unit;
pub use lint::{Lint, Linted};
pub use pair::{OffGrid, PairEvidence, findings_of_pairs};
pub use target::Target;
