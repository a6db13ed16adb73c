//! Containers: archives of all kinds, what came before them, and archives that are not what they say.

use quantviz_core::{DType, ErrorKind, ParameterSource, Role, WarningKind};
use quantviz_testkit::pickle::{Archive, Entry, Pickle, TorchBuilder, legacy};

use crate::{FLOATS, archive, open, refused, small};

fn two() -> TorchBuilder {
    TorchBuilder::new().tensor("a.weight", "FloatStorage", &[2], &[0; 8]).tensor(
        "a.bias",
        "ShortStorage",
        &[3],
        &[1; 6],
    )
}

#[test]
fn both_of_torchs_formats() {
    for file in [two().archive().build(), two().legacy()] {
        let opened = open("model.pt", file);
        assert_eq!(opened.values("a.weight"), [0.0, 0.0]);
        assert_eq!(opened.values("a.bias"), [257.0; 3]);
        assert_eq!(opened.model().layers.len(), 1);
    }
}

#[test]
fn any_name_and_any_folder() {
    let pickle = small().build();
    for prefix in ["", "a/", "with space/"] {
        let file = Archive::new()
            .entry(&format!("{prefix}data.pkl"), &pickle)
            .entry(&format!("{prefix}data/0"), &[0; 64]);
        for name in ["model.pt", "pytorch_model.bin", "noname"] {
            assert_eq!(open(name, file.build()).values("w"), [0.0, 0.0]);
        }
    }
}

#[test]
fn bytes_in_the_other_order() {
    let file = archive(&small()).entry("model/byteorder", b"big").build();
    assert_eq!(refused("model.pt", file).kind(), ErrorKind::Unsupported);
    assert_eq!(
        open("model.pt", archive(&small()).entry("model/byteorder", b"little").build()).values("w").len(),
        2
    );
    let system = Pickle::new().op(b"}").text("little_endian").op(b"\x89s").build();
    let file = two().legacy();
    let start =
        file.windows(system.len()).position(|window| window[..2] == *b"\x80\x02" && window[2] == b'}');
    let start = start.expect("what it says of the system");
    let file = [&file[..start], &system, &file[start + system.len()..]].concat();
    assert_eq!(refused("model.pt", file).kind(), ErrorKind::Unsupported);
}

