//! How long it takes to summarise every parameter of a model in memory, histograms included: the 100 ms budget.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use quantviz::{
    Bins, Block, MemorySource, ParameterId, ParameterSource, Part, RangeSummary, Scan, SourceExt,
};

/// The shapes of GPT-2: 148 tensors, 124 million numbers.
fn gpt2_124m() -> MemorySource {
    let mut noise = Noise(1);
    let mut matrix = |rows, columns| Array2::from_shape_simple_fn((rows, columns), || noise.next());
    let mut source =
        MemorySource::new().with("wte.weight", matrix(50257, 768)).with("wpe.weight", matrix(1024, 768));
    let mut noise = Noise(2);
    let mut vector = |length| Array1::from_shape_simple_fn(length, || noise.next());
    for block in 0..12 {
        for (name, rows, columns) in [
            ("attn.c_attn", 768, 2304),
            ("attn.c_proj", 768, 768),
            ("mlp.c_fc", 768, 3072),
            ("mlp.c_proj", 3072, 768),
        ] {
            source = source
                .with(format!("h.{block}.{name}.weight"), matrix(rows, columns))
                .with(format!("h.{block}.{name}.bias"), vector(columns));
        }
        for name in ["ln_1", "ln_2"] {
            source = source
                .with(format!("h.{block}.{name}.weight"), vector(768))
                .with(format!("h.{block}.{name}.bias"), vector(768));
        }
    }
    source.with("ln_f.weight", vector(768)).with("ln_f.bias", vector(768))
}

/// Numbers of roughly normal distribution, quickly.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let quarters = self.0.to_le_bytes().map(f32::from);
        (quarters.iter().sum::<f32>() - 1020.0) * 1e-4
    }
}

fn extraction(criterion: &mut Criterion) {
    let source = gpt2_124m();
    assert_eq!((source.model().parameters.len(), source.model().parameter_count()), (148, 124_439_808));
    let mut group = criterion.benchmark_group("extraction");
    group.sample_size(10).measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Bytes(source.model().file_bytes));
    let keep_on = |_| ControlFlow::Continue(());
    group.bench_function("gpt2-124m", |bencher| {
        bencher.iter(|| black_box(source.scan(&Scan::new().bins(64), &keep_on)));
    });
    for threads in [1, 2] {
        group.bench_with_input(
            BenchmarkId::new("gpt2-124m-threads", threads),
            &threads,
            |bencher, &threads| {
                bencher.iter(|| black_box(source.scan(&Scan::new().bins(64).threads(threads), &keep_on)));
            },
        );
    }
    let edges: Vec<Bins> = source.model().parameter_ids().map(|id| bins_of(&source, id)).collect();
    group.bench_function("gpt2-124m-parts", |bencher| bencher.iter(|| parts(&source, &edges)));
    group.finish();
}

/// The bins over the range of a parameter, empty.
fn bins_of(source: &MemorySource, id: ParameterId) -> Bins {
    let summary = source.summary(id).expect("it is in memory");
    summary
        .min()
        .zip(summary.max())
        .and_then(|(low, high)| Bins::between(low, high, 64))
        .expect("noise is wide")
}

/// What an extraction cannot do without: statistics and a histogram, in one pass over the same memory with as many
/// threads, when the edges of all histograms are known before. No order, no errors, no results put together.
fn parts(source: &MemorySource, edges: &[Bins]) {
    const PIECE: u64 = 1 << 18;
    let pieces: Vec<(ParameterId, std::ops::Range<u64>)> = source
        .model()
        .parameter_ids()
        .flat_map(|id| {
            let elements = source.model().parameter(id).shape.elements();
            (0..elements.div_ceil(PIECE)).map(move |at| (id, at * PIECE..elements.min((at + 1) * PIECE)))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((id, range)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut bins = edges[id.index()].clone();
            let mut sink = |block: Block<'_>| {
                black_box(RangeSummary::of_elements(&block.elements));
                bins.add(&block.elements);
                ControlFlow::Continue(())
            };
            let _ = source.read(*id, Part::Stored, range.clone(), &mut sink).expect("it is in memory");
            black_box(bins.into_histogram());
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
}

criterion_group!(benches, extraction);
criterion_main!(benches);
