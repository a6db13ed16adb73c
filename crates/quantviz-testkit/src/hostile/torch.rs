//! Hostile PyTorch files: pickles and archives.

use super::Outcome::{Refused, Sound, Unreadable, Warned};
use super::{Hostile, Outcome, SIZES, bombs, numbered};
use crate::pickle::{Archive, Entry, Pickle, TorchBuilder, legacy};

const FILE: &str = "model.pt";
/// A storage of 64 bytes that every archive here has.
const FLOATS: (&str, &str, i64) = ("FloatStorage", "0", 16);

/// Every hostile PyTorch file.
pub fn files() -> Vec<Hostile> {
    [archives(), opcodes(), attacks(), tensors(), odd(), costly_pickles(), costly_archives()]
        .into_iter()
        .flatten()
        .collect()
}

fn file(what: impl Into<String>, outcome: Outcome, make: impl Fn() -> Vec<u8> + 'static) -> Hostile {
    Hostile::new(FILE, what, outcome, make)
}

/// An archive of this pickle.
fn archive(pickle: &Pickle) -> Archive {
    Archive::new().entry("m/data.pkl", &pickle.build()).entry("m/data/0", &[0; 64])
}

fn pickle(what: impl Into<String>, outcome: Outcome, pickle: Pickle) -> Hostile {
    file(what, outcome, move || archive(&pickle).build())
}

/// Two numbers under the name `w`, for pickles that are about something else.
fn small() -> Pickle {
    Pickle::new().op(b"}").text("w").tensor(FLOATS, 0, &[2], &[1]).op(b"s")
}

fn archives() -> Vec<Hostile> {
    let entry = || Entry::new("m/data.pkl", &small().build());
    let data = || Entry::new("m/data/0", &[0; 64]);
    let two = |what: &str, outcome, pickle: Entry, data: Entry| {
        file(what, outcome, move || Archive::new().with(pickle.clone()).with(data.clone()).build())
    };
    let bytes = |what: &str, why, bytes: &'static [u8]| file(what, Refused(why), move || bytes.to_vec());
    let unreadable = |why| Unreadable { parameter: "w", why };
    vec![
        file("an empty file", Refused("the file is empty"), Vec::new),
        bytes("the beginning of an archive", "its end is missing", b"PK\x03\x04"),
        bytes("neither an archive nor a pickle", "neither an archive nor a pickle", b"hello"),
        bytes("a pickle of nothing", "without tensors", b"\x80\x02N."),
        file("an archive without entries", Refused("no data.pkl"), || Archive::new().build()),
        file("an entry twice", Refused("two entries of the archive are named m/data/0"), move || {
            archive(&small()).entry("m/data/0", &[0; 64]).build()
        }),
        two(
            "an entry longer than the file",
            Refused("which are not there"),
            entry(),
            Entry { stored_len: 6400, ..data() },
        ),
        two(
            "an entry in the middle of another",
            Refused("not where its directory says"),
            entry(),
            Entry { offset: Some(5), ..data() },
        ),
        two(
            "an entry beyond the file",
            Refused("not where its directory says"),
            entry(),
            Entry { offset: Some(u32::MAX - 5), ..data() },
        ),
        two("entries that overlap", Refused("overlap"), entry(), Entry { offset: Some(0), ..data() }),
        two(
            "an entry that is not compressed and shrinks",
            Refused("not compressed"),
            Entry { len: 7, ..entry() },
            data(),
        ),
        two(
            "a storage packed in an unknown way",
            unreadable("m/data/0"),
            entry(),
            Entry { method: 12, ..data() },
        ),
        two("a storage that is no deflate", unreadable("m/data/0"), entry(), Entry { method: 8, ..data() }),
        two(
            "a storage that unpacks to less",
            unreadable("m/data/0"),
            entry(),
            Entry { len: 65, ..Entry::deflated("m/data/0", &[0; 64]) },
        ),
        two(
            "a storage that unpacks to 4 GB",
            unreadable("m/data/0"),
            entry(),
            Entry { len: u32::MAX - 1, ..Entry::deflated("m/data/0", &[0; 64]) },
        ),
        file("storages that end early", Refused("model.pt"), || {
            let whole = TorchBuilder::new().tensor("w", "FloatStorage", &[2], &[0; 8]).legacy();
            whole[..whole.len() - 1].to_vec()
        }),
        file("a storage of -1 elements", Refused("-1 elements"), || {
            let keys = Pickle::new().op(b"](").text("0").op(b"e").build();
            [legacy(&small().build(), &keys), (-1i64).to_le_bytes().to_vec()].concat()
        }),
        file("an archive in an archive in an archive", Refused("model.pt"), || {
            let inner =
                Archive::new().entry("data/weights/a_weights_config.json", br#"{"config":{}}"#).build();
            Archive::new().entry("m/serialized_state_dict.pt", &inner).build()
        }),
    ]
}

fn opcodes() -> Vec<Hostile> {
    let refused = |opcodes: &'static [u8], why| {
        file(format!("the opcodes {}", opcodes.escape_ascii()), Refused(why), move || {
            Archive::new().entry("m/data.pkl", &[b"\x80\x02", opcodes].concat()).build()
        })
    };
    vec![
        refused(b".", "a value is wanted"),
        refused(b"t", "a closing bracket"),
        refused(b"(NNNd", "a key without a value"),
        refused(b"NNa", "no list"),
        refused(b"h\x07", "nothing was remembered as 7"),
        refused(b"j\xff\xff\xff\xff", "nothing was remembered as 4294967295"),
        refused(b"L99999999999999999999L\n", "no whole number"),
        refused(b"X\xff\xff\xff\xff", "ends early"),
        refused(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "ends early"),
        refused(b"\x8b\xff\xff\xff\xff", "a length of -1"),
        refused(b"cno line", "ends early"),
        refused(b"\x82\x01", "0x82 (EXT1)"),
        refused(b"\xff", "0xff"),
        refused(b"", "ends early"),
    ]
}

