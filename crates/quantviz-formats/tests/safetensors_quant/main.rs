//! Quantized safetensors files, layout by layout, with values worked out by hand.
#![cfg(feature = "safetensors")]

#[path = "../common/mod.rs"]
mod common;

mod compressed_tensors;
mod damage;
mod floats;
mod gptq;
mod others;
mod unsupported;

use common::{Folder, Opened};
use quantviz_core::{Part, Role, SourceExt, WarningKind};
use quantviz_testkit::{SafetensorsBuilder, check_sync_source};

const MODEL: &str = "model.safetensors";

/// A tensor of a file: its name, its type, its shape and its bytes.
type Tensor<'a> = (&'a str, &'a str, &'a [u64], Vec<u8>);

fn file(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let add = |file: SafetensorsBuilder, (name, dtype, shape, bytes): &Tensor<'_>| {
        file.tensor(name, dtype, shape, bytes)
    };
    tensors.iter().fold(SafetensorsBuilder::new(), add).build()
}

/// Opens a model that does all that a source has to, and that has one layer.
fn opened(tensors: &[Tensor<'_>]) -> Opened {
    opened_beside(tensors, &[])
}

/// Opens a model with other files beside it.
fn opened_beside(tensors: &[Tensor<'_>], files: &[(&str, &str)]) -> Opened {
    let folder = Folder::new();
    for (name, text) in files {
        folder.put(name, text);
    }
    folder.put(MODEL, file(tensors));
    let source = folder.open(MODEL);
    check_sync_source(&*source);
    assert_eq!(source.model().layers.len(), 1, "{:?}", source.model().layers);
    Opened { folder, source }
}

impl Opened {
    fn real(&self, name: &str) -> Vec<f64> {
        self.source
            .real_array(self.id(name))
            .expect("readable")
            .iter()
            .map(|&value| f64::from(value))
            .collect()
    }

    fn codes(&self, name: &str) -> Vec<f64> {
        self.part(name, Part::Codes)
    }

    fn roles(&self) -> Vec<Role> {
        self.model().parameters.iter().map(|parameter| parameter.role).collect()
    }

    /// The only warning there is, but for zero-points that are packed alike, about a parameter that is not described.
    fn only_warning(&self, name: &str) -> (WarningKind, &str) {
        assert!(self.parameter(name).quantization.is_none(), "{name:?} is described");
        let warnings = self.model().warnings.iter();
        let warnings: Vec<_> =
            warnings.filter(|it| !it.message.starts_with("they are packed like")).collect();
        let [warning] = warnings[..] else { panic!("{:?}", self.model().warnings) };
        assert_eq!(warning.parameter.as_deref(), Some(name));
        (warning.kind, &warning.message)
    }
}

fn i32s(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A word of eight codes, the first in the lowest bits.
fn word(codes: [u32; 8]) -> u32 {
    codes.iter().rev().fold(0, |word, code| word << 4 | code)
}

const COUNTING: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const COUNTING_ON: [u32; 8] = [8, 9, 10, 11, 12, 13, 14, 15];
