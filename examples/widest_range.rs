//! Which weights of a model have the widest range? Outliers there are what costs a quantizer the most.
//!
//! `cargo run -p quantviz-examples --example widest_range -- fixtures/resnet8/resnet8_fp32.onnx`
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::ops::ControlFlow;

use quantviz::{ParameterSource, Role, Scan, SourceExt};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "fixtures/resnet8/resnet8_fp32.onnx".to_owned());
    let source = quantviz::open(path)?;
    let model = source.model();
    let weights = model.parameter_ids().filter(|&id| model.parameter(id).role == Role::Weight);

    let mut ranges = Vec::new();
    for measured in source.scan(&Scan::new().only(weights), &|_| ControlFlow::Continue(()))? {
        // A normal distribution of this size stays within four or five standard deviations.
        let real = measured.quantization.map(|it| it.dequantized).or(measured.summary);
        if let Some(summary) = real
            && let (Some(largest), Some(std)) = (summary.abs_max(), summary.std())
            && std > 0.0
        {
            ranges.push((largest / std, &model.parameter(measured.parameter).name));
        }
    }
    ranges.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (ratio, name) in ranges {
        println!("{ratio:6.1} standard deviations  {name}");
    }
    Ok(())
}
