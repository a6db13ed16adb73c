//! Tensors whose type, shape and data do not fit each other.

use quantviz_core::ErrorKind::{Malformed, Unsupported};
use quantviz_core::{DType, Error, Warning, WarningKind};
use quantviz_testkit::onnx::{Attribute, Graph, Node, Storage, data_type, tensor};
use quantviz_testkit::wire::Message;

use crate::common::{Opened, assert_error, scan};
use crate::{open_graph, refused_graph};

/// A graph of one tensor, beside one that there is nothing wrong with.
fn graph_with(data_type: i32, dims: &[i64], storage: Storage) -> Graph {
    Graph::new("g").initializer("w", data_type, dims, storage).initializer(
        "fine",
        data_type::INT8,
        [2],
        Storage::Raw(vec![3, 4]),
    )
}

fn refused_tensor(data_type: i32, dims: &[i64], storage: Storage) -> Error {
    refused_graph(graph_with(data_type, dims, storage))
}

fn open_tensor(data_type: i32, dims: &[i64], storage: Storage) -> Opened {
    let opened = open_graph(graph_with(data_type, dims, storage));
    assert_eq!(opened.values("fine"), [3.0, 4.0]);
    opened
}

#[test]
fn raw_data_of_the_wrong_size() {
    for (data_type, dims, len, message) in [
        (data_type::FLOAT, &[2, 3][..], 23, "f32 2×3 takes 24 bytes, its data has 23"),
        (data_type::FLOAT, &[], 8, "f32 scalar takes 4 bytes, its data has 8"),
        (data_type::INT8, &[0], 1, "i8 0 takes 0 bytes, its data has 1"),
        (data_type::INT4, &[3], 1, "i4 3 takes 2 bytes, its data has 1"),
        (data_type::COMPLEX128, &[2], 16, "c128 2 takes 32 bytes, its data has 16"),
    ] {
        let error = refused_tensor(data_type, dims, Storage::Raw(vec![0; len]));
        assert_error(&error, Malformed, Some("w"), error.offset(), message);
        assert!(error.offset().is_some(), "{error}");
    }
}

#[test]
fn packed_floats_of_the_wrong_size() {
    let error = refused_tensor(data_type::FLOAT, &[3], Storage::floats(&[1.0, 2.0]));
    assert_eq!(error.message(), "f32 3 takes 12 bytes, its data has 8");
}

#[test]
fn typed_values_of_the_wrong_number_are_found_when_they_are_read() {
    for (data_type, dims, storage, found) in [
        (data_type::FLOAT, &[1][..], Storage::unpacked_floats(&[1.0, 2.0]), "1 elements, its data more"),
        (data_type::FLOAT, &[3], Storage::unpacked_floats(&[1.0, 2.0]), "3 elements, its data 2"),
        (data_type::INT32, &[3], Storage::int32s(&[1000, 2000]), "3 elements, its data 2"),
        (data_type::INT32, &[2], Storage::unpacked_int32s(&[1, 2, 3]), "2 elements, its data more"),
        (data_type::INT64, &[1], Storage::int64s(&[1, 2]), "1 elements, its data more"),
        (data_type::UINT4, &[5], Storage::int32s(&[255, 255]), "5 elements, its data 4"),
        (data_type::UINT64, &[2], Storage::uint64s(&[u64::MAX]), "2 elements, its data 1"),
    ] {
        let opened = open_tensor(data_type, dims, storage);
        let error = opened.unreadable("w");
        assert_error(&error, Malformed, Some("w"), error.offset(), &format!("its shape has {found}"));
        assert!(error.offset().is_some(), "{error}");
        scan(&opened.source);
    }
}

#[test]
fn tensors_without_data_are_a_warning() {
    for storage in [
        Storage::None,
        // The field of another type.
        Storage::doubles(&[1.0, 2.0]),
        Storage::int32s(&[]),
    ] {
        let opened = open_tensor(data_type::INT32, &[2], storage);
        let message = "i32 2 has no data, or too little";
        assert_eq!(opened.model().warnings, [Warning::about("w", WarningKind::Malformed, message)]);
        assert_error(&opened.unreadable("w"), Malformed, Some("w"), None, message);
    }
    let opened = open_tensor(data_type::INT32, &[1 << 30], Storage::int32s(&[1, 2, 3]));
    assert_eq!(opened.unreadable("w").message(), "i32 1073741824 has no data, or too little");
    scan(&opened.source);
}

#[test]
fn a_negative_dimension() {
    let error = refused_tensor(data_type::FLOAT, &[2, -1], Storage::Raw(vec![0; 8]));
    assert_error(&error, Malformed, Some("w"), None, "its shape has a negative dimension");
}

