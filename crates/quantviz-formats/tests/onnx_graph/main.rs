//! What is made of an ONNX graph: layers, roles, and which codes stand for which numbers.
#![cfg(feature = "onnx")]

#[path = "../common/mod.rs"]
mod common;

mod activations;
mod annotations;
mod arithmetic;
mod arranged;
mod code_operators;
mod constants;
mod encodings;
mod integer;
mod layers;
mod nested;
mod notes;
mod outputs;
mod qdq;
mod quantized_floats;
mod quantized_inputs;
mod roles;
mod whole_model;

use quantviz_core::Layer;
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Graph, Node, Storage, data_type};

use common::{Opened, open};

fn open_graph(graph: Graph) -> Opened {
    open("model.onnx", OnnxBuilder::new(graph).build())
}

fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    Node::new(operator).inputs(inputs.iter().copied()).outputs(outputs.iter().copied())
}

/// Initializers of a few common types.
trait Tensors {
    fn floats(self, name: &str, dims: &[i64], values: &[f32]) -> Self;
    fn int8s(self, name: &str, dims: &[i64], values: &[i8]) -> Self;
    fn uint8s(self, name: &str, dims: &[i64], values: &[u8]) -> Self;
    fn int32s(self, name: &str, dims: &[i64], values: &[i32]) -> Self;
    fn int64s(self, name: &str, values: &[i64]) -> Self;
}

impl Tensors for Graph {
    fn floats(self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, data_type::FLOAT, dims, Storage::Raw(bytes))
    }

    fn int8s(self, name: &str, dims: &[i64], values: &[i8]) -> Self {
        let bytes = values.iter().map(|value| value.cast_unsigned()).collect();
        self.initializer(name, data_type::INT8, dims, Storage::Raw(bytes))
    }

    fn uint8s(self, name: &str, dims: &[i64], values: &[u8]) -> Self {
        self.initializer(name, data_type::UINT8, dims, Storage::Raw(values.to_vec()))
    }

    fn int32s(self, name: &str, dims: &[i64], values: &[i32]) -> Self {
        self.initializer(name, data_type::INT32, dims, Storage::int32s(values))
    }

    fn int64s(self, name: &str, values: &[i64]) -> Self {
        self.initializer(name, data_type::INT64, [values.len() as i64], Storage::int64s(values))
    }
}

/// A graph with an input `x` that is a float.
fn graph() -> Graph {
    Graph::new("g").input("x", data_type::FLOAT, [1, 4])
}

fn layer_names(opened: &Opened) -> Vec<&str> {
    opened.model().layers.iter().map(|layer| layer.name.as_str()).collect()
}

fn layer<'a>(opened: &'a Opened, name: &str) -> &'a Layer {
    let found = opened.model().layers.iter().find(|layer| layer.name == name);
    found.unwrap_or_else(|| panic!("no layer {name:?} among {:?}", layer_names(opened)))
}

/// The names of a layer's parameters.
fn parameters<'a>(opened: &'a Opened, layer_name: &str) -> Vec<&'a str> {
    layer(opened, layer_name)
        .parameters
        .iter()
        .map(|&id| opened.model().parameter(id).name.as_str())
        .collect()
}
