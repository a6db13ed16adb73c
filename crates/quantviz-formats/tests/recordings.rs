//! Recorded tensors are sources like any other: each range of them, in any order, from several threads.
#![cfg(feature = "torch")]

use std::ops::ControlFlow;

use quantviz_core::{Part, SourceExt, compare_recordings};
use quantviz_formats::{Limits, open_recordings};
use quantviz_testkit::check_sync_source;
use quantviz_testkit::pickle::{Archive, Entry};

fn array(header: &str, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(header.len()).expect("short").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
}

fn floats(shape: &str, order: &str, values: impl Iterator<Item = f32>) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}, }}");
    array(&header, &values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
}

#[test]
fn archives_of_arrays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("all.npz");
    let many = || floats("(300, 500)", "False", (0..150_000u32).map(|it| (it % 1000) as f32));
    let archive = Archive::new()
        .entry("stored.npy", &many())
        .with(Entry::deflated("deflated.npy", &many()))
        .with(Entry::deflated(
            "turned.npy",
            &floats("(2, 3)", "True", [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].into_iter()),
        ))
        .entry(
            "swapped.npy",
            &array("{'descr': '>i2', 'fortran_order': False, 'shape': (2,)}", &[1, 0, 0xff, 0xff]),
        )
        .entry("scalar.npy", &floats("()", "False", [7.0].into_iter()))
        .entry("none.npy", &floats("(0, 3)", "True", [].into_iter()));
    std::fs::write(&file, archive.build()).expect("written");
    let recordings = open_recordings(&file, &Limits::default()).expect("it can be read");
    let [recording] = &recordings[..] else { panic!("one file") };
    assert_eq!(recording.name, "all");
    let source = &*recording.source;
    check_sync_source(&source);
    let values = |name: &str| {
        let id = source.model().parameter_named(name).expect("it is in there");
        source.values(id, Part::Stored).expect("it can be read")
    };
    assert_eq!(values("stored"), values("deflated"));
    assert_eq!(values("turned"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(values("swapped"), [256.0, -1.0]);
    assert_eq!((values("scalar"), values("none")), (vec![7.0], vec![]));
}

/// An archive may have two arrays whose names differ by their ends alone, and a folder two files: fuzzing found the last compared
/// with the first.
#[test]
fn twice_under_one_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let array = |value: f32| floats("(2,)", "False", [value, 2.0].into_iter());
    let archive = Archive::new()
        .entry("relu.npy", &array(1.0))
        .entry("relu", &array(3.0))
        .entry("once.npy", &array(1.0))
        .build();
    std::fs::write(folder.path().join("all.npz"), archive).expect("written");
    let open = || open_recordings(folder.path(), &Limits::default()).expect("it can be read");
    let compared = compare_recordings(&open(), &open(), None, Some(1), &|_| ControlFlow::Continue(()));
    let tensors = compared.expect("nobody calls it off").tensors;
    let [once, relu] = &tensors[..] else { panic!("{tensors:?}") };
    let error = relu.fidelity.as_ref().expect_err("which is which").to_string();
    assert!(error.contains("it is recorded more than once under all"), "{error}");
    assert!(once.fidelity.as_ref().is_ok_and(|it| it.exact), "{once:?}");
}
