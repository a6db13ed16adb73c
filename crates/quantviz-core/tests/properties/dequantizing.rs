//! Codes become the real numbers that their scales and zero-points make of them.

use ndarray::{Array1, arr1};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quantviz_core::{
    DType, Encoding, Granularity, MemorySource, Operand, ParameterSource, Part, QuantDescriptor, Shape,
    SourceExt,
};
use quantviz_testkit::check_sync_source;
use quantviz_testkit::strategies::{Tensor, granularities, shapes, tensors_of};

use crate::reference::{check_summary, groups, same, values};

const CODES: &[DType] = &[
    DType::I8,
    DType::U8,
    DType::I4,
    DType::U4,
    DType::I2,
    DType::U2,
    DType::I16,
    DType::U16,
    DType::I32,
    DType::F8E4M3Fn,
    DType::F8E5M2,
    DType::F4E2M1,
];

#[derive(Clone, Debug)]
struct Case {
    codes: Tensor,
    granularity: Granularity,
    /// One for each group, or one for all.
    scales: Vec<f32>,
    /// Of the type of the codes.
    zero_points: Option<Tensor>,
}

/// Some of them long enough for codes to be counted rather than converted.
fn quantized_shapes() -> impl Strategy<Value = Shape> {
    let long =
        prop_oneof![Just(vec![1500u64]), Just(vec![2, 1100]), Just(vec![1100, 2]), Just(vec![3, 1024, 1])];
    prop_oneof![9 => shapes(), 1 => long.prop_map(|dims| Shape::new(dims).expect("small"))]
}

fn cases() -> impl Strategy<Value = Case> {
    let scale = prop_oneof![
        30 => 1e-3..2.0f32,
        1 => select(vec![0.0, -0.5, f32::NAN, f32::INFINITY, 1e-42, f32::MAX]),
    ];
    let scale = scale.boxed();
    (select(CODES), quantized_shapes())
        .prop_flat_map(|(dtype, shape)| (Just(dtype), Just(shape.clone()), granularities(&shape)))
        .prop_flat_map(move |(dtype, shape, granularity)| {
            let count = groups(&shape, &granularity).1;
            let zero_points = |count| tensors_of(dtype, Shape::vector(count as u64));
            let scales = prop_oneof![3 => vec(scale.clone(), count), 1 => vec(scale.clone(), 1)];
            let zero_points = prop_oneof![
                1 => Just(None),
                2 => zero_points(count).prop_map(Some),
                1 => zero_points(1).prop_map(Some),
            ];
            (tensors_of(dtype, shape), Just(granularity), scales, zero_points)
        })
        .prop_map(|(codes, granularity, scales, zero_points)| Case {
            codes,
            granularity,
            scales,
            zero_points,
        })
}

/// What is summed up rather than computed, with lengths on both sides of what is taken at once: rows of columns that have a
/// scale each, short groups with a zero-point for all, and runs that are counted.
fn summed_up() -> impl Strategy<Value = Case> {
    let scale = prop_oneof![20 => 1e-3..2.0f32, 20 => -2.0..-1e-3f32, 1 => Just(0.0)].boxed();
    let columns =
        (1..300u64, 1..80u64).prop_map(|(rows, columns)| (vec![rows, columns], Granularity::Axis(1)));
    let group = select(vec![8, 16, 32, 48, 64, 80]);
    let blocks = (1..4u64, 1..20u64, group)
        .prop_map(|(rows, groups, group)| (vec![rows, groups * group], Granularity::Block(vec![1, group])));
    let runs = (1..4u64, 510..1030u64).prop_map(|(rows, run)| (vec![rows, run], Granularity::Axis(0)));
    let places = prop_oneof![columns, blocks, runs];
    let dtype = select(vec![DType::I8, DType::U8, DType::F8E4M3Fn, DType::F8E5M2]);
    (dtype, places).prop_flat_map(move |(dtype, (dims, granularity))| {
        let shape = Shape::new(dims).expect("small");
        let count = groups(&shape, &granularity).1;
        let zero_points = |count| tensors_of(dtype, Shape::vector(count)).prop_map(Some);
        let zero_points = prop_oneof![2 => Just(None), 2 => zero_points(1), 1 => zero_points(count as u64)];
        (tensors_of(dtype, shape), vec(scale.clone(), count), zero_points).prop_map(
            move |(codes, scales, zero_points)| Case {
                codes,
                granularity: granularity.clone(),
                scales,
                zero_points,
            },
        )
    })
}

