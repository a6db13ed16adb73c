//! What a recorder writes is what was there.

use ndarray::{Array1, Array2, ArrayD};
use quantviz_core::{
    MemorySource, ParameterSource, Quantity, Run, RunState, Seeded, SessionId, Snapshot, SourceExt, bf16,
};
use quantviz_record::{Recorder, RecorderBuilder};
use quantviz_store::MemoryStore;

fn noise(shape: &[usize], seed: u64, size: f32) -> ArrayD<f32> {
    let mut seeded = Seeded::new(seed, "noise");
    let mut draw = || ((0..4).map(|_| seeded.share()).sum::<f64>() as f32 - 2.0) * size;
    ArrayD::from_shape_fn(shape, |_| draw())
}

/// A small GPT: matrices, vectors, and a token embedding.
fn network(step: u64) -> MemorySource {
    let grown = 1.0 + step as f32 * 0.01;
    MemorySource::new()
        .with("transformer.wte.weight", noise(&[65, 32], 1, 0.1 * grown))
        .with("transformer.h.0.attn.c_attn.weight", noise(&[96, 32], 2, 0.1 * grown))
        .with("transformer.h.0.mlp.c_fc.weight", noise(&[128, 32], 3, 0.1))
        .with("transformer.h.0.ln_1.weight", Array1::from_elem(32, 1.0f32))
        .with("transformer.h.0.mlp.c_fc.bias", Array1::<f32>::zeros(128))
}

fn builder(store: &MemoryStore) -> RecorderBuilder {
    let tokens: Vec<String> = (0..65u8).map(|it| char::from(it + 32).to_string()).collect();
    Recorder::builder("run")
        .every_steps(1)
        .share(0.05)
        .tokens(tokens)
        .to(store.clone())
        .on_trouble(|line| panic!("{line}"))
}

fn id() -> SessionId {
    "run".parse().expect("a name")
}

/// Steps long enough that everything can be looked at.
fn record(recorder: &mut Recorder, steps: std::ops::Range<u64>) {
    for step in steps {
        std::thread::sleep(std::time::Duration::from_millis(30));
        recorder.record(step, &network(step), &[("loss", 4.0 / (step + 1) as f64)]);
    }
}

#[test]
fn snapshots_say_what_sources_have() {
    let store = MemoryStore::new();
    let mut recorder = builder(&store).start().expect("a store");
    record(&mut recorder, 0..6);
    recorder.note(5, "sample", "to be");
    recorder.probe(5, "attention", &[2, 2], &[0.1, 0.9, 0.5, 0.5]);
    let state = recorder.finish();
    assert_eq!((state.snapshots, state.lost, state.failures), (6, 0, 0));

    let run = Run::open(&store, &id()).expect("a session");
    assert_eq!(run.state(0).expect("a state").state, RunState::Finished);
    assert_eq!(run.scalars().expect("scalars")["loss"].len(), 6);
    let (step, snapshots) = run.nearest(5).expect("readable").expect("one");
    let (snapshot, plan) = &snapshots[0];
    assert_eq!((step, plan.header().parameters.len(), plan.header().matrices()), (5, 5, 3));
    let source = network(5);
    for (at, planned) in plan.header().parameters.iter().enumerate() {
        let truth =
            source.summary(source.model().parameter_named(&planned.name).expect("there")).expect("readable");
        let is = |quantity, value: Option<f64>| {
            let found = snapshot.quantity(quantity, at).expect("taken");
            let value = value.expect("finite");
            assert!((f64::from(found) - value).abs() < 1e-6, "{} {quantity}: {found} {value}", planned.name);
        };
        is(Quantity::Min, truth.min());
        is(Quantity::Max, truth.max());
        is(Quantity::Mean, truth.mean());
        is(Quantity::Std, truth.std());
        is(Quantity::Coverage, Some(1.0));
        is(Quantity::AsOf, Some(5.0));
        is(Quantity::GradientState, Some(2.0));
        let counts: f32 =
            snapshot.row::<bf16>("w.hist", at).expect("counted").iter().map(|it| it.to_f32()).sum();
        assert!((counts - 1.0).abs() < 0.02, "{counts}");
    }
    // All weights of the token embedding grow by the same factor from step to step.
    let update = snapshot.quantity(Quantity::UpdateRatio, 0).expect("known");
    assert!((update - 0.01 / 1.05).abs() < 1e-4, "{update}");
    assert_eq!(snapshot.quantity(Quantity::UpdateRatio, 2), Some(0.0));
    let embedding = &plan.header().embeddings[0];
    assert_eq!((embedding.rows, embedding.width, &embedding.labels[1][..]), (65, 32, "!"));
    assert_eq!(snapshot.arrays().slot("e.0.position").map(|it| it.shape.clone()), Some(vec![65, 3]));
}

