//! What parameters are for, as the nodes that read them tell.

use quantviz_core::Role::{self, Bias, Constant, Embedding, Norm, RunningStat, Weight};
use quantviz_testkit::onnx::{Graph, Storage, data_type};

use crate::common::Opened;
use crate::{Tensors, graph, node, open_graph};

/// The roles of a matrix, or of vectors, in the slots of an operator: `x` is the activation, `m` a matrix, `v` a vector,
/// `s` a scalar, each followed by a number.
fn roles(domain: &str, operator: &str, inputs: &[&str]) -> Vec<Role> {
    let mut graph = graph();
    for name in inputs.iter().filter(|name| !name.is_empty() && **name != "x") {
        graph = match name.as_bytes()[0] {
            b'm' => graph.floats(name, &[2, 3], &[0.0; 6]),
            b'v' => graph.floats(name, &[4], &[0.0; 4]),
            _ => graph.floats(name, &[], &[0.0]),
        };
    }
    let opened = open_graph(graph.node(node(operator, inputs, &["y"]).domain(domain)));
    opened.model().parameters.iter().map(|parameter| parameter.role).collect()
}

#[test]
fn operators_whose_slots_have_a_meaning() {
    for (operator, inputs, expected) in [
        ("Conv", &["x", "m1", "v1"][..], &[Weight, Bias][..]),
        ("ConvTranspose", &["x", "m1", "v1"], &[Weight, Bias]),
        ("Gemm", &["x", "m1", "v1"], &[Weight, Bias]),
        ("Gemm", &["m1", "x", "v1"], &[Weight, Bias]),
        ("MatMul", &["x", "m1"], &[Weight]),
        ("MatMul", &["m1", "x"], &[Weight]),
        ("Gather", &["m1", "x"], &[Embedding]),
        ("Gather", &["v1", "x"], &[Constant]),
        ("BatchNormalization", &["x", "v1", "v2", "v3", "v4"], &[Norm, Norm, RunningStat, RunningStat]),
        ("LayerNormalization", &["x", "v1", "v2"], &[Norm, Norm]),
        ("InstanceNormalization", &["x", "v1", "v2"], &[Norm, Norm]),
        ("PRelu", &["x", "v1"], &[Weight]),
        ("LSTM", &["x", "m1", "m2", "v1", "", "m3"], &[Weight, Weight, Bias, Constant]),
        ("Einsum", &["x", "m1"], &[Weight]),
        ("Clip", &["x", "s1", "s2"], &[Constant, Constant]),
        ("Resize", &["x", "", "v1"], &[Constant]),
    ] {
        assert_eq!(roles("", operator, inputs), expected, "{operator} {inputs:?}");
    }
}

#[test]
fn operators_of_other_sets() {
    for (operator, inputs, expected) in [
        ("FusedConv", &["x", "m1", "v1"][..], &[Weight, Bias][..]),
        ("Attention", &["x", "m1", "v1"], &[Weight, Bias]),
        ("SkipLayerNormalization", &["x", "x", "v1", "v2", "v3"], &[Norm, Norm, Bias]),
        ("BiasGelu", &["x", "v1"], &[Bias]),
        ("RotaryEmbedding", &["x", "x", "m1", "m2"], &[Constant, Constant]),
        // A matrix of an operator that nobody knows is most likely a weight.
        ("SomethingNew", &["x", "m1", "v1", "s1"], &[Weight, Constant, Constant]),
    ] {
        assert_eq!(roles("com.microsoft", operator, inputs), expected, "{operator} {inputs:?}");
    }
}

#[test]
fn arithmetic_takes_layers_apart() {
    for (operator, inputs, expected) in [
        ("Add", &["x", "v1"][..], Bias),
        ("Add", &["v1", "x"], Bias),
        ("Mul", &["x", "v1"], Norm),
        ("Sub", &["x", "v1"], Constant),
        ("Div", &["x", "v1"], Constant),
        ("Add", &["x", "m1"], Constant),
        ("Mul", &["x", "s1"], Constant),
        ("Add", &["x", "s1"], Constant),
        ("Pow", &["x", "s1"], Constant),
    ] {
        assert_eq!(roles("", operator, inputs), [expected], "{operator} {inputs:?}");
    }
}

fn role_of(opened: &Opened, name: &str) -> Role {
    opened.parameter(name).role
}

#[test]
fn names_decide_where_arithmetic_does_not() {
    let opened = open_graph(
        graph()
            .floats("ln.bias", &[4], &[0.0; 4])
            .floats("pos_embed", &[1, 4], &[0.0; 4])
            .floats("channels", &[1, 4, 1, 1], &[0.0; 4])
            .node(node("Add", &["x", "ln.bias"], &["a"]))
            .node(node("Add", &["a", "pos_embed"], &["b"]))
            .node(node("Add", &["b", "channels"], &["y"])),
    );
    assert_eq!((role_of(&opened, "ln.bias"), role_of(&opened, "pos_embed")), (Norm, Embedding));
    assert_eq!(role_of(&opened, "channels"), Bias, "a vector, whatever its shape");
}

#[test]
fn whole_numbers_are_constants_where_nothing_says_otherwise() {
    let opened = open_graph(
        graph()
            .int64s("table", &[0, 1, 2, 3])
            .initializer("indices", data_type::INT64, [2, 2], Storage::int64s(&[0, 1, 1, 0]))
            .int64s("pads", &[0, 1, 1, 0])
            .node(node("Gather", &["table", "x"], &["a"]))
            .node(node("Gather", &["indices", "x"], &["b"]))
            .node(node("Add", &["b", "pads"], &["y"])),
    );
    for name in ["table", "indices", "pads"] {
        assert_eq!(role_of(&opened, name), Constant, "{name}");
    }
}

