//! An index of the shards that lie beside it of any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quantviz_fuzz::check("model.safetensors.index.json", bytes));
