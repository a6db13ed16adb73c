//! Small valid files that between them have everything the readers know.
#![allow(dead_code, reason = "no test needs all of it")]

use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type, tensor};
use quantviz_testkit::{SafetensorsBuilder, pack};

/// ONNX files; the last one wants [`external_bytes`] in a file `weights.bin` beside them.
pub(crate) fn onnx() -> Vec<Vec<u8>> {
    let models = [storages(), qdq(), code_operators(), blocks(), attributes(), external()];
    models
        .map(|graph| OnnxBuilder::new(graph).producer("samples", "1").metadata("key", "value").build())
        .into()
}

pub(crate) fn external_bytes() -> Vec<u8> {
    (0..64).collect()
}

/// Every field that elements can be in.
fn storages() -> Graph {
    let halves = [0x3c00, 0xc000, 0x7c00];
    Graph::new("storages")
        .input("x", data_type::FLOAT, [1, 3])
        .initializer("raw", data_type::FLOAT, [2, 3], Storage::Raw((0..24).collect()))
        .initializer("floats", data_type::FLOAT, [3], Storage::floats(&[0.5, -2.0, f32::NAN]))
        .initializer("unpacked", data_type::FLOAT, [2], Storage::unpacked_floats(&[0.5, -2.0]))
        .initializer("halves", data_type::FLOAT16, [3], Storage::int32s(&halves))
        .initializer("bytes", data_type::INT8, [3], Storage::unpacked_int32s(&[-5, 7, 127]))
        .initializer("nibbles", data_type::INT4, [3], Storage::int32s(&[0x21, 0x0f]))
        .initializer("long", data_type::INT64, [2], Storage::int64s(&[i64::MIN, 7]))
        .initializer("doubles", data_type::DOUBLE, [1], Storage::doubles(&[1e300]))
        .initializer("unsigned", data_type::UINT32, [2], Storage::uint64s(&[1, 1 << 31]))
        .initializer("f6", 27, [3], Storage::int32s(&[1, 40, 63]))
        .initializer("empty", data_type::FLOAT, [0, 3], Storage::None)
        .node(Node::new("Gemm").name("gemm").inputs(["x", "raw", "floats"]).outputs(["y"]))
        .output("y", data_type::FLOAT, [1, 2])
}

/// DequantizeLinear over tensors, axes and blocks; quantized activations.
fn qdq() -> Graph {
    let dequantize =
        |inputs: [&str; 3], output: &str| Node::new("DequantizeLinear").inputs(inputs).outputs([output]);
    Graph::new("qdq")
        .input("x", data_type::FLOAT, [1, 4])
        .initializer("w", data_type::INT8, [4, 6], Storage::Raw((0..24).collect()))
        .initializer("w_scale", data_type::FLOAT, [6], Storage::floats(&[0.5, 0.25, 1.0, 2.0, 0.1, 0.2]))
        .initializer("w_zero", data_type::INT8, [6], Storage::Raw(vec![0, 1, 2, 3, 4, 5]))
        .initializer("v", data_type::UINT4, [2, 8], Storage::Raw(pack(0..16, 4)))
        .initializer("v_scale", data_type::FLOAT, [2, 2], Storage::floats(&[0.5, 0.25, 1.0, 2.0]))
        .initializer("v_zero", data_type::UINT4, [2, 2], Storage::Raw(vec![0x87, 0x65]))
        .initializer("s", data_type::FLOAT, [1], Storage::floats(&[0.125]))
        .initializer("z", data_type::UINT8, [], Storage::int32s(&[128]))
        .node(Node::new("QuantizeLinear").inputs(["x", "s", "z"]).outputs(["x_q"]))
        .node(dequantize(["x_q", "s", "z"], "x_dq"))
        .node(dequantize(["w", "w_scale", "w_zero"], "w_dq"))
        .node(
            dequantize(["v", "v_scale", "v_zero"], "v_dq")
                .attribute("axis", Attribute::Int(-1))
                .attribute("block_size", Attribute::Int(4)),
        )
        .node(Node::new("Transpose").inputs(["v_dq"]).outputs(["v_t"]))
        .node(Node::new("MatMul").name("first").inputs(["x_dq", "w_dq"]).outputs(["h"]))
        .node(Node::new("MatMul").name("second").inputs(["h", "v_t"]).outputs(["y"]))
        .output("y", data_type::FLOAT, [1, 2])
}

