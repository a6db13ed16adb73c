//! GGUF files that are damaged, lie, or ask for too much: errors that say where, and never a panic.
#![cfg(feature = "gguf")]

mod common;
mod gguf_samples;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{Folder, assert_error, check_model, check_refusal, cut_short, refused, scan};
use quantviz_core::ErrorKind::{Limit, Malformed, Unsupported};
use quantviz_core::{Error, ErrorKind, ParameterSource};
use quantviz_formats::Limits;
use quantviz_testkit::gguf::{array, string, tensor_type as of, value_type};
use quantviz_testkit::{GgufBuilder, mutate};

/// Bytes before the metadata.
const HEAD: u64 = 4 + 4 + 8 + 8;

#[track_caller]
fn check(file: &GgufBuilder, kind: ErrorKind, tensor: Option<&str>, offset: Option<u64>, message: &str) {
    assert_error(&refused("model.gguf", file.build()), kind, tensor, offset, message);
}

#[test]
fn versions_that_are_not_read() {
    let version = |version, message: &str| {
        check(&GgufBuilder::new().version(version), Unsupported, None, Some(4), message);
    };
    version(0, "GGUF version 0 is not supported, only 2 and 3 are");
    version(1, "GGUF version 1 is not supported, only 2 and 3 are");
    version(4, "GGUF version 4 is not supported, only 2 and 3 are");
    version(3 << 24, "big-endian GGUF files are not supported");
    let named = refused("model.gguf", "GGML is something else\0");
    assert_error(&named, Malformed, None, Some(0), "the file does not begin with \"GGUF\"");
}

#[test]
fn counts_that_no_file_could_hold() {
    let file = GgufBuilder::new();
    let message = "30000 entries of metadata are announced, but only 8 bytes follow";
    check(&file.clone().claim_entries(30_000), Malformed, None, Some(HEAD), &cut_short(message));
    let message = "18446744073709551615 entries of metadata are over the limit of 65536";
    check(&file.clone().claim_entries(u64::MAX), Limit, None, Some(HEAD), message);
    let message = "100 tensors are announced, but only 8 bytes follow";
    check(&file.clone().claim_tensors(100), Malformed, None, Some(HEAD), &cut_short(message));
    let message = "18446744073709551615 tensors are over the limit of 32768";
    check(&file.claim_tensors(u64::MAX), Limit, None, Some(HEAD), message);
}

#[test]
fn values_that_do_not_end() {
    let value = HEAD + 8 + 1 + 4;
    let check = |value_type, bytes: &[u8], kind, offset, message: &str| {
        check(&GgufBuilder::new().value("k", value_type, bytes), kind, None, Some(offset), message);
    };
    let long = u64::MAX.to_le_bytes();
    let message = "18446744073709551615 bytes are announced, but only 19 bytes follow";
    check(value_type::STRING, &long, Malformed, value + 8, message);
    let message = "18446744073709551615 strings are announced, but only 15 bytes follow";
    let strings = array(value_type::STRING, u64::MAX, []);
    check(value_type::ARRAY, &strings, Malformed, value + 12, message);
    let message = "18446744073709551615 f64 are announced, but only 15 bytes follow";
    check(value_type::ARRAY, &array(value_type::F64, u64::MAX, []), Malformed, value + 12, message);
    let message = "18446744073709551615 arrays are announced, but only 15 bytes follow";
    check(value_type::ARRAY, &array(value_type::ARRAY, u64::MAX, []), Malformed, value + 12, message);
    let item = array(value_type::STRING, 1, long);
    let message = "18446744073709551615 bytes are announced, but only 7 bytes follow";
    check(value_type::ARRAY, &item, Malformed, value + 20, message);
    check(13, &[0; 8], Malformed, value, "a value has the unknown type 13");
    let of_unknown = array(77, 0, []);
    check(value_type::ARRAY, &of_unknown, Malformed, value + 12, "a value has the unknown type 77");
}

#[test]
fn arrays_in_arrays_end_somewhere() {
    let nested = |depth: usize| array(value_type::ARRAY, 1, []).repeat(depth);
    let innermost = array(value_type::U8, 0, []);
    let file = |depth| {
        GgufBuilder::new().value("k", value_type::ARRAY, [nested(depth), innermost.clone()].concat()).build()
    };
    assert_eq!(common::open("model.gguf", file(99)).model().metadata["k"], "[1 arrays]");
    let error = refused("model.gguf", file(100_000));
    assert_error(&error, Limit, None, Some(HEAD + 13 + 1200), "arrays are nested too deep");
}

#[test]
fn keys_that_cannot_be_told_apart() {
    let twice = GgufBuilder::new().text("k", "a").text("k", "b");
    check(&twice, Malformed, None, Some(HEAD + 22), "the metadata has the key \"k\" twice");
    let mut latin1 = GgufBuilder::new().text("k", "a").build();
    latin1[HEAD as usize + 8] = 0xe9;
    assert_error(&refused("model.gguf", latin1), Malformed, None, Some(HEAD), "a key is not UTF-8");
}

