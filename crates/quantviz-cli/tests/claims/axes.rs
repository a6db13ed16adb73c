//! Where outputs lie, as somebody says who knows it.

use quantviz_cli::Exit;
use serde_json::Value;

use crate::{compared, path, refused, said};

fn channels(more: &[&str]) -> (Value, Option<usize>) {
    let (reference, quantized) = (path("network.safetensors"), path("network_int8.onnx"));
    let arguments = [&[&*reference, &*quantized, "--channels", "all"], more].concat();
    let variant = compared(&arguments);
    let pairs = variant["pairs"].as_array().expect("a list").iter();
    let gemm = pairs.clone().find(|it| it["reference"] == "gemm.weight").expect("it is there");
    (gemm["channel_axis"].clone(), gemm["channels"]["all"].as_array().map(Vec::len))
}

#[test]
fn channels_lie_along_it() {
    assert_eq!(channels(&[]), (0.into(), Some(5)));
    assert_eq!(channels(&["--axis", "gemm.*=1"]), (1.into(), Some(10)));
    assert_eq!(channels(&["--axis", "gemm.*=-2"]), (0.into(), Some(5)));
    // The first that fits counts.
    assert_eq!(channels(&["--axis", "*=0", "--axis", "gemm.weight=1"]).0, Value::from(0));
}

#[test]
fn rules_that_fit_nothing() {
    let (reference, quantized) = (path("network.safetensors"), path("network_int8.onnx"));
    let told = |rule: &str| refused(&["compare", &reference, &quantized, "--axis", rule]);
    assert!(
        told("stranger=0")
            .contains("no weight that something quantized was made of has a name like \"stranger\"")
    );
    assert!(told("gemm.weight=2").contains("gemm.weight: its shape 5×10 has no axis 2"));
    assert!(told("gemm").contains("\"gemm\" is not PATTERN=N"));
    let (exit, ..) = said(&["check", &reference, &quantized, "--axis", "gemm.*=1"]);
    assert_ne!(exit, Exit::Trouble);
}
