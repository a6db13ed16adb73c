//! Small hostile pickles take little memory: in a process of its own, because that is what is measured.
#![cfg(all(feature = "torch", target_os = "linux"))]

mod common;

use common::{Folder, scan};
use quantviz_testkit::pickle::{Archive, Entry, Pickle};

/// Opcodes that cost a byte or a few to write and much more to keep, and what has to be there before the first.
const REPEATED: &[(&str, &[u8], &[u8])] = &[
    ("nothing", b"", b"N"),
    ("marks", b"", b"("),
    ("tuples in tuples", b"N", b"\x85"),
    ("lists", b"", b"]"),
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
    ("storages", b"", b"NQ"),
];

#[test]
fn four_megabytes_take_no_more_than_a_few_hundred() {
    let folder = Folder::in_memory();
    for (what, before, opcodes) in REPEATED {
        let pickle = Pickle::new().op(before).op(opcodes.repeat((4 << 20) / opcodes.len()));
        let entry = Entry::deflated("m/data.pkl", &pickle.build());
        for archive in [Archive::new().entry("m/data.pkl", &pickle.build()), Archive::new().with(entry)] {
            if let Ok(source) = quantviz_formats::open(folder.put("model.pt", archive.build())) {
                scan(&source);
            }
            let peak = peak_megabytes();
            assert!(peak < 300, "{peak} MB after reading a pickle of {what}");
        }
    }
}

/// The most memory that this process ever had.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes / 1024
}
