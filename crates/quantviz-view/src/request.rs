//! What somebody wants to see of a model.

use std::collections::BTreeSet;

use quantviz_core::{LayerId, Model, ParameterId, Result};

use crate::nearest::unknown;

/// What to look at, and how closely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Parameters, by name; everything if none and no layer is named.
    pub parameters: Vec<String>,
    /// Layers with all their parameters: by name, by that of a module they are in, or by what the names of their parameters
    /// begin with (`fc` of `fc.weight`), since graphs often call their nodes otherwise.
    pub layers: Vec<String>,
    /// Bins of the histograms; none are made without.
    pub bins: Option<usize>,
    /// Threads to use; one for every core without.
    pub threads: Option<usize>,
}

impl Request {
    /// Whether `model` has all that is named.
    ///
    /// # Errors
    /// [`UnknownName`](quantviz_core::ErrorKind::UnknownName), with the nearest name that is there.
    pub fn check(&self, model: &Model) -> Result<()> {
        Selection::of(model, self).map(|_| ())
    }
}

/// The parameters and layers that a request names, in the order of the model.
#[derive(Default)]
pub(crate) struct Selection {
    pub(crate) parameters: Vec<ParameterId>,
    pub(crate) layers: Vec<LayerId>,
}

impl Selection {
    pub(crate) fn of(model: &Model, request: &Request) -> Result<Self> {
        let all_layers = || (0..model.layers.len()).filter_map(LayerId::new);
        if request.parameters.is_empty() && request.layers.is_empty() {
            return Ok(Selection {
                parameters: model.parameter_ids().collect(),
                layers: all_layers().collect(),
            });
        }
        let mut parameters = BTreeSet::new();
        let mut layers = BTreeSet::new();
        for name in &request.layers {
            let named: Vec<LayerId> = all_layers().filter(|&id| model.layer(id).name == *name).collect();
            // The name of a module stands for all that is in it.
            let inside = |id: &LayerId| {
                model.layer(*id).name.strip_prefix(name).is_some_and(|it| it.starts_with(['.', '/']))
            };
            let mut found = if named.is_empty() { all_layers().filter(inside).collect() } else { named };
            if found.is_empty() {
                found = with_weights_of(model, name, &mut parameters);
            }
            if found.is_empty() {
                let layers = model.layers.iter().map(|layer| layer.name.as_str());
                let modules = model.parameters.iter().filter_map(|it| module_of(&it.name));
                return Err(unknown("layer", name, layers.chain(modules)));
            }
            layers.extend(found);
        }
        for &layer in &layers {
            parameters.extend(&model.layer(layer).parameters);
        }
        for name in &request.parameters {
            let id = model.parameter_named(name).ok_or_else(|| {
                // Weights come before their scales: they are more often meant.
                let (learnt, others): (Vec<_>, Vec<_>) =
                    model.parameters.iter().partition(|it| it.role.is_learnt());
                unknown("parameter", name, learnt.into_iter().chain(others).map(|it| it.name.as_str()))
            })?;
            parameters.insert(id);
            layers.extend(model.parameter(id).layer);
        }
        Ok(Selection { parameters: parameters.into_iter().collect(), layers: layers.into_iter().collect() })
    }
}

/// What the name of a parameter begins with: what its module is called.
pub(crate) fn module_of(name: &str) -> Option<&str> {
    name.rfind(['.', '/']).map(|end| &name[..end])
}

/// The layers of the parameters of a module that has no layer of its name. Parameters that no layer has are put into
/// `others`.
fn with_weights_of(model: &Model, module: &str, others: &mut BTreeSet<ParameterId>) -> Vec<LayerId> {
    let is_inside = |id: &ParameterId| {
        model.parameter(*id).name.strip_prefix(module).is_some_and(|it| it.starts_with(['.', '/']))
    };
    let inside: Vec<ParameterId> = model.parameter_ids().filter(is_inside).collect();
    let layers: BTreeSet<LayerId> = inside.iter().filter_map(|&id| model.parameter(id).layer).collect();
    others.extend(inside);
    layers.into_iter().collect()
}
