//! Files that ask for more than they may.

use quantviz_core::ErrorKind;
use quantviz_formats::{Limits, open_with};
use quantviz_testkit::pickle::{Archive, Entry, Pickle};

use crate::common::{Folder, check_refusal};
use crate::{FLOATS, archive, refusal, small};

/// Why a file of this pickle cannot be read within these limits.
fn beyond(pickle: &Pickle, change: impl FnOnce(&mut Limits)) -> String {
    let folder = Folder::new();
    let path = folder.put("model.pt", archive(pickle).build());
    let mut limits = Limits::default();
    change(&mut limits);
    let Err(error) = open_with(&path, &limits) else { panic!("it was opened") };
    check_refusal(&error, &path);
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    error.message().to_owned()
}

#[test]
fn each_limit_is_kept() {
    assert!(beyond(&small(), |limits| limits.pickle_bytes = 100).contains("over the limit"));
    let long = small().text("x").text(&"x".repeat(5000)).op(b"s");
    assert!(beyond(&long, |limits| limits.pickle_bytes = 9000).contains("a pickle of more than"));
    assert!(beyond(&small(), |limits| limits.pickle_items = 20).contains("20 values"));
    assert!(beyond(&small(), |limits| limits.pickle_depth = 1).contains("more than 1 deep"));
    let name = "n".repeat(1000);
    let named = Pickle::new().op(b"}").text(&name).tensor(FLOATS, 0, &[1], &[1]).op(b"s");
    assert!(beyond(&named, |limits| limits.name_bytes = 0).contains("names"));
    assert!(beyond(&small(), |limits| limits.tensors = 0).contains("tensors"));
    assert!(beyond(&small(), |limits| limits.data_bytes = 7).contains("8 bytes"));
    let ranks = Pickle::new().op(b"}").text("w").tensor(FLOATS, 0, &[1, 1, 1], &[1, 1, 1]).op(b"s");
    assert!(beyond(&ranks, |limits| limits.rank = 2).contains("2 dimensions"));
}

#[test]
fn nesting() {
    let lists = |depth: usize| small().text("x").op(b"]".repeat(depth)).op(b"a".repeat(depth - 1)).op(b"s");
    crate::read(&lists(150));
    assert_eq!(refusal(&lists(300)).kind(), ErrorKind::Limit);
    assert_eq!(refusal(&lists(1_000_000)).kind(), ErrorKind::Limit);
    let tuples = small().text("x").op(b"N").op(b"\x85".repeat(1_000_000)).op(b"s");
    assert_eq!(refusal(&tuples).kind(), ErrorKind::Limit);
    let call = b"ctorch._utils\n_rebuild_parameter\n";
    let parameters = small().text("x").op(call.repeat(1000)).op(b"N").op(b"\x85R".repeat(1000)).op(b"s");
    assert_eq!(refusal(&parameters).kind(), ErrorKind::Limit);
    // Unfinished business is none of the walk's.
    assert_eq!(refusal(&small().op(b"(".repeat(5_000_000))).kind(), ErrorKind::Limit);
}

#[test]
fn laughs() {
    // Every level has the one before twice: 2^60 ways to the bottom, where there is nothing, or a tensor.
    let levels = |bottom: Pickle| {
        (1..60u8).fold(bottom.op(b"q\x00"), |pickle, level| {
            let again = [b'h', level - 1];
            pickle.op(b"0](").op(again).op(again).op([b'e', b'q', level])
        })
    };
    let nothing = levels(Pickle::new().op(b"]"));
    let file = small().text("x").op(&nothing.unfinished()[2..]).op(b"s");
    assert_eq!(crate::read(&file).model().parameters.len(), 1);
    let tensors = levels(Pickle::new().tensor(FLOATS, 0, &[2], &[1]));
    assert_eq!(refusal(&tensors).kind(), ErrorKind::Limit);
}

#[test]
fn one_list_looked_at_too_often() {
    // Ten thousand values beside a tensor, met a thousand times.
    let list = Pickle::new().op(b"](").op(b"N".repeat(10_000)).tensor(FLOATS, 0, &[1], &[1]).op(b"eq\x00");
    let lists = Pickle::new().op(b"](").op(&list.unfinished()[2..]).op(b"h\x00".repeat(1000)).op(b"e");
    assert_eq!(refusal(&lists).kind(), ErrorKind::Limit);
}

