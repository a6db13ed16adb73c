//! The rules of a [`Model`]: all that it refers to is there, in both directions.

use std::collections::BTreeSet;

use quantviz_core::{
    Granularity, GroupIndex, LayerKind, Model, Operand, Parameter, ParameterId, QuantDescriptor, Scheme,
};

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
    let owner = format!("parameter {name:?}");
    let misfit = |granularity: &Granularity| -> ! {
        panic!("{owner}: groups by {granularity:?} do not fit its shape {}", parameter.logical_shape())
    };
    let Some(groups) = quantization.groups(&parameter.shape) else { misfit(&quantization.granularity) };
    assert!(quantization.bits > 0, "{owner}: its codes have no bits");
    let (low, high) = quantization.code_range;
    assert!(low < high, "{owner}: its codes range from {low} to {high}");
    let of_groups =
        [Some(&quantization.scale), quantization.zero_point.as_ref(), quantization.offset.as_ref()];
    for operand in of_groups.into_iter().flatten() {
        check_operand(model, &owner, operand);
        check_len(model, &owner, operand, groups.count());
    }
    if let Some(outer) = &quantization.outer_scale {
        let Some(groups) = quantization.outer_groups(&parameter.shape) else { misfit(&outer.granularity) };
        check_operand(model, &owner, &outer.scale);
        check_len(model, &owner, &outer.scale, groups.count());
    }
    for id in &quantization.packed_in {
        assert!(id.index() < model.parameters.len(), "{owner}: it is packed in parameter {}", id.index());
    }
    check_table(&owner, quantization);
    check_index(model, &owner, parameter, quantization);
}

/// Every code that the type has is in the table.
fn check_table(owner: &str, quantization: &QuantDescriptor) {
    let (low, high) = quantization.code_range;
    match &quantization.table {
        Some(table) => assert!(
            low >= 0.0 && high < table.len() as f64,
            "{owner}: its table has {} entries for codes from {low} to {high}",
            table.len()
        ),
        None => assert!(quantization.scheme != Scheme::Codebook, "{owner}: a codebook without a table"),
    }
}

/// Every index along the axis is sent to a group that is there; what the index says is read with the values.
fn check_index(model: &Model, owner: &str, parameter: &Parameter, quantization: &QuantDescriptor) {
    let Some(index) = quantization.group_index else { return };
    let (axis, dims) = (index.axis(), parameter.logical_shape().dims());
    let Some(&len) = dims.get(axis) else {
        panic!("{owner}: its group index is for axis {axis}, but there are {}", dims.len());
    };
    let GroupIndex::Listed { parameter: index, .. } = index else { return };
    let Some(index) = model.parameters.get(index.index()) else {
        panic!(
            "{owner}: its group index is parameter {}, but there are {}",
            index.index(),
            model.parameters.len()
        );
    };
    let entries = index.shape.elements();
    assert!(entries >= len, "{owner}: its group index has {entries} entries for {len} along axis {axis}");
}

/// One number, or one for each group.
fn check_len(model: &Model, owner: &str, operand: &Operand, groups: u64) {
    match operand {
        Operand::Parameter(id) => {
            let parameter = model.parameter(*id);
            let len = parameter.shape.elements();
            assert!(
                len == 1 || len == groups || is_warned_of(model, parameter),
                "{owner}: {:?} has {len} numbers for {groups} groups",
                parameter.name
            );
        }
        Operand::Product(factors) => {
            factors.iter().for_each(|factor| check_len(model, owner, factor, groups));
        }
        _ => {}
    }
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

fn is_warned_of(model: &Model, parameter: &Parameter) -> bool {
    model.warnings.iter().any(|warning| warning.parameter.as_ref() == Some(&parameter.name))
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
        for input in &layer.quantized_inputs {
            let owner = format!("input {} of layer {name:?}", input.slot);
            assert!(input.slot < layer.inputs.len(), "{owner}: there is no such input");
            let operands = input.scale.iter().chain(&input.zero_point);
            operands.for_each(|operand| check_operand(model, &owner, operand));
        }
    }
}
