//! Tensors in files beside the model that are not there, too short, or somewhere else.

use std::fs::{File, OpenOptions};

use quantviz_core::ErrorKind::{Limit, Malformed, NotFound, Unsupported};
use quantviz_core::{ErrorKind, Warning, WarningKind};
use quantviz_testkit::OnnxBuilder;
use quantviz_testkit::onnx::{Graph, Node, Storage, data_type};

use crate::common::{Folder, Opened, assert_error, cut_short, scan};

/// A model in a folder of its own, with four bytes `w` in another file.
fn model(storage: Storage) -> Vec<u8> {
    let graph = Graph::new("g")
        .initializer("fine", data_type::INT8, [2], Storage::Raw(vec![3, 4]))
        .initializer("w", data_type::INT8, [4], storage);
    OnnxBuilder::new(graph).build()
}

/// The model, opened beside a file `weights.bin` of ten bytes; `w` has the one warning there is.
fn opened(storage: Storage) -> Opened {
    let folder = Folder::new();
    folder.put("weights.bin", b"0123456789");
    opened_in(folder, storage)
}

fn opened_in(folder: Folder, storage: Storage) -> Opened {
    folder.put("inner/model.onnx", []);
    folder.put("model.onnx", model(storage));
    let source = folder.open("model.onnx");
    Opened { folder, source }
}

/// Both the warning and the error, when the tensor is read after all.
#[track_caller]
fn assert_unreadable(opened: &Opened, kind: ErrorKind, warning: WarningKind, message: &str) {
    assert_eq!(opened.model().warnings, [Warning::about("w", warning, message)]);
    assert_error(&opened.unreadable("w"), kind, Some("w"), None, message);
    assert_eq!(opened.values("fine"), [3.0, 4.0]);
    scan(&opened.source);
}

