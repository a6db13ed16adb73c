//! What is computed of parameters while they are trained: everything that a snapshot has beside samples.

mod frame;
mod look;
mod sample;
mod spectrum;

pub use frame::{Frame, Principal};
pub use look::{Look, MatrixLook, THUMBNAIL};
pub use sample::{Seeded, histogram_grid, shown_rows, tail_weight};
pub use spectrum::{MatrixFeatures, Peaks, dot};
