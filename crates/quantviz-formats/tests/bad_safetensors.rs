//! safetensors files that are wrong in one way each, and what is said of them.
#![cfg(feature = "safetensors")]

mod common;

use std::fs::OpenOptions;

use common::{Folder, assert_error, cut_short, open, refused};
use quantviz_core::ErrorKind::{Limit, Malformed, NotFound, Unsupported};
use quantviz_core::{DType, Error, Warning, WarningKind};
use quantviz_formats::{Limits, open_with};
use quantviz_testkit::SafetensorsBuilder;
use quantviz_testkit::safetensors::{raw, raw_claimed};

/// The error of a file with this header and payload.
fn refused_header(header: &str, payload: &[u8]) -> Error {
    refused("model.safetensors", raw(header, payload))
}

fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

/// The error of a file with one tensor `w` and eight bytes.
fn refused_entry(dtype: &str, shape: &str, offsets: &str) -> Error {
    refused_header(&format!("{{{}}}", entry("w", dtype, shape, offsets)), &[0; 8])
}

#[test]
fn an_empty_file() {
    assert_error(&refused("model.safetensors", []), Malformed, None, None, "the file is empty");
}

#[test]
fn a_file_too_short_for_a_length() {
    let message = "a header needs at least 8 bytes, the file has 7";
    assert_error(&refused("model.safetensors", [0; 7]), Malformed, None, None, &cut_short(message));
}

#[test]
fn a_header_longer_than_the_file() {
    let error = refused("model.safetensors", raw_claimed(100, "{}", &[]));
    assert_error(
        &error,
        Malformed,
        None,
        Some(0),
        &cut_short("the header is said to have 100 bytes, the file has only 10"),
    );
    let error = refused("model.safetensors", raw_claimed(u64::MAX, "{}", &[]));
    let message = "the header is said to have 18446744073709551615 bytes, the file has only 10: \
                   this is no safetensors file, or a damaged one";
    assert_error(&error, Malformed, None, Some(0), message);
}

#[test]
fn a_header_over_the_limit() {
    let folder = Folder::new();
    let path = folder.put("model.safetensors", raw(format!("{{}}{}", " ".repeat(100)), &[]));
    let mut limits = Limits::default();
    limits.header_bytes = 64;
    let error = open_with(&path, &limits).err().expect("a header of 102 bytes");
    assert_error(&error, Limit, None, Some(0), "a header of 102 bytes is over the limit of 64");
    assert_eq!(error.file(), Some(&*path));
    assert!(quantviz_formats::open(&path).is_ok());
}

#[test]
fn too_many_tensors() {
    let folder = Folder::new();
    let file = SafetensorsBuilder::new().tensor("a", "I8", [1], &[1]).tensor("b", "I8", [1], &[2]);
    let path = folder.put("model.safetensors", file.build());
    let mut limits = Limits::default();
    limits.tensors = 1;
    let error = open_with(&path, &limits).err().expect("two tensors");
    assert_error(&error, Limit, None, None, "more than 1 tensors");
    assert_eq!(error.file(), Some(&*path));
}

#[test]
fn too_many_dimensions() {
    let error = refused_entry("F32", &format!("{:?}", [1; 65]), "[0,4]");
    assert_error(&error, Limit, None, None, "more than 64 dimensions");
}

#[test]
fn a_header_that_is_no_json() {
    let error = refused_header("{nonsense}", &[]);
    let message = "the header is not what safetensors has: key must be a string at line 1 column 2";
    assert_error(&error, Malformed, None, Some(9), message);
    let error = refused_header("[]", &[]);
    let message = "the header is not what safetensors has: invalid type: sequence, expected an object with an \
                   entry for every tensor at line 1 column 0";
    assert_error(&error, Malformed, None, Some(8), message);
}

#[test]
fn a_header_with_something_behind_it() {
    let error = refused_header("{} {}", &[]);
    assert_eq!((error.kind(), error.offset()), (Malformed, Some(11)));
    assert!(error.message().ends_with("trailing characters at line 1 column 4"), "{error}");
}

#[test]
fn a_header_that_is_no_text() {
    let error = refused("model.safetensors", raw(b"{\"\xff\xfe\":1}", &[]));
    assert_eq!(error.kind(), Malformed);
    assert!(error.message().contains("invalid unicode"), "{error}");
}

