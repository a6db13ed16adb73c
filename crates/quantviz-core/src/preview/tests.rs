//! Rounding from its definition, and that tiles change nothing about it.
#![expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ndarray::{ArrayD, IxDyn};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::MemorySource;
use crate::preview::rounding::{Codes, NF4};
use crate::preview::scheme::Per;

const NAMES: &[&str] = &[
    "int8",
    "int8-channel",
    "uint8",
    "uint8-channel",
    "int4-ort",
    "int4-ort-channel",
    "int4-block32",
    "int4-block3",
    "int4-block4-asym",
    "int8-block5",
    "int2-block16-asym",
    "f8-e4m3",
    "f8-e4m3-channel",
    "mxfp4",
    "nvfp4",
    "nf4-block7",
];

fn scheme(name: &str) -> PreviewScheme {
    name.parse().expect("a known name")
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A weight whose outputs lie along an axis.
#[derive(Clone, Debug)]
struct Case {
    dims: Vec<usize>,
    axis: usize,
    values: Vec<f32>,
    scheme: &'static str,
    clip: Clip,
    at_once: u64,
}

fn numbers() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -1.0..1.0f32,
        2 => Just(0.0f32),
        1 => -30.0..30.0f32,
        1 => select(vec![f32::NAN, f32::INFINITY, -0.0, 1e-39, 1e-20]),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let shapes = vec(1..9usize, 2..5);
    let shapes = prop_oneof![4 => shapes, 1 => (1..4usize, 30..90usize).prop_map(|(a, b)| vec![a, b])];
    let with_axis = shapes.prop_flat_map(|dims| (0..dims.len(), Just(dims)));
    let how =
        (select(NAMES), prop_oneof![Just(Clip::Nothing), Just(Clip::Mse)], select(vec![1, 7, 40, 1 << 20]));
    (with_axis, how).prop_flat_map(|((axis, dims), (scheme, clip, at_once))| {
        let values = vec(numbers(), dims.iter().product::<usize>());
        values.prop_map(move |values| Case { dims: dims.clone(), axis, values, scheme, clip, at_once })
    })
}

impl Case {
    fn source(&self) -> MemorySource {
        let array = ArrayD::from_shape_vec(IxDyn(&self.dims), self.values.clone()).expect("as many as fit");
        MemorySource::new().with("fc.weight", array)
    }

    fn preview(&self) -> Preview {
        let rule = format!("*={}", self.axis).parse().expect("a rule");
        let mut preview = Preview::of([scheme(self.scheme)]).clip(self.clip).axes([rule]);
        preview.at_once = self.at_once;
        preview
    }

    fn encode(&self) -> EncodedWeight {
        let source = self.source();
        let id = source.model().parameter_named("fc.weight").expect("was added");
        self.preview().encode(&source, id, scheme(self.scheme)).expect("it can be rounded")
    }

    /// The group of every element, as the definitions say: blocks along what one output is made of.
    fn groups(&self) -> Vec<Vec<usize>> {
        let (dims, axis) = (&self.dims, self.axis);
        let is_last = axis + 1 == dims.len();
        let of = |mut index: usize| {
            let mut at: Vec<usize> = dims
                .iter()
                .rev()
                .map(|dim| {
                    let here = index % dim;
                    index /= dim;
                    here
                })
                .collect();
            at.reverse();
            let flat = |axes: std::ops::Range<usize>| axes.fold(0, |flat, axis| flat * dims[axis] + at[axis]);
            match scheme(self.scheme).per {
                Per::Tensor => vec![],
                Per::Channel => vec![at[axis]],
                Per::Block(size) => {
                    let size = usize::try_from(size).expect("small");
                    // The one axis before the last; else what lies before the outputs; else what lies behind.
                    if is_last && axis > 0 {
                        vec![flat(0..axis - 1), at[axis - 1] / size, at[axis]]
                    } else if dims[..axis].iter().product::<usize>() > 1 {
                        vec![flat(0..axis) / size, flat(axis..dims.len())]
                    } else {
                        vec![at[axis], flat(axis + 1..dims.len()) / size]
                    }
                }
            }
        };
        (0..self.values.len()).map(of).collect()
    }
}

/// A number of a scheme's codes is one of these.
fn is_code(scheme: PreviewScheme, code: f32) -> bool {
    match scheme.family.codes {
        Codes::Whole(whole) => code.fract() == 0.0 && (whole.low..=whole.high).contains(&code),
        Codes::Float(float) => float.nearest(code) == code,
        Codes::Table(table) => code.fract() == 0.0 && (0.0..table.len() as f32).contains(&code),
    }
}

fn finite(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}

