//! How long it takes until a first answer: the process from its start to its end.

#![allow(clippy::print_stderr, reason = "a program whose output is its terminal")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};

const MODELS: &[&str] = &["resnet8_fp32.onnx", "resnet8_int8.onnx"];

fn cold_start(criterion: &mut Criterion) {
    let Some(quantviz) = std::env::var_os("QUANTVIZ").map(PathBuf::from) else {
        eprintln!("cold-start: set QUANTVIZ to the program to start; `cargo xtask bench` does");
        return;
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fixtures").join("resnet8");
    let mut group = criterion.benchmark_group("cold-start");
    group.sample_size(20);
    for model in MODELS {
        let mut command = Command::new(&quantviz);
        command.arg("layers").arg(fixtures.join(model)).stdout(Stdio::null());
        group.bench_function(format!("layers-{model}"), |bencher| {
            bencher.iter(|| assert!(command.status().expect("it starts").success()));
        });
    }
    group.finish();
}

criterion_group!(benches, cold_start);
criterion_main!(benches);
