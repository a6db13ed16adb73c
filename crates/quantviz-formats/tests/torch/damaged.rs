//! Valid files, cut short and damaged: values or errors, never a panic.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use quantviz_core::ParameterSource;
use quantviz_testkit::mutate;

use crate::common::{Folder, check_model, check_refusal, scan};
use crate::fixtures::{files, folder};

const MUTATIONS: u64 = 20_000;

/// Files of every kind, small enough to be damaged everywhere.
const DAMAGED: &[&str] = &[
    "state_dict.pt",
    "state_dict_legacy.pt",
    "deflated.pt",
    "views.pt",
    "views_legacy.pt",
    "quantized.pt",
    "unusual.pt",
    "protocol4.pt",
    "protocol5.pt",
    "plain_pickle.pt",
    "traced.pt",
    "export_tied.pt2",
];

/// Whether it could be opened.
fn read(path: &Path) -> bool {
    match quantviz_formats::open(path) {
        Ok(source) => {
            check_model(source.model());
            scan(&source);
            true
        }
        Err(error) => {
            check_refusal(&error, path);
            false
        }
    }
}

fn survive(path: &Path, what: &str) -> bool {
    catch_unwind(AssertUnwindSafe(|| read(path))).unwrap_or_else(|_| panic!("{what} fails as said above"))
}

#[test]
fn cut_anywhere() {
    let target = Folder::in_memory();
    for file in files() {
        let valid = fs::read(&file).expect("readable");
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        for len in (1..valid.len()).step_by(16) {
            let path = target.put("model.pt", &valid[..len]);
            let opened = survive(&path, &format!("{name}, cut to {len} bytes,"));
            assert!(
                !opened || valid.starts_with(b"\x80"),
                "{name} was read from {len} of its {} bytes",
                valid.len()
            );
        }
    }
}

#[test]
fn damaged_in_twenty_thousand_ways() {
    let target = Folder::in_memory();
    let each = MUTATIONS / DAMAGED.len() as u64;
    for name in DAMAGED {
        let valid = fs::read(folder().join(name)).expect("readable");
        let mut opened = 0;
        for seed in 0..each {
            let path = target.put("model.pt", mutate(&valid, seed));
            opened += u64::from(survive(&path, &format!("{name}, damaged with seed {seed},")));
        }
        assert!(opened > each / 20 && opened < each, "{opened} of {each} copies of {name} could be opened");
    }
}

/// In archives nearly all injuries hit something that is checked first; here the pickle alone is hurt.
#[test]
fn damaged_pickles_in_sound_archives() {
    use quantviz_testkit::pickle::{Archive, TorchBuilder};

    let target = Folder::in_memory();
    let torch = TorchBuilder::new().tensor("layer.weight", "FloatStorage", &[2, 3], &[7; 24]).tensor(
        "layer.bias",
        "QInt8Storage",
        &[4],
        &[1, 2, 3, 4],
    );
    let valid = torch.pickle().build();
    for seed in 0..MUTATIONS / 4 {
        let archive = Archive::new().entry("m/data.pkl", &mutate(&valid, seed));
        let archive = archive.entry("m/data/0", &[7; 24]).entry("m/data/1", &[1, 2, 3, 4]);
        survive(&target.put("model.pt", archive.build()), &format!("a pickle, damaged with seed {seed},"));
    }
}
