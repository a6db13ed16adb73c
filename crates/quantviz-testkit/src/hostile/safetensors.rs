//! Hostile safetensors files, and indexes of shards.

use super::Outcome::{Refused, Sound, Unreadable, Warned};
use super::{Hostile, MOST_TENSORS, Outcome, bombs, name_of, numbered};
use crate::SafetensorsBuilder;
use crate::safetensors::{raw, raw_claimed};

const FILE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SHARD: &str = "model-00001-of-00001.safetensors";

/// Every hostile safetensors file.
pub fn files() -> Vec<Hostile> {
    [headers(), tensors(), odd(), quantized(), indexes(), costly()].into_iter().flatten().collect()
}

fn file(what: &str, outcome: Outcome, make: impl Fn() -> Vec<u8> + 'static) -> Hostile {
    Hostile::new(FILE, what, outcome, make)
}

/// A file with this header, and eight bytes.
fn header(what: &str, outcome: Outcome, header: impl Into<String>) -> Hostile {
    let header = header.into();
    file(what, outcome, move || raw(&header, &[0; 8]))
}

fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

fn headers() -> Vec<Hostile> {
    let i8 = |name, offsets| entry(name, "I8", "[4]", offsets);
    vec![
        file("an empty file", Refused("the file is empty"), Vec::new),
        file("a file of seven bytes", Refused("at least 8 bytes"), || vec![0; 7]),
        file("a header longer than the file", Refused("the file has only 10"), || {
            raw_claimed(100, "{}", &[])
        }),
        file("a header of 2^64 - 1 bytes", Refused("the file has only 10"), || {
            raw_claimed(u64::MAX, "{}", &[])
        }),
        header("no JSON", Refused("byte 9"), "{nonsense}"),
        header("a list", Refused("expected an object"), "[]"),
        header("something behind the header", Refused("trailing characters"), "{} {}"),
        file("no text", Refused("invalid unicode"), || raw(b"{\"\xff\xfe\":1}", &[])),
        header("lists nested deeply", Refused("the header is not"), "[".repeat(200_000)),
        header("objects nested deeply", Refused("the header is not"), r#"{"a":"#.repeat(200_000)),
        header(
            "a field nested deeply",
            Refused("the header is not"),
            format!(r#"{{"w":{{"dtype":{}"#, "[".repeat(200_000)),
        ),
        header(
            "two tensors of one name",
            Refused("w: two tensors have this name"),
            format!("{{{},{}}}", i8("w", "[0,4]"), i8("w", "[4,8]")),
        ),
        header("metadata twice", Refused("comes twice"), r#"{"__metadata__":{"a":"b"},"__metadata__":{}}"#),
        header(
            "an entry of the metadata twice",
            Refused("\"a\" comes twice"),
            r#"{"__metadata__":{"a":"b","a":"c"}}"#,
        ),
        header("metadata that is no text", Refused("expected a string"), r#"{"__metadata__":{"a":1}}"#),
        header("a tensor without offsets", Refused("missing field"), r#"{"w":{"dtype":"F32","shape":[2]}}"#),
        header(
            "tensors that overlap",
            Refused("its bytes overlap those of a"),
            format!("{{{},{}}}", i8("a", "[0,4]"), i8("b", "[3,7]")),
        ),
    ]
}

fn tensors() -> Vec<Hostile> {
    let one = |what, why, dtype, shape: &str, offsets| {
        header(what, Refused(why), format!("{{{}}}", entry("w", dtype, shape, offsets)))
    };
    let many = format!("{:?}", [1; 65]);
    vec![
        one("a tensor beyond the end", "w: its bytes 4..12 are not within", "F32", "[2]", "[4,12]"),
        one(
            "a tensor far beyond the end",
            "are not within",
            "F32",
            "[0]",
            "[18446744073709551615,18446744073709551615]",
        ),
        one("a tensor that ends before it begins", "w: its bytes 8..0", "F32", "[2]", "[8,0]"),
        one("a tensor too short", "takes 12 bytes, not 8", "F32", "[3]", "[0,8]"),
        one("a shape that overflows", "2^64 elements", "F32", "[4294967296,4294967296]", "[0,8]"),
        one(
            "a shape that overflows behind a zero",
            "2^64 elements",
            "F32",
            "[4294967296,0,4294967296]",
            "[0,0]",
        ),
        one("bytes that overflow", "2^64 bytes", "F32", "[9223372036854775808]", "[0,8]"),
        one("a negative dimension", "integer `-1`", "F32", "[-1]", "[0,8]"),
        one("a dimension with a fraction", "1.5", "F32", "[1.5]", "[0,8]"),
        one("a dimension of 2^64", "the header is not", "F32", "[18446744073709551616]", "[0,8]"),
        one("too many dimensions", "more than 64 dimensions", "F32", &many, "[0,4]"),
    ]
}

fn odd() -> Vec<Hostile> {
    let builder = SafetensorsBuilder::new;
    let unreadable = Unreadable { parameter: "odd", why: "I3" };
    vec![
        file("a dtype that is not known", unreadable, move || {
            builder().tensor("odd", "I3", [5], &[1, 2]).tensor("fine", "I8", [2], &[3, 4]).build()
        }),
        header(
            "bytes of no tensor",
            Warned("belong to no tensor"),
            format!("{{{}}}", entry("w", "I8", "[1]", "[0,1]")),
        ),
        file("no tensor at all", Warned("no parameters"), move || builder().build()),
        file("not a number", Warned("w: 1 of its 2 values is NaN or infinite"), move || {
            builder().tensor("w", "F32", [2], &[0, 0, 0xc0, 0x7f, 0, 0, 0, 0]).build()
        }),
        file("a tensor without elements", Warned("w: it has no elements"), move || {
            builder().tensor("w", "F32", [0, 5], &[]).build()
        }),
        file("names that would break lines", Sound, move || {
            builder().tensor("a\n\u{1b}[31mb\u{202e}", "I8", [1], &[1]).build()
        }),
    ]
}

/// Tensors that look like those of a quantized layer and do not fit each other.
fn quantized() -> Vec<Hostile> {
    type Tensor = (&'static str, &'static str, &'static [u64]);
    let width = |dtype| if dtype == "F16" { 2 } else { 4 };
    let layer = move |what: &str, tensors: &'static [Tensor]| {
        file(what, Warned("fc.qweight"), move || {
            let add = |file: SafetensorsBuilder, &(name, dtype, shape): &Tensor| {
                let len = shape.iter().product::<u64>() * width(dtype);
                file.tensor(name, dtype, shape, &vec![0; len as usize])
            };
            tensors.iter().fold(SafetensorsBuilder::new(), add).build()
        })
    };
    vec![
        layer("codes without scales", &[("fc.qweight", "I32", &[4, 8]), ("fc.qzeros", "I32", &[1, 1])]),
        layer(
            "scales for other columns",
            &[("fc.qweight", "I32", &[4, 8]), ("fc.qzeros", "I32", &[1, 1]), ("fc.scales", "F16", &[1, 7])],
        ),
        layer(
            "more groups than rows",
            &[
                ("fc.qweight", "I32", &[1, 8]),
                ("fc.qzeros", "I32", &[900, 1]),
                ("fc.scales", "F16", &[900, 8]),
            ],
        ),
        layer(
            "no rows",
            &[("fc.qweight", "I32", &[0, 8]), ("fc.qzeros", "I32", &[1, 1]), ("fc.scales", "F16", &[1, 8])],
        ),
    ]
}

fn indexes() -> Vec<Hostile> {
    let index = |what: &str, outcome, json: &str| {
        let json = json.to_owned();
        Hostile::new(INDEX, what, outcome, move || json.clone().into_bytes())
            .beside(SHARD, SafetensorsBuilder::new().tensor("w", "I8", [1], &[1]).build())
    };
    let map = |what, outcome, map: &str| index(what, outcome, &format!(r#"{{"weight_map":{map}}}"#));
    vec![
        index("an index that is no JSON", Refused("the index does not tell"), "{nonsense}"),
        index("an index without a map", Refused("missing field `weight_map`"), "{}"),
        index("an index nested deeply", Refused("the index does not tell"), &"{\"a\":".repeat(200_000)),
        map("a map that is a list", Refused("the index does not tell"), "[]"),
        map("a shard that is a number", Refused("the index does not tell"), r#"{"w":1}"#),
        map(
            "a shard above the folder",
            Refused("not inside the model's folder"),
            r#"{"w":"../w.safetensors"}"#,
        ),
        map("a shard anywhere", Refused("not inside the model's folder"), r#"{"w":"/etc/passwd"}"#),
        map("a shard that is the index", Refused("the header is"), &format!(r#"{{"w":"{INDEX}"}}"#)),
        map("a shard that is missing", Refused("no such file"), r#"{"w":"gone.safetensors"}"#),
        map(
            "one of two shards is missing",
            Warned("is not there"),
            &format!(r#"{{"v":"gone.safetensors","w":"{SHARD}"}}"#),
        ),
        map(
            "a tensor that its shard lacks",
            Warned("v: the index says"),
            &format!(r#"{{"v":"{SHARD}","w":"{SHARD}"}}"#),
        ),
        map(
            "a tensor twice in the index",
            Refused("\"w\" comes twice"),
            &format!(r#"{{"w":"{SHARD}","w":"b"}}"#),
        ),
        map(
            "a tensor in two shards",
            Refused("two shards have a tensor of this name"),
            &format!(r#"{{"v":"other","w":"{SHARD}"}}"#),
        )
        .beside("other", SafetensorsBuilder::new().tensor("w", "I8", [1], &[1]).build()),
    ]
}

/// A header of many entries.
fn entries(size: usize, entry: impl Fn(usize) -> String) -> Vec<u8> {
    let mut header = numbered(size, |number| {
        format!("{}{}", if number == 0 { '{' } else { ',' }, entry(number)).into_bytes()
    });
    header.push(b'}');
    header
}

fn costly() -> Vec<Hostile> {
    let bomb = |what, make| bombs(FILE, what, make);
    let index = |what, make| bombs(INDEX, what, make);
    let mut files: Vec<Hostile> = Vec::new();
    files.extend(bomb("tiny tensors", |size| {
        // A third of the time is that of writing; an entry takes about 64 bytes.
        let count = size / 64;
        let header = entries(size, |at| {
            let begin = at.min(count);
            entry(
                &format!("{at:x}"),
                "U8",
                if at < count { "[1]" } else { "[0]" },
                &format!("[{begin},{}]", (at + 1).min(count)),
            )
        });
        raw(header, &vec![1; count])
    }));
    files.extend(bomb("tensors in modules of their own", |size| {
        raw(entries(size, |at| entry(&format!("{at:x}.weight"), "U8", "[0]", "[0,0]")), &[])
    }));
    files.push(file("as many tensors as are let through", Outcome::Sound, || {
        let entries: Vec<String> = (0..MOST_TENSORS)
            .map(|at| entry(&name_of(at), "F32", "[2]", &format!("[{},{}]", at * 8, at * 8 + 8)))
            .collect();
        raw(format!("{{{}}}", entries.join(",")), &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40].repeat(MOST_TENSORS))
    }));
    files.extend(bomb("a long name behind short ones", |size| {
        let mut header: Vec<u8> = b"{".to_vec();
        for at in 0..1000 {
            header.extend(format!("{},", entry(&format!("s{at}"), "U8", "[0]", "[0,0]")).into_bytes());
        }
        header.extend(entry(&"n".repeat(size), "U8", "[0]", "[0,0]").into_bytes());
        header.push(b'}');
        raw(header, &[])
    }));
    files.extend(bomb("a name that makes every line long", |size| {
        let long = entry(&"n".repeat(900), "U8", "[0]", "[0,0]");
        let header = entries(size, |at| {
            if at == 0 { long.clone() } else { entry(&format!("{at:x}"), "U8", "[0]", "[0,0]") }
        });
        raw(header, &[])
    }));
    files.extend(bomb("a long name that is wrong", |size| {
        raw(format!("{{{}}}", entry(&"n".repeat(size), "F32", "[9]", "[0,0]")), &[])
    }));
    files.extend(bomb("a long dtype", |size| {
        raw(format!("{{{}}}", entry("w", &"n".repeat(size), "[0]", "[0,0]")), &[])
    }));
    files.extend(bomb("dimensions", |size| {
        raw(format!("{{{}}}", entry("w", "U8", &format!("[1{}]", ",1".repeat(size / 2)), "[0,0]")), &[])
    }));
    files.extend(bomb("entries of the metadata", |size| {
        let metadata = entries(size, |at| format!("\"{at:x}\":\"\""));
        raw([&b"{\"__metadata__\":"[..], &metadata, b"}"].concat(), &[])
    }));
    files.extend(bomb("a long text in the metadata", |size| {
        raw(format!(r#"{{"__metadata__":{{"a":"{}"}}}}"#, "\\u0001".repeat(size / 6)), &[])
    }));
    files.extend(bomb("spaces", |size| raw(" ".repeat(size), &[])));
    files.extend(bomb("fields that nobody knows", |size| {
        raw(
            format!(
                r#"{{"w":{{"x":[{}0],"dtype":"U8","shape":[0],"data_offsets":[0,0]}}}}"#,
                "0,".repeat(size / 2)
            ),
            &[],
        )
    }));
    files.extend(bomb("dtypes that nobody knows", |size| {
        raw(entries(size, |at| entry(&format!("{at:x}"), "?", "[0]", "[0,0]")), &[])
    }));
    files.extend(bomb("codes without scales", |size| {
        raw(entries(size, |at| entry(&format!("{at:x}.qweight"), "I32", "[0,8]", "[0,0]")), &[])
    }));
    files.extend(
        index("an index of tensors that no shard has", |size| {
            let map = entries(size, |at| format!(r#""{at:x}":"{SHARD}""#));
            [&b"{\"weight_map\":"[..], &map, b"}"].concat()
        })
        .map(|it| it.beside(SHARD, SafetensorsBuilder::new().tensor("w", "I8", [1], &[1]).build())),
    );
    files.extend(index("an index of shards that are not there", |size| {
        let map = entries(size, |at| format!(r#""{at:x}":"{at:x}""#));
        [&b"{\"weight_map\":"[..], &map, b"}"].concat()
    }));
    files.extend(index("metadata of an index", |size| {
        let metadata = entries(size, |at| format!("\"{at:x}\":0"));
        [&b"{\"weight_map\":{},\"metadata\":"[..], &metadata, b"}"].concat()
    }));
    files.extend(index("a list in the metadata of an index", |size| {
        format!(r#"{{"weight_map":{{}},"metadata":{{"a":[{}0]}}}}"#, "0,".repeat(size / 2)).into_bytes()
    }));
    files
}
