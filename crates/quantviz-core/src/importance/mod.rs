//! How much each input of a weight matters: the mean of its squares, as a calibration recorded it.

mod weigh;
mod weights;

use std::collections::HashMap;

use crate::pairing::{gguf_names_of, plain_name};
use crate::{Error, Result};

pub(crate) use weigh::weigh_all;
pub(crate) use weights::{Counts, InputWeights};

/// The mean square of every input of weights, by the weights' names.
///
/// An error of a weight costs as much as the input that it is multiplied with is large, so that errors weighted by
/// these say more of what becomes of a layer's outputs than errors alone. llama.cpp calls it an importance matrix.
///
/// A name is that of the weight in the reference or in the quantized model, with or without `.weight`, or llama.cpp's.
/// There are as many numbers as the weight has inputs; of grouped convolutions and stacked experts, those of one group
/// behind those of the other.
///
/// ```
/// use quantviz_core::Importance;
///
/// let mut importance = Importance::new();
/// importance.add("blk.0.attn_q.weight", vec![0.5, 2.0])?;
/// assert_eq!(importance.len(), 1);
/// assert!(importance.add("blk.0.attn_k.weight", vec![0.5, -2.0]).is_err());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Importance {
    by_name: HashMap<String, Vec<f32>>,
}

impl Importance {
    /// None yet.
    pub fn new() -> Self {
        Importance::default()
    }

    /// Adds the mean squares of the inputs of a weight.
    ///
    /// # Errors
    /// Where they cannot be mean squares, or say nothing; and where the weight has some already.
    pub fn add(&mut self, name: impl Into<String>, squares: Vec<f32>) -> Result<()> {
        let name = name.into();
        let wrong = |what: String| Err(Error::malformed(what).in_tensor(&name));
        if let Some((at, odd)) = squares.iter().enumerate().find(|(_, it)| !(it.is_finite() && **it >= 0.0)) {
            return wrong(format!("the importance of input {at} is {odd}, and no mean of squares"));
        }
        if squares.iter().all(|&it| it == 0.0) {
            return wrong("the importance of all its inputs is zero, which says nothing".to_owned());
        }
        if self.by_name.contains_key(&name) {
            return wrong("its importance is listed twice".to_owned());
        }
        self.by_name.insert(name, squares);
        Ok(())
    }

    /// How many weights have some.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether no weight has.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// What is listed, by every name that may be meant.
pub(crate) struct Listed<'a> {
    by_name: &'a HashMap<String, Vec<f32>>,
    /// By what is left of a name without what files add to it.
    by_plain: HashMap<String, &'a str>,
}

/// The importance of a weight, and what it is listed as.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    name: &'a str,
    squares: &'a [f32],
}

impl<'a> Listed<'a> {
    pub(crate) fn of(importance: &'a Importance) -> Self {
        let mut names: Vec<&str> = importance.by_name.keys().map(String::as_str).collect();
        names.sort_unstable();
        let mut by_plain = HashMap::new();
        // A name that is there counts more than what llama.cpp would make of another.
        for name in &names {
            by_plain.entry(plain_name(name).to_owned()).or_insert(*name);
        }
        for name in &names {
            for alias in gguf_names_of(plain_name(name)) {
                by_plain.entry(alias).or_insert(*name);
            }
        }
        Listed { by_name: &importance.by_name, by_plain }
    }

    /// What is listed for a parameter of this name.
    fn find(&self, name: &str) -> Option<Entry<'a>> {
        let plain = plain_name(name);
        let exact = self.by_name.get_key_value(name).map(|(name, squares)| Entry { name, squares });
        let alias = || {
            let names = [plain.to_owned()].into_iter().chain(gguf_names_of(plain));
            let name = names.into_iter().find_map(|name| self.by_plain.get(&name))?;
            self.by_name.get_key_value(*name).map(|(name, squares)| Entry { name, squares })
        };
        exact.or_else(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_kinds() {
        let mut importance = Importance::new();
        for (name, square) in
            [("blk.0.attn_q.weight", 1.0), ("model.layers.0.mlp.down_proj", 2.0), ("fc.weight", 3.0)]
        {
            importance.add(name, vec![square]).expect("a mean square");
        }
        let listed = Listed::of(&importance);
        let find = |name: &str| listed.find(name).map(|entry| entry.squares[0]);
        for (name, square) in [
            ("blk.0.attn_q.weight", 1.0),
            ("blk.0.attn_q", 1.0),
            ("model.layers.0.self_attn.q_proj.weight", 1.0),
            ("model.layers.0.mlp.down_proj.weight", 2.0),
            ("model.layers.0.mlp.down_proj.qweight", 2.0),
            ("blk.0.ffn_down.weight", 2.0),
            ("fc.weight_quantized", 3.0),
            ("fc", 3.0),
        ] {
            assert_eq!(find(name), Some(square), "{name}");
        }
        for name in ["blk.1.attn_q.weight", "fc.bias", "blk.0.attn_k.weight", ""] {
            assert_eq!(find(name), None, "{name}");
        }
    }
}