/// Operators that compute on codes.
fn code_operators() -> Graph {
    let scalar = |graph: Graph, name: &str, value: f32| {
        graph.initializer(name, data_type::FLOAT, [], Storage::floats(&[value]))
    };
    let graph = Graph::new("operators").input("x", data_type::UINT8, [1, 1, 4, 4]);
    let graph = scalar(scalar(graph, "x_s", 0.5), "y_s", 0.25);
    graph
        .initializer("z", data_type::UINT8, [], Storage::Raw(vec![3]))
        .initializer("w", data_type::INT8, [2, 1, 3, 3], Storage::Raw((0..18).collect()))
        .initializer("w_s", data_type::FLOAT, [2], Storage::floats(&[0.5, 0.25]))
        .initializer("w_z", data_type::INT8, [2], Storage::Raw(vec![0, 0]))
        .initializer("b", data_type::INT32, [2], Storage::int32s(&[100, -100]))
        .initializer("m", data_type::INT8, [8, 2], Storage::Raw((0..16).collect()))
        .node(
            Node::new("QLinearConv")
                .inputs(["x", "x_s", "z", "w", "w_s", "w_z", "y_s", "z", "b"])
                .outputs(["c"])
                .attribute("pads", Attribute::Ints(vec![1, 1, 1, 1])),
        )
        .node(
            Node::new("QLinearMatMul")
                .inputs(["c", "y_s", "z", "m", "w_s", "w_z", "y_s", "z"])
                .outputs(["d"]),
        )
        .node(
            Node::new("QGemm")
                .domain("com.microsoft")
                .inputs(["d", "y_s", "z", "m", "w_s", "w_z", "b", "y_s", "z"])
                .outputs(["e"])
                .attribute("alpha", Attribute::Float(0.5)),
        )
        .node(Node::new("DequantizeLinear").inputs(["e", "y_s", "z"]).outputs(["y"]))
        .output("y", data_type::FLOAT, [1, 2])
}

/// Operators on packed blocks.
fn blocks() -> Graph {
    let attributes = |node: Node, pairs: &[(&str, i64)]| {
        let add = |node: Node, (name, value): &(&str, i64)| node.attribute(name, Attribute::Int(*value));
        pairs.iter().fold(node.domain("com.microsoft"), add)
    };
    let node = |operator: &str, inputs: &[&str], output: &str| {
        Node::new(operator).inputs(inputs.iter().copied()).outputs([output])
    };
    let floats = |graph: Graph, name: &str, values: &[f32]| {
        graph.initializer(name, data_type::FLOAT, [values.len() as i64], Storage::floats(values))
    };
    let bytes = |graph: Graph, name: &str, dims: &[i64]| {
        let bytes = (0..dims.iter().product::<i64>() as u8).collect();
        graph.initializer(name, data_type::UINT8, dims, Storage::Raw(bytes))
    };
    let graph = Graph::new("blocks").input("x", data_type::FLOAT, [1, 6]);
    let graph = bytes(bytes(bytes(graph, "n", &[2, 2, 2]), "n_z", &[2]), "g", &[2, 4]);
    let graph =
        floats(floats(bytes(graph, "b", &[6]), "n_s", &[1.0, 2.0, 0.5, 4.0]), "b_s", &[1.0, 2.0, 3.0]);
    graph
        .initializer("n_g", data_type::INT32, [6], Storage::int32s(&[0, 1, 0, 1, 0, 1]))
        .node(attributes(
            node("MatMulNBits", &["x", "n", "n_s", "n_z", "n_g"], "h"),
            &[("N", 2), ("K", 6), ("bits", 4), ("block_size", 4)],
        ))
        .node(attributes(
            node("MatMulBnb4", &["h", "b", "b_s"], "i"),
            &[("N", 6), ("K", 2), ("block_size", 4), ("quant_type", 1)],
        ))
        .node(attributes(
            node("GatherBlockQuantized", &["g", "i", "n_s"], "y"),
            &[("bits", 4), ("block_size", 4), ("quantize_axis", 1)],
        ))
        .output("y", data_type::FLOAT, [1, 2])
}

