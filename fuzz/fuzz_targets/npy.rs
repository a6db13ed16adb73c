//! An array of numpy's of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quantviz_fuzz::check_recordings("relu.npy", bytes));
