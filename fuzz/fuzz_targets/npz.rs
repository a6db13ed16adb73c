//! An archive of numpy's arrays of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quantviz_fuzz::check_recordings("recorded.npz", bytes));
