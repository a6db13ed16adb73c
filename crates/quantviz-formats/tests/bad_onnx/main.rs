//! ONNX files that are wrong in one way each, and what is said of them.
#![cfg(feature = "onnx")]

#[path = "../common/mod.rs"]
mod common;

mod external;
mod graphs;
mod tensors;
mod wire;

use quantviz_core::Error;
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::Graph;

use common::{Opened, open, refused};

/// A model of this graph, which has nothing that keeps it from being opened.
fn open_graph(graph: Graph) -> Opened {
    open("model.onnx", OnnxBuilder::new(graph).build())
}

/// The error of a model of this graph.
fn refused_graph(graph: Graph) -> Error {
    refused("model.onnx", OnnxBuilder::new(graph).build())
}
