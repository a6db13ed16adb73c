//! Experts that were stacked before they were quantized, and are matrices of their own in the reference.

use std::ops::ControlFlow;
use std::sync::Arc;

use ndarray::{Array1, Array2};
use proptest::prelude::*;
use quantviz_core::{
    Compare, Comparison, DType, Encoding, Granularity, Importance, MemorySource, Operand, ParameterSource,
    QuantDescriptor, Role, Shape,
};

use crate::comparing::numbers;

const OUTPUTS: usize = 12;
const INPUTS: usize = 40;
const SCALE: f32 = 0.003;

/// Experts of two projections, which differ by their seeds.
fn experts(count: usize, seed: u64) -> Vec<Array2<f32>> {
    (0..count as u64).map(|expert| numbers(OUTPUTS, INPUTS, seed + expert)).collect()
}

fn code(number: f32) -> i8 {
    (number / SCALE).round_ties_even().clamp(-127.0, 127.0) as i8
}

/// By names that do not sort as numbers do, where there are more than ten.
fn reference(projections: [(&str, &[Array2<f32>]); 2]) -> MemorySource {
    let mut source = MemorySource::new();
    for (name, experts) in projections {
        for (expert, numbers) in experts.iter().enumerate() {
            source =
                source.with(format!("model.layers.0.mlp.experts.{expert}.{name}.weight"), numbers.clone());
        }
    }
    source.model_mut().parameters.iter_mut().for_each(|it| it.role = Role::Weight);
    source
}

/// One stack of codes with one scale.
fn stacked(experts: &[Array2<f32>]) -> MemorySource {
    let bytes: Vec<u8> = experts.iter().flatten().map(|&number| code(number).to_le_bytes()[0]).collect();
    let shape = Shape::new([experts.len() as u64, OUTPUTS as u64, INPUTS as u64]).expect("small");
    let source = MemorySource::new()
        .with("scale", Array1::from(vec![SCALE]))
        .with_bytes("blk.0.ffn_gate_exps.weight", DType::I8, shape, &bytes)
        .expect("as many bytes");
    let scale = source.model().parameter_named("scale").map(Operand::Parameter).expect("was added");
    let descriptor =
        QuantDescriptor::of_stored(Encoding::Other, "a test", DType::I8, Granularity::Tensor, scale, None);
    let mut source = source.quantized(descriptor.expect("holds codes")).expect("the groups fit");
    for parameter in &mut source.model_mut().parameters {
        parameter.role = if parameter.name == "scale" { Role::Scale } else { Role::Weight };
    }
    source
}

fn compare(from: &MemorySource, of: &MemorySource, importance: Option<Importance>) -> Comparison {
    let compare = Compare::new();
    let compare = match importance {
        Some(importance) => compare.importance(Arc::new(importance)),
        None => compare,
    };
    compare.run(from, of, &|_| ControlFlow::Continue(())).expect("nobody calls it off")
}

/// Decibels by definition, each number as much as `count` says of its expert and its input.
fn decibels<'a>(
    experts: impl Iterator<Item = (usize, &'a Array2<f32>)>,
    count: impl Fn(usize, usize) -> f64,
) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (expert, numbers) in experts {
        for ((_, input), &number) in numbers.indexed_iter() {
            let real = f64::from(SCALE) * f64::from(code(number));
            let count = count(expert, input);
            signal += count * f64::from(number).powi(2);
            noise += count * (f64::from(number) - real).powi(2);
        }
    }
    10.0 * (signal / noise).log10()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn each_lies_beside_its_own(many in 1..14usize, seed in 1..1000u64) {
        let (gate, up) = (experts(many, seed * 100), experts(many, seed * 100 + 50));
        let from = reference([("gate_proj", &gate), ("up_proj", &up)]);
        let mut importance = Importance::new();
        let square = |expert: usize, input: usize| (expert * 7 + input) as f32 % 5.0 + 0.25;
        for expert in 0..many {
            let squares = (0..INPUTS).map(|input| square(expert, input)).collect();
            importance.add(format!("model.layers.0.mlp.experts.{expert}.gate_proj"), squares).expect("squares");
        }
        let compared = compare(&from, &stacked(&gate), Some(importance));
        prop_assert!(compared.unmatched_quantized.is_empty(), "{:?}", compared.unmatched_quantized);
        // Nothing was made of the others.
        prop_assert_eq!(compared.unmatched_reference.len(), many);
        let pair = &compared.pairs[0];
        let names: Vec<String> = [pair.pair.reference]
            .iter()
            .chain(&pair.pair.alignment.merged)
            .map(|&id| from.model().parameter(id).name.clone())
            .collect();
        let expected: Vec<String> =
            (0..many).map(|it| format!("model.layers.0.mlp.experts.{it}.gate_proj.weight")).collect();
        prop_assert_eq!(names, expected);
        let fidelity = pair.fidelity.as_ref().expect("readable");
        let is_close = |found: Option<f64>, expected: f64| (found.expect("not exact") - expected).abs() < 1e-6;
        let all = || gate.iter().enumerate();
        prop_assert!(is_close(fidelity.sqnr_db, decibels(all(), |_, _| 1.0)));
        let by_importance = decibels(all(), |expert, input| f64::from(square(expert, input)));
        prop_assert!(is_close(fidelity.importance_sqnr_db, by_importance), "{:?}", fidelity.importance_sqnr_db);
        // Each is a channel.
        let channels = fidelity.channels.as_ref().expect("it has several axes");
        prop_assert_eq!(channels.all.len(), many);
        for (expert, channel) in channels.all.iter().enumerate() {
            let own = decibels(all().filter(|(index, _)| *index == expert), |_, _| 1.0);
            prop_assert!(is_close(channel.sqnr_db, own), "{expert}");
        }
    }
}

/// Two experts that changed places are found: their channels are nothing like the reference's.
#[test]
fn experts_in_another_order() {
    let gate = experts(8, 7);
    let mut swapped = gate.clone();
    swapped.swap(2, 5);
    let from = reference([("gate_proj", &gate), ("up_proj", &experts(8, 900))]);
    let compared = compare(&from, &stacked(&swapped), None);
    let channels =
        compared.pairs[0].fidelity.as_ref().expect("readable").channels.as_ref().expect("has some");
    let lost: Vec<u64> =
        channels.all.iter().filter(|it| it.sqnr_db.is_some_and(|db| db < 3.0)).map(|it| it.index).collect();
    assert_eq!(lost, [2, 5]);
}

#[test]
fn what_is_no_stack_of_these() {
    let (gate, up) = (experts(4, 7), experts(4, 900));
    let from = reference([("gate_proj", &gate), ("up_proj", &up)]);
    // Those of another model; fewer of them; twice the same, which nothing tells apart.
    for (from, of) in [
        (&from, stacked(&experts(4, 5000))),
        (&from, stacked(&gate[..3])),
        (&reference([("gate_proj", &gate), ("up_proj", &gate)]), stacked(&gate)),
    ] {
        let compared = compare(from, &of, None);
        assert_eq!((compared.pairs.len(), compared.unmatched_quantized.len()), (0, 1));
    }
}
