//! Which vectors are those of a batch normalisation: by the names that frameworks give them, and by the graph where there is one.

use std::collections::{HashMap, HashSet};

use crate::{LayerKind, Model, ParameterId};

/// The vectors of a normalisation.
#[derive(Debug, PartialEq)]
pub(super) struct Norm {
    pub(super) name: String,
    pub(super) gain: Option<ParameterId>,
    pub(super) bias: Option<ParameterId>,
    pub(super) mean: Option<ParameterId>,
    pub(super) variance: ParameterId,
}

/// What variances, gains, biases and means are called at the end of a path: by PyTorch, by Keras.
const CONVENTIONS: [[&str; 4]; 2] =
    [["running_var", "weight", "bias", "running_mean"], ["moving_variance", "gamma", "beta", "moving_mean"]];

/// Those of a model, in the order of their variances; then those that only the graph knows, whatever their names.
pub(super) fn norms(model: &Model) -> Vec<Norm> {
    let ids = || model.parameter_ids().filter(|&id| model.parameter(id).shares.is_none());
    let mut by_name: HashMap<&str, ParameterId> = HashMap::new();
    for id in model.parameter_ids() {
        by_name.entry(&model.parameter(id).name).or_insert(id);
    }
    let named = ids().filter_map(|variance| {
        let name = &*model.parameter(variance).name;
        let ends = CONVENTIONS.iter().find(|[end, ..]| name.ends_with(end))?;
        let path = name.strip_suffix(ends[0])?;
        let beside = |end: &str| by_name.get(&*format!("{path}{end}")).copied();
        let [gain, bias, mean] = [ends[1], ends[2], ends[3]].map(beside);
        Some(Norm { name: path.trim_end_matches(['.', '/']).to_owned(), gain, bias, mean, variance })
    });
    let mut all: Vec<Norm> = named.collect();
    let known: HashSet<ParameterId> = all.iter().map(|norm| norm.variance).collect();
    let nodes = model.layers.iter().filter(|layer| layer.kind == LayerKind::Operation);
    let nodes = nodes.filter(|layer| layer.op.as_deref() == Some("BatchNormalization"));
    all.extend(nodes.filter_map(|layer| {
        let input = |slot: usize| by_name.get(layer.inputs.get(slot)?.as_str()).copied();
        let variance = input(4).filter(|id| !known.contains(id))?;
        Some(Norm { name: layer.name.clone(), gain: input(1), bias: input(2), mean: input(3), variance })
    }));
    all
}
