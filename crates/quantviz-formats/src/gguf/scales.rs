//! Scales of whole tensors, which are tensors of their own.

use std::collections::HashMap;

use quantviz_core::{DType, Granularity, Model, Operand, OuterScale, ParameterId, Shape};

/// Finds the outer scales of NVFP4 weights: llama.cpp has those of `x.weight` in `x.scale`, a number for the tensor, or
/// one for each of its experts.
pub(super) fn attach(model: &mut Model) {
    let scales = model.parameter_ids().filter_map(|id| {
        let parameter = model.parameter(id);
        let module = parameter.name.strip_suffix(".scale").filter(|_| parameter.dtype.is_numeric())?;
        Some((module.to_owned(), (id, parameter.shape.elements())))
    });
    let scales: HashMap<String, (ParameterId, u64)> = scales.collect();
    for parameter in model.parameters.iter_mut().filter(|parameter| parameter.dtype == DType::Nvfp4) {
        let module = parameter.name.strip_suffix(".weight").unwrap_or(&parameter.name);
        let (Some(quantization), Some(&(id, count))) = (&mut parameter.quantization, scales.get(module))
        else {
            continue;
        };
        quantization.outer_scale = granularity(&parameter.shape, count)
            .map(|granularity| OuterScale { granularity, scale: Operand::Parameter(id) });
    }
}

fn granularity(shape: &Shape, scales: u64) -> Option<Granularity> {
    match shape.dims() {
        _ if scales == 1 => Some(Granularity::Tensor),
        [experts, _, _] if *experts == scales => Some(Granularity::Axis(0)),
        _ => None,
    }
}
