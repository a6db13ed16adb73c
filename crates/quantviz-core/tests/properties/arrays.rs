//! Named arrays in bytes: what was put in comes out, views are aligned, beginnings can be read, and lies cannot hurt.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use quantviz_core::{ArrayElement, ArrayWriter, Arrays, Track, WrittenArrays, bf16};

/// An array: its type among seven, whether it is worth keeping, its elements.
fn array() -> impl Strategy<Value = (usize, bool, Vec<u8>)> {
    (0..7usize, any::<bool>(), vec(any::<u8>(), 0..20))
}

fn track(is_light: bool) -> Track {
    if is_light { Track::Light } else { Track::Heavy }
}

fn write(arrays: &[(usize, bool, Vec<u8>)], note: &str) -> WrittenArrays {
    let mut writer = ArrayWriter::default();
    for (at, (kind, is_light, values)) in arrays.iter().enumerate() {
        let (name, shape, track) = (format!("a{at}"), [values.len()], track(*is_light));
        match kind {
            0 => writer.push::<u64>(track, name, &shape, &of(values, u64::from)),
            1 => writer.push::<f32>(track, name, &shape, &of(values, f32::from)),
            2 => writer.push::<u32>(track, name, &shape, &of(values, u32::from)),
            3 => writer.push::<bf16>(track, name, &shape, &of(values, |it| bf16::from_f32(it.into()))),
            4 => writer.push::<u16>(track, name, &shape, &of(values, u16::from)),
            5 => writer.push::<i16>(track, name, &shape, &of(values, i16::from)),
            _ => writer.push::<u8>(track, name, &shape, values),
        }
    }
    writer.finish(&note).expect("writable")
}

fn of<T>(values: &[u8], convert: impl Fn(u8) -> T) -> Vec<T> {
    values.iter().map(|&it| convert(it)).collect()
}

fn is_view<T: ArrayElement>(arrays: &Arrays, name: &str) -> bool {
    matches!(arrays.get::<T>(name), Some(Cow::Borrowed(_)))
}

const WIDTHS: [usize; 7] = [8, 4, 4, 2, 2, 2, 1];

proptest! {
    #[test]
    fn what_was_put_in_comes_out(arrays in vec(array(), 0..12), note in ".{0,40}") {
        let written = write(&arrays, &note);
        prop_assert_eq!(written.header_len % 8, 0);
        let data: usize = arrays.iter().map(|(kind, _, values)| WIDTHS[*kind] * values.len()).sum();
        prop_assert_eq!(written.bytes.len() as u64, written.header_len + data as u64);
        let read = Arrays::parse(written.bytes.clone()).expect("readable");
        prop_assert_eq!(read.metadata::<String>().expect("there"), note);
        prop_assert_eq!(read.names().count(), arrays.len());
        for (at, (kind, _, values)) in arrays.iter().enumerate() {
            let name = format!("a{at}");
            let slot = read.slot(&name).expect("there");
            prop_assert_eq!(slot.bytes.start % WIDTHS[*kind], 0);
            prop_assert_eq!(&slot.shape, &[values.len()]);
            let numbers: Vec<f32> = of(values, f32::from);
            if *kind == 0 {
                let found = read.get::<u64>(&name).expect("there");
                prop_assert_eq!(found.to_vec(), of(values, u64::from));
                prop_assert_eq!(read.number(&name, 0), None);
                continue;
            }
            prop_assert_eq!(read.numbers(&name), Some(numbers.clone()));
            for (at, number) in numbers.iter().enumerate() {
                prop_assert_eq!(read.number(&name, at), Some(*number));
            }
            prop_assert_eq!(read.number(&name, values.len()), None);
            prop_assert_eq!(read.number(&name, usize::MAX), None);
            // An `Arc<[u8]>` begins at a multiple of eight: two counters are before its bytes.
            let is_view = match kind {
                1 => is_view::<f32>(&read, &name),
                2 => is_view::<u32>(&read, &name),
                3 => is_view::<bf16>(&read, &name),
                4 => is_view::<u16>(&read, &name),
                5 => is_view::<i16>(&read, &name),
                _ => is_view::<u8>(&read, &name),
            };
            prop_assert!(is_view);
        }
    }

    /// A summary has all that is worth keeping; any beginning has what is in it whole.
    #[test]
    fn beginnings_can_be_read(arrays in vec(array(), 0..12), cut in any::<prop::sample::Index>()) {
        let written = write(&arrays, "");
        let summary = usize::try_from(written.summary_len).expect("short");
        let header = usize::try_from(written.header_len).expect("short");
        prop_assert!(header <= summary && summary <= written.bytes.len());
        let whole = Arrays::parse(written.bytes.clone()).expect("readable");
        let light = Arrays::parse(&written.bytes[..summary]).expect("readable");
        for (at, (_, is_light, _)) in arrays.iter().enumerate() {
            let name = format!("a{at}");
            if *is_light {
                prop_assert_eq!(light.numbers(&name), whole.numbers(&name));
            }
        }
        let len = cut.index(written.bytes.len() + 1);
        let beginning = Arrays::parse(&written.bytes[..len]);
        prop_assert_eq!(beginning.is_ok(), len >= header);
        for name in beginning.iter().flat_map(|it| it.names()) {
            let is_in = whole.slot(name).expect("there").bytes.end <= len;
            let found = beginning.as_ref().expect("readable").numbers(name);
            prop_assert_eq!(found, whole.numbers(name).filter(|_| is_in));
        }
    }

    #[test]
    fn garbage_is_an_error(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(arrays) = Arrays::parse(bytes) {
            drop(arrays.metadata::<String>());
        }
    }
}