fn about_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every element of a group has the same scale; as many scales as groups, in the order of their first elements.
    #[test]
    fn groups_share_a_scale(case in cases()) {
        let encoded = case.encode();
        let mut first_of = BTreeMap::new();
        for (index, group) in case.groups().into_iter().enumerate() {
            first_of.entry(group).or_insert(index);
        }
        let mut firsts: Vec<usize> = first_of.values().copied().collect();
        firsts.sort_unstable();
        prop_assert_eq!(encoded.scales.len(), firsts.len());
        let number_of: BTreeMap<usize, usize> = firsts.into_iter().enumerate().map(|(number, first)| (first, number)).collect();
        for (index, group) in case.groups().into_iter().enumerate() {
            let number = number_of[&first_of[&group]];
            let code = scheme(case.scheme).family.codes.value(encoded.codes[index]);
            let real = encoded.scales[number] * (code - encoded.zero_points[number]);
            prop_assert_eq!(encoded.real[index], real, "element {}", index);
        }
    }

    /// Codes are those there are; without clipping nothing is further off than half a step.
    #[test]
    fn codes_are_the_nearest(case in cases()) {
        let scheme = scheme(case.scheme);
        let encoded = case.encode();
        prop_assert!(encoded.codes.iter().all(|&code| is_code(scheme, code)));
        let mut scales = BTreeMap::new();
        for group in case.groups() {
            let next = scales.len();
            scales.entry(group).or_insert(next);
        }
        if let (Codes::Whole(whole), Clip::Nothing) = (scheme.family.codes, case.clip) {
            let by_code = |code: f32, of: usize| encoded.scales[of] * (f64::from(code) - encoded.zero_points[of]);
            for (index, group) in case.groups().into_iter().enumerate() {
                let of = scales[&group];
                let (step, value) = (encoded.scales[of].abs(), finite(case.values[index]));
                let ends = [by_code(whole.low, of), by_code(whole.high, of)];
                let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                // The four bits of MatMulNBits end half a step early on one side.
                let clipped = (value - value.clamp(low, high)).abs();
                prop_assert!(clipped <= step * 1.0001, "{value} is beyond {low}..{high}");
                let off = (value - encoded.real[index]).abs();
                prop_assert!(off <= clipped.max(step / 2.0) * 1.0001 + 1e-37, "{value} is {off} off by {step}");
            }
        }
    }

    /// What is measured is what is encoded, however few elements are in memory at a time.
    #[test]
    fn losses_are_those_of_the_codes(case in cases()) {
        let previewed = case.preview().run(&case.source(), &go_on).expect("it can be rounded");
        let found = previewed[0].schemes[0];
        let whole = Case { at_once: 1 << 20, ..case.clone() };
        let (encoded, encoded_whole) = (case.encode(), whole.encode());
        prop_assert_eq!(&encoded.codes, &encoded_whole.codes);
        let pairs = case.values.iter().zip(&encoded.real);
        let error: f64 = pairs.map(|(&value, real)| (finite(value) - real).powi(2)).sum();
        prop_assert!(about_equal(found.squared_error, error), "{} {}", found.squared_error, error);
        let squares: f64 = case.values.iter().map(|&value| finite(value).powi(2)).sum();
        prop_assert!(about_equal(found.squares, squares));
        prop_assert_eq!(previewed[0].non_finite, case.values.iter().filter(|it| !it.is_finite()).count() as u64);
        let groups = encoded.scales.len() as u64;
        prop_assert_eq!(found.bits, scheme(case.scheme).bits(case.values.len() as u64, groups));
    }

    /// Clipping is only done where it helps.
    #[test]
    fn clipping_never_loses_more(case in cases()) {
        let loss = |clip| {
            let previewed = Case { clip, ..case.clone() }.preview().run(&case.source(), &go_on);
            previewed.expect("it can be rounded")[0].schemes[0].squared_error
        };
        prop_assert!(loss(Clip::Mse) <= loss(Clip::Nothing) * (1.0 + 1e-9));
    }
}

/// Box and Muller's normal numbers out of Knuth's MMIX generator.
fn normal(count: usize, deviation: f64) -> Vec<f32> {
    // Of this one, the largest of a million is about what the largest of a million usually is.
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let pair = |_| {
        let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
        [radius * angle.cos(), radius * angle.sin()].map(|it| (it * deviation) as f32)
    };
    (0..count.div_ceil(2)).flat_map(pair).take(count).collect()
}

#[test]
fn what_good_looks_like() {
    let expected = [
        ("int8", 38.8),
        ("int8-channel", 42.1),
        ("f8-e4m3", 31.6),
        ("int4-block32", 21.3),
        ("int4-block32-asym", 21.9),
        ("int4-block128", 19.7),
        ("nf4-block64", 20.7),
        ("nvfp4", 20.4),
        ("mxfp4", 18.9),
    ];
    let weight = ArrayD::from_shape_vec(IxDyn(&[1024, 1024]), normal(1 << 20, 0.02)).expect("a square");
    let source = MemorySource::new().with("fc.weight", weight);
    for axis in [0, 1] {
        let rule = format!("*={axis}").parse().expect("a rule");
        let all = PreviewScheme::names()
            .into_iter()
            .flat_map(|name| ["16", "32", "64", "128"].map(|size| scheme(&name.replace('N', size))));
        let previewed = Preview::of(all).axes([rule]).run(&source, &go_on).expect("it can be rounded");
        let found: BTreeMap<String, (f64, f64)> = previewed[0]
            .schemes
            .iter()
            .map(|it| (it.scheme.to_string(), (it.sqnr_db().expect("a ratio"), it.scheme.good_sqnr_db())))
            .collect();
        for (name, expected) in expected {
            assert!(
                (found[name].0 - expected).abs() <= 0.3,
                "{name}: {} instead of {expected}",
                found[name].0
            );
        }
        for (name, (found, good)) in found {
            assert!((found - good).abs() <= 0.5, "{name}: {found}, and {good} is called good");
        }
    }
}

