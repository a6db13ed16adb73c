//! The order of layers where that of the file says little: writers of safetensors sort by name, and so has `h.10` come
//! before `h.2`.

use std::collections::HashMap;

use quantviz_core::{LayerId, Model};

/// Puts the layers of a module together, where its first one is, and those that are numbered in the order of their
/// numbers. Everything else stays in the order of the file.
pub(crate) fn by_number(model: &mut Model) {
    let names: Vec<&str> = model.layers.iter().map(|layer| layer.name.as_str()).collect();
    let mut order = Vec::with_capacity(names.len());
    visit(&names, (0..names.len()).collect(), 0, 0, &mut order);
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &layer)| places[layer] = place);
    let mut layers: Vec<_> = model.layers.drain(..).enumerate().collect();
    layers.sort_by_key(|(layer, _)| places[*layer]);
    model.layers.extend(layers.into_iter().map(|(_, layer)| layer));
    for parameter in &mut model.parameters {
        parameter.layer = parameter.layer.and_then(|layer| LayerId::new(places[layer.index()]));
    }
}

/// Modules inside modules, more than any model has.
const DEEPEST: usize = 32;

/// Appends layers to `order` whose names are alike up to the byte `start`.
fn visit(names: &[&str], layers: Vec<usize>, start: usize, depth: usize, order: &mut Vec<usize>) {
    if layers.len() < 2 || depth == DEEPEST {
        order.extend(layers);
        return;
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut children: Vec<(&str, Vec<usize>)> = Vec::new();
    for layer in layers {
        let child = names[layer].get(start..).and_then(|rest| rest.split('.').next()).unwrap_or_default();
        let place = *places.entry(child).or_insert(children.len());
        match children.get_mut(place) {
            Some((_, layers)) => layers.push(layer),
            None => children.push((child, vec![layer])),
        }
    }
    let number = |child: &str| child.parse::<u64>().ok();
    let first_number = children.iter().position(|(child, _)| number(child).is_some());
    let mut ranked: Vec<_> = children.into_iter().enumerate().collect();
    ranked.sort_by_key(|(place, (child, _))| match number(child) {
        Some(number) => (first_number.unwrap_or(*place), number),
        None => (*place, 0),
    });
    for (_, (child, layers)) in ranked {
        visit(names, layers, start + child.len() + 1, depth + 1, order);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quantviz_core::{DType, Format, Parameter, Role, Shape};

    use super::*;

    fn model(names: &[&str]) -> Model {
        let mut model = Model::new(Format::Safetensors);
        let parameter = |name: &&str| Parameter::new(*name, DType::F32, Shape::vector(1), Role::Other);
        model.parameters.extend(names.iter().map(parameter));
        model.add_module_layers();
        by_number(&mut model);
        model
    }

    fn layers(model: &Model) -> Vec<&str> {
        model.layers.iter().map(|layer| layer.name.as_str()).collect()
    }

    #[test]
    fn numbers_come_by_number_and_the_rest_as_it_comes() {
        let sorted = ["h.0.ln.w", "h.1.ln.w", "h.10.attn.w", "h.10.ln.w", "h.2.ln.w", "ln_f.w", "wte.w"];
        let expected = ["h.0.ln", "h.1.ln", "h.2.ln", "h.10.attn", "h.10.ln", "ln_f", "wte"];
        assert_eq!(layers(&model(&sorted)), expected);
        let file =
            ["token_embd.w", "blk.0.b.w", "blk.0.a.w", "blk.11.a.w", "blk.2.a.w", "output.w", "blk.2.b.w"];
        let expected = ["token_embd", "blk.0.b", "blk.0.a", "blk.2.a", "blk.2.b", "blk.11.a", "output"];
        assert_eq!(layers(&model(&file)), expected);
        // Numbers among other names stand where the first of them does.
        let mixed = ["m.x.w", "m.10.w", "m.y.w", "m.9.w", "m.w", "m.007.w", "m.7.w"];
        assert_eq!(layers(&model(&mixed)), ["m.x", "m.007", "m.7", "m.9", "m.10", "m.y", "m"]);
    }

    #[test]
    fn names_can_be_deep() {
        let deep = "a.".repeat(100_000);
        assert_eq!(layers(&model(&[&format!("{deep}b.w"), &format!("{deep}a.w")])).len(), 2);
    }

    proptest! {
        #[test]
        fn every_parameter_stays_in_its_layer(names in prop::collection::btree_set("[ab02.]{0,6}", 0..12)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let model = model(&names);
            for (index, parameter) in model.parameters.iter().enumerate() {
                let layer = model.layer(parameter.layer.expect("every parameter has one"));
                prop_assert_eq!(&*layer.name, quantviz_core::module_path(&parameter.name));
                prop_assert!(layer.parameters.iter().any(|id| id.index() == index));
            }
        }
    }
}
