//! What is computed of parameters while they are trained: everything that a snapshot has beside samples.

mod clusters;
mod frame;
mod heads;
mod look;
mod sample;
mod spectrum;

pub use clusters::cluster_score;
pub use frame::{Frame, Principal};
pub use heads::head_similarity;
pub use look::{Look, MatrixLook, THUMBNAIL};
pub use sample::{Seeded, histogram_grid, shown_rows, tail_weight};
pub use spectrum::{MatrixFeatures, Peaks, dot};