#[test]
fn alignments_that_are_none() {
    let message = "general.alignment is not a u32 that is a power of two";
    let file = |value_type, bytes: &[u8]| GgufBuilder::new().value("general.alignment", value_type, bytes);
    let value = HEAD + 8 + 17 + 4;
    check(&file(value_type::U32, &[0; 4]), Malformed, None, Some(value + 4), message);
    check(&file(value_type::U32, &[24, 0, 0, 0]), Malformed, None, Some(value + 4), message);
    check(&file(value_type::U64, &[32, 0, 0, 0, 0, 0, 0, 0]), Malformed, None, Some(value), message);
    let unpadded = GgufBuilder::new().value("general.alignment", value_type::U32, (1u32 << 31).to_le_bytes());
    assert_eq!(common::open("model.gguf", unpadded.build()).model().parameters.len(), 0);
}

#[test]
fn tensors_that_are_not_where_they_say() {
    let one = GgufBuilder::new().tensor("a", of::I8, [40], &[0; 40]);
    let check =
        |file: &GgufBuilder, offset, message: &str| check(file, Malformed, Some("b"), offset, message);
    let message = "its 40 bytes from 32 on are not within the 64 of data";
    check(&one.clone().tensor_at("b", of::I8, [40], 32), None, &cut_short(message));
    let message = "its 1 bytes from 18446744073709551584 on are not within the 64 of data";
    check(&one.clone().tensor_at("b", of::I8, [1], u64::MAX - 31), None, &cut_short(message));
    let message = "its 0 bytes from 96 on are not within the 64 of data";
    check(&one.clone().tensor_at("b", 99, [1], 96), None, &cut_short(message));
    check(&one.clone().tensor_at("b", of::I8, [1], 8), None, "its offset 8 is no multiple of 32");
    check(&one.clone().tensor_at("b", of::I8, [9], 32), Some(128), "its bytes overlap those of a");
    check(
        &one.tensor("b", of::I8, [1], &[1]).tensor_at("b", of::I8, [1], 64),
        None,
        "two tensors have this name",
    );
}

#[test]
fn shapes_that_cannot_be() {
    let tensor = |tensor_type, dims: &[u64]| GgufBuilder::new().tensor_at("b", tensor_type, dims, 0);
    let message = "the shape [4, 18446744073709551615] has 2^64 elements or more";
    check(&tensor(of::I8, &[4, u64::MAX]), Malformed, Some("b"), None, message);
    let message = "f32 9223372036854775807 takes more than 2^64 bytes";
    check(&tensor(of::F32, &[u64::MAX / 2]), Malformed, Some("b"), None, message);
    let message = "rows of 100 do not divide into Q4_K's blocks of 256";
    check(&tensor(of::Q4_K, &[256, 100]), Malformed, Some("b"), None, message);
    let message = "rows of 1 do not divide into Q4_0's blocks of 32";
    check(&tensor(of::Q4_0, &[]), Malformed, Some("b"), None, message);
    let dims = HEAD + 8 + 1 + 4;
    check(&tensor(of::I8, &[0; 65]), Limit, Some("b"), Some(dims), "more than 64 dimensions");
    let mut latin1 = tensor(of::I8, &[0]).build();
    latin1[HEAD as usize + 8] = 0xe9;
    assert_error(
        &refused("model.gguf", latin1),
        Malformed,
        None,
        Some(HEAD),
        "the name of a tensor is not UTF-8",
    );
}

#[test]
fn limits_can_be_set() {
    let file = GgufBuilder::new()
        .value("words", value_type::ARRAY, array(value_type::STRING, 50, string("abcdefgh").repeat(50)))
        .text("k", "v")
        .tensor("a", of::I8, [1, 1], &[0])
        .tensor("b", of::I8, [1, 1], &[0]);
    let folder = Folder::new();
    let path = folder.put("model.gguf", file.build());
    let refused = |set: fn(&mut Limits)| -> Error {
        let mut limits = Limits::default();
        set(&mut limits);
        quantviz_formats::open_with(&path, &limits).err().expect("it is over the limit")
    };
    let errors = [
        refused(|limits| limits.metadata = 1),
        refused(|limits| limits.header_bytes = 500),
        refused(|limits| limits.tensors = 1),
        refused(|limits| limits.rank = 1),
        refused(|limits| limits.depth = 0),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.file()), (Limit, Some(path.as_path())), "{error}");
    }
    folder.open("model.gguf");
}

#[test]
fn a_file_cut_short_anywhere() {
    let folder = Folder::in_memory();
    for file in gguf_samples::files() {
        for len in 0..file.len() {
            survive(&folder.put("model.gguf", &file[..len]));
        }
    }
}

#[test]
fn a_file_damaged_in_twenty_thousand_ways() {
    let folder = Folder::in_memory();
    let path = folder.path().join("model.gguf");
    let (files, mut opened) = (gguf_samples::files(), 0);
    for seed in 0..20_000 {
        let valid = &files[seed as usize % files.len()];
        fs::write(&path, mutate(valid, seed)).expect("the temporary folder is writable");
        let survived = catch_unwind(AssertUnwindSafe(|| survive(&path)));
        opened += u32::from(survived.unwrap_or_else(|_| panic!("seed {seed} fails as said above")));
    }
    // Neither all nor none: damage to weights is not noticed, that to the head is.
    assert!((2_000..18_000).contains(&opened), "{opened} could be opened");
}

/// Reads all that can be read, and says whether anything could.
fn survive(path: &Path) -> bool {
    match quantviz_formats::open(path) {
        Ok(source) => {
            check_model(source.model());
            scan(&source);
            true
        }
        Err(error) => {
            check_refusal(&error, path);
            false
        }
    }
}
