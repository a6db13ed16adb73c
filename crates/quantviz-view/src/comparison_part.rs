//! A part of a comparison: what is about some parameters and layers.

use std::collections::HashSet;

use quantviz_core::{Error, Model, Parameter, Result};

use crate::comparison::{PairView, VariantView, name};
use crate::request::{Request, Selection};

impl VariantView {
    /// Keeps what is about the parameters and layers that a request names, in the reference or in the quantized model. What
    /// is said of the whole model stays as it is.
    ///
    /// # Errors
    /// [`UnknownName`](quantviz_core::ErrorKind::UnknownName) where neither model has what is named.
    pub fn only(&mut self, reference: &Model, quantized: &Model, request: &Request) -> Result<()> {
        let (from, of) = match (Selection::of(reference, request), Selection::of(quantized, request)) {
            (Err(error), Err(_)) => return Err(error),
            (from, of) => (from.unwrap_or_default(), of.unwrap_or_default()),
        };
        let names = |model: &Model, selection: &Selection| -> HashSet<String> {
            selection.parameters.iter().map(|&id| name(model, id)).collect()
        };
        let layers = of.layers.iter().map(|&id| quantized.layer(id));
        let made: HashSet<&String> = layers.flat_map(|it| &it.activations).map(|it| &it.tensor).collect();
        let (from, of) = (names(reference, &from), names(quantized, &of));
        self.pairs.retain(|pair| from.contains(&pair.reference) || of.contains(&pair.quantized));
        let kept: HashSet<String> = self.pairs.iter().map(|pair| pair.quantized.clone()).collect();
        self.unmatched.reference.retain(|it| from.contains(&it.parameter));
        self.unmatched.quantized.retain(|it| of.contains(&it.parameter));
        let is_named = |name: &String| kept.contains(name) || of.contains(name) || made.contains(name);
        self.findings.retain(|finding| finding.parameter.as_ref().is_some_and(is_named));
        self.activations.retain(|it| made.contains(&it.tensor));
        request
            .parameters
            .iter()
            .filter(|name| !self.compares(name))
            .try_for_each(|name| Err(Error::unsupported(nothing_of(name, [reference, quantized]))))
    }

    /// Whether something is said of a parameter of this name.
    fn compares(&self, name: &String) -> bool {
        let unmatched = self.unmatched.reference.iter().chain(&self.unmatched.quantized);
        let of_pair = |pair: &PairView| {
            pair.reference == *name || pair.quantized == *name || pair.alignment.merged.contains(name)
        };
        self.pairs.iter().any(of_pair) || unmatched.into_iter().any(|it| it.parameter == *name)
    }
}

/// Why nothing is compared with a parameter that there is.
fn nothing_of(name: &str, models: [&Model; 2]) -> String {
    let named = models.iter().find_map(|model| Some((model, model.parameter_named(name)?)));
    let Some((model, id)) = named else { return format!("{name} is not compared") };
    let role = model.parameter(id).role.name().replace('_', "-");
    let uses = |it: &&Parameter| it.quantization.as_ref().is_some_and(|it| it.parameters().contains(&id));
    match model.parameters.iter().find(uses) {
        Some(codes) => format!("{name} is a {role} of {}: name that", codes.name),
        None => format!("{name} is no quantized parameter, nor what one was made of, but a {role}"),
    }
}
