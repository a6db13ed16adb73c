//! Factors that values of attention heads are made larger by, and that the matrix behind them takes back; or not.

use ndarray::{Array2, Axis};
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{Gain, MemorySource};

use crate::comparing::{INT8, Scheme, compare, numbers, reference};

/// Two value heads, each read by as many query heads as `sharing` says.
const VALUE_HEADS: usize = 2;
const WIDTH: usize = 48;

/// A factor for each output of the values, none like its neighbours.
fn factors(count: usize, seed: u64) -> Vec<f32> {
    numbers(1, count, seed).iter().map(|it| (it * 20.0).exp()).collect()
}

/// Whether all that was multiplied is taken back, where query heads divide by the factors of the value head that `head` says.
fn is_taken_back(dim: usize, sharing: usize, seed: u64, head: impl Fn(usize) -> usize) -> bool {
    let heads = VALUE_HEADS * sharing;
    let (values, output) = (numbers(VALUE_HEADS * dim, WIDTH, seed), numbers(WIDTH, heads * dim, seed + 1));
    let from = reference(&[("v_proj.weight", values.clone()), ("o_proj.weight", output.clone())]);
    let by = factors(VALUE_HEADS * dim, seed + 2);
    let (mut larger, mut smaller): (Array2<f32>, Array2<f32>) = (values, output);
    for (mut row, by) in larger.axis_iter_mut(Axis(0)).zip(&by) {
        row *= *by;
    }
    for (index, mut column) in smaller.axis_iter_mut(Axis(1)).enumerate() {
        column /= by[head(index / dim) * dim + index % dim];
    }
    // Rows and columns of their own, as fine as the methods that do this have it.
    let of_values = Scheme { group: (1, WIDTH), ..INT8 };
    let of_output = Scheme { group: (1, heads * dim), ..INT8 };
    let of = of_values.source(MemorySource::new(), "v_proj.weight", larger.view());
    let of = of_output.source(of, "o_proj.weight", smaller.view());
    let compared = compare(&from, &of);
    let is_multiplied = |gain: &Gain| matches!(gain, Gain::Input(_) | Gain::Output(_));
    assert_eq!(compared.pairs.len(), 2);
    assert!(compared.pairs.iter().all(|it| is_multiplied(&it.pair.alignment.gain)), "{:?}", compared.pairs);
    compared.pairs.iter().all(|it| it.is_taken_back)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn by_the_heads_that_share_them(
        dim in select(vec![16, 24, 32]),
        sharing in 1..5usize,
        seed in 1..1000u64,
    ) {
        prop_assert!(is_taken_back(dim, sharing, seed, |head| head / sharing));
        // The other way round, nothing is.
        prop_assert!(!is_taken_back(dim, sharing, seed, |head| VALUE_HEADS - 1 - head / sharing));
    }
}