impl Case {
    /// The codes come last.
    fn source(&self) -> MemorySource {
        let mut source = MemorySource::new().with("scale", Array1::from(self.scales.clone()));
        let named =
            |source: &MemorySource, name| source.model().parameter_named(name).map(Operand::Parameter);
        let scale = named(&source, "scale").expect("was added");
        let mut zero_point = None;
        if let Some(Tensor { dtype, shape, bytes }) = &self.zero_points {
            source = source.with_bytes("zero_point", *dtype, shape.clone(), bytes).expect("as many bytes");
            zero_point = named(&source, "zero_point");
        }
        let Tensor { dtype, shape, bytes } = &self.codes;
        let descriptor = QuantDescriptor::of_stored(
            Encoding::Other,
            "a test",
            *dtype,
            self.granularity.clone(),
            scale,
            zero_point,
        );
        source
            .with_bytes("codes", *dtype, shape.clone(), bytes)
            .and_then(|source| source.quantized(descriptor.expect("holds codes")))
            .expect("the granularity fits")
    }

    /// One by one, from the definition.
    fn real_values(&self) -> Vec<f64> {
        let (group_of, _) = groups(&self.codes.shape, &self.granularity);
        let zero_points = self.zero_points.as_ref().map_or(vec![0.0], values);
        let of = |list: &[f64], group: usize| if list.len() == 1 { list[0] } else { list[group] };
        let scales: Vec<f64> = self.scales.iter().copied().map(f64::from).collect();
        let codes = values(&self.codes).into_iter().zip(group_of);
        codes.map(|(code, group)| of(&scales, group) * (code - of(&zero_points, group))).collect()
    }
}

