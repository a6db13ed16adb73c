//! `docs/snapshots.md` names every array of plans and snapshots, with its type, and none that there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ndarray::Array2;
use quantviz_core::{Arrays, MemorySource, Run, Seeded, SessionId};
use quantviz_record::Recorder;
use quantviz_store::MemoryStore;

mod training;
use training::Training;

const PAGE: &str = include_str!("../../../docs/snapshots.md");

/// The types that the page says, by the names of arrays.
fn page(heading: &str) -> BTreeMap<String, String> {
    let part = PAGE.split("\n## ").find(|it| it.starts_with(heading)).expect("a heading");
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let names = cells[1].split(", ").map(|it| it.trim_matches('`').to_owned());
        names.map(|name| (name, cells[2].to_owned())).collect::<Vec<_>>()
    })
    .collect()
}

fn check(arrays: &Arrays, page: &BTreeMap<String, String>, seen: &mut BTreeSet<String>) {
    for name in arrays.names() {
        if name.ends_with(".of") {
            continue;
        }
        let general = match name.split_once('.') {
            Some(("e", rest)) => format!("e.N.{}", rest.split_once('.').expect("a number").1),
            _ => name.to_owned(),
        };
        let said = page.get(&general).unwrap_or_else(|| panic!("{general} is not on the page"));
        let dtype = arrays.slot(name).expect("it is there").dtype.to_lowercase();
        let is_said = said.contains("as of weights") || said.contains(&dtype);
        assert!(is_said, "{general}: the page says {said}, it is {dtype}");
        seen.insert(general);
    }
}

#[test]
fn the_page_has_every_array() {
    let mut seeded = Seeded::new(1, "page");
    let mut noise = |rows, columns| Array2::from_shape_fn((rows, columns), |_| seeded.share() as f32 - 0.5);
    let (tokens, attention) = (noise(6_000, 12), noise(36, 12));
    let source = |step: u64| {
        let weights = |grown: f32| {
            MemorySource::new()
                .with("transformer.wte.weight", tokens.clone() * grown)
                .with("h.0.attn.c_attn.weight", attention.clone() * grown)
        };
        Training { weights: weights(1.0 + step as f32 * 0.01), gradients: weights(0.1) }
    };
    let store = MemoryStore::new();
    let mut recorder = Recorder::builder("run").every_steps(1).share(0.05).heads(2).to(store.clone());
    recorder = recorder.on_trouble(|line| panic!("{line}"));
    let mut recorder = recorder.start().expect("a store");
    recorder.focus(Some("h.0.attn.c_attn.weight"));
    let (in_plan, in_snapshot) = (page("The plan"), page("The snapshot"));
    let (mut plans, mut snapshots) = (BTreeSet::new(), BTreeSet::new());
    for step in 0..2_000 {
        std::thread::sleep(Duration::from_millis(30));
        recorder.record(step, &source(step), &[("loss", 1.0)]);
        let Ok(run) = Run::open(&store, &"run".parse::<SessionId>().expect("a name")) else { continue };
        let Some((_, all)) = run.nearest(step).expect("readable") else { continue };
        check(all[0].1.arrays(), &in_plan, &mut plans);
        check(all[0].0.arrays(), &in_snapshot, &mut snapshots);
        if plans.len() == in_plan.len() && snapshots.len() == in_snapshot.len() {
            break;
        }
    }
    recorder.finish();
    let missing = |page: &BTreeMap<String, String>, seen: &BTreeSet<String>| -> Vec<String> {
        page.keys().filter(|it| !seen.contains(*it)).cloned().collect()
    };
    assert_eq!((missing(&in_plan, &plans), missing(&in_snapshot, &snapshots)), (vec![], vec![]));
}
