//! Views of storages: every stride, every range, against the definition.

use proptest::prelude::*;
use quantviz_core::{ParameterSource, Part, SourceExt};
use quantviz_testkit::check_source;
use quantviz_testkit::pickle::{Archive, Entry, Pickle};

use crate::{BYTES, FLOATS, SHORTS, open, read};

/// The places that a view names, coordinate by coordinate.
fn by_definition(offset: i64, sizes: &[i64], strides: &[i64]) -> Vec<f64> {
    let mut places = vec![offset];
    for (size, stride) in sizes.iter().zip(strides) {
        places = places.iter().flat_map(|place| (0..*size).map(move |at| place + at * stride)).collect();
    }
    places.iter().map(|&place| place as f64).collect()
}

prop_compose! {
    /// A view that lies within 16 elements.
    fn view()(
        dims in proptest::collection::vec((0i64..5, 0i64..6), 0..4),
        offset in 0i64..6,
    ) -> (i64, Vec<i64>, Vec<i64>) {
        let (mut sizes, mut strides): (Vec<i64>, Vec<i64>) = dims.into_iter().unzip();
        let last = |sizes: &[i64], strides: &[i64]| -> i64 {
            offset + sizes.iter().zip(strides).map(|(size, stride)| (size - 1).max(0) * stride).sum::<i64>()
        };
        while last(&sizes, &strides) >= 16 {
            sizes.pop();
            strides.pop();
        }
        (offset, sizes, strides)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 1000 }))]

    #[test]
    fn any_view_is_read_as_defined((offset, sizes, strides) in view()) {
        for storage in [FLOATS, SHORTS, BYTES] {
            let pickle = Pickle::new().op(b"}").text("w").tensor(storage, offset, &sizes, &strides).op(b"s");
            let opened = read(&pickle);
            let expected = by_definition(offset, &sizes, &strides);
            prop_assert_eq!(&opened.values("w"), &expected);
            check_source(&*opened.source);

            // The same from a storage that has to be inflated first.
            let bytes: Vec<u8> = match storage.0 {
                "FloatStorage" => (0..16u8).flat_map(|value| f32::from(value).to_le_bytes()).collect(),
                "ShortStorage" => (0..32i16).flat_map(i16::to_le_bytes).collect(),
                _ => (0..64).collect(),
            };
            let deflated = Archive::new()
                .with(Entry::deflated("m/data.pkl", &pickle.build()))
                .with(Entry::deflated(&format!("m/data/{}", storage.1), &bytes));
            let opened = open("model.pt", deflated.build());
            prop_assert_eq!(&opened.values("w"), &expected);
            check_source(&*opened.source);
        }
    }
}

#[test]
fn views_larger_than_a_block_and_with_wide_gaps() {
    const SIDE: i64 = 2100;
    let count = SIDE * SIDE;
    let bytes: Vec<u8> = (0..count).flat_map(|value| (value as i32).to_le_bytes()).collect();
    let storage = ("IntStorage", "0", count);
    let pickle = Pickle::new()
        .op(b"}(")
        .text("transposed")
        .tensor(storage, 0, &[SIDE, SIDE], &[1, SIDE])
        .text("corners")
        .tensor(storage, 0, &[2, 2], &[1, count - 2])
        .text("columns")
        .tensor(storage, 7, &[SIDE, 3], &[SIDE, 2])
        .op(b"u");
    let file = Archive::new().entry("m/data.pkl", &pickle.build()).entry("m/data/0", &bytes).build();
    let opened = open("model.pt", file);
    assert_eq!(opened.values("corners"), [0.0, (count - 2) as f64, 1.0, (count - 1) as f64]);
    assert_eq!(opened.values("columns")[3..6], [(SIDE + 7) as f64, (SIDE + 9) as f64, (SIDE + 11) as f64]);
    let transposed = opened.values("transposed");
    assert!((0..count).all(|at| transposed[at as usize] == (at % SIDE * SIDE + at / SIDE) as f64));
    let id = opened.id("transposed");
    let mut gathered = [0.0; 2];
    opened.source.gather(id, Part::Stored, &[1, (count - 1) as u64], &mut gathered).expect("readable");
    assert_eq!(gathered, [SIDE as f32, (count - 1) as f32]);
    assert_eq!(opened.source.summary(id).expect("readable").max(), Some((count - 1) as f64));
}