/// What positions are relative to is in the plan: with it they are what a projection of the rows is.
#[test]
fn positions_are_rows_along_the_basis() {
    let store = MemoryStore::new();
    let mut recorder = builder(&store).start().expect("a store");
    record(&mut recorder, 0..3);
    recorder.finish();
    let run = Run::open(&store, &id()).expect("a session");
    let (_, snapshots) = run.nearest(2).expect("readable").expect("one");
    let (snapshot, plan) = &snapshots[0];
    let basis = plan.arrays().get::<f32>("e.0.basis").expect("a basis");
    let center = plan.arrays().get::<f32>("e.0.center").expect("a center");
    let rows = network(2)
        .array(network(2).model().parameter_named("transformer.wte.weight").expect("there"))
        .expect("f32");
    let rows: Array2<f64> = rows.into_dimensionality().expect("a matrix");
    let positions = snapshot.arrays().get::<i16>("e.0.position").expect("positions");
    let scale = plan.header().embeddings[0].scale;
    for (row, position) in rows.rows().into_iter().zip(positions.chunks_exact(3)) {
        for axis in 0..3 {
            let direction = &basis[axis * 32..(axis + 1) * 32];
            let along: f64 = row
                .iter()
                .zip(direction.iter().zip(center.iter()))
                .map(|(it, (d, c))| (it - f64::from(*c)) * f64::from(*d))
                .sum();
            let shown = f64::from(position[axis]) / 32767.0 * f64::from(scale);
            assert!((along - shown).abs() < 1e-3 * f64::from(scale), "{along} {shown}");
        }
    }
}

#[test]
fn a_run_that_goes_back_supersedes_what_came_later() {
    let store = MemoryStore::new();
    let mut recorder = builder(&store).start().expect("a store");
    record(&mut recorder, 0..8);
    record(&mut recorder, 4..6);
    recorder.finish();
    let run = Run::open(&store, &id()).expect("a session");
    let steps: Vec<u64> = run.timeline().snapshot_steps().into_iter().collect();
    assert_eq!(steps, [0, 1, 2, 3, 4, 5]);
    assert_eq!(run.scalars().expect("scalars")["loss"].len(), 6);
    let (steps, histories) =
        run.histories(&[("transformer.wte.weight".into(), Quantity::Std)]).expect("readable");
    assert_eq!((steps.len(), histories[0].values.iter().filter(|it| it.is_finite()).count()), (6, 6));
}

#[test]
fn numbers_that_are_none_are_counted() {
    let store = MemoryStore::new();
    let mut recorder = builder(&store).start().expect("a store");
    for step in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(30));
        let mut weight = noise(&[64, 64], 1, 1.0);
        weight[[3, 4]] = f32::NAN;
        weight[[5, 6]] = f32::INFINITY;
        recorder.record(step, &MemorySource::new().with("w", weight), &[("loss", f64::NAN)]);
    }
    recorder.finish();
    let run = Run::open(&store, &id()).expect("a session");
    let (_, snapshots) = run.nearest(2).expect("readable").expect("one");
    assert_eq!(snapshots[0].0.quantity(Quantity::NonFinite, 0), Some(2.0));
    assert!(snapshots[0].0.quantity(Quantity::Std, 0).expect("of the others").is_finite());
    assert!(run.scalars().expect("scalars")["loss"][0].1.is_nan());
}