#[test]
fn nothing_to_lose_is_exact() {
    let source = MemorySource::new().with("fc.weight", ndarray::Array2::<f32>::zeros((4, 40)));
    let all = NAMES.iter().map(|name| scheme(name));
    for found in &Preview::of(all).run(&source, &go_on).expect("it can be rounded")[0].schemes {
        assert_eq!((found.is_exact(), found.sqnr_db(), found.noise_to_signal()), (true, None, 0.0));
    }
    let table = ArrayD::from_shape_vec(IxDyn(&[1, 16]), NF4.to_vec()).expect("sixteen");
    let source = MemorySource::new().with("fc.weight", table);
    let previewed = Preview::of([scheme("nf4-block16")]).run(&source, &go_on).expect("it can be rounded");
    assert!(previewed[0].schemes[0].is_exact());
}

#[test]
fn threads_change_nothing_and_progress_ends_it() {
    let weight = ArrayD::from_shape_vec(IxDyn(&[300, 700]), normal(210_000, 1.0)).expect("as many");
    let source = MemorySource::new().with("fc.weight", weight.clone()).with("lm_head.weight", weight);
    let mut preview = Preview::of(NAMES.iter().map(|name| scheme(name))).clip(Clip::Mse);
    preview.at_once = 5000;
    let losses = |threads| {
        let all = preview.clone().threads(threads).run(&source, &go_on).expect("it can be rounded");
        all.into_iter().flat_map(|it| it.schemes).collect::<Vec<_>>()
    };
    assert_eq!(losses(1), losses(3));
    let reached = std::sync::Mutex::new((0, 0));
    let report = |progress: Progress| {
        *reached.lock().expect("nobody panicked") = (progress.done, progress.total);
        ControlFlow::Continue(())
    };
    preview.run(&source, &report).expect("it can be rounded");
    let looks = 1 + 71 * NAMES.len() as u64;
    assert_eq!(reached.into_inner().expect("nobody panicked"), (420_000 * looks, 420_000 * looks));
    let end = |progress: Progress| {
        if progress.done > 1000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(preview.run(&source, &end).expect_err("called off").kind(), crate::ErrorKind::Cancelled);
}

#[test]
fn what_cannot_be_previewed_says_so() {
    let vectors = MemorySource::new().with("norm.weight", ndarray::arr1(&[1f32, 2.0]));
    let error = |source: &MemorySource| {
        Preview::of([scheme("int8")]).run(source, &go_on).expect_err("nothing to round").to_string()
    };
    assert_eq!(error(&vectors), "it has no float weights of two axes or more that a quantizer would round");
    let scale = crate::Operand::One { value: 0.5, parameter: None };
    let codes = crate::QuantDescriptor::of_stored(
        crate::Encoding::Other,
        "a test",
        crate::DType::I8,
        crate::Granularity::Tensor,
        scale,
        None,
    );
    let quantized = MemorySource::new().with("fc.weight", ndarray::arr2(&[[1i8, 2], [3, 4]]));
    let quantized = quantized.quantized(codes.expect("i8 holds codes")).expect("one scale");
    assert!(error(&quantized).starts_with("its 1 weights are quantized already"));
}

/// A model one weight of which cannot be read.
struct Broken(MemorySource);

impl ParameterSource for Broken {
    fn model(&self) -> &crate::Model {
        self.0.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: crate::Part,
        range: std::ops::Range<u64>,
        sink: &mut dyn crate::Sink,
    ) -> Result<ControlFlow<()>> {
        match self.0.model().parameter(id).name.as_str() {
            "broken.weight" => Err(Error::malformed("it is torn")),
            _ => self.0.read(id, part, range, sink),
        }
    }
}

#[test]
fn one_bad_weight_does_not_hide_the_others() {
    let weight = ndarray::arr2(&[[1f32, 0.3], [-0.2, 0.7]]);
    let source = MemorySource::new().with("broken.weight", weight.clone()).with("fc.weight", weight);
    let previewed = Preview::of([scheme("int8")]).run(&Broken(source), &go_on).expect("one can be rounded");
    assert_eq!(previewed[0].error.as_ref().map(Error::message), Some("it is torn"));
    assert_eq!((previewed[0].schemes.len(), previewed[1].schemes.len()), (0, 1));
    let choice = choose(&previewed, 20.0).expect("there is room");
    assert_eq!((choice.schemes, choice.bits_per_weight), (vec![None, Some(0)], 18.0));
}