#[test]
fn json_that_is_nested_deeply() {
    for nested in ["[".repeat(200_000), r#"{"a":"#.repeat(200_000)] {
        for header in [format!(r#"{{"w":{nested}"#), format!(r#"{{"w":{{"dtype":{nested}"#), nested] {
            assert_eq!(refused_header(&header, &[]).kind(), Malformed);
        }
    }
}

#[test]
fn two_tensors_of_one_name() {
    let header = format!("{{{},{}}}", entry("w", "I8", "[4]", "[0,4]"), entry("w", "I8", "[4]", "[4,8]"));
    let error = refused_header(&header, &[0; 8]);
    assert_error(&error, Malformed, Some("w"), None, "two tensors have this name");
}

#[test]
fn metadata_twice() {
    let error = refused_header(r#"{"__metadata__":{"a":"b"},"__metadata__":{}}"#, &[]);
    assert_eq!(error.kind(), Malformed);
    assert!(error.message().contains("__metadata__ comes twice"), "{error}");
}

#[test]
fn metadata_that_is_not_text() {
    let error = refused_header(r#"{"__metadata__":{"a":1}}"#, &[]);
    assert_eq!((error.kind(), error.offset()), (Malformed, Some(29)));
    assert!(error.message().contains("invalid type: integer `1`, expected a string"), "{error}");
}

#[test]
fn a_tensor_without_offsets() {
    let error = refused_header(r#"{"w":{"dtype":"F32","shape":[2]}}"#, &[0; 8]);
    assert!(error.message().contains("missing field `data_offsets`"), "{error}");
}

#[test]
fn tensors_that_overlap() {
    let header = format!("{{{},{}}}", entry("a", "I8", "[4]", "[0,4]"), entry("b", "I8", "[4]", "[3,7]"));
    let error = refused_header(&header, &[0; 8]);
    let place = 8 + header.len() as u64 + 3;
    assert_error(&error, Malformed, Some("b"), Some(place), "its bytes overlap those of a");
}

#[test]
fn a_tensor_beyond_the_end() {
    let message = "its bytes 4..12 are not within the 8 bytes of data";
    assert_error(&refused_entry("F32", "[2]", "[4,12]"), Malformed, Some("w"), None, &cut_short(message));
    let message = "its bytes 18446744073709551615..18446744073709551615 are not within the 8 bytes of data";
    let error = refused_entry("F32", "[0]", "[18446744073709551615,18446744073709551615]");
    assert_error(&error, Malformed, Some("w"), None, &cut_short(message));
}

#[test]
fn a_tensor_that_ends_before_it_begins() {
    let message = "its bytes 8..0 are not within the 8 bytes of data";
    assert_error(&refused_entry("F32", "[2]", "[8,0]"), Malformed, Some("w"), None, message);
}

#[test]
fn a_tensor_of_the_wrong_size() {
    let message = "f32 3 takes 12 bytes, not 8";
    assert_error(&refused_entry("F32", "[3]", "[0,8]"), Malformed, Some("w"), None, message);
    let message = "f4_e2m1 3×3 takes 5 bytes, not 4";
    assert_error(&refused_entry("F4", "[3,3]", "[0,4]"), Malformed, Some("w"), None, message);
}

#[test]
fn a_shape_that_overflows() {
    let error = refused_entry("F32", "[4294967296,4294967296]", "[0,8]");
    assert_eq!(error.kind(), Malformed);
    assert!(error.message().contains("has 2^64 elements or more"), "{error}");
    let error = refused_entry("F32", "[4294967296,0,4294967296]", "[0,0]");
    assert!(error.message().contains("has 2^64 elements or more"), "{error}");
    let message = "f32 9223372036854775808 takes more than 2^64 bytes";
    assert_error(
        &refused_entry("F32", "[9223372036854775808]", "[0,8]"),
        Malformed,
        Some("w"),
        None,
        message,
    );
}

#[test]
fn dimensions_that_are_no_whole_numbers() {
    for shape in ["[-1]", "[1.5]", "[18446744073709551616]", "2", "null", r#"["2"]"#] {
        let error = refused_entry("F32", shape, "[0,8]");
        assert_eq!(error.kind(), Malformed, "{shape}: {error}");
        assert!(error.offset().is_some_and(|offset| offset > 20), "{shape}: {error}");
    }
}

#[test]
fn a_dtype_that_is_not_known_is_a_warning() {
    let file = SafetensorsBuilder::new().tensor("odd", "I3", [5], &[1, 2]).tensor("fine", "I8", [2], &[3, 4]);
    let opened = open("model.safetensors", file.build());
    let expected = Warning::about("odd", WarningKind::Unsupported, "the dtype \"I3\" is not known here");
    assert_eq!(opened.model().warnings, [expected]);
    assert_eq!(opened.parameter("odd").dtype, DType::Unknown);
    assert_eq!(opened.values("fine"), [3.0, 4.0]);
    let error = opened.unreadable("odd");
    assert_error(&error, Unsupported, Some("odd"), None, "unknown values cannot be read one by one");
}

#[test]
fn bytes_of_no_tensor_are_a_warning() {
    let header = format!("{{{},{}}}", entry("a", "I8", "[2]", "[1,3]"), entry("b", "I8", "[0]", "[2,2]"));
    let opened = open("model.safetensors", raw(header, &[9, 1, 2, 9, 9]));
    let message = "3 bytes of data belong to no tensor";
    assert_eq!(opened.model().warnings, [Warning::general(WarningKind::Odd, message)]);
    assert_eq!(opened.values("a"), [1.0, 2.0]);
}

#[test]
fn a_file_that_shrinks_after_it_was_opened() {
    let file =
        SafetensorsBuilder::new().tensor("a", "I8", [4], &[1; 4]).tensor("b", "F32", [2], &[0; 8]).build();
    let opened = open("model.safetensors", &file);
    let path = opened.folder.path().join("model.safetensors");
    let shrunk = OpenOptions::new().write(true).open(&path).and_then(|it| it.set_len(file.len() as u64 - 6));
    shrunk.expect("the temporary folder is writable");
    assert_eq!(opened.values("a"), [1.0; 4]);
    let error = opened.unreadable("b");
    let message = "the file ends here: it shrank while it was read";
    assert_error(&error, Malformed, Some("b"), Some(file.len() as u64 - 8), message);
    assert_eq!(error.file(), Some(&*path));
}

#[test]
fn a_folder_in_place_of_a_file() {
    let folder = Folder::new();
    folder.put("model.safetensors/inside", []);
    let error = folder.refused("model.safetensors");
    assert_error(&error, Unsupported, None, None, "this is a folder, not a model file");
}

#[test]
fn a_file_that_is_not_there() {
    let error = Folder::new().refused("model.safetensors");
    assert_error(&error, NotFound, None, None, "no such file or folder");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_at_once() {
    let folder = Folder::new();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("model.safetensors")).status();
    assert!(made.expect("every Unix has mkfifo").success());
    let error = folder.refused("model.safetensors");
    assert_error(&error, Unsupported, None, None, "this is not a regular file");
}
