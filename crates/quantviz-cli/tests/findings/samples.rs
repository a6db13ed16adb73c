//! The same weight in files of many kinds.

use quantviz::f16;
use quantviz_testkit::gguf::tensor_type;
use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type};
use quantviz_testkit::pickle::{Archive, Pickle};
use quantviz_testkit::{GgufBuilder, SafetensorsBuilder, pack};

use crate::Sample;

/// A matrix of codes with scales and zero-points: one, or one for every column; of blocks, one for each.
#[derive(Clone)]
pub(crate) struct Weight {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) codes: Vec<i32>,
    pub(crate) scales: Vec<f32>,
    /// None where the file is to have none.
    pub(crate) zero_point: Option<i32>,
}

impl Weight {
    /// 32×64 codes that are spread as weights are, from `low` to `high`, with a scale for all.
    pub(crate) fn spread(low: i32, high: i32) -> Self {
        let (rows, columns) = (32, 64);
        let (middle, half) = (f64::from(low + high) / 2.0, f64::from(high - low) / 2.0);
        let count = rows * columns;
        let code = |index: usize| {
            // A bell: the more the position is scattered, the less do neighbours have in common.
            let share = ((index * 773) % count) as f64 / (count - 1) as f64;
            let side = 2.0 * share - 1.0;
            (middle + half * side.signum() * side.abs().powf(1.7)).round() as i32
        };
        let codes = (0..count).map(code).collect();
        Weight { rows, columns, codes, scales: vec![0.01], zero_point: None }
    }

    pub(crate) fn scales(self, scales: impl Into<Vec<f32>>) -> Self {
        Weight { scales: scales.into(), ..self }
    }

    pub(crate) fn zero_point(self, zero_point: i32) -> Self {
        Weight { zero_point: Some(zero_point), ..self }
    }

