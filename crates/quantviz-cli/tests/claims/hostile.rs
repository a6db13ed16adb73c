//! Files that are damaged or lie: each ends in a line that says why, in little memory, and nothing of them is run.

use std::path::Path;
use std::process::{Command, Output};

use quantviz::{Limits, SourceExt, open_importance, open_recordings};
use quantviz_testkit::gguf::tensor_type::{F16, F32};
use quantviz_testkit::pickle::{Archive, Entry};
use quantviz_testkit::{GgufBuilder, mutations};

use crate::{path, refused};

fn compare_with(importance: &Path) -> String {
    let (reference, quantized) = (path("model.safetensors"), path("model-Q4_0.gguf"));
    refused(&["compare", &reference, &quantized, "--importance", &importance.to_string_lossy()])
}

/// An entry of llama.cpp's older form.
fn entry(name: &[u8], calls: i32, announced: i32, values: &[f32]) -> Vec<u8> {
    let values = values.iter().flat_map(|it| it.to_le_bytes());
    let name_len = i32::try_from(name.len()).expect("short").to_le_bytes();
    [&name_len[..], name, &calls.to_le_bytes(), &announced.to_le_bytes()]
        .concat()
        .into_iter()
        .chain(values)
        .collect()
}

#[test]
fn importance_of_the_older_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("imatrix.dat");
    let first = entry(b"blk.0.attn_q.weight", 1, 2, &[1.0, 2.0]);
    for (entries, rest, expected) in [
        (i32::MAX, &first, "neither an importance matrix of llama.cpp nor a safetensors file"),
        (-1, &first, "neither an importance matrix"),
        (0, &first, "neither an importance matrix"),
        (1, &entry(b"a\nb", 1, 1, &[1.0, 1.0]), "neither an importance matrix"),
        (
            1,
            &entry(b"blk.0.attn_q.weight", 1, i32::MAX, &[1.0]),
            "8589934588 bytes are announced, but only 4 follow",
        ),
        (1, &entry(b"blk.0.attn_q.weight", 1, -1, &[1.0]), "blk.0.attn_q.weight: byte 31: -1 is no count"),
        (1, &entry(b"blk.0.attn_q.weight", -3, 1, &[1.0]), "-3 is no count"),
        (1, &entry(b"blk.0.attn_q.weight", 1, 1, &[-1.0]), "the importance of input 0 is -1"),
        (1, &entry(b"blk.0.attn_q.weight", 1, 0, &[1.0]), "the importance of all its inputs is zero"),
        (2, &[&first[..], &first].concat(), "its importance is listed twice"),
        (2, &[&first[..], &first[..8]].concat(), "the file is cut short"),
        (2, &[&first[..], &entry(&[b'x'; 2000], 1, 1, &[1.0])].concat(), "a name of 2000 bytes"),
    ] {
        std::fs::write(&file, [&entries.to_le_bytes()[..], rest].concat()).expect("written");
        let line = compare_with(&file);
        assert!(line.contains(expected), "{expected}: {line}");
    }
    std::fs::write(&file, b"").expect("written");
    compare_with(&file);
    let whole = std::fs::read(path("imatrix.dat")).expect("a fixture");
    for len in 0..whole.len() - 30 {
        std::fs::write(&file, &whole[..len]).expect("written");
        assert!(open_importance(&file, &Limits::default()).is_err(), "the first {len} bytes");
    }
    let mut small = Limits::default();
    small.importance_bytes = 10;
    let error = open_importance(path("imatrix.dat"), &small).expect_err("it is larger");
    assert_eq!(error.limit_met(), Some("importance_bytes"));
}

#[test]
fn importance_in_gguf() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("imatrix.gguf");
    let f32s = |values: &[f32]| values.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
    let (sums, one, two) = (f32s(&[1.0, 2.0, 3.0]), f32s(&[1.0]), f32s(&[1.0, 1.0]));
    let imatrix = || GgufBuilder::new().text("general.type", "imatrix");
    let with_sums = || imatrix().tensor("a.in_sum2", F32, [3, 1], &sums);
    for (built, expected) in [
        (GgufBuilder::new().tensor("a.in_sum2", F32, [3, 1], &sums), "its general.type is not imatrix"),
        (imatrix(), "no importance is listed in it"),
        (with_sums(), "a: it has sums of squares, but no counts"),
        (with_sums().tensor("a.counts", F32, [1, 2], &two), "3 sums of squares and 2 counts"),
        (with_sums().tensor("a.counts", F32, [1, 1], &f32s(&[-1.0])), "its count of inputs is -1"),
        (with_sums().tensor("a.counts", F32, [1, 1], &f32s(&[f32::NAN])), "its count of inputs is NaN"),
        (with_sums().tensor("a.counts", F16, [1, 1], &one[..2]), "that are not f32"),
        (
            imatrix().tensor("a.in_sum2", F32, [1, 1], &f32s(&[-4.0])).tensor("a.counts", F32, [1, 1], &one),
            "is -4",
        ),
        (
            imatrix().tensor("a.in_sum2", F32, [1, 1], &f32s(&[f32::NAN])).tensor(
                "a.counts",
                F32,
                [1, 1],
                &one,
            ),
            "is NaN",
        ),
    ] {
        std::fs::write(&file, built.build()).expect("written");
        let line = compare_with(&file);
        assert!(line.contains(expected), "{expected}: {line}");
    }
}