#[test]
fn summaries_have_the_statistics() {
    let store = MemoryStore::new();
    let mut recorder = builder(&store).start().expect("a store");
    record(&mut recorder, 0..2);
    recorder.finish();
    let run = Run::open(&store, &id()).expect("a session");
    let last = run.snapshots().last().expect("one").id;
    let summary: Snapshot = run.summary(last).expect("readable");
    assert!(summary.quantity(Quantity::Std, 0).is_some() && summary.quantity(Quantity::RowPeak, 0).is_some());
    assert!(summary.row::<bf16>("w.hist", 0).is_none(), "it is not worth keeping");
}

/// Of a weight whose upper half alone is trained.
#[test]
fn pictures_show_where_a_matrix_changes() {
    let store = MemoryStore::new();
    let mut recorder = builder(&store).start().expect("a store");
    let steps = [0u64, 1, 2, 3, 5];
    for step in steps {
        std::thread::sleep(std::time::Duration::from_millis(30));
        let mut weight = noise(&[48, 72], 1, 1.0);
        weight.slice_mut(ndarray::s![..24, ..]).mapv_inplace(|it| it + 0.25 * step as f32);
        recorder.record(step, &MemorySource::new().with("w", weight), &[]);
    }
    recorder.finish();
    let run = Run::open(&store, &id()).expect("a session");
    let (_, snapshots) = run.nearest(5).expect("readable").expect("one");
    let (snapshot, arrays) = (&snapshots[0].0, snapshots[0].0.arrays());
    let since = snapshot.header().changed_since[0];
    assert!(steps[..4].contains(&since), "{since}");
    assert_eq!(arrays.get::<u32>("t.change.of").expect("which").to_vec(), [0]);
    let scale = arrays.number("t.change_scale", 0).expect("a scale");
    assert!((scale - 0.25 * (5 - since) as f32).abs() < 1e-3, "{scale} since {since}");
    let cells = arrays.get::<u8>("t.change").expect("a picture");
    assert!(cells[..288].iter().all(|&it| it > 250) && cells[288..].iter().all(|&it| it == 0), "{cells:?}");
}

#[test]
fn there_is_more_of_what_somebody_has_chosen() {
    let (store, troubles) = (MemoryStore::new(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let heard = troubles.clone();
    let builder = builder(&store).on_trouble(move |line| heard.lock().expect("alone").push(line.to_owned()));
    let mut recorder = builder.start().expect("a store");
    let name = "transformer.h.0.mlp.c_fc.weight";
    recorder.focus(Some(name));
    record(&mut recorder, 0..3);
    recorder.focus(Some("mlp"));
    record(&mut recorder, 3..4);
    recorder.focus(None);
    record(&mut recorder, 4..6);
    recorder.finish();
    let run = Run::open(&store, &id()).expect("a session");
    let at = |step| run.nearest(step).expect("readable").expect("one").1.remove(0).0;
    let snapshot = at(2);
    let focus = snapshot.header().focus.clone().expect("a focus");
    assert_eq!((focus.parameter, focus.coverage, focus.cells, focus.scales.len()), (2, 1.0, [64, 32], 2));
    let arrays = snapshot.arrays();
    assert_eq!(arrays.slot("focus.picture").expect("pictures").shape, [2, 64, 64]);
    let truth = noise(&[128, 32], 3, 0.1);
    let rows = arrays.get::<bf16>("focus.row_rms").expect("rows");
    assert_eq!((rows.len(), arrays.get::<bf16>("focus.col_rms").map(|it| it.len())), (128, Some(32)));
    for (row, told) in truth.rows().into_iter().zip(rows.iter()) {
        let rms = (row.iter().map(|it| it * it).sum::<f32>() / 32.0).sqrt();
        assert!((told.to_f32() / rms - 1.0).abs() < 0.01, "{told} {rms}");
    }
    let largest = truth.iter().fold(0.0f32, |largest, it| largest.max(it.abs()));
    assert_eq!(focus.scales[1], largest);
    assert!(at(5).header().focus.is_none() && at(5).arrays().slot("focus.picture").is_none());
    let troubles = troubles.lock().expect("alone");
    assert!(troubles.iter().all(|it| it.contains("mlp: there is no such parameter")) && !troubles.is_empty());
}
