//! An importance matrix of any bytes: GGUF, the form from before that, or safetensors, whichever they begin like.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quantviz_fuzz::check_importance(bytes));
