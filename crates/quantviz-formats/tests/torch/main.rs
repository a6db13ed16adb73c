//! PyTorch files: what torch says is in them, what becomes of opcodes, and what is said of files that are wrong.
#![cfg(feature = "torch")]

#[path = "../common/mod.rs"]
mod common;

mod archives;
mod damaged;
mod fixtures;
mod limits;
mod pickles;
mod tensors;
mod views;

use quantviz_core::Error;
use quantviz_testkit::pickle::{Archive, Pickle};

use common::{Opened, open, refused};

/// An archive of this pickle, with storages of 64 bytes under the keys 0 to 3: `0, 1, 2…` in f32, in i16, in u8, and
/// zeros.
fn archive(pickle: &Pickle) -> Archive {
    let floats: Vec<u8> = (0..16u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
    let shorts: Vec<u8> = (0..32i16).flat_map(i16::to_le_bytes).collect();
    let bytes: Vec<u8> = (0..64).collect();
    let archive = Archive::new().entry("model/data.pkl", &pickle.build());
    let storages = [floats, shorts, bytes, vec![0; 64]];
    storages
        .iter()
        .enumerate()
        .fold(archive, |archive, (key, bytes)| archive.entry(&format!("model/data/{key}"), bytes))
}

/// The storages of [`archive`], as tensors refer to them.
const FLOATS: (&str, &str, i64) = ("FloatStorage", "0", 16);
const SHORTS: (&str, &str, i64) = ("ShortStorage", "1", 32);
const BYTES: (&str, &str, i64) = ("ByteStorage", "2", 64);

/// What a file of this pickle is read as.
fn read(pickle: &Pickle) -> Opened {
    open("model.pt", archive(pickle).build())
}

/// Why a file of this pickle cannot be read.
fn refusal(pickle: &Pickle) -> Error {
    refused("model.pt", archive(pickle).build())
}

/// Two numbers under the name `w`, for pickles that are about something else.
fn small() -> Pickle {
    Pickle::new().op(b"}").text("w").tensor(FLOATS, 0, &[2], &[1]).op(b"s")
}
