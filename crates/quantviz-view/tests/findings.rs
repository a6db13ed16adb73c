//! The view of findings, as text.

use std::ops::ControlFlow;

use ndarray::arr2;
use quantviz_core::{DType, Encoding, Granularity, MemorySource, Operand, QuantDescriptor};
use quantviz_insight::{Finding, Lint, PairEvidence, findings_of_pairs};
use quantviz_view::Findings;

/// Findings of three levels, three of them of one rule and level.
fn findings() -> Vec<Finding> {
    let per_tensor = |scale| {
        let scale = Operand::One { value: scale, parameter: None };
        QuantDescriptor::of_stored(Encoding::Qdq, "", DType::I8, Granularity::Tensor, scale, None)
            .expect("i8")
    };
    let mut source = MemorySource::new();
    for (name, scale) in [("a\nb", f64::NAN), ("c", f64::INFINITY), ("d", -1.0), ("e", 0.0), ("f", 0.5)] {
        let codes = if name == "f" { [[-128i8, 127]] } else { [[1i8, 2]] };
        source = source.with(name, arr2(&codes)).quantized(per_tensor(scale)).expect("it fits");
    }
    let linted = Lint::new().run(&source, &|_| ControlFlow::Continue(())).expect("nobody called it off");
    let pair =
        PairEvidence { parameter: "f".into(), sqnr_db: Some(2.0), off_grid: 0.5, ..Default::default() };
    let pair = findings_of_pairs(&[pair]);
    pair.into_iter().chain(linted.findings).collect()
}

#[test]
fn the_worst_first_and_rules_together() {
    let view = Findings::of("models/\u{1b}[31m.onnx", &findings(), 0);
    insta::assert_snapshot!(format!("{view:#?}"));
}

#[test]
fn the_verdict_counts() {
    let verdict = |findings: &[Finding]| Findings::of("m", findings, 0).verdict;
    let all = findings();
    assert_eq!(verdict(&[]), "no findings");
    assert_eq!(verdict(&all), "4 errors, 1 warning, 1 info");
    assert_eq!(verdict(&all[..1]), "1 error");
    assert_eq!(Findings::of("m", &all[..1], 2).verdict, "1 error; 2 tensors cannot be judged");
    assert_eq!(Findings::of("m", &[], 1).verdict, "no findings, but 1 tensor cannot be judged");
}