#[test]
fn files_that_are_not_torchs() {
    let others = [
        Archive::new(),
        Archive::new().entry("notes.txt", b"hello"),
        Archive::new().entry("a/b/data.pkl", b"N."),
    ];
    for archive in others {
        let error = refused("model.pt", archive.build());
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("no data.pkl"), "{error}");
    }
    for (bytes, expected) in [
        (b"PK\x03\x04".to_vec(), "its end is missing"),
        ([&b"storages\0"[..], &[0; 600]].concat(), "tar archive"),
        ([&[b'a'; 257][..], b"ustar", &[0; 400]].concat(), "tar archive"),
        (b"hello".to_vec(), "neither an archive nor a pickle"),
        (b"\x80\x02N.".to_vec(), "without tensors"),
        (b"\x80\x02}X\x01\0\0\0aK\x01s.".to_vec(), "without tensors"),
    ] {
        let error = refused("model.pt", bytes);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn entries_that_are_not_what_is_said() {
    let pickle = Entry::new("m/data.pkl", &small().build());
    let data = Entry::new("m/data/0", &[0; 64]);
    let with = |pickle: &Entry, data: &Entry| Archive::new().with(pickle.clone()).with(data.clone());
    let cases = [
        (with(&pickle, &data).with(data.clone()), "two entries of the archive are named m/data/0"),
        (with(&pickle, &Entry { stored_len: 6400, ..data.clone() }), "which are not there"),
        (with(&pickle, &Entry { offset: Some(5), ..data.clone() }), "not where its directory says"),
        (
            with(&pickle, &Entry { offset: Some(u32::MAX - 5), ..data.clone() }),
            "not where its directory says",
        ),
        (with(&pickle, &Entry { offset: Some(0), ..data.clone() }), "overlap"),
        (
            with(
                &Entry { stored_len: pickle.stored_len + 60, len: pickle.len + 60, ..pickle.clone() },
                &data,
            ),
            "overlap",
        ),
        (with(&Entry { len: 7, ..pickle.clone() }, &data), "not compressed"),
    ];
    for (archive, expected) in cases {
        let error = refused("model.pt", archive.build());
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
    let one_tensor = [
        (Entry { method: 12, ..data.clone() }, WarningKind::Unsupported),
        (Entry { method: 8, ..data.clone() }, WarningKind::Malformed),
        (Entry { len: 65, ..Entry::deflated("m/data/0", &[0; 64]) }, WarningKind::Malformed),
        (Entry { len: u32::MAX - 1, ..Entry::deflated("m/data/0", &[0; 64]) }, WarningKind::Limit),
    ];
    for (data, kind) in one_tensor {
        let opened = open("model.pt", with(&pickle, &data).build());
        let [warning] = &opened.model().warnings[..] else { panic!("{:?}", opened.model().warnings) };
        assert_eq!(warning.kind, kind, "{warning:?}");
        opened.unreadable("w");
    }
}

#[test]
fn directories_that_are_not_what_is_said() {
    let valid = archive(&small()).build();
    let end = valid.len() - 22;
    let with = |at: usize, bytes: &[u8]| {
        let mut file = valid.clone();
        file[end + at..end + at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let cases = [
        (with(4, &[1]), "several parts"),
        (with(10, &[0xff, 0xff]), "not where its end says"),
        (with(12, &[0xff; 4]), "not where its end says"),
        (with(16, &[0xff; 4]), "not where its end says"),
        (with(16, &[0; 4]), "not where its end says"),
        (with(20, &[1]), "end is missing"),
        (with(10, &[6]), "damaged"),
    ];
    for (file, expected) in cases {
        let error = refused("model.pt", file);
        assert!(error.message().contains(expected), "{error}");
    }
    // A comment behind the end is nobody's business.
    let commented = [&with(20, &[3]), &b"abc"[..]].concat();
    assert_eq!(open("model.pt", commented).values("w").len(), 2);
}

#[test]
fn constants_of_scripts() {
    let constants = Pickle::new().op(b"(").tensor(FLOATS, 0, &[2], &[1]).op(b"t").build();
    let file =
        archive(&small()).entry("model/constants.pkl", &constants).entry("model/constants/0", &[0; 64]);
    let opened = open("model.pt", file.build());
    assert_eq!(opened.parameter("constants.0").role, Role::Constant);
    assert_eq!(opened.model().metadata["torch.container"], "torchscript");
}

#[test]
fn exported_models_old_and_new() {
    let inner = two().archive().build();
    let older = Archive::new()
        .entry("serialized_exported_program.json", b"{}")
        .entry("serialized_state_dict.pt", &inner);
    let opened = open("model.pt2", older.entry("serialized_constants.pt", &inner).build());
    assert_eq!(opened.values("a.bias"), [257.0; 3]);
    assert_eq!(opened.parameter("constants.a.bias").role, Role::Constant);
    assert_eq!(opened.model().metadata["torch.container"], "pt2");

    let config = r#"{"config":{
        "z.weight":{"path_name":"weight_0","is_param":true,"use_pickle":false,"tensor_meta":{"dtype":7,
            "sizes":[{"as_int":2},{"as_int":1}],"strides":[{"as_int":1},{"as_int":2}],"storage_offset":{"as_int":1}}},
        "a.sub":{"path_name":"weight_1","is_param":true,"use_pickle":true,"tensor_meta":null},
        "b":{"path_name":"gone","use_pickle":false,"tensor_meta":{"dtype":99,"sizes":[],"strides":[],"storage_offset":{"as_int":0}}},
        "c":{"path_name":"gone","use_pickle":false,"tensor_meta":{"dtype":7,"sizes":[],"strides":[],"storage_offset":{"as_int":0}}},
        "object":{"path_name":"o","use_pickle":false,"tensor_meta":null}}}"#;
    let newer = |config: &str| {
        let archive = Archive::new().entry("m/data/weights/model_weights_config.json", config.as_bytes());
        let archive = archive.entry("m/data/weights/weight_0", &[0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64]);
        archive.entry("m/data/weights/weight_1", &inner).build()
    };
    let opened = open("model.pt2", newer(config));
    let names: Vec<&str> = opened.model().parameters.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["z.weight", "a.sub.a.weight", "a.sub.a.bias", "b", "c"]);
    assert_eq!(opened.values("z.weight"), [1.0, 2.0]);
    assert_eq!(
        (opened.parameter("b").dtype, opened.warnings("c")[0].kind),
        (DType::Unknown, WarningKind::Missing)
    );

    for (from, to) in [
        (r#""as_int":2},{"#, r#""as_int":3},{"#),
        (r#""strides":[{"as_int":1},"#, r#""strides":["#),
        (r#"{"config""#, r#"{"other""#),
        (r#""storage_offset":{"as_int":1}"#, r#""storage_offset":{"as_int":-1}"#),
    ] {
        let error = refused("model.pt2", newer(&config.replacen(from, to, 1)));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
    let nested = Archive::new().entry("m/data/weights/a_weights_config.json", br#"{"config":{}}"#).build();
    let error = refused("model.pt2", Archive::new().entry("m/serialized_state_dict.pt", &nested).build());
    assert!(error.message().contains("an archive in the archive"), "{error}");
}

#[test]
fn storages_behind_a_pickle() {
    let object = two().pickle().build();
    let keys = |keys: &[&str]| {
        keys.iter().fold(Pickle::new().op(b"]("), |list, key| list.text(key)).op(b"e").build()
    };
    let whole = two().legacy();
    for len in [whole.len() - 1, whole.len() - 6, whole.len() - 14, whole.len() - 15] {
        let error = refused("model.pt", &whole[..len]);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
    let error =
        refused("model.pt", [legacy(&object, &keys(&["0"])), (-1i64).to_le_bytes().to_vec()].concat());
    assert!(error.message().contains("said to have -1 elements"), "{error}");
    let error =
        refused("model.pt", [legacy(&object, &keys(&["0"])), i64::MAX.to_le_bytes().to_vec()].concat());
    assert!(error.message().contains("which are not there"), "{error}");
    let error = refused("model.pt", legacy(&object, &keys(&["7"])));
    assert!(error.message().contains("no tensor says how long"), "{error}");
    let opened =
        open("model.pt", [legacy(&object, &keys(&["0"])), 2i64.to_le_bytes().to_vec(), vec![0; 8]].concat());
    assert_eq!(
        (opened.values("a.weight").len(), opened.warnings("a.bias")[0].kind),
        (2, WarningKind::Missing)
    );
    let opened = open("model.pt", legacy(&object, &Pickle::new().op(b"]").build()));
    assert_eq!(opened.source.model().warnings.len(), 2);
}
