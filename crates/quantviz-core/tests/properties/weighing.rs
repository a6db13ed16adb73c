//! Errors weighted by importance, against the definition, and what must not matter to it.

use std::ops::ControlFlow;

use ndarray::Array2;
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{
    Basis, Compare, Comparison, DType, Importance, MemorySource, ParameterSource, SourceExt,
};

use crate::comparing::{Scheme, numbers, reference};

fn compare(float: &MemorySource, codes: &MemorySource, squares: &[f32], threads: usize) -> Comparison {
    let mut importance = Importance::new();
    importance.add("w", squares.to_vec()).expect("mean squares");
    let compare = Compare::new().importance(importance).threads(threads);
    compare.run(float, codes, &|_| ControlFlow::Continue(())).expect("nobody calls it off")
}

/// 10·log10(Σ w·r² / Σ w·e²), one number after the other; inputs lie along columns.
fn expected(float: &Array2<f32>, codes: &MemorySource, squares: &[f32]) -> f64 {
    let id = codes.model().parameter_named("w").expect("it is there");
    let real = codes.real_array(id).expect("it can be read");
    let (mut signal, mut noise) = (0.0, 0.0);
    for ((row, column), &number) in float.indexed_iter() {
        let (r, q, w) = (f64::from(number), f64::from(real[[row, column]]), f64::from(squares[column]));
        signal += w * r * r;
        noise += w * (r - q) * (r - q);
    }
    10.0 * (signal / noise).log10()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn as_it_is_defined(
        rows in 1usize..12,
        blocks in 1usize..5,
        seed in any::<u64>(),
        dtype in select(vec![DType::I8, DType::U8]),
        kind in 0usize..3,
        squares in prop::collection::vec(0.0f32..4.0, 8..9),
    ) {
        let columns = blocks * 8;
        let group = [(rows, columns), (1, columns), (1, 8)][kind];
        let float = numbers(rows, columns, seed);
        let squares: Vec<f32> = (0..columns).map(|column| squares[column % 8] + column as f32 / 100.0 + 0.01).collect();
        let codes = Scheme { dtype, group, narrow: 1.0 }.source(MemorySource::new(), "w", float.view());
        let float_source = reference(&[("w", float.clone())]);
        let comparison = compare(&float_source, &codes, &squares, 2);
        prop_assume!(comparison.pairs.len() == 1);
        let fidelity = comparison.pairs[0].fidelity.as_ref().expect("it can be read");
        let found = fidelity.importance_sqnr_db.expect("there are errors");
        prop_assert!((found - expected(&float, &codes, &squares)).abs() < 1e-3, "{found}");
        let (basis, claim) = comparison.basis();
        prop_assert_eq!((basis, claim.counted, claim.of), (Basis::Importance, 1, 1));
        prop_assert!((claim.sqnr_db.expect("there are errors") - found).abs() < 1e-9);

        // Neither a factor of all nor the number of threads matters.
        let more: Vec<f32> = squares.iter().map(|square| square * 8.0).collect();
        let again = compare(&float_source, &codes, &more, 1);
        let again = again.pairs[0].fidelity.as_ref().expect("it can be read").importance_sqnr_db;
        prop_assert_eq!(again, Some(found));

        // Where all matter alike, it is the measure without importance.
        let alike = compare(&float_source, &codes, &vec![1.0; columns], 1);
        let alike = alike.pairs[0].fidelity.as_ref().expect("it can be read");
        let (one, other) = (alike.importance_sqnr_db.expect("there are errors"), alike.sqnr_db.expect("there are errors"));
        prop_assert!((one - other).abs() < 1e-9, "{one} {other}");
    }
}
