//! What can be said of a model that was recorded: read back from what the recorder writes.

use ndarray::{Array1, Array2, arr1};
use quantviz_core::{
    DType, Encoding, Granularity, MemorySource, ModelAtStep, Operand, ParameterId, QuantDescriptor, Run,
    SampledChanges, SampledSide,
};
use quantviz_record::Recorder;
use quantviz_store::MemoryStore;

/// Whole numbers from -60 to 60, each of which a bf16 holds.
fn weight() -> Array2<f32> {
    Array2::from_shape_fn((40, 50), |(row, column)| ((row * 50 + column) * 31 % 121) as f32 - 60.0)
}

fn source(factor: f32) -> MemorySource {
    MemorySource::new().with("fc.weight", weight() * factor).with("fc.bias", arr1(&[0.5f32, f32::NAN, -2.0]))
}

fn recorded(bytes: usize, sources: &[MemorySource]) -> MemoryStore {
    let store = MemoryStore::new();
    let builder = Recorder::builder("run").to(store.clone()).bytes(bytes);
    let mut import = builder.import().expect("a store");
    for (step, source) in (1u64..).zip(sources) {
        import.add(step * 100, source).expect("recorded");
    }
    import.finish().expect("written");
    store
}

fn at(store: &MemoryStore, step: u64) -> ModelAtStep {
    let run = Run::open(store, &"run".parse().expect("a name")).expect("there");
    ModelAtStep::near(&run, Some(step)).expect("readable").expect("it has snapshots")
}

fn id(model: &ModelAtStep, name: &str) -> ParameterId {
    model.parameter_named(name).expect("it was recorded")
}

#[test]
fn samples_are_the_elements_that_they_say() {
    let model = at(&recorded(1 << 18, &[source(1.0)]), 100);
    let sample = model.sample(id(&model, "fc.weight")).expect("sampled");
    assert_eq!((sample.at.len(), sample.of), (128, 2000));
    let weight = weight();
    let flat = weight.as_slice().expect("in order");
    assert!(sample.at.iter().zip(&sample.values).all(|(&at, &value)| flat[at as usize] == value));
    let bias = model.summary(id(&model, "fc.bias")).expect("looked at");
    assert_eq!(
        (bias.non_finite, bias.min, bias.max, bias.mean),
        (Some(1), Some(-2.0), Some(0.5), Some(-0.75))
    );
}

/// Where there is no room, every second or fourth of them is there, each still at its own place.
#[test]
fn parts_of_samples_know_their_places() {
    for bytes in [9_000, 8_000, 7_000, 6_500] {
        let model = at(&recorded(bytes, &[source(1.0)]), 100);
        let Some(sample) = model.sample(id(&model, "fc.weight")) else { continue };
        let weight = weight();
        let flat = weight.as_slice().expect("in order");
        assert!([128, 64, 32].contains(&sample.at.len()), "{}", sample.at.len());
        assert!(sample.at.iter().zip(&sample.values).all(|(&at, &value)| flat[at as usize] == value));
    }
}

#[test]
fn a_quantized_model_is_compared_by_what_its_codes_stand_for() {
    let half = Operand::One { value: 0.5, parameter: None };
    let descriptor =
        QuantDescriptor::of_stored(Encoding::Other, "a test", DType::I8, Granularity::Tensor, half, None);
    // Codes of the weights themselves, twice as large: what they stand for is the weights.
    let codes = weight().mapv(|it| (it * 2.0).clamp(-128.0, 100.0) as i8);
    let clipped = weight().iter().filter(|&&it| it > 50.0).count();
    assert!(clipped > 0);
    let quantized =
        MemorySource::new().with("fc.weight", codes).quantized(descriptor.expect("i8")).expect("fits");
    let model = at(&recorded(1 << 18, &[source(1.0)]), 100);
    let changes = SampledChanges::between(SampledSide::Recorded(&model), SampledSide::Source(&quantized));
    let changes = changes.expect("both have it");
    let sample = model.sample(id(&model, "fc.weight")).expect("sampled");
    let (mut energy, mut error) = (0.0, 0.0);
    for value in sample.values {
        energy += f64::from(value).powi(2);
        error += f64::from(value - value.min(50.0)).powi(2);
    }
    let change = &changes.parameters[0];
    let db = change.fidelity.sqnr_db.expect("some are clipped");
    assert!((db - 10.0 * (energy / error).log10()).abs() < 1e-9, "{db}");
    assert_eq!(changes.unmatched[0], [("fc.bias".to_owned(), "it is not in the other".to_owned())]);
}

