//! ONNX: the graph of a transformer as exporters write it, without attention's inner products, which have no weights.

use quantviz_testkit::onnx::data_type::{FLOAT, INT8, INT64, UINT8};
use quantviz_testkit::wire::Message;

use crate::noise::Record;
use crate::{Field, File, Piece, Tensor, Transformer};

/// How matrices are stored.
#[derive(Clone, Copy)]
enum Weights {
    Float32,
    /// Behind DequantizeLinear, with one scale or with one for each column.
    Int8 {
        per_channel: bool,
    },
    /// In MatMulNBits, 32 codes to a scale.
    FourBits,
}

const BLOCK: u64 = 32;
const NIBBLES: Record = &[(256, Field::Nibbles)];
const FLOATS: Record = &[(256, Field::F32)];

/// 32 bits each.
pub fn float32(model: &Transformer) -> File {
    inline(model, Weights::Float32)
}

/// Eight bits with one scale.
pub fn int8_per_tensor(model: &Transformer) -> File {
    inline(model, Weights::Int8 { per_channel: false })
}

/// Eight bits with a scale for each column.
pub fn int8_per_channel(model: &Transformer) -> File {
    inline(model, Weights::Int8 { per_channel: true })
}

/// Four bits in blocks.
pub fn four_bits(model: &Transformer) -> File {
    inline(model, Weights::FourBits)
}

/// 32 bits each, and what is too large for one protobuf message: a model, and the file `data_name` with its weights.
pub fn float32_external(model: &Transformer, data_name: &str) -> (File, File) {
    external(model, Weights::Float32, data_name)
}

/// Four bits in blocks, with the weights in another file.
pub fn four_bits_external(model: &Transformer, data_name: &str) -> (File, File) {
    external(model, Weights::FourBits, data_name)
}

fn inline(model: &Transformer, weights: Weights) -> File {
    let graph = Graph::of(model, weights);
    let mut file = File::new([Piece::Bytes(graph.message.into_bytes())]);
    for Initializer { head, payload } in graph.initializers {
        let bytes = payload.bytes();
        let tensor = head.claimed(9, bytes, &[]).into_bytes();
        let field = Message::new().claimed(5, tensor.len() as u64 + bytes, &tensor);
        file.push(Piece::Bytes(field.into_bytes()));
        file.push(payload);
    }
    let head = model_head().claimed(7, file.bytes(), &[]);
    file.behind(head.into_bytes())
}

fn external(model: &Transformer, weights: Weights, data_name: &str) -> (File, File) {
    let graph = Graph::of(model, weights);
    let (mut message, mut data) = (graph.message, File::default());
    for Initializer { head, payload } in graph.initializers {
        let place = [
            ("location", data_name.to_owned()),
            ("offset", data.bytes().to_string()),
            ("length", payload.bytes().to_string()),
        ];
        let entry = |(key, value): &(&str, String)| Message::new().bytes(1, key).bytes(2, value);
        let tensor = place.iter().fold(head, |tensor, pair| tensor.message(13, &entry(pair))).varint(14, 1);
        message = message.message(5, &tensor);
        data.push(payload);
    }
    (File::new([Piece::Bytes(model_head().message(7, &message).into_bytes())]), data)
}

/// Versions; everything in front of the graph.
fn model_head() -> Message {
    let operators = |domain: &str, version| Message::new().bytes(1, domain).int(2, version);
    Message::new().int(1, 10).message(8, &operators("", 21)).message(8, &operators("com.microsoft", 1))
}

/// A graph whose weights are still to be written.
struct Graph {
    message: Message,
    initializers: Vec<Initializer>,
    /// The value that the next node reads.
    state: String,
}

struct Initializer {
    /// The tensor without its values.
    head: Message,
    payload: Piece,
}

impl Graph {
    fn of(model: &Transformer, weights: Weights) -> Self {
        let mut graph = Graph {
            message: Message::new().bytes(2, "main"),
            initializers: Vec::new(),
            state: String::new(),
        };
        graph.input("tokens");
        graph.input("places");
        let tensors = model.tensors();
        let [tokens, places, layers @ ..] = &tensors[..] else { return graph };
        graph.embedding(tokens, "tokens", weights);
        graph.embedding(places, "places", weights);
        graph.node("Add", "", &["tokens_embedded", "places_embedded"], "embedded", &[]);
        graph.state = "embedded".to_owned();
        for layer in layers.chunks_exact(2) {
            let [weight, bias] = layer else { continue };
            graph.floats(bias);
            if weight.matrix().is_some() {
                graph.linear(weight, bias, weights);
            } else {
                graph.floats(weight);
                graph.step("LayerNormalization", &[&weight.name, &bias.name], &format!("{}.y", weight.name));
            }
        }
        graph.message = graph.message.message(12, &Message::new().bytes(1, &graph.state));
        graph
    }

