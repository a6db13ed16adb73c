//! stub
fn main() { let _ = quantviz::SessionStore::at("x"); }