fn with_header(header: &str) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&[0; 16]);
    bytes
}

#[test]
fn headers_that_lie() {
    let max = u64::MAX;
    let contradictions = [
        r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}}"#.to_owned(),
        r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}"#.to_owned(),
        format!(r#"{{"a":{{"dtype":"F32","shape":[{max},{max}],"data_offsets":[0,16]}}}}"#),
        format!(r#"{{"a":{{"dtype":"U8","shape":[{max}],"data_offsets":[0,{max}]}}}}"#),
        format!(r#"{{"a":{{"dtype":"U8","shape":[16],"data_offsets":[{},{max}]}}}}"#, max - 16),
        format!(r#"{{"a":{{"dtype":"F4","shape":[16],"data_offsets":[{max},{max}]}}}}"#),
        r#"{"a":{"dtype":"F4","shape":[16],"data_offsets":[9,8]}}"#.to_owned(),
    ];
    for header in contradictions {
        let error = Arrays::parse(with_header(&header)).expect_err(&header).to_string();
        assert!(error.contains("contradict") && !error.contains('\n'), "{header}: {error}");
    }
    for header in ["", "[]", "{", "not JSON", r#"{"a":1}"#, r#"{"a":{"dtype":"F32"}}"#] {
        let error = Arrays::parse(with_header(header)).expect_err(header).to_string();
        assert!(error.contains("no JSON") && !error.contains('\n'), "{header}: {error}");
    }
    for len in [1, 24, max - 8, max] {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{");
        let parsed = Arrays::parse(bytes);
        assert!(parsed.is_err(), "{len}");
    }
    // Larger than what is there is like a summary: it is not there.
    let far =
        format!(r#"{{"a":{{"dtype":"F32","shape":[{0}],"data_offsets":[0,{1}]}}}}"#, 1u64 << 40, 1u64 << 42);
    let arrays = Arrays::parse(with_header(&far)).expect("a beginning");
    assert_eq!((arrays.numbers("a"), arrays.number("a", 1 << 39)), (None, None));
    // A type of later versions is simply not read.
    let later = r#"{"a":{"dtype":"F4","shape":[16],"data_offsets":[0,8]}}"#;
    let arrays = Arrays::parse(with_header(later)).expect("readable");
    assert_eq!((arrays.numbers("a"), arrays.number("a", 0)), (None, None));
    let error = arrays.metadata::<String>().expect_err("nobody wrote any").to_string();
    assert!(error.contains("quantviz has not written it"), "{error}");
}