/// Where there is no room for all in one snapshot, those are shown whose turn it was before, and say when that was.
#[test]
fn what_takes_turns_is_of_the_last_turn() {
    const PARAMETERS: usize = 600;
    let checkpoint = |step: u64| {
        let named = |source: MemorySource, at: usize| {
            let value = step as f32 + at as f32 / 1024.0;
            source.with(format!("layer{at}.weight"), Array2::from_elem((2, 3), value))
        };
        (0..PARAMETERS).fold(MemorySource::new(), named)
    };
    let steps = 30;
    let checkpoints: Vec<MemorySource> = (1..=steps).map(|step| checkpoint(step * 100)).collect();
    let store = recorded(16 << 10, &checkpoints);
    let run = Run::open(&store, &"run".parse().expect("a name")).expect("there");
    let last = run.snapshots().last().expect("one").id;
    let summary = run.summary(last).expect("readable");
    let taken = summary.arrays().slot("w.min").expect("of some").shape[0];
    assert!(taken < PARAMETERS / 4, "they do take turns: {taken}");

    let model = at(&store, steps * 100);
    let mut told = std::collections::BTreeSet::new();
    for at in 0..PARAMETERS {
        let id = id(&model, &format!("layer{at}.weight"));
        let summary = model.summary(id).expect("it had its turn");
        let truth = f64::from(summary.as_of as f32 + at as f32 / 1024.0);
        assert_eq!((summary.min, summary.max, summary.elements), (Some(truth), Some(truth), 6));
        let histogram = model.histogram(id).expect("it had its turn");
        let (width, bin) =
            ((histogram.high - histogram.low) / 64.0, histogram.shares.iter().position(|it| *it == 1.0));
        let low = histogram.low + width * bin.expect("all are the same") as f64;
        let truth = f64::from(histogram.as_of as f32 + at as f32 / 1024.0);
        assert!(low <= truth && truth < low + width, "{low} {truth}");
        told.insert(summary.as_of);
    }
    assert_eq!(told.last(), Some(&(steps * 100)));
    assert!(told.len() >= PARAMETERS / taken && told.len() <= PARAMETERS / taken + 2, "{told:?}");
}

/// Runs that sampled other elements of a parameter have nothing to compare of it.
#[test]
fn other_seeds_have_other_places() {
    let store = |seed| {
        let store = MemoryStore::new();
        let mut import = Recorder::builder("run").seed(seed).to(store.clone()).import().expect("a store");
        import.add(100, &source(1.0)).expect("recorded");
        import.finish().expect("written");
        store
    };
    let (one, two) = (at(&store(1), 100), at(&store(2), 100));
    let changes = SampledChanges::between(SampledSide::Recorded(&one), SampledSide::Recorded(&two));
    let changes = changes.expect("the bias is sampled whole");
    assert!(changes.exact);
    assert!(changes.parameters.iter().all(|it| it.fidelity.elements < 40), "few are in both");
    assert!(
        SampledChanges::between(SampledSide::Source(&source(1.0)), SampledSide::Source(&source(2.0)))
            .is_err()
    );
    let nothing = MemorySource::new().with("other", arr1(&[1.0f32]));
    let error = SampledChanges::between(SampledSide::Recorded(&one), SampledSide::Source(&nothing))
        .expect_err("none");
    assert!(
        error.to_string().starts_with("no parameter is in both; fc.weight: it is not in the other"),
        "{error}"
    );
}

/// Steps beyond what an `f32` can count are told with all digits.
#[test]
fn steps_have_all_their_digits() {
    let store = MemoryStore::new();
    let mut import = Recorder::builder("run").to(store.clone()).import().expect("a store");
    let step = (1 << 24) + 1;
    import.add(step, &MemorySource::new().with("w", Array1::from_elem(3, 1.0f32))).expect("recorded");
    import.finish().expect("written");
    let model = at(&store, step);
    assert_eq!((model.step(), model.summary(id(&model, "w")).expect("looked at").as_of), (step, step));
}