    pub(crate) fn codes(self, code: impl Fn(usize, i32) -> i32) -> Self {
        let codes = self.codes.iter().enumerate().map(|(index, &known)| code(index, known)).collect();
        Weight { codes, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        self.codes.iter().map(|&code| code.to_le_bytes()[0]).collect()
    }

    fn dims(&self) -> [i64; 2] {
        [self.rows as i64, self.columns as i64]
    }

    /// The tensors `w`, `s` and `z`.
    pub(crate) fn tensors(&self, graph: Graph, data_type: i32) -> Graph {
        let dims: &[i64] = if self.scales.len() == 1 { &[] } else { &[self.scales.len() as i64] };
        let graph = graph.initializer("w", data_type, self.dims(), Storage::Raw(self.bytes())).initializer(
            "s",
            data_type::FLOAT,
            dims,
            Storage::floats(&self.scales),
        );
        let Some(zero_point) = self.zero_point else { return graph };
        let zeros = vec![zero_point.to_le_bytes()[0]; self.scales.len()];
        graph.initializer("z", data_type, dims, Storage::Raw(zeros))
    }

    /// DequantizeLinear before MatMul.
    pub(crate) fn qdq(&self, data_type: i32) -> Sample {
        let inputs = ["w", "s", "z"];
        let inputs = &inputs[..if self.zero_point.is_some() { 3 } else { 2 }];
        let graph = self
            .tensors(graph(), data_type)
            .node(Node::new("DequantizeLinear").inputs(inputs.iter().copied()).outputs(["real"]))
            .node(Node::new("MatMul").name("fc").inputs(["x", "real"]).outputs(["y"]));
        Sample::new("QDQ", "model.onnx", OnnxBuilder::new(graph).build())
    }

    /// QLinearMatMul, whose zero-points there have to be.
    pub(crate) fn qoperator(&self, data_type: i32) -> Sample {
        let weight = Weight { zero_point: Some(self.zero_point.unwrap_or(0)), ..self.clone() };
        let graph = activation(weight.tensors(graph(), data_type), 0.05)
            .node(Node::new("QuantizeLinear").inputs(["x", "xs", "xz"]).outputs(["xq"]))
            .node(
                Node::new("QLinearMatMul")
                    .name("fc")
                    .inputs(["xq", "xs", "xz", "w", "s", "z", "xs", "xz"])
                    .outputs(["yq"]),
            )
            .node(Node::new("DequantizeLinear").inputs(["yq", "xs", "xz"]).outputs(["y"]));
        Sample::new("QLinearMatMul", "model.onnx", OnnxBuilder::new(graph).build())
    }

    /// MatMulInteger as quantize_dynamic writes it.
    pub(crate) fn integer(&self, data_type: i32) -> Sample {
        let weight = Weight { zero_point: Some(self.zero_point.unwrap_or(0)), ..self.clone() };
        let graph = weight
            .tensors(graph(), data_type)
            .node(Node::new("DynamicQuantizeLinear").inputs(["x"]).outputs(["xq", "xs", "xz"]))
            .node(Node::new("MatMulInteger").name("fc").inputs(["xq", "w", "xz", "z"]).outputs(["sums"]))
            .node(
                Node::new("Cast")
                    .inputs(["sums"])
                    .outputs(["real_sums"])
                    .attribute("to", Attribute::Int(data_type::FLOAT.into())),
            )
            .node(Node::new("Mul").inputs(["xs", "s"]).outputs(["scales"]))
            .node(Node::new("Mul").inputs(["real_sums", "scales"]).outputs(["y"]));
        Sample::new("MatMulInteger", "model.onnx", OnnxBuilder::new(graph).build())
    }

    /// MatMulNBits of four bits or eight, blocks of 32: rows are outputs, and scales are as many as blocks.
    pub(crate) fn nbits(&self, bits: u32) -> Sample {
        let blocks = self.codes.len() / 32;
        let scales = self.scales.iter().copied().cycle().take(blocks);
        let scales: Vec<f32> = scales.collect();
        let packed = pack(self.codes.iter().map(|&code| code as u128), bits);
        let per_row = self.columns / 32;
        let dims = [self.rows as i64, per_row as i64, i64::from(bits) * 4];
        let graph = graph()
            .initializer("w", data_type::UINT8, dims, Storage::Raw(packed))
            .initializer("s", data_type::FLOAT, [blocks as i64], Storage::floats(&scales))
            .node(
                Node::new("MatMulNBits")
                    .name("fc")
                    .domain("com.microsoft")
                    .inputs(["x", "w", "s"])
                    .outputs(["y"])
                    .attribute("K", Attribute::Int(self.columns as i64))
                    .attribute("N", Attribute::Int(self.rows as i64))
                    .attribute("bits", Attribute::Int(bits.into()))
                    .attribute("block_size", Attribute::Int(32)),
            );
        Sample::new(
            "MatMulNBits",
            "model.onnx",
            OnnxBuilder::new(graph).opset("", 21).opset("com.microsoft", 1).build(),
        )
    }

    /// GGUF's Q8_0.
    pub(crate) fn q8_0(&self) -> Sample {
        let blocks = self.bytes();
        let blocks = blocks.chunks(32).zip(self.scales.iter().cycle());
        let bytes: Vec<u8> = blocks
            .flat_map(|(codes, &scale)| [&f16::from_f32(scale).to_le_bytes()[..], codes].concat())
            .collect();
        self.gguf("Q8_0", tensor_type::Q8_0, &bytes)
    }

    /// GGUF's Q4_0: codes from 0 to 15.
    pub(crate) fn q4_0(&self) -> Sample {
        let blocks = self.codes.chunks(32).zip(self.scales.iter().cycle());
        let bytes: Vec<u8> = blocks
            .flat_map(|(codes, &scale)| {
                let nibbles = (0..16).map(|at| (codes[at] | codes[at + 16] << 4).to_le_bytes()[0]);
                f16::from_f32(scale).to_le_bytes().into_iter().chain(nibbles).collect::<Vec<u8>>()
            })
            .collect();
        self.gguf("Q4_0", tensor_type::Q4_0, &bytes)
    }

    fn gguf(&self, title: &'static str, tensor_type: u32, bytes: &[u8]) -> Sample {
        let shape = [self.rows as u64, self.columns as u64];
        Sample::new(title, "model.gguf", GgufBuilder::new().tensor("w", tensor_type, shape, bytes).build())
    }

    /// A quantized tensor of torch: with one scale, or one for each row.
    pub(crate) fn qtensor(&self, class: &str) -> Sample {
        let real = |it: Pickle, value: f64| it.op(b"G").op(value.to_be_bytes());
        let count = self.codes.len() as i64;
        let zero_point = self.zero_point.unwrap_or(0);
        let pickle = Pickle::new().op(b"}").text("w").global("torch._utils", "_rebuild_qtensor").op(b"(");
        let pickle =
            pickle.storage(class, "0", count).int(0).ints(&self.dims()).ints(&[self.columns as i64, 1]);
        let pickle = if let [scale] = self.scales[..] {
            let it = pickle.op(b"(").global("torch", "per_tensor_affine");
            real(it, scale.into()).int(zero_point.into()).op(b"t")
        } else {
            let it = pickle.op(b"(").global("torch", "per_channel_affine").op(b"](");
            let it = self.scales.iter().fold(it, |it, &scale| real(it, scale.into())).op(b"e](");
            self.scales.iter().fold(it, |it, _| it.int(zero_point.into())).op(b"e").int(0).op(b"t")
        };
        let archive = Archive::new()
            .entry("model/data.pkl", &pickle.op(b"\x89NtRs").build())
            .entry("model/data/0", &self.bytes());
        Sample::new("torch", "model.pt", archive.build())
    }

    /// GPTQ of four bits: codes along the rows in words, a group of all rows.
    pub(crate) fn gptq(&self) -> Sample {
        let (rows, columns) = (self.rows, self.columns);
        let words = (0..rows / 8).flat_map(|word| (0..columns).map(move |column| (word, column)));
        let words: Vec<u8> = words
            .flat_map(|(word, column)| {
                let code = |at: usize| self.codes[(word * 8 + at) * columns + column] as u32;
                (0..8).fold(0, |packed, at| packed | code(at) << (4 * at)).to_le_bytes()
            })
            .collect();
        let scales = self.scales.iter().cycle().take(columns);
        let scales: Vec<u8> = scales.flat_map(|&scale| f16::from_f32(scale).to_le_bytes()).collect();
        let file = SafetensorsBuilder::new()
            .tensor("w.qweight", "I32", [rows as u64 / 8, columns as u64], &words)
            .tensor("w.qzeros", "I32", [1, columns as u64 / 8], &[0x77].repeat(columns / 2))
            .tensor("w.scales", "F16", [1, columns as u64], &scales);
        Sample::new("GPTQ", "model.safetensors", file.build())
    }

    /// float8 codes with a scale for each row, as vLLM and others write them.
    pub(crate) fn float8(&self) -> Sample {
        let scales: Vec<u8> = self.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let file = SafetensorsBuilder::new()
            .tensor("w.weight", "F8_E4M3", [self.rows as u64, self.columns as u64], &self.bytes())
            .tensor("w.weight_scale", "F32", [self.scales.len() as u64, 1], &scales);
        Sample::new("float8", "model.safetensors", file.build())
    }
}

/// A graph with an input `x`.
pub(crate) fn graph() -> Graph {
    Graph::new("main").input("x", data_type::FLOAT, [1, 32]).output("y", data_type::FLOAT, [1, 64])
}

/// Scale `xs` and zero-point `xz` of an uint8 activation.
pub(crate) fn activation(graph: Graph, scale: f32) -> Graph {
    graph.initializer("xs", data_type::FLOAT, [], Storage::floats(&[scale])).initializer(
        "xz",
        data_type::UINT8,
        [],
        Storage::Raw(vec![128]),
    )
}

/// So many scales from 0.01 on, all different.
pub(crate) fn different(count: usize) -> Vec<f32> {
    (0..count).map(|index| 0.01 + index as f32 * 1e-4).collect()
}

pub(crate) const I8: i32 = data_type::INT8;
pub(crate) const U8: i32 = data_type::UINT8;
