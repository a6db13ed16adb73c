//! An ONNX file of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quantviz_fuzz::check("model.onnx", bytes));
