//! What is said of the model as a whole: who wrote it, how large it is, what it shares.

use quantviz_core::{DType, Format};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Graph, Storage, data_type};

use crate::common::{Folder, Opened, open};
use crate::{Tensors, graph, node, open_graph};

#[test]
fn producer_versions_and_metadata() {
    let model = OnnxBuilder::new(graph())
        .ir_version(9)
        .producer("pytorch", "2.5.1")
        .opset("", 21)
        .opset("com.microsoft", 1)
        .metadata("author", "somebody")
        .build();
    let opened = open("model.onnx", &model);
    let described = opened.model();
    assert_eq!((described.format, described.producer.as_deref()), (Format::Onnx, Some("pytorch")));
    let metadata: Vec<(&str, &str)> =
        described.metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(
        metadata,
        [
            ("author", "somebody"),
            ("onnx.ir_version", "9"),
            ("onnx.opset", "ai.onnx 21, com.microsoft 1"),
            ("onnx.producer_version", "2.5.1"),
        ]
    );
    assert_eq!(described.file_bytes, model.len() as u64);
}

#[test]
fn a_file_that_says_nothing_of_itself() {
    let opened = open_graph(Graph::new(""));
    assert_eq!((opened.model().producer.as_deref(), opened.model().layers.len()), (None, 0));
    assert_eq!(opened.model().metadata["onnx.opset"], "ai.onnx 21");
}

#[test]
fn parameters_that_training_set_are_counted() {
    let opened = open_graph(
        graph()
            .floats("w", &[4, 3], &[0.0; 12])
            .int32s("b", &[3], &[0; 3])
            .floats("s", &[3], &[0.5; 3])
            .floats("gain", &[3], &[0.5; 3])
            .floats("mean", &[3], &[0.5; 3])
            .floats("unused", &[100], &[0.5; 100])
            .int64s("shape", &[1, 3])
            .node(node("DequantizeLinear", &["b", "s"], &["b_real"]))
            .node(node("Gemm", &["x", "w", "b_real"], &["h"]))
            .node(node("BatchNormalization", &["h", "gain", "gain", "mean", "mean"], &["n"]))
            .node(node("Reshape", &["n", "shape"], &["y"])),
    );
    assert_eq!(opened.model().parameter_count(), 12 + 3 + 3);
}

#[test]
fn external_tensors_of_the_same_bytes_share_them() {
    let folder = Folder::new();
    folder.put("weights.bin", [0; 64]);
    let at = |offset, length| Storage::external("weights.bin", Some(offset), Some(length));
    let model = graph()
        .initializer("embed", data_type::FLOAT, [2, 4], at(0, 32))
        .initializer("head", data_type::FLOAT, [2, 4], at(0, 32))
        .initializer("also", data_type::FLOAT, [2, 4], Storage::external("weights.bin", None, None))
        .initializer("turned", data_type::FLOAT, [4, 2], at(0, 32))
        .initializer("other type", data_type::INT32, [2, 4], at(0, 32))
        .initializer("other place", data_type::FLOAT, [2, 4], at(32, 32))
        .node(node("Gather", &["embed", "x"], &["h"]))
        .node(node("MatMul", &["h", "head"], &["y"]));
    let model = OnnxBuilder::new(model).build();
    folder.put("model.onnx", &model);
    let source = folder.open("model.onnx");
    let opened = Opened { folder, source };
    let embed = Some(opened.id("embed"));
    let shares: Vec<_> = opened.model().parameters.iter().map(|it| it.shares).collect();
    assert_eq!(shares, [None, embed, embed, None, None, None]);
    assert_eq!(opened.model().parameter_count(), 8);
    assert_eq!(opened.model().file_bytes, model.len() as u64 + 64);
}

#[test]
fn every_field_of_values_gives_the_same_numbers() {
    let halves = [0x3c00, 0xc000, 0x0001];
    let half_bytes: Vec<u8> = halves.iter().flat_map(|bits| (*bits as u16).to_le_bytes()).collect();
    let opened = open_graph(
        graph()
            .initializer("f packed", data_type::FLOAT, [2], Storage::floats(&[0.5, -2.0]))
            .initializer("f unpacked", data_type::FLOAT, [2], Storage::unpacked_floats(&[0.5, -2.0]))
            .initializer("h raw", data_type::FLOAT16, [3], Storage::Raw(half_bytes))
            .initializer("h typed", data_type::FLOAT16, [3], Storage::int32s(&halves))
            .initializer("i packed", data_type::INT8, [3], Storage::int32s(&[-5, 0, 127]))
            .initializer("i unpacked", data_type::INT8, [3], Storage::unpacked_int32s(&[-5, 0, 127]))
            .initializer("n raw", data_type::INT4, [3], Storage::Raw(vec![0x9f, 0x07]))
            .initializer("n typed", data_type::INT4, [3], Storage::int32s(&[0x9f, 0x07]))
            .initializer("l", data_type::INT64, [2], Storage::int64s(&[-1, 1 << 40]))
            .initializer("u", data_type::UINT64, [1], Storage::uint64s(&[1 << 60]))
            .initializer("d", data_type::DOUBLE, [2], Storage::doubles(&[1e300, -0.5]))
            .initializer("six raw", 27, [4], Storage::Raw(vec![0xc1, 0x0f, 0xfe]))
            .initializer("six typed", 27, [4], Storage::int32s(&[1, 63, 32, 63])),
    );
    for name in ["f packed", "f unpacked"] {
        assert_eq!(opened.values(name), [0.5, -2.0], "{name}");
    }
    for name in ["h raw", "h typed"] {
        assert_eq!(opened.values(name), [1.0, -2.0, 2f64.powi(-24)], "{name}");
    }
    for name in ["i packed", "i unpacked"] {
        assert_eq!(opened.values(name), [-5.0, 0.0, 127.0], "{name}");
    }
    for name in ["n raw", "n typed"] {
        assert_eq!(opened.values(name), [-1.0, -7.0, 7.0], "{name}");
    }
    assert_eq!(opened.values("l"), [-1.0, 2f64.powi(40)]);
    assert_eq!(opened.values("u"), [2f64.powi(60)]);
    assert_eq!(opened.values("d"), [1e300, -0.5]);
    assert_eq!(opened.parameter("six raw").dtype, DType::F6E2M3);
    assert_eq!(opened.values("six typed"), [0.125, -7.5, -0.0, -7.5]);
    assert_eq!(opened.values("six raw"), opened.values("six typed"));
}