/// Tensors in attributes, subgraphs, sparse tensors.
fn attributes() -> Graph {
    let constant = |name: &str| tensor(name, data_type::FLOAT, [4], Storage::Raw(vec![0; 16]));
    let branch = Graph::new("branch").initializer("inner", data_type::INT64, [1], Storage::int64s(&[-1]));
    let indices = tensor("", data_type::INT64, [1], Storage::int64s(&[2]));
    Graph::new("attributes")
        .input("x", data_type::FLOAT, [1, 4])
        .value_info("between", data_type::FLOAT, [1, 4])
        .annotation("x", &[("SCALE_TENSOR", "s")])
        .sparse_initializer(&tensor("sparse", data_type::FLOAT, [1], Storage::floats(&[1.5])), &indices, &[9])
        .node(Node::new("Constant").outputs(["c"]).attribute("value", Attribute::Tensor(constant("c"))))
        .node(Node::new("Constant").outputs(["n"]).attribute("value_ints", Attribute::Ints(vec![1, 4])))
        .node(Node::new("Identity").inputs(["c"]).outputs(["d"]))
        .node(Node::new("Add").inputs(["x", "d"]).outputs(["between"]))
        .node(Node::new("If").inputs(["n"]).outputs(["i"]).attribute("then_branch", Attribute::Graph(branch)))
        .node(
            Node::new("Custom")
                .domain("elsewhere")
                .inputs(["between", ""])
                .outputs(["y"])
                .attribute("names", Attribute::Strings(vec!["a".into(), "b".into()]))
                .attribute("factors", Attribute::Floats(vec![1.0, 2.0])),
        )
        .output("y", data_type::FLOAT, [1, 4])
}

/// Tensors in a file beside the model.
fn external() -> Graph {
    let at = |offset, length| Storage::external("weights.bin", Some(offset), Some(length));
    Graph::new("external")
        .input("x", data_type::FLOAT, [1, 4])
        .initializer("w", data_type::FLOAT, [4, 2], at(0, 32))
        .initializer("tied", data_type::FLOAT, [4, 2], at(0, 32))
        .initializer("b", data_type::FLOAT16, [2], Storage::external("./weights.bin", Some(32), None))
        .initializer("rest", data_type::UINT8, [30], at(34, 30))
        .node(Node::new("Gemm").inputs(["x", "w", "b"]).outputs(["y"]))
        .output("y", data_type::FLOAT, [1, 2])
}

pub(crate) fn safetensors() -> Vec<Vec<u8>> {
    let network = SafetensorsBuilder::new()
        .metadata("format", "pt")
        .tensor("fc.weight", "F32", [2, 3], &[1; 24])
        .tensor("fc.bias", "BF16", [2], &[0x80, 0x3f, 0x00, 0xc0])
        .tensor("step", "I64", [], &[7; 8]);
    let types = SafetensorsBuilder::new()
        .tensor("f4", "F4", [2, 4], &[0x21; 4])
        .tensor("f6", "F6_E2M3", [4], &[1, 2, 3])
        .tensor("f8", "F8_E4M3", [3], &[0x7f, 0x38, 0xb8])
        .tensor("bool", "BOOL", [2], &[0, 1])
        .tensor("f16", "F16", [1, 2], &[0, 0x3c, 0, 0xfc])
        .tensor("u64", "U64", [1], &[0xff; 8])
        .tensor("none", "F64", [0, 5], &[]);
    vec![network.build(), types.build()]
}

/// An index, and its shards with their names.
pub(crate) fn sharded() -> (String, [(&'static str, Vec<u8>); 2]) {
    let [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let one = SafetensorsBuilder::new().metadata("format", "pt").tensor("a.weight", "F32", [2, 2], &[1; 16]);
    let other =
        SafetensorsBuilder::new().tensor("b.weight", "I8", [4], &[1; 4]).tensor("b.bias", "I8", [1], &[9]);
    let index = format!(
        r#"{{"metadata":{{"total_size":21}},"weight_map":{{"a.weight":"{first}","b.weight":"{second}","b.bias":"{second}"}}}}"#
    );
    (index, [(first, one.build()), (second, other.build())])
}
