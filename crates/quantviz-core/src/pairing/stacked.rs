//! Matrices of experts that were stacked before they were quantized, where the reference has each by itself.

use std::collections::BTreeMap;

use super::aligned::{Alignment, Way};
use super::gguf_names::same_tensor;
use super::sample::{Tiles, sample};
use super::score::plain_db;
use super::{LEAST_DB, MARGIN_DB, MatchedBy, Pair, Samples, output_axis};
use crate::{ParameterId, ParameterSource, Shape};

/// What GGUF has at the end of the name of a stack.
const STACKED: &str = "_exps";

impl Samples<'_> {
    /// The experts that a stack of outputs by inputs was made of: of all that are of its shape and as many, those whose first,
    /// middle and last are most like it.
    pub(super) fn stack_of(
        &mut self,
        quantized: &(dyn ParameterSource + Sync),
        id: ParameterId,
        free: &[ParameterId],
    ) -> Option<Pair> {
        let parameter = quantized.model().parameter(id);
        let &[count, outputs, inputs] = parameter.logical_shape().dims() else { return None };
        if output_axis(quantized.model(), parameter) != 0 || count == 0 {
            return None;
        }
        let tiles =
            Shape::new([outputs, inputs]).ok().filter(|it| it.elements() > 0).map(|it| Tiles::of(&it))?;
        let looked_at = [0, count / 2, count - 1];
        let mut values = Vec::new();
        for expert in looked_at {
            values.extend(sample(quantized, id, &tiles.moved(expert * outputs, 0, inputs)).ok()?);
        }
        let mut found: Vec<(f64, String, Vec<ParameterId>)> = Vec::new();
        for (stem, experts) in self.experts(free, [outputs, inputs]) {
            if experts.len() as u64 != count {
                continue;
            }
            let mut numbers = Vec::new();
            for expert in looked_at {
                let look = (*experts.get(usize::try_from(expert).ok()?)?, tiles.clone(), Way::default());
                numbers.extend_from_slice(self.look(&look, &[outputs, inputs], 0));
            }
            if numbers.len() == values.len() {
                found.push((plain_db(&numbers, &values), stem, experts));
            }
        }
        found.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
        let second = found.get(1).map_or(f64::NEG_INFINITY, |(db, ..)| *db);
        let (db, stem, experts) = found.into_iter().next()?;
        let (first, others) = experts.split_first()?;
        let is_named = same_tensor(&stem, &parameter.name.replacen(STACKED, "", 1));
        let pair = Pair {
            reference: *first,
            quantized: id,
            matched_by: if is_named { MatchedBy::Name } else { MatchedBy::Value },
            alignment: Alignment { merged: others.to_vec(), ..Alignment::default() },
            output_axis: 0,
        };
        (db >= LEAST_DB && db - second >= MARGIN_DB).then_some(pair)
    }

    /// Matrices of this shape that are numbered as experts, from the first to the last, by what is left of their names.
    fn experts(&self, free: &[ParameterId], dims: [u64; 2]) -> BTreeMap<String, Vec<ParameterId>> {
        let model = self.reference.model();
        let mut numbered: BTreeMap<String, BTreeMap<usize, ParameterId>> = BTreeMap::new();
        for &id in free.iter().filter(|&&id| model.parameter(id).shape.dims() == dims) {
            if let Some((stem, number)) = expert_of(&model.parameter(id).name) {
                numbered.entry(stem).or_default().insert(number, id);
            }
        }
        let are_all = |experts: &BTreeMap<usize, ParameterId>| experts.keys().copied().eq(0..experts.len());
        numbered.retain(|_, experts| are_all(experts));
        numbered.into_iter().map(|(stem, experts)| (stem, experts.into_values().collect())).collect()
    }
}

/// Which expert a name belongs to, and what is left of the name without that.
fn expert_of(name: &str) -> Option<(String, usize)> {
    const EXPERTS: &str = "experts.";
    let (before, rest) = name.split_once(EXPERTS)?;
    let (number, after) = rest.split_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some((format!("{before}{after}"), number.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_experts() {
        for (name, stem, number) in [
            ("model.layers.3.mlp.experts.12.gate_proj.weight", "model.layers.3.mlp.gate_proj.weight", 12),
            (
                "model.layers.0.block_sparse_moe.experts.7.w2.weight",
                "model.layers.0.block_sparse_moe.w2.weight",
                7,
            ),
        ] {
            assert_eq!(expert_of(name), Some((stem.to_owned(), number)));
        }
        for name in
            ["model.layers.3.mlp.gate_proj.weight", "experts.weight", "mlp.experts.x.weight", "mlp.experts.1"]
        {
            assert_eq!(expert_of(name), None, "{name}");
        }
    }

    #[test]
    fn llama_cpp_calls_them_so() {
        for (stem, stack) in [
            ("model.layers.3.mlp.gate_proj.weight", "blk.3.ffn_gate_exps.weight"),
            ("model.layers.0.block_sparse_moe.w2.weight", "blk.0.ffn_down_exps.weight"),
            ("model.layers.0.block_sparse_moe.w3.weight", "blk.0.ffn_up_exps.weight"),
        ] {
            assert!(same_tensor(stem, &stack.replacen(STACKED, "", 1)), "{stem} is {stack}");
        }
    }
}
