//! Mean squares of inputs in a safetensors file: a tensor of floats for each weight, named like it.

use std::path::Path;

use quantviz_core::{DTypeClass, Importance, Result};

use super::numbers;
use crate::Limits;

pub(super) fn read(path: &Path, limits: &Limits) -> Result<Importance> {
    let source = crate::safetensors::open(path, limits)?;
    let model = source.model();
    let mut importance = Importance::new();
    for id in model.parameter_ids() {
        let parameter = model.parameter(id);
        if parameter.dtype.class() == DTypeClass::Float && parameter.dtype.is_numeric() {
            importance.add(&parameter.name, numbers(&source, id)?)?;
        }
    }
    Ok(importance)
}