#[test]
fn codes_have_the_role_of_what_they_stand_for() {
    let opened = open_graph(
        graph()
            .int8s("table", &[4, 2], &[0; 8])
            .int8s("w", &[2, 2, 1, 1], &[0; 4])
            .int32s("b", &[2], &[0; 2])
            .floats("s", &[], &[0.5])
            .node(node("DequantizeLinear", &["table", "s"], &["table_real"]))
            .node(node("DequantizeLinear", &["w", "s"], &["w_real"]))
            .node(node("DequantizeLinear", &["b", "s"], &["b_real"]))
            .node(node("Gather", &["table_real", "x"], &["h"]))
            .node(node("Conv", &["h", "w_real", "b_real"], &["y"])),
    );
    let expected = [("table", Embedding), ("w", Weight), ("b", Bias), ("s", Role::Scale)];
    for (name, role) in expected {
        assert_eq!(role_of(&opened, name), role, "{name}");
    }
}

/// What a float model adds and multiplies with, as onnxruntime's quantizers leave it.
#[test]
fn codes_that_are_added_have_the_role_of_what_they_stand_for() {
    let names = ["fc.bias", "v", "ln.beta", "ln.gamma", "pos_embed", "inv_freq"];
    let dims = |name: &str| if name == "pos_embed" { &[2, 2][..] } else { &[4] };
    let operator = |name: &str| if name == "ln.gamma" { "Mul" } else { "Add" };
    let roles = |graph: Graph, end: &str| {
        let opened = open_graph(graph);
        let count = opened.model().parameter_count();
        (names.map(|name| role_of(&opened, &format!("{name}{end}"))), count)
    };
    let scales = || graph().floats("s", &[], &[0.5]).int8s("z", &[], &[0]);
    let float = names.iter().fold(graph(), |graph, name| {
        graph.floats(name, dims(name), &[0.0; 4]).node(node(
            operator(name),
            &["x", name],
            &[&format!("{name}.y")],
        ))
    });
    let codes = |graph: Graph, name: &str| graph.int8s(&format!("{name}_quantized"), dims(name), &[0; 4]);
    let qdq = names.iter().fold(scales(), |graph, name| {
        let [quantized, real, y] = ["_quantized", "_real", ".y"].map(|end| format!("{name}{end}"));
        codes(graph, name).node(node("DequantizeLinear", &[&quantized, "s", "z"], &[&real])).node(node(
            operator(name),
            &["x", &real],
            &[&y],
        ))
    });
    let on_codes = names.iter().fold(scales(), |graph, name| {
        let [quantized, y] = ["_quantized", ".y"].map(|end| format!("{name}{end}"));
        let inputs = ["x", "s", "z", &quantized, "s", "z", "s", "z"];
        let operator = format!("QLinear{}", operator(name));
        codes(graph, name).node(node(&operator, &inputs, &[&y]).domain("com.microsoft"))
    });
    let expected = ([Bias, Bias, Norm, Norm, Embedding, Constant], 20);
    assert_eq!(roles(float, ""), expected);
    assert_eq!(roles(qdq, "_quantized"), expected, "of QDQ");
    assert_eq!(roles(on_codes, "_quantized"), expected, "of QOperator");
}

/// A MatMul and an Add, whose bias has whole numbers of 32 bits.
#[test]
fn a_bias_of_32_bits_counts() {
    let scales = || graph().floats("s", &[], &[0.5]).int8s("z", &[], &[0]);
    let with_weights = || scales().int8s("w", &[2, 3], &[0; 6]).int32s("b", &[3], &[0; 3]);
    let qdq = with_weights()
        .node(node("DequantizeLinear", &["w", "s", "z"], &["w_real"]))
        .node(node("DequantizeLinear", &["b", "s"], &["b_real"]))
        .node(node("MatMul", &["x", "w_real"], &["h"]))
        .node(node("Add", &["h", "b_real"], &["y"]));
    let on_codes = with_weights()
        .node(node("QLinearMatMul", &["x", "s", "z", "w", "s", "z", "s", "z"], &["h"]))
        .node(node("QLinearAdd", &["h", "s", "z", "b", "s", "z", "s", "z"], &["y"]).domain("com.microsoft"));
    for graph in [qdq, on_codes] {
        let opened = open_graph(graph);
        assert_eq!((role_of(&opened, "b"), opened.model().parameter_count()), (Bias, 9));
    }
}

#[test]
fn what_rotary_embeddings_turn_by_is_not_learnt() {
    let tables =
        ["cos_cache", "sin_cache_large", "model.rotary_emb.cos_cached", "rotary_emb.inv_freq", "sin_cached"];
    let graph = tables.iter().fold(graph(), |graph, name| graph.floats(name, &[2, 4], &[0.0; 8]));
    let attention =
        node("GroupQueryAttention", &["x", "x", "x", "", "", "", "", tables[0], tables[1]], &["a"]);
    let opened = open_graph(
        graph
            .node(attention.domain("com.microsoft"))
            .node(node("Gather", &[tables[2], "x"], &["b"]))
            .node(node("MatMul", &["x", tables[3]], &["c"]))
            .node(node("Mul", &["x", tables[4]], &["d"])),
    );
    for name in tables {
        assert_eq!(role_of(&opened, name), Constant, "{name}");
    }
    assert_eq!(opened.model().parameter_count(), 0);
}
