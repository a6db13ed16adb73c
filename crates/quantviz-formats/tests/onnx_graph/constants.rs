//! Constants that nodes hold in other ways than as a tensor, and tensors of which only some elements are there.

use quantviz_core::{DType, ErrorKind, ParameterSource, Part, SourceExt};
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type, tensor};
use quantviz_testkit::wire::Message;

use crate::common::Opened;
use crate::{graph, layer_names, node, open_graph, parameters};

fn open_constant(name: &str, value: Attribute) -> Opened {
    let constant = Node::new("Constant").outputs(["c"]).attribute(name, value);
    open_graph(graph().node(constant).node(node("Add", &["x", "c"], &["y"]).name("add")))
}

#[test]
fn numbers_and_lists_of_constant_nodes() {
    let floats: Vec<f32> = (0..300).map(|index| index as f32 / 8.0).collect();
    let ints = vec![3, -1, i64::MAX];
    let cases: [(_, _, _, _, Vec<f64>); 4] = [
        ("value_float", Attribute::Float(1.5), DType::F32, vec![], vec![1.5]),
        ("value_int", Attribute::Int(-7), DType::I64, vec![], vec![-7.0]),
        (
            "value_floats",
            Attribute::Floats(floats.clone()),
            DType::F32,
            vec![300],
            floats.iter().map(|&it| it.into()).collect(),
        ),
        (
            "value_ints",
            Attribute::Ints(ints.clone()),
            DType::I64,
            vec![3],
            ints.iter().map(|&it| it as f64).collect(),
        ),
    ];
    for (name, value, dtype, dims, values) in cases {
        let opened = open_constant(name, value);
        let parameter = opened.parameter("c");
        assert_eq!((parameter.dtype, parameter.shape.dims()), (dtype, &dims[..]), "{name}");
        assert_eq!(opened.values("c"), values, "{name}");
        assert_eq!((layer_names(&opened), parameters(&opened, "add")), (vec!["x", "add"], vec!["c"]));
        let last = values.len() as u64 - 1;
        let mut found = [0.0];
        opened.source.gather(opened.id("c"), Part::Stored, &[last], &mut found).expect("readable");
        assert_eq!(f64::from(found[0]), f64::from(values[last as usize] as f32), "{name}");
    }
}

#[test]
fn texts_are_no_parameters() {
    let opened = open_constant("value_strings", Attribute::Strings(vec!["a".into(), "b".into()]));
    assert_eq!((opened.model().parameters.len(), layer_names(&opened)), (0, vec!["x", "Constant:c", "add"]));
}

fn sparse(dims: &[i64], values: &[f32], index_dims: &[i64], indices: &[i64]) -> (Message, Message, Vec<i64>) {
    let values = tensor("w", data_type::FLOAT, [values.len() as i64], Storage::floats(values));
    let indices = tensor("", data_type::INT64, index_dims, Storage::int64s(indices));
    (values, indices, dims.to_vec())
}

fn open_sparse(dims: &[i64], values: &[f32], index_dims: &[i64], indices: &[i64]) -> Opened {
    let (values, indices, dims) = sparse(dims, values, index_dims, indices);
    open_graph(
        graph()
            .sparse_initializer(&values, &indices, &dims)
            .node(node("MatMul", &["x", "w"], &["y"]).name("fc")),
    )
}

#[test]
fn sparse_tensors_read_as_if_all_elements_were_there() {
    for opened in [
        open_sparse(&[2, 3], &[1.5, -2.0], &[2], &[1, 5]),
        open_sparse(&[2, 3], &[1.5, -2.0], &[2, 2], &[0, 1, 1, 2]),
    ] {
        assert_eq!(opened.values("w"), [0.0, 1.5, 0.0, 0.0, 0.0, -2.0]);
        assert_eq!(parameters(&opened, "fc"), ["w"]);
        let summary = opened.source.summary(opened.id("w")).expect("readable");
        assert_eq!((summary.min(), summary.max(), summary.count()), (Some(-2.0), Some(1.5), 6));
    }
    let (values, indices, dims) = sparse(&[3], &[4.0], &[1], &[2]);
    let opened = open_constant("sparse_value", Attribute::SparseTensor(values, indices, dims));
    assert_eq!(opened.values("c"), [0.0, 0.0, 4.0]);
}

#[test]
fn a_large_sparse_tensor_is_read_in_pieces() {
    let opened = open_sparse(&[200_000], &[1.0, 2.0, 3.0], &[3], &[0, 65_536, 199_999]);
    let values = opened.values("w");
    let found: Vec<(usize, f64)> =
        values.iter().copied().enumerate().filter(|(_, value)| *value != 0.0).collect();
    assert_eq!(found, [(0, 1.0), (65_536, 2.0), (199_999, 3.0)]);
}

#[test]
fn sparse_tensors_that_contradict_themselves() {
    let unreadable = |opened: Opened| opened.unreadable("w").message().to_owned();
    assert_eq!(unreadable(open_sparse(&[4], &[1.0], &[1], &[4])), "its index [4] is not within it");
    assert_eq!(
        unreadable(open_sparse(&[2, 2], &[1.0], &[1, 2], &[0, -1])),
        "its index [0, -1] is not within it"
    );
    let twice = unreadable(open_sparse(&[4], &[1.0, 2.0], &[2], &[1, 1]));
    assert_eq!(twice, "its index [1] does not come after the one before");
    assert_eq!(unreadable(open_sparse(&[4], &[1.0, 2.0], &[1], &[1])), "it has 2 values and 1 indices");
    let opened = open_sparse(&[1 << 30], &[1.0], &[1], &[1]);
    assert_eq!(opened.unreadable("w").kind(), ErrorKind::Limit);
}

#[test]
fn quantized_by_a_list() {
    let graph: Graph = graph()
        .initializer("w", data_type::INT8, [2, 1], Storage::Raw(vec![1, 2]))
        .node(
            Node::new("Constant")
                .outputs(["s"])
                .attribute("value_floats", Attribute::Floats(vec![0.5, 0.25])),
        )
        .node(node("DequantizeLinear", &["w", "s"], &["r"]).attribute("axis", Attribute::Int(0)))
        .node(node("MatMul", &["x", "r"], &["y"]));
    let opened = open_graph(graph);
    let real: Vec<f32> = opened.source.real_array(opened.id("w")).expect("readable").into_iter().collect();
    assert_eq!(real, [0.5, 0.5]);
}
