//! Opcodes: what each makes, and that none does anything.

use quantviz_core::{ErrorKind, ParameterSource};
use quantviz_testkit::pickle::Pickle;

use crate::{FLOATS, read, refusal, small};

/// What the metadata has of a dictionary with this value under the key `x`.
fn noted(value: &Pickle) -> Option<String> {
    let value = &value.unfinished()[2..];
    let file = small().text("x").op(value).op(b"s");
    read(&file).source.model().metadata.get("x").cloned()
}

#[test]
fn scalars() {
    let cases: &[(&[u8], &str)] = &[
        (b"K\xff", "255"),
        (b"M\x01\x02", "513"),
        (b"J\xfe\xff\xff\xff", "-2"),
        (b"I-7\n", "-7"),
        (b"I01\n", "true"),
        (b"L12345678901L\n", "12345678901"),
        (b"\x88", "true"),
        (b"\x89", "false"),
        (b"\x8a\x00", "0"),
        (b"\x8a\x01\xff", "-1"),
        (b"\x8a\x02\xff\x00", "255"),
        (b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80", "-9223372036854775808"),
        (b"\x8b\x02\x00\x00\x00\x00\x01", "256"),
        (b"G\x3f\xf8\x00\x00\x00\x00\x00\x00", "1.5"),
        (b"F-0.25\n", "-0.25"),
        (b"X\x02\x00\x00\x00\xc3\xa9", "é"),
        (b"\x8c\x01a", "a"),
        (b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00b", "b"),
        (b"Vc\\u00e9\\U0001f600\\\n", "cé😀\\"),
        (b"S'd\\x41'\n", "dA"),
    ];
    for (opcodes, expected) in cases {
        assert_eq!(noted(&Pickle::new().op(opcodes)).as_deref(), Some(*expected), "{opcodes:x?}");
    }
    let unnoted: &[&[u8]] = &[
        b"N",
        b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        b"C\x01a",
        b"B\x01\x00\x00\x00a",
        b"U\x01a",
        b"T\x01\x00\x00\x00a",
        b"\x8e\x01\x00\x00\x00\x00\x00\x00\x00a",
        b"\x96\x01\x00\x00\x00\x00\x00\x00\x00a",
    ];
    for opcodes in unnoted {
        assert_eq!(noted(&Pickle::new().op(opcodes)), None, "{opcodes:x?}");
    }
}

#[test]
fn collections() {
    let cases: &[&[u8]] = &[
        b"K\x01K\x02\x86",
        b"(K\x01K\x02t",
        b"(K\x01K\x02l",
        b"](K\x01K\x02e",
        b"]K\x01aK\x02a",
        b"\x8f(K\x01K\x02\x90",
        b"(K\x01K\x02\x91",
        b"K\x01K\x02K\x030\x86",
        b"K\x01K\x02((K\x031\x31\x86",
        b"K\x01K\x0220\x86",
        b"ctorch\nSize\nK\x01K\x02\x86\x85R",
    ];
    for opcodes in cases {
        assert_eq!(noted(&Pickle::new().op(opcodes)).as_deref(), Some("[1, 2]"), "{opcodes:x?}");
    }
}

#[test]
fn memo() {
    let cases: &[&[u8]] = &[
        b"K\x01q\x050K\x020h\x05\x85",
        b"K\x01r\x00\x00\x01\x000j\x00\x00\x01\x00\x85",
        b"K\x01p77\n0g77\n\x85",
        b"K\x01\x940h\x00\x85",
    ];
    for opcodes in cases {
        assert_eq!(noted(&Pickle::new().op(opcodes)).as_deref(), Some("[1]"), "{opcodes:x?}");
    }
    // What was remembered is the list itself, not what was in it then.
    assert_eq!(noted(&Pickle::new().op(b"]q\x00h\x00K\x01a0")).as_deref(), Some("[1]"));
}

#[test]
fn dictionaries_and_objects_have_tensors() {
    let tensor = Pickle::new().tensor(FLOATS, 0, &[2], &[1]);
    let tensor = &tensor.unfinished()[2..];
    let of = |before: &[u8], after: &[u8]| Pickle::new().op(before).op(tensor).op(after);
    let cases = [
        ("a", of(b"(\x8c\x01a", b"d")),
        ("a", of(b"}\x8c\x01a", b"s")),
        ("a", of(b"}(\x8c\x01a", b"u")),
        ("3", of(b"}K\x03", b"s")),
        ("0", of(b"}N", b"s")),
        ("0", of(b"](", b"e")),
        ("a", of(b"ccollections\nOrderedDict\n)R\x8c\x01a", b"s")),
        ("a", of(b"ccollections\nOrderedDict\n]]\x8c\x01aa", b"aa\x85R")),
        ("a", of(b"cm\nC\n)\x81}\x8c\x01a", b"sb")),
        ("a", of(b"cm\nC\n)}\x92}\x8c\x01a", b"sb")),
        ("a", of(b"(im\nC\n}\x8c\x01a", b"sb")),
        ("a", of(b"(cm\nC\no}\x8c\x01a", b"sb")),
        ("a", of(b"\x8c\x01m\x8c\x01C\x93)R}\x8c\x01a", b"sb")),
        ("a", of(b"cm\nC\n)\x81N}\x8c\x01a", b"s\x86b")),
        ("a.b", of(b"}\x8c\x01a}\x8c\x01b", b"ss")),
        ("a.1.1", of(b"}\x8c\x01a](NN", b"\x86es")),
        ("a", of(b"cm\nC\n)\x81}\x8c\x0b_parameters}\x8c\x01a", b"ssb")),
        ("tensor", of(b"", b"")),
        ("a", of(b"\x95\x00\x00\x00\x00\x00\x00\x00\xff}\x8c\x01a", b"s")),
    ];
    for (name, pickle) in cases {
        let opened = read(&pickle);
        let names: Vec<&str> = opened.model().parameters.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, [name], "{:x?}", pickle.build());
    }
}

#[test]
fn a_module_names_its_class_and_hides_its_dictionaries() {
    let layer = Pickle::new()
        .op(b"c__main__\nOuter\n)\x81}(")
        .text("training")
        .op(b"\x88")
        .text("_modules")
        .op(b"}")
        .text("inner")
        .op(b"ctorch.nn.modules.linear\nLinear\n)\x81}")
        .text("_parameters")
        .op(b"}")
        .text("weight")
        .tensor(FLOATS, 0, &[2, 2], &[2, 1])
        .op(b"ssbsub");
    let opened = read(&layer);
    let [layer] = &opened.model().layers[..] else { panic!("{:?}", opened.model().layers) };
    assert_eq!((layer.name.as_str(), layer.op.as_deref()), ("inner", Some("Linear")));
    assert_eq!(opened.model().parameters[0].name, "inner.weight");
    assert!(!opened.model().metadata.contains_key("training"));
}

#[test]
fn nothing_is_called() {
    // Everything that a pickle that wants to run code can do about it.
    let attacks: &[&[u8]] = &[
        b"cos\nsystem\n\x8c\x09touch foo\x85R",
        b"cbuiltins\neval\n\x8c\x011\x85R",
        b"(S'touch foo'\nios\nsystem\n",
        b"(cos\nsystem\n\x8c\x09touch fooo",
        b"cposix\nsystem\n\x8c\x04true\x85\x81",
        b"csubprocess\nPopen\n](\x8c\x02sh\x8c\x02-ce\x85R}\x8c\x05stdinNsb",
        b"c__builtin__\ngetattr\ncos\nsystem\n\x8c\x08__call__\x86R\x8c\x04true\x85R",
        b"crunpy\n_run_code\n\x8c\x04pass}\x86R",
    ];
    for attack in attacks {
        let names: Vec<_> = read(&small().text("x").op(attack).op(b"s")).model().parameters.clone();
        assert_eq!(names.len(), 1, "{attack:x?}");
    }
}

#[test]
fn what_torch_never_writes_is_named() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x82\x01", "0x82 (EXT1)"),
        (b"\x83\x01\x01", "0x83 (EXT2)"),
        (b"\x84\x01\x01\x01\x01", "0x84 (EXT4)"),
        (b"\x97", "0x97 (NEXT_BUFFER)"),
        (b"\x98", "0x98 (READONLY_BUFFER)"),
        (b"\x00", "0x00"),
        (b"\xff", "0xff"),
    ];
    for (opcodes, name) in cases {
        let pickle = small().op(opcodes);
        let error = refusal(&pickle);
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains(&format!("the opcode {name} is none")), "{error}");
        // The pickle is stored as it is, behind the header of the first entry.
        let start = 30 + "model/data.pkl".len();
        assert_eq!(error.offset(), Some((start + small().unfinished().len()) as u64), "{error}");
    }
}

