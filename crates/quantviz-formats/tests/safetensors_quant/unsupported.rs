//! Packings that are named and not read.

use std::ops::ControlFlow;

use quantviz_core::{Scan, SourceExt, WarningKind};

use crate::{f32s, i32s, opened};

#[test]
fn packings_are_named() {
    let cases = [
        ("EXL2", "q_weight", "I32", "q_groups"),
        ("EXL3", "trellis", "I16", "suh"),
        ("AQLM", "codes", "I16", "codebooks"),
        ("QuIP#", "Qidxs", "I64", "SU"),
        ("VPTQ", "indices", "I32", "centroids.weight"),
        ("Marlin", "B", "I32", "s"),
        ("torchao", "_weight_qdata", "I8", "_weight_scale"),
        ("qweight of another type than i32", "qweight", "I8", "scales"),
    ];
    for (packing, words, dtype, witness) in cases {
        let (words, witness) = (format!("fc.{words}"), format!("fc.{witness}"));
        let bytes = i32s(&[0; 2]);
        let len = bytes.len() as u64 / dtype[1..].parse::<u64>().map_or(1, |bits| bits / 8);
        let tensors = [(words.as_str(), dtype, &[len][..], bytes)];
        let one = [(witness.as_str(), "F32", &[1][..], f32s(&[1.0]))];
        let model = crate::common::open(crate::MODEL, crate::file(&[&tensors[..], &one].concat()));
        let message = format!("unsupported: {packing}");
        assert_eq!(model.only_warning(&words), (WarningKind::Unsupported, message.as_str()));
    }
}

#[test]
fn words_are_never_measured() {
    let model = opened(&[
        ("fc.q_weight", "I32", &[2], i32s(&[1, 2])),
        ("fc.q_groups", "I16", &[2], vec![0; 4]),
        ("fc.bias", "F32", &[1], f32s(&[1.0])),
    ]);
    let measured =
        model.source.scan(&Scan::new(), &|_| ControlFlow::Continue(())).expect("nobody called it off");
    let summaries: Vec<bool> = measured.iter().map(|measured| measured.summary.is_some()).collect();
    assert_eq!(summaries, [false, true, true]);
    assert_eq!(model.unreadable("fc.q_weight").message(), "unsupported: EXL2");
}

#[test]
fn ordinary_tensors_of_such_names_are_read() {
    let model = opened(&[("fc.codes", "I32", &[2], i32s(&[1, 2])), ("fc.B", "F32", &[1], f32s(&[1.0]))]);
    assert!(model.model().warnings.is_empty());
    assert_eq!(model.values("fc.codes"), [1.0, 2.0]);
}
