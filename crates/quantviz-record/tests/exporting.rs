//! What a recorder has sampled comes out of an export with the places that it was taken from.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::time::Duration;

use ndarray::ArrayD;
use quantviz_core::{Arrays, MemorySource, ParameterSource, Run, Seeded, SourceExt, bf16};
use quantviz_record::Recorder;
use quantviz_store::{Export, ExportFormat, MemoryStore};

const STEPS: u64 = 5;

fn network(step: u64) -> MemorySource {
    let mut seeded = Seeded::new(step, "noise");
    let mut noise = |shape: &[usize]| ArrayD::from_shape_fn(shape, |_| seeded.share() as f32 - 0.5);
    MemorySource::new()
        .with("wte.weight", noise(&[65, 32]))
        .with("h.0.attn.c_attn.weight", noise(&[96, 32]))
        .with("h.0.ln_1.weight", noise(&[32]))
}

fn recorded() -> MemoryStore {
    let store = MemoryStore::new();
    let builder = Recorder::builder("run").every_steps(1).share(0.05).to(store.clone());
    let mut recorder = builder.on_trouble(|line| panic!("{line}")).start().expect("a store");
    for step in 0..STEPS {
        std::thread::sleep(Duration::from_millis(100));
        recorder.record(step, &network(step), &[("loss", 4.0)]);
    }
    recorder.finish();
    store
}

#[test]
fn samples_have_their_places() {
    let store = recorded();
    let run = Run::open(&store, &"run".parse().expect("a name")).expect("a session");
    let mut out = Cursor::new(Vec::new());
    let export = Export::new(ExportFormat::Safetensors);
    let exported = export.write(&run, &mut out, &|_| ControlFlow::Continue(())).expect("written");
    let arrays = Arrays::parse(out.into_inner()).expect("safetensors");
    let steps = arrays.get::<u64>("kept_steps").expect("steps").into_owned();
    assert_eq!(steps, (0..STEPS).collect::<Vec<u64>>());
    for name in ["wte.weight", "h.0.attn.c_attn.weight", "h.0.ln_1.weight"] {
        let index = arrays.get::<u64>(&format!("{name}/sample_index")).expect("places");
        let sample = arrays.numbers(&format!("{name}/sample")).expect("a sample");
        assert_eq!(sample.len(), index.len() * steps.len());
        for (&step, sample) in steps.iter().zip(sample.chunks(index.len())) {
            let source = network(step);
            let id = source.model().parameter_named(name).expect("there");
            let values: Vec<f64> = source.array(id).expect("f32").into_iter().collect();
            for (&at, &found) in index.iter().zip(sample) {
                let expected = bf16::from_f64(values[usize::try_from(at).expect("small")]).to_f32();
                assert_eq!(found, expected, "{name} at {at}, step {step}");
            }
        }
        let histogram = arrays.numbers(&format!("{name}/histogram")).expect("counted");
        for row in histogram.chunks(64) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 0.02, "{name}");
        }
        let width = arrays.numbers(&format!("{name}/histogram_width")).expect("a grid");
        assert!(width.len() == steps.len() && width.iter().all(|&it| it > 0.0), "{width:?}");
    }
    let picture = arrays.slot("h.0.attn.c_attn.weight/picture_rms").expect("a picture");
    assert_eq!((&*picture.dtype, &picture.shape), ("U8", &vec![steps.len(), 24, 24]));
    let left_out = exported.left_out.iter().any(|it| it.starts_with("position"));
    match arrays.slot("wte.weight/position") {
        Some(slot) => assert_eq!(slot.shape, [steps.len(), 65, 3]),
        None => assert!(left_out, "{:?}", exported.left_out),
    }
}