#[test]
fn opcodes_that_ask_for_what_is_not_there() {
    let cases: &[(&[u8], &str)] = &[
        (b".", "a value is wanted"),
        (b"0", "a value is wanted"),
        (b"t", "a closing bracket"),
        (b"N(\x85", "a value is wanted"),
        (b"N(a", "a value is wanted"),
        (b"(NNNd", "a key without a value"),
        (b"}(NNNu", "a key without a value"),
        (b"NNa", "no list"),
        (b"NNNs", "no dictionary"),
        (b"}Na", "no list"),
        (b"]NNs", "no dictionary"),
        (b"h\x07", "nothing was remembered as 7"),
        (b"j\xff\xff\xff\xff", "nothing was remembered as 4294967295"),
        (b"gx\n", "no number"),
        (b"I\n", "no whole number"),
        (b"L99999999999999999999L\n", "no whole number"),
        (b"Fx\n", "no number"),
        (b"(o", "without a class"),
        (b"R", "a value is wanted"),
        (b"\x93", "a value is wanted"),
        (b"Nb", "a value is wanted"),
        (b"X\xff\xff\xff\xff", "ends early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "ends early"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "ends early"),
        (b"\x8b\xff\xff\xff\xff", "a length of -1"),
        (b"T\x00\x00\x00\x80", "a length of -2147483648"),
        (b"\x8b\xff\xff\xff\x7f", "ends early"),
        (b"cno line", "ends early"),
        (b"", "ends early"),
    ];
    for (opcodes, expected) in cases {
        let bytes = [b"\x80\x02", *opcodes].concat();
        let file = quantviz_testkit::pickle::Archive::new().entry("m/data.pkl", &bytes).build();
        let error = crate::refused("model.pt", file);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{opcodes:x?}: {error}");
        assert!(error.message().contains(expected), "{opcodes:x?}: {error}");
    }
}
