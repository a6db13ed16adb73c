//! What codes cost that are no whole numbers, small floats and those with a table, against the definitions.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2};
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{
    Compare, DType, Encoding, Fidelity, Granularity, MemorySource, Operand, ParameterSource, QuantDescriptor,
    Shape, SourceExt,
};

use crate::comparing::{numbers, reference, roles};

/// Roughly what four bits are told to stand for.
const TABLE: [f32; 16] = [
    -1.0, -0.696, -0.525, -0.395, -0.284, -0.185, -0.091, 0.0, 0.08, 0.161, 0.246, 0.338, 0.441, 0.563,
    0.723, 1.0,
];

/// What each code stands for before it is scaled.
fn values_of(dtype: DType) -> Vec<f64> {
    if dtype == DType::U8 {
        return TABLE.map(f64::from).to_vec();
    }
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let all = MemorySource::new().with_bytes("all", dtype, Shape::vector(256), &bytes).expect("256 codes");
    let id = all.model().parameter_named("all").expect("was added");
    all.array(id).expect("readable").into_iter().collect()
}

/// The nearest of some values in ascending order, the lower one of two.
fn nearest(values: &[f64], target: f64) -> usize {
    let distance = |index: &usize| (values[*index] - target).abs();
    (0..values.len()).min_by(|one, other| distance(one).total_cmp(&distance(other))).expect("there are some")
}

fn cases() -> impl Strategy<Value = (DType, (usize, usize), (usize, usize), f64, usize)> {
    let dtypes = vec![DType::F8E4M3Fn, DType::F8E5M2, DType::F8E4M3FnUz, DType::U8];
    let shapes = (1..5usize, 1..5usize).prop_map(|(rows, columns)| (rows * 4, columns * 16));
    (select(dtypes), shapes, 0..4usize, select(vec![1.0, 0.6]), 0..40usize).prop_map(
        |(dtype, (rows, columns), kind, narrow, wrong)| {
            let group = [(rows, columns), (1, columns), (1, 16), (rows, 1)][kind];
            (dtype, (rows, columns), group, narrow, wrong)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn measures_are_those_of_the_definition(
        (dtype, (rows, columns), group, narrow, wrong) in cases(),
        seed in 1..1000u64,
    ) {
        let numbers = numbers(rows, columns, seed);
        let by_code = values_of(dtype);
        let mut grid: Vec<f64> = by_code.iter().copied().filter(|value| value.is_finite()).collect();
        grid.sort_by(f64::total_cmp);
        grid.dedup();
        let (low, high) = (grid[0], grid[grid.len() - 1]);
        let per_row = columns / group.1;
        let group_of = |row: usize, column: usize| row / group.0 * per_row + column / group.1;
        let mut scales = vec![1e-6f32; rows / group.0 * per_row];
        for ((row, column), number) in numbers.indexed_iter() {
            let scale = &mut scales[group_of(row, column)];
            *scale = scale.max(number.abs() / high as f32 * narrow as f32);
        }
        // Every so often the code beside the nearest one is taken.
        let mut places = Vec::new();
        for (count, ((row, column), number)) in numbers.indexed_iter().enumerate() {
            let place = nearest(&grid, f64::from(*number) / f64::from(scales[group_of(row, column)]));
            let is_wrong = wrong > 0 && count % wrong == 0;
            places.push(if is_wrong { place.saturating_sub(1) } else { place });
        }
        let code_of = |place: usize| by_code.iter().position(|value| *value == grid[place]).expect("a code") as u8;
        let bytes: Vec<u8> = places.iter().map(|&place| code_of(place)).collect();

        let shape = Shape::new([rows as u64, columns as u64]).expect("small");
        let granularity = match group {
            _ if group == (rows, columns) => Granularity::Tensor,
            (1, width) if width == columns => Granularity::Axis(0),
            (height, 1) if height == rows => Granularity::Axis(1),
            (height, width) => Granularity::Block(vec![height as u64, width as u64]),
        };
        let of = MemorySource::new()
            .with("w.s", Array1::from(scales.clone()))
            .with_bytes("w_quantized", dtype, shape, &bytes)?;
        let scale = Operand::Parameter(of.model().parameter_named("w.s").expect("was added"));
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Other, "a test", dtype, granularity, scale, None);
        let mut descriptor = descriptor.expect("holds codes");
        descriptor.table = (dtype == DType::U8).then(|| TABLE.to_vec());
        let mut of = of.quantized(descriptor)?;
        roles(&mut of);
        let from = reference(&[("w", numbers.clone())]);
        let compared = Compare::new().run(&from, &of, &|_| ControlFlow::Continue(()))?;
        prop_assert_eq!(compared.pairs.len(), 1, "{:?}", compared);
        let found: &Fidelity = compared.pairs[0].fidelity.as_ref().expect("readable");

        let gaps = |place: usize| {
            let below = if place > 0 { grid[place] - grid[place - 1] } else { 0.0 };
            let above = grid.get(place + 1).map_or(0.0, |above| above - grid[place]);
            (below, above)
        };
        let slack = (high - low) * 2f64.powi(-20) + 1e-6;
        let (first, last) = (low - gaps(0).1 / 2.0 - slack, high + gaps(grid.len() - 1).0 / 2.0 + slack);
        let [mut energy, mut error, mut rounded, mut clipped, mut clip_error, mut off_grid, mut at_ends] = [0.0; 7];
        let mut most = 0f64;
        for (((row, column), number), &place) in numbers.indexed_iter().zip(&places) {
            let (r, scale) = (f64::from(*number), f64::from(scales[group_of(row, column)]));
            let target = r / scale;
            let e = r - scale * grid[place];
            energy += r * r;
            error += e * e;
            most = most.max(e.abs());
            rounded += (r - scale * grid[nearest(&grid, target)]).powi(2);
            at_ends += f64::from(u8::from(place == 0 || place == grid.len() - 1));
            let (below, above) = gaps(place);
            if target < first || target > last {
                clipped += 1.0;
                clip_error += e * e;
            } else if e.abs() > scale * below.max(above) / 2.0 * (1.0 + 2f64.powi(-10)) {
                off_grid += 1.0;
            }
        }
        let close = |found: Option<f64>, expected: f64| {
            found.is_some_and(|found| (found - expected).abs() <= 1e-9 * expected.abs().max(1e-12))
        };
        let n = Array2::len(&numbers) as f64;
        prop_assert!(close(found.sqnr_db, 10.0 * (energy / error).log10()), "{:?}", found);
        prop_assert!(close(found.rtn_sqnr_db, 10.0 * (energy / rounded).log10()), "{:?}", found);
        prop_assert!(close(found.max_abs_error, most), "{:?}", found);
        prop_assert!(close(found.at_ends, at_ends / n), "{} {:?}", at_ends / n, found);
        prop_assert!(close(found.clipped, clipped / n), "{} {:?}", clipped / n, found);
        prop_assert!(close(found.clip_noise, clip_error / error), "{:?}", found);
        prop_assert!(close(found.off_grid, off_grid / (n - clipped)), "{} {:?}", off_grid / (n - clipped), found);
    }
}
