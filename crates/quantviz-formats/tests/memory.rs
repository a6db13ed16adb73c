//! Small hostile files take little memory: in a process of its own, because that is what is measured.
#![cfg(all(feature = "onnx", target_os = "linux"))]

mod common;
#[path = "samples/hostile.rs"]
mod hostile;

use common::{Folder, scan};

#[test]
fn four_megabytes_take_no_more_than_a_few_hundred() {
    let folder = Folder::in_memory();
    for (what, bytes) in hostile::FILES {
        let path = folder.put("model.onnx", bytes(4 << 20));
        if let Ok(source) = quantviz_formats::open(path) {
            scan(&source);
        }
        let peak = peak_megabytes();
        assert!(peak < 300, "{peak} MB after reading a file of {what}");
    }
}

/// The most memory that this process ever had.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes / 1024
}
