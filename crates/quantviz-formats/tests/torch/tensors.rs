//! Calls that rebuild tensors: what their arguments mean, and what is said of arguments that mean nothing.

use quantviz_core::{DType, ErrorKind, Granularity, Operand, Role, WarningKind};
use quantviz_testkit::pickle::{Pickle, legacy};

use crate::common::assert_error;
use crate::{BYTES, FLOATS, open, read, refusal, small};

/// A dictionary with the value of a call under the key `w`.
fn call(function: &str, args: impl FnOnce(Pickle) -> Pickle) -> Pickle {
    let before = Pickle::new().op(b"}").text("w").global("torch._utils", function).op(b"(");
    args(before).op(b"tRs")
}

fn view(offset: i64, sizes: &[i64], strides: &[i64]) -> Pickle {
    Pickle::new().op(b"}").text("w").tensor(FLOATS, offset, sizes, strides).op(b"s")
}

#[test]
fn every_function_that_rebuilds_one() {
    let plain = |pickle: Pickle| pickle.storage("FloatStorage", "0", 16).int(1).ints(&[2]).ints(&[1]);
    let inner = |pickle: Pickle| pickle.tensor(FLOATS, 1, &[2], &[1]);
    let cases = [
        call("_rebuild_tensor", plain),
        call("_rebuild_tensor_v2", |it| plain(it).op(b"\x89N")),
        call("_rebuild_tensor_v3", |it| {
            it.storage("UntypedStorage", "0", 64)
                .int(1)
                .ints(&[2])
                .ints(&[1])
                .op(b"\x89N")
                .global("torch", "float32")
        }),
        call("_rebuild_parameter", |it| inner(it).op(b"\x88N")),
        call("_rebuild_parameter_with_state", |it| inner(it).op(b"\x88N}")),
        call("_rebuild_device_tensor_from_cpu_tensor", |it| {
            inner(it).global("torch", "float32").text("xla").op(b"\x88")
        }),
        Pickle::new()
            .op(b"}")
            .text("w")
            .global("torch._tensor", "_rebuild_from_type_v2")
            .op(b"(")
            .global("torch._utils", "_rebuild_parameter")
            .global("m", "C")
            .op(b"(")
            .tensor(FLOATS, 1, &[2], &[1])
            .op(b"\x88Nt}tRs"),
    ];
    for pickle in cases {
        let opened = read(&pickle);
        assert_eq!(opened.values("w"), [1.0, 2.0]);
        assert_eq!((opened.parameter("w").dtype, opened.model().warnings.len()), (DType::F32, 0));
    }
}

#[test]
fn views_beyond_their_storage() {
    let cases = [
        view(0, &[17], &[1]),
        view(16, &[1], &[1]),
        view(1, &[2, 8], &[8, 1]),
        view(0, &[2], &[16]),
        view(i64::MAX, &[2], &[1]),
        view(0, &[2, 2], &[i64::MAX, i64::MAX]),
        view(0, &[1 << 40, 1], &[1, 1]),
    ];
    for pickle in cases {
        let error = refusal(&pickle);
        assert_eq!((error.kind(), error.tensor()), (ErrorKind::Malformed, Some("w")), "{error}");
        assert!(error.message().contains("beyond its storage of 64 bytes"), "{error}");
    }
    // Nothing is nowhere.
    assert_eq!(read(&view(1000, &[0, 5], &[9, 9])).values("w"), Vec::<f64>::new());
}

