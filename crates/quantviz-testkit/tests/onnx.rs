//! What the ONNX builder writes is what an independent reader of ONNX reads.

use onnx_ir::{Message, ModelProto};
use quantviz_testkit::onnx::{Attribute, Graph, Node, OnnxBuilder, Storage, data_type, tensor};

#[test]
fn every_field_arrives() {
    let branch = Graph::new("branch").initializer("inner", data_type::INT64, [1], Storage::int64s(&[-1]));
    let values = tensor("sparse", data_type::FLOAT, [1], Storage::floats(&[1.5]));
    let indices = tensor("", data_type::INT64, [1], Storage::int64s(&[7]));
    let graph = Graph::new("main")
        .input("x", data_type::FLOAT, [1, 3])
        .output("y", data_type::UINT8, [])
        .value_info("between", data_type::INT8, [2])
        .initializer("raw", data_type::FLOAT, [2, -1], Storage::Raw(vec![1, 2, 3]))
        .initializer("f", data_type::FLOAT, [2], Storage::floats(&[0.5, -2.0]))
        .initializer("g", data_type::FLOAT, [2], Storage::unpacked_floats(&[0.5, -2.0]))
        .initializer("i", data_type::INT8, [2], Storage::int32s(&[-5, 300]))
        .initializer("j", data_type::INT8, [2], Storage::unpacked_int32s(&[-5, 300]))
        .initializer("d", data_type::DOUBLE, [1], Storage::doubles(&[1e300]))
        .initializer("u", data_type::UINT64, [1], Storage::uint64s(&[u64::MAX]))
        .initializer("s", data_type::STRING, [2], Storage::strings(&["a", ""]))
        .initializer("e", data_type::INT4, [9], Storage::external("w.bin", Some(64), None))
        .sparse_initializer(&values, &indices, &[100])
        .annotation("raw", &[("SCALE_TENSOR", "f")])
        .node(
            Node::new("Conv")
                .name("conv 1")
                .domain("com.microsoft")
                .inputs(["x", "", "raw"])
                .outputs(["y"])
                .attribute("alpha", Attribute::Float(0.25))
                .attribute("axis", Attribute::Int(-1))
                .attribute("mode", Attribute::String("linear".into()))
                .attribute(
                    "value",
                    Attribute::Tensor(tensor("", data_type::UINT8, [1], Storage::Raw(vec![9]))),
                )
                .attribute("then_branch", Attribute::Graph(branch))
                .attribute("scales", Attribute::Floats(vec![1.0, 2.0]))
                .attribute("pads", Attribute::Ints(vec![0, -1]))
                .attribute("keys", Attribute::Strings(vec!["k".into()])),
        );
    let bytes = OnnxBuilder::new(graph)
        .ir_version(13)
        .producer("testkit", "1")
        .domain("ai.example")
        .opset("", 21)
        .opset("com.microsoft", 1)
        .metadata("author", "a test")
        .function("local", "Twice", &["a"], &["b"], [Node::new("Add").inputs(["a", "a"]).outputs(["b"])])
        .build();
    let model = ModelProto::parse_from_bytes(&bytes).expect("well-formed");

    assert_eq!(
        (model.ir_version, model.producer_name.as_str(), model.producer_version.as_str()),
        (13, "testkit", "1")
    );
    assert_eq!(model.domain, "ai.example");
    let opsets: Vec<_> = model.opset_import.iter().map(|it| (it.domain.as_str(), it.version)).collect();
    assert_eq!(opsets, [("", 21), ("com.microsoft", 1)]);
    assert_eq!(
        (model.metadata_props[0].key.as_str(), model.metadata_props[0].value.as_str()),
        ("author", "a test")
    );
    let function = &model.functions[0];
    assert_eq!((function.name.as_str(), function.domain.as_str()), ("Twice", "local"));
    assert_eq!(
        (&function.input[0], &function.output[0], &function.node[0].op_type),
        (&"a".into(), &"b".into(), &"Add".into())
    );

    let graph = model.graph.as_ref().expect("a graph");
    assert_eq!((graph.name.as_str(), graph.input[0].name.as_str()), ("main", "x"));
    let type_of_x = graph.input[0].type_.tensor_type();
    let dims: Vec<_> = type_of_x.shape.dim.iter().map(|dim| dim.dim_value()).collect();
    assert_eq!((type_of_x.elem_type, dims), (1, vec![1, 3]));
    assert_eq!((graph.output[0].name.as_str(), graph.value_info[0].name.as_str()), ("y", "between"));
    let [raw, f, g, i, j, d, u, s, e] = &graph.initializer[..] else { panic!("nine initializers") };
    assert_eq!(
        (raw.name.as_str(), raw.data_type, &raw.dims[..], &raw.raw_data[..]),
        ("raw", 1, &[2, -1][..], &[1, 2, 3][..])
    );
    assert_eq!((&f.float_data, &g.float_data), (&vec![0.5, -2.0], &vec![0.5, -2.0]));
    assert_eq!((&i.int32_data, &j.int32_data), (&vec![-5, 300], &vec![-5, 300]));
    assert_eq!((&d.double_data, &u.uint64_data), (&vec![1e300], &vec![u64::MAX]));
    assert_eq!(s.string_data.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>(), [&b"a"[..], b""]);
    let external: Vec<_> = e.external_data.iter().map(|it| (it.key.as_str(), it.value.as_str())).collect();
    assert_eq!((external, e.data_location.value()), (vec![("location", "w.bin"), ("offset", "64")], 1));
    let sparse = &graph.sparse_initializer[0];
    assert_eq!(
        (&sparse.values.float_data, &sparse.indices.int64_data, &sparse.dims),
        (&vec![1.5], &vec![7], &vec![100])
    );
    let annotation = &graph.quantization_annotation[0];
    assert_eq!(
        (annotation.tensor_name.as_str(), annotation.quant_parameter_tensor_names[0].value.as_str()),
        ("raw", "f")
    );

    let node = &graph.node[0];
    assert_eq!(
        (node.op_type.as_str(), node.name.as_str(), node.domain.as_str()),
        ("Conv", "conv 1", "com.microsoft")
    );
    assert_eq!(
        (&node.input[..], &node.output[..]),
        (&["x", "", "raw"].map(String::from)[..], &["y".to_owned()][..])
    );
    let [alpha, axis, mode, value, then_branch, scales, pads, keys] = &node.attribute[..] else {
        panic!("eight")
    };
    assert_eq!((alpha.f, axis.i, &mode.s[..], &value.t.raw_data[..]), (0.25, -1, &b"linear"[..], &[9][..]));
    assert_eq!(then_branch.g.initializer[0].int64_data, [-1]);
    assert_eq!(
        (&scales.floats[..], &pads.ints[..], &keys.strings[0][..]),
        (&[1.0, 2.0][..], &[0, -1][..], &b"k"[..])
    );
    let types: Vec<_> = node.attribute.iter().map(|it| it.type_.value()).collect();
    assert_eq!(types, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn the_smallest_model() {
    let model = ModelProto::parse_from_bytes(&OnnxBuilder::new(Graph::new("")).build()).expect("well-formed");
    assert_eq!((model.ir_version, model.opset_import[0].version), (10, 21));
}