#[test]
fn long_paths() {
    let key = "k".repeat(60_000);
    let inner = Pickle::new().op(b"}").text(&key).op(b"q\x00}h\x00").tensor(FLOATS, 0, &[1], &[1]).op(b"ss");
    assert!(refusal(&inner).message().contains("a path of more than"));
    let names =
        (0..2000).fold(Pickle::new().op(b"}").text(&key).op(b"]("), |it, _| it.tensor(FLOATS, 0, &[1], &[1]));
    assert!(refusal(&names.op(b"es")).message().contains("names of more than"));
}

#[test]
fn views_of_next_to_nothing() {
    let expanded = Pickle::new().op(b"}").text("w").tensor(FLOATS, 0, &[1 << 20, 1 << 20], &[0, 0]).op(b"s");
    assert_eq!(refusal(&expanded).kind(), ErrorKind::Limit);
    let many = (0..100).fold(Pickle::new().op(b"]("), |it, _| it.tensor(FLOATS, 0, &[1 << 20], &[0]));
    assert_eq!(refusal(&many.op(b"e")).kind(), ErrorKind::Limit);
    let few = (0..10).fold(Pickle::new().op(b"]("), |it, _| it.tensor(FLOATS, 0, &[1 << 10], &[0]));
    assert_eq!(crate::read(&few.op(b"e")).model().parameters.len(), 10);
}

#[test]
fn archives_of_too_many_entries_or_too_much() {
    let folder = Folder::new();
    let refused = |archive: Archive, change: fn(&mut Limits)| {
        let path = folder.put("model.pt", archive.build());
        let mut limits = Limits::default();
        change(&mut limits);
        let Err(error) = open_with(&path, &limits) else { panic!("it was opened") };
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    };
    let many = (0..5000)
        .fold(archive(&small()), |archive, index| archive.entry(&format!("model/extra/{index}"), b""));
    refused(many, |limits| limits.tensors = 100);
    let deflated = Archive::new().with(Entry::deflated("m/data.pkl", &small().build()));
    refused(deflated, |limits| limits.inflated_bytes = 10);
}

#[test]
fn costs_that_many_small_things_add_up_to() {
    // Names, flags, keys and values that are long, once, and referred to again and again.
    let long = Pickle::new().op(b"](").text(&"k".repeat(50_000)).op(b"q\x00");
    let keys = (0..2000).fold(long.op(b"}("), |it, _| it.op(b"h\x00]")).op(b"u");
    let keys = keys.tensor(FLOATS, 0, &[1], &[1]).op(b"e");
    assert_eq!(refusal(&keys).kind(), ErrorKind::Limit, "keys are copied");
    let classes = Pickle::new().op(b"}").text("x").op(b"](").global(&"m".repeat(100_000), "C").op(b"q\x00");
    let classes =
        (0..100_000).fold(classes, |it, _| it.op(b"h\x00)R")).op(b"es").op(&small().unfinished()[3..]);
    assert_eq!(crate::read(&classes).model().parameters.len(), 1);
    let array = |bytes: usize, count: usize| {
        let dtype = Pickle::new().global("numpy", "dtype").op(b"\x8c\x02u1\x85R").op(b"q\x01");
        let values = Pickle::new().op(b"B").op((bytes as u32).to_le_bytes()).op(vec![7; bytes]).op(b"q\x02");
        let start =
            Pickle::new().op(&dtype.unfinished()[2..]).op(b"0").op(&values.unfinished()[2..]).op(b"0](");
        let each = Pickle::new()
            .global("numpy._core.numeric", "_frombuffer")
            .op(b"(h\x02h\x01")
            .ints(&[bytes as i64]);
        let each = each.op(b"\x8c\x01CtR");
        (0..count).fold(start, |it, _| it.op(&each.unfinished()[2..])).op(b"e")
    };
    assert_eq!(crate::read(&array(100_000, 3)).values("2").len(), 100_000);
    assert_eq!(refusal(&array(1_000_000, 100)).kind(), ErrorKind::Limit);
}
