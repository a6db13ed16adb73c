//! Segments say what the snapshots say that they are made of.

use proptest::collection::vec;
use proptest::prelude::*;
use quantviz_core::{
    ArrayWriter, Cell, ErrorKind, Rank, RecordId, Segment, Snapshot, SnapshotHeader, Track, bf16,
};

/// Which arrays a snapshot has, and how long they are.
#[derive(Clone, Debug)]
struct Shape {
    len: usize,
    has_ranks: bool,
    takes_turns: bool,
    is_narrow: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    (1..4usize, any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(len, has_ranks, takes_turns, is_narrow)| Shape { len, has_ranks, takes_turns, is_narrow })
}

fn snapshot(step: u16, shape: &Shape) -> Snapshot {
    let Shape { len, .. } = *shape;
    let mut arrays = ArrayWriter::default();
    let numbers = |count: usize| (0..count as u16).map(move |at| step * 10 + at);
    let floats = |count: usize| numbers(count).map(f32::from).collect::<Vec<f32>>();
    arrays.push(Track::Light, "w.std", &[3], &floats(3));
    arrays.push(Track::Light, "w.zeros", &[3], &numbers(3).map(u32::from).collect::<Vec<_>>());
    arrays.push(Track::Light, "w.u16", &[3], &numbers(3).collect::<Vec<_>>());
    arrays.push(Track::Light, "w.i16", &[3], &numbers(3).map(|it| -(it as i16)).collect::<Vec<_>>());
    arrays.push(Track::Light, "w.u8", &[3], &numbers(3).map(|it| it as u8).collect::<Vec<_>>());
    arrays.push(
        Track::Light,
        "w.rms",
        &[3],
        &floats(3).iter().map(|&it| bf16::from_f32(it)).collect::<Vec<_>>(),
    );
    arrays.push(Track::Light, "w.long", &[3], &[7u64; 3]);
    arrays.push(Track::Light, "grid", &[2, 2], &floats(4));
    arrays.push(Track::Light, "f.grows", &[len], &floats(len));
    if shape.has_ranks {
        arrays.push(Track::Light, "f.rank", &[2], &floats(2));
    }
    if shape.takes_turns {
        arrays.push(Track::Light, "g.of", &[1], &[u32::from(step % 3)]);
    }
    arrays.push(Track::Light, "g.std", &[1], &floats(1));
    match shape.is_narrow {
        true => arrays.push(Track::Light, "f.type", &[2], &numbers(2).map(|it| it as u8).collect::<Vec<_>>()),
        false => arrays.push(Track::Light, "f.type", &[2], &floats(2)),
    }
    arrays.push(Track::Heavy, "s.value", &[9], &[1u8; 9]);
    let written =
        SnapshotHeader::new("run", Rank::ONLY, step.into(), "plan").write(arrays).expect("writable");
    Snapshot::parse(&written.bytes[..written.summary_len as usize]).expect("readable")
}

fn cells() -> Vec<Cell> {
    let names = [
        "w.std", "w.zeros", "w.u16", "w.i16", "w.u8", "w.rms", "w.long", "grid", "f.grows", "f.rank", "g.of",
        "g.std", "f.type", "s.value", "nothing",
    ];
    names.into_iter().flat_map(|name| [0, 1, 2, 3, 4, u32::MAX].map(|at| Cell::new(name, at))).collect()
}

fn records(shapes: &[Shape]) -> Vec<(RecordId, Snapshot)> {
    let of = |(at, shape)| (RecordId { rank: 0, epoch: 1, seq: at as u64 * 2 }, snapshot(at as u16, shape));
    shapes.iter().enumerate().map(of).collect()
}

fn header_of(bytes: &[u8]) -> &[u8] {
    let len = u64::from_le_bytes(*bytes.first_chunk().expect("a header"));
    &bytes[..8 + usize::try_from(len).expect("short")]
}

proptest! {
    #[test]
    fn columns_are_those_of_the_snapshots(shapes in vec(shape(), 1..9), are_same in any::<bool>()) {
        let shapes = if are_same { vec![shapes[0].clone(); shapes.len()] } else { shapes };
        let snapshots = records(&shapes);
        let bytes = Segment::write(&snapshots).expect("writable");
        let segment = Segment::parse(header_of(&bytes)).expect("the header is enough");
        let ids: Vec<RecordId> = snapshots.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(segment.records(), ids);
        for cell in cells() {
            let expected: Vec<u32> = snapshots.iter().map(|(_, it)| cell.of(it).to_bits()).collect();
            let found = match segment.place(&cell) {
                Some(place) => {
                    let place = place.start as usize..place.end as usize;
                    segment.numbers(&cell, &bytes[place]).expect("as many")
                }
                None if segment.answers(&cell) => vec![f32::NAN; snapshots.len()],
                None => continue,
            };
            prop_assert_eq!(found.iter().map(|it| it.to_bits()).collect::<Vec<_>>(), expected, "{:?}", cell);
        }
        // What all have in one shape is never left to summaries.
        for name in ["w.std", "w.zeros", "w.u16", "w.i16", "w.u8", "w.rms", "w.long", "grid", "s.value", "nothing"] {
            prop_assert!(segment.answers(&Cell::new(name, 0)), "{name}");
        }
        prop_assert_eq!(segment.place(&Cell::new("w.std", 3)), None);
    }

    #[test]
    fn every_beginning_is_read_or_refused(len in 0..4000usize) {
        let snapshots = records(&vec![Shape { len: 2, has_ranks: true, takes_turns: false, is_narrow: true }; 5]);
        let bytes = Segment::write(&snapshots).expect("writable");
        let len = len.min(bytes.len());
        prop_assert_eq!(Segment::parse(&bytes[..len]).is_ok(), len >= header_of(&bytes).len());
    }
}

#[test]
fn what_is_no_segment() {
    assert!(Segment::write(&[]).is_err());
    let segment = |json: &str| {
        ArrayWriter::default().finish(&serde_json::from_str::<serde_json::Value>(json).expect("JSON"))
    };
    let parse = |json: &str| Segment::parse(segment(json).expect("writable").bytes);
    let newer = parse(r#"{"schema":2,"records":[]}"#).expect_err("newer");
    assert_eq!(newer.kind(), ErrorKind::Unsupported);
    let empty =
        parse(r#"{"schema":1,"records":[]}"#).expect("as it was written before anything was left out");
    assert!(empty.records().is_empty() && empty.place(&Cell::new("w.std", 0)).is_none());
    for odd in ["{}", r#"{"schema":1}"#, r#"{"schema":1,"records":7}"#, r#""text""#] {
        assert!(parse(odd).is_err(), "{odd}");
    }
    let bytes = Segment::write(&records(&vec![
        Shape {
            len: 1,
            has_ranks: false,
            takes_turns: false,
            is_narrow: false
        };
        3
    ]));
    let segment = Segment::parse(bytes.expect("writable")).expect("readable");
    for len in [0, 4, 11, 13, 16] {
        assert_eq!(segment.numbers(&Cell::new("w.std", 0), &vec![0; len]), None);
    }
}