    fn input(&mut self, name: &str) {
        let dim = Message::new().message(1, &Message::new().int(1, 1));
        let tensor = Message::new().int(1, INT64.into()).message(2, &dim);
        let value = Message::new().bytes(1, name).message(2, &Message::new().message(1, &tensor));
        self.message = std::mem::take(&mut self.message).message(11, &value);
    }

    fn node(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, u64)],
    ) {
        let node = inputs.iter().fold(Message::new(), |node, input| node.bytes(1, input));
        let node = node.bytes(2, output).bytes(4, operator).bytes(7, domain);
        let node = attributes.iter().fold(node, |node, (name, value)| {
            node.message(5, &Message::new().bytes(1, name).varint(3, *value).varint(20, 2))
        });
        self.message = std::mem::take(&mut self.message).message(1, &node);
    }

    /// A node of the chain that all layers are.
    fn step(&mut self, operator: &str, more_inputs: &[&str], output: &str) {
        let state = std::mem::replace(&mut self.state, output.to_owned());
        self.node(operator, "", &[&[state.as_str()], more_inputs].concat(), output, &[]);
    }

    fn initializer(&mut self, name: &str, data_type: i32, dims: &[u64], record: Record, bytes: u64) {
        let head = dims.iter().fold(Message::new(), |message, &dim| message.varint(1, dim));
        let head = head.int(2, data_type.into()).bytes(8, name);
        let payload = Piece::filled(name.trim_end_matches("_quantized"), record, bytes);
        self.initializers.push(Initializer { head, payload });
    }

    fn floats(&mut self, tensor: &Tensor) {
        self.initializer(&tensor.name, FLOAT, &tensor.dims, FLOATS, 4 * tensor.elements());
    }

    fn embedding(&mut self, tensor: &Tensor, indices: &str, weights: Weights) {
        let output = format!("{indices}_embedded");
        if let (Weights::FourBits, Some((rows, columns))) = (weights, tensor.matrix()) {
            let (codes, scales) = (format!("{}_Q4", tensor.name), format!("{}_scales", tensor.name));
            self.initializer(&codes, UINT8, &[rows, columns / 2], NIBBLES, rows * columns / 2);
            self.scales(&scales, &[rows, columns / BLOCK]);
            let attributes = [("bits", 4), ("block_size", BLOCK), ("gather_axis", 0), ("quantize_axis", 1)];
            let inputs = [&*codes, indices, &*scales];
            self.node("GatherBlockQuantized", "com.microsoft", &inputs, &output, &attributes);
        } else {
            let weight = self.dequantized(tensor, weights);
            self.node("Gather", "", &[&weight, indices], &output, &[]);
        }
    }

    fn linear(&mut self, weight: &Tensor, bias: &Tensor, weights: Weights) {
        let product = format!("{}.product", weight.name);
        if let (Weights::FourBits, Some((rows, columns))) = (weights, weight.matrix()) {
            let (codes, scales) = (format!("{}_Q4", weight.name), format!("{}_scales", weight.name));
            let blocks = rows / BLOCK;
            self.initializer(&codes, UINT8, &[columns, blocks, BLOCK / 2], NIBBLES, rows * columns / 2);
            self.scales(&scales, &[columns, blocks]);
            let attributes = [("N", columns), ("K", rows), ("bits", 4), ("block_size", BLOCK)];
            let inputs = [&*std::mem::take(&mut self.state), &codes, &scales];
            self.node("MatMulNBits", "com.microsoft", &inputs, &product, &attributes);
            self.state.clone_from(&product);
        } else {
            let weight = self.dequantized(weight, weights);
            self.step("MatMul", &[&weight], &product);
        }
        self.step("Add", &[&bias.name], &format!("{}.sum", weight.name));
    }

    /// Adds a weight, and DequantizeLinear where it needs one; returns the name of its real values.
    fn dequantized(&mut self, tensor: &Tensor, weights: Weights) -> String {
        let (Weights::Int8 { per_channel }, Some((_, columns))) = (weights, tensor.matrix()) else {
            self.floats(tensor);
            return tensor.name.clone();
        };
        let named = |ending: &str| format!("{}_{ending}", tensor.name);
        let [codes, scale, zero_point, real] = ["quantized", "scale", "zero_point", "real"].map(named);
        let channels: &[u64] = if per_channel { &[columns] } else { &[] };
        self.initializer(&codes, INT8, &tensor.dims, &[(256, Field::I8)], tensor.elements());
        let fitting = &[(1, Field::FittingScale)];
        self.initializer(&scale, FLOAT, channels, fitting, 4 * channels.iter().product::<u64>());
        let zeros = &[(1, Field::Constant(0))];
        self.initializer(&zero_point, INT8, channels, zeros, channels.iter().product());
        let inputs = [&*codes, &*scale, &*zero_point];
        self.node("DequantizeLinear", "", &inputs, &real, &[("axis", 1)]);
        real
    }

    fn scales(&mut self, name: &str, dims: &[u64]) {
        self.initializer(name, FLOAT, dims, &[(1, Field::Scale32)], 4 * dims.iter().product::<u64>());
    }
}
