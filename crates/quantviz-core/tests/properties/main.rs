//! What must hold for all tensors, against references that are written from the definitions.

mod arrays;
mod blocks;
mod calibrating;
mod comparing;
mod decoding;
mod dequantizing;
mod float_codes;
mod histograms;
mod normalised;
mod outliers;
mod reference;
mod segments;
mod sessions;
mod sources;
mod stacked;
mod summaries;
mod taken_back;
mod weighing;
