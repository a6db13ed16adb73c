//! The rules of a [`Model`]: all that it refers to is there, in both directions.

use std::collections::BTreeSet;

use quantviz_core::{LayerKind, Model, Operand, Parameter, ParameterId, QuantDescriptor};

/// The part of [`check_source`](crate::check_source) that reads no value: panics unless layers and parameters name each
/// other, sharing points back, groups of scales fit their shapes, and operands exist.
pub fn check_model(model: &Model) {
    for id in model.parameter_ids() {
        let parameter = model.parameter(id);
        check_layer_of(model, id, parameter);
        check_sharing(model, id, parameter);
        if let Some(quantization) = &parameter.quantization {
            check_descriptor(model, parameter, quantization);
        }
    }
    check_layers(model);
}

fn check_layer_of(model: &Model, id: ParameterId, parameter: &Parameter) {
    let name = &parameter.name;
    let Some(layer) = parameter.layer else {
        panic!("parameter {name:?}: it belongs to no layer (Model::add_module_layers gives it one)");
    };
    let Some(layer) = model.layers.get(layer.index()) else {
        panic!("parameter {name:?}: its layer {} is not among {}", layer.index(), model.layers.len());
    };
    assert!(
        layer.parameters.contains(&id),
        "parameter {name:?}: its layer {:?} does not list it",
        layer.name
    );
}

fn check_sharing(model: &Model, id: ParameterId, parameter: &Parameter) {
    let name = &parameter.name;
    let Some(shares) = parameter.shares else { return };
    assert!(
        shares < id,
        "parameter {name:?}: it shares the storage of a parameter that is not an earlier one"
    );
    let earlier = model.parameter(shares);
    assert!(
        (earlier.dtype, &earlier.shape) == (parameter.dtype, &parameter.shape),
        "parameter {name:?}: it is {} {}, but shares the storage of {:?}, which is {} {}",
        parameter.dtype,
        parameter.shape,
        earlier.name,
        earlier.dtype,
        earlier.shape
    );
}

fn check_descriptor(model: &Model, parameter: &Parameter, quantization: &QuantDescriptor) {
    let name = &parameter.name;
    assert!(
        quantization.groups(&parameter.shape).is_some(),
        "parameter {name:?}: groups by {:?} do not fit its shape {}",
        quantization.granularity,
        parameter.logical_shape()
    );
    assert!(quantization.bits > 0, "parameter {name:?}: its codes have no bits");
    let (low, high) = quantization.code_range;
    assert!(low < high, "parameter {name:?}: its codes range from {low} to {high}");
    let owner = format!("parameter {name:?}");
    check_operand(model, &owner, &quantization.scale);
    quantization.zero_point.iter().for_each(|zero_point| check_operand(model, &owner, zero_point));
}

fn check_operand(model: &Model, owner: &str, operand: &Operand) {
    let named = match operand {
        Operand::One { parameter, .. } => *parameter,
        Operand::Parameter(parameter) => Some(*parameter),
        Operand::Product(factors) => {
            factors.iter().for_each(|factor| check_operand(model, owner, factor));
            None
        }
        _ => None,
    };
    if let Some(id) = named {
        assert!(
            id.index() < model.parameters.len(),
            "{owner}: its scale or zero-point is parameter {}, but there are {}",
            id.index(),
            model.parameters.len()
        );
    }
}

fn check_layers(model: &Model) {
    let mut listed = BTreeSet::new();
    for layer in &model.layers {
        let name = &layer.name;
        for &id in &layer.parameters {
            let Some(parameter) = model.parameters.get(id.index()) else {
                panic!(
                    "layer {name:?}: it lists parameter {}, but there are {}",
                    id.index(),
                    model.parameters.len()
                );
            };
            assert!(
                listed.insert(id),
                "parameter {:?}: it is listed twice, at last by layer {name:?}",
                parameter.name
            );
            let own = parameter.layer.and_then(|own| model.layers.get(own.index()));
            assert!(
                own.is_some_and(|own| std::ptr::eq(own, layer)),
                "parameter {:?}: layer {name:?} lists it, but its own is {:?}",
                parameter.name,
                own.map(|own| &own.name)
            );
        }
        if layer.kind == LayerKind::Parameter {
            assert!(!layer.parameters.is_empty(), "layer {name:?}: a module path without a parameter");
        }
        for activation in &layer.activations {
            let owner = format!("activation {:?} of layer {name:?}", activation.tensor);
            check_operand(model, &owner, &activation.scale);
            activation.zero_point.iter().for_each(|zero_point| check_operand(model, &owner, zero_point));
        }
    }
}
