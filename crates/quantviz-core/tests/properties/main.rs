//! What must hold for all tensors, against references that are written from the definitions.

mod blocks;
mod calibrating;
mod comparing;
mod decoding;
mod dequantizing;
mod histograms;
mod normalised;
mod reference;
mod sources;
mod stacked;
mod summaries;
mod taken_back;
mod weighing;
