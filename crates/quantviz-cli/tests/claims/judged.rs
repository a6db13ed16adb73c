//! What `check` goes by: the best that is known.

use quantviz_cli::Exit;
use serde_json::Value;

use crate::{path, said};

fn check(more: &[&str]) -> (Exit, String) {
    let (reference, quantized) = (path("model.safetensors"), path("model-Q4_0.gguf"));
    let (exit, out, err) = said(&[&["check", &reference, &quantized][..], more].concat());
    assert_eq!(err, "");
    (exit, out)
}

#[test]
fn by_weights() {
    let (exit, out) = check(&[]);
    assert_eq!((exit, &out[..]), (Exit::Done, "model-Q4_0.gguf: holds (weights only)\n"));
    // 20.46 dB by weights is the least.
    assert_eq!(check(&["--min-sqnr", "20.42"]).0, Exit::Done);
}

#[test]
fn by_importance() {
    let importance = path("imatrix.gguf");
    let (exit, out) = check(&["--importance", &importance, "--min-sqnr", "20.42"]);
    assert_eq!(exit, Exit::FallsShort);
    let expected = "model-Q4_0.gguf: falls short of 1 limit (by importance of 4 of 5 weights)\n  \
        min-sqnr blk.0.attn_q.weight: 20.4 dB by importance, at least 20.42 are asked for\n";
    assert_eq!(out, expected);
    // What is not listed is judged by itself.
    let (_, out) = check(&["--importance", &importance, "--min-sqnr", "21"]);
    assert!(out.contains("output.weight: 20.7 dB, at least 21 are asked for"), "{out}");
}

/// Weights are no longer judged by decibels, and what could not be compared is not known to hold.
#[test]
fn by_activations() {
    let of = |batch: &str| {
        (path(&format!("recorded/reference/{batch}.npz")), path("recorded/quantized/batch0.npz"))
    };
    let (reference, quantized) = of("batch0");
    let arguments = ["--activations", &reference, &quantized, "--min-sqnr", "34.8", "--format", "json"];
    let (exit, out) = check(&arguments);
    assert_eq!(exit, Exit::Trouble);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let variant = &document["variants"][0];
    assert_eq!((&variant["basis"], &variant["of"]), (&"activations".into(), &8.into()));
    let failures = variant["failures"].as_array().expect("a list");
    let of_limit = |limit: &str| failures.iter().filter(|it| it["limit"] == limit).count();
    assert_eq!((of_limit("finite"), of_limit("min-sqnr")), (1, failures.len() - 1), "{variant}");
    assert!(failures.len() > 1, "{variant}");
    assert!(
        failures.iter().all(|it| !it["parameter"].as_str().unwrap_or_default().starts_with("blk.")),
        "{variant}"
    );
    let undecided = variant["undecided"].as_array().expect("a list");
    assert!(undecided.iter().any(|it| it.as_str().is_some_and(|it| it.starts_with("shapes: "))), "{variant}");
    let (exit, out) = check(&["--activations", &reference, &quantized]);
    // Without a limit they are told of, but for numbers that are none any more.
    let [verdict, finite, warning] = &out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
    assert_eq!(exit, Exit::FallsShort);
    assert_eq!(
        *verdict,
        "model-Q4_0.gguf: falls short of 1 limit (by 5 of 8 recorded activations), 1 warning"
    );
    assert_eq!(*finite, "  finite conv1/out: not finite where the reference is: 1 of its numbers");
    assert!(warning.starts_with("  warning no limit is set for recorded activations, of which "), "{out}");
}