/// Everything that a pickle that wants to run code can do about it. None of it happens, and that it was tried is told.
fn attacks() -> Vec<Hostile> {
    let attacks: &[&[u8]] = &[
        b"cos\nsystem\n\x8c\x0ctouch hacked\x85R",
        b"cbuiltins\neval\n\x8c\x011\x85R",
        b"(S'touch hacked'\nios\nsystem\n",
        b"(cos\nsystem\n\x8c\x0ctouch hackedo",
        b"cposix\nsystem\n\x8c\x0ctouch hacked\x85\x81",
        b"csubprocess\nPopen\n](\x8c\x05touch\x8c\x06hackede\x85R}\x8c\x05stdinNsb",
        b"c__builtin__\ngetattr\ncos\nsystem\n\x8c\x08__call__\x86R\x8c\x0ctouch hacked\x85R",
        b"crunpy\n_run_code\n\x8c\x04pass}\x86R",
    ];
    let attack = |attack: &&'static [u8]| {
        let what = format!("the attack {}", attack.escape_ascii());
        pickle(what, Warned("not run here"), small().text("x").op(attack).op(b"s"))
    };
    attacks.iter().map(attack).collect()
}

fn tensors() -> Vec<Hostile> {
    let view = |what: &str, why, offset, sizes: &[i64], strides: &[i64]| {
        pickle(
            what,
            Refused(why),
            Pickle::new().op(b"}").text("w").tensor(FLOATS, offset, sizes, strides).op(b"s"),
        )
    };
    vec![
        view("a view beyond its storage", "w: ", 0, &[17], &[1]),
        view("strides beyond the storage", "beyond its storage", 0, &[2], &[16]),
        view("an offset that overflows", "beyond its storage", i64::MAX, &[2], &[1]),
        view("strides that overflow", "beyond its storage", 0, &[2, 2], &[i64::MAX, i64::MAX]),
        view("a negative offset", "negative", -1, &[1], &[1]),
        view("a negative dimension", "negative", 0, &[-1], &[1]),
        view("a negative stride", "negative", 0, &[2], &[-1]),
        view("too few dimensions", "2 strides for 1 dimensions", 0, &[2], &[1, 1]),
        view("a shape that overflows", "2^64", 0, &[1 << 40, 1 << 40], &[0, 0]),
        view("too many dimensions", "dimensions", 0, &[1; 65], &[1; 65]),
        view("one number a million million times", "w", 0, &[1 << 20, 1 << 20], &[0, 0]),
    ]
}

