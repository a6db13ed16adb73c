//! Embeddings with too many rows to show them all.

use std::ops::{ControlFlow, Range};

use ndarray::Array2;
use quantviz_core::{
    MemorySource, Model, ParameterId, ParameterSource, Part, Plan, Result, Run, Seeded, SessionId, Sink,
    Snapshot, bf16,
};
use quantviz_record::{Recorder, RecorderBuilder};
use quantviz_store::MemoryStore;

const ROWS: usize = 10_000;
const WIDTH: usize = 8;
const NAME: &str = "transformer.wte.weight";

/// Weights, and gradients of the same names.
struct Training {
    weights: MemorySource,
    gradients: MemorySource,
}

impl ParameterSource for Training {
    fn model(&self) -> &Model {
        self.weights.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        match part {
            Part::Gradient => self.gradients.read(id, Part::Stored, range, sink),
            part => self.weights.read(id, part, range, sink),
        }
    }
}

/// Rows from 9,000 on are those of tokens that come; row 9,999 is ten times as large as others, and row 5,000 grows.
fn training(step: u64) -> Training {
    let mut seeded = Seeded::new(1, "rows");
    let mut weights = Array2::from_shape_fn((ROWS, WIDTH), |_| seeded.share() as f32 - 0.5);
    weights.row_mut(9_999).mapv_inplace(|it| it * 10.0);
    weights.row_mut(5_000).mapv_inplace(|it| it * (1.0 + step as f32 * 0.1));
    let gradients = Array2::from_shape_fn((ROWS, WIDTH), |(row, _)| if row >= 9_000 { 0.5 } else { 0.0f32 });
    Training {
        weights: MemorySource::new().with(NAME, weights),
        gradients: MemorySource::new().with(NAME, gradients),
    }
}

/// Records until what there is is enough: on a busy machine not every step is captured, nor everything looked at.
fn record(
    describe: impl Fn(RecorderBuilder) -> RecorderBuilder,
    is_enough: impl Fn(&Snapshot, &Plan) -> bool,
) -> Vec<(Snapshot, Plan)> {
    let store = MemoryStore::new();
    let builder = Recorder::builder("run").every_steps(1).share(0.05).to(store.clone());
    let builder = describe(builder.on_trouble(|line| panic!("{line}")));
    let mut recorder = builder.start().expect("a store");
    for step in 0..2_000 {
        std::thread::sleep(std::time::Duration::from_millis(60));
        recorder.record(step, &training(step), &[]);
        let last = all_of(&store, step.saturating_sub(20)).pop();
        if last.is_some_and(|(snapshot, plan)| is_enough(&snapshot, &plan)) {
            break;
        }
    }
    let state = recorder.finish();
    assert_eq!((state.lost, state.failures), (0, 0));
    all_of(&store, 0)
}

/// The snapshots from a step on.
fn all_of(store: &MemoryStore, from: u64) -> Vec<(Snapshot, Plan)> {
    let id: SessionId = "run".parse().expect("a name");
    let Ok(run) = Run::open(store, &id) else { return Vec::new() };
    let steps = run.timeline().snapshot_steps().into_iter().filter(|&step| step >= from);
    let all = steps.map(|step| {
        let (_, mut snapshots) = run.nearest(step).expect("readable").expect("one");
        let (snapshot, plan) = snapshots.remove(0);
        (snapshot, Plan::clone(&plan))
    });
    all.collect()
}

fn rows_of(plan: &Plan) -> Vec<u32> {
    plan.arrays().get::<u32>("e.0.row").expect("rows").to_vec()
}

fn often(plan: &Plan) -> Vec<u32> {
    let strata = plan.arrays().get::<u8>("e.0.stratum").expect("strata");
    rows_of(plan).into_iter().zip(strata.iter()).filter(|(_, it)| **it == 1).map(|(row, _)| row).collect()
}

