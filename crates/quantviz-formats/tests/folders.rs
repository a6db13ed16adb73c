//! Which files of a folder are models, and of which format a file is.
#![cfg(all(feature = "onnx", feature = "safetensors"))]

mod common;

use common::{Folder, assert_error, check_refusal};
use quantviz_core::ErrorKind::{Malformed, NotFound, Unsupported};
use quantviz_core::Format;
use quantviz_formats::{FORMATS, folder_of_models_in, format_of, models_among, models_in};
use quantviz_testkit::onnx::Graph;
use quantviz_testkit::{OnnxBuilder, SafetensorsBuilder};

fn onnx() -> Vec<u8> {
    OnnxBuilder::new(Graph::new("g")).build()
}

fn safetensors() -> Vec<u8> {
    SafetensorsBuilder::new().build()
}

/// The names of the models in a folder with these files.
fn found(files: &[(&str, &[u8])]) -> Vec<String> {
    let folder = Folder::new();
    for (name, bytes) in files {
        folder.put(name, bytes);
    }
    let models = models_in(folder.path()).expect("a readable folder");
    assert!(models.iter().all(|path| path.parent() == Some(folder.path())));
    models.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
}

#[test]
fn recordings_are_no_models() {
    let archive = b"PK\x03\x04????????";
    assert_eq!(found(&[("a.onnx", &onnx()), ("a.npz", archive), ("B.NPY", b"\x93NUMPY\x01\0")]), ["a.onnx"]);
}

#[test]
fn models_come_sorted_and_nothing_else() {
    let files = [
        ("b.onnx", &onnx()[..]),
        ("a.safetensors", &safetensors()),
        ("c.gguf", b"GGUF\x03\0\0\0"),
        ("README.md", b"# A model\n"),
        ("config.json", b"{\"model_type\": \"gpt2\"}"),
        ("weights.bin", &[0; 100]),
        (".gitattributes", b"*.onnx filter=lfs\n"),
    ];
    assert_eq!(found(&files), ["a.safetensors", "b.onnx", "c.gguf"]);
}

#[test]
fn contents_count_where_names_say_nothing() {
    let files =
        [("blob", &onnx()[..]), ("weights", &safetensors()), ("other", b"GGUF\x03"), ("text", b"hello")];
    assert_eq!(found(&files), ["blob", "other", "weights"]);
}

#[test]
fn names_count_where_contents_say_nothing() {
    // What is said of them when they are opened is better than silence.
    let files =
        [("empty.onnx", &b""[..]), ("damaged.safetensors", b"???"), ("LOUD.ONNX", b"???"), ("empty", b"")];
    assert_eq!(found(&files), ["LOUD.ONNX", "damaged.safetensors", "empty.onnx"]);
}