fn odd() -> Vec<Hostile> {
    let storage = |what: &str, class: &str, key: &str, count| {
        let tensor = Pickle::new().op(b"}").text("w").tensor((class, key, count), 0, &[2], &[1]).op(b"s");
        pickle(what, Unreadable { parameter: "w", why: "" }, tensor)
    };
    vec![
        storage("a storage that is missing", "FloatStorage", "9", 16),
        storage("a storage that is a path", "FloatStorage", "../../../etc/passwd", 16),
        storage("a storage with control characters", "FloatStorage", "a\u{1b}[31m\n", 16),
        storage("a storage of an unknown class", "OtherStorage", "0", 16),
        storage("a storage of fewer than no elements", "FloatStorage", "0", -1),
        pickle("a list in itself", Sound, small().text("x").op(b"]q\x01h\x01as")),
        pickle(
            "an object in itself",
            Sound,
            small().text("x").op(b"cm\nC\n)\x81q\x01}").text("me").op(b"h\x01sbs"),
        ),
        file("not a number", Warned("w: 1 of its 1 values"), || {
            TorchBuilder::new().tensor("w", "FloatStorage", &[1], &[0, 0, 0xc0, 0x7f]).archive().build()
        }),
        file("a tensor without elements", Warned("w: it has no elements"), || {
            TorchBuilder::new().tensor("w", "FloatStorage", &[0], &[]).archive().build()
        }),
    ]
}

/// Opcodes that cost a byte or a few to write and much more to keep, and what has to be there before the first.
const REPEATED: &[(&str, &[u8], &[u8])] = &[
    ("nothing", b"", b"N"),
    ("marks", b"", b"("),
    ("tuples in tuples", b"N", b"\x85"),
    ("lists", b"", b"]"),
    ("lists in lists", b"", b"]a"),
    ("lists of one", b"", b"]Na"),
    ("one long list", b"]", b"Na"),
    ("dictionaries", b"", b"}"),
    ("one long dictionary", b"}", b"NNs"),
    ("numbers", b"", b"K\0"),
    ("texts", b"", b"X\0\0\0\0"),
    ("classes", b"", b"c\n\n"),
    ("objects", b"", b"))R"),
    ("objects with items and pairs", b"", b"))R(Ne(NNu"),
    ("things remembered", b"N", b"\x94"),
    ("things repeated", b"N", b"2"),
    ("things forgotten", b"", b"N0"),
    ("storages", b"", b"NQ"),
    ("frames", b"", b"\x95\0\0\0\0\0\0\0\0"),
];

fn costly_pickles() -> Vec<Hostile> {
    let repeated = |&(what, before, opcodes): &(&str, &'static [u8], &'static [u8])| {
        SIZES.map(|size| {
            file(format!("a pickle of {what}, {} MB", size >> 20), Outcome::Bounded, move || {
                let pickle = Pickle::new().op(before).op(opcodes.repeat(size / opcodes.len())).build();
                Archive::new().entry("m/data.pkl", &pickle).build()
            })
        })
    };
    let mut files: Vec<Hostile> = REPEATED.iter().flat_map(repeated).collect();
    let levels = |bottom: Pickle| {
        (1..60u8).fold(bottom.op(b"q\x00"), |pickle, level| {
            let again = [b'h', level - 1];
            pickle.op(b"0](").op(again).op(again).op([b'e', b'q', level])
        })
    };
    let laughs = levels(Pickle::new().op(b"]"));
    files.push(pickle(
        "2^60 ways to nothing",
        Sound,
        small().text("x").op(&laughs.unfinished()[2..]).op(b"s"),
    ));
    files.push(pickle(
        "2^60 ways to a tensor",
        Refused("model.pt"),
        levels(Pickle::new().tensor(FLOATS, 0, &[2], &[1])),
    ));
    files.extend(bombs(FILE, "a pickle of tensors of one storage", |size| {
        let first = Pickle::new()
            .storage("FloatStorage", "0", 16)
            .op(b"q\x000")
            .op(b"ctorch._utils\n_rebuild_tensor_v2\nq\x010](");
        let each = Pickle::new().op(b"h\x01(h\x00K\x00K\x01\x85K\x01\x85\x89NtR");
        let each = &each.unfinished()[2..];
        archive(&first.op(each.repeat(size / each.len())).op(b"e")).build()
    }));
    files.extend(bombs(FILE, "a pickle of long names", |size| {
        let pad = "n".repeat(400);
        let pickle = Pickle::new().tensor(FLOATS, 0, &[1], &[1]).op(b"q\x000}(");
        let items = numbered(size, |at| {
            Pickle::new().text(&format!("{pad}{at:x}")).op(b"h\x00").unfinished()[2..].to_vec()
        });
        archive(&pickle.op(items).op(b"u")).build()
    }));
    files.extend(bombs(FILE, "a pickle of one long text", |size| {
        archive(&small().text("x").text(&"\u{1}".repeat(size)).op(b"s")).build()
    }));
    files.extend(bombs(FILE, "a pickle alone", |size| {
        Pickle::new().op(b"](").op(b"K\0".repeat(size / 2)).op(b"e").build()
    }));
    files
}

