//! Models that were broken on purpose do not hold: whoever ships what `check` lets through may trust it.

use std::path::Path;

use quantviz::{Part, SourceExt, open};
use quantviz_cli::{Exit, run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/resnet8");
const WEIGHT: &str = "layer1.conv2.weight";

/// The int8 model, whose bytes are to be changed.
struct Broken {
    bytes: Vec<u8>,
}

impl Broken {
    fn new() -> Self {
        Broken { bytes: std::fs::read(Path::new(FOLDER).join("resnet8_int8.onnx")).expect("there") }
    }

    /// The codes of a parameter and its scale, as the file has them.
    fn codes_and_scale(name: &str) -> (Vec<u8>, [u8; 4]) {
        let source = open(Path::new(FOLDER).join("resnet8_int8.onnx")).expect("readable");
        let id = source.model().parameter_named(&format!("{name}_quantized")).expect("there");
        let bytes = |code: f64| [(code as i8).cast_unsigned(), 0].into_iter().take(1);
        let codes = source.values(id, Part::Codes).expect("readable").into_iter().flat_map(bytes).collect();
        let scale = source.values(id, Part::Scales).expect("readable")[0] as f32;
        (codes, scale.to_le_bytes())
    }

    /// Replaces bytes that the file has once.
    fn replace(mut self, old: &[u8], new: &[u8]) -> Self {
        let places: Vec<usize> =
            (0..=self.bytes.len() - old.len()).filter(|&at| self.bytes[at..].starts_with(old)).collect();
        let [at] = places[..] else { panic!("{} places", places.len()) };
        self.bytes[at..at + new.len()].copy_from_slice(new);
        self
    }

    fn codes(self, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Self {
        let (codes, _) = Broken::codes_and_scale(WEIGHT);
        let changed = change(codes.clone());
        self.replace(&codes, &changed)
    }

    fn scale(self, factor: f32) -> Self {
        let (_, scale) = Broken::codes_and_scale(WEIGHT);
        self.replace(&scale, &(f32::from_le_bytes(scale) * factor).to_le_bytes())
    }

    /// What `check` says beside the float model.
    fn check(&self) -> (Exit, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let model = folder.path().join("broken.onnx");
        std::fs::write(&model, &self.bytes).expect("written");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let paths = [Path::new(FOLDER).join("resnet8_fp32.onnx"), model];
        let paths = paths.map(|path| path.to_string_lossy().into_owned());
        let exit = run(["quantviz", "check", &paths[0], &paths[1]], &mut out, &mut err);
        (exit, String::from_utf8([out, err].concat()).expect("UTF-8"))
    }

    fn fails(&self, expected: Exit, says: &str) {
        let (exit, out) = self.check();
        assert_eq!(exit, expected, "{out}");
        assert!(out.contains(says), "{out}");
    }
}

#[test]
fn unchanged_it_holds() {
    assert_eq!(Broken::new().check().0, Exit::Done);
    assert_eq!(Broken::new().scale(1.0).codes(|codes| codes).check().0, Exit::Done);
}

#[test]
fn a_scale_that_is_wrong() {
    for (factor, said) in [(2.0, "is 2 times that"), (-1.0, "is -1 times that"), (0.95, "is 0.95")] {
        let broken = Broken::new().scale(factor);
        broken.fails(Exit::FallsShort, "rounding to the nearest keeps");
        broken.fails(Exit::FallsShort, said);
    }
}

#[test]
fn codes_that_are_wrong() {
    let broken = |change: fn(Vec<u8>) -> Vec<u8>| Broken::new().codes(change);
    broken(|codes| vec![0; codes.len()]).fails(Exit::FallsShort, "all its values are 0");
    let shifted =
        |codes: Vec<u8>| codes.iter().map(|code| code.cast_signed().saturating_add(3)).collect::<Vec<i8>>();
    let bytes = |codes: Vec<i8>| codes.into_iter().map(i8::cast_unsigned).collect::<Vec<u8>>();
    Broken::new()
        .codes(|codes| bytes(shifted(codes)))
        .fails(Exit::FallsShort, "rounding to the nearest keeps");
    broken(|codes| {
        codes.iter().enumerate().map(|(at, code)| if at % 23 == 0 { code ^ 0x40 } else { *code }).collect()
    })
    .fails(Exit::FallsShort, "rounding to the nearest keeps");
    broken(|mut codes| {
        codes.rotate_left(1000);
        codes
    })
    .fails(Exit::Trouble, "layer1.conv2.weight_quantized has no counterpart");
}

/// Two weights of one shape, each with the scale of the other.
#[test]
fn weights_in_the_place_of_each_other() {
    let (one, one_scale) = Broken::codes_and_scale("layer1.conv1.weight");
    let (other, other_scale) = Broken::codes_and_scale(WEIGHT);
    let nothing = vec![0x55; one.len()];
    let broken = Broken::new().replace(&one, &nothing).replace(&other, &one).replace(&nothing, &other);
    let broken = broken.replace(&one_scale, &[0x77; 4]).replace(&other_scale, &one_scale);
    let broken = broken.replace(&[0x77; 4], &other_scale);
    broken.fails(Exit::Trouble, "by its values it is layer1.conv1.weight");
    broken.fails(Exit::Trouble, "by its values it is layer1.conv2.weight");
}