#[test]
fn rows_of_tokens_that_come_often_are_shown_once_gradients_have_told_them() {
    let all = record(
        |it| it,
        |snapshot, plan| {
            often(plan).iter().any(|&row| row >= 9_000) && snapshot.arrays().slot("e.0.grad").is_some()
        },
    );
    let (first, last) = (&all[0].1, &all[all.len() - 1].1);
    assert_eq!((rows_of(first).len(), rows_of(last).len()), (rows_of(first).len(), rows_of(first).len()));
    assert!(often(first).iter().all(|&row| row < 1_024), "by their numbers, as long as nothing is known");
    let found = often(last).iter().filter(|&&row| row >= 9_000).count();
    // Those of other strata were there before.
    let before = rows_of(first).iter().filter(|&&row| row >= 9_000).count();
    assert!(found + before >= 990, "{found} and {before} of 1,000");
    // They were chosen once: what is shown does not come and go.
    let plans: std::collections::BTreeSet<Vec<u32>> = all.iter().map(|(_, plan)| rows_of(plan)).collect();
    assert_eq!(plans.len(), 2);
    let (snapshot, plan) = &all[all.len() - 1];
    let rows = rows_of(plan);
    let gradients = snapshot.arrays().get::<bf16>("e.0.grad").expect("gradients of rows");
    let positions = snapshot.arrays().slot("e.0.position").expect("positions").shape[0];
    assert_eq!((gradients.len(), positions), (rows.len(), rows.len()));
    let length = 0.5 * (WIDTH as f32).sqrt();
    for (row, gradient) in rows.iter().zip(gradients.iter()) {
        let truth = if *row >= 9_000 { length } else { 0.0 };
        assert!((gradient.to_f32() - truth).abs() < 0.01, "row {row}: {gradient}");
    }
}

#[test]
fn rows_that_stand_out_are_shown_as_guests() {
    // All other rows come often: so 5,000 and 9,999 are not among those that are always shown.
    let counts: Vec<u64> = (0..ROWS as u64).map(|row| u64::from(row != 5_000 && row != 9_999)).collect();
    let labels: Vec<String> = (0..ROWS).map(|row| format!("t{row}")).collect();
    let describe = |it: RecorderBuilder| it.frequencies(NAME, counts.clone()).tokens(labels.clone());
    let all = record(describe, |snapshot, _| {
        snapshot.step() > 5 && snapshot.arrays().slot("e.0.guest_position").is_some()
    });
    let (snapshot, plan) = &all[all.len() - 1];
    let guests = &snapshot.header().embeddings[0].guests;
    let shown = rows_of(plan);
    assert!(guests.len() <= 64 && guests.iter().all(|it| !shown.contains(&(it.row as u32))), "{guests:?}");
    assert_eq!(guests[0].label, Some(format!("t{}", guests[0].row)));
    let places = snapshot.arrays().slot("e.0.guest_position").expect("positions");
    assert_eq!(places.shape, [guests.len(), 3]);
    let truth = training(snapshot.header().step).weights;
    for wanted in [5_000, 9_999] {
        // Drawn evenly, they may be shown in any case.
        let Some(guest) = guests.iter().find(|it| it.row == wanted) else {
            assert!(shown.contains(&(wanted as u32)), "row {wanted} stands out");
            continue;
        };
        let mut row = vec![0.0; WIDTH];
        let places: Vec<u64> = (0..WIDTH as u64).map(|it| wanted * WIDTH as u64 + it).collect();
        truth
            .gather(truth.model().parameter_named(NAME).expect("there"), Part::Stored, &places, &mut row)
            .expect("f32");
        let norm = row.iter().map(|it| it * it).sum::<f32>().sqrt();
        assert!((guest.norm / norm - 1.0).abs() < 1e-5, "{guest:?} {norm}");
    }
}

#[test]
fn frequencies_that_somebody_told_are_used_from_the_start() {
    let counts: Vec<u64> = (0..ROWS as u64).collect();
    let all = record(|it| it.frequencies(NAME, counts.clone()), |_, _| true);
    let often = often(&all[0].1);
    assert!(often.len() >= 1_000 && often.iter().all(|&row| row >= 8_400), "{:?}", &often[..10]);
}