fn pairs(pairs: &[(&str, &str)]) -> Storage {
    Storage::External(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

#[test]
fn the_file_is_missing() {
    let opened = opened(Storage::external("missing.bin", Some(0), Some(4)));
    let path = opened.folder.path().join("missing.bin");
    let message = format!("{}: no such file or folder", path.display());
    assert_unreadable(&opened, NotFound, WarningKind::Missing, &message);
}

#[test]
fn the_file_is_elsewhere() {
    let folder = Folder::new();
    let absolute = folder.put("weights.bin", b"0123456789").to_string_lossy().into_owned();
    for location in
        ["../weights.bin", "a/../../weights.bin", "/etc/passwd", &absolute, "..", ".", "", "a\\b", "a\0b"]
    {
        folder.put("inner/model.onnx", model(Storage::external(location, None, None)));
        let source = folder.open("inner/model.onnx");
        let opened = Opened { folder: Folder::new(), source };
        let message = format!("the data file {location:?} is not inside the model's folder");
        assert_unreadable(&opened, Malformed, WarningKind::Malformed, &message);
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_a_link_out_of_the_folder() {
    let elsewhere = Folder::new();
    let target = elsewhere.put("weights.bin", b"0123456789");
    let folder = Folder::new();
    let link = folder.path().join("weights.bin");
    std::os::unix::fs::symlink(target, &link).expect("the temporary folder can have links");
    let opened = opened_in(folder, Storage::external("weights.bin", None, Some(4)));
    let reason = "this is a link out of the model's folder; put the file itself there";
    let message = format!("{}: {reason}", link.display());
    assert_unreadable(&opened, Malformed, WarningKind::Malformed, &message);
}

#[cfg(unix)]
#[test]
fn a_link_within_the_folder_is_fine() {
    let folder = Folder::new();
    folder.put("parts/weights.bin", b"0123456789");
    let link = folder.path().join("weights.bin");
    std::os::unix::fs::symlink("parts/weights.bin", link).expect("the temporary folder can have links");
    let opened = opened_in(folder, Storage::external("weights.bin", Some(1), Some(4)));
    assert_eq!((opened.values("w"), opened.model().warnings.len()), (vec![49.0, 50.0, 51.0, 52.0], 0));
}

#[test]
fn the_file_is_a_folder() {
    let opened = opened(Storage::external("inner", None, None));
    let path = opened.folder.path().join("inner");
    let message = format!("{}: this is a folder, not a model file", path.display());
    assert_unreadable(&opened, Unsupported, WarningKind::Unsupported, &message);
}

#[test]
fn the_data_are_beyond_the_end() {
    for (offset, length, reason) in [
        (7, Some(4), &*cut_short("its 4 bytes at 7 are beyond the end, byte 10")),
        (7, None, &cut_short("its 4 bytes at 7 are beyond the end, byte 10")),
        (11, None, &cut_short("its 4 bytes at 11 are beyond the end, byte 10")),
        (u64::MAX, Some(4), "its 4 bytes at 18446744073709551615 are beyond the end, byte 10"),
    ] {
        let opened = opened(Storage::external("weights.bin", Some(offset), length));
        let message = format!("{}: {reason}", opened.folder.path().join("weights.bin").display());
        assert_unreadable(&opened, Malformed, WarningKind::Malformed, &message);
    }
}

#[test]
fn the_length_is_another() {
    for length in [3, 5, 0, u64::MAX] {
        let opened = opened(Storage::external("weights.bin", Some(0), Some(length)));
        let message = format!("it takes 4 bytes, its external data has {length}");
        assert_unreadable(&opened, Malformed, WarningKind::Malformed, &message);
    }
}

#[test]
fn numbers_that_are_none() {
    for text in ["four", "-1", "1.0", "0x4", "", "99999999999999999999"] {
        for key in ["offset", "length"] {
            let opened = opened(pairs(&[("location", "weights.bin"), (key, text)]));
            let message = format!("its {key} is {text:?}");
            assert_unreadable(&opened, Malformed, WarningKind::Malformed, &message);
        }
    }
}

#[test]
fn no_location() {
    let opened = opened(pairs(&[("offset", "0"), ("length", "4")]));
    let message = "it has external data without a location";
    assert_unreadable(&opened, Malformed, WarningKind::Malformed, message);
}

#[test]
fn keys_that_are_not_known_are_passed_over() {
    let opened = opened(pairs(&[("location", "weights.bin"), ("checksum", "?"), ("offset", " 2 ")]));
    assert_eq!((opened.values("w"), opened.model().warnings.len()), (vec![50.0, 51.0, 52.0, 53.0], 0));
}

#[test]
fn names_with_control_characters_stay_on_one_line() {
    let opened = opened(Storage::external("a\nb\u{1b}[31m.bin", None, None));
    let [warning] = &opened.model().warnings[..] else { panic!("one warning") };
    assert!(warning.message.ends_with("a\\nb\\u{1b}[31m.bin: no such file or folder"), "{warning:?}");
    assert_eq!(opened.unreadable("w").kind(), NotFound);
}

#[test]
fn spellings_of_one_name_are_one_file() {
    let folder = Folder::new();
    folder.put("weights.bin", b"0123456789");
    let names = ["weights.bin", "./weights.bin", ".//weights.bin", "././weights.bin"];
    let graph = names.iter().fold(Graph::new("g"), |graph, name| {
        graph.initializer(name, data_type::INT8, [10], Storage::external(name, None, None))
    });
    let model = OnnxBuilder::new(graph).build();
    folder.put("model.onnx", &model);
    let source = folder.open("model.onnx");
    let opened = Opened { folder, source };
    assert_eq!(opened.model().file_bytes, model.len() as u64 + 10);
    let first = opened.id(names[0]);
    assert!(names[1..].iter().all(|name| opened.parameter(name).shares == Some(first)));
}

#[test]
fn data_in_the_model_file_itself() {
    let folder = Folder::new();
    let opened = opened_in(folder, Storage::external("model.onnx", Some(0), Some(4)));
    let model = model(Storage::external("model.onnx", Some(0), Some(4)));
    assert_eq!(
        opened.values("w"),
        model[..4].iter().map(|&byte| f64::from(byte.cast_signed())).collect::<Vec<_>>()
    );
    assert_eq!(opened.model().file_bytes, model.len() as u64);
}

#[test]
fn the_file_shrinks_after_it_was_opened() {
    let opened = opened(Storage::external("weights.bin", Some(6), Some(4)));
    let path = opened.folder.path().join("weights.bin");
    let shrunk = OpenOptions::new().write(true).open(&path).and_then(|it| it.set_len(8));
    shrunk.expect("the temporary folder is writable");
    let error = opened.unreadable("w");
    assert_error(&error, Malformed, Some("w"), Some(6), "the file ends here: it shrank while it was read");
    assert_eq!(error.file(), Some(&*path));
}

/// A model with a file for every tensor, as some exporters write it.
fn a_file_for_each(count: u8) -> Opened {
    let folder = Folder::new();
    let graph = (0..count).fold(Graph::new("g"), |graph, number| {
        let (tensor, file) = (format!("w{number}"), format!("parts/w{number}"));
        folder.put(&file, [number, 1]);
        graph.initializer(&tensor, data_type::UINT8, [2], Storage::external(&file, None, None))
    });
    folder.put("model.onnx", OnnxBuilder::new(graph).build());
    let source = folder.open("model.onnx");
    Opened { folder, source }
}

#[test]
fn each_of_many_files_is_read() {
    let opened = a_file_for_each(200);
    for number in [0, 63, 64, 65, 199] {
        assert_eq!(opened.values(&format!("w{number}")), [f64::from(number), 1.0]);
    }
    assert!(scan(&opened.source).iter().all(|measured| measured.error.is_none()));
}

#[test]
fn one_of_many_files_shrinks_or_vanishes_after_it_was_opened() {
    let opened = a_file_for_each(200);
    let path = |name: &str| opened.folder.path().join("parts").join(name);
    for name in ["w3", "w150"] {
        let shrunk = OpenOptions::new().write(true).open(path(name)).and_then(|it| it.set_len(1));
        shrunk.expect("the temporary folder is writable");
        let error = opened.unreadable(name);
        let message = "the file ends here: it shrank while it was read";
        assert_error(&error, Malformed, Some(name), Some(0), message);
        assert_eq!(error.file(), Some(&*path(name)));
    }
    opened.folder.remove("parts/w151");
    let error = opened.unreadable("w151");
    assert_error(&error, NotFound, Some("w151"), None, "no such file or folder");
    assert_eq!(error.file(), Some(&*path("w151")));
}

#[test]
fn a_graph_has_room_for_what_the_files_hold_that_it_names() {
    const TENSORS: u64 = 40_000;
    let graph = (0..TENSORS).fold(Graph::new("g"), |graph, number| {
        let name = format!("model.layers.{number}.self_attn.q_proj.weight");
        let storage = Storage::external("weights.bin", Some(number * 4), Some(4));
        let read = Node::new("Relu").inputs([&*name]).outputs([&*format!("y{number}")]).name(&name);
        graph.initializer(&name, data_type::FLOAT, [1], storage).node(read)
    });
    let folder = Folder::new();
    folder.put("model.onnx", OnnxBuilder::new(graph).build());
    let data = folder.put("weights.bin", []);
    let grow = |bytes| File::options().write(true).open(&data).and_then(|file| file.set_len(bytes));
    grow(TENSORS * 4).expect("the temporary folder is writable");
    assert_eq!(folder.refused("model.onnx").kind(), Limit);
    // As many bytes as such a model has; no disk has to hold them.
    grow(1 << 30).expect("the temporary folder is writable");
    let source = folder.open("model.onnx");
    assert_eq!((source.model().parameters.len() as u64, source.model().warnings.len()), (TENSORS, 0));
}