#[test]
fn dimensions_that_overflow() {
    let error = refused_tensor(data_type::FLOAT, &[i64::MAX, 4], Storage::Raw(vec![0; 8]));
    assert_eq!((error.kind(), error.tensor()), (Malformed, Some("w")));
    assert!(error.message().contains("has 2^64 elements or more"), "{error}");
    let error = refused_tensor(data_type::FLOAT, &[1 << 40, 0, 1 << 40], Storage::None);
    assert!(error.message().contains("has 2^64 elements or more"), "{error}");
    let error = refused_tensor(data_type::DOUBLE, &[i64::MAX], Storage::None);
    let message = "f64 9223372036854775807 takes more than 2^64 bytes";
    assert_error(&error, Malformed, Some("w"), None, message);
}

#[test]
fn more_data_than_any_model_has() {
    for storage in [Storage::None, Storage::int32s(&[1]), Storage::external("missing.bin", None, None)] {
        let error = refused_tensor(data_type::UINT8, &[1 << 60], storage);
        assert_eq!(error.message(), "the tensors up to here take more than 4398046511104 bytes");
    }
}

#[test]
fn too_many_dimensions() {
    let error = refused_tensor(data_type::INT8, &[1; 65], Storage::Raw(vec![0]));
    assert_eq!(error.message(), "it has 65 dimensions, more than 64");
    let packed = Message::new().bytes(1, vec![1; 100_000]).int(2, 3).bytes(8, "w");
    let error = refused_graph(Graph::new("g").field(5, &packed));
    assert_eq!(error.message(), "a tensor of more than 64 dimensions");
}

#[test]
fn two_tensors_of_one_name() {
    let twice = Graph::new("g").initializer("w", data_type::INT8, [1], Storage::Raw(vec![1])).initializer(
        "w",
        data_type::INT8,
        [1],
        Storage::Raw(vec![1]),
    );
    assert_error(&refused_graph(twice), Malformed, Some("w"), None, "two tensors have this name");
    let constant = tensor("other", data_type::INT8, [1], Storage::Raw(vec![1]));
    let shadowed = Graph::new("g")
        .initializer("w", data_type::INT8, [1], Storage::Raw(vec![1]))
        .node(Node::new("Constant").outputs(["w"]).attribute("value", Attribute::Tensor(constant)));
    assert_error(&refused_graph(shadowed), Malformed, Some("w"), None, "two tensors have this name");
}

#[test]
fn a_type_that_is_not_known_is_a_warning() {
    let opened = open_tensor(99, &[2], Storage::Raw(vec![1, 2, 3]));
    let message = "the data type 99 is not known here";
    assert_eq!(opened.model().warnings, [Warning::about("w", WarningKind::Unsupported, message)]);
    assert_eq!(opened.parameter("w").dtype, DType::Unknown);
    assert_error(&opened.unreadable("w"), Unsupported, Some("w"), None, "unknown values cannot be read");
}

#[test]
fn text_is_listed_and_not_read() {
    let opened = open_tensor(data_type::STRING, &[2], Storage::strings(&["a", "b"]));
    assert_eq!((opened.parameter("w").dtype, &opened.model().warnings[..]), (DType::String, &[][..]));
    assert_error(&opened.unreadable("w"), Unsupported, Some("w"), None, "string values cannot be read");
}

#[test]
fn complex_numbers_are_listed_and_not_read() {
    for (data_type, storage) in [
        (data_type::COMPLEX64, Storage::Raw(vec![0; 8])),
        (data_type::COMPLEX64, Storage::floats(&[1.0, 2.0])),
        (data_type::COMPLEX64, Storage::unpacked_floats(&[1.0, 2.0])),
        (data_type::COMPLEX128, Storage::doubles(&[1.0, 2.0])),
    ] {
        let opened = open_tensor(data_type, &[1], storage);
        assert_eq!((opened.unreadable("w").kind(), &opened.model().warnings[..]), (Unsupported, &[][..]));
    }
}

#[test]
fn a_tensor_in_segments_is_a_warning() {
    let segment = Message::new().message(3, &Message::new().int(1, 0).int(2, 4));
    let storage = Storage::Fields(segment.bytes(9, [1, 2]));
    let opened = open_tensor(data_type::INT8, &[2], storage);
    let message = "tensors in segments are not supported";
    assert_eq!(opened.model().warnings, [Warning::about("w", WarningKind::Unsupported, message)]);
    assert_error(&opened.unreadable("w"), Unsupported, Some("w"), None, message);
}