#[test]
fn shards_hide_behind_their_index() {
    let shard = &safetensors()[..];
    let files = [
        ("model.safetensors.index.json", &br#"{"weight_map":{}}"#[..]),
        ("model-00001-of-00002.safetensors", shard),
        ("model-00002-of-00002.safetensors", shard),
        ("model-best-of-three.safetensors", shard),
        ("model-00001-of-00002.onnx", &onnx()),
        ("model-head.safetensors", shard),
        ("other-00001-of-00001.safetensors", shard),
    ];
    let expected = [
        "model-00001-of-00002.onnx",
        "model-best-of-three.safetensors",
        "model-head.safetensors",
        "model.safetensors.index.json",
        "other-00001-of-00001.safetensors",
    ];
    assert_eq!(found(&files), expected);
}

#[test]
fn paths_that_are_named_together() {
    let folder = Folder::new();
    let shard = &safetensors()[..];
    for name in
        ["a/model-00001-of-00002.safetensors", "a/model-00002-of-00002.safetensors", "b.onnx", "c/d.onnx"]
    {
        folder.put(name, shard);
    }
    let among = |names: &[&str]| {
        let paths = names.iter().map(|name| folder.path().join(name));
        let models = models_among(paths).expect("readable");
        let inside = |path: &std::path::PathBuf| {
            path.strip_prefix(folder.path()).map(|it| it.to_string_lossy().into_owned())
        };
        models.iter().map(|path| inside(path).expect("they are in it")).collect::<Vec<_>>()
    };
    let (first, second) = ("a/model-00001-of-00002.safetensors", "a/model-00002-of-00002.safetensors");
    assert_eq!(among(&["c", "b.onnx", second, first, "b.onnx"]), [first, "b.onnx", "c/d.onnx"]);
    assert_eq!(among(&["a"]), [first]);
    // Whoever names a file wants to see it, or why not.
    assert_eq!(among(&[second, "gone.onnx", "c/notes.txt"]), [second, "c/notes.txt", "gone.onnx"]);
    assert!(models_among([folder.path().join("c"), "".into()]).is_ok_and(|models| models.len() == 2));
}

#[test]
fn a_folder_inside_that_has_models() {
    let folder = Folder::new();
    let inside = |name: &str| folder.path().join(name);
    folder.put("empty.txt", "");
    folder.put(".hidden/model.onnx", onnx());
    assert_eq!(folder_of_models_in(folder.path()), None);
    folder.put("b/c/model.onnx", onnx());
    folder.put("a/x/y/model.onnx", onnx());
    assert_eq!(folder_of_models_in(folder.path()), Some(inside("b/c")), "the nearest");
    folder.put("z/model.gguf", "");
    assert_eq!(folder_of_models_in(folder.path()), Some(inside("z")));
    assert_eq!(folder_of_models_in(inside("nowhere")), None);
    // Large folders are not searched to their end.
    (0..2000).for_each(|number| drop(folder.put(&format!("a/{number}.txt"), "")));
    assert_eq!(folder_of_models_in(folder.path()), None);
}

#[test]
fn folders_are_no_models() {
    assert_eq!(found(&[("inner/model.onnx", &onnx()[..]), ("folder.onnx/file", b"")]), [""; 0]);
    assert_eq!(found(&[]), [""; 0]);
}

#[cfg(unix)]
#[test]
fn links_count_where_they_lead_to_a_file() {
    let folder = Folder::new();
    folder.put("blobs/1234", onnx());
    for (target, link) in [("blobs/1234", "model.onnx"), ("nowhere", "broken.onnx"), ("blobs", "folder.onnx")]
    {
        std::os::unix::fs::symlink(target, folder.path().join(link))
            .expect("the temporary folder can have links");
    }
    assert_eq!(models_in(folder.path()).expect("readable"), [folder.path().join("model.onnx")]);
}

#[test]
fn a_folder_that_is_not_there() {
    let folder = Folder::new();
    let path = folder.path().join("missing");
    let error = models_in(&path).expect_err("no such folder");
    assert_error(&error, NotFound, None, None, "no such file or folder");
    assert_eq!(error.file(), Some(&*path));
}

/// The format of a file with this name and these bytes.
fn format(name: &str, bytes: &[u8]) -> Format {
    let folder = Folder::new();
    format_of(&folder.put(name, bytes)).expect("a known format").format
}

#[test]
fn formats_are_known_by_their_first_bytes_whatever_the_name() {
    for name in ["model", "model.onnx", "model.safetensors", "model.gguf", "model.pt", "model.txt"] {
        assert_eq!(format(name, b"GGUF\x03\0\0\0"), Format::Gguf, "{name}");
        assert_eq!(format(name, b"PK\x03\x04 and so on"), Format::Torch, "{name}");
        assert_eq!(format(name, b"\x80\x02}q\x00."), Format::Torch, "{name}");
        assert_eq!(format(name, b"\x80\x04\x95\x10"), Format::Torch, "{name}");
        assert_eq!(format(name, &safetensors()), Format::Safetensors, "{name}");
        assert_eq!(format(name, &onnx()), Format::Onnx, "{name}");
    }
    assert_eq!(format("model.safetensors.index.json", b"{}"), Format::Safetensors);
}

#[test]
fn every_exporter_of_onnx_begins_in_a_way_that_is_known() {
    for head in [
        &b"\x08\x07\x12\x07pytorch"[..],
        b"\x08\x0a\x3a\x00",
        b"\x08\x03\x1a\x01x",
        b"\x08\x09\x42\x04\x0a\x00\x10\x15",
        b"\x08\x08\x72\x00",
    ] {
        assert_eq!(format("model", head), Format::Onnx, "{head:?}");
    }
}

#[test]
fn formats_are_known_by_name_where_the_bytes_say_nothing() {
    for entry in FORMATS {
        for extension in entry.extensions {
            let upper = extension.to_ascii_uppercase();
            for name in [format!("a.b.{extension}"), format!("model.{upper}")] {
                assert_eq!(format(&name, b"????"), entry.format, "{name}");
                assert!(entry.has_extension_of(&name), "{name}");
            }
            assert!(!entry.has_extension_of(extension), "{extension}: a name without a dot");
        }
    }
}

#[test]
fn what_is_no_model_is_said_so() {
    let folder = Folder::new();
    let path = folder.put("notes.txt", "hello");
    let error = format_of(&path).expect_err("no model");
    check_refusal(&error, &path);
    assert_eq!(error.kind(), Unsupported);
    let titles: Vec<&str> = FORMATS.iter().map(|entry| entry.title).collect();
    assert_eq!(error.message(), format!("this is no model file; known are {}", titles.join(", ")));
    for name in ["empty", "empty.onnx", "empty.gguf"] {
        let error = format_of(&folder.put(name, [])).expect_err("nothing in it");
        assert_error(&error, Malformed, None, None, "the file is empty");
    }
}

#[test]
fn formats_without_a_reader_are_named() {
    let folder = Folder::new();
    for entry in FORMATS.iter().filter(|entry| entry.feature.is_none()) {
        let path = folder.put(&format!("model.{}", entry.extensions[0]), b"????");
        let error = quantviz_formats::open(&path).err().expect("no reader");
        assert_error(&error, Unsupported, None, None, &format!("{} files cannot be read yet", entry.title));
        assert_eq!(error.file(), Some(&*path));
    }
}

#[test]
fn a_row_for_every_format_of_files() {
    let formats: Vec<Format> = FORMATS.iter().map(|entry| entry.format).collect();
    for format in Format::ALL.iter().filter(|format| **format != Format::Memory) {
        assert_eq!(formats.iter().filter(|it| *it == format).count(), 1, "{format:?}");
    }
}