#[test]
fn shapes_that_are_none() {
    let cases = [
        (view(-1, &[1], &[1]), "negative"),
        (view(0, &[-1], &[1]), "negative"),
        (view(0, &[2], &[-1]), "negative"),
        (view(0, &[2], &[1, 1]), "2 strides for 1 dimensions"),
        (view(0, &[1 << 40, 1 << 40], &[0, 0]), "2^64"),
        (call("_rebuild_tensor_v2", |it| it.storage("FloatStorage", "0", 16)), "too few"),
        (call("_rebuild_tensor_v2", |it| it.op(b"NNNN")), "no list of numbers"),
        (call("_rebuild_parameter", |it| it), "too few"),
    ];
    for (pickle, expected) in cases {
        let error = refusal(&pickle);
        assert_eq!((error.kind(), error.tensor()), (ErrorKind::Malformed, Some("w")), "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
    let error = refusal(&view(0, &[1; 65], &[1; 65]));
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[test]
fn storages_that_are_not_what_is_said() {
    let of = |class: &str, key: &str, count: i64| {
        Pickle::new().op(b"}").text("w").tensor((class, key, count), 0, &[2], &[1]).op(b"s")
    };
    let error = refusal(&of("FloatStorage", "0", 17));
    assert!(error.message().contains("has 64 bytes, not 68"), "{error}");
    for (pickle, kind) in [
        (of("FloatStorage", "9", 16), WarningKind::Missing),
        (of("FloatStorage", "../../../etc/passwd", 16), WarningKind::Missing),
        (of("FloatStorage", "a\u{1b}[31m\n", 16), WarningKind::Missing),
        (of("OtherStorage", "0", 16), WarningKind::Unsupported),
        (of("FloatStorage", "0", -1), WarningKind::Unsupported),
        (
            call("_rebuild_tensor_v2", |it| it.op(b"N").int(0).ints(&[2]).ints(&[1]).op(b"\x89N")),
            WarningKind::Unsupported,
        ),
        (
            call("_rebuild_tensor_v2", |it| it.op(b"P0\n").int(0).ints(&[2]).ints(&[1]).op(b"\x89N")),
            WarningKind::Unsupported,
        ),
    ] {
        let opened = read(&pickle);
        let [warning] = &opened.model().warnings[..] else { panic!("{:?}", opened.model().warnings) };
        assert_eq!((warning.kind, warning.parameter.as_deref()), (kind, Some("w")), "{warning:?}");
        opened.unreadable("w");
    }
}

#[test]
fn quantized_per_tensor() {
    let pickle = call("_rebuild_qtensor", |it| {
        let it = it.storage("QUInt8Storage", "2", 64).int(0).ints(&[2, 2]).ints(&[2, 1]);
        it.op(b"(").global("torch", "per_tensor_affine").op(b"G\x3f\xe0\0\0\0\0\0\0K\x01t\x89N")
    });
    let opened = read(&pickle);
    let quantization = opened.quantization("w");
    assert_eq!((quantization.bits, quantization.granularity.clone()), (8, Granularity::Tensor));
    assert_eq!(quantization.scale, Operand::One { value: 0.5, parameter: None });
    assert_eq!(opened.values("w"), [0.0, 1.0, 2.0, 3.0]);
}

/// A quantized tensor of 2×3, with these scales and zero-points along an axis.
fn per_channel(scales: &[f64], axis: i64, sizes: &[i64]) -> Pickle {
    let numbers = |it: Pickle, values: &[f64]| {
        let list = values.iter().fold(it.op(b"]("), |it, value| it.op(b"G").op(value.to_be_bytes()));
        list.op(b"e")
    };
    call("_rebuild_qtensor", |it| {
        let it = it.storage("QInt8Storage", "2", 64).int(0).ints(sizes).ints(&vec![1; sizes.len()]);
        let it = numbers(it.op(b"(").global("torch", "per_channel_affine"), scales);
        numbers(it, &vec![0.0; scales.len()]).int(axis).op(b"t\x89N")
    })
}

#[test]
fn quantized_per_channel() {
    let opened = read(&per_channel(&[0.5, 0.25], 0, &[2, 3]));
    assert_eq!(opened.quantization("w").granularity, Granularity::Axis(0));
    assert_eq!(opened.values("w_scale"), [0.5, 0.25]);
    assert_eq!(
        (opened.parameter("w_scale").role, opened.parameter("w_zero_point").role),
        (Role::Scale, Role::ZeroPoint)
    );
    for (pickle, expected) in [
        (per_channel(&[0.5], 0, &[2, 3]), "2 channels"),
        (per_channel(&[0.5, 0.5], 2, &[2, 3]), "no axis 2"),
        (per_channel(&[0.5, 0.5], -1, &[2, 3]), "negative"),
    ] {
        let error = refusal(&pickle);
        assert_eq!((error.kind(), error.tensor().is_some()), (ErrorKind::Malformed, true), "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn packed_codes_are_bounded_by_bits() {
    let of = |sizes: &[i64]| {
        call("_rebuild_qtensor", |it| {
            let it = it.storage("QUInt4x2Storage", "2", 64).int(0).ints(sizes).ints(&[1]);
            it.op(b"(").global("torch", "per_tensor_affine").op(b"G\x3f\xe0\0\0\0\0\0\0K\x01t\x89N")
        })
    };
    let opened = read(&of(&[128]));
    assert_eq!(
        (opened.parameter("w").dtype, opened.values("w")[..6].to_vec()),
        (DType::U4, vec![0.0, 0.0, 1.0, 0.0, 2.0, 0.0])
    );
    assert!(refusal(&of(&[129])).message().contains("beyond"));
}

/// A dictionary of `a.b`, and one inside it where `b` in `a` is this.
fn read_the_same(other: (&str, &str, i64), offset: i64) -> Pickle {
    let outer = Pickle::new().op(b"}(").text("a.b").tensor(FLOATS, 0, &[2], &[1]);
    outer.text("a").op(b"}").text("b").tensor(other, offset, &[2], &[1]).op(b"su")
}

#[test]
fn two_tensors_whose_names_read_the_same_are_refused() {
    for pickle in [read_the_same(BYTES, 0), read_the_same(FLOATS, 2)] {
        let error = refusal(&pickle);
        assert_error(&error, ErrorKind::Malformed, Some("a.b"), None, "two tensors have this name");
    }
}

#[test]
fn one_tensor_that_two_paths_lead_to_is_shown_once() {
    let opened = read(&read_the_same(FLOATS, 0));
    assert_eq!((opened.model().parameters.len(), &opened.model().warnings[..]), (1, &[][..]));
    assert_eq!(opened.values("a.b"), [0.0, 1.0]);
    // Also where a third name came before both.
    let first = Pickle::new().op(b"}(").text("x").tensor(FLOATS, 0, &[2], &[1]);
    let rest = read_the_same(FLOATS, 0).build();
    let opened = read(&first.op(&rest[4..rest.len() - 1]));
    let names: Vec<&str> = opened.model().parameters.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["x", "a.b"]);
    assert_eq!(opened.parameter("a.b").shares, Some(opened.id("x")));
}

/// A tensor whose storage is in the pickle, as these bytes.
fn pickled(bytes: &[u8]) -> Pickle {
    let function = Pickle::new().op(b"}").text("w").global("torch._utils", "_rebuild_tensor_v2");
    let storage = function.op(b"(").global("torch.storage", "_load_from_bytes");
    let storage = storage.op(b"(B").op((bytes.len() as u32).to_le_bytes()).op(bytes).op(b"tR");
    storage.int(0).ints(&[2]).ints(&[1]).op(b"\x89").global("collections", "OrderedDict").op(b")RtRs")
}

/// What torch saves of a storage of two floats.
fn saved_storage() -> Vec<u8> {
    let object = Pickle::new().storage("FloatStorage", "7", 2);
    let keys = Pickle::new().op(b"]").text("7").op(b"a");
    let table = [&2u64.to_le_bytes()[..], &1.5f32.to_le_bytes(), &(-2f32).to_le_bytes()].concat();
    [legacy(&object.build(), &keys.build()), table].concat()
}

#[test]
fn storages_that_pythons_own_pickle_wrote() {
    let opened = open("model.pkl", pickled(&saved_storage()).build());
    assert_eq!((opened.values("w"), &opened.model().warnings[..]), (vec![1.5, -2.0], &[][..]));
    assert_eq!(opened.parameter("w").dtype, DType::F32);
}

#[test]
fn storages_in_a_pickle_that_are_damaged() {
    let saved = saved_storage();
    let cut = &saved[..saved.len() - 4];
    let magicless = Pickle::new().op(b"N").build();
    for (bytes, kind, expected) in [
        (cut, WarningKind::Malformed, "which are not there"),
        (&saved[..20], WarningKind::Malformed, "the pickle ends early"),
        (&magicless[..], WarningKind::Unsupported, "in a form that is not known here"),
        (&legacy(&magicless, &Pickle::new().op(b"]").build()), WarningKind::Malformed, "are none"),
    ] {
        let opened = open("model.pkl", pickled(bytes).build());
        let [warning] = &opened.warnings("w")[..] else { panic!("one warning") };
        assert!(warning.kind == kind && warning.message.contains(expected), "{warning:?}");
        assert!(opened.unreadable("w").message().contains(expected));
    }
}

#[test]
fn tied_tensors_share_and_different_views_do_not() {
    let tensor = |it: Pickle, name: &str, offset, sizes: &[i64], strides: &[i64]| {
        it.text(name).tensor(FLOATS, offset, sizes, strides)
    };
    let mut pickle = Pickle::new().op(b"}(");
    pickle = tensor(pickle, "first", 0, &[2, 3], &[3, 1]);
    pickle = tensor(pickle, "same", 0, &[2, 3], &[3, 1]);
    pickle = tensor(pickle, "moved", 1, &[2, 3], &[3, 1]);
    pickle = tensor(pickle, "shaped", 0, &[3, 2], &[2, 1]);
    pickle = tensor(pickle, "turned", 0, &[2, 3], &[1, 2]);
    pickle = tensor(pickle, "none", 0, &[0], &[1]);
    pickle = tensor(pickle, "none_again", 0, &[0], &[1]);
    let opened = read(&pickle.op(b"u"));
    let shares: Vec<bool> = opened.model().parameters.iter().map(|it| it.shares.is_some()).collect();
    assert_eq!(shares, [false, true, false, false, false, false, false]);
}

#[test]
fn values_that_go_in_circles() {
    // A list in itself, a dictionary in itself, and an object whose attribute is itself.
    let list = small().text("x").op(b"]q\x01h\x01as");
    let dictionary = small().text("x").op(b"}q\x01").text("y").op(b"h\x01ss");
    let object = small().text("x").op(b"cm\nC\n)\x81q\x01}").text("me").op(b"h\x01sbs");
    let parameter = small()
        .text("x")
        .op(b"]q\x010")
        .global("torch._utils", "_rebuild_parameter")
        .op(b"h\x01\x88N\x87Rq\x020h\x01h\x02a0h\x02s");
    for pickle in [list, dictionary, object, parameter] {
        assert_eq!(read(&pickle).model().parameters.len(), 1);
    }
}
