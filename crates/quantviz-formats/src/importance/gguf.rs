//! llama.cpp's importance matrices as GGUF: sums of squares, and of how many inputs they are, for each expert.

use std::collections::HashMap;
use std::path::Path;

use quantviz_core::{DType, Error, Importance, ParameterId, Result};

use super::numbers;
use crate::Limits;

const SUMS: &str = ".in_sum2";

pub(super) fn read(path: &Path, limits: &Limits) -> Result<Importance> {
    let source = crate::gguf::open(path, limits)?;
    let model = source.model();
    if model.metadata.get("general.type").is_none_or(|kind| kind != "imatrix") {
        return Err(Error::unsupported(
            "this GGUF file is no importance matrix: its general.type is not imatrix",
        ));
    }
    let by_name: HashMap<&str, ParameterId> =
        model.parameter_ids().map(|id| (&*model.parameter(id).name, id)).collect();
    let mut importance = Importance::new();
    for id in model.parameter_ids() {
        let parameter = model.parameter(id);
        let Some(name) = parameter.name.strip_suffix(SUMS) else { continue };
        let in_tensor = |error: Error| error.in_tensor(name);
        let counts = by_name.get(&*format!("{name}.counts")).copied();
        let counts =
            counts.ok_or_else(|| in_tensor(Error::malformed("it has sums of squares, but no counts")))?;
        if [id, counts].iter().any(|&id| model.parameter(id).dtype != DType::F32) {
            return Err(in_tensor(Error::unsupported("sums of squares and counts that are not f32")));
        }
        let (sums, counts) = (numbers(&source, id)?, numbers(&source, counts)?);
        importance.add(name, means(&sums, &counts).map_err(in_tensor)?)?;
    }
    Ok(importance)
}

/// The means of each expert. One that was never asked has none, and counts nothing.
fn means(sums: &[f32], counts: &[f32]) -> Result<Vec<f32>> {
    if counts.is_empty() || !sums.len().is_multiple_of(counts.len()) {
        return Err(Error::malformed(format!("{} sums of squares and {} counts", sums.len(), counts.len())));
    }
    if let Some(odd) = counts.iter().find(|it| !(it.is_finite() && **it >= 0.0)) {
        return Err(Error::malformed(format!("its count of inputs is {odd}")));
    }
    let inputs = (sums.len() / counts.len()).max(1);
    let means = sums.chunks(inputs).zip(counts);
    // Odd sums stay what they are, so that they are told.
    let mean = |sum: f32, count: f32| if count > 0.0 || sum != 0.0 { sum / count.max(1.0) } else { 0.0 };
    Ok(means.flat_map(|(sums, &count)| sums.iter().map(move |&sum| mean(sum, count))).collect())
}
