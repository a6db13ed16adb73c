//! What a scale for each channel would gain, against the definition.

use std::ops::ControlFlow;

use ndarray::{Array2, Axis};
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{Compare, DType, Gain, MemorySource};

use crate::comparing::{Scheme, numbers, reference};

/// The energy of what symmetric rounding of eight bits leaves of numbers that go as far as `largest`.
fn left<'a>(numbers: impl Iterator<Item = &'a f32>, largest: f32) -> f64 {
    let scale = f64::from(largest) / 127.0;
    numbers
        .map(|&number| f64::from(number))
        .map(|it| (it - scale * (it / scale).round_ties_even()).powi(2))
        .sum()
}

fn largest<'a>(numbers: impl IntoIterator<Item = &'a f32>) -> f32 {
    numbers.into_iter().fold(0.0, |most, it| most.max(it.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_gain_is_that_of_the_definition(
        // Some have more numbers than are looked at together, and rows that end anywhere among these.
        (rows, columns) in select(vec![(4, 16), (12, 35), (40, 8), (1000, 29), (7, 3001), (130, 130)]),
        dtype in select(vec![DType::I8, DType::U8]),
        (seed, factor) in (1..1000u64, select(vec![1.0f32, 6.0])),
    ) {
        let mut numbers: Array2<f32> = numbers(rows, columns, seed);
        numbers.row_mut(rows / 2).mapv_inplace(|it| it * factor);
        numbers.column_mut(columns / 3).mapv_inplace(|it| it * factor);
        let scheme = Scheme { dtype, group: (rows, columns), narrow: 1.0 };
        let of = scheme.source(MemorySource::new(), "w_quantized", numbers.view());
        let from = reference(&[("w", numbers.clone())]);
        let compared = Compare::new().run(&from, &of, &|_| ControlFlow::Continue(()))?;
        prop_assert!(matches!(compared.pairs[0].pair.alignment.gain, Gain::None), "{:?}", compared.pairs[0].pair.alignment);
        let found = compared.pairs[0].fidelity.as_ref().expect("readable");
        let axis = Axis(found.channels.as_ref().expect("a matrix").axis);
        let by_tensor = left(numbers.iter(), largest(&numbers));
        let by_channel: f64 = numbers.axis_iter(axis).map(|it| left(it.iter(), largest(it))).sum();
        let expected = 10.0 * (by_tensor / by_channel).log10();
        let gain = found.outlier_gain_db.expect("one scale for all");
        prop_assert!((gain - expected).abs() < 1e-6, "{} and not {}", gain, expected);
    }
}
