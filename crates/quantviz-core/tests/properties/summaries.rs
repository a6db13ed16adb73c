//! Summaries say what two passes over all values say, however the values are cut and merged.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use quantviz_core::{Elements, RangeSummary};
use quantviz_testkit::strategies::numeric_tensors;

use crate::decoding::Aligned;
use crate::reference::{check_alike, check_summary, values};

fn merged<'a>(summaries: impl IntoIterator<Item = &'a RangeSummary>) -> RangeSummary {
    let mut sum = RangeSummary::default();
    summaries.into_iter().for_each(|summary| sum.merge(summary));
    sum
}

/// Values about a mean that dwarfs their spread, or not.
fn clouds() -> impl Strategy<Value = Vec<f64>> {
    let center = prop_oneof![Just(0.0), -1e9..1e9f64, Just(1e15), Just(1e-300)];
    let spread = prop_oneof![Just(0.0), 1e-9..1e3f64, Just(1e-305)];
    (center, spread, vec(-1.0..1.0f64, 1..300)).prop_map(|(center, spread, offsets)| {
        offsets.into_iter().map(|offset| center + offset * spread).collect()
    })
}

/// Values of any size, the largest that there are among them.
fn anything() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        6 => any::<f64>(),
        3 => -10.0..10.0f64,
        1 => prop::sample::select(vec![f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324]),
    ];
    vec(value, 0..200)
}

proptest! {
    #[test]
    fn any_type_is_summarised_as_two_passes_would(tensor in numeric_tensors()) {
        let bytes = Aligned::new(&tensor.bytes);
        let len = tensor.shape.elements() as usize;
        let elements = Elements::from_bytes(tensor.dtype, bytes.bytes(), 0, len).expect("numeric, aligned");
        prop_assert_eq!(check_summary(&RangeSummary::of_elements(&elements), &values(&tensor)), Ok(()));
    }

    #[test]
    fn a_large_mean_costs_no_digits_of_the_spread(values in clouds()) {
        prop_assert_eq!(check_summary(&RangeSummary::of(&values), &values), Ok(()));
    }

    #[test]
    fn no_size_overflows(values in anything()) {
        prop_assert_eq!(check_summary(&RangeSummary::of(&values), &values), Ok(()));
        let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let widened: Vec<f64> = narrow.iter().copied().map(f64::from).collect();
        prop_assert_eq!(check_summary(&RangeSummary::of(&narrow), &widened), Ok(()));
    }

    #[test]
    fn counted_values_are_values(counted in vec((-1e300..1e300f64, 0..5u64), 0..40)) {
        let repeated: Vec<f64> = counted
            .iter()
            .flat_map(|&(value, times)| std::iter::repeat_n(value, times as usize))
            .collect();
        let summary = RangeSummary::of_counted(counted.iter().copied());
        prop_assert_eq!(check_summary(&summary, &repeated), Ok(()));
    }

    #[test]
    fn a_cut_anywhere_changes_nothing(values in prop_oneof![clouds(), anything()], cut in any::<Index>()) {
        let (left, right) = values.split_at(cut.index(values.len() + 1));
        let (left, right) = (RangeSummary::of(left), RangeSummary::of(right));
        let whole = RangeSummary::of(&values);
        prop_assert_eq!(check_alike(&merged([&left, &right]), &whole, &values), Ok(()));
        prop_assert_eq!(check_alike(&merged([&right, &left]), &whole, &values), Ok(()));
    }

    #[test]
    fn merging_is_associative_and_has_no_order(
        values in prop_oneof![clouds(), anything()],
        pieces in 1..20usize,
        order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let size = values.len().div_ceil(pieces).max(1);
        let parts: Vec<RangeSummary> = values.chunks(size).map(RangeSummary::of).collect();
        let one_by_one = merged(&parts);
        prop_assert_eq!(check_summary(&one_by_one, &values), Ok(()));
        let shuffled = merged(order.iter().filter_map(|&index| parts.get(index)));
        prop_assert_eq!(check_alike(&shuffled, &one_by_one, &values), Ok(()));
        let by_pairs: Vec<RangeSummary> = parts.chunks(2).map(merged).collect();
        prop_assert_eq!(check_alike(&merged(&by_pairs), &one_by_one, &values), Ok(()));
        let from_the_right = parts.iter().rev().fold(RangeSummary::default(), |rest, part| merged([part, &rest]));
        prop_assert_eq!(check_alike(&from_the_right, &one_by_one, &values), Ok(()));
    }

    #[test]
    fn nothing_is_neutral(values in anything()) {
        let summary = RangeSummary::of(&values);
        let nothing = RangeSummary::default();
        prop_assert_eq!(format!("{:?}", merged([&nothing, &summary])), format!("{summary:?}"));
        prop_assert_eq!(format!("{:?}", merged([&summary, &nothing])), format!("{summary:?}"));
    }

    #[test]
    fn samples_speak_for_their_population(values in anything(), more in 0..1000u64, others in anything()) {
        let exact = RangeSummary::of(&values);
        let count = exact.count();
        let sample = exact.sampled_from(count + more);
        prop_assert_eq!((sample.count(), sample.population(), sample.is_sampled()), (count, count + more, more > 0));
        prop_assert_eq!((sample.min(), sample.max(), sample.mean()), (exact.min(), exact.max(), exact.mean()));
        prop_assert_eq!(exact.sampled_from(count / 2).population(), count);
        let sum = merged([&sample, &RangeSummary::of(&others)]);
        prop_assert_eq!(sum.population(), count + more + others.len() as u64);
        prop_assert_eq!(sum.is_sampled(), more > 0);
    }
}

/// Longer than what is summarised together, with and without values that need the careful way.
#[test]
fn many_values() {
    let smooth: Vec<f64> = (0..20_000).map(|index| f64::from(index * 7919 % 20_011) * 1e-3 + 1e6).collect();
    assert_eq!(check_summary(&RangeSummary::of(&smooth), &smooth), Ok(()));
    let mut rough = smooth.clone();
    (rough[17], rough[9000], rough[19_999]) = (f64::NAN, f64::INFINITY, f64::MAX);
    assert_eq!(check_summary(&RangeSummary::of(&rough), &rough), Ok(()));
    let narrow: Vec<f32> = smooth.iter().map(|&value| value as f32).collect();
    let widened: Vec<f64> = narrow.iter().copied().map(f64::from).collect();
    assert_eq!(check_summary(&RangeSummary::of(&narrow), &widened), Ok(()));
}

/// Means of values that add up to more than there is.
#[test]
fn the_largest_values() {
    for count in [1, 2, 3, 5, 7, 11, 100, 4096, 5000] {
        for values in [vec![f64::MAX; count], vec![f64::MIN; count], vec![f64::MAX / 2.0; count]] {
            assert_eq!(
                check_summary(&RangeSummary::of(&values), &values),
                Ok(()),
                "{count} of {}",
                values[0]
            );
            let halves = values.split_at(count / 2);
            let sum = merged([&RangeSummary::of(halves.0), &RangeSummary::of(halves.1)]);
            assert_eq!(check_summary(&sum, &values), Ok(()), "{count} of {} in halves", values[0]);
        }
        let both: Vec<f64> =
            (0..count).map(|index| if index % 2 == 0 { f64::MAX } else { f64::MIN }).collect();
        assert_eq!(check_summary(&RangeSummary::of(&both), &both), Ok(()), "{count} of both signs");
    }
}
