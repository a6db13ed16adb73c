//! Histograms are numpy's, and those of parts add up to that of the whole.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use quantviz_core::{Bins, Elements, Histogram};
use quantviz_testkit::strategies::numeric_tensors;

use crate::decoding::Aligned;
use crate::reference::{histogram, values};

fn counted(values: &[f64], low: f64, high: f64, bins: usize) -> Option<Histogram> {
    let mut bins = Bins::between(low, high, bins)?;
    bins.add(&Elements::F64(values));
    Some(bins.into_histogram())
}

/// Ranges of every size and place; some are only a few representable numbers wide.
fn ranges() -> impl Strategy<Value = (f64, f64)> {
    let low = prop_oneof![-100.0..100.0f64, Just(0.0), Just(-1.0), Just(1e6), any::<f64>()];
    let width = prop_oneof![1e-3..1e3f64, Just(1.0), Just(1e300), any::<f64>().prop_map(f64::abs)];
    let wide = (low.clone(), width).prop_map(|(low, width)| (low, low + width));
    let narrow =
        (low, 1..300u32).prop_map(|(low, steps)| (low, (0..steps).fold(low, |high, _| high.next_up())));
    // Among subnormals, edges themselves are rounded by whole bins: see `Bins` on what numpy does there.
    prop_oneof![3 => wide, 1 => narrow]
        .prop_filter("normal", |(low, high)| (high - low).is_finite() && high - low >= 1e-290)
}

/// Values at edges, next to edges, anywhere within, and without.
fn values_about(low: f64, high: f64, bins: usize) -> impl Strategy<Value = Vec<f64>> {
    let (edges, _) = histogram(&[], low, high, bins);
    let edge = prop::sample::select(edges);
    let value = prop_oneof![
        3 => (0.0..=1.0f64).prop_map(move |share| low + share * (high - low)),
        1 => edge.clone(),
        1 => edge.clone().prop_map(f64::next_up),
        1 => edge.prop_map(f64::next_down),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]),
    ];
    vec(value, 0..200)
}

fn cases() -> impl Strategy<Value = (f64, f64, usize, Vec<f64>)> {
    (ranges(), 1..80usize).prop_flat_map(|((low, high), bins)| {
        (Just(low), Just(high), Just(bins), values_about(low, high, bins))
    })
}

proptest! {
    #[test]
    fn bins_are_those_of_numpy((low, high, bins, values) in cases()) {
        let (edges, counts) = histogram(&values, low, high, bins);
        let strictly_rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
        let found = counted(&values, low, high, bins);
        prop_assert_eq!(found.is_some(), strictly_rising);
        let Some(found) = found else { return Ok(()) };
        prop_assert_eq!(found.edges(), edges);
        prop_assert_eq!(&found.counts, &counts);
        let within = values.iter().filter(|&&value| low <= value && value <= high).count() as u64;
        prop_assert_eq!(found.counts.iter().sum::<u64>(), within);
    }

    /// A row of equal values is counted by a guess as soon as that is certain, so every distance from an edge tells.
    #[test]
    fn f32s_are_binned_as_their_f64s(
        (low, high) in ranges(),
        bins in 1..300usize,
        places in vec((any::<Index>(), prop_oneof![-50..50i32, -5000..5000i32]), 1..30),
    ) {
        let Some(mut found) = Bins::between(low, high, bins) else { return Ok(()) };
        let (edges, _) = histogram(&[], low, high, bins);
        let near = |(edge, steps): &(Index, i32)| {
            let bits = (*edge.get(&edges) as f32).to_bits();
            f32::from_bits(bits.wrapping_add_signed(*steps))
        };
        let values: Vec<f32> = places.iter().flat_map(|place| [near(place); 32]).collect();
        found.add(&Elements::F32(&values));
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        prop_assert_eq!(found.into_histogram().counts, histogram(&values, low, high, bins).1);
    }

    #[test]
    fn parts_add_up_to_the_whole((low, high, bins, values) in cases(), cut in any::<Index>()) {
        let (left, right) = values.split_at(cut.index(values.len() + 1));
        let Some(whole) = counted(&values, low, high, bins) else { return Ok(()) };
        let mut sum = counted(left, low, high, bins).expect("the same range");
        prop_assert!(sum.merge(&counted(right, low, high, bins).expect("the same range")));
        prop_assert_eq!(sum, whole);
    }

    #[test]
    fn any_type_is_binned_by_its_values(tensor in numeric_tensors(), bins in 1..20usize) {
        let values = values(&tensor);
        let bytes = Aligned::new(&tensor.bytes);
        let elements = Elements::from_bytes(tensor.dtype, bytes.bytes(), 0, values.len()).expect("numeric");
        let Some(mut found) = Bins::between(-3.0, 5.0, bins) else { return Ok(()) };
        found.add(&elements);
        prop_assert_eq!(found.into_histogram().counts, histogram(&values, -3.0, 5.0, bins).1);
    }

    #[test]
    fn counted_values_are_values(values in vec((-2.0..2.0f64, 0..4u64), 0..50)) {
        let repeated: Vec<f64> =
            values.iter().flat_map(|&(value, times)| std::iter::repeat_n(value, times as usize)).collect();
        let mut found = Bins::between(-1.5, 1.5, 7).expect("a range with width");
        found.add_counted(values.iter().copied());
        prop_assert_eq!(found.into_histogram(), counted(&repeated, -1.5, 1.5, 7).expect("the same range"));
    }
}

/// Blocks may be short, and bins may be many.
#[test]
fn short_blocks_are_counted_quickly() {
    let values: Vec<f32> =
        (0..1_000_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 8) as f32).collect();
    let bins = || Bins::between(0.0, 16_777_216.0, 65_536).expect("a range with width");
    let (mut whole, mut by_block) = (bins(), bins());
    whole.add(&Elements::F32(&values));
    let started = std::time::Instant::now();
    values.chunks(16).for_each(|block| by_block.add(&Elements::F32(block)));
    let (whole, by_block) = (whole.into_histogram(), by_block.into_histogram());
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    assert_eq!(by_block, whole);
    assert_eq!(whole.counts.iter().sum::<u64>(), 1_000_000);
}