fn costly_archives() -> Vec<Hostile> {
    let mut files: Vec<Hostile> = Vec::new();
    files.push(file("a storage that unpacks to a gigabyte", Outcome::Bounded, move || {
        let tensor =
            Pickle::new().op(b"}").text("w").tensor(("ByteStorage", "0", 1 << 30), 0, &[1 << 30], &[1]);
        Archive::new().entry("m/data.pkl", &tensor.op(b"s").build()).with(zeros("m/data/0", 1 << 10)).build()
    }));
    files.push(file("a pickle that unpacks to a gigabyte", Outcome::Bounded, move || {
        Archive::new().with(zeros("m/data.pkl", 1 << 10)).build()
    }));
    files.push(file("sixty storages that unpack to sixty megabytes", Outcome::Bounded, move || {
        let tensors = (0..60).fold(Pickle::new().op(b"}("), |it, at| {
            let key = at.to_string();
            it.text(&format!("w{at}")).tensor(("ByteStorage", &key, 60 << 20), 0, &[60 << 20], &[1])
        });
        let archive = Archive::new().entry("m/data.pkl", &tensors.op(b"u").build());
        (0..60).fold(archive, |it, at| it.with(zeros(&format!("m/data/{at}"), 60))).build()
    }));
    files.extend(bombs(FILE, "an archive of entries", |size| {
        // A directory counts them in 16 bits.
        let count = (size / 92).min(65_000);
        (0..count).fold(archive(&small()), |it, at| it.entry(&format!("m/x/{at:x}"), b"")).build()
    }));
    files.extend(bombs(FILE, "an archive of packed entries", |size| {
        let pickle = |size: usize| Pickle::new().op(b"](").op(b"N".repeat(size)).op(b"e").build();
        Archive::new().with(Entry::deflated("m/data.pkl", &pickle(size - (size >> 6)))).build()
    }));
    files
}

/// An entry that unpacks to about so many megabytes of zeros.
fn zeros(name: &str, megabytes: usize) -> Entry {
    let bytes = |bits: &str| -> Vec<u8> {
        let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        bits.as_bytes().chunks(8).map(byte).collect()
    };
    // A last block with the codes of the standard begins with a zero. 13 bits say: the byte before, 258 times.
    let (again, rest) = ("11000", "10100000");
    let repeats = (megabytes << 20) / (8 * 258);
    let start = bytes(&format!("11000110000{again}"));
    let middle = bytes(&format!("{rest}{again}").repeat(8));
    let end = bytes(&format!("{rest}0000000"));
    let stream = [start, middle.repeat(repeats), end].concat();
    Entry { method: 8, len: (1 + 258 * (8 * repeats + 1)) as u32, ..Entry::new(name, &stream) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_what_they_say() {
        let entry = zeros("z", 1);
        assert_eq!((entry.len, entry.bytes.len()), (1_048_771, 6608));
        assert!(files().iter().all(|file| file.file == FILE));
    }
}
