//! What several ranks recorded is read as one: held against the whole that they share out.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, Axis, s};
use quantviz_core::{
    MemorySource, ModelAtStep, ParameterSource, Quantity, RangeSummary, Rank, Run, Seeded, Shard, SourceExt,
    StepReading, bf16,
};
use quantviz_record::{Import, Recorder, RecorderBuilder};
use quantviz_store::{Export, ExportFormat, MemoryStore};

const RANKS: u32 = 4;

fn noise(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut seeded = Seeded::new(seed, "noise");
    let mut share = || seeded.share() as f32 * 2.0 - 1.0;
    // Parts differ in what they are like, and some numbers are zero.
    Array2::from_shape_fn((rows, columns), |(row, _)| {
        let value = share() * (1.0 + row as f32 / 10.0) + row as f32 / 100.0;
        if value.abs() < 0.01 { 0.0 } else { value }
    })
}

/// Records what each of the ranks has, at steps 1, 2 and so on.
fn record(
    ranks: &[u32],
    described: impl Fn(RecorderBuilder, u32) -> RecorderBuilder,
    steps: u64,
    source: impl Fn(u32, u64) -> MemorySource,
) -> MemoryStore {
    let store = MemoryStore::new();
    for &index in ranks {
        let rank = Rank::new(index, RANKS).expect("one of four");
        let builder = described(Recorder::builder("run").rank(rank).to(store.clone()), index);
        let mut import: Import = builder.import().expect("a store");
        (1..=steps).for_each(|step| import.add(step, &source(index, step)).expect("recorded"));
        import.finish().expect("written");
    }
    store
}

