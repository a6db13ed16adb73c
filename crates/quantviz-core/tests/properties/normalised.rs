//! Batch normalisations that were folded into a weight, whatever their vectors are called.

use ndarray::{Array1, Axis};
use quantviz_core::{Gain, Layer, LayerKind, MemorySource, ParameterSource, Role};

use crate::comparing::{INT8, Scheme, compare, numbers};

const OUTPUTS: usize = 24;
const INPUTS: usize = 48;

/// The gain that is found where a normalisation has vectors of these names: gain, bias, mean, variance.
fn gain_found(names: [&str; 4], node: Option<&str>) -> Gain {
    let weight = numbers(OUTPUTS, INPUTS, 5);
    let vector = |seed: u64, about: f32| -> Array1<f32> {
        numbers(1, OUTPUTS, seed).iter().map(|it| about + it * 4.0).collect()
    };
    let (gains, variances) = (vector(6, 2.0), vector(7, 3.0));
    let vectors = [gains.clone(), vector(8, 0.0), vector(9, 0.0), variances.clone()];
    let mut from = MemorySource::new().with("conv.kernel", weight.clone());
    for (name, vector) in names.iter().zip(vectors) {
        from = from.with(*name, vector);
    }
    let model = from.model_mut();
    for parameter in &mut model.parameters {
        parameter.role = if parameter.shape.rank() == 2 { Role::Weight } else { Role::Norm };
    }
    if let Some(name) = node {
        let mut layer = Layer::new(name, Some("BatchNormalization".to_owned()), LayerKind::Operation);
        layer.inputs = ["x"].iter().chain(&names).map(|it| (*it).to_owned()).collect();
        model.layers.push(layer);
    }
    let mut folded = weight;
    for ((mut row, gain), variance) in folded.axis_iter_mut(Axis(0)).zip(&gains).zip(&variances) {
        row *= gain / (variance + 1e-5).sqrt();
    }
    let of = Scheme { group: (1, INPUTS), ..INT8 }.source(MemorySource::new(), "w", folded.view());
    let compared = compare(&from, &of);
    let pair = &compared.pairs[0];
    assert_eq!(from.model().parameter(pair.pair.reference).name, "conv.kernel");
    assert!(pair.fidelity.as_ref().expect("readable").sqnr_db.expect("not exact") > 35.0);
    pair.pair.alignment.gain.clone()
}

#[test]
fn by_the_names_of_frameworks_and_by_graphs() {
    for (names, node, expected) in [
        (["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"], None, "bn"),
        (["bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance"], None, "bn"),
        (["scale", "B", "mean", "var"], Some("norm1"), "norm1"),
        // A graph that has PyTorch's names says nothing new.
        (["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"], Some("norm1"), "bn"),
    ] {
        let Gain::BatchNorm { name, factors, .. } = gain_found(names, node) else { panic!("{names:?}") };
        assert_eq!((&name[..], factors.len()), (expected, OUTPUTS), "{names:?}");
    }
}

/// Vectors that nothing says the meaning of are taken for nothing.
#[test]
fn not_by_values_alone() {
    assert!(matches!(gain_found(["scale", "B", "mean", "var"], None), Gain::Output(_)));
}