proptest! {
    #[test]
    fn codes_become_their_real_values(case in cases()) {
        let source = case.source();
        let codes = source.model().parameter_named("codes").expect("was added");
        let expected = case.real_values();

        let found = source.real_array(codes)?;
        let dims: Vec<u64> = found.shape().iter().map(|&dim| dim as u64).collect();
        prop_assert_eq!(&dims[..], case.codes.shape.dims());
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let rounded = *expected as f32;
            prop_assert!(same((*found).into(), rounded.into()), "element {}: {} is not {}", index, found, rounded);
        }
        prop_assert_eq!(check_summary(&source.real_summary(codes)?, &expected), Ok(()));
    }

    #[test]
    fn codes_are_counted(case in cases()) {
        let source = case.source();
        let codes = source.model().parameter_named("codes").expect("was added");
        let found = source.code_counts(codes)?;
        let few_bits = case.codes.dtype.bits().is_some_and(|bits| bits <= 8);
        let all = values(&case.codes);
        prop_assert_eq!(found.is_some(), few_bits && !all.is_empty());
        let found = found.unwrap_or_default();
        prop_assert!(found.windows(2).all(|pair| pair[0].0.total_cmp(&pair[1].0).is_lt()));
        for (code, times) in found {
            prop_assert_eq!(all.iter().filter(|it| it.to_bits() == code.to_bits() || it.is_nan() && code.is_nan()).count() as u64, times, "{}", code);
        }
    }

    #[test]
    fn there_is_a_scale_for_every_group(case in cases()) {
        let source = case.source();
        let codes = source.model().parameter_named("codes").expect("was added");
        let (_, count) = groups(&case.codes.shape, &case.granularity);
        let scales = source.values(codes, Part::Scales)?;
        prop_assert_eq!(scales.len(), count);
        for (group, scale) in scales.into_iter().enumerate() {
            prop_assert!(same(scale, case.scales[group % case.scales.len()].into()), "of group {}", group);
        }
        let zero_points = source.values(codes, Part::ZeroPoints)?.len();
        prop_assert_eq!(zero_points, if case.zero_points.is_some() { count } else { 0 });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sums_of_codes_tell_what_the_values_add_up_to(case in summed_up()) {
        let source = case.source();
        let codes = source.model().parameter_named("codes").expect("was added");
        prop_assert_eq!(check_summary(&source.real_summary(codes)?, &case.real_values()), Ok(()));
    }

    /// Of short groups in which something is added after scaling, zero among it.
    #[test]
    fn what_is_added_is_summed_up_too(
        run in select(vec![16usize, 32, 48, 8]),
        groups in vec((select(vec![0.0f32, 0.5, -0.25, 0.011]), select(vec![0.0f32, -1.5, 3.0, 0.3])), 1..60),
        seed in any::<u64>(),
    ) {
        let codes: Vec<u8> = (0..run * groups.len())
            .map(|index| (seed.wrapping_add(index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8)
            .collect();
        let (scales, offsets): (Vec<f32>, Vec<f32>) = groups.iter().copied().unzip();
        let source = MemorySource::new().with("s", Array1::from(scales)).with("o", Array1::from(offsets));
        let named = |name| source.model().parameter_named(name).map(Operand::Parameter).expect("was added");
        let granularity = Granularity::Block(vec![run as u64]);
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Other, "a test", DType::U8, granularity, named("s"), None);
        let mut descriptor = descriptor.expect("u8 holds codes");
        descriptor.offset = Some(named("o"));
        let source = source
            .with("codes", Array1::from(codes.clone()))
            .quantized(descriptor)
            .expect("the groups fit");
        let id = source.model().parameter_named("codes").expect("was added");
        let real = |(index, code): (usize, &u8)| {
            let (scale, offset) = groups[index / run];
            f64::from(scale) * f64::from(*code) + f64::from(offset)
        };
        let expected: Vec<f64> = codes.iter().enumerate().map(real).collect();
        prop_assert_eq!(check_summary(&source.real_summary(id)?, &expected), Ok(()));
    }

    /// All of a group is the same number, so that digits cancel where squares are summed up.
    #[test]
    fn what_does_not_vary_has_no_spread(
        code in 1..=127u8, scale in 1e-3..2.0f32, len in select(vec![16u64, 32, 512, 1000]), groups in 1..40u64
    ) {
        let dims = Shape::new(vec![groups, len]).expect("small");
        let case = Case {
            codes: Tensor { dtype: DType::I8, bytes: vec![code; (groups * len) as usize], shape: dims },
            granularity: Granularity::Axis(0),
            scales: vec![scale; groups as usize],
            zero_points: None,
        };
        let source = case.source();
        let codes = source.model().parameter_named("codes").expect("was added");
        let summary = source.real_summary(codes)?;
        let value = f64::from(scale) * f64::from(code);
        prop_assert!(summary.std().is_some_and(|spread| spread <= 1e-12 * value), "{:?} {}", summary.std(), value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn quantized_sources_conform(case in cases()) {
        check_sync_source(&case.source());
    }
}

#[test]
fn an_empty_tensor_has_its_scales() {
    for (dims, axis, scales) in [([0, 3], 0, 0), ([0, 3], 1, 3), ([3, 0], 0, 3), ([3, 0], 1, 0)] {
        let scale = Operand::One { value: 0.5, parameter: None };
        let granularity = Granularity::Axis(axis);
        let descriptor =
            QuantDescriptor::of_stored(Encoding::Other, "a test", DType::I8, granularity, scale, None);
        let source = MemorySource::new()
            .with_bytes("w", DType::I8, Shape::new(dims).expect("small"), &[])
            .and_then(|source| source.quantized(descriptor.expect("i8 holds codes")))
            .expect("the axis is there");
        let id = source.model().parameter_named("w").expect("was added");
        assert_eq!(
            source.values(id, Part::Scales).expect("readable").len(),
            scales,
            "{dims:?} by axis {axis}"
        );
        assert_eq!(source.real_summary(id).expect("readable").count(), 0);
        check_sync_source(&source);
    }
}

#[test]
fn products_of_scales() {
    let source = MemorySource::new().with("row", arr1(&[0.5f32, 0.25]));
    let row = source.model().parameter_named("row").expect("was added");
    let scale = Operand::Product(vec![Operand::Parameter(row), Operand::One { value: 4.0, parameter: None }]);
    let descriptor =
        QuantDescriptor::of_stored(Encoding::Nvfp4, "a test", DType::I8, Granularity::Axis(0), scale, None);
    let source = source
        .with("codes", ndarray::arr2(&[[1i8, -2], [3, 4]]))
        .quantized(descriptor.expect("i8 holds codes"))
        .expect("two rows");
    let codes = source.model().parameter_named("codes").expect("was added");
    assert_eq!(
        source.real_array(codes).expect("readable"),
        ndarray::arr2(&[[2.0f32, -4.0], [3.0, 4.0]]).into_dyn()
    );
    check_sync_source(&source);
}

/// More scales than are read at once.
#[test]
fn many_scales() {
    let scales: Vec<f32> = (1..=10_000u16).map(f32::from).collect();
    let case = Case {
        codes: Tensor { dtype: DType::I8, shape: Shape::vector(10_000), bytes: vec![1; 10_000] },
        granularity: Granularity::Axis(0),
        scales: scales.clone(),
        zero_points: None,
    };
    let source = case.source();
    let codes = source.model().parameter_named("codes").expect("was added");
    assert_eq!(source.real_array(codes).expect("readable"), Array1::from(scales).into_dyn());
    check_sync_source(&source);
}