fn read<T>(store: &MemoryStore, of: impl FnOnce(&Run<'_>) -> T) -> T {
    of(&Run::open(store, &"run".parse().expect("a name")).expect("there"))
}

fn reading(store: &MemoryStore, step: Option<u64>) -> StepReading {
    read(store, |run| run.step_near(step).expect("readable").expect("it has snapshots"))
}

fn place(reading: &StepReading, name: &str) -> usize {
    reading.catalogue().parameter_named(name).expect("somebody recorded it")
}

fn truth(array: &Array2<f32>) -> RangeSummary {
    let source = MemorySource::new().with("w", array.clone());
    let id = source.model().parameter_named("w").expect("there");
    source.summary(id).expect("readable")
}

/// The statistics of parts are those of the whole.
fn are_of(reading: &StepReading, name: &str, whole: &Array2<f32>) {
    let at = place(reading, name);
    let value = |quantity| reading.statistics().value(quantity, at).expect("recorded");
    let truth = truth(whole);
    assert_eq!(Some(value(Quantity::Min)), truth.min());
    assert_eq!(Some(value(Quantity::Max)), truth.max());
    for (found, truth) in [
        (value(Quantity::Mean), truth.mean().expect("finite")),
        (value(Quantity::Std), truth.std().expect("finite")),
        (value(Quantity::Zeros), truth.zeros() as f64 / truth.count() as f64),
    ] {
        assert!((found - truth).abs() <= 1e-5 * truth.abs(), "{name}: {found} {truth}");
    }
    assert_eq!((value(Quantity::NonFinite), value(Quantity::Coverage)), (0.0, 1.0));
    assert_eq!(reading.catalogue().parameters[at].elements(), whole.len() as u64);
}

fn rows(whole: &Array2<f32>, index: u32) -> Array2<f32> {
    let part = whole.nrows() / RANKS as usize;
    let begin = index as usize * part;
    whole.slice(s![begin..begin + part, ..]).to_owned()
}

#[test]
fn parts_are_told_by_what_they_say() {
    let (whole, odd) = (noise(256, 48, 1), noise(130, 7, 2));
    let same = Array1::from_shape_fn(48, |at| at as f32);
    let store = record(
        &[0, 1, 2, 3],
        |it, _| it,
        1,
        |index, _| {
            // The last rank has fewer rows than the others.
            let begin = index as usize * 40;
            let end = (begin + 40).min(odd.nrows());
            MemorySource::new()
                .with("shared.weight", rows(&whole, index))
                .with("shared.odd", odd.slice(s![begin..end, ..]).to_owned())
                .with("everywhere.bias", same.clone())
                .with(format!("stage.{index}.weight"), noise(8, 8, 10 + u64::from(index)))
        },
    );
    let reading = reading(&store, None);
    assert_eq!((reading.ranks_recorded(), reading.ranks(), reading.in_parts()), (4, 4, 2));
    are_of(&reading, "shared.weight", &whole);
    are_of(&reading, "shared.odd", &odd);
    assert_eq!(reading.catalogue().parameters[place(&reading, "shared.odd")].shape, [130, 7]);
    let bias = place(&reading, "everywhere.bias");
    assert_eq!((reading.parts(bias), &reading.catalogue().parameters[bias].shape[..]), (None, &[48][..]));
    assert_eq!(reading.statistics().value(Quantity::Max, bias), Some(47.0));
    for index in 0..4 {
        are_of(&reading, &format!("stage.{index}.weight"), &noise(8, 8, 10 + index));
    }
}

#[test]
fn parts_along_another_axis_are_where_they_are_said_to_be() {
    let whole = noise(24, 40, 3);
    let widths = [0..10, 10..12, 12..25, 25..40];
    let part = |index: u32| whole.slice(s![.., widths[index as usize].clone()]).to_owned();
    let described =
        |it: RecorderBuilder, index| it.shard("w", Shard::new(index, 4).expect("one of four").along(1));
    let store = record(&[0, 1, 2, 3], described, 1, |index, _| MemorySource::new().with("w", part(index)));
    are_of(&reading(&store, None), "w", &whole);

    let model =
        read(&store, |run| ModelAtStep::near(run, None)).expect("readable").expect("it has snapshots");
    let id = model.parameter_named("w").expect("there");
    assert_eq!(model.model().parameter(id).shape.dims(), [24, 40]);
    let sample = model.sample(id).expect("each sampled its part");
    let flat = whole.as_slice().expect("in order");
    assert_eq!((sample.at.len(), sample.of), (128 + 48 + 128 + 128, 960));
    assert!(sample.at.is_sorted());
    for (&at, &value) in sample.at.iter().zip(&sample.values) {
        assert_eq!(value, bf16::from_f32(flat[at as usize]).to_f32());
    }
    let histogram = model.histogram(id).expect("counted");
    assert!((histogram.shares.iter().sum::<f64>() - 1.0).abs() < 0.02);
    let below: f64 = histogram.shares[..32].iter().sum();
    let truth = flat.iter().filter(|it| **it < 0.0).count() as f64 / flat.len() as f64;
    assert!((below - truth).abs() < 0.01, "{below} {truth}");
    assert_eq!(histogram.parts.map(|it| (it.recorded, it.of)), Some((4, 4)));
}

/// Tables have the whole in one row, and what each of them recorded where that is asked for.
#[test]
fn tables_have_one_row_for_a_parameter() {
    let whole = noise(64, 16, 8);
    let store =
        record(&[0, 1, 2, 3], |it, _| it, 2, |index, _| MemorySource::new().with("w", rows(&whole, index)));
    let lines = |export: Export| -> Vec<Vec<String>> {
        let mut csv = Vec::new();
        let written = read(&store, |run| export.stream(run, &mut csv, &|_| ControlFlow::Continue(())));
        written.expect("memory can be written");
        let csv = String::from_utf8(csv).expect("UTF-8");
        csv.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let together = lines(Export::new(ExportFormat::Csv));
    assert_eq!(together.len(), 1 + 2, "a head, and two steps");
    assert_eq!(together[0][..4], ["step", "parameter", "min", "max"]);
    let truth = truth(&whole);
    for row in &together[1..] {
        let [min, max] = [2, 3].map(|at| row[at].parse::<f32>().ok().map(f64::from));
        assert_eq!((min, max), (truth.min(), truth.max()));
    }
    let each = lines(Export::new(ExportFormat::Csv).each_rank());
    assert_eq!((each.len(), &*each[0][1]), (1 + 2 * 4, "rank"));
}

/// A rank that is missing is told of: by how many ranks there are, how many parts, and how many elements.
#[test]
fn a_part_that_nobody_recorded_is_missing() {
    let whole = noise(64, 16, 4);
    let described = |it: RecorderBuilder, index| it.shard("w", Shard::new(index, 4).expect("one of four"));
    let store =
        record(&[0, 1, 3], described, 1, |index, _| MemorySource::new().with("w", rows(&whole, index)));
    let reading = reading(&store, None);
    assert_eq!((reading.ranks_recorded(), reading.ranks()), (3, 4));
    assert_eq!(reading.parts(0).map(|it| (it.recorded, it.of)), Some((3, 4)));
    assert_eq!(reading.catalogue().parameters[0].shape, [64, 16]);
    assert_eq!(reading.statistics().value(Quantity::Coverage, 0), Some(0.75));
    let there = ndarray::concatenate(
        Axis(0),
        &[rows(&whole, 0).view(), rows(&whole, 1).view(), rows(&whole, 3).view()],
    );
    let truth = truth(&there.expect("as wide"));
    let mean = reading.statistics().value(Quantity::Mean, 0).expect("of three");
    assert!((mean - truth.mean().expect("finite")).abs() < 1e-6);
    let model =
        read(&store, |run| ModelAtStep::near(run, None)).expect("readable").expect("it has snapshots");
    let summary = model.summary(model.parameter_named("w").expect("there")).expect("of three");
    assert_eq!((summary.elements, summary.of), (768, 1024));
    // Where the last part begins, the missing one would have to say.
    let sample = model.sample(model.parameter_named("w").expect("there")).expect("of the first two parts");
    assert_eq!(sample.at.len(), 256);
    let flat = whole.as_slice().expect("in order");
    assert!(
        sample
            .at
            .iter()
            .zip(&sample.values)
            .all(|(&at, it)| bf16::from_f32(flat[at as usize]).to_f32() == *it)
    );
}

/// Of two parts that two ranks each hold, each counts once.
#[test]
fn copies_of_parts_count_once() {
    let whole = noise(128, 8, 5);
    let half = |index: u32| {
        let begin = (index as usize % 2) * 64;
        whole.slice(s![begin..begin + 64, ..]).to_owned()
    };
    let store = record(&[0, 1, 2, 3], |it, _| it, 1, |index, _| MemorySource::new().with("w", half(index)));
    let told_by_numbers = reading(&store, None);
    are_of(&told_by_numbers, "w", &whole);
    assert_eq!(told_by_numbers.parts(0).map(|it| (it.recorded, it.of)), Some((2, 2)));
    let described = |it: RecorderBuilder, index| it.shard("*", Shard::new(index % 2, 2).expect("one of two"));
    let store = record(&[0, 1, 2, 3], described, 1, |index, _| MemorySource::new().with("w", half(index)));
    are_of(&reading(&store, None), "w", &whole);
}

/// All elements are in the samples, so that what is pooled of them is that of the whole.
#[test]
fn changes_are_put_together_by_their_squares() {
    let (before, after) = (noise(16, 8, 6), noise(16, 8, 6) + noise(16, 8, 7) * 0.1);
    let store = record(
        &[0, 1, 2, 3],
        |it, _| it,
        2,
        |index, step| MemorySource::new().with("w", rows(if step == 1 { &before } else { &after }, index)),
    );
    let reading = reading(&store, Some(2));
    let rms = |array: &Array2<f32>| {
        (array.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>() / array.len() as f64).sqrt()
    };
    let change = rms(&(&after - &before));
    let value = |quantity| reading.statistics().value(quantity, 0).expect("recorded");
    assert!((value(Quantity::Change) - change).abs() < 1e-6 * change);
}

/// A rank that has stopped is shown by what it said last, and no later than two intervals it is said to be missing.
#[test]
fn ranks_that_stop() {
    let store = MemoryStore::new();
    for (index, last) in [(0u32, 9u64), (1, 4)] {
        let rank = Rank::new(index, 2).expect("one of two");
        let mut import = Recorder::builder("run").rank(rank).to(store.clone()).import().expect("a store");
        for step in 1..=last {
            let source = MemorySource::new().with(format!("stage.{index}"), noise(4, 4, step));
            import.add(step * 10, &source).expect("recorded");
        }
        import.finish().expect("written");
    }
    let reading = reading(&store, None);
    assert_eq!((reading.step(), reading.ranks_recorded(), reading.ranks()), (90, 1, 2));
    let stopped = place(&reading, "stage.1");
    assert_eq!(reading.statistics().value(Quantity::AsOf, stopped), Some(40.0));
    assert_eq!(
        Some(reading.statistics().value(Quantity::Max, stopped).expect("told")),
        truth(&noise(4, 4, 4)).max()
    );
    let mut seen = Vec::new();
    read(&store, |run| {
        run.each_statistics(100, &mut |it| seen.push((it.step(), it.catalogue().parameters.len())))
    })
    .expect("readable");
    assert_eq!(seen, [(10, 2), (20, 2), (30, 2), (40, 2), (50, 2), (60, 2), (70, 1), (80, 1), (90, 1)]);
}
