//! Hostile GGUF files.

use super::Outcome::{Refused, Unreadable, Warned};
use super::{Hostile, MOST_TENSORS, Outcome, bombs, name_of, numbered};
use crate::GgufBuilder;
use crate::gguf::{array, string, tensor_type as of, value_type};

const FILE: &str = "model.gguf";
/// Bytes before the metadata.
const HEAD: usize = 4 + 4 + 8 + 8;

/// Every hostile GGUF file.
pub fn files() -> Vec<Hostile> {
    [heads(), metadata(), tensors(), odd(), costly()].into_iter().flatten().collect()
}

fn file(what: &str, outcome: Outcome, file: GgufBuilder) -> Hostile {
    Hostile::new(FILE, what, outcome, move || file.build())
}

fn heads() -> Vec<Hostile> {
    let empty = GgufBuilder::new;
    vec![
        Hostile::new(FILE, "an empty file", Refused("the file is empty"), Vec::new),
        Hostile::new(FILE, "four bytes", Refused("byte 4"), || b"GGUF".to_vec()),
        Hostile::new(FILE, "something else", Refused("does not begin with"), || {
            b"GGML is something else\0".to_vec()
        }),
        file("a version of the future", Refused("version 4"), empty().version(4)),
        file("the other order of bytes", Refused("big-endian"), empty().version(3 << 24)),
        file("too little metadata", Refused("30000 entries of metadata"), empty().claim_entries(30_000)),
        file("2^64 - 1 entries of metadata", Refused("over the limit"), empty().claim_entries(u64::MAX)),
        file("too few tensors", Refused("100 tensors are announced"), empty().claim_tensors(100)),
        file("2^64 - 1 tensors", Refused("over the limit"), empty().claim_tensors(u64::MAX)),
    ]
}

fn metadata() -> Vec<Hostile> {
    let value = |what, why, value_type, bytes: &[u8]| {
        file(what, Refused(why), GgufBuilder::new().value("k", value_type, bytes))
    };
    let nested = [array(value_type::ARRAY, 1, []).repeat(100_000), array(value_type::U8, 0, [])].concat();
    let mut latin1 = GgufBuilder::new().text("k", "a").build();
    latin1[HEAD + 8] = 0xe9;
    vec![
        value("a text of 2^64 - 1 bytes", "bytes are announced", value_type::STRING, &u64::MAX.to_le_bytes()),
        value(
            "2^64 - 1 texts",
            "strings are announced",
            value_type::ARRAY,
            &array(value_type::STRING, u64::MAX, []),
        ),
        value(
            "2^64 - 1 numbers",
            "f64 are announced",
            value_type::ARRAY,
            &array(value_type::F64, u64::MAX, []),
        ),
        value(
            "2^64 - 1 arrays",
            "arrays are announced",
            value_type::ARRAY,
            &array(value_type::ARRAY, u64::MAX, []),
        ),
        value("arrays nested deeply", "nested too deep", value_type::ARRAY, &nested),
        value("a type that is none", "unknown type 13", 13, &[0; 8]),
        value("an array of a type that is none", "unknown type 77", value_type::ARRAY, &array(77, 0, [])),
        file("a key twice", Refused("the key \"k\" twice"), GgufBuilder::new().text("k", "a").text("k", "b")),
        Hostile::new(FILE, "a key that is no text", Refused("a key is not UTF-8"), move || latin1.clone()),
        file(
            "an alignment of zero",
            Refused("general.alignment"),
            GgufBuilder::new().value("general.alignment", value_type::U32, [0; 4]),
        ),
    ]
}

fn tensors() -> Vec<Hostile> {
    let one = GgufBuilder::new().tensor("a", of::I8, [40], &[0; 40]);
    let second = |what, why, kind, shape: &[u64], offset| {
        file(what, Refused(why), one.clone().tensor_at("b", kind, shape, offset))
    };
    vec![
        second("a tensor beyond the end", "b: its 40 bytes from 32 on", of::I8, &[40], 32),
        second("a tensor far beyond the end", "are not within", of::I8, &[1], u64::MAX - 31),
        second("a tensor at an odd place", "no multiple of 32", of::I8, &[1], 8),
        second("tensors that overlap", "its bytes overlap those of a", of::I8, &[9], 32),
        second("a shape that overflows", "2^64 elements", of::I8, &[4, u64::MAX], 64),
        second("bytes that overflow", "2^64 bytes", of::F32, &[u64::MAX / 2], 64),
        second("rows that blocks do not divide", "do not divide", of::Q4_K, &[256, 100], 64),
        second("too many dimensions", "more than 64 dimensions", of::I8, &[0; 65], 64),
        file(
            "two tensors of one name",
            Refused("a: two tensors have this name"),
            one.clone().tensor("a", of::I8, [1], &[1]),
        ),
    ]
}

