//! How long it takes to open a model: names, shapes, layers, quantization. The files are holes where weights would be,
//! because nothing reads those.

use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use quantviz::ParameterSource;
use quantviz_benches::{
    File, GPT_J, GPT2, GPT2_LARGE, MANY_TENSORS, Transformer, gguf, onnx, safetensors, torch,
};

/// Opens what `make` writes into a folder, again and again.
fn bench(criterion: &mut Criterion, group: &str, name: &str, make: impl Fn(&Path) -> io::Result<PathBuf>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = make(folder.path()).expect("a file");
    let model = quantviz::open(&path).expect("a model");
    assert_eq!(model.model().warnings, [], "what cannot be read would be quick");
    let mut group = criterion.benchmark_group(group);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.bench_function(name, |bencher| {
        bencher.iter(|| black_box(quantviz::open(&path).expect("a model").model().parameter_count()));
    });
    group.finish();
}

/// A model that is one file, and how it is made.
type Whole = (&'static str, fn(&Transformer) -> File);

const FLOATS: &[Whole] = &[
    ("f32.onnx", onnx::float32),
    ("f32.safetensors", safetensors::float32),
    ("f32.gguf", gguf::float32),
    ("f32.pt", torch::float32),
];
const FOUR_BITS: &[Whole] =
    &[("int4.onnx", onnx::four_bits), ("gptq.safetensors", safetensors::gptq), ("q4_k.gguf", gguf::q4_k)];

fn opening(criterion: &mut Criterion) {
    for (size, floats, four_bits) in [("0.5gb", &GPT2, &GPT2_LARGE), ("3gb", &GPT2_LARGE, &GPT_J)] {
        let models = FLOATS.iter().map(|whole| (whole, floats));
        for (&(file, make), model) in models.chain(FOUR_BITS.iter().map(|whole| (whole, four_bits))) {
            let (stem, format) = file.split_once('.').expect("a format");
            bench(criterion, "opening", &format!("{format}-{stem}-{size}"), |folder| {
                write(folder, file, model, make)
            });
        }
    }
    for &(file, make) in FLOATS {
        let format = Path::new(file).extension().expect("a format").to_string_lossy();
        bench(criterion, "opening-20000-tensors", &format, |folder| write(folder, file, &MANY_TENSORS, make));
    }
}

/// What protobuf cannot hold goes into a file of its own.
const MOST_OF_PROTOBUF: u64 = 1 << 31;

fn write(
    folder: &Path,
    file: &str,
    model: &Transformer,
    make: fn(&Transformer) -> File,
) -> io::Result<PathBuf> {
    let path = folder.join(file);
    let whole = make(model);
    if whole.bytes() < MOST_OF_PROTOBUF || !file.ends_with(".onnx") {
        whole.write_sparse(&path)?;
        return Ok(path);
    }
    let data = format!("{file}.data");
    let split = if file.starts_with("f32") { onnx::float32_external } else { onnx::four_bits_external };
    let (graph, weights) = split(model, &data);
    graph.write_sparse(&path)?;
    weights.write_sparse(&folder.join(data))?;
    Ok(path)
}

criterion_group!(benches, opening);
criterion_main!(benches);
