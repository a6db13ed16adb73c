//! Models whose weights were taken apart and laid together, and such as are wrong.

use std::path::Path;

use quantviz_testkit::onnx::{Graph, Node, OnnxBuilder, Storage, data_type};

/// A model as trained, and quantized.
pub(crate) struct Model {
    pub(crate) float: String,
    pub(crate) quantized: String,
}

pub(crate) struct Written {
    /// One weight of three parts.
    pub(crate) merged: Model,
    /// The parts, each a weight.
    pub(crate) parts: Model,
    /// What belongs to neither.
    pub(crate) other: Model,
    /// A number of it is none, and a scale is not finite.
    pub(crate) broken: Model,
}

const INPUTS: usize = 32;
const OUTPUTS: usize = 24;

/// Rows of inputs, as MatMul has them.
fn weights(seed: u64, outputs: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..INPUTS * outputs).map(|_| (0..6).map(|_| uniform()).sum::<f32>() * 0.05).collect()
}

/// Some columns of a matrix of all.
fn part(all: &[f32], index: usize) -> Vec<f32> {
    all.chunks(3 * OUTPUTS).flat_map(|row| row[index * OUTPUTS..(index + 1) * OUTPUTS].to_vec()).collect()
}

fn write_model(folder: &Path, name: &str, weights: &[(&str, Vec<f32>)], scale: f32) -> Model {
    let (mut float, mut quantized) = (Graph::new("g"), Graph::new("g"));
    for (name, numbers) in weights {
        let dims = [INPUTS as i64, (numbers.len() / INPUTS) as i64];
        let scale = numbers.iter().fold(0f32, |most, it| most.max(it.abs())) / 127.0 * scale;
        let code = |number: &f32| ((number / scale).round_ties_even() as i8).to_le_bytes()[0];
        let [codes, scales, real, layer, made] =
            ["_quantized", "_scale", "_real", "/MatMul", "/out"].map(|end| format!("{name}{end}"));
        let product = |weight: &str| Node::new("MatMul").name(&layer).inputs(["x", weight]).outputs([&*made]);
        float = float.initializer(name, data_type::FLOAT, dims, Storage::floats(numbers)).node(product(name));
        quantized = quantized
            .initializer(&codes, data_type::INT8, dims, Storage::Raw(numbers.iter().map(code).collect()))
            .initializer(&scales, data_type::FLOAT, [], Storage::floats(&[scale]))
            .node(Node::new("DequantizeLinear").inputs([&*codes, &*scales]).outputs([&*real]))
            .node(product(&real));
    }
    let [float, quantized] = [("float", float), ("quantized", quantized)].map(|(kind, graph)| {
        let path = folder.join(format!("{name}_{kind}.onnx"));
        std::fs::write(&path, OnnxBuilder::new(graph).build()).expect("written");
        path.to_string_lossy().into_owned()
    });
    Model { float, quantized }
}

pub(crate) fn write(folder: &Path) -> Written {
    let all = weights(1, 3 * OUTPUTS);
    let parts = ["q", "k", "v"].into_iter().enumerate().map(|(index, name)| (name, part(&all, index)));
    let parts: Vec<_> = parts.collect();
    let mut broken = weights(9, OUTPUTS);
    broken[5] = f32::NAN;
    Written {
        merged: write_model(folder, "merged", &[("qkv", all)], 1.0),
        parts: write_model(folder, "parts", &parts, 1.0),
        other: write_model(folder, "other", &[("q", weights(9, OUTPUTS))], 1.0),
        broken: write_model(folder, "broken", &[("q", broken)], f32::INFINITY),
    }
}
