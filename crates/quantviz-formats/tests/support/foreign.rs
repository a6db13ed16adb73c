//! Files of formats that are told by sight and not read.

use quantviz_core::ErrorKind;

use crate::common::Folder;

const FILES: &[(&str, &[u8])] = &[
    ("model.tflite", b"\x1c\0\0\0TFL3\x14\0\0\0"),
    ("model.ort", b"\x20\0\0\0ORTM\0\0\0\0"),
    ("model.pte", b"\x38\0\0\0ET12\x34\0\0\0eh00"),
    ("model.engine", b"ftrt\0\0\0\0"),
    ("model.xml", b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">"),
    ("model.mlmodel", b"\x08\x05\x12\x1c\x0a\x0d\x0a\x05image"),
    ("model.h5", b"\x89HDF\r\n\x1a\n\0\0\0"),
    ("saved_model.pb", b"????"),
    ("model.pdmodel", b"????"),
    ("ggml-model.bin", b"lmgg\x82\xca\0\0"),
];

/// What is said of each.
pub(crate) fn refusals() -> Vec<(&'static str, String)> {
    let refusal = |&(name, bytes): &(&'static str, &[u8])| {
        let folder = Folder::new();
        folder.put(name, bytes);
        let error = folder.refused(name);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        (name, error.message().to_owned())
    };
    FILES.iter().map(refusal).collect()
}