fn odd() -> Vec<Hostile> {
    let nan = [0, 0, 0xc0, 0x7f];
    let block = [&0x7e00u16.to_le_bytes()[..], &[0; 32]].concat();
    vec![
        file(
            "a type that is not known",
            Unreadable { parameter: "odd", why: "99" },
            GgufBuilder::new().tensor("fine", of::I8, [2], &[1, 2]).tensor("odd", 99, [5], &[1, 2]),
        ),
        file("no tensor at all", Warned("no parameters"), GgufBuilder::new()),
        file(
            "not a number",
            Warned("w: 1 of its 1 values"),
            GgufBuilder::new().tensor("w", of::F32, [1], &nan),
        ),
        file(
            "a scale that is not a number",
            Warned("of its 1 scales"),
            GgufBuilder::new().tensor("w", of::Q8_0, [32], &block),
        ),
        file(
            "scales of zero",
            Warned("of its 1 scales"),
            GgufBuilder::new().tensor("w", of::Q8_0, [32], &[0; 34]),
        ),
        file(
            "a tensor without elements",
            Warned("it has no elements"),
            GgufBuilder::new().tensor("w", of::F32, [0], &[]),
        ),
    ]
}

/// A file with these entries of metadata and tensors, written out.
fn written(entries: &[u8], entry_count: u64, tensors: &[u8], tensor_count: u64) -> Vec<u8> {
    let counts = [tensor_count.to_le_bytes(), entry_count.to_le_bytes()].concat();
    let mut file = [b"GGUF\x03\0\0\0", &counts[..], entries, tensors].concat();
    file.resize(file.len().next_multiple_of(32), 0);
    file
}

fn many_entries(size: usize, value: impl Fn() -> Vec<u8>) -> Vec<u8> {
    let mut count = 0;
    let entries = numbered(size, |at| {
        count += 1;
        [string(&format!("{at:x}")), value()].concat()
    });
    written(&entries, count, &[], 0)
}

fn many_tensors(size: usize, name: impl Fn(usize) -> String, dims: &[u64], kind: u32) -> Vec<u8> {
    let mut count = 0;
    let dims: Vec<u8> = [
        &(dims.len() as u32).to_le_bytes()[..],
        &dims.iter().flat_map(|dim| dim.to_le_bytes()).collect::<Vec<u8>>(),
    ]
    .concat();
    let tensors = numbered(size, |at| {
        count += 1;
        [&string(&name(at))[..], &dims, &kind.to_le_bytes(), &0u64.to_le_bytes()].concat()
    });
    written(&[], 0, &tensors, count)
}

fn costly() -> Vec<Hostile> {
    let bomb = |what, make| bombs(FILE, what, make);
    let mut files: Vec<Hostile> = Vec::new();
    files.extend(bomb("tensors", |size| many_tensors(size, |at| format!("{at:x}"), &[0], of::F32)));
    files.extend(bomb("tensors that nobody knows", |size| {
        many_tensors(size, |at| format!("{at:x}"), &[0], 99)
    }));
    files.extend(bomb("dimensions", |size| many_tensors(size, |at| format!("{at:x}"), &[0; 64], of::F32)));
    files.push(Hostile::new(FILE, "as many tensors as are let through", Outcome::Sound, || {
        let values = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40];
        let add = |file: GgufBuilder, at| file.tensor(&name_of(at), of::F32, [2], &values);
        (0..MOST_TENSORS).fold(GgufBuilder::new().alignment(8), add).build()
    }));
    let block = [&[0, 0x3c][..], &[1; 32]].concat();
    files.push(Hostile::new(FILE, "as many quantized tensors", Outcome::Sound, move || {
        let add = |file: GgufBuilder, at| file.tensor(&name_of(at), of::Q8_0, [32], &block);
        (0..MOST_TENSORS).fold(GgufBuilder::new().alignment(8), add).build()
    }));
    files.extend(bomb("a long name", |size| many_tensors(1, |_| "n".repeat(size), &[0], of::F32)));
    files.extend(bomb("entries of the metadata", |size| many_entries(size, || [7, 0, 0, 0, 1].to_vec())));
    files.extend(bomb("arrays of the metadata", |size| {
        many_entries(size, || [&value_type::ARRAY.to_le_bytes()[..], &array(value_type::U8, 0, [])].concat())
    }));
    files.extend(bomb("an array of arrays", |size| {
        let inner = array(value_type::U8, 0, []);
        let count = size / inner.len();
        let value = array(value_type::ARRAY, count as u64, inner.repeat(count));
        GgufBuilder::new().value("k", value_type::ARRAY, value).build()
    }));
    files.extend(bomb("an array of texts", |size| {
        let value = array(value_type::STRING, (size / 8) as u64, vec![0; size / 8 * 8]);
        GgufBuilder::new().value("k", value_type::ARRAY, value).build()
    }));
    files.extend(bomb("an array of bytes", |size| {
        GgufBuilder::new()
            .value("k", value_type::ARRAY, array(value_type::U8, size as u64, vec![7; size]))
            .build()
    }));
    files.extend(bomb("a long text", |size| GgufBuilder::new().text("k", &"\u{1}".repeat(size)).build()));
    files.extend(bomb("a long key", |size| GgufBuilder::new().text(&"k".repeat(size), "").build()));
    files
}