/// Whatever becomes of a file, it is read or refused.
#[test]
fn mutated_and_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["imatrix.gguf", "imatrix.dat", "imatrix.safetensors"] {
        let whole = std::fs::read(path(name)).expect("a fixture");
        for (index, bytes) in mutations(&whole, 7).take(300).enumerate() {
            let file = folder.path().join(format!("{index}-{name}"));
            std::fs::write(&file, bytes).expect("written");
            let _ = open_importance(&file, &Limits::default());
        }
    }
    for name in ["reference/batch0.npz", "reference/batch1.npz", "quantized/batch1.safetensors"] {
        let whole = std::fs::read(path(&format!("recorded/{name}"))).expect("a fixture");
        let cut = (0..whole.len()).step_by(29).map(|len| whole[..len].to_vec());
        let file = folder.path().join(name.rsplit('/').next().unwrap_or_default());
        for bytes in mutations(&whole, 11).take(300).chain(cut) {
            std::fs::write(&file, bytes).expect("written");
            for recording in open_recordings(&file, &Limits::default()).into_iter().flatten() {
                let source = &*recording.source;
                for id in source.model().parameter_ids() {
                    let _ = source.summary(id);
                }
            }
        }
    }
}

/// An array as `.npy`, with this header.
fn array(header: &str, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(header.len()).expect("short").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
}

#[test]
fn arrays_that_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("relu.npy");
    let four = [0; 16];
    for (header, expected) in [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", "does not take the 16 bytes"),
        ("{'descr': '<f4', 'fortran_order': True, 'shape': (4294967296, 4294967295)}", ""),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
            "its shape 3 of f32 does not take the 16 bytes",
        ),
        (
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
            "pickled Python objects, which are never loaded",
        ),
        (
            "{'descr': __import__('os').system('touch owned'), 'fortran_order': False, 'shape': (1,)}",
            "damaged",
        ),
        (
            "{'descr': '<U1', 'fortran_order': False, 'shape': (4,)}",
            "elements of the type \"<U1\" are not read",
        ),
    ] {
        std::fs::write(&file, array(header, &four)).expect("written");
        let name = file.to_string_lossy().into_owned();
        let output = bounded(folder.path(), &["--activations", &name, &name]);
        let out = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(0), "{header}: {output:?}");
        assert!(
            out.contains("by activations (0 of 1 recorded)") && out.contains(expected),
            "{header}: {out}"
        );
        assert!(!folder.path().join("owned").exists());
    }
}

/// Archives whose entries are not what is said of them.
#[test]
fn archives_that_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recorded.npz");
    let of = |shape: &str, order: &str| {
        array(&format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}}}"), &[0; 16])
    };
    let huge = |order: &str| {
        let bytes = of("(2, 500000000)", order);
        let len = u32::try_from(bytes.len()).expect("short") - 16 + 4_000_000_000;
        Entry { len, ..Entry::deflated("relu.npy", &bytes) }
    };
    for (entry, expected) in [
        (huge("False"), "does not inflate to as much as is said"),
        (huge("True"), "its 4000000000 bytes are too many to turn"),
        (Entry { len: 90, ..Entry::deflated("relu.npy", &of("(1000,)", "False")) }, "does not take the"),
        (
            Entry { bytes: vec![0xff; 64], stored_len: 64, ..Entry::deflated("relu.npy", &[0; 64]) },
            "does not inflate",
        ),
        (Entry { method: 12, ..Entry::new("relu.npy", &of("(4,)", "False")) }, "compressed by method 12"),
        (Entry::new("relu.npy", b"no array"), "this is no array of numpy's"),
        (Entry::new("relu.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff"), "a header of 4294967295 bytes"),
    ] {
        let archive = Archive::new().with(entry).entry("good.npy", &of("(4,)", "False")).build();
        std::fs::write(&file, archive).expect("written");
        let name = file.to_string_lossy().into_owned();
        let output = bounded(folder.path(), &["--activations", &name, &name]);
        let out = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(0), "{expected}: {output:?}");
        assert!(out.contains(expected) && out.contains("good exact"), "{expected}: {out}");
    }
}

fn bounded(folder: &Path, more: &[&str]) -> Output {
    let models = [path("model.safetensors"), path("model-Q4_0.gguf")];
    let mut command = Command::new("sh");
    command
        .args(["-c", quantviz_testkit::hostile::BOUNDS, env!("CARGO_BIN_EXE_quantviz"), "compare"])
        .args(models)
        .args(more);
    command.current_dir(folder).env("RUST_BACKTRACE", "0").output().expect("every Linux has a shell")
}
